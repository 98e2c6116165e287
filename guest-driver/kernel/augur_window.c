// SPDX-License-Identifier: GPL-2.0
/*
 * Windows in use.
 *
 * The event worker publishes and revokes windows, fault handlers enter them into
 * page tables; both go through adev->windows.lock. A window is entered only while
 * it is live. A revoke marks it first, then unmaps it without the lock, and reads
 * last whether it was written: after the mark nobody enters it, after the unmap
 * nobody writes it.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "augur_context.h"
#include "augur_device.h"
#include "augur_trace.h"
#include "augur_window.h"

/*
 * A demand window stays until the program that asked for it has entered it and
 * then AUGUR_LEASE_USE_MS longer, but at most AUGUR_LEASE_MS in all: without it
 * two programs could take each other's windows for ever.
 */
#define AUGUR_LEASE_MS		20
#define AUGUR_LEASE_USE_MS	2

/**
 * augur_windows_init - make the window table
 * @adev: The card, its config read.
 */
int augur_windows_init(struct augur_device *adev)
{
	struct augur_windows *windows = &adev->windows;
	u32 slots = adev->config.window_slots;

	mutex_init(&windows->lock);
	INIT_LIST_HEAD(&windows->waiters);
	init_waitqueue_head(&windows->shown);
	xa_init(&windows->contexts);
	windows->limits.aperture_bytes = adev->config.aperture_bytes;
	windows->limits.max_window_bytes = adev->config.max_window_bytes;
	windows->limits.slots = slots;
	windows->table.slots = slots;
	windows->table.windows = kvcalloc(slots, sizeof(struct augur_window), GFP_KERNEL);
	windows->leases = kvcalloc(slots, sizeof(u32), GFP_KERNEL);
	if (!windows->table.windows || !windows->leases) {
		augur_windows_fini(adev);
		return -ENOMEM;
	}
	return 0;
}

/**
 * augur_windows_fini - free the window table
 * @adev: The card.
 */
void augur_windows_fini(struct augur_device *adev)
{
	kvfree(adev->windows.table.windows);
	kvfree(adev->windows.leases);
	xa_destroy(&adev->windows.contexts);
	mutex_destroy(&adev->windows.lock);
}

static void augur_windows_end_lease(struct augur_windows *windows, u32 slot)
{
	for (u32 i = 0; i < windows->lease_count; i++) {
		if (windows->leases[i] != slot)
			continue;
		windows->leases[i] = windows->leases[--windows->lease_count];
		return;
	}
}

/* From here on nobody enters the window. The lock is held. */
static void augur_windows_mark_revoked(struct augur_windows *windows,
				       struct augur_window *window)
{
	window->state = AUGUR_WINDOW_REVOKED;
	if (window->revoke_pending)
		augur_windows_end_lease(windows, window->place.slot);
	window->revoke_pending = false;
}

/*
 * Takes a window out of page tables and of the table. The lock is held, and
 * dropped meanwhile. Event worker only: nobody else empties a slot that is not live.
 * Return: whether the guest may have written the window.
 */
static bool augur_windows_withdraw(struct augur_device *adev,
				   struct augur_window *window)
{
	struct augur_windows *windows = &adev->windows;

	augur_windows_mark_revoked(windows, window);
	if (window->mapped) {
		u64 map_offset = window->map_offset;
		u32 bytes = window->place.bytes;

		mutex_unlock(&windows->lock);
		unmap_mapping_range(adev->drm.anon_inode->i_mapping, map_offset,
				    bytes, 1);
		mutex_lock(&windows->lock);
	}
	augur_window_table_remove(&windows->table, window);
	return window->dirty;
}

/**
 * augur_windows_publish - record a window that the card shows
 * @adev: The card.
 * @place: The window.
 * @demand: It answers a fault.
 *
 * Event worker only.
 *
 * Return: false when it is stale.
 */
bool augur_windows_publish(struct augur_device *adev,
			   const struct augur_window_place *place, bool demand)
{
	struct augur_windows *windows = &adev->windows;
	struct augur_window *window;
	bool live;

	if (!augur_window_place_valid(place, &windows->limits)) {
		drm_err_ratelimited(&adev->drm,
				    "slot %u: a window of %u bytes at %#llx of the aperture\n",
				    place->slot, place->bytes, place->aperture_offset);
		return false;
	}

	mutex_lock(&windows->lock);
	window = &windows->table.windows[place->slot];
	/* The card uses slots of destroyed objects again without a revoke. */
	if (window->state != AUGUR_WINDOW_NONE &&
	    augur_generation_newer(place->generation, window->place.generation))
		augur_windows_withdraw(adev, window);
	live = augur_window_table_install(&windows->table, place);
	if (live) {
		trace_augur_window_publish(place, demand);
		window->demand = demand;
		window->lease_end = jiffies + msecs_to_jiffies(AUGUR_LEASE_MS);
		augur_windows_wake(adev, place->context, place->address,
				   place->bytes, 0);
	}
	mutex_unlock(&windows->lock);
	return live;
}

/**
 * augur_windows_revoke - begin to give a window back
 * @adev: The card.
 * @slot: Its slot, in range.
 * @generation: Its generation.
 * @keep_lease: Put it off while its lease runs.
 *
 * Event worker only.
 */
enum augur_revoke augur_windows_revoke(struct augur_device *adev, u32 slot,
				       u32 generation, bool keep_lease)
{
	struct augur_windows *windows = &adev->windows;
	struct augur_window *window = &windows->table.windows[slot];
	enum augur_revoke result = AUGUR_REVOKE_BEGUN;

	mutex_lock(&windows->lock);
	if (window->used && augur_generation_newer(window->place.generation, generation)) {
		result = AUGUR_REVOKE_STALE;
	} else if (window->state == AUGUR_WINDOW_NONE ||
		   window->place.generation != generation) {
		/* Its MAP was dropped, so the guest never wrote it. */
		if (window->state != AUGUR_WINDOW_NONE)
			augur_windows_withdraw(adev, window);
		augur_window_table_retire(&windows->table, slot, generation);
	} else if (keep_lease && window->demand &&
		   time_before(jiffies, window->lease_end)) {
		if (!window->revoke_pending)
			windows->leases[windows->lease_count++] = slot;
		window->revoke_pending = true;
		result = AUGUR_REVOKE_LATER;
	} else {
		augur_windows_mark_revoked(windows, window);
	}
	mutex_unlock(&windows->lock);
	return result;
}

/**
 * augur_windows_end_revoke - give a window back
 * @adev: The card.
 * @slot: Slot of a window whose revoke has begun.
 * @generation: Its generation.
 *
 * Event worker only.
 *
 * Return: AUGUR_ACK_* as the acknowledgment says it.
 */
u32 augur_windows_end_revoke(struct augur_device *adev, u32 slot, u32 generation)
{
	struct augur_windows *windows = &adev->windows;
	struct augur_window *window = &windows->table.windows[slot];
	u32 flags = 0;

	mutex_lock(&windows->lock);
	if (window->state == AUGUR_WINDOW_REVOKED &&
	    window->place.generation == generation) {
		if (augur_windows_withdraw(adev, window))
			flags |= AUGUR_ACK_DIRTY;
		if (window->mapped && adev->config.abi_minor >= 1)
			flags |= AUGUR_ACK_USED;
	}
	mutex_unlock(&windows->lock);
	return flags;
}

/**
 * augur_windows_next_lease - find a revoke that was put off
 * @adev: The card.
 * @slot: Out: slot of the one whose lease ends first.
 * @generation: Out: its generation.
 * @delay: Out: ticks until its lease ends.
 *
 * Event worker only.
 *
 * Return: false when no revoke waits.
 */
bool augur_windows_next_lease(struct augur_device *adev, u32 *slot, u32 *generation,
			      unsigned long *delay)
{
	struct augur_windows *windows = &adev->windows;
	struct augur_window *first = NULL;
	unsigned long now = jiffies;

	mutex_lock(&windows->lock);
	for (u32 i = 0; i < windows->lease_count; i++) {
		struct augur_window *window = &windows->table.windows[windows->leases[i]];

		if (!first || time_before(window->lease_end, first->lease_end))
			first = window;
	}
	if (first) {
		*slot = first->place.slot;
		*generation = first->place.generation;
		*delay = time_before(now, first->lease_end) ? first->lease_end - now : 0;
	}
	mutex_unlock(&windows->lock);
	return first;
}

/**
 * augur_window_entered - note that a page of a window was entered
 * @adev: The card.
 * @window: The window, live; the lock is held.
 * @map_offset: Where the window starts in the device file's offsets.
 */
void augur_window_entered(struct augur_device *adev, struct augur_window *window,
			  u64 map_offset)
{
	unsigned long end = jiffies + msecs_to_jiffies(AUGUR_LEASE_USE_MS);

	if (window->mapped)
		return;
	window->mapped = true;
	window->map_offset = map_offset;
	if (time_before(end, window->lease_end))
		window->lease_end = end;
	if (window->revoke_pending)
		mod_delayed_work(adev->events.workqueue, &adev->events.lease_work,
				 end - jiffies);
}

/**
 * augur_windows_forget - drop the windows of a range of a context's addresses
 * @adev: The card, which has freed the range.
 * @context: Context id.
 * @address: Where the range starts. It is in no page table.
 * @bytes: Bytes of the range.
 */
void augur_windows_forget(struct augur_device *adev, u32 context, u64 address,
			  u64 bytes)
{
	struct augur_windows *windows = &adev->windows;
	struct augur_window *window;
	u64 end = address + bytes;

	mutex_lock(&windows->lock);
	while (address < end &&
	       (window = augur_window_table_first(&windows->table, context, address,
						  end - address))) {
		address = window->place.address + window->place.bytes;
		/* One that is being revoked is removed by the event worker. */
		if (window->state != AUGUR_WINDOW_LIVE)
			continue;
		if (window->revoke_pending)
			augur_windows_end_lease(windows, window->place.slot);
		augur_window_table_remove(&windows->table, window);
	}
	mutex_unlock(&windows->lock);
}

/**
 * augur_windows_forget_context - drop all windows of a context
 * @adev: The card.
 * @context: Context id. Its windows may be in page tables.
 *
 * Event worker only.
 */
void augur_windows_forget_context(struct augur_device *adev, u32 context)
{
	struct augur_windows *windows = &adev->windows;
	struct augur_window *window;

	mutex_lock(&windows->lock);
	while ((window = augur_window_table_first(&windows->table, context, 0, U64_MAX)))
		augur_windows_withdraw(adev, window);
	mutex_unlock(&windows->lock);
}

/**
 * augur_windows_hide - keep programs from all windows
 * @adev: A card whose aperture is about to show nothing.
 */
void augur_windows_hide(struct augur_device *adev)
{
	mutex_lock(&adev->windows.lock);
	adev->windows.hidden = true;
	mutex_unlock(&adev->windows.lock);
	unmap_mapping_range(adev->drm.anon_inode->i_mapping, 0, 0, 1);
}

/**
 * augur_windows_show - let programs see windows again
 * @adev: The card.
 */
void augur_windows_show(struct augur_device *adev)
{
	mutex_lock(&adev->windows.lock);
	adev->windows.hidden = false;
	mutex_unlock(&adev->windows.lock);
	wake_up_all(&adev->windows.shown);
}

/**
 * augur_windows_begin_listing - begin to compare all windows with the card's list
 * @adev: The card.
 */
void augur_windows_begin_listing(struct augur_device *adev)
{
	struct augur_window_table *table = &adev->windows.table;
	struct augur_window *window = NULL;

	mutex_lock(&adev->windows.lock);
	while ((window = augur_window_table_next(table, window)))
		window->listed = false;
	mutex_unlock(&adev->windows.lock);
}

/**
 * augur_windows_mark_listed - note that the card listed a window
 * @adev: The card.
 * @slot: Its slot, in range.
 * @generation: Its generation.
 */
void augur_windows_mark_listed(struct augur_device *adev, u32 slot, u32 generation)
{
	struct augur_window *window = &adev->windows.table.windows[slot];

	mutex_lock(&adev->windows.lock);
	if (window->place.generation == generation)
		window->listed = true;
	mutex_unlock(&adev->windows.lock);
}

/**
 * augur_windows_end_listing - drop the windows that the card did not list
 * @adev: The card.
 *
 * Event worker only.
 */
void augur_windows_end_listing(struct augur_device *adev)
{
	struct augur_window_table *table = &adev->windows.table;
	struct augur_window *window = NULL;

	mutex_lock(&adev->windows.lock);
	while ((window = augur_window_table_next(table, window))) {
		if (window->listed)
			continue;
		augur_windows_withdraw(adev, window);
		/* The lock was dropped: others may have gone too. */
		window = NULL;
	}
	mutex_unlock(&adev->windows.lock);
}
