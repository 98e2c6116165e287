// SPDX-License-Identifier: GPL-2.0
/*
 * Lists and their scheduler.
 *
 * Each context has a scheduler and an entity of its own for each submit queue, as
 * drivers of cards have that schedule themselves: it waits for what a list depends on,
 * lets the list into the ring, and tells when it takes long. The card decides which of
 * the lists in the ring run. No ioctl waits for what a list depends on, so a list may
 * depend on one submitted later elsewhere.
 *
 * The card ends the lists of a stream in any order. Their fences signal in order of
 * submission, as those of a timeline have to.
 */
#include <linux/dma-fence.h>

#include "augur_context.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_hang.h"
#include "augur_list.h"
#include "augur_queue.h"
#include "augur_stream.h"
#include "augur_transfer.h"

/*
 * The scheduler does not wait for lists of the same stream, whose order it takes for
 * the order of their ends. The card does not, so this waits for their own fences.
 */
static struct dma_fence *augur_stream_prepare(struct drm_sched_job *job,
					      struct drm_sched_entity *entity)
{
	struct dma_fence *fence;
	unsigned long index;

	xa_for_each(&job->dependencies, index, fence) {
		struct drm_sched_fence *earlier = to_drm_sched_fence(fence);

		if (earlier && earlier->sched == job->sched && !dma_fence_is_signaled(fence))
			return dma_fence_get(earlier->parent);
	}
	return NULL;
}

/* Return: error of a fence that the list depended on, or 0. */
static int augur_stream_dependency_error(struct augur_list *list)
{
	struct dma_fence *fence;
	unsigned long index;

	xa_for_each(&list->job.dependencies, index, fence)
		if (fence->error)
			return fence->error;
	return 0;
}

/* All that the list depends on has signalled. */
static struct dma_fence *augur_stream_run(struct drm_sched_job *job)
{
	struct augur_list *list = container_of(job, struct augur_list, job);
	struct dma_fence *end = dma_fence_get(&list->fence->base);
	int error = augur_stream_dependency_error(list);
	struct augur_stream *stream = list->stream;
	bool lost;

	kref_get(&list->ref);
	spin_lock_irq(&stream->queue->lock);
	list_add_tail(&list->running_link, &stream->running);
	lost = augur_device_is_lost(stream->queue->adev);
	if (!lost && !error)
		augur_queue_add(stream->queue, list);
	spin_unlock_irq(&stream->queue->lock);

	if (lost)
		augur_list_end_unrun(list, AUGUR_STATUS_DEVICE_ERROR, -ENODEV);
	else if (error)
		augur_list_end_unrun(list, AUGUR_STATUS_CANCELLED, error);
	if (lost || error)
		augur_queue_reap(stream->queue, list);
	return end;
}

static void augur_stream_free(struct drm_sched_job *job)
{
	struct augur_list *list = container_of(job, struct augur_list, job);
	struct augur_context *context = list->stream->context;

	drm_sched_job_cleanup(job);
	if (list->fence) {
		/* The entity was closed before it could go on. */
		atomic64_dec(&context->adev->counters.submissions);
		augur_transfers_release(list);
	}
	augur_list_put(list);
	augur_context_put(context);
}

static const struct drm_sched_backend_ops augur_stream_ops = {
	.prepare_job = augur_stream_prepare,
	.run_job = augur_stream_run,
	.timedout_job = augur_hang_timedout,
	.free_job = augur_stream_free,
};

/**
 * augur_stream_submit - hand a list over
 * @stream: The stream; the context's submit lock is held since the job was armed.
 * @list: The list with its dependencies. The caller's reference goes to the scheduler.
 */
void augur_stream_submit(struct augur_stream *stream, struct augur_list *list)
{
	list->submitted = true;
	/* The job's, until it is freed. */
	kref_get(&stream->context->ref);
	drm_sched_entity_push_job(&list->job);
}

/**
 * augur_stream_begin - have the scheduler look at what was handed over
 * @stream: The stream.
 *
 * It would do so by itself, but not before this processor has time for its worker: the
 * program that has submitted may well go on to look for the list's end.
 */
void augur_stream_begin(struct augur_stream *stream)
{
	flush_work(&stream->scheduler.work_run_job);
}

/**
 * augur_stream_close - end what is not in the ring
 * @stream: The stream of a context that is ending. No list follows.
 *
 * What waits for something that has not signalled ends when that does.
 */
void augur_stream_close(struct augur_stream *stream)
{
	drm_sched_entity_fini(&stream->entity);
	augur_queue_cancel(stream->queue, stream);
}

/**
 * augur_stream_init - make a stream
 * @stream: The stream.
 * @context: Its context.
 * @queue: Its submit queue.
 */
int augur_stream_init(struct augur_stream *stream, struct augur_context *context,
		      struct augur_queue *queue)
{
	struct drm_gpu_scheduler *scheduler = &stream->scheduler;
	const struct drm_sched_init_args args = {
		.ops = &augur_stream_ops,
		.submit_wq = context->adev->submit_workqueue,
		.timeout_wq = context->adev->workqueue,
		.num_rqs = 1,
		.credit_limit = AUGUR_MAX_LISTS,
		.timeout = augur_hang_timeout(),
		.name = "augur",
		.dev = context->adev->drm.dev,
	};
	int ret;

	stream->context = context;
	stream->queue = queue;
	INIT_LIST_HEAD(&stream->running);
	ret = drm_sched_init(scheduler, &args);
	if (ret)
		return ret;
	/* The only run queue there is. */
	ret = drm_sched_entity_init(&stream->entity, DRM_SCHED_PRIORITY_KERNEL, &scheduler,
				    1, NULL);
	if (ret)
		drm_sched_fini(scheduler);
	return ret;
}

/**
 * augur_stream_fini - free what augur_stream_init() made
 * @stream: The stream, closed, whose lists have all been freed. Not from its own
 *	scheduler.
 */
void augur_stream_fini(struct augur_stream *stream)
{
	/*
	 * Twice, the other time in drm_sched_fini(): either of its works may queue the
	 * other while that is being stopped.
	 */
	drm_sched_wqueue_stop(&stream->scheduler);
	drm_sched_fini(&stream->scheduler);
}
