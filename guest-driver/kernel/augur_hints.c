// SPDX-License-Identifier: GPL-2.0
/*
 * Priority of a context and advice on its memory: the driver checks who may ask for
 * what, the card acts on it.
 */
#include <linux/capability.h>

#include <drm/augur_accel.h>
#include <drm/drm_file.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_gem.h"
#include "augur_hints.h"

/* The minor version of the wire format that has these requests. */
#define AUGUR_HINTS_MINOR	2

static int augur_hints_call(struct augur_device *adev, struct augur_request *request)
{
	int ret = augur_request_call(adev, request);

	augur_request_put(request);
	return ret;
}

/**
 * augur_ioctl_context_priority - DRM_IOCTL_AUGUR_CONTEXT_PRIORITY
 * @dev: The device.
 * @data: struct drm_augur_context_priority.
 * @file: The open file.
 */
int augur_ioctl_context_priority(struct drm_device *dev, void *data,
				 struct drm_file *file)
{
	const struct drm_augur_context_priority *args = data;
	struct augur_context *context = file->driver_priv;
	struct augur_context_priority_request *body;
	struct augur_request *request;

	if (args->pad || args->priority > AUGUR_PRIORITY_HIGH)
		return -EINVAL;
	if (args->priority > AUGUR_PRIORITY_NORMAL && !capable(CAP_SYS_NICE))
		return -EACCES;
	if (context->adev->config.abi_minor < AUGUR_HINTS_MINOR)
		return -EOPNOTSUPP;
	request = augur_request_new(AUGUR_REQUEST_CONTEXT_PRIORITY, context->id,
				    sizeof(*body), 0);
	if (!request)
		return -ENOMEM;
	body = augur_request_body(request);
	body->priority = cpu_to_le32(args->priority);
	return augur_hints_call(context->adev, request);
}

/**
 * augur_ioctl_bo_advise - DRM_IOCTL_AUGUR_BO_ADVISE
 * @dev: The device.
 * @data: struct drm_augur_bo_advise.
 * @file: The open file.
 */
int augur_ioctl_bo_advise(struct drm_device *dev, void *data, struct drm_file *file)
{
	const struct drm_augur_bo_advise *args = data;
	struct augur_context *context = file->driver_priv;
	struct augur_advise_request *body;
	struct augur_request *request;
	struct drm_gem_object *object;
	int ret = -EINVAL;

	if (args->advice > AUGUR_ADVICE_UNPIN || !args->size)
		return -EINVAL;
	if (context->adev->config.abi_minor < AUGUR_HINTS_MINOR)
		return -EOPNOTSUPP;
	object = drm_gem_object_lookup(file, args->handle);
	if (!object)
		return -ENOENT;
	if (args->offset >= object->size || args->size > object->size - args->offset ||
	    !augur_object_holds(object, context, to_augur_object(object)->address))
		goto out;
	ret = -ENOMEM;
	request = augur_request_new(AUGUR_REQUEST_ADVISE, context->id, sizeof(*body), 0);
	if (!request)
		goto out;
	body = augur_request_body(request);
	body->device_address = cpu_to_le64(to_augur_object(object)->address + args->offset);
	body->bytes = cpu_to_le64(args->size);
	body->advice = cpu_to_le32(args->advice);
	ret = augur_hints_call(context->adev, request);
out:
	drm_gem_object_put(object);
	return ret;
}
