/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: what happens to command lists and to windows.
 *
 *	echo 1 > /sys/kernel/tracing/events/augur/enable
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM augur

#if !defined(_AUGUR_TRACE_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _AUGUR_TRACE_H_

#include <linux/tracepoint.h>

TRACE_EVENT(augur_submit,
	    TP_PROTO(u32 context, u64 fence, u32 queue, u32 commands, u32 transfers),
	    TP_ARGS(context, fence, queue, commands, transfers),
	    TP_STRUCT__entry(__field(u64, fence)
			     __field(u32, context)
			     __field(u32, queue)
			     __field(u32, commands)
			     __field(u32, transfers)),
	    TP_fast_assign(__entry->fence = fence;
			   __entry->context = context;
			   __entry->queue = queue;
			   __entry->commands = commands;
			   __entry->transfers = transfers;),
	    TP_printk("context=%u fence=%llu queue=%u commands=%u transfers=%u",
		      __entry->context, __entry->fence, __entry->queue,
		      __entry->commands, __entry->transfers)
);

TRACE_EVENT(augur_fence,
	    TP_PROTO(u32 context, u64 fence, u32 status, int error),
	    TP_ARGS(context, fence, status, error),
	    TP_STRUCT__entry(__field(u64, fence)
			     __field(u32, context)
			     __field(u32, status)
			     __field(int, error)),
	    TP_fast_assign(__entry->fence = fence;
			   __entry->context = context;
			   __entry->status = status;
			   __entry->error = error;),
	    TP_printk("context=%u fence=%llu status=%u error=%d", __entry->context,
		      __entry->fence, __entry->status, __entry->error)
);

TRACE_EVENT(augur_fault,
	    TP_PROTO(u32 context, u64 address, bool write),
	    TP_ARGS(context, address, write),
	    TP_STRUCT__entry(__field(u64, address)
			     __field(u32, context)
			     __field(bool, write)),
	    TP_fast_assign(__entry->address = address;
			   __entry->context = context;
			   __entry->write = write;),
	    TP_printk("context=%u address=%#llx %s", __entry->context, __entry->address,
		      __entry->write ? "write" : "read")
);

TRACE_EVENT(augur_window_publish,
	    TP_PROTO(const struct augur_window_place *place, bool demand),
	    TP_ARGS(place, demand),
	    TP_STRUCT__entry(__field(u64, address)
			     __field(u64, aperture_offset)
			     __field(u32, context)
			     __field(u32, slot)
			     __field(u32, generation)
			     __field(u32, bytes)
			     __field(bool, demand)),
	    TP_fast_assign(__entry->address = place->address;
			   __entry->aperture_offset = place->aperture_offset;
			   __entry->context = place->context;
			   __entry->slot = place->slot;
			   __entry->generation = place->generation;
			   __entry->bytes = place->bytes;
			   __entry->demand = demand;),
	    TP_printk("context=%u slot=%u generation=%u address=%#llx bytes=%u aperture=%#llx %s",
		      __entry->context, __entry->slot, __entry->generation,
		      __entry->address, __entry->bytes, __entry->aperture_offset,
		      __entry->demand ? "demand" : "ahead")
);

TRACE_EVENT(augur_window_revoke,
	    TP_PROTO(u32 slot, u32 generation, bool dirty),
	    TP_ARGS(slot, generation, dirty),
	    TP_STRUCT__entry(__field(u32, slot)
			     __field(u32, generation)
			     __field(bool, dirty)),
	    TP_fast_assign(__entry->slot = slot;
			   __entry->generation = generation;
			   __entry->dirty = dirty;),
	    TP_printk("slot=%u generation=%u %s", __entry->slot, __entry->generation,
		      __entry->dirty ? "dirty" : "clean")
);

#endif /* _AUGUR_TRACE_H_ */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE augur_trace
#include <trace/define_trace.h>
