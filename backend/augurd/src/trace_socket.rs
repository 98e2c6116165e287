// SPDX-License-Identifier: MIT OR Apache-2.0
//! A socket that gives away the card's accesses: whoever connects gets them as a
//! trace, from then on, until it shuts its side down.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use augur_card::Card;

/// How long a listener that does not read may keep the card's end waiting.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves the socket as long as the process lives, one connection at a time: a
/// second one is closed without a byte.
///
/// # Errors
/// When the system gives no thread.
pub fn serve(card: Arc<Card>, listener: UnixListener) -> io::Result<()> {
    thread::Builder::new()
        .name("traces".to_owned())
        .spawn(move || {
            for connection in listener.incoming() {
                if let Err(error) = connection.and_then(|stream| record(&card, stream)) {
                    log::warn!("a trace cannot be given away: {error}");
                }
            }
        })?;
    Ok(())
}

fn record(card: &Card, stream: UnixStream) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let reader = stream.try_clone()?;
    card.record(Box::new(stream), move || !has_ended(&reader))
        .map_err(io::Error::other)
}

/// Whether the other side has shut down; what it says is of no interest.
fn has_ended(stream: &UnixStream) -> bool {
    use rustix::net::RecvFlags;
    let mut byte = [0; 64];
    match rustix::net::recv(stream, &mut byte, RecvFlags::DONTWAIT) {
        Ok((0, _)) => true,
        Ok(_) => false,
        Err(error) => error != rustix::io::Errno::AGAIN && error != rustix::io::Errno::INTR,
    }
}
