// SPDX-License-Identifier: MIT OR Apache-2.0
//! As much of a debugger as stops and continues a guest, the way gdb does at
//! a breakpoint: over QEMU's stub, in GDB's remote serial protocol.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::fixture::LIMIT;

/// A debugger that is attached; the guest stops when it attaches.
#[derive(Debug)]
pub struct Debugger {
    stream: UnixStream,
}

impl Debugger {
    /// Attaches to the stub that listens at `socket`.
    pub fn attach(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut debugger = Self { stream };
        debugger.send("?");
        debugger.expect_stop();
        debugger
    }

    /// Lets the guest run.
    pub fn resume(&mut self) {
        self.send("c");
    }

    /// Stops the running guest, as Ctrl-C does in gdb.
    pub fn interrupt(&mut self) {
        self.stream.write_all(&[3]).unwrap();
        self.expect_stop();
    }

    /// Sets or clears a hardware breakpoint at an address of the guest.
    pub fn breakpoint(&mut self, address: u64, set: bool) {
        self.send(&format!("{}1,{address:x},1", if set { 'Z' } else { 'z' }));
        assert_eq!(self.packet(), "OK");
    }

    /// Waits until the guest stops by itself, at a breakpoint.
    pub fn wait_stop(&mut self) {
        self.expect_stop();
    }

    /// Lets go of the guest, which runs on.
    pub fn detach(mut self) {
        self.send("D");
        assert_eq!(self.packet(), "OK");
    }

    fn send(&mut self, command: &str) {
        let sum = command.bytes().fold(0_u8, u8::wrapping_add);
        self.stream
            .write_all(format!("${command}#{sum:02x}").as_bytes())
            .unwrap();
    }

    fn expect_stop(&mut self) {
        let answer = self.packet();
        assert!(
            answer.starts_with('T') || answer.starts_with('S'),
            "the stub said {answer:?}"
        );
    }

    /// The next packet, acknowledged.
    fn packet(&mut self) -> String {
        while self.byte() != b'$' {}
        let mut text = String::new();
        loop {
            match self.byte() {
                b'#' => break,
                byte => text.push(char::from(byte)),
            }
        }
        // The checksum: the socket is reliable.
        let _ = (self.byte(), self.byte());
        self.stream.write_all(b"+").unwrap();
        text
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).expect("the stub answers");
        byte[0]
    }
}
