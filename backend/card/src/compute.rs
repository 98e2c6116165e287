// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compute engines: each is a thread that executes commands, one at a time, in
//! place on device memory. It takes and ends them in batches: to ask for each one
//! costs as much as a small command.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use augur_abi::Status;
use augur_memory::Nanos;

use crate::batch::Batch;
use crate::command::Command;
use crate::kernel;
use crate::list::List;
use crate::residence::{Residence, with_own};
use crate::shared::{Shared, Totals};

/// Commands that take longer hold only what they use themselves, as others may wait
/// for the rest.
const BRIEF: Nanos = Nanos(20_000);

/// An engine: works until the queue is closed.
pub(crate) fn run(shared: &Shared, engine: usize) {
    let mut batch = Batch::new(engine);
    let mut residence = Residence::default();
    loop {
        let ended = shared.dispatch.exchange(&mut batch, shared.now());
        shared.tell(ended);
        if batch.is_empty() {
            residence.let_go(shared);
            if !shared.dispatch.wait(&mut batch, || shared.now()) {
                return;
            }
        }
        execute_batch(shared, &mut batch, &mut residence);
    }
}

/// Plays the part of engines that have nothing to do, for `commands` commands of at
/// most `nanos` estimated nanoseconds. To wake an engine's own thread costs more than
/// a small command; what takes longer or would have to wait is left to that thread.
pub(crate) fn stand_in(shared: &Shared, commands: usize, nanos: u64) {
    for _ in 0..commands {
        let Some((engine, work)) = shared.dispatch.borrow_compute(shared.now()) else {
            return;
        };
        let command = work.list.commands().get(work.command);
        let result = match command {
            Some(command) if command.nanos > nanos => None,
            Some(command) => execute_own(shared, &work.list, command, false),
            None => Some(Err(Status::DeviceError)),
        };
        match result {
            Some(result) => {
                shared.dispatch.give_back(engine);
                work.list.usage.add_commands(1);
                shared.ended(&work, result);
            }
            None => shared.dispatch.hand_over(engine, work),
        }
    }
}

/// Executes what was taken and notes how it went.
fn execute_batch(shared: &Shared, batch: &mut Batch, residence: &mut Residence) {
    let recorded = shared.schedule.is_on();
    let mut now = shared.now();
    let mut start = 0;
    while let Some((list, run)) = batch.run_from(start) {
        let list = list.clone();
        start = run.end;
        // What takes long comes last, and would let go of it at once.
        let first = list.commands().get(batch.command(run.start));
        if first.is_some_and(|command| command.nanos <= BRIEF.0) {
            residence.hold(shared, &list, now);
        }
        // What is counted by itself, and waiting.
        let mut apart = Nanos(0);
        let began = shared.now();
        for at in run.clone() {
            let command = batch.command(at);
            let taken_at = if recorded { shared.now() } else { began };
            let result = match list.commands().get(command) {
                Some(_) if list.is_spoiled(command) => Err(Status::DependencyFailed),
                Some(command) => execute(shared, &list, command, residence, &mut apart),
                None => Err(Status::DeviceError),
            };
            if let Err(status) = result {
                list.fail(command, status);
                batch.fail(at);
            }
            if recorded {
                let span = (taken_at, shared.now());
                shared
                    .schedule
                    .ended(shared, batch.engine(), &list, command, span);
            }
        }
        now = shared.now();
        let count = run.len() as u64;
        list.usage.add_commands(count);
        let computed = now - began - apart;
        list.usage.add_compute(computed);
        Totals::add(&shared.totals.compute_ns, computed.0);
        Totals::add(&shared.totals.commands, count);
    }
}

/// Executes a command where the engine holds its list, or on its own.
fn execute(
    shared: &Shared,
    list: &Arc<List>,
    command: &Command,
    residence: &mut Residence,
    apart: &mut Nanos,
) -> Result<(), Status> {
    if list.is_cancelled() || shared.stopping.load(Ordering::Relaxed) {
        return Err(Status::Cancelled);
    }
    if command.nanos <= BRIEF.0
        && let Some(first) = residence.first(list, command)
    {
        // SAFETY: the whole list is held until the residence lets it go, each part of
        // its footprint in one mapping.
        return unsafe { kernel::run(command, &first, &list.cancelled) };
    }
    residence.let_go(shared);
    let asked = shared.now();
    let result = execute_own(shared, list, command, true).unwrap_or(Err(Status::DeviceError));
    *apart += shared.now() - asked;
    result
}

/// Executes a command with what it uses pinned for it alone, and counts its time;
/// `None` when it would have to wait, and must not.
fn execute_own(
    shared: &Shared,
    list: &List,
    command: &Command,
    may_wait: bool,
) -> Option<Result<(), Status>> {
    with_own(shared, list, command, may_wait, |first| {
        let start = shared.now();
        // SAFETY: `with_own` calls this while the operands are pinned, those that share
        // bytes in one mapping.
        let result = unsafe { kernel::run(command, first, &list.cancelled) };
        let elapsed = shared.now() - start;
        list.usage.add_compute(elapsed);
        Totals::add(&shared.totals.compute_ns, elapsed.0);
        result
    })
}
