// SPDX-License-Identifier: GPL-2.0
/*
 * Segment tables: see augur_segment.h.
 */
#include <linux/types.h>
#include <asm/byteorder.h>

#include "augur_segment.h"

/**
 * augur_segment_append - add a run of guest memory to a page of a table
 * @page: The page.
 * @address: Guest address of the run.
 * @bytes: Bytes of the run, not zero.
 *
 * A run that continues the last one becomes part of it.
 *
 * Return: false when the page is full.
 */
bool augur_segment_append(struct augur_segment_page *page, u64 address, u32 bytes)
{
	u32 count = le32_to_cpu(page->head.count);
	struct augur_segment *segment;

	if (count) {
		u32 last;

		segment = &page->segments[count - 1];
		last = le32_to_cpu(segment->bytes);
		if (le64_to_cpu(segment->address) + last == address &&
		    last + bytes > last) {
			segment->bytes = cpu_to_le32(last + bytes);
			return true;
		}
	}
	if (count == AUGUR_SEGMENTS_PER_TABLE_PAGE)
		return false;
	segment = &page->segments[count];
	segment->address = cpu_to_le64(address);
	segment->bytes = cpu_to_le32(bytes);
	segment->reserved = 0;
	page->head.count = cpu_to_le32(count + 1);
	return true;
}

/**
 * augur_segment_link - name the page that follows
 * @page: A page.
 * @next: Guest address of the next page of the table.
 */
void augur_segment_link(struct augur_segment_page *page, u64 next)
{
	page->head.next = cpu_to_le64(next);
}
