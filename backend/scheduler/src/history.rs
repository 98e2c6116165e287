// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who last wrote a cell and who has read it since: all of the past that a
//! later access can still conflict with.
//!
//! A write takes over every byte it touches: who comes later waits for it, and
//! through it for all that came before.  So a write clears the history of the
//! cells it covers, and what it leaves of a partly covered run is kept as a
//! span.  Spans only leave out orderings that others imply.
//!
//! What has ended is kept up to a horizon, so that what analysis finds there
//! does not depend on when anything ended.

use crate::cells::{CellId, Cells};
use crate::graph::{Conflict, Graph, NOBODY, Sequence, Standing};
use crate::readers::{CellReaders, NOTHING, ReaderPool, Span, left_of, meets};
use crate::region::Region;

/// The past of one cell.
#[derive(Debug)]
pub struct History {
    /// What the cell spans, and whether it is all of that.
    hull: Span,
    is_run: bool,
    writer: Sequence,
    /// Where the writer has not been overwritten since.
    written: Span,
    /// Who has read it since.
    readers: CellReaders,
}

// Analysis looks at the histories of a region's neighbours for every access: one
// cache line each.
const _: () = assert!(size_of::<History>() <= 64);
// Nobody's successor is the first instruction.
const _: () = assert!(NOBODY.wrapping_add(1) == 0);

impl History {
    pub fn new(region: &Region) -> Self {
        Self {
            hull: (region.start(), region.end()),
            is_run: region.is_contiguous(),
            writer: NOBODY,
            written: NOTHING,
            readers: CellReaders::NONE,
        }
    }

    /// Whether nothing in the past can order or poison a later access; drops
    /// what is known to have ended.
    pub fn is_idle(&mut self, graph: &Graph, readers: &mut ReaderPool) -> bool {
        if self.writer != NOBODY && graph.standing(self.writer) == Standing::Done {
            self.writer = NOBODY;
        }
        let in_flight = |reader| graph.standing(reader) == Standing::InFlight;
        self.readers.prune(readers, in_flight);
        self.writer == NOBODY && self.readers.is_empty()
    }

    /// The writer, when there is one.
    pub fn writer(&self) -> Option<Sequence> {
        (self.writer != NOBODY).then_some(self.writer)
    }

    #[inline]
    fn clear(&mut self, readers: &mut ReaderPool) {
        self.writer = NOBODY;
        self.written = NOTHING;
        if !self.readers.is_empty() {
            self.readers.clear(readers);
        }
    }

    /// Gives up what the run `gone` has overwritten.
    fn overwritten(&mut self, gone: Span, graph: &Graph, readers: &mut ReaderPool) {
        self.written = trimmed(self.written, gone);
        if self.written == NOTHING {
            self.writer = NOBODY;
        }
        if !self.readers.is_empty() {
            let matters = |reader| graph.matters(reader);
            self.readers.overwritten(self.hull, gone, readers, matters);
        }
    }

    /// Makes `writer` the last one.
    fn written_by(&mut self, writer: Sequence, readers: &mut ReaderPool) {
        self.clear(readers);
        self.writer = writer;
        self.written = self.hull;
    }

    /// Gives up what a neighbour has overwritten: all, when it covers this cell,
    /// or what lies in its `hull`, when that is a run.
    #[inline]
    fn lose(
        &mut self,
        covered: bool,
        is_run: bool,
        hull: Span,
        graph: &Graph,
        readers: &mut ReaderPool,
    ) {
        if covered {
            self.clear(readers);
        } else if is_run {
            self.overwritten(hull, graph, readers);
        }
    }

    /// Edges for a read of bytes within `hull`.
    #[inline]
    fn before_read(&mut self, hull: Span, reader: Sequence, graph: &mut Graph) {
        if self.writer != NOBODY
            && meets(self.written, hull)
            && graph.depend(self.writer, reader, Conflict::ReadAfterWrite) == Standing::Done
            && !graph.is_recent(self.writer)
        {
            self.writer = NOBODY;
        }
    }

    /// Edges for a write of bytes within `hull`.  Readers have waited for the
    /// writer, so where there are readers they are enough.  What came before
    /// `since` is waited for by somebody else whom the writer waits for.
    #[inline]
    fn before_write(
        &mut self,
        hull: Span,
        since: Sequence,
        writer: Sequence,
        graph: &mut Graph,
        readers: &ReaderPool,
    ) {
        if !self.readers.is_empty() {
            self.readers.for_each(self.hull, hull, readers, |reader| {
                if reader >= since {
                    graph.depend(reader, writer, Conflict::WriteAfterRead);
                }
            });
        } else if self.writer != NOBODY
            && self.writer >= since
            && meets(self.written, hull)
            && graph.depend(self.writer, writer, Conflict::WriteAfterWrite) == Standing::Done
            && !graph.is_recent(self.writer)
        {
            self.writer = NOBODY;
        }
    }
}

/// Orders a read of the whole cell.
pub fn read(cells: &mut Cells, cell: CellId, reader: Sequence, graph: &mut Graph) {
    let Cells {
        histories, links, ..
    } = cells;
    let Some(own) = histories.get_mut(cell as usize) else {
        return;
    };
    let hull = own.hull;
    own.before_read(hull, reader, graph);
    for link in links.get(cell as usize).map_or(&[][..], |it| it) {
        if let Some(other) = histories.get_mut(link.cell() as usize) {
            other.before_read(hull, reader, graph);
        }
    }
}

/// Orders a write of the whole cell and makes it the cell's past.
pub fn write(
    cells: &mut Cells,
    cell: CellId,
    writer: Sequence,
    graph: &mut Graph,
    readers: &mut ReaderPool,
) {
    let Cells {
        histories, links, ..
    } = cells;
    let Some(own) = histories.get_mut(cell as usize) else {
        return;
    };
    let (hull, is_run) = (own.hull, own.is_run);
    // Who wrote the same bytes last has waited for all that came before it.
    let since = own.writer.wrapping_add(1);
    own.before_write(hull, 0, writer, graph, readers);
    own.written_by(writer, readers);
    for link in links.get(cell as usize).map_or(&[][..], |it| it) {
        if let Some(other) = histories.get_mut(link.cell() as usize) {
            other.before_write(hull, since, writer, graph, readers);
            other.lose(link.covers(), is_run, hull, graph, readers);
        }
    }
}

/// Makes a read of the whole cell part of its past; to be called when all
/// operands of the reader have been ordered.
pub fn record_read(
    cells: &mut Cells,
    cell: CellId,
    reader: Sequence,
    graph: &Graph,
    readers: &mut ReaderPool,
) {
    let Some(own) = cells.histories.get_mut(cell as usize) else {
        return;
    };
    // Who writes what it reads is found as the writer.
    if own.writer == reader {
        return;
    }
    own.readers
        .add(reader, readers, |reader| graph.matters(reader));
}

/// As [`write`], for a writer whose edges are known.
pub fn record_write(
    cells: &mut Cells,
    cell: CellId,
    writer: Sequence,
    graph: &Graph,
    readers: &mut ReaderPool,
) {
    let Cells {
        histories, links, ..
    } = cells;
    let Some(own) = histories.get_mut(cell as usize) else {
        return;
    };
    let (hull, is_run) = (own.hull, own.is_run);
    own.written_by(writer, readers);
    for link in links.get(cell as usize).map_or(&[][..], |it| it) {
        if let Some(other) = histories.get_mut(link.cell() as usize) {
            other.lose(link.covers(), is_run, hull, graph, readers);
        }
    }
}

/// What is left of `span` without the run `gone`, as one span.
#[inline]
fn trimmed(span: Span, gone: Span) -> Span {
    left_of(span, gone).unwrap_or(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_loses_its_ends_and_keeps_its_middle() {
        assert_eq!(trimmed((10, 20), (5, 12)), (12, 20));
        assert_eq!(trimmed((10, 20), (15, 30)), (10, 15));
        assert_eq!(trimmed((10, 20), (12, 14)), (10, 20));
        assert_eq!(trimmed((10, 20), (20, 30)), (10, 20));
        assert!(!meets(trimmed((10, 20), (10, 20)), (0, 100)));
    }
}
