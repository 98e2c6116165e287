/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The card as the driver sees it, and what its files share.
 *
 * Locks, outermost first:
 *
 *   augur_device.reset_lock          around a reset
 *   mmap_lock                        memory management, around our callbacks
 *     dma_resv                       who waits for an object
 *     augur_context.submit_lock      numbers the lists of a context
 *     augur_context.addresses_lock   objects by device address
 *     augur_events.handling          events, and what they change
 *       i_mmap_rwsem                 page tables are emptied
 *     augur_windows.lock             window table, fault waiters, contexts
 *       page table locks             taken while a page is entered
 *     augur_queue.lock               a submit ring, the lists in it and before it
 *     augur_control.lock             the control ring
 *     augur_events.lock              the event ring
 *
 * augur_events.handling is waited for by the event worker only; a fault that finds
 * it taken leaves the events to whoever has it. The last three are spinlocks taken
 * with interrupts off. augur_windows.lock is never held across
 * unmap_mapping_range(), a wait, a control request, or an access to program memory:
 * the program's pointer may lead to our own mapping.
 */
#ifndef _AUGUR_DEVICE_H_
#define _AUGUR_DEVICE_H_

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/virtio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <drm/drm_device.h>
#include <drm/drm_print.h>

#include "augur_card_abi.h"
#include "augur_health.h"
#include "augur_touch.h"
#include "augur_window_table.h"

/* Acknowledgment requests that can be in flight. */
#define AUGUR_ACK_REQUESTS	8

/**
 * enum augur_pause - what may enter the rings
 * @AUGUR_PAUSE_NONE: Everything.
 * @AUGUR_PAUSE_LISTS: Everything but lists.
 * @AUGUR_PAUSE_ADDS: Nothing new; what is there may end.
 * @AUGUR_PAUSE_ALL: Nothing; the rings may not exist.
 */
enum augur_pause {
	AUGUR_PAUSE_NONE,
	AUGUR_PAUSE_LISTS,
	AUGUR_PAUSE_ADDS,
	AUGUR_PAUSE_ALL,
};

/**
 * struct augur_config_values - the config space, checked, in host order
 * @memory_bytes: Device memory.
 * @aperture_bytes: Aperture.
 * @usable_bytes: Device memory that objects can have.
 * @demand_window_bytes: Bytes of a window that answers a fault, at most.
 * @max_window_bytes: Bytes of the largest window.
 * @window_slots: Slots.
 * @max_submit_bytes: Bytes of a submission, at most.
 * @heartbeat_ms: Milliseconds between heartbeats.
 * @abi_major: Version of the wire format.
 * @abi_minor: Version of the wire format.
 * @compute_engines: Compute engines.
 * @dma_channels: DMA channels.
 * @submit_queues: Submit queues.
 * @max_contexts: Contexts.
 */
struct augur_config_values {
	u64 memory_bytes;
	u64 aperture_bytes;
	u64 usable_bytes;
	u32 demand_window_bytes;
	u32 max_window_bytes;
	u32 window_slots;
	u32 max_submit_bytes;
	u32 heartbeat_ms;
	u16 abi_major;
	u16 abi_minor;
	u16 compute_engines;
	u16 dma_channels;
	u16 submit_queues;
	u16 max_contexts;
};

/**
 * struct augur_control - the control queue
 * @lock: Guards the rest.
 * @vq: The ring.
 * @sleepers: Waits that sleep until an interrupt; without them there are none.
 * @in_flight: Requests in the ring.
 * @space: Woken when descriptors become free, and when the card is lost.
 * @acks: Requests for acknowledgments, made in probe so that a revoke needs no
 *	memory; used in turn by the event worker.
 * @next_ack: The next of @acks.
 */
struct augur_control {
	spinlock_t lock;	/* order: above */
	struct virtqueue *vq;
	u32 sleepers;
	struct list_head in_flight;
	wait_queue_head_t space;
	struct augur_request *acks[AUGUR_ACK_REQUESTS];
	u32 next_ack;
};

/**
 * struct augur_events - the event queue
 * @handling: Held while events are handled, or the ends of leases.
 * @lock: Guards @vq and @lookers.
 * @vq: The ring.
 * @lookers: Faults that look at the ring; its interrupts are off meanwhile.
 * @workqueue: Ordered: events and the end of leases are handled one at a time.
 * @work: Handles events.
 * @lease_work: Revokes windows whose lease has ended.
 * @buffers: The posted buffers.
 * @sequence: Number of the last event handled. Written under @handling.
 * @revoked_count: Entries of @revoked.
 * @revoked: Windows to be unmapped and acknowledged. Used under @handling.
 * @listing: The request for LIST_WINDOWS. Used under @handling.
 */
struct augur_events {
	struct mutex handling;	/* order: above */
	spinlock_t lock;	/* order: above */
	struct virtqueue *vq;
	u32 lookers;
	struct workqueue_struct *workqueue;
	struct work_struct work;
	struct delayed_work lease_work;
	void **buffers;
	struct augur_request *listing;
	u64 sequence;
	u32 revoked_count;
	struct augur_revoke_ack revoked[AUGUR_MAX_ACKS];
};

/**
 * struct augur_windows - the windows, and who waits for one
 * @lock: Guards the rest, and &augur_context.failed.
 * @table: The window table.
 * @limits: What a window must obey.
 * @leases: Slots whose revoke waits for the end of a lease.
 * @lease_count: Entries of @leases.
 * @waiters: Faults that wait, struct augur_fault_wait.
 * @contexts: Contexts by id.
 * @hidden: The aperture shows nothing: no window is entered.
 * @shown: Woken when @hidden ends, and when the card is lost.
 */
struct augur_windows {
	struct mutex lock;	/* order: above */
	struct augur_window_table table;
	struct augur_window_limits limits;
	u32 *leases;
	u32 lease_count;
	struct list_head waiters;
	struct xarray contexts;
	bool hidden;
	wait_queue_head_t shown;
};

/**
 * struct augur_queue - a submit queue
 * @adev: The card.
 * @lock: Guards @vq and the lists.
 * @vq: The ring.
 * @lookers: Waits that look at the ring; its interrupts are off meanwhile.
 * @rhythm: The last wait found its list by looking. Interrupts stay off, and
 *	@watch looks after lists that nobody waits for.
 * @watch: Ends the rhythm.
 * @waiting: Lists that could go into the ring but for its being full or a pause.
 * @in_flight: Lists in the ring.
 * @stuck: Lists in the ring that the card keeps, their fences signalled.
 * @feed: Looks at @waiting when nothing in flight will.
 * @done: Lists that have ended and hold memory.
 * @reap: Frees what is on @done.
 */
struct augur_queue {
	struct augur_device *adev;
	spinlock_t lock;	/* order: above */
	struct virtqueue *vq;
	u32 lookers;
	bool rhythm;
	struct hrtimer watch;
	struct list_head waiting;
	struct list_head in_flight;
	struct list_head stuck;
	struct delayed_work feed;
	struct llist_head done;
	struct work_struct reap;
};

/**
 * struct augur_counters - the driver's own counters
 * @page_faults: Faults on mapped objects.
 * @demand_faults: Faults that had to ask the card for a window.
 * @events: Events handled.
 * @stale_events: Events of an older generation.
 * @revokes: Windows given back.
 * @dirty_revokes: Windows given back that the guest had written.
 * @resyncs: Times that all windows were listed again.
 * @objects: Objects now.
 * @object_bytes: Device memory of the objects.
 * @submissions: Lists that have not ended.
 */
struct augur_counters {
	atomic64_t page_faults;
	atomic64_t demand_faults;
	atomic64_t events;
	atomic64_t stale_events;
	atomic64_t revokes;
	atomic64_t dirty_revokes;
	atomic64_t resyncs;
	atomic64_t objects;
	atomic64_t object_bytes;
	atomic64_t submissions;
};

/**
 * struct augur_device - one card
 * @drm: The DRM device.
 * @vdev: The virtio device.
 * @config: What the config space says.
 * @aperture: The aperture in the kernel's address space.
 * @aperture_base: Its physical address.
 * @life: Nonce of this driver life.
 * @lost: Set once: the card does not work any more and is not touched.
 * @lost_work: Fails everything that waits for a lost card.
 * @heartbeat_work: Samples the map header.
 * @health: What its last samples said.
 * @status_changed: The device status is to be looked at.
 * @pause: What may enter the rings. Written by one at a time; read under their locks.
 * @reset_lock: Held during a reset.
 * @resetting: Why the card is let go of. Under @reset_lock.
 * @reset_work: Resets a card that asks for it.
 * @hang_work: Looks for lists that make no progress.
 * @control: Control queue.
 * @events: Event queue.
 * @windows: Windows.
 * @touches: What programs begin to use.
 * @queues: Submit queues.
 * @submit_workqueue: Puts lists into the rings, and frees lists that ended.
 * @counters: The driver's own counters.
 */
struct augur_device {
	struct drm_device drm;
	struct virtio_device *vdev;
	struct augur_config_values config;
	void *aperture;
	phys_addr_t aperture_base;
	u64 life;
	unsigned long lost;
	struct work_struct lost_work;
	struct delayed_work heartbeat_work;
	struct augur_health health;
	bool status_changed;
	enum augur_pause pause;
	struct mutex reset_lock;	/* order: above */
	bool resetting;
	struct work_struct reset_work;
	struct delayed_work hang_work;
	struct augur_control control;
	struct augur_events events;
	struct augur_windows windows;
	struct augur_touches touches;
	struct augur_queue *queues;
	struct workqueue_struct *submit_workqueue;
	struct augur_counters counters;
};

#define to_augur_device(dev) container_of(dev, struct augur_device, drm)

/**
 * augur_device_is_lost - whether the card must not be touched any more
 * @adev: The card.
 */
static inline bool augur_device_is_lost(const struct augur_device *adev)
{
	return READ_ONCE(adev->lost);
}

/**
 * augur_rings_are_away - whether the rings must not be touched
 * @adev: The card.
 *
 * Who touches a ring asks under its lock; whoever takes the rings away settles all
 * those locks between saying so and doing so.
 */
static inline bool augur_rings_are_away(const struct augur_device *adev)
{
	return augur_device_is_lost(adev) || READ_ONCE(adev->pause) == AUGUR_PAUSE_ALL;
}

/**
 * augur_map_header - the first page of the aperture, written by the card
 * @adev: The card.
 */
static inline const struct augur_map_header *
augur_map_header(const struct augur_device *adev)
{
	return adev->aperture;
}

/* augur_drv.c */
extern const struct drm_driver augur_drm_driver;

/* augur_device.c */
extern struct virtio_driver augur_virtio_driver;
void augur_device_lose(struct augur_device *adev, const char *why);
int augur_rings_init(struct augur_device *adev);
void augur_rings_fini(struct augur_device *adev, bool give_up);

/* augur_hang.c */
void augur_hang_init(struct augur_device *adev);
void augur_hang_start(struct augur_device *adev);
void augur_hang_stop(struct augur_device *adev);

/* augur_heartbeat.c */
void augur_heartbeat_init(struct augur_device *adev);
void augur_heartbeat_start(struct augur_device *adev);
void augur_heartbeat_stop(struct augur_device *adev);
u32 augur_card_state(const struct augur_device *adev);

#endif
