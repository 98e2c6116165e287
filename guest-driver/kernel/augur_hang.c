// SPDX-License-Identifier: GPL-2.0
/*
 * Lists that make no progress.
 *
 * The card orders lists itself, among contexts too, so that a list may stand in the
 * ring for long without being at fault. What counts is whether its context gets on:
 * the card is asked when a list has been in the ring for the timeout. A list of a
 * context that did not get on is given up, alone; when the card does not give it
 * back either, its fence ends with -EIO and its memory stays pinned until a reset.
 *
 * Looks are counted rather than time measured: a pause of the virtual machine is
 * not a hang.
 */
#include <linux/devcoredump.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/seq_buf.h>
#include <linux/vmalloc.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_list.h"
#include "augur_queue.h"
#include "augur_stream.h"

static unsigned int tdr_timeout_ms = 30000;
module_param(tdr_timeout_ms, uint, 0644);
MODULE_PARM_DESC(tdr_timeout_ms,
		 "Milliseconds without progress before a command list is given up, 0 for never");

static unsigned int hang_limit = 3;
module_param(hang_limit, uint, 0644);
MODULE_PARM_DESC(hang_limit, "Lists given up before a context may submit no more, 0 for no limit");

/* Looks at a list before it counts as hung. */
#define AUGUR_HANG_LOOKS	4

/* How often the parameter is looked at while it is zero. */
#define AUGUR_HANG_OFF_MS	1000

#define AUGUR_DUMP_BYTES	SZ_64K
#define AUGUR_DUMP_COMMAND_BYTES	SZ_4K

static unsigned long augur_hang_interval(void)
{
	unsigned int timeout = READ_ONCE(tdr_timeout_ms);

	if (!timeout)
		return msecs_to_jiffies(AUGUR_HANG_OFF_MS);
	return max(msecs_to_jiffies(timeout / AUGUR_HANG_LOOKS), 1UL);
}

/* Counts a look at each list. Return: one that is overdue, referenced, or NULL. */
static struct augur_list *augur_hang_look(struct augur_queue *queue, u32 count)
{
	struct augur_list *list, *overdue = NULL;

	spin_lock_irq(&queue->lock);
	list_for_each_entry(list, &queue->in_flight, link) {
		list->looks += count;
		if (!overdue && list->looks >= AUGUR_HANG_LOOKS)
			overdue = list;
	}
	if (overdue)
		kref_get(&overdue->ref);
	spin_unlock_irq(&queue->lock);
	return overdue;
}

/* Begins to count anew for the lists of a stream. */
static void augur_hang_forgive(struct augur_queue *queue, const struct augur_stream *stream)
{
	struct augur_list *list;

	spin_lock_irq(&queue->lock);
	list_for_each_entry(list, &queue->in_flight, link)
		if (list->stream == stream)
			list->looks = 0;
	spin_unlock_irq(&queue->lock);
}

/* Whether a context got on since this was asked for the stream the last time. */
static bool augur_hang_progress(struct augur_device *adev, struct augur_stream *stream)
{
	struct augur_context_info_response info;
	u64 progress;
	int ret;

	ret = augur_card_context_info(adev, stream->context->id, &info);
	/* The card should have ended the lists of a context that it does not know. */
	if (ret)
		return ret != -ENOENT;
	progress = le64_to_cpu(info.commands) + le64_to_cpu(info.lists) +
		   le64_to_cpu(info.transferred_bytes);
	if (progress == stream->progress)
		return false;
	stream->progress = progress;
	return true;
}

static void augur_dump_commands(struct seq_buf *dump, const struct augur_list *list)
{
	const u8 *bytes = list->pieces[0];
	size_t count = min_t(size_t, list->bytes, AUGUR_DUMP_COMMAND_BYTES);
	char line[64];

	seq_buf_printf(dump, "submission of %zu bytes, the first %zu:\n", list->bytes, count);
	for (size_t at = 0; at < count; at += 16) {
		hex_dump_to_buffer(bytes + at, min_t(size_t, count - at, 16), 16, 4, line,
				   sizeof(line), false);
		seq_buf_printf(dump, "%06zx %s\n", at, line);
	}
}

/* Leaves a description of the hang in /sys/class/devcoredump. */
static void augur_hang_dump(struct augur_device *adev, const struct augur_list *list)
{
	const struct augur_map_header *header = augur_map_header(adev);
	struct augur_context *context = list->stream->context;
	struct seq_buf dump;
	char *text = vzalloc(AUGUR_DUMP_BYTES);

	if (!text)
		return;
	seq_buf_init(&dump, text, AUGUR_DUMP_BYTES);
	seq_buf_printf(&dump, "augur: a command list made no progress\n");
	seq_buf_printf(&dump, "device %s life %#llx heartbeat %llu state %u\n",
		       dev_name(adev->drm.dev), adev->life, READ_ONCE(adev->health.heartbeat),
		       augur_card_state(adev));
	seq_buf_printf(&dump, "faults %llu maps %llu revokes %llu events %llu of %llu\n",
		       le64_to_cpu(READ_ONCE(header->faults)),
		       le64_to_cpu(READ_ONCE(header->maps)),
		       le64_to_cpu(READ_ONCE(header->revokes)),
		       READ_ONCE(adev->events.sequence),
		       le64_to_cpu(READ_ONCE(header->event_sequence)));
	seq_buf_printf(&dump, "windows %u objects %lld submissions %lld\n",
		       READ_ONCE(adev->windows.table.count),
		       atomic64_read(&adev->counters.objects),
		       atomic64_read(&adev->counters.submissions));
	seq_buf_printf(&dump, "context %u list %llu transfers %u lists of the context %d\n",
		       context->id, list->number, list->transfer_count,
		       atomic_read(&context->lists));
	augur_dump_commands(&dump, list);
	dev_coredumpv(adev->drm.dev, text, seq_buf_used(&dump), GFP_KERNEL);
}

/* Asks the card to end a list. It comes back through the ring if all is well. */
static void augur_hang_cancel(struct augur_device *adev, struct augur_list *list)
{
	struct augur_context *context = list->stream->context;
	u32 hangs = atomic_inc_return(&context->hangs);

	drm_err(&adev->drm, "context %u: list %llu makes no progress and is given up\n",
		context->id, list->number);
	if (hang_limit && hangs >= hang_limit) {
		WRITE_ONCE(context->banned, true);
		drm_err(&adev->drm, "context %u may submit no more\n", context->id);
	}
	augur_hang_dump(adev, list);
	augur_card_cancel_list(adev, context->id, lower_32_bits(list->number));
}

static void augur_hang_handle(struct augur_queue *queue, struct augur_list *list)
{
	struct augur_stream *stream = list->stream;
	struct augur_context *context = stream->context;
	struct augur_device *adev = queue->adev;

	if (augur_hang_progress(adev, stream)) {
		augur_hang_forgive(queue, stream);
	} else if (!list->hung) {
		WRITE_ONCE(list->hung, true);
		/* It has as much time again to come back. */
		augur_hang_forgive(queue, stream);
		augur_hang_cancel(adev, list);
	} else if (augur_queue_abandon(queue, list)) {
		drm_err(&adev->drm, "context %u: the card keeps list %llu\n", context->id,
			list->number);
		augur_hang_forgive(queue, stream);
	}
}

static void augur_hang_work(struct work_struct *work)
{
	struct augur_device *adev = container_of(work, struct augur_device, hang_work.work);
	u32 looks = READ_ONCE(tdr_timeout_ms) ? 1 : 0;

	for (u32 i = 0; looks && i < adev->config.submit_queues; i++) {
		struct augur_queue *queue = &adev->queues[i];
		struct augur_list *list;
		u32 count = looks;

		/* Each turn forgives or abandons a context's lists. */
		while ((list = augur_hang_look(queue, count))) {
			count = 0;
			augur_hang_handle(queue, list);
			augur_list_put(list);
			if (augur_device_is_lost(adev))
				return;
		}
	}
	schedule_delayed_work(&adev->hang_work, augur_hang_interval());
}

/**
 * augur_hang_init - prepare to look at lists
 * @adev: The card.
 */
void augur_hang_init(struct augur_device *adev)
{
	INIT_DELAYED_WORK(&adev->hang_work, augur_hang_work);
}

/**
 * augur_hang_start - begin to look at lists
 * @adev: The card, after HELLO.
 */
void augur_hang_start(struct augur_device *adev)
{
	schedule_delayed_work(&adev->hang_work, augur_hang_interval());
}

/**
 * augur_hang_stop - look at lists no more
 * @adev: A lost card: nothing that the work asks is waited for.
 */
void augur_hang_stop(struct augur_device *adev)
{
	cancel_delayed_work_sync(&adev->hang_work);
}
