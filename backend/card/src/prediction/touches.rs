// SPDX-License-Identifier: MIT OR Apache-2.0
//! What programs touched without asking, as the driver notes it: claims, which count
//! when the window table agrees.

use std::sync::PoisonError;

use augur_abi::predict::AccessSource;
use augur_memory::{Access as Bytes, ContextId, PAGE_SHIFT, PageNumber};
use augur_predictor::Origin;

use super::inbox::{Access, Lesson};
use super::touch_ring::Claim;
use crate::shared::{Shared, Totals};

/// What one look at the touch ring brought.
#[derive(Default)]
pub(super) struct Touches {
    /// What the driver says.
    claims: Vec<Claim>,
    /// What is true of it.
    accesses: Vec<(ContextId, Lesson)>,
}

impl Touches {
    /// Reads a part of the ring. Answers whether anything was in it, and whether
    /// there is more.
    pub fn read(&mut self, shared: &Shared) -> (bool, bool) {
        let prediction = &shared.prediction;
        self.claims.clear();
        let claims = &mut self.claims;
        let read = {
            let mut ring = prediction
                .ring
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let (Some(ring), Some(guest)) = (ring.as_mut(), shared.guest.enter()) else {
                return (false, false);
            };
            ring.read(&guest, |claim| claims.push(claim))
        };
        Totals::add(&prediction.totals.touches, self.claims.len() as u64);
        Totals::add(&prediction.totals.touches_lost, read.lost);
        Totals::add(&prediction.totals.touches_refused, read.refused);
        for claim in &self.claims {
            match checked(shared, claim) {
                Some(access) => self.accesses.push(access),
                // Most often the window is gone already.
                None => Totals::add(&prediction.totals.touches_refused, 1),
            }
        }
        (!self.claims.is_empty(), read.more)
    }

    /// What was read and is true, to be taken.
    pub fn accesses(&mut self) -> &mut Vec<(ContextId, Lesson)> {
        &mut self.accesses
    }
}

/// Checks what the driver claims against the window table, which learns of the use.
fn checked(shared: &Shared, claim: &Claim) -> Option<(ContextId, Lesson)> {
    let now = shared.guest_time();
    let prediction = &shared.prediction;
    let mut core = shared.core();
    let report = core.manager.report(claim.window.slot).filter(|report| {
        report.window == claim.window && (claim.first + claim.pages) << PAGE_SHIFT <= report.bytes
    })?;
    let first_use = core.manager.touch(claim.window, now);
    let first = PageNumber(report.address.page().0 + claim.first);
    let time = shared.now();
    if prediction.recorder.is_on() {
        let access = Bytes {
            address: first.address(),
            bytes: claim.pages << PAGE_SHIFT,
            write: claim.write,
        };
        prediction.note(
            &core.manager,
            report.context,
            access,
            AccessSource::Touch,
            time,
        );
    }
    let origin = if first_use {
        Origin::FirstTouch
    } else {
        Origin::Touch
    };
    let access = Access {
        first,
        pages: claim.pages,
        origin,
        write: claim.write,
        time,
    };
    Some((report.context, Lesson::Access(access)))
}
