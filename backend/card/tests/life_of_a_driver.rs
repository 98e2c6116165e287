// SPDX-License-Identifier: MIT OR Apache-2.0
//! A driver's life without a transport: requests, faults, revokes, transfers and
//! commands, straight through the card's interface, with every byte checked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use augur_abi::command::{
    CommandHeader, ElementwiseParams, FillParams, MatmulParams, Operand, ReduceKind, ReduceParams,
    SoftmaxParams, TransferParams,
};
use augur_abi::control::*;
use augur_abi::submit::{Segment, SegmentTablePage, SubmitHeader, SubmitStatus, Transfer};
use augur_abi::{DataType, Event, EventKind, Opcode, Status};
use augur_card::{Card, CardConfig, Host, ListDone};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};
use zerocopy::{FromBytes, IntoBytes};

const GUEST_BYTES: usize = 64 << 20;
const TABLES: u64 = 48 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct TestHost {
    aperture: Mutex<Option<File>>,
}

impl Host for TestHost {
    fn map_aperture(&self, memory: &File, _bytes: u64) -> io::Result<()> {
        *self.aperture.lock().unwrap() = Some(memory.try_clone()?);
        Ok(())
    }
    fn events_pending(&self) {}
}

struct Done(Sender<SubmitStatus>);

impl ListDone for Done {
    fn done(self: Box<Self>, status: SubmitStatus) {
        self.0.send(status).unwrap();
    }
}

struct Driver {
    card: Card,
    host: Arc<TestHost>,
    context: u32,
    windows: Vec<(Event, bool)>,
    sequence: u64,
}

fn request(opcode: Request, context: u32, body: &[u8]) -> Vec<u8> {
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
    fn start(config: CardConfig) -> Self {
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
        };
        driver.hello();
        driver
    }

    fn hello(&mut self) {
        let hello = HelloRequest {
            nonce: 77,
            abi_major: 1,
            abi_minor: 0,
            reserved: 0,
        };
        let _: HelloResponse = self.ask(Request::Hello, 0, hello.as_bytes()).unwrap();
        let create = ContextCreateRequest {
            process: 1,
            priority: 1,
            name: *b"test\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        let made: ContextCreateResponse = self
            .ask(Request::ContextCreate, 0, create.as_bytes())
            .unwrap();
        self.context = made.context;
        self.windows.clear();
        self.sequence = 0;
    }

    fn ask<T: FromBytes>(&self, opcode: Request, context: u32, body: &[u8]) -> Result<T, Status> {
        let answer = self.card.control(&request(opcode, context, body));
        let (header, body) = ResponseHeader::read_from_prefix(&answer).unwrap();
        match Status::from_code(header.status).unwrap() {
            Status::Ok => Ok(T::read_from_bytes(body).unwrap()),
            status => Err(status),
        }
    }

    fn object(&self, bytes: u64) -> ObjectCreateResponse {
        let create = ObjectCreateRequest { bytes, flags: 0 };
        self.ask(Request::ObjectCreate, self.context, create.as_bytes())
            .unwrap()
    }

    /// Handles events as a driver does; acknowledges revokes.
    fn handle_events(&mut self) {
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
                EventKind::Map => self.windows.push((event, false)),
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

    /// The file offset of a device address, faulting the window in.
    fn touch(&mut self, address: u64, write: bool) -> u64 {
        for _ in 0..10_000 {
            self.handle_events();
            let window = self.windows.iter_mut().find(|(w, _)| {
                w.context == self.context
                    && (w.device_address..w.device_address + u64::from(w.bytes)).contains(&address)
            });
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
            std::thread::sleep(Duration::from_micros(50));
        }
        panic!("a fault is never served");
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
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

    fn read(&mut self, address: u64, bytes: &mut [u8]) {
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

    fn guest_write(&self, at: u64, bytes: &[u8]) {
        self.card
            .guest()
            .enter()
            .unwrap()
            .memory()
            .write_slice(bytes, GuestAddress(at))
            .unwrap();
    }

    fn guest_read(&self, at: u64, bytes: &mut [u8]) {
        assert!(self.card.guest().enter().unwrap().read(at, bytes));
    }

    fn run(&mut self, commands: &[Vec<u8>], segments: &[(u64, u32)]) -> SubmitStatus {
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
        );
        loop {
            match receiver.recv_timeout(Duration::from_millis(1)) {
                Ok(status) => return status,
                Err(_) => self.handle_events(),
            }
        }
    }
}

fn dense(address: u64, data_type: DataType, shape: &[u32]) -> Operand {
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

fn command(opcode: Opcode, parameters: &[u8], operands: &[Operand]) -> Vec<u8> {
    let bytes = CommandHeader::BYTES + parameters.len() + operands.len() * Operand::BYTES;
    let header = CommandHeader {
        opcode: opcode.code(),
        operand_count: operands.len() as u16,
        bytes: bytes as u32,
    };
    [header.as_bytes(), parameters, operands.as_bytes()].concat()
}

fn transfer(opcode: Opcode, address: u64, bytes: u32, offset: u64) -> Vec<u8> {
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

fn small() -> CardConfig {
    CardConfig {
        memory_bytes: 64 << 20,
        aperture_bytes: 1 << 20,
        demand_window_bytes: 16 << 10,
        lease_ms: 0,
        ..CardConfig::default()
    }
}

fn pattern(seed: u64, bytes: usize) -> Vec<u8> {
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

#[test]
fn a_working_set_larger_than_the_aperture_keeps_every_byte() {
    let mut driver = Driver::start(small());
    let pages = 1024u64;
    let object = driver.object(pages * 4096);
    let mut versions = vec![0u64; pages as usize];
    let mut state = 1u64;
    for step in 1..6000u64 {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let page = (state >> 33) % pages;
        let address = object.device_address + page * 4096;
        let mut found = [0; 8];
        driver.read(address, &mut found);
        assert_eq!(
            u64::from_le_bytes(found),
            versions[page as usize],
            "page {page}"
        );
        if state & 1 << 40 != 0 {
            versions[page as usize] = step;
            driver.write(address, &step.to_le_bytes());
        }
    }
    // What the guest wrote through windows is what DMA reads.
    let length = (pages * 4096) as u32;
    let status = driver.run(
        &[transfer(
            Opcode::TransferOut,
            object.device_address,
            length,
            0,
        )],
        &[(0, length)],
    );
    assert_eq!(status.status, Status::Ok.code());
    for (page, version) in versions.iter().enumerate() {
        let mut found = [0; 8];
        driver.guest_read(page as u64 * 4096, &mut found);
        assert_eq!(u64::from_le_bytes(found), *version, "page {page}");
    }
    let counters: CountersResponse = driver.ask(Request::Counters, 0, &[]).unwrap();
    assert!(counters.revokes > 100 && counters.clean_drops > 0 && counters.written_home_bytes > 0);
}

#[test]
fn transfers_of_any_offset_and_segments_arrive() {
    let mut driver = Driver::start(small());
    let object = driver.object(4 << 20);
    for (round, &(start, bytes)) in [
        (0u64, 1u32),
        (1, 4095),
        (4095, 2),
        (777, 1_000_003),
        (3, 3_000_000),
    ]
    .iter()
    .enumerate()
    {
        let data = pattern(round as u64, bytes as usize);
        // Scattered over guest memory in pieces of odd sizes.
        let (mut segments, mut at, mut done, mut piece) = (Vec::new(), 5u64, 0u32, 1u32);
        while done < bytes {
            let length = piece.min(bytes - done);
            driver.guest_write(at, &data[done as usize..(done + length) as usize]);
            segments.push((at, length));
            at += u64::from(length) + 3;
            done += length;
            piece = piece * 3 % 9001 + 1;
        }
        // A few windows are live meanwhile.
        for page in [0, 40, 200] {
            driver.write(object.device_address + page * 4096 + 4000, b"window");
        }
        let address = object.device_address + start;
        assert_eq!(
            driver
                .run(
                    &[transfer(Opcode::TransferIn, address, bytes, 0)],
                    &segments
                )
                .status,
            0
        );
        assert_eq!(
            driver
                .run(
                    &[transfer(Opcode::TransferOut, address, bytes, 0)],
                    &[(16 << 20, bytes)]
                )
                .status,
            0
        );
        let mut back = vec![0; bytes as usize];
        driver.guest_read(16 << 20, &mut back);
        assert!(back == data, "round {round}");
        let mut last = [0];
        driver.read(address + u64::from(bytes) - 1, &mut last);
        assert_eq!(last[0], data[bytes as usize - 1]);
    }
}

#[test]
fn commands_see_windows_and_windows_see_commands() {
    let mut driver = Driver::start(small());
    let n = 96u32;
    let bytes = u64::from(n * n * 4);
    let (a, b, c) = (
        driver.object(bytes).device_address,
        driver.object(bytes).device_address,
        driver.object(bytes).device_address,
    );
    // A is written through windows, B by a command: the identity times two.
    for row in 0..n {
        let values: Vec<f32> = (0..n).map(|column| (row * 7 + column) as f32).collect();
        for (index, value) in values.iter().enumerate() {
            driver.write(
                a + u64::from(row * n * 4) + 4 * index as u64,
                &value.to_le_bytes(),
            );
        }
    }
    let mut diagonal = dense(b, DataType::F32, &[n]);
    diagonal.stride[0] = u64::from(n * 4 + 4);
    let square = |address| dense(address, DataType::F32, &[n, n]);
    let list = [
        command(
            Opcode::Fill,
            FillParams { value: 0 }.as_bytes(),
            &[square(b)],
        ),
        command(
            Opcode::Fill,
            FillParams {
                value: u64::from(2f32.to_bits()),
            }
            .as_bytes(),
            &[diagonal],
        ),
        command(
            Opcode::Matmul,
            MatmulParams::default().as_bytes(),
            &[square(c), square(a), square(b)],
        ),
        command(
            Opcode::Add,
            ElementwiseParams::default().as_bytes(),
            &[square(c), square(c), square(a)],
        ),
    ];
    let status = driver.run(&list, &[]);
    assert_eq!(
        (status.status, status.failed_command),
        (Status::Ok.code(), 4)
    );
    assert!(status.started_ns > 0 && status.finished_ns >= status.started_ns);
    for row in [0, 1, 50, n - 1] {
        for column in [0, 3, n - 1] {
            let mut found = [0; 4];
            driver.read(c + u64::from((row * n + column) * 4), &mut found);
            assert_eq!(f32::from_le_bytes(found), 3.0 * (row * 7 + column) as f32);
        }
    }
}

#[test]
fn an_operand_that_leaves_its_object_is_bad_and_one_outside_has_no_object() {
    let mut driver = Driver::start(small());
    let object = driver.object(8192);
    let fill = |address| {
        command(
            Opcode::Fill,
            FillParams { value: 0x55 }.as_bytes(),
            &[dense(address, DataType::U8, &[200])],
        )
    };
    let end = object.device_address + object.bytes;
    for (address, expected) in [
        (end - 200, Status::Ok),
        (end - 199, Status::BadOperand),
        (end - 1, Status::BadOperand),
        (end, Status::NoObject),
        (object.device_address - 1, Status::NoObject),
    ] {
        let status = driver.run(&[fill(address)], &[]).status;
        assert_eq!(status, expected.code(), "{:#x}", address);
    }
}

#[test]
fn an_index_outside_the_table_fails_its_command_and_what_reads_its_result() {
    let mut driver = Driver::start(small());
    let [table, indices, rows, sums] =
        [64 * 16 * 4, 4 * 4, 4 * 16 * 4, 4 * 4].map(|bytes| driver.object(bytes).device_address);
    let one = FillParams {
        value: u64::from(1f32.to_bits()),
    };
    let (table, listed) = (
        dense(table, DataType::F32, &[64, 16]),
        dense(rows, DataType::F32, &[4, 16]),
    );
    let gather = command(
        Opcode::Gather,
        &[],
        &[listed, table, dense(indices, DataType::I32, &[4])],
    );
    let sum = command(
        Opcode::Reduce,
        ReduceParams {
            axis: 1,
            kind: ReduceKind::Sum.code(),
        }
        .as_bytes(),
        &[dense(sums, DataType::F32, &[4, 1]), listed],
    );
    let fill = command(Opcode::Fill, one.as_bytes(), &[table]);
    for (index, expected) in [
        (63i32, (Status::Ok.code(), 3)),
        (64, (Status::BadOperand.code(), 1)),
        (-1, (Status::BadOperand.code(), 1)),
        (0, (Status::Ok.code(), 3)),
    ] {
        driver.write(indices + 8, &index.to_le_bytes());
        let status = driver.run(&[fill.clone(), gather.clone(), sum.clone()], &[]);
        assert_eq!(
            (status.status, status.failed_command),
            expected,
            "index {index}"
        );
    }
    let mut found = [0; 4];
    driver.read(sums + 8, &mut found);
    assert_eq!(f32::from_le_bytes(found), 16.0);
    let softmax = command(
        Opcode::Softmax,
        SoftmaxParams {
            axis: 1,
            reserved: 0,
        }
        .as_bytes(),
        &[table, table],
    );
    assert_eq!(driver.run(&[softmax], &[]).status, Status::Ok.code());
    driver.read(table.address, &mut found);
    assert!((f32::from_le_bytes(found) - 1.0 / 16.0).abs() < 1e-6);
}

#[test]
fn memory_is_zero_for_the_next_context_and_ids_do_not_cross() {
    let mut driver = Driver::start(small());
    let object = driver.object(1 << 20);
    driver.write(object.device_address, &[0xaa; 4096]);
    let fill = |address| {
        command(
            Opcode::Fill,
            FillParams { value: 0x55 }.as_bytes(),
            &[dense(address, DataType::U8, &[1 << 20])],
        )
    };
    assert_eq!(driver.run(&[fill(object.device_address)], &[]).status, 0);
    let first = driver.context;
    let create = ContextCreateRequest {
        priority: 1,
        ..ContextCreateRequest::default()
    };
    let second: ContextCreateResponse = driver
        .ask(Request::ContextCreate, 0, create.as_bytes())
        .unwrap();
    driver.context = second.context;
    assert_eq!(
        driver.run(&[fill(object.device_address)], &[]).status,
        Status::NoObject.code()
    );
    let destroy = ObjectDestroyRequest {
        object: object.object,
    };
    assert_eq!(
        driver.ask::<[u8; 0]>(Request::ObjectDestroy, driver.context, destroy.as_bytes()),
        Err(Status::NoObject)
    );
    driver
        .ask::<[u8; 0]>(Request::ContextDestroy, first, &[])
        .unwrap();
    driver.windows.clear();
    // All memory, so that the old frames are among it.
    let all = driver.object(63 << 20);
    assert_eq!(
        driver
            .run(
                &[transfer(
                    Opcode::TransferOut,
                    all.device_address,
                    40 << 20,
                    0
                )],
                &[(0, 40 << 20)]
            )
            .status,
        0
    );
    let mut found = vec![1; 40 << 20];
    driver.guest_read(0, &mut found);
    assert!(
        found.iter().all(|&byte| byte == 0),
        "another context's bytes are visible"
    );
    let more = ObjectCreateRequest {
        bytes: 4096,
        flags: 0,
    };
    assert_eq!(
        driver
            .ask::<ObjectCreateResponse>(Request::ObjectCreate, driver.context, more.as_bytes())
            .map(|_| ()),
        Err(Status::NoMemory)
    );
}

#[test]
fn a_stopped_guest_is_not_written_and_goes_on_where_it_was() {
    let mut driver = Driver::start(small());
    let object = driver.object(8 << 20);
    let data = pattern(9, 8 << 20);
    driver.guest_write(0, &data);
    assert_eq!(
        driver
            .run(
                &[transfer(
                    Opcode::TransferIn,
                    object.device_address,
                    8 << 20,
                    0
                )],
                &[(0, 8 << 20)]
            )
            .status,
        0
    );
    for _ in 0..20 {
        driver.card.guest().stop();
        let (sender, receiver) = channel();
        driver.card.guest().resume();
        driver.guest_write(
            TABLES,
            SegmentTablePage {
                next: 0,
                count: 1,
                reserved: 0,
            }
            .as_bytes(),
        );
        driver.guest_write(
            TABLES + 16,
            Segment {
                address: 16 << 20,
                bytes: 8 << 20,
                reserved: 0,
            }
            .as_bytes(),
        );
        driver.guest_write(16 << 20, &vec![0; 8 << 20]);
        let list = transfer(Opcode::TransferOut, object.device_address, 8 << 20, 0);
        let header = SubmitHeader {
            context: driver.context,
            list_bytes: list.len() as u32,
            command_count: 1,
            transfer_count: 1,
            ..SubmitHeader::default()
        };
        let moves = Transfer {
            segment_table: TABLES,
            bytes: 8 << 20,
        };
        driver.card.submit(
            &[header.as_bytes(), &list, moves.as_bytes()].concat(),
            Box::new(Done(sender)),
        );
        driver.card.guest().stop();
        assert!(driver.card.guest().enter().is_none());
        driver.card.guest().resume();
        assert_eq!(receiver.recv_timeout(PATIENCE).unwrap().status, 0);
        let mut back = vec![0; 8 << 20];
        driver.guest_read(16 << 20, &mut back);
        assert!(back == data);
    }
}

#[test]
fn a_new_life_ends_the_old_one() {
    let mut driver = Driver::start(small());
    let old = driver.context;
    let object = driver.object(1 << 20);
    driver.write(object.device_address, b"old");
    driver.hello();
    assert_ne!(driver.context, old);
    let create = ObjectCreateRequest {
        bytes: 4096,
        flags: 0,
    };
    assert_eq!(
        driver
            .ask::<ObjectCreateResponse>(Request::ObjectCreate, old, create.as_bytes())
            .map(|_| ()),
        Err(Status::NoContext)
    );
    let counters: CountersResponse = driver.ask(Request::Counters, 0, &[]).unwrap();
    assert_eq!(
        (
            counters.contexts,
            counters.objects,
            counters.windows,
            counters.lives
        ),
        (1, 0, 0, 2)
    );
    driver.card.reset();
    let create = ContextCreateRequest::default();
    assert_eq!(
        driver
            .ask::<ContextCreateResponse>(Request::ContextCreate, 0, create.as_bytes())
            .map(|_| ()),
        Err(Status::NoHello)
    );
}
