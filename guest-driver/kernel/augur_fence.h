/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fences of command lists, and what programs learn from them.
 */
#ifndef _AUGUR_FENCE_H_
#define _AUGUR_FENCE_H_

#include <linux/build_bug.h>
#include <linux/dma-fence.h>
#include <linux/stddef.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "augur_card_abi.h"

struct augur_context;
struct drm_augur_wait;
struct drm_device;
struct drm_file;

/* Fences that a context keeps by number, so that programs can ask for results. */
#define AUGUR_KEPT_FENCES	1024

/**
 * struct augur_fence - the end of a command list
 * @base: The fence, first so that dma_fence_free() frees it. Its error is set when
 *	the list did not end with OK.
 * @lock: The fence's lock: it lives as long as the fence.
 * @queue: Where its list is submitted.
 * @moved_bytes: Bytes of the memory that its list's transfers are lent.
 * @result: How the list ended. Valid once the fence is signalled.
 */
struct augur_fence {
	struct dma_fence base;
	spinlock_t lock;	/* the fence's own */
	u32 queue;
	u64 moved_bytes;
	struct augur_submit_status result;
};

static_assert(!offsetof(struct augur_fence, base));

/**
 * struct augur_fences - fences of the last lists of a context
 * @lock: Guards the rest.
 * @last: Number of the last list.
 * @kept: The fence of list N is at N modulo AUGUR_KEPT_FENCES.
 */
struct augur_fences {
	spinlock_t lock;	/* innermost, but for fences' own */
	u64 last;
	struct augur_fence **kept;
};

struct augur_fence *augur_fence_new(u32 queue);
void augur_fence_finish(struct augur_fence *fence,
			const struct augur_submit_status *result, int error);
int augur_fences_init(struct augur_context *context);
void augur_fences_forget(struct augur_context *context);
void augur_fences_fini(struct augur_context *context);
void augur_fences_add(struct augur_context *context, u64 number,
		      struct augur_fence *fence);
int augur_fences_wait(struct augur_context *context, struct drm_augur_wait *args);
int augur_ioctl_wait(struct drm_device *dev, void *data, struct drm_file *file);

#endif
