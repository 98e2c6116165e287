// SPDX-License-Identifier: GPL-2.0
/*
 * The card's life: found, greeted, lost, removed.
 */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_event.h"
#include "augur_queue.h"
#include "augur_recovery.h"
#include "augur_usage.h"
#include "augur_window.h"

/* Guest pages are the card's pages: windows are entered page by page. */
static_assert(PAGE_SIZE == AUGUR_PAGE_BYTES);

/* More than any aperture has use for; keeps the window table small. */
#define AUGUR_MAX_SLOTS		BIT(20)

/* Fails everything that waits. Once a card is lost nothing new begins to wait. */
static void augur_device_lost_work(struct work_struct *work)
{
	struct augur_device *adev = container_of(work, struct augur_device, lost_work);

	augur_control_fail(adev);
	augur_windows_fail(adev);
	augur_queues_fail(adev);
	augur_contexts_fail(adev);
}

/* Return: false when the card was lost before. */
static bool augur_device_mark_lost(struct augur_device *adev)
{
	if (test_and_set_bit(0, &adev->lost))
		return false;
	virtio_break_device(adev->vdev);
	schedule_work(&adev->lost_work);
	return true;
}

/**
 * augur_device_lose - give the card up
 * @adev: The card.
 * @why: What happened, for the log.
 *
 * From here on no virtio register is touched. Waits end with -EIO soon.
 */
void augur_device_lose(struct augur_device *adev, const char *why)
{
	if (augur_device_mark_lost(adev))
		drm_err(&adev->drm, "the card is lost: %s\n", why);
}

static int augur_config_check(struct virtio_device *vdev,
			      const struct augur_config_values *config)
{
	if (!is_power_of_2(config->aperture_bytes) ||
	    config->aperture_bytes <= AUGUR_PAGE_BYTES ||
	    config->memory_bytes < config->aperture_bytes ||
	    config->usable_bytes > config->memory_bytes ||
	    !is_power_of_2(config->max_window_bytes) ||
	    config->max_window_bytes < AUGUR_PAGE_BYTES ||
	    !config->window_slots || config->window_slots > AUGUR_MAX_SLOTS ||
	    !config->submit_queues || !config->heartbeat_ms ||
	    config->max_submit_bytes < sizeof(struct augur_submit_header)) {
		dev_err(&vdev->dev, "the card's description makes no sense\n");
		return -EINVAL;
	}
	return 0;
}

/* The only place that reads the config space. */
static int augur_config_read(struct virtio_device *vdev,
			     struct augur_config_values *config)
{
	struct augur_config raw;

	virtio_cread_bytes(vdev, 0, &raw, sizeof(raw));
	if (le64_to_cpu(raw.magic) != AUGUR_CONFIG_MAGIC)
		return -ENODEV;
	if (le16_to_cpu(raw.abi_major) != AUGUR_ABI_MAJOR) {
		dev_err(&vdev->dev, "the card speaks version %u, this driver %u\n",
			le16_to_cpu(raw.abi_major), AUGUR_ABI_MAJOR);
		return -EPROTONOSUPPORT;
	}
	*config = (struct augur_config_values) {
		.memory_bytes = le64_to_cpu(raw.memory_bytes),
		.aperture_bytes = le64_to_cpu(raw.aperture_bytes),
		.usable_bytes = le64_to_cpu(raw.usable_bytes),
		.demand_window_bytes = le32_to_cpu(raw.demand_window_bytes),
		.max_window_bytes = le32_to_cpu(raw.max_window_bytes),
		.window_slots = le32_to_cpu(raw.window_slots),
		.max_submit_bytes = min_t(u32, le32_to_cpu(raw.max_submit_bytes),
					  AUGUR_MAX_SUBMIT_BYTES),
		.heartbeat_ms = le32_to_cpu(raw.heartbeat_ms),
		.abi_major = le16_to_cpu(raw.abi_major),
		.abi_minor = le16_to_cpu(raw.abi_minor),
		.compute_engines = le16_to_cpu(raw.compute_engines),
		.dma_channels = le16_to_cpu(raw.dma_channels),
		.submit_queues = le16_to_cpu(raw.submit_queues),
		.max_contexts = le16_to_cpu(raw.max_contexts),
	};
	return augur_config_check(vdev, config);
}

/*
 * Makes the aperture readable for the kernel. Write-back here decides how programs
 * see it: their page tables take the mode of this mapping.
 */
static int augur_aperture_init(struct augur_device *adev)
{
	struct device *dev = &adev->vdev->dev;
	struct virtio_shm_region region;

	if (!virtio_get_shm_region(adev->vdev, &region, 0) ||
	    region.len < adev->config.aperture_bytes) {
		dev_err(dev, "the card has no aperture of %llu bytes\n",
			adev->config.aperture_bytes);
		return -ENODEV;
	}
	if (!devm_request_mem_region(dev, region.addr, region.len, "augur aperture"))
		return -EBUSY;
	adev->aperture = devm_memremap(dev, region.addr, adev->config.aperture_bytes,
				       MEMREMAP_WB);
	if (IS_ERR(adev->aperture))
		return PTR_ERR(adev->aperture);
	adev->aperture_base = region.addr;
	return 0;
}

/**
 * augur_rings_init - make the rings
 * @adev: The card.
 */
int augur_rings_init(struct augur_device *adev)
{
	u32 count = AUGUR_QUEUE_SUBMIT + adev->config.submit_queues;
	struct virtqueue_info *infos;
	struct virtqueue **vqs;
	int ret = -ENOMEM;

	infos = kcalloc(count, sizeof(*infos), GFP_KERNEL);
	vqs = kcalloc(count, sizeof(*vqs), GFP_KERNEL);
	if (!infos || !vqs)
		goto out;
	for (u32 i = 0; i < count; i++) {
		infos[i].name = "submit";
		infos[i].callback = augur_queue_done;
	}
	infos[AUGUR_QUEUE_CONTROL].name = "control";
	infos[AUGUR_QUEUE_CONTROL].callback = augur_control_done;
	infos[AUGUR_QUEUE_EVENTS].name = "events";
	infos[AUGUR_QUEUE_EVENTS].callback = augur_events_done;

	ret = virtio_find_vqs(adev->vdev, count, vqs, infos, NULL);
	if (ret)
		goto out;
	adev->control.vq = vqs[AUGUR_QUEUE_CONTROL];
	adev->events.vq = vqs[AUGUR_QUEUE_EVENTS];
	for (u32 i = 0; i < adev->config.submit_queues; i++)
		adev->queues[i].vq = vqs[AUGUR_QUEUE_SUBMIT + i];
	augur_control_begin(adev);
out:
	kfree(infos);
	kfree(vqs);
	return ret;
}

/**
 * augur_rings_fini - reset the card and take back what is in the rings
 * @adev: The card.
 * @give_up: Lists that are there have not ended: end them with an error.
 *
 * This is the one register that is touched after the card was lost: without it
 * nothing could be freed. QEMU takes it well when the process has ended, and waits
 * for one that only hangs.
 */
void augur_rings_fini(struct augur_device *adev, bool give_up)
{
	virtio_reset_device(adev->vdev);
	if (give_up)
		augur_queues_give_up(adev, -EIO);
	augur_control_drain(adev);
	augur_events_drain(adev);
	augur_queues_drain(adev);
	adev->vdev->config->del_vqs(adev->vdev);
}

/* The last user of the device is gone: open files keep what follows. */
static void augur_device_release(struct drm_device *drm, void *unused)
{
	struct augur_device *adev = to_augur_device(drm);

	augur_queues_fini(adev);
	augur_events_fini(adev);
	augur_control_fini(adev);
	augur_touches_fini(adev);
	augur_windows_fini(adev);
}

/* Makes what lives as long as the DRM device. */
static int augur_device_init(struct augur_device *adev)
{
	int ret;

	INIT_WORK(&adev->lost_work, augur_device_lost_work);
	augur_heartbeat_init(adev);
	augur_hang_init(adev);
	augur_recovery_init(adev);
	ret = augur_windows_init(adev);
	if (ret)
		return ret;
	ret = augur_control_init(adev);
	if (ret)
		goto err_windows;
	ret = augur_events_init(adev);
	if (ret)
		goto err_control;
	ret = augur_queues_init(adev);
	if (ret)
		goto err_events;
	augur_touches_init(adev);
	return drmm_add_action_or_reset(&adev->drm, augur_device_release, NULL);

err_events:
	augur_events_fini(adev);
err_control:
	augur_control_fini(adev);
err_windows:
	augur_windows_fini(adev);
	return ret;
}

/* Ends everything that may run, then lets go of the card. */
static void augur_device_stop(struct augur_device *adev)
{
	augur_heartbeat_stop(adev);
	augur_device_mark_lost(adev);
	augur_recovery_stop(adev);
	flush_work(&adev->lost_work);
	augur_hang_stop(adev);
	augur_events_stop(adev);
	flush_workqueue(adev->submit_workqueue);
	augur_rings_fini(adev, false);
}

static int augur_probe(struct virtio_device *vdev)
{
	struct augur_config_values config;
	struct augur_device *adev;
	int ret;

	ret = augur_config_read(vdev, &config);
	if (ret)
		return ret;
	adev = devm_drm_dev_alloc(&vdev->dev, &augur_drm_driver, struct augur_device, drm);
	if (IS_ERR(adev))
		return PTR_ERR(adev);
	adev->vdev = vdev;
	adev->config = config;
	vdev->priv = adev;

	ret = augur_aperture_init(adev);
	if (ret)
		return ret;
	ret = augur_device_init(adev);
	if (ret)
		return ret;
	ret = augur_rings_init(adev);
	if (ret)
		return ret;

	virtio_device_ready(vdev);
	ret = augur_events_post(adev);
	if (ret)
		goto err_stop;
	adev->life = get_random_u64() | 1;
	ret = augur_card_hello(adev);
	if (ret)
		goto err_stop;
	augur_touches_start(adev);
	augur_heartbeat_start(adev);
	augur_hang_start(adev);
	augur_debugfs_add(adev);
	ret = augur_sensors_register(adev);
	if (ret)
		goto err_stop;
	ret = drm_dev_register(&adev->drm, 0);
	if (ret)
		goto err_stop;

	drm_info(&adev->drm, "%llu MiB of memory, %llu MiB of aperture, %u submit queues\n",
		 config.memory_bytes >> 20, config.aperture_bytes >> 20,
		 config.submit_queues);
	return 0;

err_stop:
	augur_device_stop(adev);
	return ret;
}

static void augur_remove(struct virtio_device *vdev)
{
	struct augur_device *adev = vdev->priv;

	drm_dev_unplug(&adev->drm);
	if (!augur_device_is_lost(adev))
		augur_contexts_destroy(adev);
	augur_device_stop(adev);
}

static const struct virtio_device_id augur_ids[] = {
	{ AUGUR_VIRTIO_ID, VIRTIO_DEV_ANY_ID },
	{ }
};
MODULE_DEVICE_TABLE(virtio, augur_ids);

struct virtio_driver augur_virtio_driver = {
	.driver.name = "augur",
	.driver.dev_groups = augur_sensor_groups,
	.id_table = augur_ids,
	.probe = augur_probe,
	.remove = augur_remove,
	.config_changed = augur_recovery_config_changed,
	.freeze = pm_sleep_ptr(augur_recovery_freeze),
	.restore = pm_sleep_ptr(augur_recovery_restore),
};
