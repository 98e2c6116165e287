// SPDX-License-Identifier: GPL-2.0
/*
 * Lists that wait for their turn.
 *
 * Each context has a scheduler and an entity of its own for each submit queue, as
 * drivers of cards have that schedule themselves. It gets the lists that depend on
 * what has not signalled, and those after them; all others go into the ring at once,
 * for a worker's turn takes longer than a small list. No ioctl waits for any of this,
 * so a list may depend on one submitted later elsewhere.
 *
 * The scheduler's part ends where the ring begins. The card ends lists of a stream in
 * any order, while the scheduler's fences are points of one timeline; so lists have
 * fences of their own, and may depend on others of the same stream.
 */
#include <linux/dma-fence.h>

#include "augur_context.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_list.h"
#include "augur_queue.h"
#include "augur_stream.h"

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

/* Whether the list depends on what has not signalled, or has an error. */
static bool augur_stream_must_wait(struct augur_list *list)
{
	struct dma_fence *fence;
	unsigned long index;

	xa_for_each(&list->job.dependencies, index, fence)
		if (!dma_fence_is_signaled(fence) || fence->error)
			return true;
	return false;
}

/* All that the list depends on has signalled: for the scheduler that is its end. */
static struct dma_fence *augur_stream_run(struct drm_sched_job *job)
{
	struct augur_list *list = container_of(job, struct augur_list, job);
	int error = augur_stream_dependency_error(list);
	struct augur_queue *queue = list->stream->queue;
	bool held;

	spin_lock_irq(&queue->lock);
	/* Otherwise it was cancelled. */
	held = !list_empty(&list->link);
	if (held && !error)
		augur_queue_add(queue, list);
	else
		list_del_init(&list->link);
	spin_unlock_irq(&queue->lock);
	if (held && error) {
		augur_list_end_unrun(list, AUGUR_STATUS_CANCELLED, error);
		augur_queue_reap(queue, list);
	}
	return NULL;
}

static void augur_stream_free(struct drm_sched_job *job)
{
	struct augur_list *list = container_of(job, struct augur_list, job);
	struct augur_context *context = list->stream->context;

	drm_sched_job_cleanup(job);
	augur_list_put(list);
	augur_context_put(context);
}

static const struct drm_sched_backend_ops augur_stream_ops = {
	.run_job = augur_stream_run,
	.free_job = augur_stream_free,
};

/**
 * augur_stream_submit - hand a list over
 * @stream: The stream; the context's submit lock is held.
 * @list: The list with its dependencies. The caller's reference goes to whoever ends
 *	it.
 */
void augur_stream_submit(struct augur_stream *stream, struct augur_list *list)
{
	bool wait = augur_stream_must_wait(list);
	struct augur_queue *queue = stream->queue;
	bool late;

	list->submitted = true;
	kref_get(&list->ref);
	spin_lock_irq(&queue->lock);
	late = stream->closed || augur_device_is_lost(queue->adev);
	wait |= late || !list_empty(&stream->held);
	if (wait)
		list_add_tail(&list->link, &stream->held);
	else
		augur_queue_add(queue, list);
	spin_unlock_irq(&queue->lock);

	if (wait) {
		/* The job has the list and the context until it is freed. */
		kref_get(&stream->context->ref);
		drm_sched_job_arm(&list->job);
		drm_sched_entity_push_job(&list->job);
	} else {
		drm_sched_job_cleanup(&list->job);
		augur_list_put(list);
	}
	if (late)
		augur_stream_cancel(stream);
}

/* Takes a list that is not in the ring away from the scheduler, or NULL. */
static struct augur_list *augur_stream_take(struct augur_stream *stream)
{
	struct augur_queue *queue = stream->queue;
	struct augur_list *list, *taken;

	spin_lock_irq(&queue->lock);
	taken = list_first_entry_or_null(&stream->held, struct augur_list, link);
	list_for_each_entry(list, &queue->waiting, link) {
		/* They were submitted before those that are held. */
		if (list->stream == stream) {
			taken = list;
			break;
		}
	}
	if (taken)
		list_del_init(&taken->link);
	spin_unlock_irq(&queue->lock);
	return taken;
}

/**
 * augur_stream_cancel - end what is not in the ring
 * @stream: The stream of a context that is ending, or of a lost card.
 *
 * The scheduler keeps their jobs until what they depend on has signalled.
 */
void augur_stream_cancel(struct augur_stream *stream)
{
	struct augur_queue *queue = stream->queue;
	struct augur_list *list;

	while ((list = augur_stream_take(stream))) {
		if (augur_device_is_lost(queue->adev))
			augur_list_end_unrun(list, AUGUR_STATUS_DEVICE_ERROR, -ENODEV);
		else
			augur_list_end_unrun(list, AUGUR_STATUS_CANCELLED, -ECANCELED);
		augur_queue_reap(queue, list);
	}
}

/**
 * augur_stream_close - end what is not in the ring, and let nothing follow
 * @stream: The stream of a context that is ending.
 */
void augur_stream_close(struct augur_stream *stream)
{
	spin_lock_irq(&stream->queue->lock);
	stream->closed = true;
	spin_unlock_irq(&stream->queue->lock);
	augur_stream_cancel(stream);
}

/*
 * One run queue; a list gives its credit back as it goes into the ring. Lists that
 * take too long are the ring's matter: augur_hang.c.
 */
static int augur_stream_init_scheduler(struct augur_stream *stream, struct augur_device *adev)
{
#ifdef AUGUR_HAS_SCHED_INIT_ARGS
	const struct drm_sched_init_args args = {
		.ops = &augur_stream_ops,
		.submit_wq = adev->submit_workqueue,
		.num_rqs = 1,
		.credit_limit = 1,
		.timeout = MAX_SCHEDULE_TIMEOUT,
		.name = "augur",
		.dev = adev->drm.dev,
	};

	return drm_sched_init(&stream->scheduler, &args);
#else
	return drm_sched_init(&stream->scheduler, &augur_stream_ops, adev->submit_workqueue,
			      1, 1, 0, MAX_SCHEDULE_TIMEOUT, NULL, NULL, "augur",
			      adev->drm.dev);
#endif
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
	int ret;

	stream->context = context;
	stream->queue = queue;
	INIT_LIST_HEAD(&stream->held);
	ret = augur_stream_init_scheduler(stream, context->adev);
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
 * @stream: The stream, whose lists have all been freed. Not from its own scheduler.
 */
void augur_stream_fini(struct augur_stream *stream)
{
	drm_sched_entity_fini(&stream->entity);
	/*
	 * Twice, the other time in drm_sched_fini(): either of its works may queue the
	 * other while that is being stopped.
	 */
	drm_sched_wqueue_stop(&stream->scheduler);
	drm_sched_fini(&stream->scheduler);
}
