/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctl that submits a command list.
 */
#ifndef _AUGUR_SUBMIT_H_
#define _AUGUR_SUBMIT_H_

struct drm_device;
struct drm_file;

int augur_ioctl_submit(struct drm_device *dev, void *data, struct drm_file *file);

#endif
