// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls that submit command lists.
 *
 * A list goes to the card as the wire format's header, the program's list, and a
 * transfer for each piece of program memory.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/augur_accel.h>
#include <drm/drm_file.h>

#include "augur_command_list.h"
#include "augur_context.h"
#include "augur_device.h"
#include "augur_fence.h"
#include "augur_list.h"
#include "augur_submission.h"
#include "augur_submit.h"
#include "augur_syncs.h"
#include "augur_transfer.h"
#include "augur_uses.h"

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
				  const struct drm_augur_list *args)
{
	u64 bytes = sizeof(struct augur_submit_header) + (u64)args->commands_size +
		    (u64)args->transfer_count * sizeof(struct augur_transfer);

	if (args->pad || args->commands_size % 8 ||
	    args->transfer_count > AUGUR_MAX_TRANSFERS)
		return -EINVAL;
	return bytes <= adev->config.max_submit_bytes ? bytes : -E2BIG;
}

/* Pins the program memory of all transfers and writes them behind the list. */
static int augur_submit_transfers(struct augur_submission *submission,
				  struct augur_list *list,
				  const struct drm_augur_list *args, u8 *writable)
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
		if (wanted.flags & DRM_AUGUR_TRANSFER_BUFFER)
			ret = augur_transfer_buffer(submission->file, &submission->uses,
						    memory, &wanted);
		else
			ret = augur_transfer_pin(list, memory, &wanted);
		if (ret)
			return ret;
		transfer.segment_table = cpu_to_le64(virt_to_phys(memory->pages[0]));
		transfer.bytes = cpu_to_le64(wanted.size);
		list->fence->moved_bytes += wanted.size;
		augur_list_write(list, offset, &transfer, sizeof(transfer));
		offset += sizeof(transfer);
		writable[i] = memory->writes;
	}
	return 0;
}

/* Fills a list with what the program asks for. */
static int augur_submit_fill(struct augur_submission *submission, struct augur_list *list,
			     const struct drm_augur_list *args)
{
	const struct augur_submit_header header = {
		.context = cpu_to_le32(submission->context->id),
		.list_bytes = cpu_to_le32(args->commands_size),
		.command_count = cpu_to_le32(args->command_count),
		.transfer_count = cpu_to_le32(args->transfer_count),
	};
	struct augur_list_walk walk = {
		.read = augur_list_read_commands,
		.list = list,
		.bytes = args->commands_size,
		.command_count = args->command_count,
		.transfer_count = args->transfer_count,
		.use = augur_uses_note,
		.user = &submission->uses,
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
		ret = augur_submit_transfers(submission, list, args, writable);
	}
	walk.writable = writable;
	if (!ret)
		ret = augur_command_list_check(&walk);
	kfree(writable);
	return ret;
}

/* Makes a list of a submission. */
static int augur_submit_list(struct augur_submission *submission, struct augur_stream *stream,
			     const struct drm_augur_list *args)
{
	struct augur_list *list;
	ssize_t bytes;

	bytes = augur_submit_bytes(submission->context->adev, args);
	if (bytes < 0)
		return bytes;
	list = augur_list_new(stream, bytes);
	if (!list)
		return -ENOMEM;
	submission->uses.list = submission->count;
	submission->lists[submission->count++] = list;
	return augur_submit_fill(submission, list, args);
}

/* What the program asks for, beside the lists. */
static int augur_submit_syncs(struct augur_submission *submission,
			      const struct drm_augur_submit_lists *args)
{
	struct augur_out_sync *out;
	int ret;

	for (u32 i = 0; i < submission->count; i++) {
		ret = augur_in_syncs_take(submission->file, submission->lists[i],
					  args->in_syncs, args->in_sync_count);
		if (ret)
			return ret;
	}
	out = augur_out_syncs_take(submission->file, args->out_syncs, args->out_sync_count);
	if (IS_ERR(out))
		return PTR_ERR(out);
	return augur_submission_out(submission, out, args->out_sync_count);
}

/* Submits lists that the program describes. */
static int augur_submit(struct augur_context *context, struct drm_file *file,
			struct drm_augur_submit_lists *args,
			const struct drm_augur_list *lists)
{
	struct augur_submission *submission;
	int ret = 0;

	if (args->flags || args->pad || args->queue >= context->adev->config.submit_queues)
		return -EINVAL;
	submission = augur_submission_new(context, file, args->list_count);
	if (IS_ERR(submission))
		return PTR_ERR(submission);
	for (u32 i = 0; i < args->list_count && !ret; i++)
		ret = augur_submit_list(submission, &context->streams[args->queue],
					&lists[i]);
	if (!ret)
		ret = augur_submit_syncs(submission, args);
	if (!ret)
		ret = augur_submission_commit(submission, &args->fence);
	augur_submission_free(submission);
	return ret;
}

/**
 * augur_submit_own - submit a list that the driver made
 * @context: Whose list it is.
 * @list: The list with its transfers; it is freed after an error.
 * @object: The object that it uses.
 * @write: It writes the object.
 *
 * Return: the list's fence, or an error.
 */
struct dma_fence *augur_submit_own(struct augur_context *context, struct augur_list *list,
				   struct drm_gem_object *object, bool write)
{
	struct dma_fence *end = dma_fence_get(&list->fence->base);
	struct augur_submission *submission;
	u64 number;
	int ret;

	submission = augur_submission_new(context, NULL, 1);
	if (IS_ERR(submission)) {
		augur_list_drop(list);
		dma_fence_put(end);
		return ERR_CAST(submission);
	}
	submission->lists[submission->count++] = list;
	ret = augur_uses_add(&submission->uses, object, write);
	if (!ret)
		ret = augur_submission_commit(submission, &number);
	augur_submission_free(submission);
	if (!ret)
		return end;
	dma_fence_put(end);
	return ERR_PTR(ret);
}

static int augur_submit_one(struct augur_context *context, struct drm_file *file,
			    struct drm_augur_submit *args)
{
	const struct drm_augur_list list = {
		.commands = args->commands,
		.commands_size = args->commands_size,
		.command_count = args->command_count,
		.transfers = args->transfers,
		.transfer_count = args->transfer_count,
	};
	struct drm_augur_submit_lists lists = {
		.list_count = 1,
		.queue = args->queue,
		.in_syncs = args->in_syncs,
		.out_syncs = args->out_syncs,
		.in_sync_count = args->in_sync_count,
		.out_sync_count = args->out_sync_count,
	};
	int ret = augur_submit(context, file, &lists, &list);

	args->wait.fence = lists.fence;
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
	bool wait = args->flags & DRM_AUGUR_SUBMIT_WAIT;
	int ret;

	if (args->flags & ~DRM_AUGUR_SUBMIT_WAIT || args->wait_error ||
	    args->wait.timeout_ns < 0 || (args->wait.timeout_ns && !wait))
		return -EINVAL;
	ret = augur_submit_one(context, file, args);
	if (ret || !wait)
		return ret;
	ret = augur_fences_wait(context, &args->wait);
	/* An error would say that the list was not submitted, or restart the call. */
	args->wait_error = ret == -ERESTARTSYS ? EINTR : -ret;
	return 0;
}

/**
 * augur_ioctl_submit_lists - DRM_IOCTL_AUGUR_SUBMIT_LISTS
 * @dev: The device.
 * @data: struct drm_augur_submit_lists.
 * @file: The open file.
 */
int augur_ioctl_submit_lists(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct drm_augur_submit_lists *args = data;
	struct drm_augur_list *lists;
	int ret;

	if (!args->list_count || args->list_count > DRM_AUGUR_MAX_LISTS)
		return -EINVAL;
	lists = memdup_array_user(u64_to_user_ptr(args->lists), args->list_count,
				  sizeof(*lists));
	if (IS_ERR(lists))
		return PTR_ERR(lists);
	ret = augur_submit(file->driver_priv, file, args, lists);
	kfree(lists);
	return ret;
}
