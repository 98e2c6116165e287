// SPDX-License-Identifier: GPL-2.0
/*
 * The windows that the card shows in its aperture: see augur_window_table.h.
 *
 * Windows are looked up by context and device address in a treap: a search tree in
 * which a window has a higher priority than those below it. Priorities are hashed
 * from slots, so that paths are short in whatever order windows come and go.
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

/* Priority of a slot, another for each: every bit depends on all bits of the slot. */
static u32 augur_window_priority(u32 slot)
{
	slot = (slot ^ slot >> 16) * 0x7feb352d;
	slot = (slot ^ slot >> 15) * 0x846ca68b;
	return slot ^ slot >> 16;
}

static bool augur_window_above(const struct augur_window *a, const struct augur_window *b)
{
	return augur_window_priority(a->place.slot) > augur_window_priority(b->place.slot);
}

/* Whether a window ends before an address, which may be another context's. */
static bool augur_window_before(const struct augur_window *window, u32 context, u64 address)
{
	const struct augur_window_place *place = &window->place;

	return place->context < context ||
	       (place->context == context && place->address + (place->bytes - 1) < address);
}

/* The first window that does not end before @address in @context, or NULL. */
static struct augur_window *augur_window_table_lower(const struct augur_window_table *table,
						     u32 context, u64 address)
{
	struct augur_window *window = table->root;
	struct augur_window *lower = NULL;

	while (window) {
		if (augur_window_before(window, context, address)) {
			window = window->right;
		} else {
			lower = window;
			window = window->left;
		}
	}
	return lower;
}

/**
 * augur_window_table_next - walk through the windows
 * @table: The table.
 * @window: A window, or NULL.
 *
 * Return: the window behind @window by context and device address, the first one for
 * NULL, or NULL at the end.
 */
struct augur_window *augur_window_table_next(const struct augur_window_table *table,
					     const struct augur_window *window)
{
	if (!window)
		return augur_window_table_lower(table, 0, 0);
	return augur_window_table_lower(table, window->place.context,
					window->place.address + window->place.bytes);
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
	struct augur_window *window = augur_window_table_lower(table, context, address);

	if (!window || window->place.context != context ||
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

/* Where the link to a window is, or would be above others of a lower priority. */
static struct augur_window **augur_window_table_link(struct augur_window_table *table,
						     const struct augur_window *window)
{
	struct augur_window **link = &table->root;

	while (*link && augur_window_above(*link, window))
		link = augur_window_before(*link, window->place.context,
					   window->place.address) ?
		       &(*link)->right : &(*link)->left;
	return link;
}

/* Puts a window above those that have a lower priority. */
static void augur_window_table_insert(struct augur_window_table *table,
				      struct augur_window *window)
{
	struct augur_window **link = augur_window_table_link(table, window);
	struct augur_window **left = &window->left, **right = &window->right;
	struct augur_window *below = *link;

	*link = window;
	while (below) {
		if (augur_window_before(below, window->place.context,
					window->place.address)) {
			*left = below;
			left = &below->right;
			below = *left;
		} else {
			*right = below;
			right = &below->left;
			below = *right;
		}
	}
	*left = NULL;
	*right = NULL;
}

/* Puts what is below a window in its place. */
static void augur_window_table_delete(struct augur_window_table *table,
				      struct augur_window *window)
{
	struct augur_window **link = augur_window_table_link(table, window);
	struct augur_window *left = window->left, *right = window->right;

	while (left && right) {
		if (augur_window_above(left, right)) {
			*link = left;
			link = &left->right;
			left = *link;
		} else {
			*link = right;
			link = &right->left;
			right = *link;
		}
	}
	*link = left ? left : right;
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

	if (window->used &&
	    !augur_generation_newer(place->generation, window->place.generation))
		return false;
	if (augur_window_table_first(table, place->context, place->address,
				     place->bytes))
		return false;

	memset(window, 0, sizeof(*window));
	window->place = *place;
	window->state = AUGUR_WINDOW_LIVE;
	window->used = true;
	augur_window_table_insert(table, window);
	table->count++;
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
	augur_window_table_delete(table, window);
	table->count--;
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
