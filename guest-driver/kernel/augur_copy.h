/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copies between objects of different contexts or cards.
 */
#ifndef _AUGUR_COPY_H_
#define _AUGUR_COPY_H_

#include <linux/kref.h>
#include <linux/types.h>

struct drm_device;
struct drm_file;
struct page;

/**
 * struct augur_bounce - guest memory between two cards
 * @ref: Held by the copy, and by each list that uses it.
 * @count: Pages.
 * @pages: The pages.
 */
struct augur_bounce {
	struct kref ref;
	u32 count;
	struct page *pages[];
};

void augur_bounce_put(struct augur_bounce *bounce);
int augur_ioctl_bo_copy(struct drm_device *dev, void *data, struct drm_file *file);

#endif
