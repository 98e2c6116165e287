// SPDX-License-Identifier: GPL-2.0
/*
 * For how long a wait looks at a ring itself.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "augur_look.h"

static unsigned int look_us = 200;
module_param(look_us, uint, 0644);
MODULE_PARM_DESC(look_us,
		 "Microseconds a wait looks at the ring itself before it sleeps until the interrupt, twice as many at most while memory is moved");

/* At most this many bytes are moved in a nanosecond. */
#define AUGUR_LOOK_BYTES_PER_NS	16

/**
 * augur_look_until - when a wait that begins now should go to sleep
 * @moved_bytes: Bytes of memory that are moved meanwhile, which make the wait look for
 *	up to twice as long: to sleep and be woken takes as long as to move megabytes.
 *
 * Return: what ktime_get_ns() returns then.
 */
u64 augur_look_until(u64 moved_bytes)
{
	u64 look = (u64)READ_ONCE(look_us) * NSEC_PER_USEC;

	return ktime_get_ns() + look + min(moved_bytes / AUGUR_LOOK_BYTES_PER_NS, look);
}

/**
 * augur_look_again - whether a wait should look at the ring once more
 * @until: From augur_look_until().
 */
bool augur_look_again(u64 until)
{
	cpu_relax();
	return !need_resched() && ktime_get_ns() < until;
}
