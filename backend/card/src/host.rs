// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the card needs of the transport that carries it.

use std::fs::File;
use std::io;

use augur_abi::submit::SubmitStatus;

/// The transport, as the card sees it.
pub trait Host: Send + Sync {
    /// Makes the first `bytes` of `memory` readable and writable by the guest
    /// through the aperture, dropping an older mapping, and returns when the
    /// guest sees them. Called without any lock of the card.
    ///
    /// # Errors
    /// Whatever keeps the aperture from being mapped.
    fn map_aperture(&self, memory: &File, bytes: u64) -> io::Result<()>;

    /// Events wait for [`crate::Card::take_events`]. Must not block; called from
    /// any of the card's threads without any lock of the card.
    fn events_pending(&self);
}

/// The place where the end of one submission is told.
pub trait ListDone: Send {
    /// The list has ended. Called once, from any of the card's threads, without
    /// any lock of the card.
    fn done(self: Box<Self>, status: SubmitStatus);
}
