// SPDX-License-Identifier: MIT OR Apache-2.0
//! The agent: the guest's init starts it, and it runs what the host asks for.
//!
//! One thread reads the host's messages; each running command has one thread
//! for each of its outputs and one that waits for its end.

mod collect;
mod command;
mod port;

use std::process::ExitCode;
use std::sync::Arc;

use augur_agent::{FrameError, Message, Reader};

use command::Commands;
use port::Port;

fn main() -> ExitCode {
    let port = match Port::open() {
        Ok(port) => Arc::new(port),
        Err(error) => {
            eprintln!(
                "augur-agent: no port named {}: {error}",
                augur_agent::PORT_NAME
            );
            return ExitCode::FAILURE;
        }
    };
    loop {
        let error = converse(&port);
        eprintln!("augur-agent: {error}; waiting for a new conversation");
    }
}

/// Serves one conversation with the host, until the stream breaks.
fn converse(port: &Arc<Port>) -> FrameError {
    let mut reader = Reader::new(port.as_ref());
    let hello = match reader.synchronize(|message| matches!(message, Message::Hello(_))) {
        Ok(hello) => hello,
        Err(error) => return error,
    };
    let commands = Commands::new(Arc::clone(port));
    if let Message::Hello(nonce) = hello {
        port.send(&Message::Ready(nonce));
    }
    loop {
        match reader.next_message() {
            Ok(Message::Hello(nonce)) => port.send(&Message::Ready(nonce)),
            Ok(Message::Run { number, arguments }) => commands.start(number, &arguments),
            Ok(Message::Signal { number, signal }) => commands.signal(number, signal),
            Ok(Message::Collect { number, directory }) => collect::send(port, number, &directory),
            Ok(Message::PowerOff) => command::power_off(),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}
