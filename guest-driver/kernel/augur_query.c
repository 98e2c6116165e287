// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctl that describes the device.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/augur_accel.h>
#include <drm/drm_file.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_query.h"

/* Copies a structure out as far as the program knows it. */
static int augur_query_copy(struct drm_augur_dev_query *args, const void *from, u32 bytes)
{
	if (args->pointer &&
	    copy_to_user(u64_to_user_ptr(args->pointer), from, min(args->size, bytes)))
		return -EFAULT;
	args->size = bytes;
	return 0;
}

static int augur_query_device(struct augur_context *context,
			      struct drm_augur_dev_query *args)
{
	const struct augur_config_values *config = &context->adev->config;
	const struct drm_augur_query_device device = {
		.memory_bytes = config->memory_bytes,
		.usable_bytes = config->usable_bytes,
		.aperture_bytes = config->aperture_bytes,
		.demand_window_bytes = config->demand_window_bytes,
		.max_window_bytes = config->max_window_bytes,
		.window_slots = config->window_slots,
		.compute_engines = config->compute_engines,
		.dma_channels = config->dma_channels,
		.submit_queues = config->submit_queues,
		.max_contexts = config->max_contexts,
		.max_submit_bytes = config->max_submit_bytes,
		.abi_major = config->abi_major,
		.abi_minor = config->abi_minor,
		.context = context->id,
	};

	return augur_query_copy(args, &device, sizeof(device));
}

static int augur_query_driver(struct augur_context *context,
			      struct drm_augur_dev_query *args)
{
	struct augur_device *adev = context->adev;
	struct augur_counters *counters = &adev->counters;
	const struct drm_augur_query_driver driver = {
		.state = augur_card_state(adev),
		.heartbeat = READ_ONCE(adev->health.heartbeat),
		.page_faults = atomic64_read(&counters->page_faults),
		.demand_faults = atomic64_read(&counters->demand_faults),
		.events = atomic64_read(&counters->events),
		.stale_events = atomic64_read(&counters->stale_events),
		.revokes = atomic64_read(&counters->revokes),
		.dirty_revokes = atomic64_read(&counters->dirty_revokes),
		.resyncs = atomic64_read(&counters->resyncs),
		.windows = READ_ONCE(adev->windows.table.count),
		.objects = atomic64_read(&counters->objects),
		.submissions = atomic64_read(&counters->submissions),
	};

	return augur_query_copy(args, &driver, sizeof(driver));
}

/* Asks the card and copies its answer out. */
static int augur_query_card(struct augur_context *context,
			    struct drm_augur_dev_query *args,
			    struct augur_request *request, u32 bytes)
{
	int ret;

	if (!request)
		return -ENOMEM;
	ret = augur_request_call(context->adev, request);
	if (!ret)
		ret = augur_query_copy(args, augur_request_answer(request), bytes);
	augur_request_put(request);
	return ret;
}

static int augur_query_counters(struct augur_context *context,
				struct drm_augur_dev_query *args)
{
	u32 bytes = sizeof(struct augur_counters_response);

	return augur_query_card(context, args,
				augur_request_new(AUGUR_REQUEST_COUNTERS, 0, 0, bytes),
				bytes);
}

static int augur_query_context(struct augur_context *context,
			       struct drm_augur_dev_query *args)
{
	u32 bytes = sizeof(struct augur_context_info_response);
	struct augur_list_contexts_request *body;
	struct augur_request *request;

	request = augur_request_new(AUGUR_REQUEST_LIST_CONTEXTS, 0, sizeof(*body), bytes);
	if (request) {
		body = augur_request_body(request);
		body->first_context = cpu_to_le32(args->index);
	}
	return augur_query_card(context, args, request, bytes);
}

/**
 * augur_ioctl_dev_query - DRM_IOCTL_AUGUR_DEV_QUERY
 * @dev: The device.
 * @data: struct drm_augur_dev_query.
 * @file: The open file.
 */
int augur_ioctl_dev_query(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct augur_context *context = file->driver_priv;
	struct drm_augur_dev_query *args = data;

	if (args->pad || (args->index && args->type != DRM_AUGUR_QUERY_CONTEXT))
		return -EINVAL;
	switch (args->type) {
	case DRM_AUGUR_QUERY_DEVICE:
		return augur_query_device(context, args);
	case DRM_AUGUR_QUERY_COUNTERS:
		return augur_query_counters(context, args);
	case DRM_AUGUR_QUERY_CONTEXT:
		return augur_query_context(context, args);
	case DRM_AUGUR_QUERY_DRIVER:
		return augur_query_driver(context, args);
	default:
		return -EINVAL;
	}
}
