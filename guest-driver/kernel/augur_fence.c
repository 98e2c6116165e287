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
 * augur_fences_init - prepare the fences of a context
 * @context: The context.
 */
void augur_fences_init(struct augur_context *context)
{
	/* A context's last reference may be that of a list that an interrupt ends. */
	xa_init_flags(&context->fences, XA_FLAGS_LOCK_IRQ);
}

/**
 * augur_fences_fini - forget the fences of a context
 * @context: The context. Lists that have not ended hold their own reference.
 */
void augur_fences_fini(struct augur_context *context)
{
	struct augur_fence *fence;
	unsigned long number;

	xa_for_each(&context->fences, number, fence)
		dma_fence_put(&fence->base);
	xa_destroy(&context->fences);
}

/**
 * augur_fences_reserve - make room for a fence
 * @context: The context, its submit lock held.
 * @number: Number of the list.
 */
int augur_fences_reserve(struct augur_context *context, u64 number)
{
	return xa_reserve_irq(&context->fences, number, GFP_KERNEL);
}

/**
 * augur_fences_unreserve - give room back that no fence took
 * @context: The context, its submit lock held.
 * @number: Number of the list.
 */
void augur_fences_unreserve(struct augur_context *context, u64 number)
{
	xa_cmpxchg_irq(&context->fences, number, XA_ZERO_ENTRY, NULL, GFP_KERNEL);
}

/**
 * augur_fences_add - keep a fence for DRM_IOCTL_AUGUR_WAIT
 * @context: The context, its submit lock held and room made.
 * @number: Number of the list.
 * @fence: Its fence.
 */
void augur_fences_add(struct augur_context *context, u64 number,
		      struct augur_fence *fence)
{
	struct augur_fence *oldest = NULL;

	dma_fence_get(&fence->base);
	xa_store_irq(&context->fences, number, fence, GFP_KERNEL);
	if (number > AUGUR_KEPT_FENCES)
		oldest = xa_erase_irq(&context->fences, number - AUGUR_KEPT_FENCES);
	if (oldest)
		dma_fence_put(&oldest->base);
}

static struct augur_fence *augur_fences_find(struct augur_context *context, u64 number)
{
	struct augur_fence *fence;

	xa_lock_irq(&context->fences);
	fence = xa_load(&context->fences, number);
	if (fence)
		dma_fence_get(&fence->base);
	xa_unlock_irq(&context->fences);
	return fence;
}

/**
 * augur_ioctl_wait - DRM_IOCTL_AUGUR_WAIT
 * @dev: The device.
 * @data: struct drm_augur_wait.
 * @file: The open file.
 */
int augur_ioctl_wait(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct augur_context *context = file->driver_priv;
	struct drm_augur_wait *args = data;
	struct augur_fence *fence;
	long left;
	int ret = 0;

	if (args->timeout_ns < 0)
		return -EINVAL;
	fence = augur_fences_find(context, args->fence);
	if (!fence)
		return -ENOENT;

	if (!dma_fence_is_signaled(&fence->base))
		augur_queue_look(&context->adev->queues[fence->queue], &fence->base,
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
