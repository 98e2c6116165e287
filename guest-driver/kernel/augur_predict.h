/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls about prediction.
 */
#ifndef _AUGUR_PREDICT_H_
#define _AUGUR_PREDICT_H_

struct drm_device;
struct drm_file;

int augur_ioctl_predictor(struct drm_device *dev, void *data, struct drm_file *file);
int augur_ioctl_model_pull(struct drm_device *dev, void *data, struct drm_file *file);
int augur_ioctl_model_push(struct drm_device *dev, void *data, struct drm_file *file);
int augur_ioctl_profile(struct drm_device *dev, void *data, struct drm_file *file);

#endif
