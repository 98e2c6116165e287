// SPDX-License-Identifier: MIT OR Apache-2.0
//! Threads whose work can wait for that of everybody else on the machine.

use std::io;

/// The least that a thread can ask for.
const NICEST: libc::c_int = 19;

/// Gives the processor to whatever else wants it: the guest, and the card's threads
/// that a guest waits for.
///
/// # Errors
/// The kernel's.
pub(crate) fn give_way() -> io::Result<()> {
    // SAFETY: the call reads no memory; 0 is the calling thread.
    let status = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICEST) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
