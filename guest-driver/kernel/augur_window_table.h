/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The windows that the card shows in its aperture, as the driver knows them.
 *
 * Pure logic: no locks, no allocation, no kernel objects. It is compiled for the
 * host as well and tested there. augur_window.c owns the lock and the memory.
 */
#ifndef _AUGUR_WINDOW_TABLE_H_
#define _AUGUR_WINDOW_TABLE_H_

#include <linux/types.h>

/**
 * enum augur_window_state - what a slot holds
 * @AUGUR_WINDOW_NONE: Nothing; the slot's last generation has ended.
 * @AUGUR_WINDOW_LIVE: A window that may be entered into page tables.
 * @AUGUR_WINDOW_REVOKED: A window that is leaving page tables now.
 */
enum augur_window_state {
	AUGUR_WINDOW_NONE = 0,
	AUGUR_WINDOW_LIVE,
	AUGUR_WINDOW_REVOKED,
};

/**
 * struct augur_window_place - a window as the card describes it
 * @address: First device address, a multiple of @bytes.
 * @aperture_offset: Where it starts in the aperture.
 * @context: Context id.
 * @slot: Slot.
 * @generation: Generation of the slot.
 * @bytes: Bytes, a power of two.
 */
struct augur_window_place {
	u64 address;
	u64 aperture_offset;
	u32 context;
	u32 slot;
	u32 generation;
	u32 bytes;
};

/**
 * struct augur_window - one slot
 * @place: What the card said of it.
 * @map_offset: Where it starts in the device file's offsets, while @mapped.
 * @lease_end: Tick until which a revoke is put off, for demand windows.
 * @state: What the slot holds.
 * @used: Some generation of this slot was seen.
 * @mapped: A page of it was entered into a page table.
 * @dirty: The guest may have written it.
 * @demand: It answers a fault, so that it has a lease.
 * @revoke_pending: The card took it back; the revoke waits for the lease's end.
 * @listed: Found by the resync that runs now.
 * @left: Windows before it that are below it in the table.
 * @right: Windows behind it that are below it in the table.
 */
struct augur_window {
	struct augur_window_place place;
	u64 map_offset;
	unsigned long lease_end;
	u8 state;
	bool used;
	bool mapped;
	bool dirty;
	bool demand;
	bool revoke_pending;
	bool listed;
	struct augur_window *left;
	struct augur_window *right;
};

/**
 * struct augur_window_table - all slots of a card
 * @windows: The slots, @slots of them.
 * @root: Of the tree of slots that are not empty, or NULL.
 * @slots: Slots.
 * @count: Slots that are not empty.
 */
struct augur_window_table {
	struct augur_window *windows;
	struct augur_window *root;
	u32 slots;
	u32 count;
};

/**
 * struct augur_window_limits - what a window of this card must obey
 * @aperture_bytes: Bytes of the aperture.
 * @max_window_bytes: Bytes of the largest window.
 * @slots: Slots.
 */
struct augur_window_limits {
	u64 aperture_bytes;
	u32 max_window_bytes;
	u32 slots;
};

bool augur_window_place_valid(const struct augur_window_place *place,
			      const struct augur_window_limits *limits);
bool augur_generation_newer(u32 generation, u32 than);
struct augur_window *augur_window_table_find(const struct augur_window_table *table,
					     u32 context, u64 address);
struct augur_window *augur_window_table_first(const struct augur_window_table *table,
					      u32 context, u64 address, u64 bytes);
struct augur_window *augur_window_table_next(const struct augur_window_table *table,
					     const struct augur_window *window);
bool augur_window_table_install(struct augur_window_table *table,
				const struct augur_window_place *place);
void augur_window_table_remove(struct augur_window_table *table,
			       struct augur_window *window);
void augur_window_table_retire(struct augur_window_table *table, u32 slot,
			       u32 generation);

#endif
