// SPDX-License-Identifier: GPL-2.0
/* Host tests of segment tables. */
#include "augur_segment.h"

#include <stddef.h>
#include <asm/byteorder.h>

#include "test.h"

static void a_page_of_a_table_is_a_page(void)
{
	CHECK(sizeof(struct augur_segment_page) == AUGUR_PAGE_BYTES);
	CHECK(offsetof(struct augur_segment_page, segments) ==
	      sizeof(struct augur_segment_table_page));
}

static void runs_that_continue_become_one(void)
{
	struct augur_segment_page page = { 0 };

	CHECK(augur_segment_append(&page, 0x1800, 0x800));
	CHECK(augur_segment_append(&page, 0x2000, 0x1000));
	CHECK(augur_segment_append(&page, 0x3000, 0x10));
	CHECK(le32_to_cpu(page.head.count) == 1);
	CHECK(le64_to_cpu(page.segments[0].address) == 0x1800);
	CHECK(le32_to_cpu(page.segments[0].bytes) == 0x1810);
}

static void runs_apart_stay_apart(void)
{
	struct augur_segment_page page = { 0 };

	CHECK(augur_segment_append(&page, 0x1000, 0x1000));
	CHECK(augur_segment_append(&page, 0x1000, 0x1000));
	CHECK(augur_segment_append(&page, 0x3000, 0x1000));
	CHECK(le32_to_cpu(page.head.count) == 3);
}

static void a_run_never_outgrows_its_field(void)
{
	struct augur_segment_page page = { 0 };

	CHECK(augur_segment_append(&page, 0x1000, 0xfffff000));
	CHECK(augur_segment_append(&page, 0x100000000ull, 0x1000));
	CHECK(le32_to_cpu(page.head.count) == 2);
	CHECK(le32_to_cpu(page.segments[0].bytes) == 0xfffff000);
}

static void a_full_page_takes_only_what_continues_its_last_run(void)
{
	struct augur_segment_page page = { 0 };
	u64 address = 0;

	for (int i = 0; i < AUGUR_SEGMENTS_PER_TABLE_PAGE; i++)
		CHECK(augur_segment_append(&page, address += 0x2000, 0x1000));
	CHECK(!augur_segment_append(&page, address + 0x2000, 0x1000));
	CHECK(augur_segment_append(&page, address + 0x1000, 0x1000));
	CHECK(le32_to_cpu(page.head.count) == AUGUR_SEGMENTS_PER_TABLE_PAGE);
	augur_segment_link(&page, 0x123000);
	CHECK(le64_to_cpu(page.head.next) == 0x123000);
}

int main(void)
{
	RUN(a_page_of_a_table_is_a_page);
	RUN(runs_that_continue_become_one);
	RUN(runs_apart_stay_apart);
	RUN(a_run_never_outgrows_its_field);
	RUN(a_full_page_takes_only_what_continues_its_last_run);
	return 0;
}
