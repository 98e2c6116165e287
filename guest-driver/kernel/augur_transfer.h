/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Program memory that command lists use.
 */
#ifndef _AUGUR_TRANSFER_H_
#define _AUGUR_TRANSFER_H_

#include <linux/types.h>

#include "augur_segment.h"

struct augur_bounce;
struct augur_list;
struct augur_uses;
struct drm_augur_transfer;
struct drm_file;
struct drm_gem_object;

/* Transfers of one list. */
#define AUGUR_MAX_TRANSFERS	1024

/**
 * struct augur_transfer_memory - memory of one transfer
 * @pages: The pages of its segment table, which say what is pinned unless the memory
 *	is @buffer's or @bounce's.
 * @count: Entries of @pages.
 * @buffer: A buffer that was imported, referenced, or NULL.
 * @bounce: Memory of a copy, referenced, or NULL.
 * @writes: The card writes it.
 */
struct augur_transfer_memory {
	struct augur_segment_page **pages;
	u32 count;
	struct drm_gem_object *buffer;
	struct augur_bounce *bounce;
	bool writes;
};

int augur_transfer_pin(struct augur_list *list, struct augur_transfer_memory *memory,
		       const struct drm_augur_transfer *transfer);
int augur_transfer_buffer(struct drm_file *file, struct augur_uses *uses,
			  struct augur_transfer_memory *memory,
			  const struct drm_augur_transfer *transfer);
int augur_transfer_bounce(struct augur_list *list, struct augur_bounce *bounce, u32 bytes);
void augur_transfers_release(struct augur_list *list);

#endif
