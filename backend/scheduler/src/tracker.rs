// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dependence analysis: turns the operands of an instruction into edges.
//!
//! Each operand becomes one or more tracked cells, as the policy says; the
//! past of the cells and of their neighbours says whom the instruction has to
//! wait for.  All reads of an instruction are ordered before its writes, so an
//! edge that carries a failure on is never hidden by one that does not.

use crate::cells::{CellId, Cells};
use crate::granularity::Granularity;
use crate::graph::{Graph, NOBODY, Sequence};
use crate::history;
use crate::list::{Access, Object, Operand};
use crate::policy::Policy;
use crate::readers::ReaderPool;
use crate::region::Region;
use crate::replay::Template;

/// A region of more runs than this, and than blocks that it spans, is taken for
/// all that it spans: blocks order too much anyway, never too little.
const MAX_RUNS: u64 = 1 << 16;

/// Cells among which neighbours are looked for one by one.
const MAX_LOOKED_AT: usize = 4096;

/// Finds conflicts between the instructions of one context.
#[derive(Debug)]
pub struct Tracker {
    policy: Policy,
    cells: Cells,
    readers: ReaderPool,
    touched: Vec<(CellId, Access)>,
    touched_total: u64,
    granularity: Granularity,
    /// The numbers of the objects of the newest instruction's operands.
    followed: Vec<Option<usize>>,
}

impl Tracker {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            cells: Cells::new(),
            readers: ReaderPool::new(),
            touched: Vec::new(),
            touched_total: 0,
            granularity: Granularity::default(),
            followed: Vec::new(),
        }
    }

    /// Adds to `graph` the edges into `sequence`, its newest instruction.
    pub(crate) fn analyse(&mut self, sequence: Sequence, operands: &[Operand], graph: &mut Graph) {
        self.touched.clear();
        match self.policy {
            Policy::Exact => {
                for operand in operands {
                    let cell = self.cells.intern(&operand.region, operand.object);
                    self.touched.push((cell, operand.access));
                }
            }
            Policy::Adaptive => self.find_adaptively(sequence, operands, graph),
            Policy::Tensor | Policy::Block(_) => {
                for operand in operands {
                    self.find_blocks(operand);
                }
            }
        }
        let Self {
            cells,
            readers,
            touched,
            ..
        } = self;
        if let Some(recording) = &mut graph.recording {
            let written = operands.iter().filter(|operand| operand.access.writes());
            written.for_each(|operand| recording.writes(operand.object));
            for &(cell, access) in &*touched {
                recording.access(cell, access);
            }
        }
        for &(cell, _) in touched.iter().filter(|(_, access)| access.reads()) {
            history::read(cells, cell, sequence, graph);
        }
        for &(cell, _) in touched.iter().filter(|(_, access)| access.writes()) {
            history::write(cells, cell, sequence, graph, readers);
        }
        for &(cell, _) in touched.iter().filter(|(_, access)| access.reads()) {
            history::record_read(cells, cell, sequence, graph, readers);
        }
        self.touched_total += touched.len() as u64;
    }

    /// Finds the cells of operands whose objects are not whole, after the units
    /// of tracking have followed what the instruction is about to do.
    fn find_adaptively(&mut self, sequence: Sequence, operands: &[Operand], graph: &mut Graph) {
        self.adapt(sequence, operands, graph);
        let Self {
            cells,
            touched,
            granularity,
            followed,
            touched_total,
            ..
        } = self;
        for (operand, &number) in operands.iter().zip(&*followed) {
            let whole = operand.access == Access::Read
                && granularity.read(number, operand, sequence, graph);
            if !whole {
                let cell = cells.intern(&operand.region, operand.object);
                touched.push((cell, operand.access));
                continue;
            }
            *touched_total += 1;
            if let Some(recording) = &mut graph.recording {
                // When it is replayed, the object may have been split.
                let cell = cells.intern(&operand.region, operand.object);
                recording.access(cell, Access::Read);
            }
        }
    }

    /// Makes the accesses of a replayed list part of the past, now that
    /// something else is to be analysed.
    pub(crate) fn apply(&mut self, first: Sequence, template: &Template, graph: &Graph) {
        if self.policy == Policy::Adaptive {
            let last = first + template.len() as u64 - 1;
            for &object in &template.written {
                self.adapt_write(object, last, graph);
            }
        }
        let Self { cells, readers, .. } = self;
        for place in 0..template.len() {
            let sequence = first + place as u64;
            let accesses = template.accesses(place);
            for &(cell, _) in accesses.iter().filter(|(_, access)| access.writes()) {
                history::record_write(cells, cell, sequence, graph, readers);
            }
            for &(cell, _) in accesses.iter().filter(|(_, access)| access.reads()) {
                history::record_read(cells, cell, sequence, graph, readers);
            }
        }
    }

    /// Lets the units of tracking follow what the instruction is about to do:
    /// before anything of it is looked up.
    fn adapt(&mut self, sequence: Sequence, operands: &[Operand], graph: &Graph) {
        let Self {
            granularity,
            cells,
            readers,
            followed,
            ..
        } = self;
        let mut recorded = |reader, region: &Region, object| {
            record(cells, readers, graph, reader, region, object);
        };
        followed.clear();
        // Operands of one object often lie next to each other.
        let mut latest = None;
        for operand in operands {
            let number = match latest {
                Some((object, number)) if object == operand.object => number,
                _ => granularity.admit(operand.object, sequence, &mut recorded),
            };
            if operand.access.writes() {
                granularity.write(number, sequence, &mut recorded);
            }
            latest = Some((operand.object, number));
            followed.push(number);
        }
    }

    fn adapt_write(&mut self, object: Object, sequence: Sequence, graph: &Graph) {
        let Self {
            granularity,
            cells,
            readers,
            ..
        } = self;
        let number = granularity.follow(object);
        granularity.write(number, sequence, &mut |reader, region, object| {
            record(cells, readers, graph, reader, region, object);
        });
    }

    /// Finds the cells of an operand that is tracked as a whole object or in
    /// blocks.
    fn find_blocks(&mut self, operand: &Operand) {
        let Self { cells, touched, .. } = self;
        if let Policy::Block(bits) = self.policy {
            for_each_block(&operand.region, bits, |block| {
                let run = Region::run(block << bits, 1 << bits);
                touched.push((cells.intern_apart(&run), operand.access));
            });
        } else {
            let object = Region::run(operand.object.start(), operand.object.bytes());
            touched.push((cells.intern_apart(&object), operand.access));
        }
    }

    /// Cells looked up so far, for all operands.
    pub(crate) fn touched_total(&self) -> u64 {
        self.touched_total
    }

    /// Regions tracked that share addresses with a range, unless very many are tracked.
    pub(crate) fn regions_beside(&self, start: u64, end: u64) -> impl Iterator<Item = &Region> {
        self.cells.beside(start, end, MAX_LOOKED_AT)
    }

    /// Cells tracked now.
    pub(crate) fn cells(&self) -> usize {
        self.cells.len()
    }

    /// Links and recorded reads held now: what grows with the way the memory
    /// is used.
    pub(crate) fn held(&self) -> usize {
        self.cells.link_total() + self.readers.len() + self.granularity.reads_held()
    }

    /// Forgets every cell whose past has ended.
    pub(crate) fn sweep(&mut self, graph: &Graph) {
        self.granularity.sweep(graph);
        let readers = &mut self.readers;
        self.cells.sweep(|past| past.is_idle(graph, readers));
    }

    /// What the unit of tracking of each object was made, and why.
    pub(crate) fn granularity(&self) -> &Granularity {
        &self.granularity
    }

    /// The instructions that cells name as their last writers.
    pub(crate) fn writers(&self) -> impl Iterator<Item = Sequence> + '_ {
        self.cells
            .histories
            .iter()
            .filter_map(history::History::writer)
            .filter(|&writer| writer != NOBODY)
    }
}

/// Makes a read of an object that was tracked as a whole part of the past of
/// its region, unless it can no longer matter.
fn record(
    cells: &mut Cells,
    readers: &mut ReaderPool,
    graph: &Graph,
    reader: Sequence,
    region: &Region,
    object: Object,
) {
    if graph.matters(reader) {
        let cell = cells.intern(region, object);
        history::record_read(cells, cell, reader, graph, readers);
    }
}

/// Calls `visit` with each block that `region` touches, some more than once.
fn for_each_block(region: &Region, bits: u32, mut visit: impl FnMut(u64)) {
    let all = region.start() >> bits..=(region.end() - 1) >> bits;
    if region.runs() > MAX_RUNS.max(all.end() - all.start()) {
        all.for_each(visit);
        return;
    }
    let mut latest = None;
    region.for_each_run(|start, length| {
        for block in start >> bits..=(start + length - 1) >> bits {
            if latest != Some(block) {
                latest = Some(block);
                visit(block);
            }
        }
    });
}
