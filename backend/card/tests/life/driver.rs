// SPDX-License-Identifier: MIT OR Apache-2.0
//! A driver without a transport: it speaks to the card's interface, keeps windows
//! and acknowledges revokes as the kernel driver does.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use augur_abi::command::{CommandHeader, Operand, TransferParams};
use augur_abi::control::*;
use augur_abi::event::EVENT_DEMAND;
use augur_abi::submit::{Segment, SegmentTablePage, SubmitHeader, SubmitStatus, Transfer};
use augur_abi::{DataType, Event, EventKind, Opcode, Status};
use augur_card::{Card, CardConfig, Host, ListDone};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};
use zerocopy::{FromBytes, IntoBytes};

pub const GUEST_BYTES: usize = 64 << 20;
pub const TABLES: u64 = 48 << 20;
/// The time after which something that must happen is taken for lost.
pub const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Default)]
pub struct TestHost {
    aperture: Mutex<Option<File>>,
}

impl Host for TestHost {
    fn map_aperture(&self, memory: &File, _bytes: u64) -> io::Result<()> {
        *self.aperture.lock().unwrap() = Some(memory.try_clone()?);
        Ok(())
    }
    fn events_pending(&self) {}
}

pub struct Done(pub Sender<SubmitStatus>);

impl ListDone for Done {
    fn done(self: Box<Self>, status: SubmitStatus) {
        self.0.send(status).unwrap();
    }
}

pub struct Driver {
    pub card: Card,
    pub host: Arc<TestHost>,
    pub context: u32,
    pub windows: Vec<(Event, bool)>,
    pub sequence: u64,
    /// Windows that no fault of the context had asked for, so far.
    pub ahead: BTreeMap<u32, u32>,
    /// Windows that the card wants out of page tables.
    pub zapped: Vec<(u32, u32)>,
}

pub fn request(opcode: Request, context: u32, body: &[u8]) -> Vec<u8> {
    [
        RequestHeader {
            opcode: opcode.code(),
            flags: 0,
            context,
        }
        .as_bytes(),
        body,
    ]
    .concat()
}

impl Driver {
    pub fn start(config: CardConfig) -> Self {
        let host = Arc::new(TestHost::default());
        let card = Card::new(config, host.clone()).unwrap();
        card.guest()
            .replace(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), GUEST_BYTES)]).unwrap());
        card.guest().resume();
        let mut driver = Driver {
            card,
            host,
            context: 0,
            windows: Vec::new(),
            sequence: 0,
            ahead: BTreeMap::new(),
            zapped: Vec::new(),
        };
        driver.hello();
        driver
    }

    pub fn hello(&mut self) {
        let hello = HelloRequest {
            nonce: 77,
            abi_major: 1,
            abi_minor: 0,
            reserved: 0,
        };
        let _: HelloResponse = self.ask(Request::Hello, 0, hello.as_bytes()).unwrap();
        self.context = self.new_context();
        self.windows.clear();
        self.sequence = 0;
    }

    /// Another context.
    pub fn new_context(&self) -> u32 {
        let create = ContextCreateRequest {
            process: 1,
            priority: 1,
            name: *b"test\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        let made: ContextCreateResponse = self
            .ask(Request::ContextCreate, 0, create.as_bytes())
            .unwrap();
        made.context
    }

    pub fn ask<T: FromBytes>(
        &self,
        opcode: Request,
        context: u32,
        body: &[u8],
    ) -> Result<T, Status> {
        let answer = self.card.control(&request(opcode, context, body));
        let (header, body) = ResponseHeader::read_from_prefix(&answer).unwrap();
        match Status::from_code(header.status).unwrap() {
            Status::Ok => Ok(T::read_from_bytes(body).unwrap()),
            status => Err(status),
        }
    }

    pub fn object(&self, bytes: u64) -> ObjectCreateResponse {
        let create = ObjectCreateRequest { bytes, flags: 0 };
        self.ask(Request::ObjectCreate, self.context, create.as_bytes())
            .unwrap()
    }

    /// Handles events as a driver does; acknowledges revokes.
    pub fn handle_events(&mut self) {
        let mut events = Vec::new();
        self.card.take_events(1000, &mut events);
        for event in events {
            assert_eq!(
                event.sequence,
                self.sequence + 1,
                "events are numbered without a gap"
            );
            self.sequence = event.sequence;
            match EventKind::from_code(event.kind).unwrap() {
                EventKind::Map => {
                    let ahead = event.flags & EVENT_DEMAND == 0;
                    *self.ahead.entry(event.context).or_default() += u32::from(ahead);
                    self.windows.push((event, false));
                }
                EventKind::Zap => self.zapped.push((event.slot, event.generation)),
                EventKind::Revoke => {
                    let index = self
                        .windows
                        .iter()
                        .position(|(w, _)| (w.slot, w.generation) == (event.slot, event.generation))
                        .unwrap();
                    let (_, dirty) = self.windows.swap_remove(index);
                    let ack = RevokeAck {
                        slot: event.slot,
                        generation: event.generation,
                        flags: u32::from(dirty),
                        reserved: 0,
                    };
                    let body = [
                        RevokeAckRequest {
                            count: 1,
                            reserved: 0,
                        }
                        .as_bytes(),
                        ack.as_bytes(),
                    ]
                    .concat();
                    self.ask::<[u8; 0]>(Request::RevokeAck, 0, &body).unwrap();
                }
                kind => panic!("unexpected {kind:?}"),
            }
        }
    }

    /// Whether a window of the context shows a device address.
    pub fn has(&self, address: u64) -> bool {
        self.windows
            .iter()
            .any(|(window, _)| shows(window, self.context, address))
    }

    /// The file offset of a device address, faulting the window in.
    pub fn touch(&mut self, address: u64, write: bool) -> u64 {
        let end = Instant::now() + PATIENCE;
        loop {
            self.handle_events();
            let context = self.context;
            let mut windows = self.windows.iter_mut();
            let window = windows.find(|(window, _)| shows(window, context, address));
            if let Some((window, dirty)) = window {
                *dirty |= write;
                return window.aperture_offset + address - window.device_address;
            }
            let fault = FaultRequest {
                device_address: address,
                access: u32::from(write),
                reserved: 0,
            };
            let _: FaultResponse = self
                .ask(Request::Fault, self.context, fault.as_bytes())
                .unwrap();
            assert!(Instant::now() < end, "a fault is never served");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        let at = self.touch(address, true);
        self.host
            .aperture
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .write_all_at(bytes, at)
            .unwrap();
    }

    pub fn read(&mut self, address: u64, bytes: &mut [u8]) {
        let at = self.touch(address, false);
        self.host
            .aperture
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .read_exact_at(bytes, at)
            .unwrap();
    }

    pub fn guest_write(&self, at: u64, bytes: &[u8]) {
        self.card
            .guest()
            .enter()
            .unwrap()
            .memory()
            .write_slice(bytes, GuestAddress(at))
            .unwrap();
    }

    pub fn guest_read(&self, at: u64, bytes: &mut [u8]) {
        assert!(self.card.guest().enter().unwrap().read(at, bytes));
    }

    pub fn run(&mut self, commands: &[Vec<u8>], segments: &[(u64, u32)]) -> SubmitStatus {
        let receiver = self.begin(commands, segments);
        loop {
            match receiver.recv_timeout(Duration::from_millis(1)) {
                Ok(status) => return status,
                Err(_) => self.handle_events(),
            }
        }
    }

    /// Submits a list; its end is received.
    pub fn begin(&self, commands: &[Vec<u8>], segments: &[(u64, u32)]) -> Receiver<SubmitStatus> {
        self.begin_unless(commands, segments, &|| true)
    }

    /// Submits a list and moves what it transfers until `asked` for something else.
    pub fn begin_unless(
        &self,
        commands: &[Vec<u8>],
        segments: &[(u64, u32)],
        asked: &dyn Fn() -> bool,
    ) -> Receiver<SubmitStatus> {
        let mut transfers = Vec::new();
        if !segments.is_empty() {
            let total = segments.iter().map(|s| u64::from(s.1)).sum();
            transfers.push(Transfer {
                segment_table: TABLES,
                bytes: total,
            });
            for (page, chunk) in segments.chunks(255).enumerate() {
                let at = TABLES + 4096 * page as u64;
                let last = (page + 1) * 255 >= segments.len();
                let header = SegmentTablePage {
                    next: if last { 0 } else { at + 4096 },
                    count: chunk.len() as u32,
                    reserved: 0,
                };
                self.guest_write(at, header.as_bytes());
                for (index, &(address, bytes)) in chunk.iter().enumerate() {
                    self.guest_write(
                        at + 16 + 16 * index as u64,
                        Segment {
                            address,
                            bytes,
                            reserved: 0,
                        }
                        .as_bytes(),
                    );
                }
            }
        }
        let list = commands.concat();
        let header = SubmitHeader {
            context: self.context,
            list_bytes: list.len() as u32,
            command_count: commands.len() as u32,
            transfer_count: transfers.len() as u32,
            ..SubmitHeader::default()
        };
        let (sender, receiver) = channel();
        self.card.submit(
            &[header.as_bytes(), &list, transfers.as_bytes()].concat(),
            Box::new(Done(sender)),
            asked,
        );
        receiver
    }
}

fn shows(window: &Event, context: u32, address: u64) -> bool {
    let end = window.device_address + u64::from(window.bytes);
    window.context == context && (window.device_address..end).contains(&address)
}

pub fn dense(address: u64, data_type: DataType, shape: &[u32]) -> Operand {
    let mut operand = Operand {
        address,
        data_type: data_type.code(),
        rank: shape.len() as u8,
        ..Operand::default()
    };
    let mut stride = data_type.bytes();
    for axis in (0..shape.len()).rev() {
        operand.shape[axis] = shape[axis];
        operand.stride[axis] = stride;
        stride *= u64::from(shape[axis]);
    }
    operand
}

pub fn command(opcode: Opcode, parameters: &[u8], operands: &[Operand]) -> Vec<u8> {
    let bytes = CommandHeader::BYTES + parameters.len() + operands.len() * Operand::BYTES;
    let header = CommandHeader {
        opcode: opcode.code(),
        operand_count: operands.len() as u16,
        bytes: bytes as u32,
    };
    [header.as_bytes(), parameters, operands.as_bytes()].concat()
}

pub fn transfer(opcode: Opcode, address: u64, bytes: u32, offset: u64) -> Vec<u8> {
    let parameters = TransferParams {
        transfer: 0,
        reserved: 0,
        offset,
    };
    command(
        opcode,
        parameters.as_bytes(),
        &[dense(address, DataType::U8, &[bytes])],
    )
}

pub fn small() -> CardConfig {
    CardConfig {
        memory_bytes: 64 << 20,
        aperture_bytes: 1 << 20,
        demand_window_bytes: 16 << 10,
        lease_ms: 0,
        ..CardConfig::default()
    }
}

pub fn pattern(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
