// SPDX-License-Identifier: GPL-2.0
/*
 * Lists that make no progress.
 *
 * The scheduler tells when a list has been the first of its stream for the timeout.
 * The card orders lists itself, among contexts too, so that a list may stand in the
 * ring for long without being at fault. What counts is whether its context gets on,
 * which the card is asked: not since the last timeout, then the list is given up,
 * alone. When the card does not give it back either, its fence ends with -EIO and its
 * memory stays pinned until a reset.
 */
#include <linux/devcoredump.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/seq_buf.h>
#include <linux/vmalloc.h>

#include <drm/drm_drv.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_hang.h"
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

#define AUGUR_DUMP_BYTES	SZ_64K
#define AUGUR_DUMP_COMMAND_BYTES	SZ_4K

/**
 * augur_hang_timeout - how long a list may be the first of its stream
 *
 * Return: jiffies.
 */
long augur_hang_timeout(void)
{
	unsigned int timeout = READ_ONCE(tdr_timeout_ms);

	return timeout ? max(msecs_to_jiffies(timeout), 1UL) : MAX_SCHEDULE_TIMEOUT;
}

/* Whether a context got on since this was asked for the stream the last time. */
static bool augur_hang_progress(struct augur_stream *stream)
{
	struct augur_context *context = stream->context;
	struct augur_context_info_response info;
	u64 progress;
	int ret;

	ret = augur_card_context_info(context->adev, context->id, &info);
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

static void augur_hang_handle(struct augur_stream *stream, struct augur_list *list)
{
	struct augur_context *context = stream->context;
	struct augur_device *adev = context->adev;

	/* It waits for room or for the end of a reset, or has just ended. */
	if (READ_ONCE(adev->pause) || !augur_queue_holds(stream->queue, list))
		return;
	if (augur_hang_progress(stream))
		return;
	if (!list->hung) {
		WRITE_ONCE(list->hung, true);
		/* It has as much time again to come back. */
		augur_hang_cancel(adev, list);
	} else if (augur_queue_abandon(stream->queue, list)) {
		drm_err(&adev->drm, "context %u: the card keeps list %llu\n", context->id,
			list->number);
	}
}

/*
 * Has the scheduler wait on. It hears of the list's end by its fence, also when that
 * was signalled here.
 */
static enum drm_gpu_sched_stat augur_hang_go_on(struct drm_sched_job *job)
{
#ifdef AUGUR_HAS_SCHED_NO_HANG
	return DRM_GPU_SCHED_STAT_NO_HANG;
#else
	struct drm_gpu_scheduler *scheduler = job->sched;

	/* What newer kernels do with the above. */
	spin_lock(&scheduler->job_list_lock);
	list_add(&job->list, &scheduler->pending_list);
	spin_unlock(&scheduler->job_list_lock);
	/* It may have ended meanwhile, without being found. */
	drm_sched_wqueue_start(scheduler);
	return DRM_GPU_SCHED_STAT_NOMINAL;
#endif
}

/**
 * augur_hang_timedout - the first list of a stream takes long
 * @job: Its job.
 */
enum drm_gpu_sched_stat augur_hang_timedout(struct drm_sched_job *job)
{
	struct augur_list *list = container_of(job, struct augur_list, job);
	struct augur_stream *stream = list->stream;
	struct augur_context *context = stream->context;
	enum drm_gpu_sched_stat status;
	int index;

	/* The job's own goes with the job. */
	kref_get(&context->ref);
	if (drm_dev_enter(&context->adev->drm, &index)) {
		augur_hang_handle(stream, list);
		drm_dev_exit(index);
	}
	status = augur_hang_go_on(job);
	augur_context_put(context);
	return status;
}
