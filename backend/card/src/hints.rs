// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests that change how a context is treated, never what it computes: its
//! priority, and what it says of its memory.

use std::num::NonZeroU32;

use augur_abi::Status;
use augur_abi::control::{AdviseRequest, ContextPriorityRequest, Priority};
use augur_memory::{Advice, ContextId, DeviceAddress};

use crate::shared::Shared;
use crate::status::status_of;

/// Engine time of a context of this priority against others that want some.
pub(crate) fn weight(priority: u32) -> Result<NonZeroU32, Status> {
    let weight: u32 = match Priority::from_code(priority).ok_or(Status::Invalid)? {
        Priority::Low => 1,
        Priority::Normal => 3,
        Priority::High => 9,
    };
    NonZeroU32::new(weight).ok_or(Status::Invalid)
}

/// Changes the priority of a context.
pub(crate) fn set_priority(
    shared: &Shared,
    context: ContextId,
    body: &ContextPriorityRequest,
) -> Result<(), Status> {
    let weight = weight(body.priority)?;
    if body.reserved != 0 {
        return Err(Status::Invalid);
    }
    let mut core = shared.core();
    let info = core.contexts.get_mut(&context).ok_or(Status::NoContext)?;
    info.priority = body.priority;
    drop(core);
    shared.dispatch.set_weight(context, weight);
    Ok(())
}

/// Takes what a program says of a range.
pub(crate) fn advise(
    shared: &Shared,
    context: ContextId,
    body: &AdviseRequest,
) -> Result<(), Status> {
    use augur_abi::control::Advice as Wire;
    if body.reserved != 0 {
        return Err(Status::Invalid);
    }
    let advice = match Wire::from_code(body.advice).ok_or(Status::Invalid)? {
        Wire::Normal => Advice::Normal,
        Wire::WillNeed => Advice::WillNeed,
        Wire::Sequential => Advice::Sequential,
        Wire::Random => Advice::Random,
        Wire::Pin => Advice::Pin,
        Wire::Unpin => Advice::Unpin,
    };
    let address = DeviceAddress(body.device_address);
    let mut core = shared.core();
    core.manager
        .advise(context, address, body.bytes, advice, shared.guest_time())
        .map_err(status_of)?;
    shared.carry_out(core);
    Ok(())
}
