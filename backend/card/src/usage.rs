// SPDX-License-Identifier: MIT OR Apache-2.0
//! What engines have done for a context, and what that says of dividing its large
//! commands.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use augur_memory::Nanos;
use augur_scheduler::division::{self, Division};
use augur_scheduler::placement::together::Together;

use crate::list::List;
use crate::shared::{Shared, Totals};

/// What engines have done for a context, counted without a lock.
#[derive(Default)]
pub(crate) struct Usage {
    commands: AtomicU64,
    compute_ns: AtomicU64,
    /// Whether its large commands are divided; none before its first list.
    division: Mutex<Option<Division>>,
    /// Which of its objects its commands use together.
    together: Mutex<Together>,
}

impl Usage {
    /// Commands have ended.
    pub fn add_commands(&self, count: u64) {
        self.commands.fetch_add(count, Ordering::Relaxed);
    }

    /// An engine has computed.
    pub fn add_compute(&self, time: Nanos) {
        self.compute_ns.fetch_add(time.0, Ordering::Relaxed);
    }

    /// What is known of dividing its commands.
    pub fn division(&self) -> MutexGuard<'_, Option<Division>> {
        self.division.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of its objects its commands use together.
    pub fn together(&self) -> MutexGuard<'_, Together> {
        self.together.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commands that ended, and time computed.
    pub fn so_far(&self) -> (u64, Nanos) {
        (
            self.commands.load(Ordering::Relaxed),
            Nanos(self.compute_ns.load(Ordering::Relaxed)),
        )
    }
}

/// How busy the engines were while a list ran says whether to divide others
/// like it.
pub(crate) fn judge_division(shared: &Shared, list: &List) {
    let now = shared.now();
    let elapsed = (now - list.work.came).0;
    if !list.work.divisible || elapsed < division::LEAST_PART.0 {
        return;
    }
    let computed = shared.totals.compute_ns.load(Ordering::Relaxed) - list.work.computed.0;
    let engines = f64::from(shared.config.compute_engines);
    let busy = computed as f64 / (elapsed as f64 * engines);
    let mut division = list.usage.division();
    let Some(decision) = division.as_mut().and_then(|it| it.observe(busy)) else {
        return;
    };
    drop(division);
    let counter = if decision.divide {
        &shared.totals.divisions
    } else {
        &shared.totals.reunions
    };
    Totals::add(counter, 1);
    shared
        .schedule
        .decided(list.context, now, decision.to_string());
}
