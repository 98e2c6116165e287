// SPDX-License-Identifier: GPL-2.0
/*
 * Reading all windows from the card again, after events were dropped.
 *
 * Runs in the event worker, so that no other event is handled meanwhile. Events
 * that follow may repeat what the list says: generations make them harmless.
 */
#include "augur_control.h"
#include "augur_device.h"
#include "augur_event.h"
#include "augur_window.h"

static void augur_resync_window(struct augur_device *adev,
				const struct augur_listed_window *listed)
{
	const struct augur_window_place place = {
		.address = le64_to_cpu(listed->device_address),
		.aperture_offset = le64_to_cpu(listed->aperture_offset),
		.context = le32_to_cpu(listed->context),
		.slot = le32_to_cpu(listed->slot),
		.generation = le32_to_cpu(listed->generation),
		.bytes = le32_to_cpu(listed->bytes),
	};

	if (place.slot >= adev->config.window_slots) {
		drm_err_ratelimited(&adev->drm, "slot %u is listed\n", place.slot);
		return;
	}
	if (!le32_to_cpu(listed->revoked))
		augur_windows_publish(adev, &place, false);
	augur_windows_mark_listed(adev, place.slot, place.generation);
	if (le32_to_cpu(listed->revoked))
		augur_event_revoke(adev, place.slot, place.generation);
}

/* Handles one answer. Return: the slot to go on from, 0 at the end, or an error. */
static int augur_resync_step(struct augur_device *adev, u32 first_slot)
{
	struct augur_request *request = adev->events.listing;
	struct augur_list_windows_request *body = augur_request_body(request);
	const struct augur_list_windows_response *answer;
	const struct augur_listed_window *listed;
	u32 count, next;
	int ret;

	body->first_slot = cpu_to_le32(first_slot);
	reinit_completion(&request->done);
	ret = augur_request_call(adev, request);
	if (ret)
		return ret;

	answer = augur_request_answer(request);
	listed = (const void *)(answer + 1);
	count = le32_to_cpu(answer->count);
	next = le32_to_cpu(answer->next_slot);
	if (count > AUGUR_MAX_LISTED_WINDOWS ||
	    request->used < request->answer_least + count * sizeof(*listed) ||
	    (next && (next <= first_slot || next >= adev->config.window_slots)))
		return -EIO;
	for (u32 i = 0; i < count; i++)
		augur_resync_window(adev, &listed[i]);
	return next;
}

/**
 * augur_resync_request - make the request that augur_resync() uses
 *
 * It is made in probe, so that a resync needs no memory.
 */
struct augur_request *augur_resync_request(void)
{
	struct augur_request *request;

	request = augur_request_new(AUGUR_REQUEST_LIST_WINDOWS, 0,
				    sizeof(struct augur_list_windows_request),
				    sizeof(struct augur_list_windows_response) +
				    AUGUR_MAX_LISTED_WINDOWS *
				    sizeof(struct augur_listed_window));
	if (request)
		request->answer_least = sizeof(struct augur_response_header) +
					sizeof(struct augur_list_windows_response);
	return request;
}

/**
 * augur_resync - make the window table agree with the card
 * @adev: The card.
 *
 * Event worker only.
 */
void augur_resync(struct augur_device *adev)
{
	int next = 0;

	atomic64_inc(&adev->counters.resyncs);
	augur_revokes_finish(adev);
	augur_windows_begin_listing(adev);
	do {
		next = augur_resync_step(adev, next);
	} while (next > 0);
	if (next < 0) {
		augur_device_lose(adev, "its windows cannot be listed");
		return;
	}
	augur_windows_end_listing(adev);
}
