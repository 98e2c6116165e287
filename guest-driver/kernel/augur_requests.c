// SPDX-License-Identifier: GPL-2.0
/*
 * The requests of the wire format, one function each.
 */
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "augur_control.h"
#include "augur_device.h"

/* Asks for the aperture. Return: 0 when it shows this life. */
static int augur_card_live(struct augur_device *adev, struct augur_request *request)
{
	const struct augur_map_header *header = augur_map_header(adev);
	const struct augur_hello_response *answer;
	int ret;

	ret = augur_request_call(adev, request);
	if (ret)
		goto out;
	answer = augur_request_answer(request);
	if (le64_to_cpu(answer->nonce) != adev->life ||
	    le64_to_cpu(answer->aperture_bytes) != adev->config.aperture_bytes ||
	    le64_to_cpu(READ_ONCE(header->magic)) != AUGUR_MAP_HEADER_MAGIC ||
	    le64_to_cpu(READ_ONCE(header->life)) != adev->life) {
		drm_err(&adev->drm, "the aperture does not show this driver life\n");
		ret = -EIO;
	}
out:
	augur_request_put(request);
	return ret;
}

/**
 * augur_card_hello - begin a driver life
 * @adev: The card, with event buffers posted.
 *
 * Return: 0 when the map header is readable and names this life.
 */
int augur_card_hello(struct augur_device *adev)
{
	struct augur_hello_request *body;
	struct augur_request *request;

	request = augur_request_new(AUGUR_REQUEST_HELLO, 0, sizeof(*body),
				    sizeof(struct augur_hello_response));
	if (!request)
		return -ENOMEM;
	body = augur_request_body(request);
	body->nonce = cpu_to_le64(adev->life);
	body->abi_major = cpu_to_le16(AUGUR_ABI_MAJOR);
	body->abi_minor = cpu_to_le16(AUGUR_ABI_MINOR);
	return augur_card_live(adev, request);
}

/**
 * augur_card_resume - go on with the driver life after a reset of the rings
 * @adev: The card, with event buffers posted.
 *
 * Return: 0, or an error when the card does not know the life any more.
 */
int augur_card_resume(struct augur_device *adev)
{
	struct augur_resume_request *body;
	struct augur_request *request;

	request = augur_request_new(AUGUR_REQUEST_RESUME, 0, sizeof(*body),
				    sizeof(struct augur_hello_response));
	if (!request)
		return -ENOMEM;
	/* The card answers nothing else before it. */
	request->first = true;
	body = augur_request_body(request);
	body->nonce = cpu_to_le64(adev->life);
	return augur_card_live(adev, request);
}

/**
 * augur_card_create_context - open a context for the calling program
 * @adev: The card.
 * @context: Out: context id.
 */
int augur_card_create_context(struct augur_device *adev, u32 *context)
{
	const struct augur_context_create_response *answer;
	struct augur_context_create_request *body;
	struct augur_request *request;
	char name[TASK_COMM_LEN];
	int ret;

	request = augur_request_new(AUGUR_REQUEST_CONTEXT_CREATE, 0, sizeof(*body),
				    sizeof(*answer));
	if (!request)
		return -ENOMEM;
	body = augur_request_body(request);
	body->process = cpu_to_le32(task_tgid_nr(current));
	body->priority = cpu_to_le32(AUGUR_PRIORITY_NORMAL);
	get_task_comm(name, current->group_leader);
	memcpy(body->name, name, min(sizeof(body->name), sizeof(name)));
	ret = augur_request_call(adev, request);
	if (!ret) {
		answer = augur_request_answer(request);
		*context = le32_to_cpu(answer->context);
	}
	augur_request_put(request);
	return ret;
}

/**
 * augur_card_destroy_context - close a context
 * @adev: The card.
 * @context: Context id. Its lists that have not ended are cancelled.
 */
int augur_card_destroy_context(struct augur_device *adev, u32 context)
{
	struct augur_request *request;
	int ret;

	request = augur_request_new(AUGUR_REQUEST_CONTEXT_DESTROY, context, 0, 0);
	if (!request)
		return -ENOMEM;
	ret = augur_request_call(adev, request);
	augur_request_put(request);
	return ret;
}

/**
 * augur_card_create_object - allocate device memory
 * @adev: The card.
 * @context: Context id.
 * @bytes: Bytes wanted.
 * @object: Out: what the card answered.
 */
int augur_card_create_object(struct augur_device *adev, u32 context, u64 bytes,
			     struct augur_object_create_response *object)
{
	struct augur_object_create_request *body;
	struct augur_request *request;
	int ret;

	request = augur_request_new(AUGUR_REQUEST_OBJECT_CREATE, context,
				    sizeof(*body), sizeof(*object));
	if (!request)
		return -ENOMEM;
	body = augur_request_body(request);
	body->bytes = cpu_to_le64(bytes);
	ret = augur_request_call(adev, request);
	if (!ret)
		memcpy(object, augur_request_answer(request), sizeof(*object));
	augur_request_put(request);
	return ret;
}

/**
 * augur_card_destroy_object - free device memory
 * @adev: The card.
 * @context: Context id.
 * @object: Object id. It is in no page table.
 */
int augur_card_destroy_object(struct augur_device *adev, u32 context, u64 object)
{
	struct augur_object_destroy_request *body;
	struct augur_request *request;
	int ret;

	request = augur_request_new(AUGUR_REQUEST_OBJECT_DESTROY, context,
				    sizeof(*body), 0);
	if (!request)
		return -ENOMEM;
	body = augur_request_body(request);
	body->object = cpu_to_le64(object);
	ret = augur_request_call(adev, request);
	augur_request_put(request);
	return ret;
}

/**
 * augur_fault_request_new - make a request for a window
 * @context: Context id.
 * @address: Device address that a program touched.
 * @write: Whether it wrote.
 *
 * The window comes as an event; the number that the answer names is of no use to
 * a waiter that was listed before it asked.
 *
 * Return: the request, or NULL.
 */
struct augur_request *augur_fault_request_new(u32 context, u64 address, bool write)
{
	struct augur_fault_request *body;
	struct augur_request *request;

	request = augur_request_new(AUGUR_REQUEST_FAULT, context, sizeof(*body),
				    sizeof(struct augur_fault_response));
	if (!request)
		return NULL;
	body = augur_request_body(request);
	body->device_address = cpu_to_le64(address);
	body->access = cpu_to_le32(write ? AUGUR_ACCESS_WRITE : 0);
	return request;
}

/* Sends a request that is complete and copies the answer to it. */
static int augur_card_ask(struct augur_device *adev, struct augur_request *request,
			  void *answer, size_t bytes)
{
	int ret;

	if (!request)
		return -ENOMEM;
	ret = augur_request_call(adev, request);
	if (!ret)
		memcpy(answer, augur_request_answer(request), bytes);
	augur_request_put(request);
	return ret;
}

/**
 * augur_card_context_info - ask what a context uses
 * @adev: The card.
 * @context: Context id.
 * @info: Out: the answer.
 *
 * Return: 0, -ENOENT when the card does not know the context, or another error.
 */
int augur_card_context_info(struct augur_device *adev, u32 context,
			    struct augur_context_info_response *info)
{
	struct augur_list_contexts_request *body;
	struct augur_request *request;
	int ret;

	request = augur_request_new(AUGUR_REQUEST_LIST_CONTEXTS, 0, sizeof(*body),
				    sizeof(*info));
	if (request) {
		body = augur_request_body(request);
		body->first_context = cpu_to_le32(context);
	}
	ret = augur_card_ask(adev, request, info, sizeof(*info));
	if (!ret && le32_to_cpu(info->context) != context)
		ret = -ENOENT;
	return ret;
}

/**
 * augur_card_sensors - read the card's sensors
 * @adev: The card.
 * @sensors: Out: the answer.
 */
int augur_card_sensors(struct augur_device *adev, struct augur_sensors_response *sensors)
{
	return augur_card_ask(adev, augur_request_new(AUGUR_REQUEST_SENSORS, 0, 0,
						      sizeof(*sensors)),
			      sensors, sizeof(*sensors));
}

/**
 * augur_card_cancel_list - have a list end soon
 * @adev: The card.
 * @context: Context id.
 * @number: The list's number.
 *
 * Return: 0, -ENOENT when the card has no such list, or another error.
 */
int augur_card_cancel_list(struct augur_device *adev, u32 context, u32 number)
{
	struct augur_list_cancel_request *body;
	struct augur_request *request;
	int ret;

	request = augur_request_new(AUGUR_REQUEST_LIST_CANCEL, context, sizeof(*body), 0);
	if (!request)
		return -ENOMEM;
	body = augur_request_body(request);
	body->number = cpu_to_le32(number);
	ret = augur_request_call(adev, request);
	augur_request_put(request);
	return ret;
}
