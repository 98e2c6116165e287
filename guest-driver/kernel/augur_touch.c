// SPDX-License-Identifier: GPL-2.0
/*
 * The touch ring, and what is done for it.
 *
 * A page fault that found its window without asking the card is noted in memory that
 * the card reads when it likes. Nobody waits: the oldest entries are overwritten. A
 * card that does not know the ring works without it.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>

#include "augur_control.h"
#include "augur_device.h"
#include "augur_touch.h"
#include "augur_window_table.h"

/* What the card reads late is of no use to it. */
#define AUGUR_TOUCHES		512

#define AUGUR_TOUCH_BYTES \
	(sizeof(struct augur_touch_ring) + AUGUR_TOUCHES * sizeof(struct augur_touch))

/**
 * augur_touches_init - make the ring
 * @adev: The card, its config read.
 *
 * Without memory for it the card learns less, which is no error.
 */
void augur_touches_init(struct augur_device *adev)
{
	if (adev->config.abi_minor >= 1)
		adev->touches.ring = alloc_pages_exact(AUGUR_TOUCH_BYTES,
						       GFP_KERNEL | __GFP_ZERO);
}

/**
 * augur_touches_fini - free the ring
 * @adev: The card, which was reset and reads it no more.
 */
void augur_touches_fini(struct augur_device *adev)
{
	if (adev->touches.ring)
		free_pages_exact(adev->touches.ring, AUGUR_TOUCH_BYTES);
	adev->touches.ring = NULL;
}

/**
 * augur_touches_start - tell the card of the ring
 * @adev: The card, in a new life.
 */
void augur_touches_start(struct augur_device *adev)
{
	struct augur_touch_ring_request *body;
	struct augur_request *request;

	if (!adev->touches.ring)
		return;
	request = augur_request_new(AUGUR_REQUEST_TOUCH_RING, 0, sizeof(*body), 0);
	if (!request)
		return;
	body = augur_request_body(request);
	body->address = cpu_to_le64(virt_to_phys(adev->touches.ring));
	body->entries = cpu_to_le32(AUGUR_TOUCHES);
	if (adev->config.abi_minor >= 2)
		body->flags = cpu_to_le32(AUGUR_TOUCH_RING_ZAPS);
	if (augur_request_call(adev, request))
		drm_info(&adev->drm, "the card does not read first touches\n");
	augur_request_put(request);
}

/**
 * augur_touch_report - note that a program uses pages of a window
 * @adev: The card.
 * @window: The window, live; the window lock is held.
 * @first_page: First page that was entered, counted from the window's start.
 * @pages: Pages that were entered, at most 255.
 * @write: The program writes.
 */
void augur_touch_report(struct augur_device *adev, const struct augur_window *window,
			u32 first_page, u32 pages, bool write)
{
	struct augur_touches *touches = &adev->touches;
	struct augur_touch *entries, *entry;

	if (!touches->ring)
		return;
	entries = (struct augur_touch *)(touches->ring + 1);
	entry = &entries[touches->next];
	/* A card that reads it now must not take it for the old entry, nor the new. */
	WRITE_ONCE(entry->sequence, 0);
	/* The entry is invalid before it changes. */
	virt_wmb();
	entry->slot = cpu_to_le32(window->place.slot);
	entry->generation = cpu_to_le32(window->place.generation);
	entry->first_page = cpu_to_le16(first_page);
	entry->pages = pages;
	entry->flags = write ? AUGUR_TOUCH_WRITE : 0;
	/* It is whole before it is valid. */
	virt_wmb();
	WRITE_ONCE(entry->sequence, cpu_to_le32(lower_32_bits(touches->written + 1)));
	touches->next = touches->next + 1 < AUGUR_TOUCHES ? touches->next + 1 : 0;
	touches->written++;
	/* The card sees the entry before the count that says so. */
	virt_store_release(&touches->ring->written, cpu_to_le64(touches->written));
}

/**
 * augur_touch_zap - have the next use of a window reported
 * @adev: The card.
 * @slot: Slot of the window.
 * @generation: Its generation.
 *
 * The window stays; pages of it that are used enter page tables again and are noted.
 * Whoever handles events is the only one to take windows away, so that the range is
 * the window's until this returns, unless its object is destroyed: then it is in no
 * page table.
 */
void augur_touch_zap(struct augur_device *adev, u32 slot, u32 generation)
{
	struct augur_windows *windows = &adev->windows;
	struct augur_window *window;
	u64 map_offset;
	bool entered;
	u32 bytes;

	if (slot >= adev->config.window_slots)
		return;
	window = &windows->table.windows[slot];
	mutex_lock(&windows->lock);
	entered = window->state == AUGUR_WINDOW_LIVE && window->mapped &&
		  window->place.generation == generation;
	map_offset = window->map_offset;
	bytes = window->place.bytes;
	mutex_unlock(&windows->lock);
	if (entered)
		unmap_mapping_range(adev->drm.anon_inode->i_mapping, map_offset,
				    bytes, 1);
}
