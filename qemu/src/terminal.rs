// SPDX-License-Identifier: MIT OR Apache-2.0
//! The terminal's modes, which QEMU changes while it uses our terminal.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};

static SAVED: Mutex<Option<libc::termios>> = Mutex::new(None);

/// Remembers the terminal's modes, for [`restore`].
pub fn save() {
    if !io::stdin().is_terminal() {
        return;
    }
    // SAFETY: termios is plain integers, so all zeros is a value; tcgetattr
    // writes only into it.
    let modes = unsafe {
        let mut modes: libc::termios = std::mem::zeroed();
        (libc::tcgetattr(libc::STDIN_FILENO, &raw mut modes) == 0).then_some(modes)
    };
    *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = modes;
}

/// Gives the terminal the modes it had at [`save`], if there was one.
pub fn restore() {
    if let Some(modes) = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // SAFETY: tcsetattr only reads `modes`.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSADRAIN, &raw const modes) };
    }
}
