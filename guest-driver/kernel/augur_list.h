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
 * @ref: One reference is whose who will end the list and then gives its memory back,
 *	one the scheduler's while it has the job.
 * @job: What the scheduler knows of it.
 * @link: In &augur_stream.held, then in &augur_queue.waiting and &in_flight. Empty
 *	when it has ended. Under the queue's lock.
 * @reap_link: In &augur_queue.done.
 * @stream: Where it is submitted.
 * @context: Its context, referenced; NULL once the list is stranded.
 * @submitted: The context counts it.
 * @number: Its number in the context.
 * @fence: Its fence, until it is signalled.
 * @transfers: Program memory that it uses.
 * @transfer_count: Entries of @transfers.
 * @signal_late: It wrote pages of files: they are marked so before the fence
 *	signals.
 * @abandoned: The fence was signalled while the list was in the ring. Set under the
 *	queue's lock, by whoever signals it.
 * @hung: It was given up because it made no progress.
 * @looks: Looks for progress since the last.
 * @bytes: Bytes of the submission.
 * @status: How it ended, written by the card.
 * @pieces: The submission, in pieces of AUGUR_PIECE_BYTES. Behind @sg.
 * @sg: The pieces, then the status.
 */
struct augur_list {
	struct kref ref;
	struct drm_sched_job job;
	struct list_head link;
	struct llist_node reap_link;
	struct augur_stream *stream;
	struct augur_context *context;
	bool submitted;
	u64 number;
	struct augur_fence *fence;
	struct augur_transfer_memory *transfers;
	u32 transfer_count;
	bool signal_late;
	bool abandoned;
	bool hung;
	u32 looks;
	size_t bytes;
	struct augur_submit_status status;
	void **pieces;
	struct scatterlist sg[];
};

struct augur_list *augur_list_new(struct augur_stream *stream, size_t bytes);
void augur_list_drop(struct augur_list *list);
void augur_list_put(struct augur_list *list);
void augur_list_end(struct augur_list *list, const struct augur_submit_status *result,
		    int error);
void augur_list_end_unrun(struct augur_list *list, u32 status, int error);
void augur_list_strand(struct augur_list *list, int error);

#endif
