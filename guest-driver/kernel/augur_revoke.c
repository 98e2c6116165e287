// SPDX-License-Identifier: GPL-2.0
/*
 * Windows that the card takes back, at once or when their lease ends.
 *
 * Revokes take effect in the order of events, but page tables are emptied after all
 * events that are there: a program that waits for a window need not wait for the
 * unmapping of others.
 */
#include <linux/workqueue.h>

#include "augur_control.h"
#include "augur_device.h"
#include "augur_event.h"
#include "augur_trace.h"
#include "augur_window.h"

/* Notes a revoke that has begun. */
static void augur_revoke_begun(struct augur_device *adev, u32 slot, u32 generation)
{
	struct augur_events *events = &adev->events;

	events->revoked[events->revoked_count++] = (struct augur_revoke_ack) {
		.slot = cpu_to_le32(slot),
		.generation = cpu_to_le32(generation),
	};
	if (events->revoked_count == AUGUR_MAX_ACKS)
		augur_revokes_finish(adev);
}

/**
 * augur_revokes_finish - unmap and acknowledge what has been revoked
 * @adev: The card; events are being handled.
 */
void augur_revokes_finish(struct augur_device *adev)
{
	struct augur_events *events = &adev->events;
	u32 count = events->revoked_count;

	for (u32 i = 0; i < count; i++) {
		struct augur_revoke_ack *ack = &events->revoked[i];
		u32 flags = augur_windows_end_revoke(adev, le32_to_cpu(ack->slot),
						     le32_to_cpu(ack->generation));

		trace_augur_window_revoke(le32_to_cpu(ack->slot),
					  le32_to_cpu(ack->generation),
					  flags & AUGUR_ACK_DIRTY);
		ack->flags = cpu_to_le32(flags);
		if (flags & AUGUR_ACK_DIRTY)
			atomic64_inc(&adev->counters.dirty_revokes);
	}
	atomic64_add(count, &adev->counters.revokes);
	/* An error means that the card is lost, and nobody waits for this. */
	if (count)
		augur_card_acknowledge(adev, events->revoked, count);
	events->revoked_count = 0;
}

/* Has the lease worker look at the revokes that were put off. */
static void augur_schedule_lease(struct augur_device *adev)
{
	unsigned long delay;
	u32 slot, generation;

	if (augur_windows_next_lease(adev, &slot, &generation, &delay))
		mod_delayed_work(adev->events.workqueue, &adev->events.lease_work, delay);
}

/**
 * augur_event_revoke - handle a revoke
 * @adev: The card.
 * @slot: Slot of the window.
 * @generation: Its generation.
 */
void augur_event_revoke(struct augur_device *adev, u32 slot, u32 generation)
{
	if (slot >= adev->config.window_slots) {
		drm_err_ratelimited(&adev->drm, "a revoke of slot %u\n", slot);
		return;
	}
	switch (augur_windows_revoke(adev, slot, generation, true)) {
	case AUGUR_REVOKE_BEGUN:
		augur_revoke_begun(adev, slot, generation);
		break;
	case AUGUR_REVOKE_LATER:
		augur_schedule_lease(adev);
		break;
	case AUGUR_REVOKE_STALE:
		atomic64_inc(&adev->counters.stale_events);
		break;
	}
}

/**
 * augur_lease_work - revoke windows whose lease has ended
 * @work: &augur_events.lease_work.
 */
void augur_lease_work(struct work_struct *work)
{
	struct augur_device *adev = container_of(work, struct augur_device,
						 events.lease_work.work);
	unsigned long delay;
	u32 slot, generation;

	mutex_lock(&adev->events.handling);
	/* An acknowledgment would wait for a ring; whoever makes it looks again. */
	while (!augur_rings_are_away(adev) &&
	       augur_windows_next_lease(adev, &slot, &generation, &delay)) {
		if (delay) {
			mod_delayed_work(adev->events.workqueue,
					 &adev->events.lease_work, delay);
			break;
		}
		if (augur_windows_revoke(adev, slot, generation, false) ==
		    AUGUR_REVOKE_BEGUN)
			augur_revoke_begun(adev, slot, generation);
	}
	augur_revokes_finish(adev);
	mutex_unlock(&adev->events.handling);
}
