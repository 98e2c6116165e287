// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts: one open file each.
 *
 * A context outlives its file while its lists do: those in the ring until the card has
 * given them back, and the jobs of others until what they depend on has signalled. The
 * module waits for that before it goes.
 */
#include <linux/atomic.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_stream.h"
#include "augur_window.h"

/* Contexts of all cards, and where the last one's end is waited for. */
static atomic_t augur_context_count;
static DECLARE_WAIT_QUEUE_HEAD(augur_contexts_gone);

/* Frees contexts whose last reference cannot. */
static struct workqueue_struct *augur_context_workqueue;

static void augur_context_free(struct augur_context *context)
{
	struct drm_device *drm = &context->adev->drm;

	while (context->stream_count)
		augur_stream_fini(&context->streams[--context->stream_count]);
	/* With those of copies that came after the file was closed. */
	augur_fences_fini(context);
	/* Each object holds a reference: there are none. */
	WARN_ON_ONCE(!mtree_empty(&context->addresses));
	mutex_destroy(&context->addresses_lock);
	mutex_destroy(&context->submit_lock);
	kfree(context);
	drm_dev_put(drm);
	if (atomic_dec_and_test(&augur_context_count))
		wake_up(&augur_contexts_gone);
}

static void augur_context_free_work(struct work_struct *work)
{
	augur_context_free(container_of(work, struct augur_context, free));
}

static void augur_context_release(struct kref *ref)
{
	struct augur_context *context = container_of(ref, struct augur_context, ref);

	queue_work(augur_context_workqueue, &context->free);
}

static void augur_context_release_now(struct kref *ref)
{
	augur_context_free(container_of(ref, struct augur_context, ref));
}

/**
 * augur_context_put - drop a reference
 * @context: The context. Any context: one of its own schedulers may do this, which
 *	the last reference frees.
 */
void augur_context_put(struct augur_context *context)
{
	kref_put(&context->ref, augur_context_release);
}

/**
 * augur_context_open - make a context for an open file
 * @dev: The device.
 * @file: The file.
 */
int augur_context_open(struct drm_device *dev, struct drm_file *file)
{
	struct augur_device *adev = to_augur_device(dev);
	u32 queues = adev->config.submit_queues;
	struct augur_context *context;
	int ret;

	context = kzalloc(struct_size(context, streams, queues), GFP_KERNEL);
	if (!context)
		return -ENOMEM;
	atomic_inc(&augur_context_count);
	drm_dev_get(dev);
	kref_init(&context->ref);
	INIT_WORK(&context->free, augur_context_free_work);
	context->adev = adev;
	context->client = file->client_id;
	context->next_fence = 1;
	mutex_init(&context->submit_lock);
	mutex_init(&context->addresses_lock);
	mt_init(&context->addresses);
	init_waitqueue_head(&context->lists_wait);
	INIT_LIST_HEAD(&context->objects);
	ret = augur_fences_init(context);
	for (u32 i = 0; i < queues && !ret; i++) {
		ret = augur_stream_init(&context->streams[i], context, &adev->queues[i]);
		if (!ret)
			context->stream_count++;
	}

	if (!ret)
		ret = augur_card_create_context(adev, &context->id);
	if (ret)
		goto err_free;
	mutex_lock(&adev->windows.lock);
	ret = xa_insert(&adev->windows.contexts, context->id, context, GFP_KERNEL);
	mutex_unlock(&adev->windows.lock);
	if (ret)
		goto err_destroy;
	file->driver_priv = context;
	return 0;

err_destroy:
	augur_card_destroy_context(adev, context->id);
err_free:
	augur_context_free(context);
	return ret;
}

/**
 * augur_context_end - end a context on the card
 * @context: The context. Its file is closed and its objects are gone.
 */
void augur_context_end(struct augur_context *context)
{
	struct augur_device *adev = context->adev;

	mutex_lock(&adev->windows.lock);
	xa_erase(&adev->windows.contexts, context->id);
	mutex_unlock(&adev->windows.lock);

	/* Nothing may enter a ring once the card has forgotten the context. */
	for (u32 i = 0; i < context->stream_count; i++)
		augur_stream_close(&context->streams[i]);
	augur_card_destroy_context(adev, context->id);
}

/**
 * augur_context_close - end the context of a file that is closed
 * @dev: The device.
 * @file: The file. Its objects are gone, but for those that others share.
 *
 * Lists in flight are cancelled. They keep the structure until their memory is
 * back. Shared objects keep the context on the card: copies from and to them are
 * lists of this context.
 */
void augur_context_close(struct drm_device *dev, struct drm_file *file)
{
	struct augur_context *context = file->driver_priv;
	struct augur_device *adev = context->adev;
	bool last;

	mutex_lock(&adev->windows.lock);
	context->closed = true;
	last = list_empty(&context->objects);
	mutex_unlock(&adev->windows.lock);

	if (last)
		augur_context_end(context);
	else
		for (u32 i = 0; i < context->stream_count; i++)
			augur_stream_cancel(&context->streams[i]);
	augur_fences_forget(context);
	kref_put(&context->ref, augur_context_release_now);
}

/**
 * augur_contexts_fail - end everything that contexts wait for
 * @adev: A lost card.
 */
void augur_contexts_fail(struct augur_device *adev)
{
	struct augur_context *context;
	unsigned long id;

	mutex_lock(&adev->windows.lock);
	xa_for_each(&adev->windows.contexts, id, context) {
		wake_up_all(&context->lists_wait);
		for (u32 i = 0; i < context->stream_count; i++)
			augur_stream_cancel(&context->streams[i]);
	}
	mutex_unlock(&adev->windows.lock);
}

/**
 * augur_contexts_destroy - end all contexts on the card, whose files stay open
 * @adev: The card, which is being removed.
 */
void augur_contexts_destroy(struct augur_device *adev)
{
	struct augur_context *context;
	unsigned long id = 0;

	for (;;) {
		mutex_lock(&adev->windows.lock);
		context = xa_find(&adev->windows.contexts, &id, ULONG_MAX, XA_PRESENT);
		mutex_unlock(&adev->windows.lock);
		if (!context)
			break;
		augur_card_destroy_context(adev, id);
		id++;
	}
}

/**
 * augur_contexts_init - prepare for contexts
 */
int augur_contexts_init(void)
{
	augur_context_workqueue = alloc_workqueue("augur-contexts", WQ_UNBOUND, 0);
	return augur_context_workqueue ? 0 : -ENOMEM;
}

/**
 * augur_contexts_exit - wait for all contexts to be freed
 */
void augur_contexts_exit(void)
{
	wait_event(augur_contexts_gone, !atomic_read(&augur_context_count));
	destroy_workqueue(augur_context_workqueue);
}
