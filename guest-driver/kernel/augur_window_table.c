// SPDX-License-Identifier: GPL-2.0
/*
 * The windows that the card shows in its aperture: see augur_window_table.h.
 *
 * Slots are looked up by device address in a sorted array of slot numbers. A
 * change moves at most four bytes for each window behind it, which costs less
 * than a tree's cache misses at the number of windows that a card has.
 */
#include <linux/string.h>
#include <linux/types.h>

#include "augur_card_abi.h"
#include "augur_window_table.h"

/**
 * augur_window_place_valid - whether the card may show a window there
 * @place: What the card said.
 * @limits: What holds for the card.
 *
 * The first page of the aperture is the map header and belongs to no window.
 */
bool augur_window_place_valid(const struct augur_window_place *place,
			      const struct augur_window_limits *limits)
{
	u64 bytes = place->bytes;

	if (place->slot >= limits->slots)
		return false;
	if (bytes < AUGUR_PAGE_BYTES || bytes > limits->max_window_bytes ||
	    (bytes & (bytes - 1)))
		return false;
	if (place->address & (bytes - 1) || place->address + bytes < bytes)
		return false;
	return !(place->aperture_offset & (AUGUR_PAGE_BYTES - 1)) &&
	       place->aperture_offset >= AUGUR_PAGE_BYTES &&
	       place->aperture_offset <= limits->aperture_bytes &&
	       bytes <= limits->aperture_bytes - place->aperture_offset;
}

/**
 * augur_generation_newer - whether a generation comes after another
 * @generation: A generation of a slot.
 * @than: Another of the same slot.
 *
 * Generations may wrap.
 */
bool augur_generation_newer(u32 generation, u32 than)
{
	return (s32)(generation - than) > 0;
}

/* Windows before the first that ends behind @address in @context. */
static u32 augur_window_table_lower(const struct augur_window_table *table,
				    u32 context, u64 address)
{
	u32 low = 0, high = table->count;

	while (low < high) {
		u32 middle = low + (high - low) / 2;
		const struct augur_window_place *place =
			&table->windows[table->order[middle]].place;

		if (place->context < context ||
		    (place->context == context &&
		     place->address + (place->bytes - 1) < address))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/**
 * augur_window_table_first - the first window in a range of device addresses
 * @table: The table.
 * @context: Context id.
 * @address: Where the range starts.
 * @bytes: Bytes of the range, not zero.
 *
 * Return: the window, which may be revoked, or NULL.
 */
struct augur_window *augur_window_table_first(const struct augur_window_table *table,
					      u32 context, u64 address, u64 bytes)
{
	u32 index = augur_window_table_lower(table, context, address);
	struct augur_window *window;

	if (index == table->count)
		return NULL;
	window = &table->windows[table->order[index]];
	if (window->place.context != context ||
	    window->place.address > address + (bytes - 1))
		return NULL;
	return window;
}

/**
 * augur_window_table_find - the live window that shows a device address
 * @table: The table.
 * @context: Context id.
 * @address: Device address.
 *
 * Return: the window, or NULL when there is none or it is being revoked.
 */
struct augur_window *augur_window_table_find(const struct augur_window_table *table,
					     u32 context, u64 address)
{
	struct augur_window *window;

	window = augur_window_table_first(table, context, address, 1);
	if (!window || window->state != AUGUR_WINDOW_LIVE)
		return NULL;
	return window;
}

/**
 * augur_window_table_install - record a window that the card has published
 * @table: The table.
 * @place: The window, found valid; its slot is empty.
 *
 * Return: false when nothing was recorded: the generation is not newer than the
 * slot's last one, or the window overlaps another of its context.
 */
bool augur_window_table_install(struct augur_window_table *table,
				const struct augur_window_place *place)
{
	struct augur_window *window = &table->windows[place->slot];
	u32 index;

	if (window->used &&
	    !augur_generation_newer(place->generation, window->place.generation))
		return false;
	if (augur_window_table_first(table, place->context, place->address,
				     place->bytes))
		return false;

	index = augur_window_table_lower(table, place->context, place->address);
	memmove(&table->order[index + 1], &table->order[index],
		(table->count - index) * sizeof(table->order[0]));
	table->order[index] = place->slot;
	table->count++;

	memset(window, 0, sizeof(*window));
	window->place = *place;
	window->state = AUGUR_WINDOW_LIVE;
	window->used = true;
	return true;
}

/**
 * augur_window_table_remove - empty a slot
 * @table: The table.
 * @window: The slot, not empty. It remembers its generation.
 */
void augur_window_table_remove(struct augur_window_table *table,
			       struct augur_window *window)
{
	u32 index = augur_window_table_lower(table, window->place.context,
					     window->place.address);

	table->count--;
	memmove(&table->order[index], &table->order[index + 1],
		(table->count - index) * sizeof(table->order[0]));
	window->state = AUGUR_WINDOW_NONE;
	window->revoke_pending = false;
}

/**
 * augur_window_table_retire - remember that a generation has ended
 * @table: The table.
 * @slot: An empty slot.
 * @generation: The generation, which is never live from now on.
 */
void augur_window_table_retire(struct augur_window_table *table, u32 slot,
			       u32 generation)
{
	struct augur_window *window = &table->windows[slot];

	if (window->used &&
	    !augur_generation_newer(generation, window->place.generation))
		return;
	window->used = true;
	window->place.generation = generation;
}
