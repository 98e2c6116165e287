// SPDX-License-Identifier: GPL-2.0
/*
 * What a context uses, as /proc/PID/fdinfo tells it to tools.
 *
 * Documentation/gpu/drm-usage-stats.rst names the keys. Memory has two regions:
 * "device", which all objects have, and "aperture", the windows that show them.
 */
#include <linux/pci.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_print.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_usage.h"

/* Bytes of the windows of a context. */
static u64 augur_window_bytes(struct augur_device *adev, u32 context)
{
	struct augur_window_table *table = &adev->windows.table;
	struct augur_window *window;
	u64 bytes = 0;

	mutex_lock(&adev->windows.lock);
	for (window = augur_window_table_first(table, context, 0, U64_MAX);
	     window && window->place.context == context;
	     window = augur_window_table_next(table, window))
		bytes += window->place.bytes;
	mutex_unlock(&adev->windows.lock);
	return bytes;
}

/* The virtio core knows the PCI function only while the card is there. */
static void augur_show_bus_address(struct drm_printer *p, struct augur_device *adev)
{
	struct device *parent;
	int index;

	if (!drm_dev_enter(&adev->drm, &index))
		return;
	parent = adev->vdev->dev.parent;
	if (dev_is_pci(parent))
		drm_printf(p, "drm-pdev:\t%s\n", pci_name(to_pci_dev(parent)));
	drm_dev_exit(index);
}

/**
 * augur_show_fdinfo - print what a file's context uses
 * @p: Where to.
 * @file: The open file.
 */
void augur_show_fdinfo(struct drm_printer *p, struct drm_file *file)
{
	struct augur_context *context = file->driver_priv;
	struct augur_device *adev = context->adev;
	struct augur_context_info_response info;
	struct drm_memory_stats memory = {};

	augur_show_bus_address(p, adev);
	/* A lost card answers nobody; its memory is still accounted for. */
	if (!augur_card_context_info(adev, context->id, &info)) {
		drm_printf(p, "drm-engine-compute:\t%llu ns\n",
			   le64_to_cpu(info.compute_ns));
		drm_printf(p, "drm-engine-dma:\t%llu ns\n", le64_to_cpu(info.dma_ns));
	}
	drm_printf(p, "drm-engine-capacity-compute:\t%u\n", adev->config.compute_engines);
	drm_printf(p, "drm-engine-capacity-dma:\t%u\n", adev->config.dma_channels);

	memory.private = atomic64_read(&context->object_bytes);
	memory.resident = memory.private;
	drm_print_memory_stats(p, &memory, DRM_GEM_OBJECT_RESIDENT, "device");
	memory.private = augur_window_bytes(adev, context->id);
	memory.resident = memory.private;
	drm_print_memory_stats(p, &memory, DRM_GEM_OBJECT_RESIDENT, "aperture");
}
