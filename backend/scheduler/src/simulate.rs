// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card on a virtual clock: the scheduler itself, with modelled engines.
//!
//! Instructions are analysed in order by the analysis unit and reach the
//! scheduler as they are.  One whose data are not on the card is held until the
//! link has brought them; [`planner`] says in which order.  A compute engine
//! takes ready instructions a few ahead, reads what they need into its local
//! memory, and runs each when that is done.  What nobody will write again goes
//! home over the link while it has nothing to bring.  The unit of tracking is
//! the unit of moves: a policy of blocks moves blocks, as long as those of every
//! instruction fit into a local memory.

mod atoms;
mod channel;
mod local;
mod moves;
mod planner;
mod run;
mod visible;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use crate::analyser::Limits;
use crate::clock::Nanos;
use crate::graph::Outcome;
use crate::list::{CommandList, Unit};
use crate::scheduler::{Config, ContextId, Engine, ListId, Scheduler, Work};
use crate::workload::{Program, ProgramError};

pub use atoms::compulsory_bytes;
use atoms::{Atom, Atoms, moving_policy};
use channel::Channel;
use local::LocalMemories;
use planner::Planner;
pub use run::{Run, Setup, SimulationError, Span, Tracking, Transfer};
use visible::Visible;

/// Instructions that the analysis unit hands over at once.
const BATCH: usize = 256;

/// An instruction that an engine has taken and that waits for its data.
#[derive(Clone, Copy, Debug)]
struct Claim {
    work: Work,
    arrives: Nanos,
}

#[derive(Debug, Default)]
struct EngineState {
    claims: Vec<Claim>,
    running: Option<(Claim, Nanos)>,
}

impl EngineState {
    fn taken(&self) -> usize {
        self.claims.len() + usize::from(self.running.is_some())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ended(usize),
    Read(usize),
    /// A move over the link is over: the atoms of this fill are there.
    Moved(usize),
    Analysed,
}

struct Simulation<'a> {
    setup: Setup,
    program: &'a Program,
    atoms: Atoms,
    scheduler: Scheduler,
    context: ContextId,
    /// Each submitted list with the place of its first instruction.
    lists: hashbrown::HashMap<ListId, usize>,
    /// The same in program order.
    batches: Vec<(usize, ListId)>,
    next: usize,
    /// The analysis unit waits for work to end.
    stalled: bool,
    engines: Vec<EngineState>,
    memories: LocalMemories,
    memory: Channel,
    visible: Visible,
    planner: Planner,
    /// Who waits for each atom to be brought.
    waiting: Vec<Vec<u32>>,
    link: Channel,
    fills: Vec<Vec<Atom>>,
    events: BinaryHeap<Reverse<(Nanos, Event)>>,
    counted: (u64, u64, u64),
    run: Run,
}

/// Runs `program` on a modelled card.
///
/// # Errors
/// [`SimulationError`].
pub fn simulate(program: &Program, setup: Setup) -> Result<Run, SimulationError> {
    let mut scheduler = Scheduler::new(Config {
        compute_engines: setup.engines,
        dma_engines: setup.dma_engines,
        policy: setup.policy,
        limits: Limits::CARD,
        queued_instructions: usize::MAX,
    });
    let context = scheduler.add_context(NonZeroU32::MIN);
    let profile = setup.profile;
    let moving = moving_policy(&program.list, setup.policy, &profile);
    let atoms = Atoms::new(&program.list, moving, profile.line_bytes);
    let pieces = atoms.pieces().len();
    let mut simulation = Simulation {
        setup,
        program,
        scheduler,
        context,
        lists: hashbrown::HashMap::new(),
        batches: Vec::new(),
        next: 0,
        stalled: false,
        engines: (0..setup.engines).map(|_| EngineState::default()).collect(),
        memories: LocalMemories::new(setup.engines, profile.local_bytes, pieces),
        memory: Channel::new(
            profile.memory_bytes_per_ns,
            profile.memory_latency,
            setup.dma_engines * profile.memory_moves_in_flight,
        ),
        visible: Visible::new(profile.visible_bytes, &atoms),
        planner: Planner::new(pieces),
        waiting: vec![Vec::new(); pieces],
        link: Channel::new(
            profile.link_bytes_per_ns,
            profile.move_latency,
            setup.dma_engines * profile.moves_in_flight,
        ),
        fills: Vec::new(),
        events: BinaryHeap::new(),
        counted: (0, 0, 0),
        run: Run::default(),
        atoms,
    };
    simulation.run()?;
    Ok(simulation.run)
}

impl Simulation<'_> {
    fn run(&mut self) -> Result<(), SimulationError> {
        let mut now = Nanos(0);
        self.analyse(now)?;
        self.dispatch(now);
        self.move_next(now);
        while let Some(Reverse((time, event))) = self.events.pop() {
            now = time;
            match event {
                Event::Analysed => self.analyse(now)?,
                Event::Read(_) => {}
                Event::Moved(fill) => self.arrive(fill, now),
                Event::Ended(engine) => {
                    self.end(engine, now);
                    if self.stalled {
                        self.analyse(now)?;
                    }
                }
            }
            match event {
                Event::Read(engine) => self.start(engine, now),
                _ => self.dispatch(now),
            }
            self.move_next(now);
        }
        let done = self.run.spans.len();
        if done < self.program.list.len() {
            return Err(SimulationError::Stuck(self.program.list.len() - done));
        }
        self.run.makespan = now.max(self.link.free());
        self.run.moved_bytes = self.link.bytes();
        self.run.local_bytes = self.memory.bytes();
        if let Some(analyser) = self.scheduler.analyser(self.context) {
            (self.run.splits, self.run.merges) = analyser.granularity_changes();
            self.run.decisions = analyser.decisions().copied().collect();
        }
        Ok(())
    }

    /// Hands the next batch to the scheduler and charges its analysis.
    fn analyse(&mut self, now: Nanos) -> Result<(), SimulationError> {
        self.stalled = self.scheduler.is_analysing(self.context);
        if !self.stalled {
            self.submit(now)?;
        }
        let counters = self
            .scheduler
            .analyser(self.context)
            .map_or((0, 0, 0), |analyser| {
                let (splits, merges) = analyser.granularity_changes();
                let edges = analyser.graph().edge_total();
                (analyser.cells_touched(), edges, splits + merges)
            });
        let cost = self.setup.profile.analysis(
            counters.0 - self.counted.0,
            counters.1 - self.counted.1,
            counters.2 - self.counted.2,
        );
        self.counted = counters;
        self.run.analysis = self.run.analysis.plus(cost);
        let done = now.plus(cost);
        if let Some(analyser) = self.scheduler.analyser(self.context) {
            let (splits, merges) = analyser.granularity_changes();
            self.run.tracking.push(Tracking {
                at: done,
                analysed: self.next,
                cells: analyser.cells(),
                splits,
                merges,
            });
        }
        if !self.stalled && self.next < self.program.list.len() {
            self.events.push(Reverse((done, Event::Analysed)));
        }
        Ok(())
    }

    /// Submits instructions as long as their data have room on the card.
    fn submit(&mut self, now: Nanos) -> Result<(), SimulationError> {
        let mut batch = CommandList::new(BATCH);
        let mut holds = Vec::new();
        let (mut uses, mut missing) = (Vec::new(), Vec::new());
        let first = self.next;
        while batch.len() < BATCH
            && let Some((instruction, operands)) = self.program.list.get(self.next)
        {
            self.atoms.uses(self.next, &mut uses);
            if !self.visible.has_room(&self.atoms, &uses) {
                break;
            }
            missing.clear();
            let number = self.next as u32;
            let leaving = self.visible.admit(&self.atoms, number, &uses, &mut missing);
            self.write_home(&leaving, now);
            self.planner.add(&self.atoms, &uses, &missing);
            for &atom in &missing {
                if let Some(waiting) = self.waiting.get_mut(atom as usize) {
                    waiting.push(number);
                }
            }
            holds.push(missing.len() as u32);
            batch
                .push(operands, instruction.cost, instruction.unit)
                .map_err(ProgramError::from)?;
            self.next += 1;
        }
        if batch.is_empty() {
            self.stalled = self.next < self.program.list.len();
            return Ok(());
        }
        let id = self
            .scheduler
            .submit_held(self.context, batch, holds, now)?;
        self.lists.insert(id, first);
        self.batches.push((first, id));
        Ok(())
    }

    fn end(&mut self, engine: usize, now: Nanos) {
        let Some((claim, start)) = self
            .engines
            .get_mut(engine)
            .and_then(|it| it.running.take())
        else {
            return;
        };
        self.scheduler.finish(&claim.work, Outcome::Done, now);
        let instruction = self.place(&claim.work);
        self.run.spans.push(Span {
            instruction,
            engine,
            start,
            end: now,
        });
        let (mut uses, mut last) = (Vec::new(), Vec::new());
        self.atoms.uses(instruction, &mut uses);
        self.visible.ended(&self.atoms, &uses, &mut last);
        for atom in last {
            if self.memories.give_back(atom) {
                self.memory.transfer(now, self.atoms.bytes(atom));
            }
        }
        while let Some(end) = self.scheduler.pop_ended() {
            self.lists.remove(&end.list);
        }
        self.start(engine, now);
    }

    fn place(&self, work: &Work) -> usize {
        self.lists
            .get(&work.list)
            .map_or(0, |first| first + work.position as usize)
    }

    /// Lets engines take instructions: those that have the fewest first.
    fn dispatch(&mut self, now: Nanos) {
        for taken in 0..=self.setup.profile.prefetch {
            for engine in 0..self.engines.len() {
                if !self.scheduler.has_ready(Unit::Compute) {
                    return;
                }
                if self
                    .engines
                    .get(engine)
                    .is_some_and(|it| it.taken() == taken)
                {
                    self.claim(engine, now);
                }
            }
        }
    }

    fn claim(&mut self, engine: usize, now: Nanos) {
        let Some(work) = self.scheduler.take(Engine::Compute(engine), now) else {
            return;
        };
        let arrives = self.read(engine, self.place(&work), now);
        if let Some(state) = self.engines.get_mut(engine) {
            state.claims.push(Claim { work, arrives });
        }
        if arrives > now {
            self.events.push(Reverse((arrives, Event::Read(engine))));
        } else {
            self.start(engine, now);
        }
    }

    /// Starts the claimed instruction whose data came first.
    fn start(&mut self, engine: usize, now: Nanos) {
        let Some(state) = self.engines.get_mut(engine) else {
            return;
        };
        if state.running.is_some() {
            return;
        }
        let first = (0..state.claims.len())
            .filter(|&at| state.claims[at].arrives <= now)
            .min_by_key(|&at| state.claims[at].arrives);
        let Some(at) = first else {
            return;
        };
        let claim = state.claims.remove(at);
        state.running = Some((claim, now));
        let position = self.place(&claim.work);
        let cost = self
            .program
            .list
            .get(position)
            .map_or(Nanos(0), |(it, _)| it.cost);
        self.events
            .push(Reverse((now.plus(cost), Event::Ended(engine))));
    }

    /// Moves what an instruction needs into an engine's local memory and
    /// returns when all of it is there.
    fn read(&mut self, engine: usize, position: usize, now: Nanos) -> Nanos {
        let mut arrives = now;
        for (used, access) in self.atoms.operands(position) {
            let filled: u64 = used
                .iter()
                .map(|&atom| {
                    let sized = (atom, self.atoms.bytes(atom));
                    let (reads, writes) = (access.reads(), access.writes());
                    self.memories.access(engine, sized, reads, writes)
                })
                .sum();
            if filled > 0 {
                arrives = arrives.max(self.memory.transfer(now, filled));
            }
        }
        let leaving = self.memories.evict(engine, |atom| self.atoms.bytes(atom));
        if leaving > 0 {
            self.memory.transfer(now, leaving);
        }
        arrives
    }
}
