// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting for a window.
 *
 * A fault lists itself before it asks the card, so that no event can slip between
 * the question and the wait. The event worker takes it off the list.
 */
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>

#include "augur_context.h"
#include "augur_control.h"
#include "augur_device.h"
#include "augur_event.h"
#include "augur_look.h"
#include "augur_trace.h"
#include "augur_window.h"

static unsigned int fault_timeout_ms = 10000;
module_param(fault_timeout_ms, uint, 0644);
MODULE_PARM_DESC(fault_timeout_ms,
		 "Milliseconds a program waits for device memory to become visible");

/* A fault asks again after this time: the event it waits for may be lost. */
#define AUGUR_FAULT_RETRY_MS	100

/**
 * augur_fault_timeout - how long one try of a fault waits
 *
 * A fault has two tries: without and with the memory map's lock.
 *
 * Return: ticks.
 */
unsigned long augur_fault_timeout(void)
{
	return msecs_to_jiffies(fault_timeout_ms / 2);
}

/* Lists a wait. Return: 0, 1 when the window is there already, or an error. */
static int augur_fault_wait_begin(struct augur_context *context,
				  struct augur_fault_wait *wait)
{
	struct augur_windows *windows = &context->adev->windows;
	int ret = 0;

	mutex_lock(&windows->lock);
	if (augur_device_is_lost(context->adev) || context->failed)
		ret = -EIO;
	else if (augur_window_table_find(&windows->table, wait->context, wait->address))
		ret = 1;
	else
		list_add_tail(&wait->link, &windows->waiters);
	mutex_unlock(&windows->lock);
	return ret;
}

static void augur_fault_wait_end(struct augur_context *context,
				 struct augur_fault_wait *wait)
{
	struct augur_windows *windows = &context->adev->windows;

	mutex_lock(&windows->lock);
	list_del_init(&wait->link);
	mutex_unlock(&windows->lock);
}

/*
 * Sends a request, then looks for its event and its answer itself for a while. It
 * may find itself emptying page tables for revokes that came before its window.
 */
static int augur_fault_send(struct augur_device *adev, struct augur_request *request,
			    struct augur_fault_wait *wait)
{
	u64 until;
	int ret;

	augur_events_look_begin(adev);
	ret = augur_request_send(adev, request);
	until = augur_look_until(0);
	if (!ret)
		do {
			augur_events_look(adev);
		} while (!completion_done(&wait->done) && augur_look_again(until));
	augur_events_look_end(adev);
	return ret;
}

/*
 * Asks the card once. The answer is looked at only when no event came: a wait for it
 * would be one more wake-up on the way of every fault. Return: 0, -ETIMEDOUT when the
 * card should be asked again, or an error.
 */
static int augur_fault_ask(struct augur_context *context, struct augur_fault_wait *wait,
			   bool write)
{
	struct augur_device *adev = context->adev;
	struct augur_request *request;
	long left;
	int ret;

	request = augur_fault_request_new(context->id, wait->address, write);
	if (!request)
		return -ENOMEM;
	ret = augur_fault_send(adev, request, wait);
	if (ret)
		goto out;
	left = wait_for_completion_killable_timeout(&wait->done,
						    msecs_to_jiffies(AUGUR_FAULT_RETRY_MS));
	if (left) {
		ret = left < 0 ? -EINTR : wait->result;
		goto out;
	}
	augur_control_look(adev);
	ret = augur_request_poll(adev, request);
	if (!ret || ret == -EBUSY || ret == -EINPROGRESS)
		ret = -ETIMEDOUT;
out:
	augur_request_put(request);
	return ret;
}

/* Waits while the aperture shows nothing. */
static int augur_fault_wait_shown(struct augur_device *adev, unsigned long timeout)
{
	long left = wait_event_killable_timeout(adev->windows.shown,
						!READ_ONCE(adev->windows.hidden) ||
						augur_device_is_lost(adev), timeout);

	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

/**
 * augur_window_wait - wait until a window shows a device address
 * @context: The context; no lock of this driver is held.
 * @address: Device address.
 * @write: Whether the program writes.
 * @timeout: Ticks.
 *
 * The window may be gone again when this returns: look it up under the lock.
 *
 * Return: 0, -EINTR when the caller is being killed, -ETIMEDOUT, or another error
 * when the card or the context has failed.
 */
int augur_window_wait(struct augur_context *context, u64 address, bool write,
		      unsigned long timeout)
{
	struct augur_fault_wait wait = {
		.context = context->id,
		.address = address,
	};
	unsigned long end = jiffies + timeout;
	int ret;

	ret = augur_fault_wait_shown(context->adev, timeout);
	if (ret)
		return ret;
	init_completion(&wait.done);
	ret = augur_fault_wait_begin(context, &wait);
	if (ret)
		return ret < 0 ? ret : 0;

	atomic64_inc(&context->adev->counters.demand_faults);
	trace_augur_fault(context->id, address, write);
	do {
		ret = augur_fault_ask(context, &wait, write);
	} while (ret == -ETIMEDOUT && time_before(jiffies, end));
	augur_fault_wait_end(context, &wait);
	return ret;
}

/**
 * augur_windows_wake - end the waits for a range of a context's addresses
 * @adev: The card; the window lock is held.
 * @context: Context id.
 * @address: Where the range starts.
 * @bytes: Bytes of the range.
 * @result: What the waits return.
 */
void augur_windows_wake(struct augur_device *adev, u32 context, u64 address,
			u64 bytes, int result)
{
	struct augur_fault_wait *wait, *next;

	list_for_each_entry_safe(wait, next, &adev->windows.waiters, link) {
		if (wait->context != context || wait->address < address ||
		    wait->address - address >= bytes)
			continue;
		list_del_init(&wait->link);
		wait->result = result;
		complete(&wait->done);
	}
}

/**
 * augur_windows_fault_failed - the card cannot serve a fault
 * @adev: The card.
 * @context: Context id.
 * @address: Device address of the fault.
 * @error: Why.
 */
void augur_windows_fault_failed(struct augur_device *adev, u32 context, u64 address,
				int error)
{
	mutex_lock(&adev->windows.lock);
	augur_windows_wake(adev, context, address, 1, error);
	mutex_unlock(&adev->windows.lock);
}

/**
 * augur_windows_context_failed - the card has given a context up
 * @adev: The card.
 * @context: Context id.
 */
void augur_windows_context_failed(struct augur_device *adev, u32 context)
{
	struct augur_context *failed;

	mutex_lock(&adev->windows.lock);
	failed = xa_load(&adev->windows.contexts, context);
	if (failed)
		failed->failed = true;
	augur_windows_wake(adev, context, 0, U64_MAX, -EIO);
	mutex_unlock(&adev->windows.lock);
}

/**
 * augur_windows_fail - end the waits of all faults
 * @adev: A lost card.
 */
void augur_windows_fail(struct augur_device *adev)
{
	struct augur_fault_wait *wait, *next;

	wake_up_all(&adev->windows.shown);
	mutex_lock(&adev->windows.lock);
	list_for_each_entry_safe(wait, next, &adev->windows.waiters, link) {
		list_del_init(&wait->link);
		wait->result = -EIO;
		complete(&wait->done);
	}
	mutex_unlock(&adev->windows.lock);
}
