// SPDX-License-Identifier: GPL-2.0
/*
 * Copies between objects of different contexts or cards.
 *
 * No card reaches another's memory, nor a context another's. So a copy is two lists
 * for each part of it: one of the source's context writes guest memory, one of the
 * destination's reads it. The memory belongs to the lists as well as to the copy:
 * a program that is killed leaves it to them.
 */
#include <linux/dma-fence.h>
#include <linux/io.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <drm/augur_accel.h>
#include <drm/drm_file.h>

#include "augur_context.h"
#include "augur_copy.h"
#include "augur_device.h"
#include "augur_gem.h"
#include "augur_list.h"
#include "augur_share.h"
#include "augur_submit.h"
#include "augur_transfer.h"

/* Bytes that are on their way at a time. */
#define AUGUR_COPY_BYTES	SZ_1M

static void augur_bounce_release(struct kref *ref)
{
	struct augur_bounce *bounce = container_of(ref, struct augur_bounce, ref);

	for (u32 i = 0; i < bounce->count; i++)
		__free_page(bounce->pages[i]);
	kfree(bounce);
}

/**
 * augur_bounce_put - drop a reference
 * @bounce: The memory.
 */
void augur_bounce_put(struct augur_bounce *bounce)
{
	kref_put(&bounce->ref, augur_bounce_release);
}

static struct augur_bounce *augur_bounce_new(u64 bytes)
{
	u32 count = DIV_ROUND_UP_ULL(min_t(u64, bytes, AUGUR_COPY_BYTES), PAGE_SIZE);
	struct augur_bounce *bounce;

	bounce = kzalloc(struct_size(bounce, pages, count), GFP_KERNEL);
	if (!bounce)
		return NULL;
	kref_init(&bounce->ref);
	for (; bounce->count < count; bounce->count++) {
		bounce->pages[bounce->count] = alloc_page(GFP_KERNEL_ACCOUNT);
		if (!bounce->pages[bounce->count]) {
			augur_bounce_put(bounce);
			return NULL;
		}
	}
	return bounce;
}

/**
 * struct augur_copy_list - a list that transfers a part of an object
 * @header: Start of the submission.
 * @command: The command.
 * @params: Its parameters.
 * @operand: The part of the object.
 * @transfer: The guest memory.
 */
struct augur_copy_list {
	struct augur_submit_header header;
	struct augur_command_header command;
	struct augur_transfer_params params;
	struct augur_operand operand;
	struct augur_transfer transfer;
};

static_assert(sizeof(struct augur_copy_list) <= AUGUR_PIECE_BYTES);

/* Makes a list between a part of an object and the bounce memory. */
static struct augur_list *augur_copy_list(struct augur_object *object, u64 offset, u32 bytes,
					  struct augur_bounce *bounce, u16 opcode)
{
	struct augur_context *context = object->context;
	struct augur_copy_list *wire;
	struct augur_list *list;
	int ret;

	list = augur_list_new(&context->streams[0], sizeof(*wire));
	if (!list)
		return ERR_PTR(-ENOMEM);
	ret = augur_transfer_bounce(list, bounce, bytes);
	if (ret) {
		augur_list_drop(list);
		return ERR_PTR(ret);
	}
	wire = list->pieces[0];
	*wire = (struct augur_copy_list) {
		.header.context = cpu_to_le32(context->id),
		.header.list_bytes = cpu_to_le32(offsetof(struct augur_copy_list, transfer) -
						 offsetof(struct augur_copy_list, command)),
		.header.command_count = cpu_to_le32(1),
		.header.transfer_count = cpu_to_le32(1),
		.command.opcode = cpu_to_le16(opcode),
		.command.operand_count = cpu_to_le16(1),
		.command.bytes = cpu_to_le32(offsetof(struct augur_copy_list, transfer) -
					     offsetof(struct augur_copy_list, command)),
		.operand.address = cpu_to_le64(object->address + offset),
		.operand.data_type = AUGUR_TYPE_U8,
		.operand.rank = 1,
		.operand.shape[0] = cpu_to_le32(bytes),
		.operand.stride[0] = cpu_to_le64(1),
		.transfer.segment_table =
			cpu_to_le64(virt_to_phys(list->transfers[0].pages[0])),
		.transfer.bytes = cpu_to_le64(bytes),
	};
	return list;
}

/* Runs a list and waits for its end, which a kill does not wait for. */
static int augur_copy_run(struct augur_object *object, u64 offset, u32 bytes,
			  struct augur_bounce *bounce, u16 opcode)
{
	struct augur_list *list = augur_copy_list(object, offset, bytes, bounce, opcode);
	struct dma_fence *end;
	int ret;

	if (IS_ERR(list))
		return PTR_ERR(list);
	end = augur_submit_own(object->context, list, &object->base,
			       opcode == AUGUR_OP_TRANSFER_IN);
	if (IS_ERR(end))
		return PTR_ERR(end);
	ret = dma_fence_wait(end, true);
	if (!ret)
		ret = dma_fence_get_status(end);
	dma_fence_put(end);
	return ret < 0 ? ret : 0;
}

/* Whether a range lies in an object. */
static bool augur_copy_inside(const struct augur_object *object, u64 offset, u64 bytes)
{
	return offset < object->base.size && bytes <= object->base.size - offset;
}

static int augur_copy(struct augur_object *source, struct augur_object *destination,
		      const struct drm_augur_bo_copy *args)
{
	struct augur_bounce *bounce;
	u64 done = 0;
	int ret = 0;

	if (!augur_copy_inside(source, args->source_offset, args->size) ||
	    !augur_copy_inside(destination, args->destination_offset, args->size))
		return -EINVAL;
	bounce = augur_bounce_new(args->size);
	if (!bounce)
		return -ENOMEM;
	while (done < args->size && !ret) {
		u32 bytes = min_t(u64, args->size - done, AUGUR_COPY_BYTES);

		ret = augur_copy_run(source, args->source_offset + done, bytes, bounce,
				     AUGUR_OP_TRANSFER_OUT);
		if (!ret)
			ret = augur_copy_run(destination, args->destination_offset + done,
					     bytes, bounce, AUGUR_OP_TRANSFER_IN);
		done += bytes;
	}
	augur_bounce_put(bounce);
	/* It began anew each time a signal was handled, which may be for ever. */
	return ret == -ERESTARTSYS ? -EINTR : ret;
}

/**
 * augur_ioctl_bo_copy - DRM_IOCTL_AUGUR_BO_COPY
 * @dev: The device.
 * @data: struct drm_augur_bo_copy.
 * @file: The open file.
 */
int augur_ioctl_bo_copy(struct drm_device *dev, void *data, struct drm_file *file)
{
	const struct drm_augur_bo_copy *args = data;
	struct augur_object *source, *destination;
	struct drm_gem_object *from, *to;
	int ret = -ENOENT;

	if (args->flags || args->pad || !args->size)
		return -EINVAL;
	from = drm_gem_object_lookup(file, args->source);
	to = drm_gem_object_lookup(file, args->destination);
	if (!from || !to)
		goto out;
	source = augur_share_object(from);
	destination = augur_share_object(to);
	if (!source || !destination)
		ret = -EOPNOTSUPP;
	else if (to->funcs == &augur_import_funcs && !to_augur_import(to)->writable)
		ret = -EACCES;
	else
		ret = augur_copy(source, destination, args);
out:
	if (from)
		drm_gem_object_put(from);
	if (to)
		drm_gem_object_put(to);
	return ret;
}
