// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that command lists use. Program memory is pinned from submission until the
 * card has used the list; the segment table that the card reads is the only record
 * of what is pinned. Buffers that were imported stay where they are as long as they
 * are referenced.
 */
#include <linux/dma-buf.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <drm/augur_accel.h>

#include "augur_copy.h"
#include "augur_list.h"
#include "augur_segment.h"
#include "augur_share.h"
#include "augur_transfer.h"
#include "augur_uses.h"

/* Pages pinned at a time. */
#define AUGUR_PIN_BATCH		(PAGE_SIZE / sizeof(struct page *))

static struct augur_segment_page *augur_transfer_last(const struct augur_transfer_memory *memory)
{
	return memory->pages[memory->count - 1];
}

static int augur_transfer_add_page(struct augur_transfer_memory *memory)
{
	struct augur_segment_page *page;

	page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;
	if (memory->count)
		augur_segment_link(augur_transfer_last(memory), virt_to_phys(page));
	memory->pages[memory->count++] = page;
	return 0;
}

/* Notes a run of guest memory that the transfer covers. */
static int augur_transfer_add(struct augur_transfer_memory *memory, u64 address, u32 bytes)
{
	int ret;

	if (augur_segment_append(augur_transfer_last(memory), address, bytes))
		return 0;
	ret = augur_transfer_add_page(memory);
	if (!ret)
		augur_segment_append(augur_transfer_last(memory), address, bytes);
	return ret;
}

/*
 * How many of the pages from the first on lie behind each other in one folio: memory
 * in huge pages is noted by a look at each page, not by a call.
 */
static int augur_transfer_run(struct page **pages, int count)
{
	struct folio *folio = page_folio(pages[0]);
	unsigned long here = folio_nr_pages(folio) - folio_page_idx(folio, pages[0]);
	unsigned long first = page_to_pfn(pages[0]);
	int most = min_t(unsigned long, count, here);
	int run = 1;

	while (run < most && page_to_pfn(pages[run]) == first + run)
		run++;
	return run;
}

/* Pins the next pages. Return: bytes of the transfer that they cover. */
static int augur_transfer_pin_batch(struct augur_list *list,
				    struct augur_transfer_memory *memory,
				    struct page **batch, unsigned long address, u64 left)
{
	unsigned int flags = memory->writes ? FOLL_WRITE : 0;
	u32 offset = offset_in_page(address);
	u32 covered = 0;
	int wanted, pinned, ret;

	wanted = min_t(u64, DIV_ROUND_UP_ULL(offset + left, PAGE_SIZE), AUGUR_PIN_BATCH);
	pinned = pin_user_pages_fast(address & PAGE_MASK, wanted, flags, batch);
	if (pinned <= 0)
		return pinned ?: -EFAULT;

	for (int i = 0, run; i < pinned; i += run) {
		u64 bytes;

		run = augur_transfer_run(batch + i, pinned - i);
		bytes = min_t(u64, left - covered, run * PAGE_SIZE - offset);
		if (memory->writes && !folio_test_anon(page_folio(batch[i])))
			list->signal_late = true;
		ret = augur_transfer_add(memory, page_to_phys(batch[i]) + offset, bytes);
		if (ret) {
			unpin_user_pages(batch + i, pinned - i);
			return ret;
		}
		covered += bytes;
		offset = 0;
	}
	return covered;
}

/* Makes room for a segment table of so many segments, and its first page. */
static int augur_transfer_begin(struct augur_transfer_memory *memory, u64 segments)
{
	memory->pages = kvcalloc(DIV_ROUND_UP_ULL(segments, AUGUR_SEGMENTS_PER_TABLE_PAGE),
				 sizeof(*memory->pages), GFP_KERNEL_ACCOUNT);
	return memory->pages ? augur_transfer_add_page(memory) : -ENOMEM;
}

/**
 * augur_transfer_pin - pin the memory of a transfer
 * @list: The list.
 * @memory: Where it is noted; released with the list, after an error too.
 * @transfer: What the program asks for.
 *
 * No lock is held: the memory may be a mapping of this driver, whose fault then
 * fails here with -EFAULT.
 */
int augur_transfer_pin(struct augur_list *list, struct augur_transfer_memory *memory,
		       const struct drm_augur_transfer *transfer)
{
	unsigned long address = transfer->address;
	u64 left = transfer->size;
	struct page **batch;
	u64 pages;
	int ret;

	if (!left || left > AUGUR_MAX_TRANSFER_BYTES || transfer->handle ||
	    transfer->flags & ~DRM_AUGUR_TRANSFER_WRITES_MEMORY)
		return -EINVAL;
	if (transfer->address + left < left ||
	    !access_ok(u64_to_user_ptr(transfer->address), left))
		return -EFAULT;

	memory->writes = transfer->flags & DRM_AUGUR_TRANSFER_WRITES_MEMORY;
	pages = DIV_ROUND_UP_ULL(offset_in_page(address) + left, PAGE_SIZE);
	batch = (void *)__get_free_page(GFP_KERNEL);
	ret = batch ? augur_transfer_begin(memory, pages) : -ENOMEM;
	while (!ret && left) {
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		ret = augur_transfer_pin_batch(list, memory, batch, address, left);
		if (ret > 0) {
			address += ret;
			left -= ret;
			ret = 0;
		}
	}
	free_page((unsigned long)batch);
	return ret;
}

/* Notes the parts of a buffer that a transfer covers. */
static int augur_transfer_add_buffer(struct augur_transfer_memory *memory,
				     const struct sg_table *table, u64 offset, u64 left)
{
	struct scatterlist *sg;
	int ret, i;

	for_each_sgtable_dma_sg(table, sg, i) {
		u64 length = sg_dma_len(sg);
		u32 bytes;

		if (offset >= length) {
			offset -= length;
			continue;
		}
		bytes = min(length - offset, left);
		ret = augur_transfer_add(memory, sg_dma_address(sg) + offset, bytes);
		if (ret)
			return ret;
		offset = 0;
		left -= bytes;
		if (!left)
			return 0;
	}
	return -EINVAL;
}

/**
 * augur_transfer_buffer - use a buffer that was imported
 * @file: The open file.
 * @uses: The submission's objects.
 * @memory: Where it is noted; released with the list, after an error too.
 * @transfer: What the program asks for.
 */
int augur_transfer_buffer(struct drm_file *file, struct augur_uses *uses,
			  struct augur_transfer_memory *memory,
			  const struct drm_augur_transfer *transfer)
{
	struct augur_import *import;
	int ret;

	if (transfer->flags & ~(DRM_AUGUR_TRANSFER_WRITES_MEMORY | DRM_AUGUR_TRANSFER_BUFFER))
		return -EINVAL;
	memory->writes = transfer->flags & DRM_AUGUR_TRANSFER_WRITES_MEMORY;
	memory->buffer = drm_gem_object_lookup(file, transfer->handle);
	if (!memory->buffer)
		return -ENOENT;
	if (augur_share_object(memory->buffer))
		return -EOPNOTSUPP;
	import = to_augur_import(memory->buffer);
	if (memory->writes && !import->writable)
		return -EACCES;
	if (!transfer->size || transfer->size > AUGUR_MAX_TRANSFER_BYTES ||
	    transfer->address >= import->base.size ||
	    transfer->size > import->base.size - transfer->address)
		return -EINVAL;
	ret = augur_transfer_begin(memory, import->table->nents);
	if (!ret)
		ret = augur_transfer_add_buffer(memory, import->table, transfer->address,
						transfer->size);
	if (!ret)
		ret = augur_uses_add(uses, memory->buffer, memory->writes);
	return ret;
}

/**
 * augur_transfer_bounce - use the memory of a copy
 * @list: The list, which has no transfer yet.
 * @bounce: The memory.
 * @bytes: Bytes of it, not zero.
 */
int augur_transfer_bounce(struct augur_list *list, struct augur_bounce *bounce, u32 bytes)
{
	struct augur_transfer_memory *memory = kvcalloc(1, sizeof(*memory), GFP_KERNEL);
	int ret;

	if (!memory)
		return -ENOMEM;
	list->transfers = memory;
	list->transfer_count = 1;
	kref_get(&bounce->ref);
	memory->bounce = bounce;
	ret = augur_transfer_begin(memory, bounce->count);
	for (u32 i = 0; bytes && !ret; i++) {
		u32 part = min_t(u32, bytes, PAGE_SIZE);

		ret = augur_transfer_add(memory, page_to_phys(bounce->pages[i]), part);
		bytes -= part;
	}
	return ret;
}

static void augur_transfer_unpin(const struct augur_transfer_memory *memory,
				 const struct augur_segment_page *table)
{
	for (u32 i = 0; i < le32_to_cpu(table->head.count); i++) {
		u64 address = le64_to_cpu(table->segments[i].address);
		u32 bytes = le32_to_cpu(table->segments[i].bytes);

		unpin_user_page_range_dirty_lock(pfn_to_page(PHYS_PFN(address)),
						 DIV_ROUND_UP_ULL(offset_in_page(address) +
								  (u64)bytes, PAGE_SIZE),
						 memory->writes);
	}
}

/**
 * augur_transfers_release - give the memory of a list's transfers back
 * @list: A list that the card does not use. May sleep.
 */
void augur_transfers_release(struct augur_list *list)
{
	for (u32 i = 0; i < list->transfer_count; i++) {
		struct augur_transfer_memory *memory = &list->transfers[i];

		for (u32 j = 0; j < memory->count; j++) {
			if (!memory->buffer && !memory->bounce)
				augur_transfer_unpin(memory, memory->pages[j]);
			free_page((unsigned long)memory->pages[j]);
		}
		kvfree(memory->pages);
		if (memory->buffer)
			drm_gem_object_put(memory->buffer);
		if (memory->bounce)
			augur_bounce_put(memory->bounce);
	}
	kvfree(list->transfers);
	list->transfers = NULL;
	list->transfer_count = 0;
}
