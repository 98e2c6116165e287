// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls about prediction: its mode, its models, and the record of accesses.
 *
 * The driver passes parts on and knows nothing of their content; a model is checked
 * by the card.
 */
#include <linux/capability.h>
#include <linux/uaccess.h>

#include <drm/augur_accel.h>
#include <drm/drm_file.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_predict.h"

/**
 * augur_ioctl_predictor - DRM_IOCTL_AUGUR_PREDICTOR
 * @dev: The device.
 * @data: struct drm_augur_predictor.
 * @file: The open file.
 */
int augur_ioctl_predictor(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct augur_context *context = file->driver_priv;
	struct augur_predictor_set_request *body;
	struct drm_augur_predictor *args = data;
	struct augur_request *request;
	int ret;

	if (args->pad)
		return -EINVAL;
	request = augur_request_new(AUGUR_REQUEST_PREDICTOR_SET, context->id,
				    sizeof(*body), 0);
	if (!request)
		return -ENOMEM;
	body = augur_request_body(request);
	body->mode = cpu_to_le32(args->mode);
	ret = augur_request_call(context->adev, request);
	augur_request_put(request);
	return ret;
}

/* The context that a request about models is for. Return: its id, or an error. */
static s64 augur_model_owner(const struct augur_context *context, u32 other)
{
	if (!other || other == context->id)
		return context->id;
	return capable(CAP_SYS_ADMIN) ? other : -EPERM;
}

/**
 * augur_ioctl_model_pull - DRM_IOCTL_AUGUR_MODEL_PULL
 * @dev: The device.
 * @data: struct drm_augur_model_pull.
 * @file: The open file.
 */
int augur_ioctl_model_pull(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct augur_context *context = file->driver_priv;
	const struct augur_model_pull_response *answer;
	struct drm_augur_model_pull *args = data;
	s64 owner = augur_model_owner(context, args->context);
	struct augur_model_pull_request *body;
	struct augur_request *request;
	int ret;

	if (args->pad)
		return -EINVAL;
	if (owner < 0)
		return owner;
	request = augur_request_new(AUGUR_REQUEST_MODEL_PULL, owner, sizeof(*body),
				    sizeof(*answer) + AUGUR_MODEL_CHUNK);
	if (!request)
		return -ENOMEM;
	body = augur_request_body(request);
	body->scope = cpu_to_le32(args->scope);
	body->offset = cpu_to_le32(args->offset);
	ret = augur_request_call(context->adev, request);
	if (ret)
		goto out;
	answer = augur_request_answer(request);
	args->generation = le64_to_cpu(answer->generation);
	args->checksum = le64_to_cpu(answer->checksum);
	args->total = le32_to_cpu(answer->total);
	args->bytes = min_t(u32, le32_to_cpu(answer->bytes), AUGUR_MODEL_CHUNK);
	args->parameters = le32_to_cpu(answer->parameters);
	args->mode = le32_to_cpu(answer->mode);
	if (copy_to_user(u64_to_user_ptr(args->pointer), answer + 1, AUGUR_MODEL_CHUNK))
		ret = -EFAULT;
out:
	augur_request_put(request);
	return ret;
}

/**
 * augur_ioctl_model_push - DRM_IOCTL_AUGUR_MODEL_PUSH
 * @dev: The device.
 * @data: struct drm_augur_model_push.
 * @file: The open file.
 */
int augur_ioctl_model_push(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct augur_context *context = file->driver_priv;
	const struct augur_model_push_response *answer;
	struct drm_augur_model_push *args = data;
	s64 owner = augur_model_owner(context, args->context);
	struct augur_model_push_request *body;
	struct augur_request *request;
	int ret;

	if (args->bytes > AUGUR_MODEL_CHUNK)
		return -EINVAL;
	if (owner < 0)
		return owner;
	if (args->scope != AUGUR_MODEL_OF_CONTEXT && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	request = augur_request_new(AUGUR_REQUEST_MODEL_PUSH, owner,
				    sizeof(*body) + AUGUR_MODEL_CHUNK, sizeof(*answer));
	if (!request)
		return -ENOMEM;
	body = augur_request_body(request);
	body->scope = cpu_to_le32(args->scope);
	body->total = cpu_to_le32(args->total);
	body->offset = cpu_to_le32(args->offset);
	body->bytes = cpu_to_le32(args->bytes);
	memset(body + 1, 0, AUGUR_MODEL_CHUNK);
	if (copy_from_user(body + 1, u64_to_user_ptr(args->pointer), args->bytes)) {
		ret = -EFAULT;
		goto out;
	}
	ret = augur_request_call(context->adev, request);
	if (ret)
		goto out;
	answer = augur_request_answer(request);
	BUILD_BUG_ON(sizeof(args->reason) != sizeof(answer->reason));
	args->outcome = le32_to_cpu(answer->outcome);
	memcpy(args->reason, answer->reason, sizeof(args->reason));
out:
	augur_request_put(request);
	return ret;
}

static int augur_profile_read(struct augur_device *adev, u32 owner,
			      struct drm_augur_profile *args)
{
	const u32 room = AUGUR_MAX_PROFILE_RECORDS * sizeof(struct augur_profile_record);
	const struct augur_profile_read_response *answer;
	struct augur_request *request;
	int ret;

	request = augur_request_new(AUGUR_REQUEST_PROFILE_READ, owner, 0,
				    sizeof(*answer) + room);
	if (!request)
		return -ENOMEM;
	ret = augur_request_call(adev, request);
	if (ret)
		goto out;
	answer = augur_request_answer(request);
	args->count = min_t(u32, le32_to_cpu(answer->count), AUGUR_MAX_PROFILE_RECORDS);
	args->recording = le32_to_cpu(answer->recording);
	args->lost = le64_to_cpu(answer->lost);
	if (copy_to_user(u64_to_user_ptr(args->pointer), answer + 1,
			 args->count * sizeof(struct augur_profile_record)))
		ret = -EFAULT;
out:
	augur_request_put(request);
	return ret;
}

/**
 * augur_ioctl_profile - DRM_IOCTL_AUGUR_PROFILE
 * @dev: The device.
 * @data: struct drm_augur_profile.
 * @file: The open file.
 */
int augur_ioctl_profile(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct augur_context *context = file->driver_priv;
	struct drm_augur_profile *args = data;
	struct augur_request *request;
	/* Context 0 stands for all of them. */
	u32 owner = args->flags & DRM_AUGUR_PROFILE_OF_CARD ? 0 : context->id;
	u16 opcode;
	int ret;

	if (args->flags & ~DRM_AUGUR_PROFILE_OF_CARD)
		return -EINVAL;
	if (!owner && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (args->action) {
	case DRM_AUGUR_PROFILE_READ:
		return augur_profile_read(context->adev, owner, args);
	case DRM_AUGUR_PROFILE_START:
		opcode = AUGUR_REQUEST_PROFILE_START;
		break;
	case DRM_AUGUR_PROFILE_STOP:
		opcode = AUGUR_REQUEST_PROFILE_STOP;
		break;
	default:
		return -EINVAL;
	}
	request = augur_request_new(opcode, owner, 0, 0);
	if (!request)
		return -ENOMEM;
	ret = augur_request_call(context->adev, request);
	augur_request_put(request);
	return ret;
}
