/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * Wire format of the Augur card. Generated from backend/abi by 'make abi':
 * do not edit. docs/datasheet.md says how the structures are used.
 */
#ifndef AUGUR_CARD_ABI_H
#define AUGUR_CARD_ABI_H

#include <linux/types.h>

/* Changes when an existing field changes meaning. */
#define AUGUR_ABI_MAJOR	1
/* Changes when something is added. */
#define AUGUR_ABI_MINOR	2
/* Bytes of a frame and of a guest page. */
#define AUGUR_PAGE_BYTES	4096
/* Virtio device id of the card. */
#define AUGUR_VIRTIO_ID	38
/* First field of the config space: "AUGURACC". */
#define AUGUR_CONFIG_MAGIC	0x4343415255475541ULL
/* First field of the map header: "AUGURMAP". */
#define AUGUR_MAP_HEADER_MAGIC	0x50414d5255475541ULL
/* Virtqueue of requests to the card. */
#define AUGUR_QUEUE_CONTROL	0
/* Virtqueue of events from the card. */
#define AUGUR_QUEUE_EVENTS	1
/* First of the submit virtqueues. */
#define AUGUR_QUEUE_SUBMIT	2
/* Entries of one revoke acknowledgement. */
#define AUGUR_MAX_ACKS	32
/* Entries of one LIST_WINDOWS answer. */
#define AUGUR_MAX_LISTED_WINDOWS	64
/* The guest wrote the window. */
#define AUGUR_ACK_DIRTY	1
/* A page of the window was entered into a page table. */
#define AUGUR_ACK_USED	2
/* Entries of a touch ring. */
#define AUGUR_MAX_TOUCHES	65536
/* Bytes of a model in one request or answer. */
#define AUGUR_MODEL_CHUNK	3072
/* Bytes of a model's file, at most. */
#define AUGUR_MAX_MODEL_BYTES	1048576
/* Entries of one PROFILE_READ answer. */
#define AUGUR_MAX_PROFILE_RECORDS	96
/* The recorded access was a write. */
#define AUGUR_PROFILE_WRITE	1
/* Flag of AUGUR_REQUEST_TOUCH_RING: the driver obeys ZAP events. */
#define AUGUR_TOUCH_RING_ZAPS	1
/* The touch was a write. */
#define AUGUR_TOUCH_WRITE	1
/* The access that faulted was a write. */
#define AUGUR_ACCESS_WRITE	1
/* The window answers a demand fault. */
#define AUGUR_EVENT_DEMAND	1
/* Dimensions of an operand. */
#define AUGUR_MAX_RANK	6
/* Operands of a command. */
#define AUGUR_MAX_OPERANDS	4
/* conv2d: take the magnitude before rounding. */
#define AUGUR_CONV_ABSOLUTE	1
/* conv2d: pad by repeating the edge, not with zeros. */
#define AUGUR_CONV_EDGE	2
/* matmul: add to what the destination holds. */
#define AUGUR_MATMUL_ACCUMULATE	1
/* matmul: subtract from what the destination holds; not together with AUGUR_MATMUL_ACCUMULATE. */
#define AUGUR_MATMUL_SUBTRACT	2
/* Readable bytes of one submission. */
#define AUGUR_MAX_SUBMIT_BYTES	1048576
/* Bytes of one transfer. */
#define AUGUR_MAX_TRANSFER_BYTES	1073741824
/* Segments in one page of a segment table. */
#define AUGUR_SEGMENTS_PER_TABLE_PAGE	255

/*
 * How a request or a command list ended. Nothing but OK has changed
 * anything, unless the code's meaning says otherwise.
 */
/* Done. */
#define AUGUR_STATUS_OK	0
/* The request is malformed: wrong size, unknown opcode, a field out of its range, padding that is not zero. */
#define AUGUR_STATUS_INVALID	1
/* No HELLO was accepted in this driver life. */
#define AUGUR_STATUS_NO_HELLO	2
/* The context does not exist, or belongs to an earlier life. */
#define AUGUR_STATUS_NO_CONTEXT	3
/* The object or device address does not exist in this context. */
#define AUGUR_STATUS_NO_OBJECT	4
/* Device memory, contexts or table entries are exhausted. */
#define AUGUR_STATUS_NO_MEMORY	5
/* A guest address is not in guest memory. */
#define AUGUR_STATUS_BAD_ADDRESS	6
/* An operand reaches outside its object, or shapes do not fit together. */
#define AUGUR_STATUS_BAD_OPERAND	7
/* The context has failed; destroy it. */
#define AUGUR_STATUS_CONTEXT_FAILED	8
/* Cancelled: the context was destroyed or the driver's life ended. */
#define AUGUR_STATUS_CANCELLED	9
/* The card could not do it although the request was right (its log says why). */
#define AUGUR_STATUS_DEVICE_ERROR	10
/* Too much is in flight; try again when something has completed. */
#define AUGUR_STATUS_BUSY	11
/* The driver speaks another ABI major version. */
#define AUGUR_STATUS_VERSION	12
/* A command of another list failed that this one depends on. */
#define AUGUR_STATUS_DEPENDENCY_FAILED	13

/* State of the card, in the map header. */
/* Not yet greeted with HELLO in this life. */
#define AUGUR_STATE_IDLE	0
/* Working. */
#define AUGUR_STATE_RUNNING	1
/* The card cannot go on; the driver fails everything and may send HELLO to start again. */
#define AUGUR_STATE_FAILED	2
/* The card's process is ending in an orderly way; nothing will be answered any more. */
#define AUGUR_STATE_GONE	3

/* Requests on the control queue. */
/* Begin a driver life: ends every older context, maps the aperture, starts events at sequence 1. */
#define AUGUR_REQUEST_HELLO	1
/* Open a context. */
#define AUGUR_REQUEST_CONTEXT_CREATE	2
/* Close a context: cancels its lists, frees its objects. Windows of the context are gone when this is answered. */
#define AUGUR_REQUEST_CONTEXT_DESTROY	3
/* Allocate an object in a context. Its memory reads as zero. */
#define AUGUR_REQUEST_OBJECT_CREATE	4
/* Free an object. The driver has unmapped it before; its windows are gone when this is answered and need no acknowledgement. */
#define AUGUR_REQUEST_OBJECT_DESTROY	5
/* A program touched a page without a window: asks for one. */
#define AUGUR_REQUEST_FAULT	6
/* Acknowledge revoked windows. */
#define AUGUR_REQUEST_REVOKE_ACK	7
/* List windows, a page at a time. */
#define AUGUR_REQUEST_LIST_WINDOWS	8
/* List contexts, one at a time. */
#define AUGUR_REQUEST_LIST_CONTEXTS	9
/* Read the card's counters. */
#define AUGUR_REQUEST_COUNTERS	10
/* Read the card's sensors, as its profile models them. */
#define AUGUR_REQUEST_SENSORS	96
/* Give up one list of a context: what of it has not begun never runs, and what runs ends soon. The list ends with CANCELLED unless it was complete. NO_OBJECT when there is no such list (any more). */
#define AUGUR_REQUEST_LIST_CANCEL	97
/* Change the priority of a context: of its lists that wait, and of those to come. */
#define AUGUR_REQUEST_CONTEXT_PRIORITY	98
/* Say how a range of an object will be used. NO_OBJECT for a range that is not in one; NO_MEMORY when more of the aperture would be pinned than may be, or too many ranges have advice. */
#define AUGUR_REQUEST_ADVISE	99
/* Go on with a life whose rings were reset: maps the aperture again. Contexts, objects and windows are as they were; lists that were in flight have ended. NO_HELLO when the card does not know the life any more. */
#define AUGUR_REQUEST_RESUME	100
/* Tell the card where the driver reports first touches; a ring of zero entries ends it. */
#define AUGUR_REQUEST_TOUCH_RING	64
/* Choose whether and how the card maps ahead for a context. */
#define AUGUR_REQUEST_PREDICTOR_SET	65
/* Ask for the model that predicts for a context, or for the card: a part of its safetensors file. BUSY: ask again soon. */
#define AUGUR_REQUEST_MODEL_PULL	66
/* Give a part of a safetensors file; the last part installs the model, for a context or for the card. */
#define AUGUR_REQUEST_MODEL_PUSH	67
/* Begin to record the accesses of a context that the card knows of, or with context 0 those of all contexts; what was recorded before is dropped. */
#define AUGUR_REQUEST_PROFILE_START	68
/* Stop to record a context, or with context 0 all of them. */
#define AUGUR_REQUEST_PROFILE_STOP	69
/* Take the oldest accesses recorded of a context, or with context 0 of all. */
#define AUGUR_REQUEST_PROFILE_READ	70

/* Priority of a context. Where several want engines, one of a higher priority gets three times the time. */
/* For what nobody waits for. */
#define AUGUR_PRIORITY_LOW	0
/* The usual one. */
#define AUGUR_PRIORITY_NORMAL	1
/* The driver decides who may have it. */
#define AUGUR_PRIORITY_HIGH	2

/* What a program says of a range of its memory. It never changes what an access finds. */
/* Forgets SEQUENTIAL and RANDOM. */
#define AUGUR_ADVICE_NORMAL	0
/* It will be used soon: the card maps it ahead, as far as there is room. */
#define AUGUR_ADVICE_WILL_NEED	1
/* It is used in ascending order: a fault maps more behind itself. */
#define AUGUR_ADVICE_SEQUENTIAL	2
/* It is used in no order: a fault maps one page, and nothing is mapped ahead. */
#define AUGUR_ADVICE_RANDOM	3
/* Windows that lie in the range, rounded outwards to demand windows, are not revoked. Pins keep at most a quarter of the aperture, those of a context an eighth. */
#define AUGUR_ADVICE_PIN	4
/* They may be revoked again. */
#define AUGUR_ADVICE_UNPIN	5

/* Whether and how windows are mapped ahead of use. */
/* As the card is configured. */
#define AUGUR_PREDICTOR_DEFAULT	0
/* Windows are mapped on demand only. */
#define AUGUR_PREDICTOR_OFF	1
/* By the experts' own records. */
#define AUGUR_PREDICTOR_CLASSIC	2
/* By the learned scorer over the experts. */
#define AUGUR_PREDICTOR_FULL	3

/* Whose model it is. */
/* The one for contexts that have none of their own. */
#define AUGUR_MODEL_OF_CARD	0
/* The context's own. */
#define AUGUR_MODEL_OF_CONTEXT	1

/* What became of a MODEL_PUSH. */
/* More parts are expected. */
#define AUGUR_MODEL_INCOMPLETE	0
/* The model predicts from now on. */
#define AUGUR_MODEL_INSTALLED	1
/* The model cannot be used, the reason says why; the one before stays. */
#define AUGUR_MODEL_REFUSED	2

/* How the card came to know of an access. */
/* A demand fault. */
#define AUGUR_SOURCE_FAULT	1
/* An entry of the touch ring. */
#define AUGUR_SOURCE_TOUCH	2
/* A transfer of a command list. */
#define AUGUR_SOURCE_TRANSFER	3
/* An operand of another command. */
#define AUGUR_SOURCE_COMMAND	4

/* What an event says. */
/* A window is filled and may be mapped: context, slot, generation, device_address, aperture_offset, bytes are valid. */
#define AUGUR_EVENT_MAP	1
/* A window is taken back: unmap it, read its dirtiness, acknowledge slot and generation with REVOKE_ACK. */
#define AUGUR_EVENT_REVOKE	2
/* A demand fault could not be served: context and device_address name it, status says why. */
#define AUGUR_EVENT_FAULT_FAILED	3
/* The context has failed, status says why; its windows are not valid any more and its lists end with CANCELLED or CONTEXT_FAILED. */
#define AUGUR_EVENT_CONTEXT_FAILED	4
/* Events were dropped. Everything that waits for an event before this one asks again, after LIST_WINDOWS. */
#define AUGUR_EVENT_RESYNC	5
/* Take a window out of page tables but keep it: the card wants to know whether it is used again, which the touch ring says. Context, slot and generation are valid; nothing is acknowledged. Sent only to drivers that set AUGUR_TOUCH_RING_ZAPS. */
#define AUGUR_EVENT_ZAP	6

/* Element types. */
/* Unsigned byte. */
#define AUGUR_TYPE_U8	1
/* Signed byte. */
#define AUGUR_TYPE_I8	2
/* Signed 16-bit integer. */
#define AUGUR_TYPE_I16	3
/* Signed 32-bit integer. */
#define AUGUR_TYPE_I32	4
/* The upper half of an IEEE 754 binary32. */
#define AUGUR_TYPE_BF16	5
/* IEEE 754 binary32. */
#define AUGUR_TYPE_F32	6

/* Opcodes of commands. Operands are named in order. */
/* dst = src. Same type, same shape; regions may overlap (the source is read first). No parameters. */
#define AUGUR_OP_COPY	1
/* dst = value. struct augur_fill_params. */
#define AUGUR_OP_FILL	2
/* dst(n,y,x,o) from src(n,y,x,i), weights(ky,kx,i/groups,o): cross-correlation, NHWC. u8: weights i16, sums i32; f32: weights f32. struct augur_conv2d_params. */
#define AUGUR_OP_CONV2D	3
/* dst(n,y,x,c) = mean of the factor x factor block of src(n,y,x,c) (u8 rounds half up); NHWC, u8 or f32. struct augur_resample_params. */
#define AUGUR_OP_RESAMPLE	4
/* dst = a + b; u8 saturates. u8 or f32, same shape. struct augur_elementwise_params. */
#define AUGUR_OP_ADD	5
/* dst = a * b; u8 saturates. u8 or f32, same shape. struct augur_elementwise_params. */
#define AUGUR_OP_MULTIPLY	6
/* dst = max(a, 0). f32. struct augur_elementwise_params. */
#define AUGUR_OP_RELU	7
/* dst = a * scale + bias. f32. struct augur_elementwise_params. */
#define AUGUR_OP_SCALE	8
/* dst(m,n) = a(m,k) * b(k,n), rank 2: f32; or a and b bf16 and dst f32; or a and b i8 and dst i32, wrapping. struct augur_matmul_params. */
#define AUGUR_OP_MATMUL	9
/* dst = bytes of a transfer, dst a dense u8 operand of rank 1. struct augur_transfer_params. */
#define AUGUR_OP_TRANSFER_IN	10
/* Bytes of a transfer = src, src a dense u8 operand of rank 1. struct augur_transfer_params. */
#define AUGUR_OP_TRANSFER_OUT	11
/* dst = src reduced along a dimension, in which dst has length 1. f32. struct augur_reduce_params. */
#define AUGUR_OP_REDUCE	12
/* dst = exp(src - max) / sum(exp(src - max)) along a dimension. f32. struct augur_softmax_params. */
#define AUGUR_OP_SOFTMAX	13
/* dst = (src - mean) / sqrt(variance + epsilon) * scale + bias along a dimension; operands dst, src, scale, bias, the last two of rank 1. f32. struct augur_layer_norm_params. */
#define AUGUR_OP_LAYER_NORM	14
/* dst(i,...) = table(indices(i),...); operands dst, table, indices: i32 of rank 1. u8 or f32. An index that is not of a row fails the command with BAD_OPERAND while it runs. No parameters. */
#define AUGUR_OP_GATHER	15
/* table(indices(i),...) = src(i,...), in order of i; operands table, src, indices: i32 of rank 1. u8 or f32. As GATHER for indices. No parameters. */
#define AUGUR_OP_SCATTER	16
/* a(n,n) = l, lower triangular with zeros above the diagonal, where l * transposed l is the symmetric matrix whose lower triangle a held (the rest of a is not read). f32. Without a positive pivot the command fails with BAD_OPERAND while it runs. No parameters. */
#define AUGUR_OP_CHOLESKY	17
/* x(m,n) = y with y * transposed l(n,n) = what x held; l lower triangular, what stands above its diagonal is not read. f32. No parameters. */
#define AUGUR_OP_TRIANGULAR_SOLVE	18

/* How REDUCE reduces. */
/* The sum. */
#define AUGUR_REDUCE_SUM	0
/* The mean. */
#define AUGUR_REDUCE_MEAN	1
/* The largest; a NaN if there is one. */
#define AUGUR_REDUCE_MAXIMUM	2

/*
 * The config space. The driver reads it in probe and never again: a read
 * after the card's process is gone can end the virtual machine.
 */
struct augur_config {
	/* AUGUR_CONFIG_MAGIC; probe refuses anything else. */
	__le64 magic;
	/* AUGUR_ABI_MAJOR; probe refuses another. */
	__le16 abi_major;
	/* AUGUR_ABI_MINOR; a driver works with any. */
	__le16 abi_minor;
	/* Compute engines. */
	__le16 compute_engines;
	/* DMA channels. */
	__le16 dma_channels;
	/* Device memory in bytes, aperture included. */
	__le64 memory_bytes;
	/* Bytes of the aperture: shared memory region 0, BAR 4. A power of two. */
	__le64 aperture_bytes;
	/* Device memory in bytes that objects can have: memory minus aperture. */
	__le64 usable_bytes;
	/* Submit virtqueues. */
	__le16 submit_queues;
	/* Contexts at one time. */
	__le16 max_contexts;
	/* Bytes of the window that answers a demand fault, at most. */
	__le32 demand_window_bytes;
	/* Bytes of the largest window. */
	__le32 max_window_bytes;
	/* Window slots: a slot number is below this. */
	__le32 window_slots;
	/* Bytes of one submission, at most. */
	__le32 max_submit_bytes;
	/* Milliseconds between two heartbeats in the map header. */
	__le32 heartbeat_ms;
	/* Milliseconds the driver has to acknowledge a revoke before the card fails the context. */
	__le32 revoke_timeout_ms;
	/* Zero. */
	__le32 reserved;
};

/*
 * The first page of the aperture. The card writes it and never reads it
 * back. A counter may be torn against another, never within itself.
 */
struct augur_map_header {
	/* AUGUR_MAP_HEADER_MAGIC. */
	__le64 magic;
	/* Grows by one every heartbeat_ms while the card's process lives. */
	__le64 heartbeat;
	/* The nonce of the last accepted HELLO. */
	__le64 life;
	/* AUGUR_STATE_*. */
	__le32 state;
	/* Grows by one each time events were dropped: the driver then calls LIST_WINDOWS. */
	__le32 resync;
	/* Sequence number of the last event written. */
	__le64 event_sequence;
	/* Demand faults answered. */
	__le64 faults;
	/* Windows mapped. */
	__le64 maps;
	/* Windows revoked. */
	__le64 revokes;
	/* Bytes moved between home and visible frames. */
	__le64 moved_bytes;
};

/* Start of every request. */
struct augur_request_header {
	/* AUGUR_REQUEST_*. */
	__le16 opcode;
	/* Zero. */
	__le16 flags;
	/* Context the request is for; zero where there is none. */
	__le32 context;
};

/* Start of every answer. With a status other than OK no body follows. */
struct augur_response_header {
	/* AUGUR_STATUS_*. */
	__le32 status;
	/* Zero. */
	__le32 reserved;
};

/* Body of HELLO. */
struct augur_hello_request {
	/* Chosen by the driver, not zero; stands in the map header afterwards. */
	__le64 nonce;
	/* AUGUR_ABI_MAJOR of the driver. */
	__le16 abi_major;
	/* AUGUR_ABI_MINOR of the driver. */
	__le16 abi_minor;
	/* Zero. */
	__le32 reserved;
};

/* Answer to HELLO. The aperture is mapped and readable when it arrives. */
struct augur_hello_response {
	/* The nonce. */
	__le64 nonce;
	/* Bytes of the aperture that are mapped. */
	__le64 aperture_bytes;
};

/* Body of CONTEXT_CREATE. */
struct augur_context_create_request {
	/* Process id, shown by tools. */
	__le32 process;
	/* AUGUR_PRIORITY_*. */
	__le32 priority;
	/* Name of the program, shown by tools; ends at the first zero byte. */
	__u8 name[16];
};

/* Answer to CONTEXT_CREATE. */
struct augur_context_create_response {
	/* Context id, not used again in this life. */
	__le32 context;
	/* Zero. */
	__le32 reserved;
};

/* Body of OBJECT_CREATE. */
struct augur_object_create_request {
	/* Bytes wanted, not zero; rounded up to whole pages. */
	__le64 bytes;
	/* Zero. */
	__le64 flags;
};

/* Answer to OBJECT_CREATE. */
struct augur_object_create_response {
	/* Object id, not used again in this life. */
	__le64 object;
	/* Where the object starts in the context's device addresses; a multiple of AUGUR_PAGE_BYTES. */
	__le64 device_address;
	/* Bytes of the object, a multiple of AUGUR_PAGE_BYTES. */
	__le64 bytes;
};

/* Body of OBJECT_DESTROY. */
struct augur_object_destroy_request {
	/* Object id. */
	__le64 object;
};

/* Body of FAULT. */
struct augur_fault_request {
	/* Device address of the access. */
	__le64 device_address;
	/* AUGUR_ACCESS_WRITE, or zero. */
	__le32 access;
	/* Zero. */
	__le32 reserved;
};

/* Answer to FAULT: it says only for which event to wait. */
struct augur_fault_response {
	/*
	 * The window was published with this event: once it is handled, look
	 * again. 0: the MAP or FAULT_FAILED event that names the address has
	 * no number yet.
	 */
	__le64 event_sequence;
};

/* One acknowledged window. */
struct augur_revoke_ack {
	/* Window slot. */
	__le32 slot;
	/* Generation that was revoked. An acknowledgement of another is ignored. */
	__le32 generation;
	/* AUGUR_ACK_DIRTY, AUGUR_ACK_USED. */
	__le32 flags;
	/* Zero. */
	__le32 reserved;
};

/* Body of REVOKE_ACK; `count` entries of struct augur_revoke_ack follow. */
struct augur_revoke_ack_request {
	/* Entries, 1 to AUGUR_MAX_ACKS. */
	__le32 count;
	/* Zero. */
	__le32 reserved;
};

/* Body of LIST_WINDOWS. */
struct augur_list_windows_request {
	/* First slot to list; 0, then next_slot of the last answer. */
	__le32 first_slot;
	/* Zero. */
	__le32 reserved;
};

/* A window in a LIST_WINDOWS answer. */
struct augur_listed_window {
	/* Context id. */
	__le32 context;
	/* Window slot. */
	__le32 slot;
	/* Generation of the slot. */
	__le32 generation;
	/* Bytes of the window. */
	__le32 bytes;
	/* First device address of the window. */
	__le64 device_address;
	/* Where the window starts in the aperture. */
	__le64 aperture_offset;
	/* 1: revoked, an acknowledgement is awaited; 0: live. */
	__le32 revoked;
	/* Zero. */
	__le32 reserved;
};

/* Answer to LIST_WINDOWS; `count` entries of struct augur_listed_window follow. */
struct augur_list_windows_response {
	/* Entries, at most AUGUR_MAX_LISTED_WINDOWS. */
	__le32 count;
	/* first_slot of the next request, 0 when the list is complete. */
	__le32 next_slot;
};

/* Body of LIST_CONTEXTS. */
struct augur_list_contexts_request {
	/* The first context with an id of at least this is described. */
	__le32 first_context;
	/* Zero. */
	__le32 reserved;
};

/* Answer to LIST_CONTEXTS; NO_CONTEXT when there is none left. */
struct augur_context_info_response {
	/* Context id. */
	__le32 context;
	/* Process id given at creation. */
	__le32 process;
	/* Name given at creation. */
	__u8 name[16];
	/* Priority given at creation. */
	__le32 priority;
	/* Non-zero: the context has failed, AUGUR_STATUS_* says why. */
	__le32 failed;
	/* Objects. */
	__le64 objects;
	/* Device memory of the objects in bytes. */
	__le64 object_bytes;
	/* Windows in the aperture. */
	__le64 windows;
	/* Bytes of the windows. */
	__le64 window_bytes;
	/* Demand faults so far. */
	__le64 faults;
	/* Command lists completed so far. */
	__le64 lists;
	/* Nanoseconds of compute engines so far. */
	__le64 compute_ns;
	/* Bytes transferred by DMA so far. */
	__le64 transferred_bytes;
	/* Nanoseconds of DMA channels so far. */
	__le64 dma_ns;
	/* Commands executed so far. */
	__le64 commands;
};

/* Answer to COUNTERS: totals since the card's process started, unless said otherwise. */
struct augur_counters_response {
	/* Card clock in nanoseconds. */
	__le64 time_ns;
	/* Driver lives begun. */
	__le64 lives;
	/* Contexts now. */
	__le64 contexts;
	/* Objects now. */
	__le64 objects;
	/* Device memory of the objects now, in bytes. */
	__le64 object_bytes;
	/* Windows now. */
	__le64 windows;
	/* Bytes of visible frames in windows now. */
	__le64 window_bytes;
	/* Bytes of visible frames that are free now. */
	__le64 free_visible_bytes;
	/* Bytes of visible frames in quarantine now. */
	__le64 quarantined_bytes;
	/* Demand faults. */
	__le64 faults;
	/* Nanoseconds from demand faults to the publication of their windows. */
	__le64 fault_ns;
	/* Windows mapped. */
	__le64 maps;
	/* Windows revoked. */
	__le64 revokes;
	/* Revoked windows that were clean and dropped without a copy. */
	__le64 clean_drops;
	/* Bytes filled from home frames. */
	__le64 filled_bytes;
	/* Bytes zeroed in windows of new data. */
	__le64 zeroed_bytes;
	/* Bytes written home. */
	__le64 written_home_bytes;
	/* Stale acknowledgements that were ignored. */
	__le64 stale_acks;
	/* Times that events were dropped. */
	__le64 resyncs;
	/* Command lists completed. */
	__le64 lists;
	/* Command lists that failed. */
	__le64 failed_lists;
	/* Commands executed. */
	__le64 commands;
	/* Nanoseconds of compute engines. */
	__le64 compute_ns;
	/* Nanoseconds of DMA channels. */
	__le64 dma_ns;
	/* Bytes transferred from guest memory to the card. */
	__le64 dma_in_bytes;
	/* Bytes transferred from the card to guest memory. */
	__le64 dma_out_bytes;
	/* Requests that were refused. */
	__le64 refused_requests;
	/* Windows mapped ahead of use. */
	__le64 maps_ahead;
	/* Windows mapped ahead that were used. */
	__le64 ahead_used;
	/* Windows mapped ahead that left the aperture without use. */
	__le64 ahead_unused;
	/* Demand faults on windows that were being filled ahead of use. */
	__le64 late_faults;
	/* Bytes of windows mapped ahead and not used yet, now. */
	__le64 speculative_bytes;
	/* Entries of the touch ring that were taken. */
	__le64 touches;
	/* Entries of the touch ring that were overwritten before the card read them. */
	__le64 touches_lost;
	/* Entries of the touch ring that named no window of the card. */
	__le64 touches_refused;
	/* Accesses that the learning thread was not told of because it was behind. */
	__le64 accesses_dropped;
	/* Nanoseconds that the learning thread worked. */
	__le64 learning_ns;
	/* Windows taken out of page tables to see whether they are used again. */
	__le64 zaps;
	/* Those that were. */
	__le64 zaps_refaulted;
	/* Units of device memory that dependences are tracked by, now. */
	__le64 tracked_regions;
	/* Orderings between commands. */
	__le64 edges;
	/* Times that the unit of tracking of an object was split into its regions. */
	__le64 splits;
	/* Times that it was merged again. */
	__le64 merges;
	/* Commands whose analysis was known from an equal list. */
	__le64 replayed_commands;
	/* Commands that the engine took which has their data. */
	__le64 near_commands;
	/* Commands that an engine took from the share of another. */
	__le64 stolen_commands;
	/* Nanoseconds that the analysis unit worked, by its model. */
	__le64 analysis_ns;
	/* Ranges of objects that engines took hold of. */
	__le64 held_ranges;
	/* Runs of device memory in which those lay. */
	__le64 held_runs;
	/* Parts of objects that were moved to another place in device memory. */
	__le64 relocations;
	/* Their bytes. */
	__le64 relocated_bytes;
	/* Parts that stayed where they were, because something used them meanwhile. */
	__le64 relocations_spoiled;
	/* The most device memory that objects took at one time, in bytes. */
	__le64 peak_object_bytes;
	/* Device memory behind the aperture up to the end of what is in use, in bytes. */
	__le64 home_end_bytes;
	/* Times that predictions hurt and nothing was mapped ahead for a while. */
	__le64 fallbacks_to_nothing;
	/* Times that they hurt and only next units were mapped ahead for a while. */
	__le64 fallbacks_to_next;
	/*
	 * What is mapped ahead now: 0 what is predicted, 1 nothing, otherwise so many next
	 * units after the one touched.
	 */
	__le64 fallback;
};

/* Answer to SENSORS. Power and temperature are a model's. */
struct augur_sensors_response {
	/* Card clock in nanoseconds. */
	__le64 time_ns;
	/* Nanoseconds in which a compute engine was busy, summed over engines. */
	__le64 compute_ns;
	/* Nanoseconds in which a DMA channel was busy, summed over channels. */
	__le64 dma_ns;
	/* Energy since the card's process began, in microjoules. */
	__le64 energy_uj;
	/* Power in the last heartbeat's interval, in microwatts. */
	__le64 power_uw;
	/* Temperature in millidegrees Celsius. */
	__le32 temperature_mc;
	/* Clock of the engines in MHz, 0 while all are idle. */
	__le32 engine_mhz;
	/* Clock of a working engine in MHz. */
	__le32 engine_max_mhz;
	/* Zero. */
	__le32 reserved;
};

/* Body of LIST_CANCEL. */
struct augur_list_cancel_request {
	/* The number that the list's submission gave. */
	__le32 number;
	/* Zero. */
	__le32 reserved;
};

/* Body of RESUME; the answer is HELLO's. */
struct augur_resume_request {
	/* The nonce of the life's HELLO. */
	__le64 nonce;
};

/* Body of CONTEXT_PRIORITY. */
struct augur_context_priority_request {
	/* AUGUR_PRIORITY_*. */
	__le32 priority;
	/* Zero. */
	__le32 reserved;
};

/* Body of ADVISE. */
struct augur_advise_request {
	/* First device address of the range. */
	__le64 device_address;
	/* Bytes of the range, which lies in one object. */
	__le64 bytes;
	/* AUGUR_ADVICE_*. */
	__le32 advice;
	/* Zero. */
	__le32 reserved;
};

/* Body of PREDICTOR_SET. */
struct augur_predictor_set_request {
	/* AUGUR_PREDICTOR_*. */
	__le32 mode;
	/* Zero. */
	__le32 reserved;
};

/* Body of MODEL_PULL. */
struct augur_model_pull_request {
	/* AUGUR_MODEL_OF_*. */
	__le32 scope;
	/* First byte wanted; 0 takes a new copy of the model, others continue it. */
	__le32 offset;
};

/* Answer to MODEL_PULL; `bytes` bytes of the file follow, padded to AUGUR_MODEL_CHUNK with zeros. */
struct augur_model_pull_response {
	/* Steps of training behind the model. */
	__le64 generation;
	/* FNV-1a over the bytes of all weights. */
	__le64 checksum;
	/* Bytes of the file. */
	__le32 total;
	/* Bytes that follow. */
	__le32 bytes;
	/* Weights and biases. */
	__le32 parameters;
	/* AUGUR_PREDICTOR_* of the context, never DEFAULT. */
	__le32 mode;
};

/* Body of MODEL_PUSH; `bytes` bytes of the file follow, padded to AUGUR_MODEL_CHUNK with zeros. */
struct augur_model_push_request {
	/* AUGUR_MODEL_OF_*. */
	__le32 scope;
	/* Bytes of the file, at most AUGUR_MAX_MODEL_BYTES. */
	__le32 total;
	/* First byte of this part: 0, then where the last part ended. */
	__le32 offset;
	/* Bytes of this part, 1 to AUGUR_MODEL_CHUNK. */
	__le32 bytes;
};

/* Answer to MODEL_PUSH. */
struct augur_model_push_response {
	/* AUGUR_MODEL_INCOMPLETE, INSTALLED or REFUSED. */
	__le32 outcome;
	/* Zero. */
	__le32 reserved;
	/* Why it was refused, as text that ends at the first zero byte. */
	__u8 reason[120];
};

/* An access that was recorded. */
struct augur_profile_record {
	/* Card clock in nanoseconds. */
	__le64 time_ns;
	/* First byte. */
	__le64 device_address;
	/* Bytes. */
	__le64 bytes;
	/* AUGUR_SOURCE_*. */
	__le16 source;
	/* AUGUR_PROFILE_WRITE, or zero. */
	__le16 flags;
	/* Context id. */
	__le32 context;
};

/* Answer to PROFILE_READ; room for AUGUR_MAX_PROFILE_RECORDS entries of struct augur_profile_record follows. */
struct augur_profile_read_response {
	/* Entries that are filled; 0 when nothing was recorded since the last. */
	__le32 count;
	/* 1 while the card records. */
	__le32 recording;
	/* Accesses that were dropped because nobody read them in time. */
	__le64 lost;
};

/* Body of TOUCH_RING. */
struct augur_touch_ring_request {
	/* Guest address of struct augur_touch_ring, a multiple of 8; entries follow it. */
	__le64 address;
	/* Entries, at most AUGUR_MAX_TOUCHES; 0 ends the use of the ring. */
	__le32 entries;
	/* AUGUR_TOUCH_RING_ZAPS, or zero. */
	__le32 flags;
};

/* Start of the touch ring in guest memory; struct augur_touch entries follow. */
struct augur_touch_ring {
	/*
	 * Entries ever written. Entry number n, from 0, stands at place n modulo
	 * the number of entries; this is raised after the entry was written.
	 */
	__le64 written;
	/* Not looked at. */
	__le64 reserved;
};

/* Pages of a window that the driver has entered into a page table. */
struct augur_touch {
	/*
	 * The low bits of the entry's number plus one: an entry that is being
	 * overwritten does not have it.
	 */
	__le32 sequence;
	/* Window slot. */
	__le32 slot;
	/* Generation of the slot. */
	__le32 generation;
	/* First of the pages, counted from the start of the window. */
	__le16 first_page;
	/* Pages entered, not zero. */
	__u8 pages;
	/* AUGUR_TOUCH_WRITE, or zero. */
	__u8 flags;
};

/*
 * One event. A buffer of the events queue takes as many as fit it; the
 * used length is a multiple of this structure's size.
 */
struct augur_event {
	/* Grows by one from event to event, from 1 in each life. */
	__le64 sequence;
	/* AUGUR_EVENT_*. */
	__le16 kind;
	/* AUGUR_EVENT_DEMAND, or zero. */
	__le16 flags;
	/* Context id. */
	__le32 context;
	/* Window slot. */
	__le32 slot;
	/* Generation of the slot: grows each time the slot is used again. */
	__le32 generation;
	/* First device address of the window. */
	__le64 device_address;
	/* Where the window starts in the aperture. */
	__le64 aperture_offset;
	/* Bytes of the window. */
	__le32 bytes;
	/* AUGUR_STATUS_*. */
	__le32 status;
	/* Card clock in nanoseconds. */
	__le64 time_ns;
	/* Zero. */
	__le64 reserved;
};

/* Start of a submission. */
struct augur_submit_header {
	/* Context id. */
	__le32 context;
	/* Zero. */
	__le32 flags;
	/* Bytes of the command list that follows, a multiple of 8. */
	__le32 list_bytes;
	/* Commands in the list. */
	__le32 command_count;
	/* Transfers behind the list. */
	__le32 transfer_count;
	/* Number that the driver gives the list for LIST_CANCEL; any. */
	__le32 number;
};

/* Guest memory that a transfer command reads or writes. */
struct augur_transfer {
	/* Guest address of the first page of the segment table; a multiple of AUGUR_PAGE_BYTES. */
	__le64 segment_table;
	/* Bytes that the segments cover together, at most AUGUR_MAX_TRANSFER_BYTES. */
	__le64 bytes;
};

/* A run of guest memory. */
struct augur_segment {
	/* Guest address, any alignment. */
	__le64 address;
	/* Bytes, not zero. */
	__le32 bytes;
	/* Zero. */
	__le32 reserved;
};

/*
 * Start of a page of a segment table; `count` entries of struct
 * augur_segment follow. The card copies a page before it checks it.
 */
struct augur_segment_table_page {
	/* Guest address of the next page; 0 on the last. */
	__le64 next;
	/* Segments in this page, 1 to AUGUR_SEGMENTS_PER_TABLE_PAGE. */
	__le32 count;
	/* Zero. */
	__le32 reserved;
};

/* How a command list ended. */
struct augur_submit_status {
	/* AUGUR_STATUS_*. */
	__le32 status;
	/* Index of the first command that failed or was not executed; the number of commands when there is none. */
	__le32 failed_command;
	/* Card clock when the first command started, nanoseconds. */
	__le64 started_ns;
	/* Card clock when the last command ended, nanoseconds. */
	__le64 finished_ns;
};

/* Start of a command. */
struct augur_command_header {
	/* AUGUR_OP_*. */
	__le16 opcode;
	/* Operands: exactly as many as the opcode has. */
	__le16 operand_count;
	/* Bytes of the command with header, parameters and operands. */
	__le32 bytes;
};

/*
 * A strided sub-range of device memory. Element (i0, i1, …) is at
 * address + i0*stride0 + i1*stride1 + …; strides are in bytes.
 */
struct augur_operand {
	/* Device address of the first element; a multiple of the element's size. */
	__le64 address;
	/* AUGUR_TYPE_*. */
	__u8 data_type;
	/* Dimensions, 1 to AUGUR_MAX_RANK. */
	__u8 rank;
	/* Zero. */
	__u8 reserved[6];
	/* Elements of each dimension, none zero; zero behind the last dimension. */
	__le32 shape[6];
	/* Bytes between neighbours in each dimension, a multiple of the element's size; zero behind the last dimension. */
	__le64 stride[6];
};

/* Parameters of FILL. */
struct augur_fill_params {
	/* The element's bytes in the low bits; the rest zero. */
	__le64 value;
};

/* Parameters of ADD, MULTIPLY, RELU and SCALE. */
struct augur_elementwise_params {
	/* Bits of the f32 scale; zero for other opcodes. */
	__le32 scale;
	/* Bits of the f32 bias; zero for other opcodes. */
	__le32 bias;
};

/* Parameters of CONV2D. u8: clamp((|sum|? + bias + 2^(shift-1)) >> shift). */
struct augur_conv2d_params {
	/* Rows between two outputs, not zero. */
	__le16 stride_y;
	/* Columns between two outputs, not zero. */
	__le16 stride_x;
	/* Rows of padding above; output height = (height + pad_top + pad_bottom - kernel height) / stride_y + 1. */
	__le16 pad_top;
	/* Rows of padding below. */
	__le16 pad_bottom;
	/* Columns of padding on the left. */
	__le16 pad_left;
	/* Columns of padding on the right. */
	__le16 pad_right;
	/* Channel groups; input and output channels are multiples of it. */
	__le16 groups;
	/* u8: bits that the sum is shifted right by, with rounding, 0 to 24. f32: zero. */
	__le16 shift;
	/* AUGUR_CONV_ABSOLUTE, AUGUR_CONV_EDGE. */
	__le32 flags;
	/* Added to each sum: an i32 for u8, the bits of an f32 for f32. */
	__le32 bias;
};

/* Parameters of RESAMPLE. */
struct augur_resample_params {
	/* Source elements for one of the destination in y and x, 2 to 16; the source's height and width are at least factor times the destination's. */
	__le32 factor;
	/* Zero. */
	__le32 reserved;
};

/* Parameters of MATMUL. */
struct augur_matmul_params {
	/* AUGUR_MATMUL_ACCUMULATE, AUGUR_MATMUL_SUBTRACT, or zero. */
	__le32 flags;
	/* Zero. */
	__le32 reserved;
};

/* Parameters of REDUCE. */
struct augur_reduce_params {
	/* Dimension that is reduced. */
	__le32 axis;
	/* AUGUR_REDUCE_*. */
	__le32 kind;
};

/* Parameters of SOFTMAX. */
struct augur_softmax_params {
	/* Dimension along which the results sum to one. */
	__le32 axis;
	/* Zero. */
	__le32 reserved;
};

/* Parameters of LAYER_NORM. */
struct augur_layer_norm_params {
	/* Dimension that is normalised. */
	__le32 axis;
	/* Bits of the f32 epsilon. */
	__le32 epsilon;
};

/* Parameters of TRANSFER_IN and TRANSFER_OUT. */
struct augur_transfer_params {
	/* Index of the transfer in the submission. */
	__le32 transfer;
	/* Zero. */
	__le32 reserved;
	/* First byte of the transfer that is used; it covers offset plus the operand's bytes. */
	__le64 offset;
};

#endif /* AUGUR_CARD_ABI_H */
