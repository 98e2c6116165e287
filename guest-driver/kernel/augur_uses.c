// SPDX-License-Identifier: GPL-2.0
/*
 * Objects that command lists use.
 *
 * A list names device addresses. The objects behind them get the list's fence, so
 * that BO_WAIT, and whoever shares the object by dma-buf, can wait for it.
 */
#include <linux/dma-resv.h>
#include <linux/maple_tree.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include <drm/drm_gem.h>

#include "augur_context.h"
#include "augur_fence.h"
#include "augur_gem.h"
#include "augur_list.h"
#include "augur_uses.h"

/* The object that holds a device address, referenced, or NULL. */
static struct drm_gem_object *augur_uses_find(struct augur_context *context, u64 address)
{
	struct drm_gem_object *object = NULL;
	struct augur_object *found;

	mutex_lock(&context->addresses_lock);
	found = mtree_load(&context->addresses, address);
	if (found && kref_get_unless_zero(&found->base.refcount))
		object = &found->base;
	mutex_unlock(&context->addresses_lock);
	return object;
}

/* Makes room for one object more. */
static int augur_uses_grow(struct augur_uses *uses)
{
	u32 room = uses->room ? 2 * uses->room : 16;
	struct drm_gem_object **objects;
	struct augur_use *entries;

	if (uses->count < uses->room)
		return 0;
	objects = krealloc_array(uses->objects, room, sizeof(*objects), GFP_KERNEL);
	if (!objects)
		return -ENOMEM;
	uses->objects = objects;
	entries = krealloc_array(uses->uses, room, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	uses->uses = entries;
	uses->room = room;
	return 0;
}

static void augur_uses_mark(struct augur_uses *uses, u32 index, bool write)
{
	if (write)
		uses->uses[index].writes |= BIT_ULL(uses->list);
	else
		uses->uses[index].reads |= BIT_ULL(uses->list);
	uses->last = index;
}

/**
 * augur_uses_add - note that the list being walked uses an object
 * @uses: The submission's objects.
 * @object: The object.
 * @write: The list writes it.
 */
int augur_uses_add(struct augur_uses *uses, struct drm_gem_object *object, bool write)
{
	int ret;

	for (u32 i = 0; i < uses->count; i++) {
		if (uses->objects[i] == object) {
			augur_uses_mark(uses, i, write);
			return 0;
		}
	}
	ret = augur_uses_grow(uses);
	if (ret)
		return ret;
	drm_gem_object_get(object);
	uses->objects[uses->count] = object;
	uses->uses[uses->count] = (struct augur_use) { 0 };
	augur_uses_mark(uses, uses->count++, write);
	return 0;
}

/**
 * augur_uses_note - note that the list being walked uses a device address
 * @user: The submission's struct augur_uses.
 * @address: Device address; the card refuses one that no object has.
 * @write: The list writes there.
 */
int augur_uses_note(void *user, u64 address, bool write)
{
	struct augur_uses *uses = user;
	struct drm_gem_object *object;
	int ret;

	if (uses->last < uses->count) {
		object = uses->objects[uses->last];
		if (augur_object_holds(object, uses->context, address)) {
			augur_uses_mark(uses, uses->last, write);
			return 0;
		}
	}
	object = augur_uses_find(uses->context, address);
	if (!object)
		return 0;
	ret = augur_uses_add(uses, object, write);
	drm_gem_object_put(object);
	return ret;
}

/**
 * augur_uses_lock - lock the objects' reservations and make room for fences
 * @uses: The submission's objects.
 * @lists: Lists of the submission.
 */
int augur_uses_lock(struct augur_uses *uses, u32 lists)
{
	int ret;

	if (!uses->count)
		return 0;
	ret = drm_gem_lock_reservations(uses->objects, uses->count, &uses->ticket);
	if (ret)
		return ret;
	for (u32 i = 0; i < uses->count && !ret; i++)
		ret = dma_resv_reserve_fences(uses->objects[i]->resv, lists);
	if (ret)
		augur_uses_unlock(uses);
	return ret;
}

/**
 * augur_uses_commit - have the objects wait for the lists
 * @uses: The submission's objects, locked.
 * @lists: The lists, their fences not signalled by now or soon.
 * @count: Lists.
 */
void augur_uses_commit(struct augur_uses *uses, struct augur_list **lists, u32 count)
{
	for (u32 i = 0; i < uses->count; i++) {
		for (u32 j = 0; j < count; j++) {
			struct dma_fence *fence = &lists[j]->fence->base;

			if (uses->uses[i].writes & BIT_ULL(j))
				dma_resv_add_fence(uses->objects[i]->resv, fence,
						   DMA_RESV_USAGE_WRITE);
			else if (uses->uses[i].reads & BIT_ULL(j))
				dma_resv_add_fence(uses->objects[i]->resv, fence,
						   DMA_RESV_USAGE_READ);
		}
	}
}

/**
 * augur_uses_unlock - unlock the objects' reservations
 * @uses: The submission's objects, locked.
 */
void augur_uses_unlock(struct augur_uses *uses)
{
	if (uses->count)
		drm_gem_unlock_reservations(uses->objects, uses->count, &uses->ticket);
}

/**
 * augur_uses_drop - forget the objects
 * @uses: The submission's objects, not locked.
 */
void augur_uses_drop(struct augur_uses *uses)
{
	for (u32 i = 0; i < uses->count; i++)
		drm_gem_object_put(uses->objects[i]);
	kfree(uses->objects);
	kfree(uses->uses);
}
