// SPDX-License-Identifier: GPL-2.0
/*
 * A request to the card: its memory, its answer, and what the answer means.
 */
#include <linux/slab.h>

#include "augur_control.h"
#include "augur_device.h"

/**
 * augur_request_new - make a request
 * @opcode: AUGUR_REQUEST_*.
 * @context: Context id, or 0.
 * @body_bytes: Bytes behind the request's header; they are zero.
 * @answer_bytes: Bytes behind the answer's header.
 *
 * Return: the request with one reference, or NULL.
 */
struct augur_request *augur_request_new(u16 opcode, u32 context, size_t body_bytes,
					size_t answer_bytes)
{
	size_t request_bytes = sizeof(struct augur_request_header) + body_bytes;
	struct augur_request_header *header;
	struct augur_request *request;
	size_t answer_offset;

	answer_bytes += sizeof(struct augur_response_header);
	answer_offset = ALIGN(struct_size(request, request, request_bytes), 8);
	request = kzalloc(answer_offset + answer_bytes, GFP_KERNEL);
	if (!request)
		return NULL;
	kref_init(&request->ref);
	INIT_LIST_HEAD(&request->link);
	init_completion(&request->done);
	request->request_bytes = request_bytes;
	request->answer_bytes = answer_bytes;
	request->answer_least = answer_bytes;
	request->answer = (u8 *)request + answer_offset;

	header = (struct augur_request_header *)request->request;
	header->opcode = cpu_to_le16(opcode);
	header->context = cpu_to_le32(context);
	return request;
}

static void augur_request_release(struct kref *ref)
{
	kfree(container_of(ref, struct augur_request, ref));
}

/**
 * augur_request_put - drop a reference
 * @request: The request, or NULL.
 */
void augur_request_put(struct augur_request *request)
{
	if (request)
		kref_put(&request->ref, augur_request_release);
}

/**
 * augur_request_body - where the request's own fields go
 * @request: The request.
 */
void *augur_request_body(struct augur_request *request)
{
	return request->request + sizeof(struct augur_request_header);
}

/**
 * augur_request_answer - the answer's own fields
 * @request: A request whose call returned 0.
 */
const void *augur_request_answer(const struct augur_request *request)
{
	return (u8 *)request->answer + sizeof(struct augur_response_header);
}

/**
 * augur_status_to_errno - what a status of the card is for a program
 * @status: AUGUR_STATUS_*.
 */
int augur_status_to_errno(u32 status)
{
	switch (status) {
	case AUGUR_STATUS_OK:
		return 0;
	case AUGUR_STATUS_INVALID:
	case AUGUR_STATUS_BAD_OPERAND:
		return -EINVAL;
	case AUGUR_STATUS_NO_CONTEXT:
	case AUGUR_STATUS_NO_OBJECT:
		return -ENOENT;
	case AUGUR_STATUS_NO_MEMORY:
		return -ENOMEM;
	case AUGUR_STATUS_BAD_ADDRESS:
		return -EFAULT;
	case AUGUR_STATUS_CANCELLED:
		return -ECANCELED;
	case AUGUR_STATUS_BUSY:
		return -EBUSY;
	case AUGUR_STATUS_VERSION:
		return -EPROTONOSUPPORT;
	default:
		return -EIO;
	}
}

/**
 * augur_request_result - what a request that was answered has come to
 * @adev: The card.
 * @request: The request.
 *
 * Return: 0, what the card's status means, or -EIO without a proper answer.
 */
int augur_request_result(struct augur_device *adev, const struct augur_request *request)
{
	const struct augur_response_header *header = request->answer;
	u32 status;

	if (request->error)
		return request->error;
	if (request->used < sizeof(*header)) {
		drm_err_ratelimited(&adev->drm, "an answer has %u bytes\n", request->used);
		return -EIO;
	}
	status = le32_to_cpu(header->status);
	if (status == AUGUR_STATUS_OK && request->used < request->answer_least) {
		drm_err_ratelimited(&adev->drm, "an answer has %u bytes, not %u\n",
				    request->used, request->answer_least);
		return -EIO;
	}
	return augur_status_to_errno(status);
}

/**
 * augur_request_poll - the answer to a request that was sent
 * @adev: The card.
 * @request: The request.
 *
 * Return: -EINPROGRESS when there is none yet, else as augur_request_call().
 */
int augur_request_poll(struct augur_device *adev, struct augur_request *request)
{
	if (!completion_done(&request->done))
		return -EINPROGRESS;
	return augur_request_result(adev, request);
}
