// SPDX-License-Identifier: GPL-2.0
/* Host tests of what the signs of a card's life mean. */
#include "augur_health.h"

#include <asm/byteorder.h>

#include "augur_card_abi.h"
#include "test.h"

static struct augur_signs running(u64 heartbeat)
{
	return (struct augur_signs) {
		.state = AUGUR_STATE_RUNNING,
		.heartbeat = heartbeat,
	};
}

static void a_heart_that_beats_is_well(void)
{
	struct augur_health health = { 0 };

	for (u64 beat = 1; beat < 100; beat++) {
		struct augur_signs signs = running(beat / 2);

		CHECK(augur_health_judge(&health, &signs) == AUGUR_VERDICT_WELL);
	}
}

static void a_heart_that_stops_is_lost_after_its_samples(void)
{
	struct augur_health health = { .heartbeat = 7 };
	struct augur_signs signs = running(7);

	for (u32 i = 1; i < AUGUR_HEARTBEAT_SAMPLES; i++)
		CHECK(augur_health_judge(&health, &signs) == AUGUR_VERDICT_WELL);
	CHECK(augur_health_judge(&health, &signs) == AUGUR_VERDICT_STOPPED);
	signs.heartbeat++;
	CHECK(augur_health_judge(&health, &signs) == AUGUR_VERDICT_WELL);
}

static void a_card_that_needs_a_reset_gets_it(void)
{
	struct augur_health health = { 0 };
	struct augur_signs signs = running(1);

	signs.needs_reset = true;
	CHECK(augur_health_judge(&health, &signs) == AUGUR_VERDICT_RESET);
	/* It asks until it has got it, but not for ever. */
	for (u32 i = 1; i < AUGUR_HEARTBEAT_SAMPLES; i++)
		CHECK(augur_health_judge(&health, &signs) == AUGUR_VERDICT_RESET);
	CHECK(augur_health_judge(&health, &signs) == AUGUR_VERDICT_STOPPED);
	signs = running(2);
	CHECK(augur_health_judge(&health, &signs) == AUGUR_VERDICT_WELL);
}

static void a_card_that_is_gone_is_not_reset(void)
{
	static const struct {
		u32 state;
		bool broken;
		enum augur_verdict verdict;
	} cases[] = {
		{ AUGUR_STATE_GONE, false, AUGUR_VERDICT_ENDED },
		{ AUGUR_STATE_GONE, true, AUGUR_VERDICT_ENDED },
		{ AUGUR_STATE_FAILED, false, AUGUR_VERDICT_FAILED },
		{ AUGUR_STATE_RUNNING, true, AUGUR_VERDICT_BROKEN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct augur_health health = { 0 };
		struct augur_signs signs = running(i + 1);

		signs.state = cases[i].state;
		signs.ring_broken = cases[i].broken;
		signs.needs_reset = true;
		CHECK(augur_health_judge(&health, &signs) == cases[i].verdict);
	}
}

int main(void)
{
	RUN(a_heart_that_beats_is_well);
	RUN(a_heart_that_stops_is_lost_after_its_samples);
	RUN(a_card_that_needs_a_reset_gets_it);
	RUN(a_card_that_is_gone_is_not_reset);
	return 0;
}
