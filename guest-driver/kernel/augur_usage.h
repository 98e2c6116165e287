/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What contexts and the card use: fdinfo, sensors, debugfs.
 */
#ifndef _AUGUR_USAGE_H_
#define _AUGUR_USAGE_H_

struct attribute_group;
struct augur_device;
struct drm_file;
struct drm_printer;

extern const struct attribute_group *augur_sensor_groups[];

void augur_show_fdinfo(struct drm_printer *p, struct drm_file *file);
int augur_sensors_register(struct augur_device *adev);
void augur_debugfs_add(struct augur_device *adev);

#endif
