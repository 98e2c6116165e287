// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts: one open file each.
 */
#include <linux/slab.h>

#include <drm/drm_file.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_queue.h"
#include "augur_window.h"

static void augur_context_release(struct kref *ref)
{
	struct augur_context *context = container_of(ref, struct augur_context, ref);

	/* Fences of copies that came after the file was closed. */
	augur_fences_fini(context);
	/* Each object holds a reference: there are none. */
	WARN_ON_ONCE(!mtree_empty(&context->addresses));
	mutex_destroy(&context->addresses_lock);
	mutex_destroy(&context->submit_lock);
	kfree(context);
}

/**
 * augur_context_put - drop a reference
 * @context: The context.
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
	kref_init(&context->ref);
	context->adev = adev;
	context->next_fence = 1;
	mutex_init(&context->submit_lock);
	mutex_init(&context->addresses_lock);
	mt_init(&context->addresses);
	init_waitqueue_head(&context->lists_wait);
	INIT_LIST_HEAD(&context->objects);
	augur_fences_init(context);
	for (u32 i = 0; i < queues; i++)
		augur_stream_init(&context->streams[i], context, &adev->queues[i]);

	ret = augur_card_create_context(adev, &context->id);
	if (ret)
		goto err_put;
	mutex_lock(&adev->windows.lock);
	ret = xa_insert(&adev->windows.contexts, context->id, context, GFP_KERNEL);
	mutex_unlock(&adev->windows.lock);
	if (ret)
		goto err_destroy;
	file->driver_priv = context;
	return 0;

err_destroy:
	augur_card_destroy_context(adev, context->id);
err_put:
	augur_context_put(context);
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
	for (u32 i = 0; i < adev->config.submit_queues; i++)
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
		for (u32 i = 0; i < adev->config.submit_queues; i++)
			augur_stream_clear(&context->streams[i]);
	augur_fences_fini(context);
	augur_context_put(context);
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
		for (u32 i = 0; i < adev->config.submit_queues; i++)
			augur_stream_kick(&context->streams[i]);
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
