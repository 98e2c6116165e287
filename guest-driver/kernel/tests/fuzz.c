// SPDX-License-Identifier: GPL-2.0
/*
 * Random input for the driver's pure parts, under sanitizers. What comes from a
 * program or a card there may hold anything.
 *
 * usage: fuzz SEED ROUNDS [SECONDS]
 *
 * The same seed gives the same input. With SECONDS it goes on from seed to seed for
 * that long. A failure names its seed.
 */
#include <linux/errno.h>
#include <string.h>
#include <time.h>
#include <asm/byteorder.h>

#include "augur_card_abi.h"
#include "augur_command_list.h"
#include "augur_health.h"
#include "augur_segment.h"
#include "augur_window_table.h"
#include "test.h"

static u64 state;

static u64 next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Small numbers, numbers near powers of two, and any numbers. */
static u64 odd_number(void)
{
	u64 random = next_random();

	switch (random % 4) {
	case 0:
		return (random >> 8) % 16;
	case 1:
		return (1ull << ((random >> 8) % 64)) + (random >> 16) % 3 - 1;
	case 2:
		return -((random >> 8) % 4096);
	default:
		return next_random();
	}
}

/* A list on the heap, exactly as large as it is: reading behind it is seen. */
struct list {
	u8 *bytes;
	size_t length;
	u32 told;
};

static void read_list(const void *from, size_t offset, void *to, size_t bytes)
{
	const struct list *list = from;

	CHECK(offset <= list->length && bytes <= list->length - offset);
	memcpy(to, list->bytes + offset, bytes);
}

static int hear(void *user, u64 address, bool write)
{
	struct list *list = user;

	(void)address;
	(void)write;
	list->told++;
	return 0;
}

/* Commands that are nearly right, so that the walk gets on. */
static void fill_list(struct list *list, u32 *commands)
{
	size_t at = 0;

	*commands = 0;
	while (list->length - at >= sizeof(struct augur_command_header)) {
		size_t left = list->length - at;
		u32 bytes = (8 + (next_random() % 40) * 8);
		struct augur_command_header header = {
			.opcode = cpu_to_le16(next_random() % 20),
			.operand_count = cpu_to_le16(next_random() % 8 ? next_random() % 5 :
						     odd_number()),
		};

		if (bytes > left)
			bytes = left & ~7u;
		if (next_random() % 64 == 0)
			bytes = odd_number();
		header.bytes = cpu_to_le32(bytes);
		memcpy(list->bytes + at, &header, sizeof(header));
		(*commands)++;
		if (bytes < sizeof(header) || bytes > left)
			break;
		at += bytes;
	}
	if (next_random() % 8 == 0)
		*commands = odd_number();
}

static void fuzz_command_list(void)
{
	struct list list = { .length = (next_random() % 64) * 8 };
	u8 writable[8];
	struct augur_list_walk walk = {
		.read = read_list,
		.list = &list,
		.bytes = list.length,
		.writable = writable,
		.transfer_count = next_random() % (sizeof(writable) + 1),
		.use = hear,
		.user = &list,
	};
	int ret;

	list.bytes = malloc(list.length ?: 1);
	CHECK(list.bytes);
	for (size_t i = 0; i < list.length; i++)
		list.bytes[i] = next_random();
	for (size_t i = 0; i < sizeof(writable); i++)
		writable[i] = next_random() & 1;
	fill_list(&list, &walk.command_count);
	ret = augur_command_list_check(&walk);
	CHECK(ret == 0 || ret == -EINVAL || ret == -EACCES);
	CHECK(list.told <= AUGUR_MAX_OPERANDS * (list.length / 8));
	free(list.bytes);
}

#define SLOTS	16

/* A card may say anything of windows; the table stays ordered and complete. */
static void fuzz_window_table(void)
{
	static const struct augur_window_limits limits = {
		.aperture_bytes = 1 << 20,
		.max_window_bytes = 1 << 16,
		.slots = SLOTS,
	};
	struct augur_window windows[SLOTS] = { 0 };
	struct augur_window_table table = {
		.windows = windows,
		.slots = SLOTS,
	};

	for (int step = 0; step < 64; step++) {
		struct augur_window_place place = {
			.address = next_random() % 4 ? (next_random() % 64) << 12 : odd_number(),
			.aperture_offset = next_random() % 4 ? (1 + next_random() % 64) << 12 :
							       odd_number(),
			.context = next_random() % 3,
			.slot = next_random() % 8 ? next_random() % SLOTS : odd_number(),
			.generation = next_random() % 4 ? next_random() % 8 : odd_number(),
			.bytes = next_random() % 4 ? 1u << (12 + next_random() % 5) : odd_number(),
		};
		struct augur_window *window;

		if (augur_window_place_valid(&place, &limits)) {
			CHECK(place.slot < SLOTS);
			CHECK(place.aperture_offset + place.bytes <= limits.aperture_bytes);
			window = &windows[place.slot];
			if (window->state == AUGUR_WINDOW_NONE &&
			    augur_window_table_install(&table, &place))
				CHECK(augur_window_table_find(&table, place.context,
							      place.address) == window);
		} else if (place.slot < SLOTS) {
			window = &windows[place.slot];
			if (window->state != AUGUR_WINDOW_NONE)
				augur_window_table_remove(&table, window);
			else
				augur_window_table_retire(&table, place.slot,
							  place.generation);
		}
		CHECK(table.count <= SLOTS);
		window = augur_window_table_next(&table, NULL);
		for (u32 i = 1; i < table.count; i++) {
			const struct augur_window_place *a = &window->place;
			const struct augur_window_place *b;

			window = augur_window_table_next(&table, window);
			CHECK(window);
			b = &window->place;
			CHECK(a->context < b->context ||
			      (a->context == b->context &&
			       a->address + a->bytes <= b->address));
		}
	}
}

/* What was appended to tables is what they say, run by run. */
static void fuzz_segments(void)
{
	struct augur_segment_page page = { 0 };
	u64 appended = 0, said = 0;

	for (int step = 0; step < 300; step++) {
		u64 address = next_random() % 2 ? (next_random() % 32) << 12 : odd_number();
		u32 bytes = 1 + odd_number() % 0x40000000;

		if (augur_segment_append(&page, address, bytes))
			appended += bytes;
		CHECK(le32_to_cpu(page.head.count) <= AUGUR_SEGMENTS_PER_TABLE_PAGE);
	}
	for (u32 i = 0; i < le32_to_cpu(page.head.count); i++) {
		CHECK(page.segments[i].bytes && !page.segments[i].reserved);
		said += le32_to_cpu(page.segments[i].bytes);
	}
	CHECK(said == appended);
}

/* No sign of a card makes it well again while it is gone. */
static void fuzz_health(void)
{
	struct augur_health health = { .heartbeat = odd_number() };

	for (int step = 0; step < 32; step++) {
		const struct augur_signs signs = {
			.state = next_random() % 2 ? next_random() % 4 : odd_number(),
			.heartbeat = next_random() % 2 ? health.heartbeat : odd_number(),
			.ring_broken = next_random() % 8 == 0,
			.needs_reset = next_random() % 4 == 0,
		};
		enum augur_verdict verdict = augur_health_judge(&health, &signs);

		CHECK(verdict <= AUGUR_VERDICT_STOPPED);
		CHECK((signs.state != AUGUR_STATE_GONE) || verdict == AUGUR_VERDICT_ENDED);
		CHECK(!signs.ring_broken || verdict > AUGUR_VERDICT_RESET);
		CHECK(health.heartbeat == signs.heartbeat);
	}
}

int main(int count, char **words)
{
	u64 seed = count > 1 ? strtoull(words[1], NULL, 0) : 1;
	u64 rounds = count > 2 ? strtoull(words[2], NULL, 0) : 10000;
	time_t end = count > 3 ? time(NULL) + atol(words[3]) : 0;
	u64 done = 0;

	do {
		state = seed * 0x9e3779b97f4a7c15ull | 1;
		for (u64 i = 0; i < rounds; i++, done++) {
			fuzz_command_list();
			fuzz_window_table();
			fuzz_segments();
			fuzz_health();
		}
		printf("ok seed %llu\n", (unsigned long long)seed++);
		fflush(stdout);
	} while (time(NULL) < end);
	printf("%llu rounds\n", (unsigned long long)done);
	return 0;
}
