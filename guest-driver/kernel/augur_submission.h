/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lists that are submitted together.
 */
#ifndef _AUGUR_SUBMISSION_H_
#define _AUGUR_SUBMISSION_H_

#include <linux/types.h>

#include "augur_uses.h"

struct augur_context;
struct augur_list;
struct augur_out_sync;
struct dma_fence;
struct drm_file;

/**
 * struct augur_submission - lists on their way to their stream
 * @context: The context.
 * @file: The open file.
 * @uses: The objects that the lists use.
 * @out: Syncobjs to signal.
 * @out_count: Entries of @out.
 * @end: Signals when all lists have ended; with @out only.
 * @entered: Lists that the context was counted for.
 * @count: Entries of @lists.
 * @lists: The lists.
 */
struct augur_submission {
	struct augur_context *context;
	struct drm_file *file;
	struct augur_uses uses;
	struct augur_out_sync *out;
	u32 out_count;
	struct dma_fence *end;
	u32 entered;
	u32 count;
	struct augur_list *lists[];
};

struct augur_submission *augur_submission_new(struct augur_context *context,
					      struct drm_file *file, u32 count);
int augur_submission_out(struct augur_submission *submission, struct augur_out_sync *out,
			 u32 count);
int augur_submission_commit(struct augur_submission *submission, u64 *first);
void augur_submission_free(struct augur_submission *submission);

#endif
