// SPDX-License-Identifier: GPL-2.0
/*
 * What the signs of a card's life mean: see augur_health.h.
 */
#include <linux/types.h>
#include <asm/byteorder.h>

#include "augur_card_abi.h"
#include "augur_health.h"

/**
 * augur_health_judge - say what is to be done about a card
 * @health: What was seen before; brought up to date.
 * @signs: What is seen now.
 *
 * A card whose process is gone can be asked nothing any more, a reset included, so
 * that comes first. A card that asks for a reset may stand still meanwhile.
 */
enum augur_verdict augur_health_judge(struct augur_health *health,
				      const struct augur_signs *signs)
{
	bool moved = signs->heartbeat != health->heartbeat;

	health->heartbeat = signs->heartbeat;
	health->misses = moved ? 0 : health->misses + 1;
	if (signs->state == AUGUR_STATE_GONE)
		return AUGUR_VERDICT_ENDED;
	if (signs->state == AUGUR_STATE_FAILED)
		return AUGUR_VERDICT_FAILED;
	if (signs->ring_broken)
		return AUGUR_VERDICT_BROKEN;
	if (health->misses >= AUGUR_HEARTBEAT_SAMPLES)
		return AUGUR_VERDICT_STOPPED;
	return signs->needs_reset ? AUGUR_VERDICT_RESET : AUGUR_VERDICT_WELL;
}
