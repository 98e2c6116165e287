// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's state for people who debug it, below /sys/kernel/debug/accel/N:
 * windows, objects and contexts, and submit queues. Every file shows a moment
 * under its lock; two files need not agree. One file measures instead.
 */
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/virtio.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_drv.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_gem.h"
#include "augur_usage.h"

static struct augur_device *augur_debugfs_device(struct seq_file *m)
{
	struct drm_debugfs_entry *entry = m->private;

	return to_augur_device(entry->dev);
}

static const char * const augur_window_state_names[] = {
	[AUGUR_WINDOW_NONE] = "none",
	[AUGUR_WINDOW_LIVE] = "live",
	[AUGUR_WINDOW_REVOKED] = "revoked",
};

/* The aperture as windows, by context and device address. */
static int augur_debugfs_windows(struct seq_file *m, void *data)
{
	struct augur_device *adev = augur_debugfs_device(m);
	struct augur_window *window = NULL;

	seq_puts(m, "context slot generation address bytes aperture state\n");
	mutex_lock(&adev->windows.lock);
	while ((window = augur_window_table_next(&adev->windows.table, window))) {
		const struct augur_window_place *place = &window->place;

		seq_printf(m, "%u %u %u %#llx %u %#llx %s%s%s%s%s\n", place->context,
			   place->slot, place->generation, place->address, place->bytes,
			   place->aperture_offset, augur_window_state_names[window->state],
			   window->demand ? " demand" : "",
			   window->mapped ? " mapped" : "",
			   window->dirty ? " dirty" : "",
			   window->revoke_pending ? " leased" : "");
	}
	mutex_unlock(&adev->windows.lock);
	return 0;
}

/* The extents of device addresses that objects have. */
static int augur_debugfs_objects(struct seq_file *m, void *data)
{
	struct augur_device *adev = augur_debugfs_device(m);
	struct augur_context *context;
	unsigned long id;

	seq_puts(m, "context object address bytes handles\n");
	mutex_lock(&adev->windows.lock);
	xa_for_each(&adev->windows.contexts, id, context) {
		struct augur_object *object;

		list_for_each_entry(object, &context->objects, link)
			seq_printf(m, "%lu %llu %#llx %zu %u\n", id, object->id,
				   object->address, object->base.size,
				   READ_ONCE(object->base.handle_count));
	}
	mutex_unlock(&adev->windows.lock);
	return 0;
}

static int augur_debugfs_contexts(struct seq_file *m, void *data)
{
	struct augur_device *adev = augur_debugfs_device(m);
	struct augur_context *context;
	unsigned long id;

	seq_puts(m, "context bytes lists next_fence state\n");
	mutex_lock(&adev->windows.lock);
	xa_for_each(&adev->windows.contexts, id, context)
		seq_printf(m, "%lu %lld %d %llu %s\n", id,
			   atomic64_read(&context->object_bytes),
			   atomic_read(&context->lists), READ_ONCE(context->next_fence),
			   context->failed ? "failed" : "good");
	mutex_unlock(&adev->windows.lock);
	return 0;
}

static int augur_debugfs_queues(struct seq_file *m, void *data)
{
	struct augur_device *adev = augur_debugfs_device(m);

	seq_puts(m, "queue in_flight stuck waiting\n");
	for (u32 i = 0; i < adev->config.submit_queues; i++) {
		struct augur_queue *queue = &adev->queues[i];
		size_t in_flight, stuck, waiting;

		spin_lock_irq(&queue->lock);
		in_flight = list_count_nodes(&queue->in_flight);
		stuck = list_count_nodes(&queue->stuck);
		waiting = list_count_nodes(&queue->waiting);
		spin_unlock_irq(&queue->lock);
		seq_printf(m, "%u %zu %zu %zu\n", i, in_flight, stuck, waiting);
	}
	return 0;
}

#define AUGUR_ROUND_TRIPS	1000

static int augur_compare_ns(const void *left, const void *right)
{
	u64 a = *(const u64 *)left, b = *(const u64 *)right;

	return a < b ? -1 : a > b;
}

/* Times requests of the control queue, one after another, into @ns. */
static int augur_round_trips(struct augur_device *adev, u64 *ns)
{
	struct augur_request *request;
	int ret = 0;

	request = augur_request_new(AUGUR_REQUEST_COUNTERS, 0, 0,
				    sizeof(struct augur_counters_response));
	if (!request)
		return -ENOMEM;
	for (u32 i = 0; !ret && i < AUGUR_ROUND_TRIPS; i++) {
		u64 began = ktime_get_ns();

		ret = augur_request_call(adev, request);
		ns[i] = ktime_get_ns() - began;
		reinit_completion(&request->done);
		cond_resched();
	}
	augur_request_put(request);
	return ret;
}

/*
 * Measures when it is read: round trips of the control queue, one after another and
 * without a program's share.
 */
static int augur_debugfs_round_trip(struct seq_file *m, void *data)
{
	struct augur_device *adev = augur_debugfs_device(m);
	int ret, idx;
	u64 *ns;

	if (!drm_dev_enter(&adev->drm, &idx))
		return -ENODEV;
	ns = kcalloc(AUGUR_ROUND_TRIPS, sizeof(*ns), GFP_KERNEL);
	ret = ns ? augur_round_trips(adev, ns) : -ENOMEM;
	drm_dev_exit(idx);
	if (ret)
		goto free;
	sort(ns, AUGUR_ROUND_TRIPS, sizeof(*ns), augur_compare_ns, NULL);
	seq_puts(m, "requests least_ns median_ns p99_ns\n");
	seq_printf(m, "%u %llu %llu %llu\n", AUGUR_ROUND_TRIPS, ns[0],
		   ns[AUGUR_ROUND_TRIPS / 2], ns[AUGUR_ROUND_TRIPS * 99 / 100]);
free:
	kfree(ns);
	return ret;
}

static const struct drm_debugfs_info augur_debugfs_files[] = {
	{ "windows", augur_debugfs_windows },
	{ "objects", augur_debugfs_objects },
	{ "contexts", augur_debugfs_contexts },
	{ "queues", augur_debugfs_queues },
	{ "round_trip", augur_debugfs_round_trip },
};

/**
 * augur_debugfs_add - add the files
 * @adev: The card, not registered yet.
 */
void augur_debugfs_add(struct augur_device *adev)
{
	drm_debugfs_add_files(&adev->drm, augur_debugfs_files,
			      ARRAY_SIZE(augur_debugfs_files));
}
