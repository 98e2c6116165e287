/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctl that submits a command list.
 */
#ifndef _AUGUR_SUBMIT_H_
#define _AUGUR_SUBMIT_H_

#include <linux/types.h>

struct augur_context;
struct augur_list;
struct dma_fence;
struct drm_device;
struct drm_file;
struct drm_gem_object;

int augur_ioctl_submit(struct drm_device *dev, void *data, struct drm_file *file);
int augur_ioctl_submit_lists(struct drm_device *dev, void *data, struct drm_file *file);
struct dma_fence *augur_submit_own(struct augur_context *context, struct augur_list *list,
				   struct drm_gem_object *object, bool write);

#endif
