/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The touch ring: tells the card, without leaving the guest, what programs use.
 */
#ifndef _AUGUR_TOUCH_H_
#define _AUGUR_TOUCH_H_

#include <linux/types.h>

struct augur_device;
struct augur_touch_ring;
struct augur_window;

/**
 * struct augur_touches - the touch ring; guarded by the window lock
 * @ring: The ring in memory that the card reads, or NULL.
 * @written: Entries ever written.
 * @next: Place of the next entry.
 */
struct augur_touches {
	struct augur_touch_ring *ring;
	u64 written;
	u32 next;
};

void augur_touches_init(struct augur_device *adev);
void augur_touches_fini(struct augur_device *adev);
void augur_touches_start(struct augur_device *adev);
void augur_touch_report(struct augur_device *adev, const struct augur_window *window,
			u32 first_page, u32 pages, bool write);
void augur_touch_zap(struct augur_device *adev, u32 slot, u32 generation);

#endif
