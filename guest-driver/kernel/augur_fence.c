// SPDX-License-Identifier: GPL-2.0
/*
 * Fences of command lists, and the ioctl that waits for one.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include <drm/augur_accel.h>
#include <drm/drm_file.h>
#include <drm/drm_utils.h>

#include "augur_context.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_queue.h"

static const char *augur_fence_driver_name(struct dma_fence *fence)
{
	return "augur";
}

static const char *augur_fence_timeline_name(struct dma_fence *fence)
{
	return "list";
}

static void augur_fence_release(struct dma_fence *base)
{
	dma_fence_free(base);
	/* Last: the module may go as soon as this returns. */
	module_put(THIS_MODULE);
}

static const struct dma_fence_ops augur_fence_ops = {
	.get_driver_name = augur_fence_driver_name,
	.get_timeline_name = augur_fence_timeline_name,
	.release = augur_fence_release,
};

/**
 * augur_fence_new - make a fence
 * @queue: Number of the submit queue of its list.
 *
 * Each is a timeline of its own, because lists need not end in the order of their
 * submission. It keeps the module: others may hold it longer than any file.
 *
 * Return: the fence with one reference, or NULL.
 */
struct augur_fence *augur_fence_new(u32 queue)
{
	struct augur_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

	if (!fence)
		return NULL;
	__module_get(THIS_MODULE);
	spin_lock_init(&fence->lock);
	fence->queue = queue;
	dma_fence_init(&fence->base, &augur_fence_ops, &fence->lock,
		       dma_fence_context_alloc(1), 1);
	return fence;
}

/**
 * augur_fence_finish - signal the end of a list
 * @fence: The fence, not signalled.
 * @result: How it ended.
 * @error: 0, or the fence's error.
 */
void augur_fence_finish(struct augur_fence *fence,
			const struct augur_submit_status *result, int error)
{
	fence->result = *result;
	if (error)
		dma_fence_set_error(&fence->base, error);
	dma_fence_signal(&fence->base);
}

/**
 * augur_fences_init - make room for the fences of a context
 * @context: The context.
 */
int augur_fences_init(struct augur_context *context)
{
	struct augur_fences *fences = &context->fences;

	spin_lock_init(&fences->lock);
	fences->kept = kvcalloc(AUGUR_KEPT_FENCES, sizeof(*fences->kept), GFP_KERNEL);
	return fences->kept ? 0 : -ENOMEM;
}

/**
 * augur_fences_forget - drop the fences of a context
 * @context: The context, its file closed: nobody asks for them. Lists that have not
 *	ended hold their own reference.
 */
void augur_fences_forget(struct augur_context *context)
{
	struct augur_fence **kept = context->fences.kept;

	/* Copies from and to its shared objects still submit. */
	mutex_lock(&context->submit_lock);
	for (u32 i = 0; i < AUGUR_KEPT_FENCES; i++) {
		if (kept[i])
			dma_fence_put(&kept[i]->base);
		kept[i] = NULL;
	}
	mutex_unlock(&context->submit_lock);
}

/**
 * augur_fences_fini - free what augur_fences_init() made
 * @context: The context.
 */
void augur_fences_fini(struct augur_context *context)
{
	if (context->fences.kept)
		augur_fences_forget(context);
	kvfree(context->fences.kept);
}

/**
 * augur_fences_add - keep a fence for DRM_IOCTL_AUGUR_WAIT
 * @context: The context, its submit lock held.
 * @number: Number of the list, one more than the last.
 * @fence: Its fence.
 */
void augur_fences_add(struct augur_context *context, u64 number,
		      struct augur_fence *fence)
{
	struct augur_fences *fences = &context->fences;
	struct augur_fence **place = &fences->kept[number % AUGUR_KEPT_FENCES];
	struct augur_fence *oldest;

	dma_fence_get(&fence->base);
	spin_lock(&fences->lock);
	oldest = *place;
	*place = fence;
	fences->last = number;
	spin_unlock(&fences->lock);
	if (oldest)
		dma_fence_put(&oldest->base);
}

static struct augur_fence *augur_fences_find(struct augur_context *context, u64 number)
{
	struct augur_fences *fences = &context->fences;
	struct augur_fence *fence = NULL;

	spin_lock(&fences->lock);
	if (number && number <= fences->last && fences->last - number < AUGUR_KEPT_FENCES)
		fence = fences->kept[number % AUGUR_KEPT_FENCES];
	if (fence)
		dma_fence_get(&fence->base);
	spin_unlock(&fences->lock);
	return fence;
}

/**
 * augur_fences_wait - wait for the end of a list
 * @context: The context.
 * @args: What DRM_AUGUR_WAIT takes, and what it gives when the list has ended.
 *
 * Return: what DRM_AUGUR_WAIT does.
 */
int augur_fences_wait(struct augur_context *context, struct drm_augur_wait *args)
{
	struct augur_fence *fence = augur_fences_find(context, args->fence);
	long left;
	int ret = 0;

	if (!fence)
		return -ENOENT;
	if (!dma_fence_is_signaled(&fence->base))
		augur_queue_look(&context->adev->queues[fence->queue], fence,
				 !args->timeout_ns);
	left = dma_fence_wait_timeout(&fence->base, true,
				      drm_timeout_abs_to_jiffies(args->timeout_ns));
	if (left < 0) {
		ret = left;
	} else if (!left) {
		ret = -ETIME;
	} else {
		args->status = le32_to_cpu(fence->result.status);
		args->failed_command = le32_to_cpu(fence->result.failed_command);
		args->started_ns = le64_to_cpu(fence->result.started_ns);
		args->finished_ns = le64_to_cpu(fence->result.finished_ns);
		/* Only a lost card ends a list so. */
		if (fence->base.error == -ENODEV)
			ret = -EIO;
	}
	dma_fence_put(&fence->base);
	return ret;
}

/**
 * augur_ioctl_wait - DRM_IOCTL_AUGUR_WAIT
 * @dev: The device.
 * @data: struct drm_augur_wait.
 * @file: The open file.
 */
int augur_ioctl_wait(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct drm_augur_wait *args = data;

	return args->timeout_ns < 0 ? -EINVAL : augur_fences_wait(file->driver_priv, args);
}
