/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Waits that look at a ring themselves before they sleep until its interrupt.
 *
 * An interrupt costs a virtual machine several times what the card needs for a
 * small request. While somebody looks at a ring its interrupts are off.
 */
#ifndef _AUGUR_LOOK_H_
#define _AUGUR_LOOK_H_

#include <linux/types.h>

u64 augur_look_until(u64 moved_bytes);
bool augur_look_again(u64 until);

#endif
