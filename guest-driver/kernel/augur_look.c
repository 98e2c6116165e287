// SPDX-License-Identifier: GPL-2.0
/*
 * For how long a wait looks at a ring itself.
 */
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "augur_look.h"

static unsigned int look_us = 200;
module_param(look_us, uint, 0644);
MODULE_PARM_DESC(look_us,
		 "Microseconds a wait looks at the ring itself before it sleeps until the interrupt");

/**
 * augur_look_until - when a wait that begins now should go to sleep
 *
 * Return: what ktime_get_ns() returns then.
 */
u64 augur_look_until(void)
{
	return ktime_get_ns() + (u64)READ_ONCE(look_us) * NSEC_PER_USEC;
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
