// SPDX-License-Identifier: MIT OR Apache-2.0
//! A record of the schedule: what each engine and channel did when, and at which
//! granularity memory was tracked meanwhile, one JSON object a line.
//!
//! Off unless the host asks for it. Nobody waits for the writer: what does not
//! fit is counted and left out.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use augur_memory::{ContextId, Nanos};
use augur_scheduler::scheduler::Engine;

use crate::dispatch::Tracking;
use crate::list::List;
use crate::shared::Shared;

/// Entries that wait for the writer, at most.
const WAITING: usize = 1 << 16;
/// How often they are written.
const INTERVAL: Duration = Duration::from_millis(20);
/// Commands after which the granularity is looked at again.
const SAMPLE: u64 = 32;

/// One thing that is recorded.
enum Entry {
    /// A command from when it was taken until it had ended.
    Span {
        engine: Engine,
        context: ContextId,
        list: u32,
        command: usize,
        operation: &'static str,
        start: Nanos,
        end: Nanos,
    },
    /// How a context's memory is tracked.
    Tracking {
        at: Nanos,
        context: ContextId,
        tracking: Tracking,
    },
    /// Why commands are divided, where, or no longer.
    Division {
        at: Nanos,
        context: ContextId,
        decision: String,
    },
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    lost: u64,
    noted: u64,
}

/// The record under way.
#[derive(Default)]
pub(crate) struct ScheduleRecord {
    on: AtomicBool,
    state: Mutex<State>,
}

impl ScheduleRecord {
    /// Whether anybody wants it.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a command that has ended, with when it was taken and when it ended, and
    /// now and then how memory is tracked.
    pub fn ended(
        &self,
        shared: &Shared,
        engine: Engine,
        list: &List,
        command: usize,
        (start, end): (Nanos, Nanos),
    ) {
        let known = list.commands().get(command);
        let mut state = self.lock();
        state.push(Entry::Span {
            engine,
            context: list.context,
            list: list.number,
            command: list.program.origin(command),
            operation: known.map_or("", |command| command.operation.name()),
            start,
            end,
        });
        state.noted += 1;
        let due = state.noted.is_multiple_of(SAMPLE);
        drop(state);
        if due {
            self.sample(shared, list.context, end);
        }
    }

    /// Notes how a context's memory is tracked.
    pub fn sample(&self, shared: &Shared, context: ContextId, at: Nanos) {
        if !self.is_on() {
            return;
        }
        if let Some(tracking) = shared.dispatch.tracking(context) {
            self.lock().push(Entry::Tracking {
                at,
                context,
                tracking,
            });
        }
    }

    /// Notes why commands are divided, where, or no longer.
    pub fn decided(&self, context: ContextId, at: Nanos, decision: String) {
        log::debug!("context {context}: {decision}");
        if self.is_on() {
            self.lock().push(Entry::Division {
                at,
                context,
                decision,
            });
        }
    }

    fn take(&self) -> (Vec<Entry>, u64) {
        let mut state = self.lock();
        (std::mem::take(&mut state.entries), state.lost)
    }
}

impl State {
    fn push(&mut self, entry: Entry) {
        if self.entries.len() < WAITING {
            self.entries.push(entry);
        } else {
            self.lost += 1;
        }
    }
}

/// Writes what is noted until the card ends.
///
/// # Errors
/// That of the sink.
pub(crate) fn write(shared: &Shared, mut sink: Box<dyn Write + Send>) -> io::Result<()> {
    shared.schedule.on.store(true, Ordering::Relaxed);
    let mut lost = 0;
    loop {
        // What was noted before the end is written.
        let last = shared.stopping.load(Ordering::Relaxed);
        let (entries, lost_now) = shared.schedule.take();
        for entry in &entries {
            write_entry(&mut sink, entry)?;
        }
        sink.flush()?;
        if lost_now > lost {
            log::warn!("{} commands are not in the schedule", lost_now - lost);
            lost = lost_now;
        }
        if last {
            return Ok(());
        }
        thread::sleep(INTERVAL);
    }
}

/// Nothing in an entry needs an escape.
fn write_entry(sink: &mut dyn Write, entry: &Entry) -> io::Result<()> {
    match entry {
        Entry::Span {
            engine,
            context,
            list,
            command,
            operation,
            start,
            end,
        } => {
            let (kind, number) = match engine {
                Engine::Compute(number) => ("compute", number),
                Engine::Dma(number) => ("dma", number),
            };
            writeln!(
                sink,
                r#"{{"span":{{"unit":"{kind}","engine":{number},"context":{},"list":{list},"command":{command},"operation":"{operation}","start_ns":{},"end_ns":{}}}}}"#,
                context.0, start.0, end.0
            )
        }
        Entry::Division {
            at,
            context,
            decision,
        } => writeln!(
            sink,
            r#"{{"decision":{{"at_ns":{},"context":{},"text":"{decision}"}}}}"#,
            at.0, context.0
        ),
        Entry::Tracking {
            at,
            context,
            tracking,
        } => {
            writeln!(
                sink,
                r#"{{"tracking":{{"at_ns":{},"context":{},"regions":{},"edges":{},"splits":{},"merges":{}}}}}"#,
                at.0, context.0, tracking.regions, tracking.edges, tracking.splits, tracking.merges
            )?;
            for decision in &tracking.decisions {
                writeln!(
                    sink,
                    r#"{{"decision":{{"at_ns":{},"context":{},"text":"{decision}"}}}}"#,
                    at.0, context.0
                )?;
            }
            Ok(())
        }
    }
}
