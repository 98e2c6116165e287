/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects shared by dma-buf.
 */
#ifndef _AUGUR_SHARE_H_
#define _AUGUR_SHARE_H_

#include <linux/types.h>

#include <drm/drm_gem.h>

struct augur_object;
struct dma_buf;
struct sg_table;

/**
 * struct augur_import - a dma-buf that is not of this card
 * @base: The GEM object.
 * @source: An object of another card, kept by the dma-buf, or NULL.
 * @table: Guest memory of a buffer that is no card's, mapped for the card, or NULL.
 * @writable: The dma-buf was given with the right to write.
 */
struct augur_import {
	struct drm_gem_object base;
	struct augur_object *source;
	struct sg_table *table;
	bool writable;
};

#define to_augur_import(obj) container_of(obj, struct augur_import, base)

extern const struct drm_gem_object_funcs augur_import_funcs;

struct dma_buf *augur_share_export(struct drm_gem_object *obj, int flags);
struct drm_gem_object *augur_share_import(struct drm_device *dev, struct dma_buf *dma_buf);
struct augur_object *augur_share_object(struct drm_gem_object *obj);

#endif
