// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures one program under one policy: its graph, a run on the modelled
//! card, and what analysis and scheduling cost this machine.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use augur_card::thread_time;
use augur_scheduler::analyser::Limits;
use augur_scheduler::bounds::{WholeGraph, lower_bound};
use augur_scheduler::clock::Nanos;
use augur_scheduler::list::CommandList;
use augur_scheduler::policy::Policy;
use augur_scheduler::profile::Profile;
use augur_scheduler::scheduler::{Config, Scheduler, SubmitError};
use augur_scheduler::simulate::{Run, Setup, compulsory_bytes, simulate};
use augur_scheduler::workload::Program;

use super::idle::{IdleEngines, LIST};
use super::report::{self, Row};

/// Host time is the best of this many runs,
pub const RUNS: usize = 5;
/// or of as many as fit into this time.
pub const RUN_TIME: Duration = Duration::from_secs(3);

/// The modelled card, and how often a program runs on it.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pub engines: usize,
    pub dma_engines: usize,
    pub passes: usize,
    pub profile: Profile,
}

/// What holds for a program under every policy.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    critical_path: Nanos,
    pub compulsory_bytes: u64,
}

impl Bounds {
    pub fn new(program: &Program, profile: &Profile) -> Self {
        let list = &program.list;
        Self {
            critical_path: WholeGraph::new(list, Policy::Exact).critical_path(list),
            compulsory_bytes: compulsory_bytes(list, profile.line_bytes),
        }
    }

    /// No run of the program on so many engines is shorter.
    pub fn lower(&self, program: &Program, engines: usize, profile: &Profile) -> Nanos {
        let list = &program.list;
        lower_bound(
            list,
            self.critical_path,
            engines,
            self.compulsory_bytes,
            profile,
        )
    }
}

/// All figures of one policy, and its run; `explain` prints why it changed its units of
/// tracking.
pub fn measure(
    name: &str,
    program: &Program,
    policy: Policy,
    machine: &Machine,
    bounds: &Bounds,
    explain: bool,
) -> anyhow::Result<(Row, Run)> {
    let graph = WholeGraph::new(&program.list, policy);
    let (edges, critical_path) = (graph.edges(), graph.critical_path(&program.list));
    drop(graph);
    let run = simulate(
        program,
        Setup {
            policy,
            engines: machine.engines,
            dma_engines: machine.dma_engines,
            profile: machine.profile,
        },
    )?;
    if explain {
        report::explain_run(
            &policy.to_string(),
            run.local_bytes,
            bounds.compulsory_bytes,
        );
        for decision in &run.decisions {
            eprintln!("{policy}: {decision}");
        }
    }
    let lower = bounds.lower(program, machine.engines, &machine.profile);
    let host = host_time(program, policy, machine)?;
    let per_instruction =
        |time: Duration| time.as_nanos() as f64 / program.list.len().max(1) as f64;
    let row = Row {
        workload: name.to_owned(),
        policy: policy.to_string(),
        instructions: program.list.len(),
        edges,
        critical_path_ns: critical_path.0,
        makespan_ns: run.makespan.0,
        lower_bound_ns: lower.0,
        moved_bytes: run.moved_bytes,
        compulsory_bytes: bounds.compulsory_bytes,
        analysis_ns_per_instruction: per_instruction(host.first),
        replay_ns_per_instruction: host.later.map(per_instruction),
        splits: run.splits,
        merges: run.merges,
    };
    Ok((row, run))
}

struct HostTime {
    first: Duration,
    later: Option<Duration>,
}

/// Analysis and scheduling of every instruction on one thread, whose engines
/// do nothing: submit, take, finish, in batches as in the card.  The lists are built before and freed
/// after, as a card keeps those that come again.
fn host_time(
    program: &Program,
    policy: Policy,
    machine: &Machine,
) -> Result<HostTime, SubmitError> {
    let lists = program.list.parts(LIST).into_iter().map(Arc::new);
    let lists: Vec<Arc<CommandList>> = lists.collect();
    let mut best = HostTime {
        first: Duration::MAX,
        later: None,
    };
    let begun = thread_time();
    for _ in 0..RUNS {
        let mut scheduler = Scheduler::new(Config {
            compute_engines: machine.engines,
            dma_engines: machine.dma_engines,
            policy,
            limits: Limits::CARD,
            queued_instructions: 4 * LIST,
        });
        let context = scheduler.add_context(NonZeroU32::MIN);
        for pass in 0..machine.passes {
            let started = thread_time();
            let mut engines = IdleEngines::new(machine.engines);
            for list in &lists {
                engines.submit(&mut scheduler, context, list.clone())?;
            }
            engines.end_all(&mut scheduler);
            let time = thread_time().saturating_sub(started);
            if pass == 0 {
                best.first = best.first.min(time);
            } else {
                best.later = Some(best.later.map_or(time, |later| later.min(time)));
            }
        }
        if thread_time().saturating_sub(begun) > RUN_TIME {
            break;
        }
    }
    Ok(best)
}
