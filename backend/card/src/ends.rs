// SPDX-License-Identifier: MIT OR Apache-2.0
//! How lists have ended, in the card's words for what the scheduler knows.

use std::sync::Arc;

use augur_abi::Status;
use augur_memory::Nanos;
use augur_scheduler::clock::Nanos as SchedulerNanos;
use augur_scheduler::scheduler::ListEnd;

use crate::list::List;

/// A list that has ended, and how.
pub(crate) struct Ended {
    pub list: Arc<List>,
    pub status: Status,
    /// The first command that failed or was not run; the number of commands when
    /// there is none.
    pub command: usize,
    pub started: Nanos,
    pub finished: Nanos,
}

/// The lists that ended by something, and what else came of it.
#[must_use]
pub(crate) struct Ends {
    pub lists: Vec<Ended>,
    /// A DMA channel has something to do.
    pub transfers_ready: bool,
}

fn ours(time: SchedulerNanos) -> Nanos {
    Nanos(time.0)
}

impl Ended {
    /// How the scheduler says that it ended.
    pub fn of(list: Arc<List>, end: &ListEnd) -> Self {
        let (command, status) = match end.failed {
            None => (list.program.command_count(), Status::Ok),
            Some(command) => {
                let command = command as usize;
                let status = if list.is_cancelled() {
                    Status::Cancelled
                } else {
                    // Not run, because of a failure in another list.
                    list.failure(command).unwrap_or(Status::DependencyFailed)
                };
                (list.program.origin(command), status)
            }
        };
        Ended {
            list,
            status,
            command,
            started: ours(end.started),
            finished: ours(end.finished),
        }
    }
}
