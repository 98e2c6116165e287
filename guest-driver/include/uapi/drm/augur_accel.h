/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * Userspace interface of the Augur accelerator driver (/dev/accel/accelN).
 *
 * An open file is a context of the card: an address space with objects. Command
 * lists are written in the card's wire format (augur_card_abi.h, the datasheet)
 * and name memory by device address; the card checks every address against the
 * context. The driver checks only that the commands fill the list and that a
 * command which writes program memory names memory it may write.
 *
 * Rules for every ioctl: unknown flags and padding that is not zero give
 * -EINVAL; times are absolute CLOCK_MONOTONIC nanoseconds; the layouts are the
 * same for 32-bit and 64-bit programs.
 */
#ifndef _UAPI_DRM_AUGUR_ACCEL_H_
#define _UAPI_DRM_AUGUR_ACCEL_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * enum drm_augur_ioctl_id - ioctl numbers, behind DRM_COMMAND_BASE
 */
enum drm_augur_ioctl_id {
	/** @DRM_AUGUR_DEV_QUERY: Ask for a structure that describes the device. */
	DRM_AUGUR_DEV_QUERY = 0,

	/** @DRM_AUGUR_BO_CREATE: Allocate an object in device memory. */
	DRM_AUGUR_BO_CREATE,

	/** @DRM_AUGUR_BO_INFO: Ask for an object's size, addresses and mmap offset. */
	DRM_AUGUR_BO_INFO,

	/** @DRM_AUGUR_SUBMIT: Submit a command list. */
	DRM_AUGUR_SUBMIT,

	/** @DRM_AUGUR_WAIT: Wait until a submitted list has ended. */
	DRM_AUGUR_WAIT,

	/** @DRM_AUGUR_PREDICTOR: Choose how memory is mapped ahead of use. */
	DRM_AUGUR_PREDICTOR = 0x10,

	/** @DRM_AUGUR_MODEL_PULL: Read a part of the model that predicts. */
	DRM_AUGUR_MODEL_PULL,

	/** @DRM_AUGUR_MODEL_PUSH: Give a part of a model that is to predict. */
	DRM_AUGUR_MODEL_PUSH,

	/** @DRM_AUGUR_PROFILE: Record the accesses that the card knows of. */
	DRM_AUGUR_PROFILE,

	/** @DRM_AUGUR_CONTEXT_PRIORITY: Change the priority of this file. */
	DRM_AUGUR_CONTEXT_PRIORITY = 0x20,

	/** @DRM_AUGUR_BO_ADVISE: Say how a range of an object will be used. */
	DRM_AUGUR_BO_ADVISE,

	/** @DRM_AUGUR_BO_WAIT: Wait until no list uses an object. */
	DRM_AUGUR_BO_WAIT,

	/** @DRM_AUGUR_SUBMIT_LISTS: Submit several command lists, or none. */
	DRM_AUGUR_SUBMIT_LISTS,

	/** @DRM_AUGUR_BO_COPY: Copy between objects of different files or cards. */
	DRM_AUGUR_BO_COPY,

	/** @DRM_AUGUR_RESET: Reset the card in place. */
	DRM_AUGUR_RESET,
};

/**
 * enum drm_augur_dev_query_type - what DRM_AUGUR_DEV_QUERY can be asked for
 */
enum drm_augur_dev_query_type {
	/** @DRM_AUGUR_QUERY_DEVICE: struct drm_augur_query_device. */
	DRM_AUGUR_QUERY_DEVICE = 0,

	/**
	 * @DRM_AUGUR_QUERY_COUNTERS: struct augur_counters_response of
	 * augur_card_abi.h, the card's counters now.
	 */
	DRM_AUGUR_QUERY_COUNTERS,

	/**
	 * @DRM_AUGUR_QUERY_CONTEXT: struct augur_context_info_response of
	 * augur_card_abi.h. &drm_augur_dev_query.index is the lowest context id
	 * to describe; -ENOENT when there is none.
	 */
	DRM_AUGUR_QUERY_CONTEXT,

	/** @DRM_AUGUR_QUERY_DRIVER: struct drm_augur_query_driver. */
	DRM_AUGUR_QUERY_DRIVER,
};

/**
 * struct drm_augur_dev_query - argument of DRM_AUGUR_DEV_QUERY
 */
struct drm_augur_dev_query {
	/** @type: An enum drm_augur_dev_query_type. */
	__u32 type;

	/**
	 * @size: Bytes at @pointer. The kernel copies at most its own structure's
	 * size and writes that size back; with @pointer 0 it only writes the size.
	 */
	__u32 size;

	/** @pointer: Where the structure goes in the program's memory, or 0. */
	__u64 pointer;

	/** @index: Which one, for types that have several; else zero. */
	__u32 index;

	/** @pad: Zero. */
	__u32 pad;
};

/**
 * struct drm_augur_query_device - what does not change while the driver lives
 */
struct drm_augur_query_device {
	/** @memory_bytes: Device memory, the aperture included. */
	__u64 memory_bytes;

	/** @usable_bytes: Device memory that objects can have. */
	__u64 usable_bytes;

	/** @aperture_bytes: Bytes of the aperture. */
	__u64 aperture_bytes;

	/** @demand_window_bytes: Bytes mapped at a fault, at most. */
	__u32 demand_window_bytes;

	/** @max_window_bytes: Bytes of the largest window. */
	__u32 max_window_bytes;

	/** @window_slots: Windows at one time. */
	__u32 window_slots;

	/** @compute_engines: Compute engines. */
	__u32 compute_engines;

	/** @dma_channels: DMA channels. */
	__u32 dma_channels;

	/** @submit_queues: Submit queues. */
	__u32 submit_queues;

	/** @max_contexts: Contexts at one time. */
	__u32 max_contexts;

	/** @max_submit_bytes: Bytes of a command list with its transfers, at most. */
	__u32 max_submit_bytes;

	/** @abi_major: Major version of the card's wire format. */
	__u16 abi_major;

	/** @abi_minor: Minor version of the card's wire format. */
	__u16 abi_minor;

	/** @context: The context id of this open file. */
	__u32 context;
};

/**
 * struct drm_augur_query_driver - the driver's own counters
 */
struct drm_augur_query_driver {
	/** @state: AUGUR_STATE_* as the driver sees it. */
	__u32 state;

	/** @pad: Zero. */
	__u32 pad;

	/** @heartbeat: Last heartbeat read from the map header. */
	__u64 heartbeat;

	/** @page_faults: Faults on mapped objects. */
	__u64 page_faults;

	/** @demand_faults: Faults that had to ask the card for a window. */
	__u64 demand_faults;

	/** @events: Events handled. */
	__u64 events;

	/** @stale_events: Events of an older generation that were ignored. */
	__u64 stale_events;

	/** @revokes: Windows given back. */
	__u64 revokes;

	/** @dirty_revokes: Windows given back that the guest had written. */
	__u64 dirty_revokes;

	/** @resyncs: Times that all windows were listed again. */
	__u64 resyncs;

	/** @windows: Windows known to the driver now. */
	__u64 windows;

	/** @objects: Objects that exist now. */
	__u64 objects;

	/** @submissions: Command lists in flight now. */
	__u64 submissions;
};

/**
 * struct drm_augur_bo_create - argument of DRM_AUGUR_BO_CREATE
 *
 * -ENOMEM when device memory is exhausted. The object lives until its handle is
 * closed and its last mapping is gone; lists in flight may still use its memory
 * then. mmap() maps it from its start, shared only: -EINVAL for MAP_PRIVATE.
 *
 * DRM_IOCTL_PRIME_HANDLE_TO_FD makes a dma-buf of it, which others map (shared only,
 * from its start) or import with DRM_IOCTL_PRIME_FD_TO_HANDLE. Importers of other
 * drivers get -EOPNOTSUPP. The memory lives as long as the dma-buf.
 */
struct drm_augur_bo_create {
	/** @size: Bytes wanted, not zero; out: bytes of the object. */
	__u64 size;

	/** @flags: Zero. */
	__u32 flags;

	/** @handle: Out: GEM handle; DRM_IOCTL_GEM_CLOSE gives it back. */
	__u32 handle;

	/** @device_address: Out: first device address of the object. */
	__u64 device_address;

	/** @mmap_offset: Out: offset for mmap() with MAP_SHARED. */
	__u64 mmap_offset;
};

/**
 * struct drm_augur_bo_info - argument of DRM_AUGUR_BO_INFO
 */
struct drm_augur_bo_info {
	/** @handle: GEM handle. */
	__u32 handle;

	/** @pad: Zero. */
	__u32 pad;

	/** @size: Out: bytes of the object. */
	__u64 size;

	/**
	 * @device_address: Out: first device address of the object; 0 for one that was
	 * imported, which lists cannot name.
	 */
	__u64 device_address;

	/**
	 * @mmap_offset: Out: offset for mmap() with MAP_SHARED; 0 for a buffer that
	 * is not of this card, which is mapped by its own file.
	 */
	__u64 mmap_offset;
};

/* The transfer writes the program's memory (AUGUR_OP_TRANSFER_OUT). */
#define DRM_AUGUR_TRANSFER_WRITES_MEMORY	0x1

/* The memory is a buffer that was imported, not the program's. */
#define DRM_AUGUR_TRANSFER_BUFFER		0x2

/**
 * struct drm_augur_transfer - program memory that a transfer command uses
 */
struct drm_augur_transfer {
	/**
	 * @address: Address in the program, any alignment; with
	 * DRM_AUGUR_TRANSFER_BUFFER the offset in the buffer.
	 */
	__u64 address;

	/**
	 * @size: Bytes, not zero, at most AUGUR_MAX_TRANSFER_BYTES. The pages are
	 * pinned until the list has ended. A mapping of a device object cannot be
	 * used: -EFAULT.
	 */
	__u64 size;

	/**
	 * @flags: DRM_AUGUR_TRANSFER_*. Without DRM_AUGUR_TRANSFER_WRITES_MEMORY a
	 * AUGUR_OP_TRANSFER_OUT that names this transfer gives -EACCES; so does this
	 * flag for a buffer that was imported without the right to write.
	 */
	__u32 flags;

	/**
	 * @handle: With DRM_AUGUR_TRANSFER_BUFFER, GEM handle of a dma-buf of guest
	 * memory (udmabuf, the system heap); -EOPNOTSUPP for device memory. Else zero.
	 */
	__u32 handle;
};

/**
 * struct drm_augur_sync - a syncobj to wait for or to signal
 */
struct drm_augur_sync {
	/** @handle: Syncobj handle. */
	__u32 handle;

	/** @pad: Zero. */
	__u32 pad;

	/** @point: Point of a timeline syncobj, 0 for a binary one. */
	__u64 point;
};

/**
 * struct drm_augur_wait - argument of DRM_AUGUR_WAIT
 *
 * Returns 0 when the list has ended, -ETIME at the timeout, -ENOENT for a fence
 * that was never given out or whose result was dropped (a context keeps the
 * results of its last 1024 lists), -EIO when the card was lost. How the list
 * ended is in @status.
 */
struct drm_augur_wait {
	/** @fence: From DRM_AUGUR_SUBMIT. */
	__u64 fence;

	/** @timeout_ns: Absolute CLOCK_MONOTONIC time; 0 only asks. */
	__s64 timeout_ns;

	/** @status: Out: AUGUR_STATUS_*. */
	__u32 status;

	/** @failed_command: Out: index of the command that failed. */
	__u32 failed_command;

	/** @started_ns: Out: card clock when the first command started. */
	__u64 started_ns;

	/** @finished_ns: Out: card clock when the last command ended. */
	__u64 finished_ns;
};

/* Wait for the list's end as well: its round trip is one call. */
#define DRM_AUGUR_SUBMIT_WAIT	0x1

/**
 * struct drm_augur_submit - argument of DRM_AUGUR_SUBMIT
 *
 * Lists of one context on one queue begin in order of submission. A list begins
 * when all of @in_syncs have signalled; when one of them signals an error, it ends
 * with AUGUR_STATUS_CANCELLED and does not run. @out_syncs signal when it has
 * ended, with an error when its status is not AUGUR_STATUS_OK.
 *
 * -EINVAL when the commands do not fill the list or name no transfer, -EACCES see
 * &drm_augur_transfer.flags, -E2BIG when list and transfers are larger than
 * drm_augur_query_device.max_submit_bytes, -EFAULT for memory that cannot be
 * pinned. Waits, interruptibly, while 256 lists of the context are in flight.
 *
 * After any error the list was not submitted. With DRM_AUGUR_SUBMIT_WAIT it was when
 * this returns 0, whatever became of the wait: a signal ends the wait with EINTR in
 * @wait_error rather than the call, which would submit the list again if it were
 * restarted. @wait can be handed to DRM_AUGUR_WAIT as it is to go on waiting.
 */
struct drm_augur_submit {
	/** @commands: Address of the command list (augur_card_abi.h). */
	__u64 commands;

	/** @commands_size: Bytes of the command list, a multiple of 8. */
	__u32 commands_size;

	/** @command_count: Commands in the list. */
	__u32 command_count;

	/** @transfers: Address of an array of struct drm_augur_transfer. */
	__u64 transfers;

	/** @transfer_count: Entries of @transfers, at most 1024. */
	__u32 transfer_count;

	/** @queue: Submit queue, below drm_augur_query_device.submit_queues. */
	__u32 queue;

	/**
	 * @in_syncs: Address of an array of struct drm_augur_sync to wait for.
	 * -EINVAL for one that has no fence yet.
	 */
	__u64 in_syncs;

	/** @out_syncs: Address of an array of struct drm_augur_sync to signal. */
	__u64 out_syncs;

	/** @in_sync_count: Entries of @in_syncs, at most 64. */
	__u32 in_sync_count;

	/** @out_sync_count: Entries of @out_syncs, at most 64. */
	__u32 out_sync_count;

	/** @flags: DRM_AUGUR_SUBMIT_WAIT, or zero. */
	__u32 flags;

	/**
	 * @wait_error: Zero; out: 0 when the list has ended or DRM_AUGUR_SUBMIT_WAIT was
	 * not asked for, else EINTR or the errno that DRM_AUGUR_WAIT would have given.
	 */
	__u32 wait_error;

	/**
	 * @wait: Out: @wait.fence is the number of this list in the context. With
	 * DRM_AUGUR_SUBMIT_WAIT the rest is as for DRM_AUGUR_WAIT; without it,
	 * @wait.timeout_ns is zero.
	 */
	struct drm_augur_wait wait;
};

/* Lists of one DRM_AUGUR_SUBMIT_LISTS. */
#define DRM_AUGUR_MAX_LISTS	64

/**
 * struct drm_augur_list - a command list of several
 */
struct drm_augur_list {
	/** @commands: Address of the command list (augur_card_abi.h). */
	__u64 commands;

	/** @commands_size: Bytes of the command list, a multiple of 8. */
	__u32 commands_size;

	/** @command_count: Commands in the list. */
	__u32 command_count;

	/** @transfers: Address of an array of struct drm_augur_transfer. */
	__u64 transfers;

	/** @transfer_count: Entries of @transfers, at most 1024. */
	__u32 transfer_count;

	/** @pad: Zero. */
	__u32 pad;
};

/**
 * struct drm_augur_submit_lists - argument of DRM_AUGUR_SUBMIT_LISTS
 *
 * As DRM_AUGUR_SUBMIT for each of the lists, in their order, but either all of them
 * are submitted or, after an error, none. Each waits for all of @in_syncs; @out_syncs
 * signal when all lists have ended, with an error when one of them has one.
 */
struct drm_augur_submit_lists {
	/** @lists: Address of an array of struct drm_augur_list. */
	__u64 lists;

	/** @list_count: Entries of @lists, 1 to DRM_AUGUR_MAX_LISTS. */
	__u32 list_count;

	/** @queue: Submit queue, below drm_augur_query_device.submit_queues. */
	__u32 queue;

	/** @in_syncs: Address of an array of struct drm_augur_sync to wait for. */
	__u64 in_syncs;

	/** @out_syncs: Address of an array of struct drm_augur_sync to signal. */
	__u64 out_syncs;

	/** @in_sync_count: Entries of @in_syncs, at most 64. */
	__u32 in_sync_count;

	/** @out_sync_count: Entries of @out_syncs, at most 64. */
	__u32 out_sync_count;

	/** @flags: Zero. */
	__u32 flags;

	/** @pad: Zero. */
	__u32 pad;

	/**
	 * @fence: Out: number of the first list in the context, for DRM_AUGUR_WAIT;
	 * the others have the numbers behind it.
	 */
	__u64 fence;
};

/**
 * struct drm_augur_context_priority - argument of DRM_AUGUR_CONTEXT_PRIORITY
 *
 * Where several files want engines, one of a higher priority gets three times the
 * time of the next lower one. Counts for lists that wait, too.
 */
struct drm_augur_context_priority {
	/**
	 * @priority: AUGUR_PRIORITY_* of augur_card_abi.h; a file begins with NORMAL.
	 * -EACCES for HIGH without CAP_SYS_NICE.
	 */
	__u32 priority;

	/** @pad: Zero. */
	__u32 pad;
};

/**
 * struct drm_augur_bo_advise - argument of DRM_AUGUR_BO_ADVISE
 *
 * Advice changes when memory becomes visible, never what an access finds. It ends
 * with the object. -ENOMEM when more of the aperture would be pinned than may be
 * (an eighth by a file, a quarter by all), or when too many ranges have advice.
 */
struct drm_augur_bo_advise {
	/** @handle: GEM handle. */
	__u32 handle;

	/** @advice: AUGUR_ADVICE_* of augur_card_abi.h. */
	__u32 advice;

	/** @offset: First byte of the range in the object. */
	__u64 offset;

	/** @size: Bytes of the range, not zero, within the object. */
	__u64 size;
};

/* Wait for lists that only read the object as well. */
#define DRM_AUGUR_WAIT_FOR_READERS	0x1

/**
 * struct drm_augur_bo_wait - argument of DRM_AUGUR_BO_WAIT
 *
 * Waits for the lists, submitted before, that name the object's memory in an operand
 * or a transfer: for those that write it, and with DRM_AUGUR_WAIT_FOR_READERS for all.
 * How they ended is what DRM_AUGUR_WAIT says. -ETIME at the timeout.
 */
struct drm_augur_bo_wait {
	/** @handle: GEM handle. */
	__u32 handle;

	/** @flags: DRM_AUGUR_WAIT_FOR_READERS, or zero. */
	__u32 flags;

	/** @timeout_ns: Absolute CLOCK_MONOTONIC time; 0 only asks. */
	__s64 timeout_ns;
};

/**
 * struct drm_augur_bo_copy - argument of DRM_AUGUR_BO_COPY
 *
 * Copies between objects of which at least one was imported from another file or
 * another card: nothing else reaches both. Returns when the copy is done; -EINTR
 * when a signal came before, with any part of it done. -EOPNOTSUPP for buffers of
 * guest memory, which transfers use in place.
 */
struct drm_augur_bo_copy {
	/** @source: GEM handle. */
	__u32 source;

	/** @destination: GEM handle. */
	__u32 destination;

	/** @source_offset: First byte in the source. */
	__u64 source_offset;

	/** @destination_offset: First byte in the destination. */
	__u64 destination_offset;

	/** @size: Bytes, not zero, within both. */
	__u64 size;

	/** @flags: Zero. */
	__u32 flags;

	/** @pad: Zero. */
	__u32 pad;
};

/**
 * struct drm_augur_reset - argument of DRM_AUGUR_RESET
 *
 * Resets the card's rings. All files keep their memory. Lists that do not end in
 * time (the module's drain_timeout_ms) end with AUGUR_STATUS_DEVICE_ERROR; those
 * that wait are not lost. Needs CAP_SYS_ADMIN: -EACCES. -EIO when the card does not
 * come back; it is lost then.
 */
struct drm_augur_reset {
	/** @flags: Zero. */
	__u32 flags;

	/** @pad: Zero. */
	__u32 pad;
};

/**
 * struct drm_augur_predictor - argument of DRM_AUGUR_PREDICTOR
 */
struct drm_augur_predictor {
	/** @mode: AUGUR_PREDICTOR_* of augur_card_abi.h, for this file. */
	__u32 mode;

	/** @pad: Must be zero. */
	__u32 pad;
};

/**
 * struct drm_augur_model_pull - argument of DRM_AUGUR_MODEL_PULL
 *
 * A model is read part after part, from offset 0. -EBUSY at offset 0: the card
 * makes a copy of the model, ask again in a millisecond. Another file's model needs
 * CAP_SYS_ADMIN: -EPERM.
 */
struct drm_augur_model_pull {
	/** @scope: AUGUR_MODEL_OF_*. A file without a model gets the card's. */
	__u32 scope;

	/** @offset: First byte wanted. */
	__u32 offset;

	/** @pointer: Where AUGUR_MODEL_CHUNK bytes are written. */
	__u64 pointer;

	/** @generation: Out: steps of training behind the model. */
	__u64 generation;

	/** @checksum: Out: FNV-1a over the bytes of all weights. */
	__u64 checksum;

	/** @total: Out: bytes of the model's safetensors file. */
	__u32 total;

	/** @bytes: Out: bytes of the file that were written, the rest is zero. */
	__u32 bytes;

	/** @parameters: Out: weights and biases. */
	__u32 parameters;

	/** @mode: Out: AUGUR_PREDICTOR_* of the context. */
	__u32 mode;

	/** @context: Context id of another open file, 0 for this one. */
	__u32 context;

	/** @pad: Must be zero. */
	__u32 pad;
};

/**
 * struct drm_augur_model_push - argument of DRM_AUGUR_MODEL_PUSH
 *
 * A model is given part after part, from offset 0. A model for the card, or for
 * another file, needs CAP_SYS_ADMIN: -EPERM.
 */
struct drm_augur_model_push {
	/** @scope: AUGUR_MODEL_OF_*. */
	__u32 scope;

	/** @total: Bytes of the safetensors file. */
	__u32 total;

	/** @offset: First byte of this part. */
	__u32 offset;

	/** @bytes: Bytes of this part, at most AUGUR_MODEL_CHUNK. */
	__u32 bytes;

	/** @pointer: The bytes. */
	__u64 pointer;

	/** @outcome: Out: AUGUR_MODEL_INCOMPLETE, INSTALLED or REFUSED. */
	__u32 outcome;

	/** @context: Context id of another open file, 0 for this one. */
	__u32 context;

	/** @reason: Out: why it was refused, ends at the first zero byte. */
	__u8 reason[120];
};

/**
 * enum drm_augur_profile_action - what DRM_AUGUR_PROFILE does
 */
enum drm_augur_profile_action {
	/** @DRM_AUGUR_PROFILE_START: Begin anew to record accesses. */
	DRM_AUGUR_PROFILE_START = 0,

	/** @DRM_AUGUR_PROFILE_STOP: Stop; what was recorded can be read. */
	DRM_AUGUR_PROFILE_STOP,

	/** @DRM_AUGUR_PROFILE_READ: Take the oldest records. */
	DRM_AUGUR_PROFILE_READ,
};

/* Record or read what all files do with the card; goes on when a file is closed. */
#define DRM_AUGUR_PROFILE_OF_CARD	0x1

/**
 * struct drm_augur_profile - argument of DRM_AUGUR_PROFILE
 *
 * Without flags it is about this file's accesses. DRM_AUGUR_PROFILE_OF_CARD needs
 * CAP_SYS_ADMIN: -EPERM.
 */
struct drm_augur_profile {
	/** @action: enum drm_augur_profile_action. */
	__u32 action;

	/** @count: Out: records that were written; 0 when there are none now. */
	__u32 count;

	/**
	 * @pointer: For READ: room for AUGUR_MAX_PROFILE_RECORDS of struct
	 * augur_profile_record.
	 */
	__u64 pointer;

	/** @lost: Out: records that were dropped because they were not read. */
	__u64 lost;

	/** @recording: Out: 1 while the card records. */
	__u32 recording;

	/** @flags: DRM_AUGUR_PROFILE_OF_CARD, or zero. */
	__u32 flags;
};

#define DRM_IOCTL_AUGUR_DEV_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_DEV_QUERY, struct drm_augur_dev_query)
#define DRM_IOCTL_AUGUR_BO_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_BO_CREATE, struct drm_augur_bo_create)
#define DRM_IOCTL_AUGUR_BO_INFO \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_BO_INFO, struct drm_augur_bo_info)
#define DRM_IOCTL_AUGUR_SUBMIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_SUBMIT, struct drm_augur_submit)
#define DRM_IOCTL_AUGUR_WAIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_WAIT, struct drm_augur_wait)

#define DRM_IOCTL_AUGUR_PREDICTOR \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_PREDICTOR, struct drm_augur_predictor)
#define DRM_IOCTL_AUGUR_MODEL_PULL \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_MODEL_PULL, struct drm_augur_model_pull)
#define DRM_IOCTL_AUGUR_MODEL_PUSH \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_MODEL_PUSH, struct drm_augur_model_push)
#define DRM_IOCTL_AUGUR_PROFILE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_PROFILE, struct drm_augur_profile)

#define DRM_IOCTL_AUGUR_CONTEXT_PRIORITY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_CONTEXT_PRIORITY, \
		 struct drm_augur_context_priority)
#define DRM_IOCTL_AUGUR_BO_ADVISE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_BO_ADVISE, struct drm_augur_bo_advise)
#define DRM_IOCTL_AUGUR_BO_WAIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_BO_WAIT, struct drm_augur_bo_wait)
#define DRM_IOCTL_AUGUR_SUBMIT_LISTS \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_SUBMIT_LISTS, struct drm_augur_submit_lists)
#define DRM_IOCTL_AUGUR_BO_COPY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_BO_COPY, struct drm_augur_bo_copy)
#define DRM_IOCTL_AUGUR_RESET \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_AUGUR_RESET, struct drm_augur_reset)

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_DRM_AUGUR_ACCEL_H_ */
