// SPDX-License-Identifier: GPL-2.0
/*
 * Syncobjs that a command list waits for or signals.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/augur_accel.h>
#include <drm/drm_syncobj.h>

#include "augur_list.h"
#include "augur_syncs.h"

/* Return: a copy of the program's array, or an error. */
static struct drm_augur_sync *augur_syncs_copy(u64 address, u32 count)
{
	struct drm_augur_sync *syncs;

	if (count > AUGUR_MAX_SYNCS)
		return ERR_PTR(-EINVAL);
	syncs = memdup_array_user(u64_to_user_ptr(address), count, sizeof(*syncs));
	if (IS_ERR(syncs))
		return syncs;
	for (u32 i = 0; i < count; i++) {
		if (syncs[i].pad) {
			kfree(syncs);
			return ERR_PTR(-EINVAL);
		}
	}
	return syncs;
}

/**
 * augur_in_syncs_take - make a list depend on syncobjs
 * @file: The open file.
 * @list: The list.
 * @address: Address of the program's array.
 * @count: Entries of the array.
 *
 * A syncobj without a fence gives -EINVAL: a list never waits for something that
 * nobody has promised.
 */
int augur_in_syncs_take(struct drm_file *file, struct augur_list *list, u64 address,
			u32 count)
{
	struct drm_augur_sync *syncs;
	int ret = 0;

	if (!count)
		return 0;
	syncs = augur_syncs_copy(address, count);
	if (IS_ERR(syncs))
		return PTR_ERR(syncs);
	for (u32 i = 0; !ret && i < count; i++) {
		struct dma_fence *fence;

		/* drm_sched_job_add_syncobj_dependency() takes 32 bits of a point. */
		ret = drm_syncobj_find_fence(file, syncs[i].handle, syncs[i].point, 0,
					     &fence);
		if (!ret)
			ret = drm_sched_job_add_dependency(&list->job, fence);
	}
	kfree(syncs);
	return ret;
}

/**
 * augur_out_syncs_take - look up the syncobjs that a list signals
 * @file: The open file.
 * @address: Address of the program's array.
 * @count: Entries of the array.
 *
 * Return: the syncobjs, NULL when there are none, or an error.
 */
struct augur_out_sync *augur_out_syncs_take(struct drm_file *file, u64 address,
					    u32 count)
{
	struct augur_out_sync *out;
	struct drm_augur_sync *syncs;
	int ret = 0;

	if (!count)
		return NULL;
	syncs = augur_syncs_copy(address, count);
	if (IS_ERR(syncs))
		return ERR_CAST(syncs);
	out = kcalloc(count, sizeof(*out), GFP_KERNEL);
	if (!out)
		ret = -ENOMEM;
	for (u32 i = 0; !ret && i < count; i++) {
		out[i].point = syncs[i].point;
		out[i].syncobj = drm_syncobj_find(file, syncs[i].handle);
		if (!out[i].syncobj)
			ret = -ENOENT;
		if (!out[i].point)
			continue;
		out[i].chain = dma_fence_chain_alloc();
		if (!out[i].chain)
			ret = -ENOMEM;
	}
	kfree(syncs);
	if (ret) {
		if (out)
			augur_out_syncs_drop(out, count);
		return ERR_PTR(ret);
	}
	return out;
}

/**
 * augur_out_syncs_attach - have syncobjs signalled by a fence
 * @syncs: The syncobjs.
 * @count: Entries of @syncs.
 * @fence: The fence.
 */
void augur_out_syncs_attach(struct augur_out_sync *syncs, u32 count,
			    struct dma_fence *fence)
{
	for (u32 i = 0; i < count; i++) {
		if (syncs[i].chain)
			drm_syncobj_add_point(syncs[i].syncobj, syncs[i].chain, fence,
					      syncs[i].point);
		else
			drm_syncobj_replace_fence(syncs[i].syncobj, fence);
		/* The timeline has it. */
		syncs[i].chain = NULL;
	}
}

/**
 * augur_out_syncs_drop - free what augur_out_syncs_take() made
 * @syncs: The syncobjs, or NULL.
 * @count: Entries of @syncs.
 */
void augur_out_syncs_drop(struct augur_out_sync *syncs, u32 count)
{
	for (u32 i = 0; syncs && i < count; i++) {
		dma_fence_chain_free(syncs[i].chain);
		if (syncs[i].syncobj)
			drm_syncobj_put(syncs[i].syncobj);
	}
	kfree(syncs);
}
