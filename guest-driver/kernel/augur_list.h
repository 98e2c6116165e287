/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Command lists on their way: from the program to the ring, and back.
 */
#ifndef _AUGUR_LIST_H_
#define _AUGUR_LIST_H_

#include <linux/kref.h>
#include <linux/llist.h>
#include <linux/scatterlist.h>
#include <linux/types.h>

#include <drm/gpu_scheduler.h>

#include "augur_card_abi.h"

struct augur_context;
struct augur_fence;
struct augur_stream;
struct augur_transfer_memory;

/* Lists of a context that have not given their memory back. */
#define AUGUR_MAX_LISTS		256

/* Bytes of one piece of a submission: small enough to be had at any time. */
#define AUGUR_PIECE_BYTES	(8 * PAGE_SIZE)

/**
 * struct augur_list - a command list
 * @ref: One reference is the scheduler's while it has the job, one is whose who ends
 *	the list once it was let go on.
 * @job: What the scheduler knows of it.
 * @link: In &augur_queue.waiting, then in &augur_queue.in_flight. Under the queue's
 *	lock.
 * @running_link: In &augur_stream.running. Under the queue's lock.
 * @reap_link: In &augur_queue.done.
 * @stream: Where it is submitted.
 * @context: Its context, referenced; NULL once the list is stranded.
 * @submitted: The context counts it.
 * @number: Its number in the context.
 * @fence: The fence that the scheduler's ends with, until it is signalled.
 * @ended: It has ended, and so its fence signals when those before it have. Under the
 *	queue's lock.
 * @transfers: Program memory that it uses.
 * @transfer_count: Entries of @transfers.
 * @signal_late: It wrote pages of files: they are marked so before the fence
 *	signals.
 * @abandoned: It was ended while it was in the ring. Set under the queue's lock, by
 *	whoever ends it.
 * @hung: It was given up because it made no progress.
 * @bytes: Bytes of the submission.
 * @pieces: The submission, in pieces of AUGUR_PIECE_BYTES.
 * @sg: The pieces, then the status.
 * @status: How it ended, written by the card.
 */
struct augur_list {
	struct kref ref;
	struct drm_sched_job job;
	struct list_head link;
	struct list_head running_link;
	struct llist_node reap_link;
	struct augur_stream *stream;
	struct augur_context *context;
	bool submitted;
	u64 number;
	struct augur_fence *fence;
	bool ended;
	struct augur_transfer_memory *transfers;
	u32 transfer_count;
	bool signal_late;
	bool abandoned;
	bool hung;
	size_t bytes;
	void **pieces;
	struct scatterlist *sg;
	struct augur_submit_status *status;
};

/**
 * augur_list_fence - the fence that programs and other drivers wait for
 * @list: The list, its job armed and not freed.
 */
static inline struct dma_fence *augur_list_fence(const struct augur_list *list)
{
	return &list->job.s_fence->finished;
}

struct augur_list *augur_list_new(struct augur_stream *stream, size_t bytes);
void augur_list_drop(struct augur_list *list);
void augur_list_put(struct augur_list *list);
void augur_list_end(struct augur_list *list, const struct augur_submit_status *result,
		    int error);
void augur_list_end_unrun(struct augur_list *list, u32 status, int error);
void augur_list_strand(struct augur_list *list, int error);

#endif
