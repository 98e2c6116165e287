// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests about windows: those that the driver gives back, and a list of what it
//! should have.

use augur_abi::Status;
use augur_abi::control::{
    ACK_DIRTY, ACK_USED, ListWindowsRequest, ListWindowsResponse, ListedWindow, MAX_ACKS,
    MAX_LISTED_WINDOWS, RevokeAck, RevokeAckRequest,
};
use augur_memory::{Slot, WindowRef, WindowState};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{append, whole};
use crate::shared::Shared;

/// Windows that the driver has given back.
pub(super) fn acknowledge(shared: &Shared, body: &[u8]) -> Result<(), Status> {
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

/// The windows that the driver should have, from a slot on.
pub(super) fn list(
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
