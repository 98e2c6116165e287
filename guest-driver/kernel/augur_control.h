/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests to the card and their answers.
 */
#ifndef _AUGUR_CONTROL_H_
#define _AUGUR_CONTROL_H_

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/types.h>

#include "augur_card_abi.h"

struct augur_device;
struct virtqueue;

/**
 * struct augur_request - a request and room for its answer
 * @ref: One reference is the caller's, one the ring's: a caller that is killed
 *	leaves the memory to the ring.
 * @link: In &augur_control.in_flight.
 * @done: Completed when the card has answered or is lost.
 * @first: It may enter the ring before a pause has ended.
 * @error: -EIO when the card was lost before it answered.
 * @used: Bytes of the answer.
 * @request_bytes: Bytes of the request.
 * @answer_bytes: Room for the answer.
 * @answer_least: Bytes that an answer with status OK has at least.
 * @answer: The answer, with its header.
 * @request: The request, with its header.
 */
struct augur_request {
	struct kref ref;
	struct list_head link;
	struct completion done;
	bool first;
	int error;
	u32 used;
	u32 request_bytes;
	u32 answer_bytes;
	u32 answer_least;
	void *answer;
	u8 request[] __aligned(8);
};

/* augur_control.c */
int augur_control_init(struct augur_device *adev);
void augur_control_fini(struct augur_device *adev);
void augur_control_begin(struct augur_device *adev);
void augur_control_done(struct virtqueue *vq);
void augur_control_look(struct augur_device *adev);
void augur_control_settle(struct augur_device *adev);
bool augur_control_is_idle(struct augur_device *adev);
void augur_control_wake(struct augur_device *adev);
void augur_control_fail(struct augur_device *adev);
void augur_control_drain(struct augur_device *adev);

int augur_request_call(struct augur_device *adev, struct augur_request *request);
int augur_request_send(struct augur_device *adev, struct augur_request *request);
int augur_card_acknowledge(struct augur_device *adev,
			   const struct augur_revoke_ack *entries, u32 count);

/* augur_request.c */
struct augur_request *augur_request_new(u16 opcode, u32 context, size_t body_bytes,
					size_t answer_bytes);
void augur_request_put(struct augur_request *request);
void *augur_request_body(struct augur_request *request);
const void *augur_request_answer(const struct augur_request *request);
int augur_request_result(struct augur_device *adev, const struct augur_request *request);
int augur_request_poll(struct augur_device *adev, struct augur_request *request);
int augur_status_to_errno(u32 status);

/* augur_requests.c */
int augur_card_hello(struct augur_device *adev);
int augur_card_resume(struct augur_device *adev);
int augur_card_create_context(struct augur_device *adev, u32 *context);
int augur_card_destroy_context(struct augur_device *adev, u32 context);
int augur_card_create_object(struct augur_device *adev, u32 context, u64 bytes,
			     struct augur_object_create_response *object);
int augur_card_destroy_object(struct augur_device *adev, u32 context, u64 object);
struct augur_request *augur_fault_request_new(u32 context, u64 address, bool write);
int augur_card_context_info(struct augur_device *adev, u32 context,
			    struct augur_context_info_response *info);
int augur_card_cancel_list(struct augur_device *adev, u32 context, u32 number);
int augur_card_sensors(struct augur_device *adev, struct augur_sensors_response *sensors);

#endif
