// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card on a virtual clock: the scheduler itself, with modelled engines.
//!
//! Instructions are analysed in order by the analysis unit and reach the
//! scheduler as they are.  A compute engine takes ready instructions a few
//! ahead, fetches what they read over the shared link, and runs each when its
//! data are there; what it writes stays in its local memory until it has to
//! leave.  The unit of tracking is the unit of moves: a policy of blocks moves
//! blocks, as long as those of every instruction fit into a local memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use thiserror::Error;

use crate::analyser::Limits;
use crate::clock::Nanos;
use crate::granularity::Decision;
use crate::graph::Outcome;
use crate::list::{Access, CommandList, Operand};
use crate::local::{LocalMemories, sectors};
use crate::policy::Policy;
use crate::profile::Profile;
use crate::region::Region;
use crate::scheduler::{Config, ContextId, Engine, ListId, Scheduler, SubmitError, Work};
use crate::workload::{OBJECT_ALIGNMENT, Program, ProgramError};

/// Instructions that the analysis unit hands over at once.
const BATCH: usize = 256;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The unit of tracking and moves.
    pub policy: Policy,
    /// Compute engines.
    pub engines: usize,
    /// DMA engines.
    pub dma_engines: usize,
    /// The card's sizes and costs.
    pub profile: Profile,
}

/// When and where an instruction ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its place in the program.
    pub instruction: usize,
    /// The compute engine.
    pub engine: usize,
    /// When its data were there and it started.
    pub start: Nanos,
    /// When it ended.
    pub end: Nanos,
}

/// One move over the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The compute engine whose local memory is filled or drained; none for
    /// the last drain, which is everybody's.
    pub engine: Option<usize>,
    /// Bytes into the local memory.
    pub filled: u64,
    /// Bytes out of local memories.
    pub drained: u64,
    /// When it was asked for.
    pub asked: Nanos,
    /// When it was over.
    pub end: Nanos,
}

/// How finely memory was tracked when a batch had been analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// When.
    pub at: Nanos,
    /// Instructions analysed by then.
    pub analysed: usize,
    /// Units tracked.
    pub cells: usize,
    /// Objects split so far, and merged.
    pub splits: u64,
    /// See `splits`.
    pub merges: u64,
}

/// What a simulation came to.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// From the first analysis to the last byte home.
    pub makespan: Nanos,
    /// Bytes over the link, both ways.
    pub moved_bytes: u64,
    /// Moves these were made of.
    pub moves: u64,
    /// Modelled time of the analysis unit.
    pub analysis: Nanos,
    /// Times an object's unit of tracking was split, and merged.
    pub splits: u64,
    /// See `splits`.
    pub merges: u64,
    /// The latest of these decisions.
    pub decisions: Vec<Decision>,
    /// Each instruction, in the order in which they ended.
    pub spans: Vec<Span>,
    /// Each move, in the order in which they were asked for.
    pub transfers: Vec<Transfer>,
    /// The unit of tracking over time, one entry a batch.
    pub tracking: Vec<Tracking>,
}

/// Why a program cannot be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SimulationError {
    /// The scheduler refused it.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// It could not be split into lists.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Instructions were left that nothing can release.
    #[error("{0} instructions never became ready")]
    Stuck(usize),
}

/// Each distinct input byte once in and each final output byte once out.
#[must_use]
pub fn compulsory_bytes(list: &CommandList, line: u64) -> u64 {
    let sector = sector_bytes(list, line);
    let mut seen = hashbrown::HashMap::<u64, bool>::new();
    let mut total = 0;
    for (_, operands) in list.iter() {
        for operand in operands.iter().filter(|operand| operand.access.reads()) {
            sectors(&operand.region, sector, |at| {
                seen.entry(at).or_insert_with(|| {
                    total += 1;
                    false
                });
            });
        }
        for operand in operands.iter().filter(|operand| operand.access.writes()) {
            sectors(&operand.region, sector, |at| {
                if !seen.insert(at, true).unwrap_or(false) {
                    total += 1;
                }
            });
        }
    }
    total * sector
}

/// The largest power of two, at least a line, that divides every run.
fn sector_bytes(list: &CommandList, line: u64) -> u64 {
    let mut bits = 0;
    for operand in list.operands() {
        let region = &operand.region;
        bits |= region.start() | region.run_bytes();
        for dim in region.dims() {
            bits |= dim.stride;
        }
    }
    (1u64 << bits.trailing_zeros().min(16)).max(line)
}

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ended(usize),
    Arrived(usize),
    Analysed,
}

/// The link and the moves in flight on it.
#[derive(Debug)]
struct Link {
    free: Nanos,
    slots: BinaryHeap<Reverse<Nanos>>,
}

impl Link {
    /// When a move of `bytes` that is asked for `now` has arrived.
    fn transfer(&mut self, now: Nanos, bytes: u64, profile: &Profile) -> Nanos {
        let slot = self.slots.pop().map_or(now, |Reverse(free)| free.max(now));
        let ready = slot.plus(profile.move_latency).max(self.free);
        let done = ready.plus(profile.transfer(bytes));
        self.free = done;
        self.slots.push(Reverse(done));
        done
    }
}

struct Simulation<'a> {
    setup: Setup,
    program: &'a Program,
    scheduler: Scheduler,
    context: ContextId,
    /// Each submitted list with the place of its first instruction.
    lists: hashbrown::HashMap<ListId, usize>,
    next: usize,
    engines: Vec<EngineState>,
    memories: LocalMemories,
    /// The unit of moves.
    moving: Policy,
    link: Link,
    events: BinaryHeap<Reverse<(Nanos, Event)>>,
    counted: (u64, u64),
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
    let slots = setup.dma_engines * profile.moves_in_flight;
    let moving = moving_policy(&program.list, setup.policy, &profile);
    let sector = match moving {
        Policy::Block(bits) => 1 << bits,
        Policy::Tensor => OBJECT_ALIGNMENT,
        Policy::Exact | Policy::Adaptive => sector_bytes(&program.list, profile.line_bytes),
    };
    let mut simulation = Simulation {
        setup,
        program,
        scheduler,
        context,
        lists: hashbrown::HashMap::new(),
        next: 0,
        engines: (0..setup.engines).map(|_| EngineState::default()).collect(),
        moving,
        memories: LocalMemories::new(setup.engines, profile.local_bytes, sector),
        link: Link {
            free: Nanos(0),
            slots: (0..slots).map(|_| Reverse(Nanos(0))).collect(),
        },
        events: BinaryHeap::new(),
        counted: (0, 0),
        run: Run::default(),
    };
    simulation.run()?;
    Ok(simulation.run)
}

impl Simulation<'_> {
    fn run(&mut self) -> Result<(), SimulationError> {
        let mut now = Nanos(0);
        self.analyse(now)?;
        while let Some(Reverse((time, event))) = self.events.pop() {
            now = time;
            match event {
                Event::Analysed => self.analyse(now)?,
                Event::Arrived(_) => {}
                Event::Ended(engine) => self.end(engine, now),
            }
            match event {
                Event::Arrived(engine) => self.start(engine, now),
                _ => (0..self.engines.len()).for_each(|engine| self.fill(engine, now)),
            }
        }
        let done = self.run.spans.len();
        if done < self.program.list.len() {
            return Err(SimulationError::Stuck(self.program.list.len() - done));
        }
        let drained = self.memories.flush();
        if drained > 0 {
            self.run.moves += 1;
            now = self.transfer(None, 0, drained, now);
        }
        self.run.makespan = now.max(self.link.free);
        if let Some(analyser) = self.scheduler.analyser(self.context) {
            (self.run.splits, self.run.merges) = analyser.granularity_changes();
            self.run.decisions = analyser.decisions().copied().collect();
        }
        Ok(())
    }

    /// Hands the next batch to the scheduler and charges its analysis.
    fn analyse(&mut self, now: Nanos) -> Result<(), SimulationError> {
        let last = (self.next + BATCH).min(self.program.list.len());
        if self.next >= last {
            return Ok(());
        }
        let mut batch = CommandList::new(BATCH);
        for position in self.next..last {
            if let Some((instruction, operands)) = self.program.list.get(position) {
                batch
                    .push(operands, instruction.cost, instruction.unit)
                    .map_err(ProgramError::from)?;
            }
        }
        let id = self.scheduler.submit(self.context, batch, &[], now)?;
        self.lists.insert(id, self.next);
        self.next = last;
        let counters = self
            .scheduler
            .analyser(self.context)
            .map_or((0, 0), |analyser| {
                (analyser.cells_touched(), analyser.graph().edge_total())
            });
        let cost = self
            .setup
            .profile
            .analysis(counters.0 - self.counted.0, counters.1 - self.counted.1);
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
        self.events.push(Reverse((done, Event::Analysed)));
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
        self.run.spans.push(Span {
            instruction: self.place(&claim.work),
            engine,
            start,
            end: now,
        });
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

    /// Lets an engine claim instructions and fetch their data.
    fn fill(&mut self, engine: usize, now: Nanos) {
        loop {
            let ahead = self
                .engines
                .get(engine)
                .map_or(usize::MAX, |it| it.claims.len());
            if ahead >= self.setup.profile.prefetch {
                break;
            }
            let Some(work) = self.scheduler.take(Engine::Compute(engine), now) else {
                break;
            };
            let arrives = self.fetch(engine, self.place(&work), now);
            self.events.push(Reverse((arrives, Event::Arrived(engine))));
            if let Some(state) = self.engines.get_mut(engine) {
                state.claims.push(Claim { work, arrives });
            }
        }
        self.start(engine, now);
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

    /// Moves what an instruction needs and returns when all of it is there.
    fn fetch(&mut self, engine: usize, position: usize, now: Nanos) -> Nanos {
        let Some((_, operands)) = self.program.list.get(position) else {
            return now;
        };
        let mut arrives = now;
        for (region, access) in moved_regions(self.moving, operands) {
            let moved = self
                .memories
                .access(engine, &region, access.reads(), access.writes());
            if moved.filled + moved.drained == 0 {
                continue;
            }
            self.run.moves += moved.moves;
            let done = self.transfer(Some(engine), moved.filled, moved.drained, now);
            if moved.filled > 0 {
                arrives = arrives.max(done);
            }
        }
        arrives
    }

    /// Puts one move on the link and returns when it is over.
    fn transfer(&mut self, engine: Option<usize>, filled: u64, drained: u64, now: Nanos) -> Nanos {
        let bytes = filled + drained;
        self.run.moved_bytes += bytes;
        let end = self.link.transfer(now, bytes, &self.setup.profile);
        self.run.transfers.push(Transfer {
            engine,
            filled,
            drained,
            asked: now,
            end,
        });
        end
    }
}

/// The operands as a policy moves them.  Its unit is what is moved; a block
/// that is written in part is fetched as well.
fn moved_regions(policy: Policy, operands: &[Operand]) -> Vec<(Region, Access)> {
    let whole = |access: Access| match access {
        Access::Read => Access::Read,
        _ => Access::ReadWrite,
    };
    match policy {
        Policy::Exact | Policy::Adaptive => {
            operands.iter().map(|it| (it.region, it.access)).collect()
        }
        Policy::Tensor => operands
            .iter()
            .map(|it| {
                let object = Region::run(it.object.start(), it.object.bytes());
                (object, whole(it.access))
            })
            .collect(),
        Policy::Block(bits) => {
            let mut blocks = Vec::new();
            for operand in operands {
                sectors(&operand.region, 1 << bits, |block| {
                    blocks.push((Region::run(block << bits, 1 << bits), whole(operand.access)));
                });
            }
            blocks
        }
    }
}

/// The policy by which memory is moved: its own, unless one instruction's
/// blocks do not fit into a local memory; then it moves just what is used.
fn moving_policy(list: &CommandList, policy: Policy, profile: &Profile) -> Policy {
    let fits = |operands: &[Operand]| {
        let blocks = moved_regions(policy, operands);
        let bytes = blocks
            .iter()
            .fold(0u64, |sum, (region, _)| sum.saturating_add(region.bytes()));
        bytes <= profile.local_bytes
    };
    if list.iter().all(|(_, operands)| fits(operands)) {
        policy
    } else {
        Policy::Exact
    }
}
