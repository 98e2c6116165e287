/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Letting go of the card's rings for a while: suspend, and reset in place.
 */
#ifndef _AUGUR_RECOVERY_H_
#define _AUGUR_RECOVERY_H_

struct augur_device;
struct drm_device;
struct drm_file;
struct virtio_device;

void augur_recovery_init(struct augur_device *adev);
void augur_recovery_stop(struct augur_device *adev);
int augur_recovery_freeze(struct virtio_device *vdev);
int augur_recovery_restore(struct virtio_device *vdev);
void augur_recovery_config_changed(struct virtio_device *vdev);
int augur_ioctl_reset(struct drm_device *dev, void *data, struct drm_file *file);

#endif
