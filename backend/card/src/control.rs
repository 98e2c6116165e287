// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests of the control queue.

use std::time::{Duration, Instant};

use augur_abi::control::{
    ACCESS_WRITE, ACK_DIRTY, ACK_USED, ContextCreateRequest, ContextCreateResponse,
    ContextInfoResponse, FaultRequest, FaultResponse, HelloRequest, HelloResponse,
    ListCancelRequest, ListContextsRequest, ListWindowsRequest, ListWindowsResponse, ListedWindow,
    MAX_ACKS, MAX_LISTED_WINDOWS, ObjectCreateRequest, ObjectCreateResponse, ObjectDestroyRequest,
    Request, RequestHeader, ResponseHeader, ResumeRequest, RevokeAck, RevokeAckRequest,
};
use augur_abi::{ABI_MAJOR, CardState, Status};
use augur_memory::{
    ContextId, DeviceAddress, FaultAnswer, MemoryError, ObjectId, Slot, WindowRef, WindowState,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::shared::{ContextInfo, Shared, Totals};
use crate::status::status_of;
use crate::{counters, header, hints, prediction};

/// How long an allocation waits for freed memory to be scrubbed.
const SCRUB_PATIENCE: Duration = Duration::from_secs(5);

/// Answers one request.
pub(crate) fn answer(shared: &Shared, request: &[u8]) -> Vec<u8> {
    let mut response = vec![0; ResponseHeader::BYTES];
    let status = match handle(shared, request, &mut response) {
        Ok(()) => Status::Ok,
        Err(status) => {
            Totals::add(&shared.totals.refused_requests, 1);
            response.truncate(ResponseHeader::BYTES);
            status
        }
    };
    let header = ResponseHeader {
        status: status.code(),
        reserved: 0,
    };
    response[..ResponseHeader::BYTES].copy_from_slice(header.as_bytes());
    response
}

fn handle(shared: &Shared, request: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let (header, body) = RequestHeader::read_from_prefix(request).map_err(|_| Status::Invalid)?;
    let opcode = Request::from_code(header.opcode).ok_or(Status::Invalid)?;
    let needs_context = matches!(
        opcode,
        Request::ContextDestroy
            | Request::ObjectCreate
            | Request::ObjectDestroy
            | Request::Fault
            | Request::ListCancel
            | Request::ContextPriority
            | Request::Advise
            | Request::PredictorSet
            | Request::ModelPull
            | Request::ModelPush
            | Request::ProfileStart
            | Request::ProfileStop
            | Request::ProfileRead
    );
    if header.flags != 0 || (!needs_context && header.context != 0) {
        return Err(Status::Invalid);
    }
    let context = ContextId(header.context);
    match opcode {
        Request::Hello => hello(shared, &whole(body)?, out),
        Request::Resume => resume(shared, &whole(body)?, out),
        Request::Counters => counters::counters(shared, body, out),
        _ if shared.core().life.is_none() => Err(Status::NoHello),
        Request::ContextCreate => context_create(shared, &whole(body)?, out),
        Request::ContextDestroy => context_destroy(shared, context, body),
        Request::ObjectCreate => object_create(shared, context, &whole(body)?, out),
        Request::ObjectDestroy => object_destroy(shared, context, &whole(body)?),
        Request::Fault => fault(shared, context, &whole(body)?, out),
        Request::RevokeAck => revoke_ack(shared, body),
        Request::ListWindows => list_windows(shared, &whole(body)?, out),
        Request::ListContexts => list_contexts(shared, &whole(body)?, out),
        Request::Sensors => counters::sensors(shared, body, out),
        Request::ListCancel => list_cancel(shared, context, &whole(body)?),
        Request::ContextPriority => hints::set_priority(shared, context, &whole(body)?),
        Request::Advise => hints::advise(shared, context, &whole(body)?),
        Request::TouchRing
        | Request::PredictorSet
        | Request::ModelPull
        | Request::ModelPush
        | Request::ProfileStart
        | Request::ProfileStop
        | Request::ProfileRead => {
            let of_card = context == prediction::OF_CARD
                && matches!(
                    opcode,
                    Request::ProfileStart | Request::ProfileStop | Request::ProfileRead
                );
            if needs_context && !of_card && !shared.core().contexts.contains_key(&context) {
                return Err(Status::NoContext);
            }
            prediction::answer(shared, opcode, context, body, out)
        }
    }
}

/// The body, which must be exactly a `T`.
fn whole<T: FromBytes>(body: &[u8]) -> Result<T, Status> {
    T::read_from_bytes(body).map_err(|_| Status::Invalid)
}

pub(crate) fn append<T: IntoBytes + Immutable>(out: &mut Vec<u8>, body: &T) {
    out.extend_from_slice(body.as_bytes());
}

fn hello(shared: &Shared, body: &HelloRequest, out: &mut Vec<u8>) -> Result<(), Status> {
    if body.nonce == 0 || body.reserved != 0 {
        return Err(Status::Invalid);
    }
    if body.abi_major != ABI_MAJOR {
        return Err(Status::Version);
    }
    shared.end_life(Some(body.nonce), CardState::Running);
    let resyncs = {
        let mut core = shared.core();
        core.lives += 1;
        core.events.resyncs
    };
    header::begin(&shared.memory, body.nonce, resyncs);
    map_aperture(shared, body.nonce, out)
}

fn resume(shared: &Shared, body: &ResumeRequest, out: &mut Vec<u8>) -> Result<(), Status> {
    if !shared.resume_life(body.nonce) {
        return Err(Status::NoHello);
    }
    map_aperture(shared, body.nonce, out)
}

fn map_aperture(shared: &Shared, nonce: u64, out: &mut Vec<u8>) -> Result<(), Status> {
    let bytes = shared.config.aperture_bytes;
    if let Err(error) = shared.host.map_aperture(shared.memory.file(), bytes) {
        log::error!("cannot map the aperture: {error}");
        shared.end_life(None, CardState::Failed);
        return Err(Status::DeviceError);
    }
    append(
        out,
        &HelloResponse {
            nonce,
            aperture_bytes: bytes,
        },
    );
    Ok(())
}

fn context_create(
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

fn context_destroy(shared: &Shared, context: ContextId, body: &[u8]) -> Result<(), Status> {
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

fn object_create(
    shared: &Shared,
    context: ContextId,
    body: &ObjectCreateRequest,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    if body.flags != 0 {
        return Err(Status::Invalid);
    }
    let deadline = Instant::now() + SCRUB_PATIENCE;
    let mut core = shared.core();
    let (object, address, bytes) = loop {
        match core.manager.create_object(context, body.bytes) {
            Err(MemoryError::NoMemory)
                if core.manager.scrubbing_frames() > 0 && Instant::now() < deadline =>
            {
                core = shared.wait_for_change(core, SCRUB_PATIENCE);
            }
            other => break other.map_err(status_of)?,
        }
    };
    append(
        out,
        &ObjectCreateResponse {
            object: object.0,
            device_address: address.0,
            bytes,
        },
    );
    Ok(())
}

fn object_destroy(
    shared: &Shared,
    context: ContextId,
    body: &ObjectDestroyRequest,
) -> Result<(), Status> {
    let mut core = shared.core();
    core.manager
        .destroy_object(context, ObjectId(body.object), shared.guest_time())
        .map_err(status_of)?;
    shared.carry_out(core);
    Ok(())
}

fn fault(
    shared: &Shared,
    context: ContextId,
    body: &FaultRequest,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    if body.access & !ACCESS_WRITE != 0 || body.reserved != 0 {
        return Err(Status::Invalid);
    }
    let address = DeviceAddress(body.device_address);
    let mut core = shared.core();
    let found = core
        .manager
        .lookup(context, address.page())
        .and_then(|(window, _)| core.manager.report(window.slot));
    let answer = core
        .manager
        .fault(context, address, shared.guest_time())
        .map_err(status_of)?;
    let event_sequence = match answer {
        FaultAnswer::Live(window) => core.events.published(window.slot),
        FaultAnswer::Coming => {
            shared.carry_out(core);
            if let Some(window) = found
                && window.state == WindowState::Filling
            {
                shared.finish_fill(window.window);
            }
            core = shared.core();
            match core.manager.lookup(context, address.page()) {
                Some((window, WindowState::Live)) => core.events.published(window.slot),
                _ => 0,
            }
        }
    };
    let write = body.access & ACCESS_WRITE != 0;
    let (page, now) = (address.page(), shared.now());
    shared
        .prediction
        .fault(&core.manager, context, page, write, found, now);
    drop(core);
    append(out, &FaultResponse { event_sequence });
    Ok(())
}

fn revoke_ack(shared: &Shared, body: &[u8]) -> Result<(), Status> {
    let (request, entries) =
        RevokeAckRequest::read_from_prefix(body).map_err(|_| Status::Invalid)?;
    let count = request.count as usize;
    if request.reserved != 0
        || !(1..=MAX_ACKS).contains(&count)
        || entries.len() != count * RevokeAck::BYTES
    {
        return Err(Status::Invalid);
    }
    let acks = entries
        .chunks_exact(RevokeAck::BYTES)
        .map(|bytes| {
            let ack: RevokeAck = whole(bytes)?;
            if ack.flags & !(ACK_DIRTY | ACK_USED) != 0 || ack.reserved != 0 {
                return Err(Status::Invalid);
            }
            Ok(ack)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut core = shared.core();
    let now = shared.guest_time();
    for ack in acks {
        let window = WindowRef {
            slot: Slot(ack.slot),
            generation: ack.generation,
        };
        if ack.flags & ACK_USED != 0 {
            core.manager.touch(window, now);
        }
        // A stale acknowledgement is counted and otherwise ignored.
        core.manager
            .acknowledged(window, ack.flags & ACK_DIRTY != 0, now);
    }
    shared.carry_out(core);
    Ok(())
}

fn list_windows(
    shared: &Shared,
    body: &ListWindowsRequest,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    if body.reserved != 0 {
        return Err(Status::Invalid);
    }
    let core = shared.core();
    let mut windows = core.manager.published_windows(Slot(body.first_slot));
    let listed: Vec<ListedWindow> = windows
        .by_ref()
        .take(MAX_LISTED_WINDOWS)
        .map(|report| ListedWindow {
            context: report.context.0,
            slot: report.window.slot.0,
            generation: report.window.generation,
            bytes: report.bytes as u32,
            device_address: report.address.0,
            aperture_offset: report.aperture.0,
            revoked: u32::from(report.state != WindowState::Live),
            reserved: 0,
        })
        .collect();
    let next_slot = windows.next().map_or(0, |report| report.window.slot.0);
    append(
        out,
        &ListWindowsResponse {
            count: listed.len() as u32,
            next_slot,
        },
    );
    out.extend_from_slice(listed.as_bytes());
    Ok(())
}

fn list_contexts(
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

fn list_cancel(
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
