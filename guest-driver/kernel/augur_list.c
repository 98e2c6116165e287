// SPDX-License-Identifier: GPL-2.0
/*
 * A command list: made, ended, freed.
 */
#include <linux/slab.h>

#include "augur_context.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_list.h"
#include "augur_trace.h"
#include "augur_transfer.h"

/**
 * augur_list_new - make a list
 * @stream: Where it will be submitted.
 * @bytes: Bytes of the submission with its header and transfers.
 *
 * Return: the list with one reference and zeroed pieces, or NULL.
 */
struct augur_list *augur_list_new(struct augur_stream *stream, size_t bytes)
{
	size_t count = DIV_ROUND_UP(bytes, AUGUR_PIECE_BYTES);
	struct augur_context *context = stream->context;
	struct augur_list *list;

	/* In one: a small list costs little more than what is allocated for it. */
	list = kzalloc(struct_size(list, sg, count + 1) + count * sizeof(*list->pieces),
		       GFP_KERNEL);
	if (!list)
		return NULL;
	kref_init(&list->ref);
	INIT_LIST_HEAD(&list->link);
	list->stream = stream;
	kref_get(&context->ref);
	list->context = context;
	list->bytes = bytes;
	list->pieces = (void **)&list->sg[count + 1];
	list->fence = augur_fence_new(stream->queue - context->adev->queues);
	if (!list->fence)
		goto err;

	sg_init_table(list->sg, count + 1);
	for (size_t i = 0; i < count; i++) {
		size_t piece = min_t(size_t, bytes - i * AUGUR_PIECE_BYTES,
				     AUGUR_PIECE_BYTES);

		list->pieces[i] = kzalloc(piece, GFP_KERNEL_ACCOUNT);
		if (!list->pieces[i])
			goto err;
		sg_set_buf(&list->sg[i], list->pieces[i], piece);
	}
	sg_set_buf(&list->sg[count], &list->status, sizeof(list->status));
	/* Two lists for the ring: what the card reads, and what it writes. */
	sg_mark_end(&list->sg[count - 1]);
	if (drm_sched_job_init(&list->job, &stream->entity, 1, context, context->client))
		goto err;
	return list;
err:
	augur_list_put(list);
	return NULL;
}

/**
 * augur_list_drop - free a list that was not submitted
 * @list: The list, with its only reference. May sleep.
 */
void augur_list_drop(struct augur_list *list)
{
	drm_sched_job_cleanup(&list->job);
	augur_transfers_release(list);
	augur_list_put(list);
}

/* Lets the context have another list. Any context. */
static void augur_list_leave(struct augur_list *list, struct augur_context *context)
{
	if (list->submitted) {
		atomic_dec(&context->lists);
		wake_up(&context->lists_wait);
	}
	augur_context_put(context);
}

static void augur_list_release(struct kref *ref)
{
	struct augur_list *list = container_of(ref, struct augur_list, ref);

	for (size_t i = 0; i < DIV_ROUND_UP(list->bytes, AUGUR_PIECE_BYTES); i++)
		kfree(list->pieces[i]);
	if (list->fence)
		dma_fence_put(&list->fence->base);
	if (list->context)
		augur_list_leave(list, list->context);
	kfree(list);
}

/**
 * augur_list_put - drop a reference
 * @list: The list. The last reference holds no program memory any more.
 */
void augur_list_put(struct augur_list *list)
{
	kref_put(&list->ref, augur_list_release);
}

/**
 * augur_list_end - signal the end of a list
 * @list: The list, not ended before. It keeps its context, whose scheduler hears of
 *	this.
 * @result: How it ended.
 * @error: 0, or its fence's error.
 */
void augur_list_end(struct augur_list *list, const struct augur_submit_status *result,
		    int error)
{
	trace_augur_fence(list->context->id, list->number, le32_to_cpu(result->status), error);
	atomic64_dec(&list->context->adev->counters.submissions);
	augur_fence_finish(list->fence, result, error);
	/* A list that stays in the ring of a lost card must not keep the module. */
	dma_fence_put(&list->fence->base);
	list->fence = NULL;
}

/**
 * augur_list_end_unrun - signal that a list will not run to its end
 * @list: The list, not ended before.
 * @status: AUGUR_STATUS_*.
 * @error: Its fence's error.
 */
void augur_list_end_unrun(struct augur_list *list, u32 status, int error)
{
	const struct augur_submit_status result = {
		.status = cpu_to_le32(status),
	};

	augur_list_end(list, &result, error);
}

/**
 * augur_list_strand - end a list whose memory the card keeps
 * @list: The list, not ended before.
 * @error: Its fence's error.
 *
 * Its memory stays pinned, but its context may go: the module waits for contexts
 * before it goes, and only that makes the card give the memory back.
 */
void augur_list_strand(struct augur_list *list, int error)
{
	struct augur_context *context = list->context;

	augur_list_end_unrun(list, AUGUR_STATUS_DEVICE_ERROR, error);
	list->context = NULL;
	augur_list_leave(list, context);
}
