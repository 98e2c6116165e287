// SPDX-License-Identifier: GPL-2.0
/* Host tests of the window table. */
#include "augur_window_table.h"

#include "augur_card_abi.h"
#include "test.h"

#define SLOTS	64
#define PAGE	((u64)AUGUR_PAGE_BYTES)

static const struct augur_window_limits limits = {
	.aperture_bytes = 1 << 20,
	.max_window_bytes = 1 << 16,
	.slots = SLOTS,
};

struct fixture {
	struct augur_window windows[SLOTS];
	struct augur_window_table table;
};

static struct augur_window_table *empty(struct fixture *fixture)
{
	*fixture = (struct fixture) { 0 };
	fixture->table.windows = fixture->windows;
	fixture->table.slots = SLOTS;
	return &fixture->table;
}

static struct augur_window_place place(u32 context, u32 slot, u32 generation,
				       u64 address, u32 bytes)
{
	return (struct augur_window_place) {
		.address = address,
		.aperture_offset = PAGE,
		.context = context,
		.slot = slot,
		.generation = generation,
		.bytes = bytes,
	};
}

static bool install(struct augur_window_table *table, u32 context, u32 slot,
		    u32 generation, u64 address, u32 bytes)
{
	const struct augur_window_place at = place(context, slot, generation, address,
						   bytes);

	return augur_window_table_install(table, &at);
}

static bool valid(u32 slot, u64 address, u64 aperture_offset, u32 bytes)
{
	struct augur_window_place at = place(1, slot, 1, address, bytes);

	at.aperture_offset = aperture_offset;
	return augur_window_place_valid(&at, &limits);
}

static void places_outside_the_limits_are_refused(void)
{
	CHECK(valid(0, 0, PAGE, PAGE));
	CHECK(valid(SLOTS - 1, 1 << 16, (1 << 20) - (1 << 16), 1 << 16));
	CHECK(!valid(SLOTS, 0, PAGE, PAGE));
	CHECK(!valid(0, 0, PAGE, 0));
	CHECK(!valid(0, 0, PAGE, 2048));
	CHECK(!valid(0, 0, PAGE, 3 * PAGE));
	CHECK(!valid(0, 0, PAGE, 1 << 17));
	CHECK(!valid(0, PAGE, PAGE, 2 * PAGE));
	CHECK(!valid(0, 0, 0, PAGE));
	CHECK(!valid(0, 0, PAGE + 1, PAGE));
	CHECK(!valid(0, 0, 1 << 20, PAGE));
	CHECK(!valid(0, 0, (1 << 20) - PAGE, 2 * PAGE));
	CHECK(!valid(0, 0, ~0ull & ~(PAGE - 1), PAGE));
	CHECK(valid(0, ~0ull & ~(2 * PAGE - 1) & ~(2 * PAGE), PAGE, PAGE));
}

static void generations_wrap(void)
{
	CHECK(augur_generation_newer(2, 1));
	CHECK(!augur_generation_newer(1, 1));
	CHECK(!augur_generation_newer(1, 2));
	CHECK(augur_generation_newer(0, 0xffffffff));
	CHECK(!augur_generation_newer(0xffffffff, 0));
}

static void an_address_finds_its_window_and_no_other(void)
{
	struct fixture fixture;
	struct augur_window_table *table = empty(&fixture);

	CHECK(!augur_window_table_find(table, 1, 0));
	CHECK(install(table, 1, 3, 1, 0x10000, 0x10000));
	CHECK(install(table, 1, 4, 1, 0x8000, 0x1000));
	CHECK(install(table, 2, 5, 1, 0x10000, 0x2000));
	CHECK(table->count == 3);
	CHECK(augur_window_table_find(table, 1, 0x10000) == &fixture.windows[3]);
	CHECK(augur_window_table_find(table, 1, 0x1ffff) == &fixture.windows[3]);
	CHECK(!augur_window_table_find(table, 1, 0x20000));
	CHECK(!augur_window_table_find(table, 1, 0xffff));
	CHECK(augur_window_table_find(table, 1, 0x8fff) == &fixture.windows[4]);
	CHECK(!augur_window_table_find(table, 1, 0x9000));
	CHECK(augur_window_table_find(table, 2, 0x11fff) == &fixture.windows[5]);
	CHECK(!augur_window_table_find(table, 2, 0x12000));
	CHECK(!augur_window_table_find(table, 3, 0x10000));
}

static void a_revoked_window_is_not_found(void)
{
	struct fixture fixture;
	struct augur_window_table *table = empty(&fixture);

	CHECK(install(table, 1, 0, 1, 0, PAGE));
	fixture.windows[0].state = AUGUR_WINDOW_REVOKED;
	CHECK(!augur_window_table_find(table, 1, 0));
	CHECK(augur_window_table_first(table, 1, 0, PAGE) == &fixture.windows[0]);
}

static void old_generations_never_become_live(void)
{
	struct fixture fixture;
	struct augur_window_table *table = empty(&fixture);

	CHECK(install(table, 1, 0, 7, 0, PAGE));
	augur_window_table_remove(table, &fixture.windows[0]);
	CHECK(table->count == 0);
	CHECK(!install(table, 1, 0, 7, 0, PAGE));
	CHECK(!install(table, 1, 0, 6, 0, PAGE));
	CHECK(install(table, 1, 0, 8, 0, PAGE));
	augur_window_table_remove(table, &fixture.windows[0]);
	augur_window_table_retire(table, 0, 9);
	CHECK(!install(table, 1, 0, 9, 0, PAGE));
	augur_window_table_retire(table, 0, 5);
	CHECK(!install(table, 1, 0, 9, 0, PAGE));
	CHECK(install(table, 1, 0, 10, 0, PAGE));
}

static void a_retired_slot_that_was_never_used_refuses_its_generation(void)
{
	struct fixture fixture;
	struct augur_window_table *table = empty(&fixture);

	augur_window_table_retire(table, 9, 1);
	CHECK(!install(table, 1, 9, 1, 0, PAGE));
	CHECK(install(table, 1, 9, 2, 0, PAGE));
}

static void windows_of_a_context_never_overlap(void)
{
	struct fixture fixture;
	struct augur_window_table *table = empty(&fixture);

	CHECK(install(table, 1, 0, 1, 0x4000, 0x4000));
	CHECK(!install(table, 1, 1, 1, 0x4000, 0x1000));
	CHECK(!install(table, 1, 1, 1, 0x7000, 0x1000));
	CHECK(!install(table, 1, 1, 1, 0, 0x8000));
	CHECK(install(table, 1, 1, 1, 0x8000, 0x1000));
	CHECK(install(table, 1, 2, 1, 0x3000, 0x1000));
	CHECK(install(table, 2, 3, 1, 0x4000, 0x4000));
	CHECK(table->count == 4);
}

static void a_range_begins_with_its_first_window(void)
{
	struct fixture fixture;
	struct augur_window_table *table = empty(&fixture);

	CHECK(install(table, 1, 0, 1, 0x4000, 0x1000));
	CHECK(install(table, 1, 1, 1, 0x6000, 0x1000));
	CHECK(augur_window_table_first(table, 1, 0, 1ull << 40) == &fixture.windows[0]);
	CHECK(augur_window_table_first(table, 1, 0x5000, 1ull << 40) ==
	      &fixture.windows[1]);
	CHECK(!augur_window_table_first(table, 1, 0x5000, 0x1000));
	CHECK(!augur_window_table_first(table, 1, 0x7000, 1ull << 40));
	CHECK(!augur_window_table_first(table, 0, 0, ~0ull));
	CHECK(augur_window_table_first(table, 1, 0, ~0ull) == &fixture.windows[0]);
}

static void a_walk_meets_windows_in_order(void)
{
	struct fixture fixture;
	struct augur_window_table *table = empty(&fixture);
	static const u32 slots[] = { 3, 1, 2, 0 };
	const struct augur_window *at = NULL;

	CHECK(!augur_window_table_next(table, NULL));
	CHECK(install(table, 2, 0, 1, 0, 0x1000));
	CHECK(install(table, 1, 1, 1, 0x6000, 0x2000));
	CHECK(install(table, 1, 2, 1, 0x8000, 0x1000));
	CHECK(install(table, 1, 3, 1, 0, 0x4000));
	for (size_t i = 0; i < 4; i++) {
		at = augur_window_table_next(table, at);
		CHECK(at == &fixture.windows[slots[i]]);
	}
	CHECK(!augur_window_table_next(table, at));
}

static u32 depth(const struct augur_window *window)
{
	u32 left, right;

	if (!window)
		return 0;
	left = depth(window->left);
	right = depth(window->right);
	return 1 + (left > right ? left : right);
}

/* As a program that goes through its memory, with windows of 64 KiB. */
static void paths_stay_short_when_windows_come_in_order(void)
{
	enum { WINDOWS = 4096, FRAMES = 16 };
	static struct augur_window windows[WINDOWS * FRAMES];
	struct augur_window_table table = {
		.windows = windows,
		.slots = WINDOWS * FRAMES,
	};

	for (u32 i = 0; i < 3 * WINDOWS; i++) {
		u32 slot = i % WINDOWS * FRAMES;

		if (i >= WINDOWS)
			augur_window_table_remove(&table, &windows[slot]);
		CHECK(install(&table, 1, slot, 1 + i / WINDOWS, i * FRAMES * PAGE,
			      FRAMES * PAGE));
	}
	CHECK(table.count == WINDOWS);
	/* Twice 12 for a tree of no plan; 64 would be an accident. */
	CHECK(depth(table.root) < 64);
}

/* The table against an array that is searched from end to end. */
static void random_use_agrees_with_a_plain_array(void)
{
	struct augur_window_place shadow[SLOTS] = { 0 };
	u32 generation[SLOTS] = { 0 };
	bool live[SLOTS] = { false };
	struct fixture fixture;
	struct augur_window_table *table = empty(&fixture);
	u64 random = 88172645463325252ull;

	for (int step = 0; step < 200000; step++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		u32 slot = random % SLOTS, context = (random >> 8) % 3;
		u32 bytes = PAGE << ((random >> 16) % 4);
		u64 address = ((random >> 20) % 64) * bytes;
		int found = -1;

		for (int i = 0; i < SLOTS; i++)
			if (live[i] && shadow[i].context == context &&
			    address >= shadow[i].address &&
			    address - shadow[i].address < shadow[i].bytes)
				found = i;
		CHECK(augur_window_table_find(table, context, address) ==
		      (found < 0 ? NULL : &fixture.windows[found]));

		if (live[slot]) {
			augur_window_table_remove(table, &fixture.windows[slot]);
			live[slot] = false;
			continue;
		}
		bool overlap = false;

		for (int i = 0; i < SLOTS; i++)
			overlap |= live[i] && shadow[i].context == context &&
				   address < shadow[i].address + shadow[i].bytes &&
				   shadow[i].address < address + bytes;
		CHECK(install(table, context, slot, ++generation[slot], address, bytes) ==
		      !overlap);
		live[slot] = !overlap;
		shadow[slot] = place(context, slot, generation[slot], address, bytes);
	}
}

int main(void)
{
	RUN(places_outside_the_limits_are_refused);
	RUN(generations_wrap);
	RUN(an_address_finds_its_window_and_no_other);
	RUN(a_revoked_window_is_not_found);
	RUN(old_generations_never_become_live);
	RUN(a_retired_slot_that_was_never_used_refuses_its_generation);
	RUN(windows_of_a_context_never_overlap);
	RUN(a_range_begins_with_its_first_window);
	RUN(a_walk_meets_windows_in_order);
	RUN(paths_stay_short_when_windows_come_in_order);
	RUN(random_use_agrees_with_a_plain_array);
	return 0;
}
