/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls that change how the card treats a context.
 */
#ifndef _AUGUR_HINTS_H_
#define _AUGUR_HINTS_H_

struct drm_device;
struct drm_file;

int augur_ioctl_context_priority(struct drm_device *dev, void *data,
				 struct drm_file *file);
int augur_ioctl_bo_advise(struct drm_device *dev, void *data, struct drm_file *file);

#endif
