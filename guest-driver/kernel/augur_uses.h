/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which objects the lists of a submission use: those who wait for an object wait
 * for its lists.
 */
#ifndef _AUGUR_USES_H_
#define _AUGUR_USES_H_

#include <linux/types.h>
#include <linux/ww_mutex.h>

struct augur_context;
struct augur_list;
struct drm_gem_object;

/**
 * struct augur_use - how the lists of a submission use an object
 * @reads: A bit for each list that reads it.
 * @writes: A bit for each list that writes it.
 */
struct augur_use {
	u64 reads;
	u64 writes;
};

/**
 * struct augur_uses - the objects that a submission uses
 * @context: Whose lists they are.
 * @objects: The objects, each once, referenced.
 * @uses: How each is used.
 * @count: Entries of both.
 * @room: Entries that there is memory for.
 * @list: The list that is being walked.
 * @last: The object used last: most lists name few, again and again.
 * @ticket: For the reservations' locks.
 */
struct augur_uses {
	struct augur_context *context;
	struct drm_gem_object **objects;
	struct augur_use *uses;
	u32 count;
	u32 room;
	u32 list;
	u32 last;
	struct ww_acquire_ctx ticket;
};

int augur_uses_note(void *uses, u64 address, bool write);
int augur_uses_add(struct augur_uses *uses, struct drm_gem_object *object, bool write);
int augur_uses_lock(struct augur_uses *uses, u32 lists);
void augur_uses_commit(struct augur_uses *uses, struct augur_list **lists, u32 count);
void augur_uses_unlock(struct augur_uses *uses);
void augur_uses_drop(struct augur_uses *uses);

#endif
