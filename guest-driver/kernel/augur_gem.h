/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects: allocations in device memory.
 */
#ifndef _AUGUR_GEM_H_
#define _AUGUR_GEM_H_

#include <linux/mm_types.h>

#include <drm/drm_gem.h>

struct augur_context;

/**
 * struct augur_object - an object
 * @base: The GEM object.
 * @link: In &augur_context.objects.
 * @context: The context that it lies in.
 * @id: Object id on the card.
 * @address: First device address.
 */
struct augur_object {
	struct drm_gem_object base;
	struct list_head link;
	struct augur_context *context;
	u64 id;
	u64 address;
};

#define to_augur_object(obj) container_of(obj, struct augur_object, base)

extern const struct drm_gem_object_funcs augur_gem_funcs;
extern const struct vm_operations_struct augur_vm_ops;

/**
 * augur_object_holds - whether an object is a context's and holds a device address
 * @obj: Any object of the driver's.
 * @context: The context.
 * @address: Device address.
 */
static inline bool augur_object_holds(const struct drm_gem_object *obj,
				      const struct augur_context *context, u64 address)
{
	const struct augur_object *object = to_augur_object(obj);

	return obj->funcs == &augur_gem_funcs && object->context == context &&
	       address >= object->address && address - object->address < obj->size;
}

int augur_ioctl_bo_create(struct drm_device *dev, void *data, struct drm_file *file);
int augur_ioctl_bo_info(struct drm_device *dev, void *data, struct drm_file *file);
int augur_ioctl_bo_wait(struct drm_device *dev, void *data, struct drm_file *file);

#endif
