/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lists of one context for one submit queue, and their scheduler.
 */
#ifndef _AUGUR_STREAM_H_
#define _AUGUR_STREAM_H_

#include <linux/container_of.h>
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
 * @scheduler: Lets a list go on when all that it depends on has signalled, and tells
 *	when one takes long.
 * @entity: The scheduler's only entity.
 * @running: Lists that the scheduler has let go on and whose fence has not signalled,
 *	oldest first. Under the queue's lock.
 * @progress: What the card said of the context's progress when a list took long last.
 */
struct augur_stream {
	struct augur_context *context;
	struct augur_queue *queue;
	struct drm_gpu_scheduler scheduler;
	struct drm_sched_entity entity;
	struct list_head running;
	u64 progress;
};

/**
 * augur_stream_of - the stream of a list
 * @fence: The scheduler's fence of the list; the context is referenced.
 */
static inline struct augur_stream *augur_stream_of(struct dma_fence *fence)
{
	return container_of(to_drm_sched_fence(fence)->sched, struct augur_stream, scheduler);
}

int augur_stream_init(struct augur_stream *stream, struct augur_context *context,
		      struct augur_queue *queue);
void augur_stream_fini(struct augur_stream *stream);
void augur_stream_submit(struct augur_stream *stream, struct augur_list *list);
void augur_stream_begin(struct augur_stream *stream);
void augur_stream_close(struct augur_stream *stream);

#endif
