/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Program memory that command lists use.
 */
#ifndef _AUGUR_TRANSFER_H_
#define _AUGUR_TRANSFER_H_

#include <linux/types.h>

#include "augur_segment.h"

struct augur_list;
struct drm_augur_transfer;

/* Transfers of one list. */
#define AUGUR_MAX_TRANSFERS	1024

/**
 * struct augur_transfer_memory - pinned memory of one transfer
 * @pages: The pages of its segment table, which say what is pinned.
 * @count: Entries of @pages.
 * @writes: The card writes it.
 */
struct augur_transfer_memory {
	struct augur_segment_page **pages;
	u32 count;
	bool writes;
};

int augur_transfer_pin(struct augur_list *list, struct augur_transfer_memory *memory,
		       const struct drm_augur_transfer *transfer);
void augur_transfers_release(struct augur_list *list);

#endif
