// SPDX-License-Identifier: GPL-2.0
/*
 * Lists that wait for their turn.
 *
 * A stream holds the lists of one context for one submit queue that are not in
 * the ring yet, in order of submission. The first goes into the ring when all that
 * it depends on has signalled and the ring has room; nothing overtakes it. No
 * ioctl waits for any of this, so a list may depend on one submitted later
 * elsewhere.
 */
#include <linux/slab.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_queue.h"
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
	struct augur_list *list = kzalloc(sizeof(*list), GFP_KERNEL);

	if (!list)
		return NULL;
	kref_init(&list->ref);
	INIT_LIST_HEAD(&list->link);
	atomic_set(&list->waits, 1);
	list->stream = stream;
	kref_get(&stream->context->ref);
	list->bytes = bytes;
	list->pieces = kcalloc(count, sizeof(void *), GFP_KERNEL);
	list->sg = kcalloc(count + 1, sizeof(*list->sg), GFP_KERNEL);
	list->status = kzalloc(sizeof(*list->status), GFP_KERNEL);
	list->fence = augur_fence_new(stream->queue - stream->context->adev->queues);
	if (!list->pieces || !list->sg || !list->status || !list->fence)
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
	sg_set_buf(&list->sg[count], list->status, sizeof(*list->status));
	/* Two lists for the ring: what the card reads, and what it writes. */
	sg_mark_end(&list->sg[count - 1]);
	return list;
err:
	augur_list_put(list);
	return NULL;
}

static void augur_list_release(struct kref *ref)
{
	struct augur_list *list = container_of(ref, struct augur_list, ref);

	for (size_t i = 0; list->pieces && i < DIV_ROUND_UP(list->bytes, AUGUR_PIECE_BYTES); i++)
		kfree(list->pieces[i]);
	kfree(list->pieces);
	kfree(list->sg);
	kfree(list->status);
	kfree(list->dependencies);
	if (list->fence)
		dma_fence_put(&list->fence->base);
	augur_context_put(list->stream->context);
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
 * @list: The list, not ended before.
 * @result: How it ended.
 * @error: 0, or its fence's error.
 */
void augur_list_end(struct augur_list *list, const struct augur_submit_status *result,
		    int error)
{
	trace_augur_fence(list->stream->context->id, list->number,
			  le32_to_cpu(result->status), error);
	atomic64_dec(&list->stream->context->adev->counters.submissions);
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

/* Ends a list that never was in the ring. */
static void augur_list_cancel(struct augur_stream *stream, struct augur_list *list)
{
	struct augur_device *adev = stream->context->adev;

	for (u32 i = 0; i < list->dependency_count; i++) {
		struct augur_dependency *dependency = &list->dependencies[i];

		if (dma_fence_remove_callback(dependency->fence, &dependency->callback)) {
			dma_fence_put(dependency->fence);
			augur_list_put(list);
		}
	}
	if (augur_device_is_lost(adev))
		augur_list_end_unrun(list, AUGUR_STATUS_DEVICE_ERROR, -ENODEV);
	else
		augur_list_end_unrun(list, AUGUR_STATUS_CANCELLED,
				     list->dependency_error ?: -ECANCELED);
	augur_queue_reap(stream->queue, list);
}

/* Puts lists into the ring, or ends them, as far as the first that must wait. */
static void augur_stream_pump(struct augur_stream *stream)
{
	struct augur_device *adev = stream->context->adev;
	struct augur_list *list, *next;
	LIST_HEAD(cancelled);
	unsigned long flags;

	spin_lock_irqsave(&stream->lock, flags);
	list_for_each_entry_safe(list, next, &stream->lists, link) {
		bool end = stream->closed || augur_device_is_lost(adev);

		if (!end && atomic_read(&list->waits))
			break;
		if (end || list->dependency_error) {
			list_move_tail(&list->link, &cancelled);
			continue;
		}
		/* Leaves the list where it is when the ring is full. */
		if (augur_queue_add(stream->queue, stream, list) == -ENOSPC)
			break;
	}
	spin_unlock_irqrestore(&stream->lock, flags);

	list_for_each_entry_safe(list, next, &cancelled, link) {
		list_del_init(&list->link);
		augur_list_cancel(stream, list);
	}
}

static void augur_stream_work(struct work_struct *work)
{
	struct augur_stream *stream = container_of(work, struct augur_stream, pump);

	augur_stream_pump(stream);
	augur_context_put(stream->context);
}

/**
 * augur_stream_kick - look at a stream soon
 * @stream: The stream of a context that is referenced. Any context.
 */
void augur_stream_kick(struct augur_stream *stream)
{
	kref_get(&stream->context->ref);
	if (!queue_work(stream->context->adev->submit_workqueue, &stream->pump))
		augur_context_put(stream->context);
}

static void augur_dependency_signalled(struct dma_fence *fence, struct dma_fence_cb *callback)
{
	struct augur_dependency *dependency =
		container_of(callback, struct augur_dependency, callback);
	struct augur_list *list = dependency->list;

	if (fence->error)
		WRITE_ONCE(list->dependency_error, fence->error);
	if (atomic_dec_and_test(&list->waits))
		augur_stream_kick(list->stream);
	dma_fence_put(fence);
	augur_list_put(list);
}

/**
 * augur_stream_submit - hand a list over
 * @stream: The stream.
 * @list: The list with its dependencies, whose fences are referenced. The caller's
 *	reference goes to the stream.
 */
void augur_stream_submit(struct augur_stream *stream, struct augur_list *list)
{
	unsigned long flags;

	kref_get(&list->ref);
	spin_lock_irqsave(&stream->lock, flags);
	list_add_tail(&list->link, &stream->lists);
	spin_unlock_irqrestore(&stream->lock, flags);

	for (u32 i = 0; i < list->dependency_count; i++) {
		struct augur_dependency *dependency = &list->dependencies[i];

		dependency->list = list;
		kref_get(&list->ref);
		atomic_inc(&list->waits);
		if (!dma_fence_add_callback(dependency->fence, &dependency->callback,
					    augur_dependency_signalled))
			continue;
		/* It has signalled before. */
		augur_dependency_signalled(dependency->fence, &dependency->callback);
	}
	if (atomic_dec_and_test(&list->waits))
		augur_stream_pump(stream);
	augur_list_put(list);
}

/**
 * augur_stream_clear - cancel what waits, and go on
 * @stream: The stream of a context whose file is closed.
 */
void augur_stream_clear(struct augur_stream *stream)
{
	unsigned long flags;

	augur_stream_close(stream);
	spin_lock_irqsave(&stream->lock, flags);
	stream->closed = false;
	spin_unlock_irqrestore(&stream->lock, flags);
}

/**
 * augur_stream_close - cancel what waits
 * @stream: The stream of a context that is ending.
 */
void augur_stream_close(struct augur_stream *stream)
{
	unsigned long flags;

	spin_lock_irqsave(&stream->lock, flags);
	stream->closed = true;
	spin_unlock_irqrestore(&stream->lock, flags);
	augur_queue_forget(stream->queue, stream);
	augur_stream_pump(stream);
}

/**
 * augur_stream_init - prepare a stream
 * @stream: The stream.
 * @context: Its context.
 * @queue: Its submit queue.
 */
void augur_stream_init(struct augur_stream *stream, struct augur_context *context,
		       struct augur_queue *queue)
{
	stream->context = context;
	stream->queue = queue;
	spin_lock_init(&stream->lock);
	INIT_LIST_HEAD(&stream->lists);
	INIT_LIST_HEAD(&stream->starved_link);
	INIT_WORK(&stream->pump, augur_stream_work);
}
