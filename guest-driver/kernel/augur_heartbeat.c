// SPDX-License-Identifier: GPL-2.0
/*
 * Watching whether the card lives.
 *
 * Nothing tells the guest that the card's process has died, and asking by a virtio
 * register may end the virtual machine. The map header in the aperture is plain
 * memory: its heartbeat is sampled there. Samples are counted rather than time
 * measured, so that a pause of the virtual machine is not a death.
 */
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/virtio_config.h>

#include "augur_device.h"

static unsigned int heartbeat_timeout_ms = 3000;
module_param(heartbeat_timeout_ms, uint, 0644);
MODULE_PARM_DESC(heartbeat_timeout_ms,
		 "Milliseconds without a heartbeat before the card counts as lost");

static unsigned long augur_heartbeat_interval(void)
{
	return max(msecs_to_jiffies(heartbeat_timeout_ms / AUGUR_HEARTBEAT_SAMPLES), 1UL);
}

static u64 augur_heartbeat_read(const struct augur_device *adev)
{
	return le64_to_cpu(READ_ONCE(augur_map_header(adev)->heartbeat));
}

/**
 * augur_card_state - the card's state as the driver sees it
 * @adev: The card.
 *
 * Return: AUGUR_STATE_*.
 */
u32 augur_card_state(const struct augur_device *adev)
{
	if (augur_device_is_lost(adev))
		return AUGUR_STATE_GONE;
	return le32_to_cpu(READ_ONCE(augur_map_header(adev)->state));
}

/* The virtio core gives up a ring in which it finds what cannot be. */
static bool augur_ring_is_broken(const struct augur_device *adev)
{
	bool broken = virtqueue_is_broken(adev->control.vq) ||
		      virtqueue_is_broken(adev->events.vq);

	for (u32 i = 0; i < adev->config.submit_queues; i++)
		broken |= virtqueue_is_broken(adev->queues[i].vq);
	return broken;
}

/* Asked only after the device said that something has changed. */
static bool augur_needs_reset(struct augur_device *adev)
{
	struct virtio_device *vdev = adev->vdev;

	if (!READ_ONCE(adev->status_changed) || augur_card_state(adev) == AUGUR_STATE_GONE)
		return false;
	WRITE_ONCE(adev->status_changed, false);
	return vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void augur_heartbeat_work(struct work_struct *work)
{
	static const char * const reasons[] = {
		[AUGUR_VERDICT_FAILED] = "it has failed",
		[AUGUR_VERDICT_ENDED] = "its process has ended",
		[AUGUR_VERDICT_BROKEN] = "a ring is broken",
		[AUGUR_VERDICT_STOPPED] = "its heart has stopped",
	};
	struct augur_device *adev = container_of(work, struct augur_device,
						 heartbeat_work.work);
	struct augur_signs signs;
	enum augur_verdict verdict;

	/* The virtio core resets the card when the system goes down. */
	if (system_state > SYSTEM_RUNNING && system_state < SYSTEM_SUSPEND)
		return;
	signs = (struct augur_signs) {
		.state = augur_card_state(adev),
		.heartbeat = augur_heartbeat_read(adev),
		.ring_broken = augur_ring_is_broken(adev),
		.needs_reset = augur_needs_reset(adev),
	};
	verdict = augur_health_judge(&adev->health, &signs);
	switch (verdict) {
	case AUGUR_VERDICT_WELL:
		schedule_delayed_work(&adev->heartbeat_work, augur_heartbeat_interval());
		break;
	case AUGUR_VERDICT_RESET:
		drm_info(&adev->drm, "the card asks for a reset\n");
		schedule_work(&adev->reset_work);
		break;
	default:
		augur_device_lose(adev, reasons[verdict]);
		break;
	}
}

/**
 * augur_heartbeat_init - prepare to watch
 * @adev: The card.
 */
void augur_heartbeat_init(struct augur_device *adev)
{
	INIT_DELAYED_WORK(&adev->heartbeat_work, augur_heartbeat_work);
}

/**
 * augur_heartbeat_start - begin to watch
 * @adev: The card, after HELLO.
 */
void augur_heartbeat_start(struct augur_device *adev)
{
	adev->health = (struct augur_health) { .heartbeat = augur_heartbeat_read(adev) };
	schedule_delayed_work(&adev->heartbeat_work, augur_heartbeat_interval());
}

/**
 * augur_heartbeat_stop - stop watching
 * @adev: The card.
 */
void augur_heartbeat_stop(struct augur_device *adev)
{
	cancel_delayed_work_sync(&adev->heartbeat_work);
}
