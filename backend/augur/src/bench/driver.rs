// SPDX-License-Identifier: MIT OR Apache-2.0
//! The least of a driver: it asks the card in this process directly, without a
//! guest or a transport, and plays the guest's part.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use augur_abi::command::{CommandHeader, FillParams, Operand, TransferParams};
use augur_abi::control::{
    ACK_DIRTY, ContextCreateRequest, ContextCreateResponse, CountersResponse, FaultRequest,
    FaultResponse, HelloRequest, HelloResponse, MAX_ACKS, ObjectCreateRequest,
    ObjectCreateResponse, ObjectDestroyRequest, Request, RequestHeader, ResponseHeader, RevokeAck,
    RevokeAckRequest,
};
use augur_abi::predict::{PredictorMode, PredictorSetRequest};
use augur_abi::submit::{Segment, SegmentTablePage, SubmitHeader, SubmitStatus, Transfer};
use augur_abi::{ABI_MAJOR, ABI_MINOR, DataType, Event, EventKind, Opcode, Status};
use augur_card::{Card, CardConfig, Host, ListDone};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};
use zerocopy::{FromBytes, IntoBytes};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Guest memory: what is transferred, and behind it the table of its segments.
const GUEST_BYTES: usize = (TRANSFERRED + (1 << 20)) as usize;
/// Bytes of guest memory that a transfer reads.
pub const TRANSFERRED: u64 = 4 << 20;
/// Bytes of a segment.
const SEGMENT: u64 = 64 << 10;
/// Events that are taken at a time.
const EVENTS: usize = 64;

/// Nobody looks through the aperture, and events are asked for.
struct NoTransport;

impl Host for NoTransport {
    fn map_aperture(&self, _memory: &File, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn events_pending(&self) {}
}

struct Ended(Sender<SubmitStatus>);

impl ListDone for Ended {
    fn done(self: Box<Self>, status: SubmitStatus) {
        // Nobody waits any more when this measurement has failed.
        let _ = self.0.send(status);
    }
}

/// A list that was submitted.
pub struct InFlight(Receiver<SubmitStatus>);

impl InFlight {
    /// Whether the list has ended.
    ///
    /// # Errors
    /// It failed.
    pub fn has_ended(&self) -> anyhow::Result<bool> {
        match self.0.try_recv() {
            Ok(status) => succeeded(status).map(|()| true),
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => bail!("a list ended without a word"),
        }
    }

    /// Waits until the list has ended.
    ///
    /// # Errors
    /// It failed, or does not end.
    pub fn wait(self) -> anyhow::Result<()> {
        succeeded(self.0.recv_timeout(PATIENCE).context("a list's end")?)
    }
}

fn succeeded(status: SubmitStatus) -> anyhow::Result<()> {
    let code = Status::from_code(status.status);
    ensure!(
        code == Some(Status::Ok),
        "a list failed with {code:?} at command {}",
        status.failed_command
    );
    Ok(())
}

/// Appends a command in the card's wire format.
///
/// # Errors
/// It is too long to be counted.
pub fn push_command(
    commands: &mut Vec<u8>,
    opcode: Opcode,
    parameters: &[u8],
    operands: &[Operand],
) -> anyhow::Result<()> {
    let bytes = CommandHeader::BYTES + parameters.len() + operands.as_bytes().len();
    let header = CommandHeader {
        opcode: opcode.code(),
        operand_count: u16::try_from(operands.len())?,
        bytes: u32::try_from(bytes)?,
    };
    commands.extend_from_slice(header.as_bytes());
    commands.extend_from_slice(parameters);
    commands.extend_from_slice(operands.as_bytes());
    Ok(())
}

/// A driver of a card in this process.
pub struct Driver {
    card: Card,
    /// The context that asks.
    pub context: u32,
    events: Vec<Event>,
    revoked: Vec<RevokeAck>,
    /// Whether the windows that are taken back were written.
    pub dirties: bool,
}

impl Driver {
    /// Starts a card and says HELLO.
    ///
    /// # Errors
    /// The card cannot be made or refuses.
    pub fn start(config: CardConfig) -> anyhow::Result<Self> {
        let card = Card::new(config, Arc::new(NoTransport))?;
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), GUEST_BYTES)])?;
        memory.write_slice(segment_table()?.as_slice(), GuestAddress(TRANSFERRED))?;
        card.guest().replace(memory);
        card.guest().resume();
        let mut driver = Self {
            card,
            context: 0,
            events: Vec::new(),
            revoked: Vec::new(),
            dirties: false,
        };
        let hello = HelloRequest {
            nonce: 1,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            reserved: 0,
        };
        let _: HelloResponse = driver.ask(Request::Hello, hello.as_bytes())?;
        driver.context = driver.new_context()?;
        Ok(driver)
    }

    /// Makes another context.
    ///
    /// # Errors
    /// The card refuses.
    pub fn new_context(&self) -> anyhow::Result<u32> {
        let create = ContextCreateRequest {
            process: 1,
            priority: 1,
            name: [0; 16],
        };
        let made: ContextCreateResponse = self.ask(Request::ContextCreate, create.as_bytes())?;
        Ok(made.context)
    }

    /// Chooses how the context's windows are mapped ahead of use.
    ///
    /// # Errors
    /// The card refuses.
    pub fn set_predictor(&self, mode: PredictorMode) -> anyhow::Result<()> {
        let body = PredictorSetRequest {
            mode: mode.code(),
            reserved: 0,
        };
        let _: [u8; 0] = self.ask(Request::PredictorSet, body.as_bytes())?;
        Ok(())
    }

    /// Makes an object.
    ///
    /// # Errors
    /// The card refuses.
    pub fn create(&self, bytes: u64) -> anyhow::Result<ObjectCreateResponse> {
        let body = ObjectCreateRequest { bytes, flags: 0 };
        self.ask(Request::ObjectCreate, body.as_bytes())
    }

    /// Destroys an object.
    ///
    /// # Errors
    /// The card refuses.
    pub fn destroy(&self, object: ObjectCreateResponse) -> anyhow::Result<()> {
        let body = ObjectDestroyRequest {
            object: object.object,
        };
        let _: [u8; 0] = self.ask(Request::ObjectDestroy, body.as_bytes())?;
        Ok(())
    }

    /// The card's counters.
    ///
    /// # Errors
    /// The card refuses.
    pub fn counters(&self) -> anyhow::Result<CountersResponse> {
        self.ask(Request::Counters, &[])
    }

    /// Has an engine write every byte of a range, which gives it data at home.
    ///
    /// # Errors
    /// The list fails.
    pub fn write(&self, address: u64, bytes: u64) -> anyhow::Result<()> {
        let mut operand = Operand {
            address,
            data_type: DataType::U8.code(),
            rank: 1,
            ..Operand::default()
        };
        (operand.shape[0], operand.stride[0]) = (u32::try_from(bytes)?, 1);
        let parameters = FillParams { value: 1 };
        let mut commands = Vec::new();
        push_command(
            &mut commands,
            Opcode::Fill,
            parameters.as_bytes(),
            &[operand],
        )?;
        self.submit(&commands, 1)?.wait()
    }

    /// Submits a list of commands in the card's wire format.
    ///
    /// # Errors
    /// The list is too long to be counted.
    pub fn submit(&self, commands: &[u8], count: u32) -> anyhow::Result<InFlight> {
        let header = SubmitHeader {
            context: self.context,
            list_bytes: u32::try_from(commands.len())?,
            command_count: count,
            ..SubmitHeader::default()
        };
        Ok(self.begin(&[header.as_bytes(), commands].concat()))
    }

    /// Submits a transfer of [`TRANSFERRED`] bytes into the card.
    ///
    /// # Errors
    /// The command is too long to be counted.
    pub fn transfer_in(&self, address: u64) -> anyhow::Result<InFlight> {
        let mut operand = Operand {
            address,
            data_type: DataType::U8.code(),
            rank: 1,
            ..Operand::default()
        };
        (operand.shape[0], operand.stride[0]) = (u32::try_from(TRANSFERRED)?, 1);
        let parameters = TransferParams {
            transfer: 0,
            reserved: 0,
            offset: 0,
        };
        let mut commands = Vec::new();
        push_command(
            &mut commands,
            Opcode::TransferIn,
            parameters.as_bytes(),
            &[operand],
        )?;
        let header = SubmitHeader {
            context: self.context,
            list_bytes: u32::try_from(commands.len())?,
            command_count: 1,
            transfer_count: 1,
            ..SubmitHeader::default()
        };
        let transfer = Transfer {
            segment_table: TRANSFERRED,
            bytes: TRANSFERRED,
        };
        Ok(self.begin(&[header.as_bytes(), &commands, transfer.as_bytes()].concat()))
    }

    fn begin(&self, submission: &[u8]) -> InFlight {
        let (sender, receiver) = channel();
        self.card
            .submit(submission, Box::new(Ended(sender)), &|| true);
        InFlight(receiver)
    }

    /// Faults on an address: the time from the request to the MAP event, and
    /// the window's size in bytes.
    ///
    /// # Errors
    /// The card refuses or does not publish a window.
    pub fn fault(&mut self, address: u64) -> anyhow::Result<(Duration, u64)> {
        let began = Instant::now();
        let answer = self.card.control(&self.fault_request(address));
        loop {
            let mut published = None;
            self.take_events(|kind, event| {
                let bytes = u64::from(event.bytes);
                let shows = address.wrapping_sub(event.device_address) < bytes;
                if kind == EventKind::Map && shows {
                    published = Some(bytes);
                }
            })?;
            if let Some(bytes) = published {
                let time = began.elapsed();
                let _: FaultResponse = body_of(&answer)?;
                return Ok((time, bytes));
            }
            ensure!(began.elapsed() < PATIENCE, "a fault is not served");
            self.acknowledge()?;
            std::hint::spin_loop();
        }
    }

    /// Faults on an address and does not wait for its window.
    ///
    /// # Errors
    /// The card refuses.
    pub fn begin_fault(&self, address: u64) -> anyhow::Result<()> {
        let _: FaultResponse = body_of(&self.card.control(&self.fault_request(address)))?;
        Ok(())
    }

    fn fault_request(&self, address: u64) -> Vec<u8> {
        let fault = FaultRequest {
            device_address: address,
            access: 0,
            reserved: 0,
        };
        self.request(Request::Fault, fault.as_bytes())
    }

    /// Takes events, and tells of the windows that come and go.
    ///
    /// # Errors
    /// The card says something that was not asked for.
    pub fn take_events(&mut self, mut tell: impl FnMut(EventKind, &Event)) -> anyhow::Result<()> {
        self.events.clear();
        self.card.take_events(EVENTS, &mut self.events);
        for event in &self.events {
            let kind = EventKind::from_code(event.kind);
            match kind {
                Some(EventKind::Map) => {}
                Some(EventKind::Revoke) => self.revoked.push(RevokeAck {
                    slot: event.slot,
                    generation: event.generation,
                    flags: if self.dirties { ACK_DIRTY } else { 0 },
                    reserved: 0,
                }),
                other => bail!("unexpected event {other:?}"),
            }
            kind.into_iter().for_each(|kind| tell(kind, event));
        }
        Ok(())
    }

    /// Gives back what the card has asked for.
    ///
    /// # Errors
    /// The card refuses.
    pub fn acknowledge(&mut self) -> anyhow::Result<()> {
        for acks in self.revoked.chunks(MAX_ACKS) {
            let header = RevokeAckRequest {
                count: u32::try_from(acks.len())?,
                reserved: 0,
            };
            let body = [header.as_bytes(), acks.as_bytes()].concat();
            let _: [u8; 0] = self.ask(Request::RevokeAck, &body)?;
        }
        self.revoked.clear();
        Ok(())
    }

    /// Gives back what the card has asked for and waits until `bytes` of
    /// visible frames are free.
    ///
    /// # Errors
    /// The card refuses, or the frames do not become free.
    pub fn settle(&mut self, bytes: u64) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            self.take_events(|_, _| ())?;
            self.acknowledge()?;
            if self.counters()?.free_visible_bytes >= bytes {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "frames do not become free");
            std::thread::yield_now();
        }
    }

    fn request(&self, opcode: Request, body: &[u8]) -> Vec<u8> {
        let context = match opcode {
            Request::ObjectCreate
            | Request::ObjectDestroy
            | Request::Fault
            | Request::PredictorSet => self.context,
            _ => 0,
        };
        let header = RequestHeader {
            opcode: opcode.code(),
            flags: 0,
            context,
        };
        [header.as_bytes(), body].concat()
    }

    fn ask<T: FromBytes>(&self, opcode: Request, body: &[u8]) -> anyhow::Result<T> {
        body_of(&self.card.control(&self.request(opcode, body)))
    }
}

/// The guest addresses of what is transferred.
fn segment_table() -> anyhow::Result<Vec<u8>> {
    let count = TRANSFERRED / SEGMENT;
    let header = SegmentTablePage {
        next: 0,
        count: u32::try_from(count)?,
        reserved: 0,
    };
    let mut table = header.as_bytes().to_vec();
    for index in 0..count {
        let segment = Segment {
            address: index * SEGMENT,
            bytes: u32::try_from(SEGMENT)?,
            reserved: 0,
        };
        table.extend_from_slice(segment.as_bytes());
    }
    Ok(table)
}

fn body_of<T: FromBytes>(answer: &[u8]) -> anyhow::Result<T> {
    let (header, body) = ResponseHeader::read_from_prefix(answer)
        .ok()
        .context("an answer without a header")?;
    match Status::from_code(header.status) {
        Some(Status::Ok) => T::read_from_bytes(body).ok().context("a wrong answer"),
        status => bail!("the card answers {status:?}"),
    }
}
