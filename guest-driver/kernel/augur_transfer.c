// SPDX-License-Identifier: GPL-2.0
/*
 * Program memory that command lists use: pinned from submission until the card has
 * used the list. The segment table that the card reads is the only record of what
 * is pinned.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <drm/augur_accel.h>

#include "augur_queue.h"
#include "augur_segment.h"
#include "augur_transfer.h"

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

/* Notes one pinned page, of which the transfer covers @bytes at @offset. */
static int augur_transfer_add(struct augur_transfer_memory *memory, struct page *page,
			      u32 offset, u32 bytes)
{
	u64 address = page_to_phys(page) + offset;
	int ret;

	if (augur_segment_append(augur_transfer_last(memory), address, bytes))
		return 0;
	ret = augur_transfer_add_page(memory);
	if (!ret)
		augur_segment_append(augur_transfer_last(memory), address, bytes);
	return ret;
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

	for (int i = 0; i < pinned; i++) {
		u32 bytes = min_t(u64, left - covered, PAGE_SIZE - offset);

		if (memory->writes && !folio_test_anon(page_folio(batch[i])))
			list->signal_late = true;
		ret = augur_transfer_add(memory, batch[i], offset, bytes);
		if (ret) {
			unpin_user_pages(batch + i, pinned - i);
			return ret;
		}
		covered += bytes;
		offset = 0;
	}
	return covered;
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

	if (!left || left > AUGUR_MAX_TRANSFER_BYTES || transfer->pad ||
	    transfer->flags & ~DRM_AUGUR_TRANSFER_WRITES_MEMORY)
		return -EINVAL;
	if (transfer->address + left < left ||
	    !access_ok(u64_to_user_ptr(transfer->address), left))
		return -EFAULT;

	memory->writes = transfer->flags & DRM_AUGUR_TRANSFER_WRITES_MEMORY;
	pages = DIV_ROUND_UP_ULL(offset_in_page(address) + left, PAGE_SIZE);
	memory->pages = kvcalloc(DIV_ROUND_UP_ULL(pages, AUGUR_SEGMENTS_PER_TABLE_PAGE),
				 sizeof(*memory->pages), GFP_KERNEL_ACCOUNT);
	batch = (void *)__get_free_page(GFP_KERNEL);
	ret = memory->pages && batch ? augur_transfer_add_page(memory) : -ENOMEM;
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
 * augur_transfers_release - unpin the memory of a list's transfers
 * @list: A list that the card does not use. May sleep.
 */
void augur_transfers_release(struct augur_list *list)
{
	for (u32 i = 0; i < list->transfer_count; i++) {
		struct augur_transfer_memory *memory = &list->transfers[i];

		for (u32 j = 0; j < memory->count; j++) {
			augur_transfer_unpin(memory, memory->pages[j]);
			free_page((unsigned long)memory->pages[j]);
		}
		kvfree(memory->pages);
	}
	kvfree(list->transfers);
	list->transfers = NULL;
	list->transfer_count = 0;
}
