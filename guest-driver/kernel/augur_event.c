// SPDX-License-Identifier: GPL-2.0
/*
 * The event queue: the card's only way to change the state of windows.
 *
 * Events and the ends of leases are handled one at a time, by the event worker or by
 * a fault that looks for its window itself; nothing else publishes or revokes. They
 * wait for the card only (for an acknowledgment's descriptor), never for a program.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "augur_control.h"
#include "augur_device.h"
#include "augur_event.h"
#include "augur_touch.h"
#include "augur_window.h"

#define AUGUR_EVENT_BUFFERS	64
#define AUGUR_EVENT_BUFFER_BYTES	(16 * sizeof(struct augur_event))

static void augur_event_map(struct augur_device *adev, const struct augur_event *event)
{
	const struct augur_window_place place = {
		.address = le64_to_cpu(event->device_address),
		.aperture_offset = le64_to_cpu(event->aperture_offset),
		.context = le32_to_cpu(event->context),
		.slot = le32_to_cpu(event->slot),
		.generation = le32_to_cpu(event->generation),
		.bytes = le32_to_cpu(event->bytes),
	};
	bool demand = le16_to_cpu(event->flags) & AUGUR_EVENT_DEMAND;

	if (!augur_windows_publish(adev, &place, demand))
		atomic64_inc(&adev->counters.stale_events);
}

static void augur_handle_event(struct augur_device *adev, const struct augur_event *event)
{
	u64 sequence = le64_to_cpu(event->sequence);
	u32 context = le32_to_cpu(event->context);
	u32 status = le32_to_cpu(event->status);
	u16 kind = le16_to_cpu(event->kind);
	bool gap = sequence != adev->events.sequence + 1;

	WRITE_ONCE(adev->events.sequence, sequence);
	atomic64_inc(&adev->counters.events);
	switch (kind) {
	case AUGUR_EVENT_MAP:
		augur_event_map(adev, event);
		break;
	case AUGUR_EVENT_REVOKE:
		augur_event_revoke(adev, le32_to_cpu(event->slot),
				   le32_to_cpu(event->generation));
		break;
	case AUGUR_EVENT_FAULT_FAILED:
		augur_windows_fault_failed(adev, context,
					   le64_to_cpu(event->device_address),
					   augur_status_to_errno(status) ?: -EIO);
		break;
	case AUGUR_EVENT_CONTEXT_FAILED:
		drm_err_ratelimited(&adev->drm, "context %u has failed, status %u\n",
				    context, status);
		augur_windows_context_failed(adev, context);
		augur_windows_forget_context(adev, context);
		break;
	case AUGUR_EVENT_ZAP:
		augur_touch_zap(adev, le32_to_cpu(event->slot),
				le32_to_cpu(event->generation));
		break;
	case AUGUR_EVENT_RESYNC:
		augur_resync(adev);
		return;
	default:
		drm_err_ratelimited(&adev->drm, "an event of kind %u\n", kind);
		break;
	}
	/* What is missing may have been a revoke, which the card waits for. */
	if (gap)
		augur_resync(adev);
}

static void *augur_events_take(struct augur_device *adev, u32 *used)
{
	struct augur_events *events = &adev->events;
	void *buffer = NULL;

	spin_lock_irq(&events->lock);
	if (!augur_rings_are_away(adev))
		buffer = virtqueue_get_buf(events->vq, used);
	spin_unlock_irq(&events->lock);
	return buffer;
}

static int augur_events_give(struct augur_events *events, void *buffer)
{
	struct scatterlist sg;
	int ret;

	sg_init_one(&sg, buffer, AUGUR_EVENT_BUFFER_BYTES);
	spin_lock_irq(&events->lock);
	ret = virtqueue_add_inbuf(events->vq, &sg, 1, buffer, GFP_ATOMIC);
	spin_unlock_irq(&events->lock);
	return ret;
}

static void augur_events_kick(struct augur_events *events)
{
	bool notify;

	spin_lock_irq(&events->lock);
	notify = virtqueue_kick_prepare(events->vq);
	spin_unlock_irq(&events->lock);
	if (notify)
		virtqueue_notify(events->vq);
}

/* Handles the events that are there. */
static void augur_events_handle(struct augur_device *adev)
{
	struct augur_events *events = &adev->events;
	struct augur_event event;
	void *buffer;
	u32 used;

	while ((buffer = augur_events_take(adev, &used))) {
		used = min_t(u32, used, AUGUR_EVENT_BUFFER_BYTES);
		for (u32 at = 0; at + sizeof(event) <= used; at += sizeof(event)) {
			memcpy(&event, buffer + at, sizeof(event));
			augur_handle_event(adev, &event);
		}
		/* It fails when the card is lost: the buffer is freed with the rest. */
		if (!augur_events_give(events, buffer))
			augur_events_kick(events);
	}
	augur_revokes_finish(adev);
}

static void augur_events_work(struct work_struct *work)
{
	struct augur_device *adev = container_of(work, struct augur_device, events.work);

	mutex_lock(&adev->events.handling);
	augur_events_handle(adev);
	mutex_unlock(&adev->events.handling);
}

/**
 * augur_events_look - handle the events that are there, unless that is being done
 * @adev: The card; no lock below &augur_events.handling is held.
 */
void augur_events_look(struct augur_device *adev)
{
	if (!mutex_trylock(&adev->events.handling))
		return;
	augur_events_handle(adev);
	mutex_unlock(&adev->events.handling);
}

/**
 * augur_events_look_begin - do without interrupts of the event queue
 * @adev: The card.
 */
void augur_events_look_begin(struct augur_device *adev)
{
	struct augur_events *events = &adev->events;

	spin_lock_irq(&events->lock);
	events->lookers++;
	if (!augur_rings_are_away(adev))
		virtqueue_disable_cb(events->vq);
	spin_unlock_irq(&events->lock);
}

/**
 * augur_events_look_end - have interrupts again unless somebody else looks
 * @adev: The card.
 */
void augur_events_look_end(struct augur_device *adev)
{
	struct augur_events *events = &adev->events;
	bool pending = false;

	spin_lock_irq(&events->lock);
	if (!--events->lookers && !augur_rings_are_away(adev))
		pending = !virtqueue_enable_cb(events->vq);
	spin_unlock_irq(&events->lock);
	if (pending)
		queue_work(events->workqueue, &events->work);
}

/**
 * augur_events_done - the card has used buffers of the event queue
 * @vq: The queue.
 */
void augur_events_done(struct virtqueue *vq)
{
	struct augur_device *adev = vq->vdev->priv;

	queue_work(adev->events.workqueue, &adev->events.work);
}

/**
 * augur_events_post - give the card all buffers
 * @adev: The card, its rings ready.
 */
int augur_events_post(struct augur_device *adev)
{
	struct augur_events *events = &adev->events;
	u32 count = min_t(u32, AUGUR_EVENT_BUFFERS,
			  virtqueue_get_vring_size(events->vq));
	int ret;

	for (u32 i = 0; i < count; i++) {
		ret = augur_events_give(events, events->buffers[i]);
		if (ret)
			return ret;
	}
	augur_events_kick(events);
	return 0;
}

/**
 * augur_events_resume - handle events again
 * @adev: The card, its rings made anew.
 */
void augur_events_resume(struct augur_device *adev)
{
	mutex_lock(&adev->events.handling);
	augur_resync(adev);
	mutex_unlock(&adev->events.handling);
	queue_work(adev->events.workqueue, &adev->events.work);
	mod_delayed_work(adev->events.workqueue, &adev->events.lease_work, 0);
}

/**
 * augur_events_stop - wait for whoever handles events
 * @adev: A lost card.
 */
void augur_events_stop(struct augur_device *adev)
{
	/* Faults that look, and those that are about to turn interrupts on. */
	mutex_lock(&adev->events.handling);
	mutex_unlock(&adev->events.handling);
	spin_lock_irq(&adev->events.lock);
	spin_unlock_irq(&adev->events.lock);
	cancel_delayed_work_sync(&adev->events.lease_work);
	cancel_work_sync(&adev->events.work);
	/* A handler that ran may have scheduled the other. */
	cancel_delayed_work_sync(&adev->events.lease_work);
}

/**
 * augur_events_drain - take the buffers back
 * @adev: A card that was reset.
 */
void augur_events_drain(struct augur_device *adev)
{
	while (virtqueue_detach_unused_buf(adev->events.vq))
		;
}

/**
 * augur_events_init - prepare the event queue
 * @adev: The card, whose rings do not exist yet.
 */
int augur_events_init(struct augur_device *adev)
{
	struct augur_events *events = &adev->events;

	mutex_init(&events->handling);
	spin_lock_init(&events->lock);
	INIT_WORK(&events->work, augur_events_work);
	INIT_DELAYED_WORK(&events->lease_work, augur_lease_work);
	events->workqueue = alloc_ordered_workqueue("augur-events",
						    WQ_MEM_RECLAIM | WQ_HIGHPRI);
	events->buffers = kcalloc(AUGUR_EVENT_BUFFERS, sizeof(void *), GFP_KERNEL);
	events->listing = augur_resync_request();
	if (!events->workqueue || !events->buffers || !events->listing)
		goto err;
	for (int i = 0; i < AUGUR_EVENT_BUFFERS; i++) {
		events->buffers[i] = kzalloc(AUGUR_EVENT_BUFFER_BYTES, GFP_KERNEL);
		if (!events->buffers[i])
			goto err;
	}
	return 0;
err:
	augur_events_fini(adev);
	return -ENOMEM;
}

/**
 * augur_events_fini - free what augur_events_init() made
 * @adev: The card, its rings gone.
 */
void augur_events_fini(struct augur_device *adev)
{
	struct augur_events *events = &adev->events;

	for (int i = 0; events->buffers && i < AUGUR_EVENT_BUFFERS; i++)
		kfree(events->buffers[i]);
	kfree(events->buffers);
	augur_request_put(events->listing);
	if (events->workqueue)
		destroy_workqueue(events->workqueue);
	mutex_destroy(&events->handling);
}
