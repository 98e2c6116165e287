// SPDX-License-Identifier: GPL-2.0
/*
 * Objects: creation, information, end. augur_mmap.c maps them.
 *
 * An object lives on the card until its last handle, its last mapping and its dma-buf
 * are gone, whether or not the file that made it is open. Lists in flight do not keep
 * it: the card keeps memory that they use.
 */
#include <linux/maple_tree.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include <drm/augur_accel.h>
#include <drm/drm_file.h>
#include <drm/drm_utils.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_gem.h"
#include "augur_share.h"
#include "augur_window.h"

/*
 * Counts an object for its context and the card, or no more. Return: whether the
 * context has ended and this was the last that kept it on the card.
 */
static bool augur_object_account(struct augur_object *object, bool exists)
{
	struct augur_context *context = object->context;
	struct augur_device *adev = context->adev;
	bool last;
	s64 bytes = exists ? object->base.size : -(s64)object->base.size;

	mutex_lock(&adev->windows.lock);
	if (exists)
		list_add_tail(&object->link, &context->objects);
	else
		list_del(&object->link);
	last = context->closed && list_empty(&context->objects);
	mutex_unlock(&adev->windows.lock);
	atomic64_add(bytes, &context->object_bytes);
	atomic64_add(bytes, &adev->counters.object_bytes);
	atomic64_add(exists ? 1 : -1, &adev->counters.objects);
	return last;
}

static void augur_gem_free(struct drm_gem_object *obj)
{
	struct augur_object *object = to_augur_object(obj);
	struct augur_context *context = object->context;
	struct augur_device *adev = context->adev;
	int ret;

	/* Nobody maps it any more, so none of its windows is in a page table. */
	ret = augur_card_destroy_object(adev, context->id, object->id);
	if (ret && !augur_device_is_lost(adev))
		drm_err_ratelimited(&adev->drm, "object %llu was not freed: %d\n",
				    object->id, ret);
	augur_windows_forget(adev, context->id, object->address, obj->size);
	mutex_lock(&context->addresses_lock);
	mtree_erase(&context->addresses, object->address);
	mutex_unlock(&context->addresses_lock);
	if (augur_object_account(object, false))
		augur_context_end(context);
	drm_gem_object_release(obj);
	augur_context_put(context);
	kfree(object);
}

static int augur_gem_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	/* A private mapping would be copied on write from pages it cannot copy. */
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	return 0;
}

const struct drm_gem_object_funcs augur_gem_funcs = {
	.free = augur_gem_free,
	.export = augur_share_export,
	.mmap = augur_gem_mmap,
	.vm_ops = &augur_vm_ops,
};

/* Whether the card's answer describes memory that the driver can work with. */
static bool augur_object_answer_valid(u64 address, u64 bytes, u64 wanted)
{
	return bytes >= wanted && IS_ALIGNED(bytes, PAGE_SIZE) &&
	       IS_ALIGNED(address, PAGE_SIZE) && address + bytes > address;
}

/* Return: the object with one reference. */
static struct augur_object *augur_object_create(struct augur_context *context, u64 size)
{
	struct augur_device *adev = context->adev;
	struct augur_object_create_response answer;
	struct augur_object *object;
	u64 bytes;
	int ret;

	object = kzalloc(sizeof(*object), GFP_KERNEL);
	if (!object)
		return ERR_PTR(-ENOMEM);
	ret = augur_card_create_object(adev, context->id, size, &answer);
	if (ret)
		goto err_free;

	bytes = le64_to_cpu(answer.bytes);
	object->id = le64_to_cpu(answer.object);
	object->address = le64_to_cpu(answer.device_address);
	if (!augur_object_answer_valid(object->address, bytes, size)) {
		drm_err_ratelimited(&adev->drm, "object %llu of %llu bytes at %#llx\n",
				    object->id, bytes, object->address);
		ret = -EIO;
		goto err_free;
	}
	/* It fails as well when the card has given these addresses away before. */
	ret = mtree_insert_range(&context->addresses, object->address,
				 object->address + bytes - 1, object, GFP_KERNEL);
	if (ret)
		goto err_card;

	object->context = context;
	kref_get(&context->ref);
	object->base.funcs = &augur_gem_funcs;
	drm_gem_private_object_init(&adev->drm, &object->base, bytes);
	augur_object_account(object, true);
	ret = drm_gem_create_mmap_offset(&object->base);
	if (ret) {
		drm_gem_object_put(&object->base);
		return ERR_PTR(ret);
	}
	return object;

err_card:
	augur_card_destroy_object(adev, context->id, object->id);
err_free:
	kfree(object);
	return ERR_PTR(ret);
}

/**
 * augur_ioctl_bo_create - DRM_IOCTL_AUGUR_BO_CREATE
 * @dev: The device.
 * @data: struct drm_augur_bo_create.
 * @file: The open file.
 */
int augur_ioctl_bo_create(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct augur_context *context = file->driver_priv;
	struct drm_augur_bo_create *args = data;
	struct augur_object *object;
	int ret;

	if (!args->size || args->flags)
		return -EINVAL;
	/* Larger than this it cannot be, whatever it is rounded up to. */
	if (args->size > context->adev->config.memory_bytes)
		return -ENOMEM;

	object = augur_object_create(context, args->size);
	if (IS_ERR(object))
		return PTR_ERR(object);
	args->size = object->base.size;
	args->device_address = object->address;
	args->mmap_offset = drm_vma_node_offset_addr(&object->base.vma_node);
	ret = drm_gem_handle_create(file, &object->base, &args->handle);
	drm_gem_object_put(&object->base);
	return ret;
}

/**
 * augur_ioctl_bo_info - DRM_IOCTL_AUGUR_BO_INFO
 * @dev: The device.
 * @data: struct drm_augur_bo_info.
 * @file: The open file.
 */
int augur_ioctl_bo_info(struct drm_device *dev, void *data, struct drm_file *file)
{
	struct drm_augur_bo_info *args = data;
	struct drm_gem_object *obj;

	if (args->pad)
		return -EINVAL;
	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;
	args->size = obj->size;
	args->device_address = 0;
	args->mmap_offset = 0;
	if (obj->funcs == &augur_gem_funcs) {
		/* Device addresses mean nothing in another context. */
		if (to_augur_object(obj)->context == file->driver_priv)
			args->device_address = to_augur_object(obj)->address;
		args->mmap_offset = drm_vma_node_offset_addr(&obj->vma_node);
	}
	drm_gem_object_put(obj);
	return 0;
}

/**
 * augur_ioctl_bo_wait - DRM_IOCTL_AUGUR_BO_WAIT
 * @dev: The device.
 * @data: struct drm_augur_bo_wait.
 * @file: The open file.
 */
int augur_ioctl_bo_wait(struct drm_device *dev, void *data, struct drm_file *file)
{
	const struct drm_augur_bo_wait *args = data;
	struct drm_gem_object *object;
	long ret;

	if (args->flags & ~DRM_AUGUR_WAIT_FOR_READERS || args->timeout_ns < 0)
		return -EINVAL;
	/* The core says -EINVAL for it, others of our ioctls do not. */
	object = drm_gem_object_lookup(file, args->handle);
	if (!object)
		return -ENOENT;
	drm_gem_object_put(object);
	ret = drm_gem_dma_resv_wait(file, args->handle,
				    args->flags & DRM_AUGUR_WAIT_FOR_READERS,
				    drm_timeout_abs_to_jiffies(args->timeout_ns));
	return ret;
}
