// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests of the control queue.

mod contexts;
mod windows;

use std::time::{Duration, Instant};

use augur_abi::control::{
    ACCESS_WRITE, FaultRequest, FaultResponse, HelloRequest, HelloResponse, ObjectCreateRequest,
    ObjectCreateResponse, ObjectDestroyRequest, Request, RequestHeader, ResponseHeader,
    ResumeRequest,
};
use augur_abi::{ABI_MAJOR, CardState, Status};
use augur_memory::{ContextId, DeviceAddress, FaultAnswer, MemoryError, ObjectId, WindowState};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::shared::{Shared, Totals};
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
        Request::ContextCreate => contexts::create(shared, &whole(body)?, out),
        Request::ContextDestroy => contexts::destroy(shared, context, body),
        Request::ObjectCreate => object_create(shared, context, &whole(body)?, out),
        Request::ObjectDestroy => object_destroy(shared, context, &whole(body)?),
        Request::Fault => fault(shared, context, &whole(body)?, out),
        Request::RevokeAck => windows::acknowledge(shared, body),
        Request::ListWindows => windows::list(shared, &whole(body)?, out),
        Request::ListContexts => contexts::list(shared, &whole(body)?, out),
        Request::Sensors => counters::sensors(shared, body, out),
        Request::ListCancel => contexts::cancel_list(shared, context, &whole(body)?),
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
    let now = shared.guest_time();
    let answer = if shared.prediction.predicts(context) {
        core.manager.fault_whole(context, address, now)
    } else {
        core.manager.fault(context, address, now)
    }
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
