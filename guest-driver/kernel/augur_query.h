/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctl that describes the device.
 */
#ifndef _AUGUR_QUERY_H_
#define _AUGUR_QUERY_H_

struct drm_device;
struct drm_file;

int augur_ioctl_dev_query(struct drm_device *dev, void *data, struct drm_file *file);

#endif
