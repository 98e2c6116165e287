/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Windows in use: published, waited for, entered into page tables, given back.
 */
#ifndef _AUGUR_WINDOW_H_
#define _AUGUR_WINDOW_H_

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/types.h>

#include "augur_window_table.h"

struct augur_context;
struct augur_device;

/**
 * struct augur_fault_wait - a fault that waits for a window
 * @link: In &augur_windows.waiters.
 * @address: Device address that must become visible.
 * @context: Context id.
 * @result: What the wait returns.
 * @done: Completed with @result.
 */
struct augur_fault_wait {
	struct list_head link;
	u64 address;
	u32 context;
	int result;
	struct completion done;
};

/**
 * enum augur_revoke - what became of a revoke
 * @AUGUR_REVOKE_BEGUN: Nobody enters the window any more: unmap and acknowledge it.
 * @AUGUR_REVOKE_LATER: The window's lease runs; its end will be reported.
 * @AUGUR_REVOKE_STALE: Of an older generation: ignored.
 */
enum augur_revoke {
	AUGUR_REVOKE_BEGUN,
	AUGUR_REVOKE_LATER,
	AUGUR_REVOKE_STALE,
};

int augur_windows_init(struct augur_device *adev);
void augur_windows_fini(struct augur_device *adev);

bool augur_windows_publish(struct augur_device *adev,
			   const struct augur_window_place *place, bool demand);
enum augur_revoke augur_windows_revoke(struct augur_device *adev, u32 slot,
				       u32 generation, bool keep_lease);
u32 augur_windows_end_revoke(struct augur_device *adev, u32 slot, u32 generation);
void augur_windows_forget_context(struct augur_device *adev, u32 context);
void augur_windows_forget(struct augur_device *adev, u32 context, u64 address,
			  u64 bytes);
bool augur_windows_next_lease(struct augur_device *adev, u32 *slot, u32 *generation,
			      unsigned long *delay);
void augur_windows_hide(struct augur_device *adev);
void augur_windows_show(struct augur_device *adev);
void augur_windows_begin_listing(struct augur_device *adev);
void augur_windows_mark_listed(struct augur_device *adev, u32 slot, u32 generation);
void augur_windows_end_listing(struct augur_device *adev);

void augur_windows_wake(struct augur_device *adev, u32 context, u64 address,
			u64 bytes, int result);
void augur_windows_fault_failed(struct augur_device *adev, u32 context, u64 address,
				int error);
void augur_windows_context_failed(struct augur_device *adev, u32 context);
void augur_windows_fail(struct augur_device *adev);

void augur_window_entered(struct augur_device *adev, struct augur_window *window,
			  u64 map_offset);
int augur_window_wait(struct augur_context *context, u64 address, bool write,
		      unsigned long timeout);
unsigned long augur_fault_timeout(void);

#endif
