/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lists that make no progress.
 */
#ifndef _AUGUR_HANG_H_
#define _AUGUR_HANG_H_

#include <drm/gpu_scheduler.h>

long augur_hang_timeout(void);
enum drm_gpu_sched_stat augur_hang_timedout(struct drm_sched_job *job);

#endif
