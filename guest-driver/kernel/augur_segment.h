/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Segment tables: the runs of guest memory that a transfer covers.
 *
 * Pure logic: compiled for the host as well and tested there.
 */
#ifndef _AUGUR_SEGMENT_H_
#define _AUGUR_SEGMENT_H_

#include <linux/types.h>

#include "augur_card_abi.h"

/**
 * struct augur_segment_page - a page of a segment table as it lies in memory
 * @head: What the card finds at its start.
 * @segments: The segments behind it.
 */
struct augur_segment_page {
	struct augur_segment_table_page head;
	struct augur_segment segments[AUGUR_SEGMENTS_PER_TABLE_PAGE];
};

bool augur_segment_append(struct augur_segment_page *page, u64 address, u32 bytes);
void augur_segment_link(struct augur_segment_page *page, u64 next);

#endif
