/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Syncobjs that a command list waits for or signals.
 */
#ifndef _AUGUR_SYNCS_H_
#define _AUGUR_SYNCS_H_

#include <linux/dma-fence-chain.h>
#include <linux/types.h>

struct augur_list;
struct drm_file;
struct drm_syncobj;

/* Entries of each array of syncobjs. */
#define AUGUR_MAX_SYNCS	64

/**
 * struct augur_out_sync - a syncobj to signal
 * @syncobj: The syncobj.
 * @chain: Its next link, for a timeline.
 * @point: Point of the timeline.
 */
struct augur_out_sync {
	struct drm_syncobj *syncobj;
	struct dma_fence_chain *chain;
	u64 point;
};

int augur_in_syncs_take(struct drm_file *file, struct augur_list *list, u64 address,
			u32 count);
struct augur_out_sync *augur_out_syncs_take(struct drm_file *file, u64 address,
					    u32 count);
void augur_out_syncs_attach(struct augur_out_sync *syncs, u32 count,
			    struct dma_fence *fence);
void augur_out_syncs_drop(struct augur_out_sync *syncs, u32 count);

#endif
