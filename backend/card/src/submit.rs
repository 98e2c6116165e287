// SPDX-License-Identifier: MIT OR Apache-2.0
//! Taking a submission: everything is checked before anything of it runs.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use augur_abi::Status;
use augur_abi::submit::SubmitStatus;
use augur_memory::{Access, ContextId, Nanos};
use augur_scheduler::clock::Nanos as Cost;
use augur_scheduler::list::{CommandList, Object, Operand, Unit};
use augur_scheduler::placement::together::Pairs;

use crate::command::Command;
use crate::compute;
use crate::cut;
use crate::dma;
use crate::footprint::Gather;
use crate::guest::GuestAccess;
use crate::host::ListDone;
use crate::list::{self, List, Refused, Submission, Work};
use crate::placement;
use crate::program::{self, Program, Source};
use crate::shared::{Core, Shared, Totals};
use crate::status::status_of;
use crate::transfer::Transfer;

/// Bytes that a command takes in the card, beside its bytes on the wire.
const COMMAND_OVERHEAD: u64 = 1024;
/// Commands of one list, at most: as many as fit a submission.
const MAX_COMMANDS: usize = 1 << 15;

/// Commands, bytes that it moves and nanoseconds of the estimates of what computes that a
/// list may have to be run by the thread that takes it: as much as waking another thread
/// costs.
const BRIEF_COMMANDS: usize = 4;
const BRIEF_BYTES: u64 = 1 << 20;
const BRIEF_NS: u64 = 20_000;

/// Commands that are checked without letting others at the memory manager.
const AT_ONCE: usize = 64;

/// How long a submission waits for the virtual machine before it looks whether
/// the card ends.
const STOPPED_PATIENCE: Duration = Duration::from_millis(50);

/// Takes a submission, or tells `done` why not. See [`Card::submit`](crate::Card::submit).
pub(crate) fn submit(
    shared: &Shared,
    request: &[u8],
    done: Box<dyn ListDone>,
    asked: &dyn Fn() -> bool,
) {
    let checked = check(shared, request);
    let refused = match checked {
        Ok(submission) => match admit(shared, submission, done, asked) {
            Ok(()) => return,
            Err(refused) => refused,
        },
        Err(refused) => (refused, done),
    };
    let (Refused { status, command }, done) = refused;
    Totals::add(&shared.totals.failed_lists, 1);
    let now = shared.now().0;
    done.done(SubmitStatus {
        status: status.code(),
        failed_command: command,
        started_ns: now,
        finished_ns: now,
    });
}

/// Checks a submission as a whole, its device memory included.
fn check(shared: &Shared, request: &[u8]) -> Result<Submission, Refused> {
    let whole = |status| Refused { status, command: 0 };
    let context = list::context_of(request).ok_or(whole(Status::Invalid))?;
    // Whoever has no context learns that, whatever the request says.
    let removed_objects = check_context(shared, context).map_err(whole)?;
    let envelope = list::open(request)?;
    let source = Source {
        context,
        removed_objects,
        commands: envelope.command_count,
        bytes: envelope.list,
    };
    let taken = |program: Arc<Program>, transfers: Vec<Transfer>| Submission {
        context,
        number: envelope.number,
        footprint: request.len() as u64
            + program.commands.len() as u64 * COMMAND_OVERHEAD
            + transfers.iter().map(Transfer::footprint).sum::<u64>(),
        program,
        transfers,
    };
    if envelope.has_transfers() {
        let (transfers, commands) = {
            let guest = enter_guest(shared).ok_or(whole(Status::Cancelled))?;
            let transfers = envelope.transfers(&guest)?;
            let commands = envelope.commands(&transfers)?;
            (transfers, commands)
        };
        let program = Arc::new(prepare(shared, context, commands)?);
        return Ok(taken(program, transfers));
    }
    if let Some(program) = shared.programs.find(&source) {
        return Ok(taken(program, Vec::new()));
    }
    let commands = envelope.commands(&[])?;
    let program = Arc::new(prepare(shared, context, commands)?);
    shared.programs.keep(&source, &program);
    Ok(taken(program, Vec::new()))
}

/// Checks that the commands' memory exists, and makes of them what the scheduler and
/// the engines have to know.
pub(crate) fn prepare(
    shared: &Shared,
    context: ContextId,
    commands: Vec<Command>,
) -> Result<Program, Refused> {
    let mut instructions = CommandList::new(MAX_COMMANDS);
    let operand_count = commands.iter().map(|command| command.operands.len());
    instructions.reserve(commands.len(), operand_count.sum());
    let mut operands = Vec::new();
    let mut gather = Gather::default();
    let mut pairs = Pairs::default();
    for (part, commands) in commands.chunks(AT_ONCE).enumerate() {
        let core = shared.core();
        let mut objects = Objects::new(&core, context);
        for (index, command) in commands.iter().enumerate() {
            add_instruction(&mut objects, command, &mut operands, &mut instructions).map_err(
                |status| Refused {
                    status,
                    command: (part * AT_ONCE + index) as u32,
                },
            )?;
            pairs.add(&operands, placement::LARGEST);
            gather.add(
                command,
                operands.iter().map(|operand| operand.object.start()),
            );
        }
    }
    Ok(Program {
        offer: program::offer(&commands),
        commands,
        instructions: Arc::new(instructions),
        footprint: gather.finish(),
        pairs,
        origins: Vec::new(),
        divided: Mutex::default(),
    })
}

/// Enters guest memory, as soon as the virtual machine runs: a submission that
/// was taken right before a stop is as good as any. `None` when the card ends
/// meanwhile.
fn enter_guest(shared: &Shared) -> Option<GuestAccess<'_>> {
    while !shared.stopping.load(Ordering::Relaxed) {
        if let Some(access) = shared.guest.enter_within(STOPPED_PATIENCE) {
            return Some(access);
        }
    }
    None
}

/// Checks that the context may submit; how many of its objects are gone.
fn check_context(shared: &Shared, context: ContextId) -> Result<u64, Status> {
    let core = shared.core();
    if core.life.is_none() {
        return Err(Status::NoHello);
    }
    match core.manager.context(context) {
        None => Err(Status::NoContext),
        Some(report) if report.failed => Err(Status::ContextFailed),
        Some(_) => {
            let removed = core.manager.removed_objects(context);
            removed.ok_or(Status::NoContext)
        }
    }
}

/// The objects of a context that operands were found in last: most lie in the same
/// few. As long as the card's lock is held those are there.
struct Objects<'a> {
    core: &'a Core,
    context: ContextId,
    /// First address and bytes; the oldest is replaced.
    recent: [(u64, u64); 4],
    oldest: usize,
}

impl<'a> Objects<'a> {
    fn new(core: &'a Core, context: ContextId) -> Self {
        Objects {
            core,
            context,
            recent: Default::default(),
            oldest: 0,
        }
    }

    /// First address and bytes of the object that holds the first byte of an access.
    fn of(&mut self, access: Access) -> Result<(u64, u64), Status> {
        let address = access.address.0;
        let holds = |&&(first, bytes): &&(u64, u64)| address.wrapping_sub(first) < bytes;
        if let Some(&known) = self.recent.iter().find(holds) {
            return Ok(known);
        }
        let access = Access { bytes: 1, ..access };
        let manager = &self.core.manager;
        let (first, bytes) = manager
            .object_range(self.context, access)
            .map_err(status_of)?;
        let found = (first.0, bytes);
        self.recent[self.oldest % self.recent.len()] = found;
        self.oldest += 1;
        Ok(found)
    }
}

/// Checks that the command's memory exists, and adds what the scheduler has to
/// know of it. `operands` is room for them.
fn add_instruction(
    objects: &mut Objects<'_>,
    command: &Command,
    operands: &mut Vec<Operand>,
    instructions: &mut CommandList,
) -> Result<(), Status> {
    operands.clear();
    for (index, (operand, access)) in command.operands.iter().zip(command.accesses()).enumerate() {
        let (address, bytes) = objects.of(access)?;
        let behind = access.address.0 - address + access.bytes;
        if behind > bytes {
            return Err(Status::BadOperand);
        }
        operands.push(Operand {
            region: operand.region.clone(),
            object: Object::new(address, bytes).map_err(|_| Status::BadOperand)?,
            access: command.access(index),
        });
    }
    let unit = if command.is_transfer() {
        Unit::Dma
    } else {
        Unit::Compute
    };
    instructions
        .push(operands, Cost(command.nanos), unit)
        .map_err(|_| Status::BadOperand)
}

/// Whether a list takes no longer than waking others to run it.
fn is_brief(commands: &[Command]) -> bool {
    if commands.len() > BRIEF_COMMANDS {
        return false;
    }
    let (mut bytes, mut nanos) = (0_u64, 0_u64);
    for command in commands {
        match command.operands.first() {
            Some(moved) if command.is_transfer() => bytes = bytes.saturating_add(moved.span),
            _ => nanos = nanos.saturating_add(command.nanos),
        }
    }
    bytes <= BRIEF_BYTES && nanos <= BRIEF_NS
}

/// Counts the list in and hands it to the scheduler.
fn admit(
    shared: &Shared,
    submission: Submission,
    done: Box<dyn ListDone>,
    asked: &dyn Fn() -> bool,
) -> Result<(), (Refused, Box<dyn ListDone>)> {
    let whole = |status| Refused { status, command: 0 };
    let footprint = submission.footprint;
    let before = shared
        .inflight_bytes
        .fetch_add(footprint, Ordering::Relaxed);
    // One list is always taken, or one that is larger than the limit never were.
    if before > 0 && before + footprint > shared.config.max_inflight_bytes {
        shared
            .inflight_bytes
            .fetch_sub(footprint, Ordering::Relaxed);
        return Err((whole(Status::Busy), done));
    }
    let mut submission = submission;
    let (program, divisible) = cut::divide(shared, submission.context, submission.program);
    submission.program = program;
    let work = Work {
        came: shared.now(),
        computed: Nanos(shared.totals.compute_ns.load(Ordering::Relaxed)),
        divisible,
    };
    let list = match shared.core().contexts.get(&submission.context) {
        Some(info) => Ok(Arc::new(List::new(submission, info, work, done))),
        None => Err(done),
    };
    let list = list.map_err(|done| {
        shared
            .inflight_bytes
            .fetch_sub(footprint, Ordering::Relaxed);
        (whole(Status::NoContext), done)
    })?;
    let brief = is_brief(list.commands());
    if !list.program.pairs.is_empty() {
        list.usage.together().note(&list.program.pairs);
    }
    shared.note_commands(list.context, list.commands());
    let now = shared.now();
    let submitted = shared.dispatch.submit(&list, now, brief);
    shared.schedule.sample(shared, list.context, now);
    match submitted {
        Ok(ends) if brief => {
            shared.tell_lists(ends.lists);
            if ends.transfers_ready {
                dma::stand_in(shared, BRIEF_COMMANDS, true, asked);
            }
            compute::stand_in(shared, BRIEF_COMMANDS, BRIEF_NS);
            if shared.dispatch.wake() {
                shared.dma.wake();
            }
            Ok(())
        }
        Ok(ends) => {
            shared.tell_lists(ends.lists);
            if ends.transfers_ready {
                dma::stand_in(shared, usize::MAX, false, asked);
                if shared.dispatch.wake() {
                    shared.dma.wake();
                }
            }
            Ok(())
        }
        Err(status) => {
            shared
                .inflight_bytes
                .fetch_sub(footprint, Ordering::Relaxed);
            match list.take_done() {
                Some(done) => Err((whole(status), done)),
                None => Ok(()),
            }
        }
    }
}
