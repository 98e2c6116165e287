// SPDX-License-Identifier: GPL-2.0
/*
 * Sharing by dma-buf.
 *
 * An object may be exported: other programs map it, and copy from and to it, also
 * with another card. Nobody may attach to it: its pages are where the card puts them
 * for the moment, and have no struct page.
 *
 * A buffer of another exporter may be imported if it is guest memory, as udmabuf's
 * and the system heap's are: transfers use it in place. An object of another card
 * may be imported to be copied.
 */
#include <linux/dma-buf.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_prime.h>

#include "augur_context.h"
#include "augur_device.h"
#include "augur_gem.h"
#include "augur_share.h"

MODULE_INFO(import_ns, "DMA_BUF");

static int augur_share_attach(struct dma_buf *dma_buf, struct dma_buf_attachment *attachment)
{
	return -EOPNOTSUPP;
}

/* Never called, since nobody attaches, but a dma-buf must have them. */
static struct sg_table *augur_share_map(struct dma_buf_attachment *attachment,
					enum dma_data_direction direction)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void augur_share_unmap(struct dma_buf_attachment *attachment, struct sg_table *table,
			      enum dma_data_direction direction)
{
}

static int augur_share_mmap(struct dma_buf *dma_buf, struct vm_area_struct *vma)
{
	return drm_gem_prime_mmap(dma_buf->priv, vma);
}

static const struct dma_buf_ops augur_share_ops = {
	.attach = augur_share_attach,
	.map_dma_buf = augur_share_map,
	.unmap_dma_buf = augur_share_unmap,
	.release = drm_gem_dmabuf_release,
	.mmap = augur_share_mmap,
};

/**
 * augur_share_export - make a dma-buf of an object
 * @obj: The object.
 * @flags: Of its file.
 */
struct dma_buf *augur_share_export(struct drm_gem_object *obj, int flags)
{
	struct dma_buf_export_info info = {
		.exp_name = KBUILD_MODNAME,
		.owner = obj->dev->driver->fops->owner,
		.ops = &augur_share_ops,
		.size = obj->size,
		.flags = flags,
		.priv = obj,
		.resv = obj->resv,
	};

	/* It gives the file the device's mapping, through which pages are revoked. */
	return drm_gem_dmabuf_export(obj->dev, &info);
}

static void augur_import_free(struct drm_gem_object *obj)
{
	struct augur_import *import = to_augur_import(obj);
	struct dma_buf_attachment *attachment = obj->import_attach;

	if (attachment) {
		struct dma_buf *dma_buf = attachment->dmabuf;

		dma_buf_unmap_attachment_unlocked(attachment, import->table,
						  DMA_BIDIRECTIONAL);
		dma_buf_detach(dma_buf, attachment);
		dma_buf_put(dma_buf);
	}
	if (import->source)
		drm_gem_object_put(&import->source->base);
	drm_gem_object_release(obj);
	kfree(import);
}

const struct drm_gem_object_funcs augur_import_funcs = {
	.free = augur_import_free,
};

static struct augur_import *augur_import_new(struct drm_device *dev, struct dma_buf *dma_buf)
{
	struct augur_import *import = kzalloc(sizeof(*import), GFP_KERNEL);

	if (!import)
		return NULL;
	import->writable = dma_buf->file->f_mode & FMODE_WRITE;
	import->base.funcs = &augur_import_funcs;
	import->base.resv = dma_buf->resv;
	drm_gem_private_object_init(dev, &import->base, dma_buf->size);
	return import;
}

/* The card reads guest memory by its physical address. */
static struct drm_gem_object *augur_import_memory(struct drm_device *dev,
						  struct dma_buf *dma_buf)
{
	struct device *bus = to_augur_device(dev)->vdev->dev.parent;
	struct dma_buf_attachment *attachment;
	struct augur_import *import;
	struct sg_table *table;
	int ret = -ENOMEM;

	if (device_iommu_mapped(bus))
		return ERR_PTR(-EOPNOTSUPP);
	attachment = dma_buf_attach(dma_buf, bus);
	if (IS_ERR(attachment))
		return ERR_CAST(attachment);
	get_dma_buf(dma_buf);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(table)) {
		ret = PTR_ERR(table);
		goto err_detach;
	}
	import = augur_import_new(dev, dma_buf);
	if (!import)
		goto err_unmap;
	import->table = table;
	import->base.import_attach = attachment;
	return &import->base;

err_unmap:
	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_BIDIRECTIONAL);
err_detach:
	dma_buf_detach(dma_buf, attachment);
	dma_buf_put(dma_buf);
	return ERR_PTR(ret);
}

/**
 * augur_share_import - make an object of a dma-buf
 * @dev: The device of the file that imports.
 * @dma_buf: The dma-buf.
 *
 * An object of the same card is itself, whichever file it came from.
 */
struct drm_gem_object *augur_share_import(struct drm_device *dev, struct dma_buf *dma_buf)
{
	struct drm_gem_object *source = dma_buf->priv;
	struct augur_import *import;

	if (dma_buf->ops != &augur_share_ops)
		return augur_import_memory(dev, dma_buf);
	if (source->dev != dev) {
		import = augur_import_new(dev, dma_buf);
		if (!import)
			return ERR_PTR(-ENOMEM);
		import->source = to_augur_object(source);
		drm_gem_object_get(source);
		return &import->base;
	}
	drm_gem_object_get(source);
	return source;
}

/**
 * augur_share_object - the device memory behind a handle
 * @obj: Any object of the driver's.
 *
 * Return: the object, of any context of any card, or NULL for guest memory.
 */
struct augur_object *augur_share_object(struct drm_gem_object *obj)
{
	if (obj->funcs == &augur_gem_funcs)
		return to_augur_object(obj);
	return to_augur_import(obj)->source;
}
