// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctl that submits a command list.
 *
 * A submission is the wire format's header, the program's list, and a transfer for
 * each piece of program memory. Everything that can fail or touches the program
 * comes before the list gets its number; after that nothing fails.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/augur_accel.h>
#include <drm/drm_file.h>

#include "augur_command_list.h"
#include "augur_context.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_queue.h"
#include "augur_submit.h"
#include "augur_syncs.h"
#include "augur_trace.h"
#include "augur_transfer.h"

/* Where a submission's byte lies. Return: bytes of the piece from there on. */
static size_t augur_list_at(const struct augur_list *list, size_t offset, u8 **at)
{
	size_t in_piece = offset % AUGUR_PIECE_BYTES;

	*at = (u8 *)list->pieces[offset / AUGUR_PIECE_BYTES] + in_piece;
	return AUGUR_PIECE_BYTES - in_piece;
}

static void augur_list_write(struct augur_list *list, size_t offset, const void *from,
			     size_t bytes)
{
	while (bytes) {
		u8 *at;
		size_t part = min(bytes, augur_list_at(list, offset, &at));

		memcpy(at, from, part);
		offset += part;
		from += part;
		bytes -= part;
	}
}

/* Reads the command list, which lies behind the submission's header. */
static void augur_list_read_commands(const void *list, size_t offset, void *to,
				     size_t bytes)
{
	offset += sizeof(struct augur_submit_header);
	while (bytes) {
		u8 *at;
		size_t part = min(bytes, augur_list_at(list, offset, &at));

		memcpy(to, at, part);
		offset += part;
		to += part;
		bytes -= part;
	}
}

static int augur_list_copy_commands(struct augur_list *list, u64 address, size_t bytes)
{
	const u8 __user *from = u64_to_user_ptr(address);
	size_t offset = sizeof(struct augur_submit_header);

	while (bytes) {
		u8 *at;
		size_t part = min(bytes, augur_list_at(list, offset, &at));

		if (copy_from_user(at, from, part))
			return -EFAULT;
		offset += part;
		from += part;
		bytes -= part;
	}
	return 0;
}

/* Checks what the program asks for. Return: bytes of the submission. */
static ssize_t augur_submit_bytes(const struct augur_device *adev,
				  const struct drm_augur_submit *args)
{
	u64 bytes = sizeof(struct augur_submit_header) + (u64)args->commands_size +
		    (u64)args->transfer_count * sizeof(struct augur_transfer);

	if (args->flags || args->pad || args->commands_size % 8 ||
	    args->queue >= adev->config.submit_queues ||
	    args->transfer_count > AUGUR_MAX_TRANSFERS)
		return -EINVAL;
	return bytes <= adev->config.max_submit_bytes ? bytes : -E2BIG;
}

/* Pins the program memory of all transfers and writes them behind the list. */
static int augur_submit_transfers(struct augur_list *list,
				  const struct drm_augur_submit *args, u8 *writable)
{
	size_t offset = sizeof(struct augur_submit_header) + args->commands_size;
	const struct drm_augur_transfer __user *from = u64_to_user_ptr(args->transfers);
	int ret;

	list->transfers = kvcalloc(args->transfer_count, sizeof(*list->transfers),
				   GFP_KERNEL_ACCOUNT);
	if (!list->transfers)
		return -ENOMEM;
	for (u32 i = 0; i < args->transfer_count; i++) {
		struct augur_transfer_memory *memory = &list->transfers[i];
		struct drm_augur_transfer wanted;
		struct augur_transfer transfer;

		if (copy_from_user(&wanted, &from[i], sizeof(wanted)))
			return -EFAULT;
		list->transfer_count++;
		ret = augur_transfer_pin(list, memory, &wanted);
		if (ret)
			return ret;
		transfer.segment_table = cpu_to_le64(virt_to_phys(memory->pages[0]));
		transfer.bytes = cpu_to_le64(wanted.size);
		augur_list_write(list, offset, &transfer, sizeof(transfer));
		offset += sizeof(transfer);
		writable[i] = memory->writes;
	}
	return 0;
}

/* Fills a list with what the program asks for. */
static int augur_submit_fill(struct augur_context *context, struct augur_list *list,
			     const struct drm_augur_submit *args)
{
	const struct augur_submit_header header = {
		.context = cpu_to_le32(context->id),
		.list_bytes = cpu_to_le32(args->commands_size),
		.command_count = cpu_to_le32(args->command_count),
		.transfer_count = cpu_to_le32(args->transfer_count),
	};
	u8 *writable = NULL;
	int ret;

	augur_list_write(list, 0, &header, sizeof(header));
	ret = augur_list_copy_commands(list, args->commands, args->commands_size);
	if (ret)
		return ret;
	if (args->transfer_count) {
		writable = kzalloc(args->transfer_count, GFP_KERNEL);
		if (!writable)
			return -ENOMEM;
		ret = augur_submit_transfers(list, args, writable);
	}
	if (!ret)
		ret = augur_command_list_check(augur_list_read_commands, list,
					       args->commands_size, args->command_count,
					       writable, args->transfer_count);
	kfree(writable);
	return ret;
}

/* Tells the card the number, by which the list can be given up. */
static void augur_list_number(struct augur_list *list, u64 number)
{
	struct augur_submit_header *header = list->pieces[0];

	list->number = number;
	header->number = cpu_to_le32(lower_32_bits(number));
}

/* Waits until the context may have one more list, and counts it. */
static int augur_submit_enter(struct augur_context *context)
{
	bool counted = false;
	int ret;

	if (READ_ONCE(context->banned))
		return -EIO;
	ret = wait_event_interruptible(context->lists_wait,
				       augur_device_is_lost(context->adev) ||
				       (counted = atomic_add_unless(&context->lists, 1,
								    AUGUR_MAX_LISTS)));
	if (ret)
		return ret;
	return counted ? 0 : -EIO;
}

/* Gives a list its number and hands it over. Return: 0, or -ENOMEM. */
static int augur_submit_commit(struct augur_context *context, struct augur_list *list,
			       struct augur_out_sync *out, struct drm_augur_submit *args)
{
	u64 number;
	int ret;

	mutex_lock(&context->submit_lock);
	number = context->next_fence;
	ret = augur_fences_reserve(context, number);
	if (!ret) {
		context->next_fence++;
		augur_fences_add(context, number, list->fence);
		augur_out_syncs_attach(out, args->out_sync_count, &list->fence->base);
		args->fence = number;
		augur_list_number(list, number);
		trace_augur_submit(context->id, number, args->queue, args->command_count,
				   args->transfer_count);
		atomic64_inc(&context->adev->counters.submissions);
		augur_stream_submit(list->stream, list);
	}
	mutex_unlock(&context->submit_lock);
	return ret;
}

/**
 * augur_ioctl_submit - DRM_IOCTL_AUGUR_SUBMIT
 * @dev: The device.
 * @data: struct drm_augur_submit.
 * @file: The open file.
 */
int augur_ioctl_submit(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct augur_context *context = file->driver_priv;
	struct drm_augur_submit *args = data;
	struct augur_out_sync *out;
	struct augur_list *list;
	ssize_t bytes;
	int ret;

	bytes = augur_submit_bytes(context->adev, args);
	if (bytes < 0)
		return bytes;
	ret = augur_submit_enter(context);
	if (ret)
		return ret;

	list = augur_list_new(&context->streams[args->queue], bytes);
	if (!list) {
		ret = -ENOMEM;
		goto err_leave;
	}
	ret = augur_submit_fill(context, list, args);
	if (ret)
		goto err_list;
	ret = augur_in_syncs_take(file, list, args->in_syncs, args->in_sync_count);
	if (ret)
		goto err_in;
	out = augur_out_syncs_take(file, args->out_syncs, args->out_sync_count);
	if (IS_ERR(out)) {
		ret = PTR_ERR(out);
		goto err_in;
	}
	ret = augur_submit_commit(context, list, out, args);
	augur_out_syncs_drop(out, args->out_sync_count);
	if (!ret)
		return 0;

err_in:
	augur_in_syncs_drop(list);
err_list:
	augur_transfers_release(list);
	augur_list_put(list);
err_leave:
	atomic_dec(&context->lists);
	wake_up(&context->lists_wait);
	return ret;
}
