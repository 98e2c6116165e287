// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lists: checked submissions on their way through the card.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use augur_abi::Status;
use augur_abi::command::CommandHeader;
use augur_abi::submit::{MAX_SUBMIT_BYTES, SubmitHeader, SubmitStatus, Transfer as WireTransfer};
use augur_memory::{ContextId, Nanos};
use zerocopy::FromBytes as _;

use crate::command::{self, Command};
use crate::guest::GuestAccess;
use crate::host::ListDone;
use crate::operation::Operation;
use crate::program::Program;
use crate::residence::Known;
use crate::shared::ContextInfo;
use crate::transfer::{MAX_SEGMENTS, Transfer};
use crate::usage::Usage;

/// A submission whose parts have the sizes that it says.
pub(crate) struct Envelope<'a> {
    /// The driver's number of it.
    pub number: u32,
    pub command_count: u32,
    pub list: &'a [u8],
    transfers: &'a [u8],
}

/// Why a submission was refused: the status, and the command at fault (the
/// number of commands when it is none of them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub status: Status,
    pub command: u32,
}

/// The submission's context, if its header can be read.
pub(crate) fn context_of(request: &[u8]) -> Option<ContextId> {
    let (header, _) = SubmitHeader::read_from_prefix(request).ok()?;
    Some(ContextId(header.context))
}

/// Takes a submission apart.
pub(crate) fn open(request: &[u8]) -> Result<Envelope<'_>, Refused> {
    let refused = |status| Refused { status, command: 0 };
    let (header, rest) =
        SubmitHeader::read_from_prefix(request).map_err(|_| refused(Status::Invalid))?;
    let (list_bytes, transfer_count) = (header.list_bytes as usize, header.transfer_count as usize);
    if header.flags != 0
        || request.len() > MAX_SUBMIT_BYTES as usize
        || list_bytes.checked_add(transfer_count.saturating_mul(WireTransfer::BYTES))
            != Some(rest.len())
    {
        return Err(Refused {
            status: Status::Invalid,
            command: header.command_count,
        });
    }
    let (list, transfers) = rest.split_at(list_bytes);
    Ok(Envelope {
        number: header.number,
        command_count: header.command_count,
        list,
        transfers,
    })
}

impl Envelope<'_> {
    /// Whether commands of the list move guest memory.
    pub fn has_transfers(&self) -> bool {
        !self.transfers.is_empty()
    }

    /// Checks the guest memory that the list moves.
    pub fn transfers(&self, guest: &GuestAccess<'_>) -> Result<Vec<Transfer>, Refused> {
        let mut budget = MAX_SEGMENTS;
        self.transfers
            .chunks_exact(WireTransfer::BYTES)
            .map(|bytes| {
                let wire = WireTransfer::read_from_bytes(bytes).map_err(|_| Status::Invalid)?;
                Transfer::read(guest, &wire, &mut budget)
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|status| Refused {
                status,
                command: self.command_count,
            })
    }

    /// Checks the commands: everything but whether their device memory exists.
    pub fn commands(&self, transfers: &[Transfer]) -> Result<Vec<Command>, Refused> {
        parse_commands(self.list, self.command_count, transfers)
    }
}

fn parse_commands(
    mut list: &[u8],
    count: u32,
    transfers: &[Transfer],
) -> Result<Vec<Command>, Refused> {
    // No command is shorter than its header.
    let most = list.len() / CommandHeader::BYTES;
    let mut commands = Vec::with_capacity(most.min(count as usize));
    for index in 0..count {
        let refused = |status| Refused {
            status,
            command: index,
        };
        let (command, bytes) = command::parse(list).map_err(refused)?;
        check_transfer(&command, transfers).map_err(refused)?;
        commands.push(command);
        list = list.get(bytes..).unwrap_or_default();
    }
    if list.is_empty() {
        Ok(commands)
    } else {
        Err(Refused {
            status: Status::Invalid,
            command: count,
        })
    }
}

/// A transfer command stays within its transfer.
fn check_transfer(command: &Command, transfers: &[Transfer]) -> Result<(), Status> {
    let (Operation::TransferIn { transfer, offset } | Operation::TransferOut { transfer, offset }) =
        command.operation
    else {
        return Ok(());
    };
    let transfer = transfers.get(transfer).ok_or(Status::Invalid)?;
    let bytes = command.operands.first().map_or(0, |operand| operand.span);
    let end = offset.checked_add(bytes).ok_or(Status::BadOperand)?;
    if end <= transfer.bytes() {
        Ok(())
    } else {
        Err(Status::BadOperand)
    }
}

/// A submission that was checked as a whole.
pub(crate) struct Submission {
    pub context: ContextId,
    /// The driver's number of it.
    pub number: u32,
    pub program: Arc<Program>,
    pub transfers: Vec<Transfer>,
    /// Host memory that it takes, for the limit.
    pub footprint: u64,
}

/// Engine time when a list came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub came: Nanos,
    /// What all engines had computed by then.
    pub computed: Nanos,
    /// Whether it had large commands that can be divided.
    pub divisible: bool,
}

/// A list on its way through the card.
pub(crate) struct List {
    pub context: ContextId,
    /// The driver's number of it.
    pub number: u32,
    pub program: Arc<Program>,
    pub transfers: Vec<Transfer>,
    /// What the context has had of the engines.
    pub usage: Arc<Usage>,
    pub work: Work,
    /// What engines hold of it together.
    pub held: Known,
    /// Raised when the list is given up, or its context ends.
    pub cancelled: Arc<AtomicBool>,
    /// Host memory that the list takes, for the limit.
    pub footprint: u64,
    /// Commands that failed, with their status, and whether there are any.
    failed: AtomicBool,
    failures: Mutex<Vec<(usize, Status)>>,
    done: Mutex<Option<Box<dyn ListDone>>>,
}

impl List {
    /// A list that will tell `done` of its end.
    pub fn new(
        submission: Submission,
        info: &ContextInfo,
        work: Work,
        done: Box<dyn ListDone>,
    ) -> Self {
        List {
            work,
            context: submission.context,
            number: submission.number,
            cancelled: info.cancelled.enlist(submission.number),
            usage: info.usage.clone(),
            held: Known::default(),
            footprint: submission.footprint,
            program: submission.program,
            transfers: submission.transfers,
            failed: AtomicBool::new(false),
            failures: Mutex::default(),
            done: Mutex::new(Some(done)),
        }
    }

    /// Its commands, in program order.
    pub fn commands(&self) -> &[Command] {
        &self.program.commands
    }

    /// Whether the list was given up.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// A command has failed.
    pub fn fail(&self, command: usize, status: Status) {
        self.failed.store(true, Ordering::Release);
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((command, status));
    }

    /// Whether a command needs what one that was divided has not written as a whole.
    /// The scheduler knows of the parts that failed only.
    pub fn is_spoiled(&self, command: usize) -> bool {
        if self.program.origins.is_empty() || !self.failed.load(Ordering::Acquire) {
            return false;
        }
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failures = failures.iter();
        failures.any(|&(failed, _)| self.program.needs(command, failed))
    }

    /// Why a command failed: its own failure, or the first one of the list for a
    /// command that was not run because of it.
    pub fn failure(&self, command: usize) -> Option<Status> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let own = failures.iter().find(|(failed, _)| *failed == command);
        own.or_else(|| failures.iter().min_by_key(|(failed, _)| *failed))
            .map(|&(_, status)| status)
    }

    /// Takes the place where the end is told, when somebody else will tell it.
    pub fn take_done(&self) -> Option<Box<dyn ListDone>> {
        self.done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Tells how the list ended. Only the first call has an effect.
    pub fn finish(&self, status: Status, failed_command: usize, started: Nanos, finished: Nanos) {
        if let Some(done) = self.take_done() {
            done.done(SubmitStatus {
                status: status.code(),
                failed_command: failed_command as u32,
                started_ns: started.0,
                finished_ns: finished.0,
            });
        }
    }
}
