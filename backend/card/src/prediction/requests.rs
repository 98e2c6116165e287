// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests of the control queue about prediction. None of them waits for the
//! learning thread.

use augur_abi::Status;
use augur_abi::control::Request;
use augur_abi::predict::{
    MAX_MODEL_BYTES, MAX_PROFILE_RECORDS, MODEL_CHUNK, ModelPullRequest, ModelPullResponse,
    ModelPushRequest, ModelPushResponse, ModelPushed, ModelScope, PredictorMode as WireMode,
    PredictorSetRequest, ProfileReadResponse, ProfileRecord, REASON_BYTES,
};
use augur_abi::touch::{TOUCH_RING_ZAPS, TouchRingRequest};
use augur_memory::ContextId;
use zerocopy::{FromBytes, IntoBytes};

use super::models::{Owner, Pushed};
use super::touch_ring::TouchRingReader;
use crate::config::PredictorMode;
use crate::log_limit::{tell_of_guest, warn_of_guest};
use crate::shared::Shared;

/// Answers a request about prediction. The context is checked to exist.
pub(crate) fn answer(
    shared: &Shared,
    opcode: Request,
    context: ContextId,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    match opcode {
        Request::TouchRing => set_touch_ring(shared, &whole(body)?),
        Request::PredictorSet => set_mode(shared, context, &whole(body)?),
        Request::ModelPull => pull(shared, context, &whole(body)?, out),
        Request::ModelPush => push(shared, context, body, out),
        Request::ProfileStart if body.is_empty() => {
            let started = shared.prediction.recorder.start(context);
            started.then_some(()).ok_or(Status::Busy)
        }
        Request::ProfileStop if body.is_empty() => {
            shared.prediction.recorder.stop(context);
            Ok(())
        }
        Request::ProfileRead if body.is_empty() => {
            read_profile(shared, context, out);
            Ok(())
        }
        _ => Err(Status::Invalid),
    }
}

fn whole<T: FromBytes>(body: &[u8]) -> Result<T, Status> {
    T::read_from_bytes(body).map_err(|_| Status::Invalid)
}

fn set_touch_ring(shared: &Shared, body: &TouchRingRequest) -> Result<(), Status> {
    if body.flags & !TOUCH_RING_ZAPS != 0 {
        return Err(Status::Invalid);
    }
    let zaps = body.flags & TOUCH_RING_ZAPS != 0;
    let ring = if body.entries == 0 {
        None
    } else {
        let guest = shared.guest.enter().ok_or(Status::DeviceError)?;
        let ring = TouchRingReader::new(&guest, body.address, body.entries);
        let ring = ring.ok_or(Status::BadAddress)?;
        tell_of_guest(format_args!(
            "the driver reports touches in {} entries at guest address {:#x}",
            body.entries, body.address
        ));
        Some(ring)
    };
    shared.prediction.set_ring(ring, zaps);
    Ok(())
}

fn set_mode(shared: &Shared, context: ContextId, body: &PredictorSetRequest) -> Result<(), Status> {
    if body.reserved != 0 {
        return Err(Status::Invalid);
    }
    let mode = match WireMode::from_code(body.mode).ok_or(Status::Invalid)? {
        WireMode::Default => None,
        WireMode::Off => Some(PredictorMode::Off),
        WireMode::Classic => Some(PredictorMode::Classic),
        WireMode::Full => Some(PredictorMode::Full),
    };
    shared.prediction.set_mode(context, mode);
    Ok(())
}

fn owner(scope: u32, context: ContextId) -> Result<Owner, Status> {
    match ModelScope::from_code(scope).ok_or(Status::Invalid)? {
        ModelScope::Card => Ok(None),
        ModelScope::Context => Ok(Some(context)),
    }
}

fn pull(
    shared: &Shared,
    context: ContextId,
    body: &ModelPullRequest,
    out: &mut Vec<u8>,
) -> Result<(), Status> {
    let models = &shared.prediction.models;
    let owner = owner(body.scope, context)?;
    let copy = if body.offset == 0 {
        models.pull(context, owner)
    } else {
        models.continue_pull(context, owner)
    };
    let Some(copy) = copy else {
        shared.prediction.inbox.wake();
        return Err(Status::Busy);
    };
    let rest = copy
        .file
        .get(body.offset as usize..)
        .filter(|rest| !rest.is_empty())
        .ok_or(Status::Invalid)?;
    let part = rest.get(..MODEL_CHUNK).unwrap_or(rest);
    let mode = match shared.prediction.mode(context) {
        PredictorMode::Off => WireMode::Off,
        PredictorMode::Classic => WireMode::Classic,
        PredictorMode::Full => WireMode::Full,
    };
    let response = ModelPullResponse {
        generation: copy.info.generation,
        checksum: copy.info.checksum,
        total: copy.file.len() as u32,
        bytes: part.len() as u32,
        parameters: copy.info.parameters,
        mode: mode.code(),
    };
    out.extend_from_slice(response.as_bytes());
    out.extend_from_slice(part);
    out.resize(out.len() + MODEL_CHUNK - part.len(), 0);
    if part.len() == rest.len() {
        models.end_pull(context);
    }
    Ok(())
}

fn push(shared: &Shared, context: ContextId, body: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let (request, chunk) = ModelPushRequest::read_from_prefix(body).map_err(|_| Status::Invalid)?;
    let bytes = request.bytes as usize;
    if chunk.len() != MODEL_CHUNK || bytes == 0 || request.total > MAX_MODEL_BYTES {
        return Err(Status::Invalid);
    }
    let part = chunk.get(..bytes).ok_or(Status::Invalid)?;
    let owner = owner(request.scope, context)?;
    let models = &shared.prediction.models;
    let mut response = ModelPushResponse::default();
    response.outcome = match models.push(context, owner, request.total, request.offset, part) {
        Pushed::Incomplete => ModelPushed::Incomplete,
        Pushed::Installed => {
            shared.prediction.inbox.wake();
            ModelPushed::Installed
        }
        Pushed::Refused(reason) => {
            warn_of_guest(format_args!("{context}: a model was refused: {reason}"));
            let text = reason.as_bytes();
            // The last byte stays zero.
            let length = text.len().min(REASON_BYTES - 1);
            if let (Some(to), Some(from)) = (response.reason.get_mut(..length), text.get(..length))
            {
                to.copy_from_slice(from);
            }
            ModelPushed::Refused
        }
        Pushed::Invalid => return Err(Status::Invalid),
    }
    .code();
    out.extend_from_slice(response.as_bytes());
    Ok(())
}

fn read_profile(shared: &Shared, context: ContextId, out: &mut Vec<u8>) {
    let (recording, lost, records) = shared.prediction.recorder.read(context);
    let response = ProfileReadResponse {
        count: records.len() as u32,
        recording: recording.into(),
        lost,
    };
    out.extend_from_slice(response.as_bytes());
    out.extend_from_slice(records.as_bytes());
    let room = (MAX_PROFILE_RECORDS - records.len()) * ProfileRecord::BYTES;
    out.resize(out.len() + room, 0);
}
