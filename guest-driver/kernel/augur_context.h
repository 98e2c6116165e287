/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Contexts: one open file each.
 */
#ifndef _AUGUR_CONTEXT_H_
#define _AUGUR_CONTEXT_H_

#include <linux/kref.h>
#include <linux/maple_tree.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "augur_fence.h"
#include "augur_stream.h"

struct augur_device;
struct drm_device;
struct drm_file;

/**
 * struct augur_context - an open file
 * @ref: Held by the file, and by each list, job and object.
 * @free: Frees the context where its last reference cannot.
 * @adev: The card, referenced.
 * @id: Context id on the card.
 * @client: The file's id, for traces.
 * @closed: Its file is closed; objects that were shared keep it on the card. Under
 *	&augur_windows.lock.
 * @failed: The card has given it up. Under &augur_windows.lock.
 * @banned: Too many of its lists were given up: it may submit no more.
 * @hangs: Lists that were given up.
 * @submit_lock: Orders submissions; guards @next_fence.
 * @next_fence: Number of the next list.
 * @addresses: Its objects by device address, under @addresses_lock.
 * @addresses_lock: See @addresses.
 * @objects: Its objects, struct augur_object. Under &augur_windows.lock.
 * @object_bytes: Device memory of its objects.
 * @fences: Fences of its last lists.
 * @lists: Lists that hold memory.
 * @lists_wait: Woken when @lists falls, and when the card is lost.
 * @stream_count: Entries of @streams.
 * @streams: One for each submit queue.
 */
struct augur_context {
	struct kref ref;
	struct work_struct free;
	struct augur_device *adev;
	u32 id;
	u64 client;
	bool closed;
	bool failed;
	bool banned;
	atomic_t hangs;
	struct mutex submit_lock;	/* order: augur_device.h */
	u64 next_fence;
	struct maple_tree addresses;
	struct mutex addresses_lock;	/* order: augur_device.h */
	struct list_head objects;
	atomic64_t object_bytes;
	struct augur_fences fences;
	atomic_t lists;
	wait_queue_head_t lists_wait;
	u32 stream_count;
	struct augur_stream streams[];
};

int augur_contexts_init(void);
void augur_contexts_exit(void);
int augur_context_open(struct drm_device *dev, struct drm_file *file);
void augur_context_close(struct drm_device *dev, struct drm_file *file);
void augur_context_end(struct augur_context *context);
void augur_context_put(struct augur_context *context);
void augur_contexts_fail(struct augur_device *adev);
void augur_contexts_destroy(struct augur_device *adev);

#endif
