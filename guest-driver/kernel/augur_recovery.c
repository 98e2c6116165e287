// SPDX-License-Identifier: GPL-2.0
/*
 * Suspend and resume, and the reset in place.
 *
 * Both take the rings away, reset the virtio device and make new rings. The card
 * keeps contexts, objects and windows for a RESUME of this life. The aperture shows
 * nothing meanwhile: programs that touch it wait. Lists have to leave the ring first:
 * a suspend waits for them or does not happen; a reset gives up those that do not
 * end. What is submitted meanwhile waits for the ring.
 */
#include <linux/delay.h>
#include <linux/moduleparam.h>
#include <linux/virtio_config.h>

#include <drm/augur_accel.h>
#include <drm/drm_drv.h>

#include "augur_control.h"
#include "augur_device.h"
#include "augur_event.h"
#include "augur_queue.h"
#include "augur_recovery.h"
#include "augur_window.h"

static unsigned int drain_timeout_ms = 5000;
module_param(drain_timeout_ms, uint, 0644);
MODULE_PARM_DESC(drain_timeout_ms,
		 "Milliseconds that a suspend or reset waits for command lists to end");

/* How often the rings are looked at. */
#define AUGUR_DRAIN_POLL_MS	2

/* Waits for what is in the rings. Return: whether it has left. */
static bool augur_recovery_wait(struct augur_device *adev,
				bool (*idle)(struct augur_device *adev))
{
	unsigned long end = jiffies + msecs_to_jiffies(drain_timeout_ms);

	while (!idle(adev)) {
		if (augur_device_is_lost(adev) || time_after(jiffies, end))
			return false;
		msleep(AUGUR_DRAIN_POLL_MS);
	}
	return true;
}

/* Lets lists go on that waited. */
static void augur_recovery_open(struct augur_device *adev)
{
	WRITE_ONCE(adev->pause, AUGUR_PAUSE_NONE);
	augur_control_wake(adev);
	augur_queues_feed(adev);
	augur_heartbeat_start(adev);
	augur_hang_start(adev);
}

/* From here on nobody touches a ring or the aperture. */
static void augur_recovery_seal(struct augur_device *adev)
{
	WRITE_ONCE(adev->pause, AUGUR_PAUSE_ALL);
	augur_control_settle(adev);
	augur_queues_settle(adev);
	augur_windows_hide(adev);
}

/*
 * Empties the rings and lets go of them. With @give_up lists that do not end are
 * ended with an error.
 */
static int augur_recovery_close(struct augur_device *adev, bool give_up)
{
	bool drained;

	augur_hang_stop(adev);
	augur_heartbeat_stop(adev);
	/* Lists may need windows to be given back: requests go on until they end. */
	WRITE_ONCE(adev->pause, AUGUR_PAUSE_LISTS);
	augur_queues_settle(adev);
	drained = augur_recovery_wait(adev, augur_queues_are_idle);
	if (!drained && give_up) {
		augur_queues_cancel(adev);
		drained = augur_recovery_wait(adev, augur_queues_are_idle);
	}
	if (augur_device_is_lost(adev) || (!drained && !give_up))
		goto err_open;
	/* Whoever handles events may wait for an answer. */
	mutex_lock(&adev->events.handling);
	WRITE_ONCE(adev->pause, AUGUR_PAUSE_ADDS);
	augur_control_settle(adev);
	if (!augur_recovery_wait(adev, augur_control_is_idle)) {
		mutex_unlock(&adev->events.handling);
		goto err_open;
	}
	augur_recovery_seal(adev);
	mutex_unlock(&adev->events.handling);
	augur_events_stop(adev);
	augur_rings_fini(adev, !drained);
	return 0;

err_open:
	augur_recovery_open(adev);
	return augur_device_is_lost(adev) ? -EIO : -EBUSY;
}

/* Makes new rings, and brings the windows up to date. */
static int augur_recovery_reopen(struct augur_device *adev)
{
	int ret;

	ret = augur_rings_init(adev);
	if (ret)
		goto err;
	virtio_device_ready(adev->vdev);
	WRITE_ONCE(adev->pause, AUGUR_PAUSE_ADDS);
	ret = augur_events_post(adev);
	if (ret)
		goto err;
	ret = augur_card_resume(adev);
	if (ret)
		goto err;
	WRITE_ONCE(adev->pause, AUGUR_PAUSE_LISTS);
	augur_control_wake(adev);
	augur_windows_show(adev);
	augur_touches_start(adev);
	augur_events_resume(adev);
	augur_recovery_open(adev);
	return 0;

err:
	augur_device_lose(adev, "it does not come back");
	return ret;
}

/**
 * augur_recovery_freeze - let go of the card
 * @vdev: The virtio device. Programs stand still.
 */
int augur_recovery_freeze(struct virtio_device *vdev)
{
	struct augur_device *adev = vdev->priv;

	if (augur_device_is_lost(adev))
		return 0;
	return augur_recovery_close(adev, adev->resetting);
}

/**
 * augur_recovery_restore - take the card back
 * @vdev: The virtio device, reset and negotiated with.
 */
int augur_recovery_restore(struct virtio_device *vdev)
{
	struct augur_device *adev = vdev->priv;

	if (augur_device_is_lost(adev))
		return 0;
	return augur_recovery_reopen(adev);
}

/* Resets the card; contexts keep their memory. */
static int augur_recovery_reset(struct augur_device *adev)
{
#ifdef CONFIG_PM_SLEEP
	int ret = -EIO;

	mutex_lock(&adev->reset_lock);
	if (!augur_device_is_lost(adev)) {
		adev->resetting = true;
		ret = virtio_device_freeze(adev->vdev);
		if (!ret)
			ret = virtio_device_restore(adev->vdev);
		adev->resetting = false;
	}
	mutex_unlock(&adev->reset_lock);
	if (!ret)
		drm_info(&adev->drm, "reset\n");
	return ret;
#else
	return -EOPNOTSUPP;
#endif
}

static void augur_recovery_work(struct work_struct *work)
{
	struct augur_device *adev = container_of(work, struct augur_device, reset_work);
	int index;

	if (!drm_dev_enter(&adev->drm, &index))
		return;
	if (augur_recovery_reset(adev))
		augur_device_lose(adev, "it cannot be reset");
	drm_dev_exit(index);
}

/**
 * augur_recovery_config_changed - the device has something to say
 * @vdev: The virtio device.
 *
 * The config space is not read: it may be gone with the card's process. The status
 * is looked at with the next heartbeat.
 */
void augur_recovery_config_changed(struct virtio_device *vdev)
{
	struct augur_device *adev = vdev->priv;

	WRITE_ONCE(adev->status_changed, true);
}

/**
 * augur_ioctl_reset - DRM_IOCTL_AUGUR_RESET
 * @dev: The device.
 * @data: struct drm_augur_reset.
 * @file: The open file.
 */
int augur_ioctl_reset(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct augur_device *adev = to_augur_device(dev);
	const struct drm_augur_reset *args = data;
	int index, ret;

	if (args->flags || args->pad)
		return -EINVAL;
	if (!drm_dev_enter(dev, &index))
		return -ENODEV;
	ret = augur_recovery_reset(adev);
	drm_dev_exit(index);
	return ret;
}

/**
 * augur_recovery_init - prepare for resets
 * @adev: The card.
 */
void augur_recovery_init(struct augur_device *adev)
{
	mutex_init(&adev->reset_lock);
	INIT_WORK(&adev->reset_work, augur_recovery_work);
}

/**
 * augur_recovery_stop - reset no more
 * @adev: A card that is being removed.
 */
void augur_recovery_stop(struct augur_device *adev)
{
	cancel_work_sync(&adev->reset_work);
}
