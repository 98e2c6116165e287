// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests about contexts: opening and closing them, what there are, and giving up
//! their lists.

use augur_abi::Status;
use augur_abi::control::{
    ContextCreateRequest, ContextCreateResponse, ContextInfoResponse, ListCancelRequest,
    ListContextsRequest,
};
use augur_memory::ContextId;

use super::append;
use crate::hints;
use crate::shared::{ContextInfo, Shared};
use crate::status::status_of;

/// Opens a context.
pub(super) fn create(
    shared: &Shared,
    body: &ContextCreateRequest,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    let weight = hints::weight(body.priority)?;
    let mut core = shared.core();
    let id = core.manager.create_context().map_err(status_of)?;
    core.contexts.insert(
        id,
        ContextInfo {
            process: body.process,
            priority: body.priority,
            name: body.name,
            cancelled: Default::default(),
            lists: 0,
            usage: Default::default(),
            transferred_bytes: 0,
            dma: Default::default(),
        },
    );
    drop(core);
    shared.dispatch.add_context(id, weight);
    append(
        out,
        &ContextCreateResponse {
            context: id.0,
            reserved: 0,
        },
    );
    Ok(())
}

/// Closes a context and ends its lists.
pub(super) fn destroy(shared: &Shared, context: ContextId, body: &[u8]) -> Result<(), Status> {
    if !body.is_empty() {
        return Err(Status::Invalid);
    }
    let mut core = shared.core();
    core.manager
        .destroy_context(context, shared.guest_time())
        .map_err(status_of)?;
    if let Some(info) = core.contexts.remove(&context) {
        info.cancelled.end();
    }
    shared.carry_out(core);
    shared.prediction.forget(context);
    shared.end_lists(context);
    Ok(())
}

/// The next context and what it has had.
pub(super) fn list(
    shared: &Shared,
    body: &ListContextsRequest,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    if body.reserved != 0 {
        return Err(Status::Invalid);
    }
    let core = shared.core();
    let id = core
        .manager
        .next_context(ContextId(body.first_context))
        .ok_or(Status::NoContext)?;
    let (Some(report), Some(info)) = (core.manager.context(id), core.contexts.get(&id)) else {
        return Err(Status::NoContext);
    };
    let (commands, computed) = info.usage.so_far();
    append(
        out,
        &ContextInfoResponse {
            context: id.0,
            process: info.process,
            name: info.name,
            priority: info.priority,
            failed: if report.failed {
                Status::ContextFailed.code()
            } else {
                0
            },
            objects: report.objects,
            object_bytes: report.object_bytes,
            windows: report.windows,
            window_bytes: report.window_bytes,
            faults: report.faults,
            lists: info.lists,
            compute_ns: computed.0,
            transferred_bytes: info.transferred_bytes,
            dma_ns: info.dma.0,
            commands,
        },
    );
    Ok(())
}

/// Gives up a list.
pub(super) fn cancel_list(
    shared: &Shared,
    context: ContextId,
    body: &ListCancelRequest,
) -> Result<(), Status> {
    if body.reserved != 0 {
        return Err(Status::Invalid);
    }
    let core = shared.core();
    let info = core.contexts.get(&context).ok_or(Status::NoContext)?;
    let found = info.cancelled.cancel(body.number);
    // Whoever waits for a window to move looks at the flag again.
    shared.carry_out(core);
    found.then_some(()).ok_or(Status::NoObject)
}
