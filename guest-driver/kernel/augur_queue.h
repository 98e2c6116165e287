/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Command lists on their way: from the program to the ring, and back.
 */
#ifndef _AUGUR_QUEUE_H_
#define _AUGUR_QUEUE_H_

#include <linux/dma-fence.h>
#include <linux/kref.h>
#include <linux/llist.h>
#include <linux/scatterlist.h>
#include <linux/types.h>

#include "augur_card_abi.h"

struct augur_context;
struct augur_device;
struct augur_fence;
struct augur_list;
struct augur_queue;
struct augur_stream;
struct augur_transfer_memory;
struct virtqueue;

/* Lists of a context that have not given their memory back. */
#define AUGUR_MAX_LISTS		256

/* Bytes of one piece of a submission: small enough to be had at any time. */
#define AUGUR_PIECE_BYTES	(8 * PAGE_SIZE)

/**
 * struct augur_dependency - a fence that a list waits for
 * @callback: In the fence's list.
 * @fence: The fence.
 * @list: The list.
 */
struct augur_dependency {
	struct dma_fence_cb callback;
	struct dma_fence *fence;
	struct augur_list *list;
};

/**
 * struct augur_list - a command list
 * @ref: Held by the stream or the ring, and by each callback on a dependency.
 * @link: In &augur_stream.lists, then in &augur_queue.in_flight.
 * @reap_link: In &augur_queue.done.
 * @stream: Where it is submitted. The list keeps the stream's context.
 * @number: Its number in the context.
 * @fence: Its fence, until it is signalled.
 * @waits: Dependencies that have not signalled, and 1 until it is submitted.
 * @dependency_error: Error of a dependency.
 * @dependencies: What it waits for.
 * @dependency_count: Entries of @dependencies.
 * @transfers: Program memory that it uses.
 * @transfer_count: Entries of @transfers.
 * @signal_late: It wrote pages of files: they are marked so before the fence
 *	signals.
 * @abandoned: The fence was signalled while the list was in the ring. Set under the
 *	queue's lock, by whoever signals it.
 * @hung: It was given up because it made no progress.
 * @looks: Looks for progress since the last.
 * @bytes: Bytes of the submission.
 * @pieces: The submission, in pieces of AUGUR_PIECE_BYTES.
 * @sg: The pieces, then the status.
 * @status: How it ended, written by the card.
 */
struct augur_list {
	struct kref ref;
	struct list_head link;
	struct llist_node reap_link;
	struct augur_stream *stream;
	u64 number;
	struct augur_fence *fence;
	atomic_t waits;
	int dependency_error;
	struct augur_dependency *dependencies;
	u32 dependency_count;
	struct augur_transfer_memory *transfers;
	u32 transfer_count;
	bool signal_late;
	bool abandoned;
	bool hung;
	u32 looks;
	size_t bytes;
	void **pieces;
	struct scatterlist *sg;
	struct augur_submit_status *status;
};

struct augur_list *augur_list_new(struct augur_stream *stream, size_t bytes);
void augur_list_end(struct augur_list *list, const struct augur_submit_status *result,
		    int error);
void augur_list_end_unrun(struct augur_list *list, u32 status, int error);
void augur_list_put(struct augur_list *list);

void augur_stream_init(struct augur_stream *stream, struct augur_context *context,
		       struct augur_queue *queue);
void augur_stream_clear(struct augur_stream *stream);
void augur_stream_close(struct augur_stream *stream);
void augur_stream_kick(struct augur_stream *stream);
void augur_stream_submit(struct augur_stream *stream, struct augur_list *list);

int augur_queues_init(struct augur_device *adev);
void augur_queues_fini(struct augur_device *adev);
int augur_queue_add(struct augur_queue *queue, struct augur_stream *stream,
		    struct augur_list *list);
void augur_queue_forget(struct augur_queue *queue, struct augur_stream *stream);
void augur_queue_look(struct augur_queue *queue, struct dma_fence *fence, bool once);
void augur_queue_done(struct virtqueue *vq);
void augur_queue_reap(struct augur_queue *queue, struct augur_list *list);
bool augur_queue_abandon(struct augur_queue *queue, struct augur_list *list);
void augur_queues_settle(struct augur_device *adev);
bool augur_queues_are_idle(struct augur_device *adev);
void augur_queues_cancel(struct augur_device *adev);
void augur_queues_feed(struct augur_device *adev);
void augur_queues_fail(struct augur_device *adev);
void augur_queues_give_up(struct augur_device *adev, int error);
void augur_queues_drain(struct augur_device *adev);

#endif
