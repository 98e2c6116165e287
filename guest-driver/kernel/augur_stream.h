/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lists of one context for one submit queue, and their scheduler.
 */
#ifndef _AUGUR_STREAM_H_
#define _AUGUR_STREAM_H_

#include <linux/list.h>
#include <linux/types.h>

#include <drm/gpu_scheduler.h>

struct augur_context;
struct augur_list;
struct augur_queue;

/**
 * struct augur_stream - the lists of a context for one submit queue
 * @context: The context.
 * @queue: The submit queue.
 * @scheduler: Has the lists that must wait, and lets each go on when all that it
 *	depends on has signalled.
 * @entity: The scheduler's only entity.
 * @held: Lists that the scheduler has not let go on, oldest first. Under the queue's
 *	lock.
 * @closed: The context is gone: lists are cancelled. Under the queue's lock.
 * @progress: What the card said of the context's progress at the last look for hangs.
 */
struct augur_stream {
	struct augur_context *context;
	struct augur_queue *queue;
	struct drm_gpu_scheduler scheduler;
	struct drm_sched_entity entity;
	struct list_head held;
	bool closed;
	u64 progress;
};

int augur_stream_init(struct augur_stream *stream, struct augur_context *context,
		      struct augur_queue *queue);
void augur_stream_fini(struct augur_stream *stream);
void augur_stream_submit(struct augur_stream *stream, struct augur_list *list);
void augur_stream_cancel(struct augur_stream *stream);
void augur_stream_close(struct augur_stream *stream);

#endif
