// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segment tables: the guest memory of a transfer, copied and checked.

use augur_abi::submit::{
    MAX_TRANSFER_BYTES, SEGMENTS_PER_TABLE_PAGE, Segment as WireSegment, SegmentTablePage,
    Transfer as WireTransfer,
};
use augur_abi::{PAGE_BYTES, Status};
use zerocopy::FromBytes as _;

use crate::guest::GuestAccess;

/// Segments of the transfers of one submission, at most.
pub(crate) const MAX_SEGMENTS: usize = 1 << 19;

/// A run of guest memory that was there when it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GuestRun {
    /// Guest address.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
    /// Bytes of the transfer before it.
    pub start: u64,
}

/// The guest memory of one transfer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    runs: Vec<GuestRun>,
    bytes: u64,
}

impl Transfer {
    /// Copies and checks a segment table. `budget` is the number of segments
    /// that the submission may still have.
    ///
    /// # Errors
    /// [`Status::Invalid`] for a malformed table or too many segments,
    /// [`Status::BadAddress`] for addresses outside guest memory.
    pub fn read(
        guest: &GuestAccess<'_>,
        wire: &WireTransfer,
        budget: &mut usize,
    ) -> Result<Self, Status> {
        if wire.bytes == 0 || wire.bytes > MAX_TRANSFER_BYTES {
            return Err(Status::Invalid);
        }
        let mut transfer = Transfer {
            runs: Vec::new(),
            bytes: 0,
        };
        let mut next = wire.segment_table;
        // Every page has at least one segment of at least one byte, so a table that
        // runs in circles ends when the bytes or the budget are used up.
        while transfer.bytes < wire.bytes {
            if next == 0 || !next.is_multiple_of(PAGE_BYTES) {
                return Err(Status::Invalid);
            }
            let mut page = [0; PAGE_BYTES as usize];
            if !guest.read(next, &mut page) {
                return Err(Status::BadAddress);
            }
            next = transfer.append_page(guest, &page, wire.bytes, budget)?;
        }
        if next != 0 {
            Err(Status::Invalid)
        } else {
            Ok(transfer)
        }
    }

    /// Appends the segments of a page; answers the address of the next one.
    fn append_page(
        &mut self,
        guest: &GuestAccess<'_>,
        page: &[u8],
        limit: u64,
        budget: &mut usize,
    ) -> Result<u64, Status> {
        let (header, segments) =
            SegmentTablePage::read_from_prefix(page).map_err(|_| Status::Invalid)?;
        let count = header.count as usize;
        if header.reserved != 0 || !(1..=SEGMENTS_PER_TABLE_PAGE).contains(&count) {
            return Err(Status::Invalid);
        }
        *budget = budget.checked_sub(count).ok_or(Status::Invalid)?;
        for bytes in segments.chunks_exact(WireSegment::BYTES).take(count) {
            let segment = WireSegment::read_from_bytes(bytes).map_err(|_| Status::Invalid)?;
            if segment.reserved != 0 || segment.bytes == 0 {
                return Err(Status::Invalid);
            }
            if !guest.contains(segment.address, segment.bytes.into()) {
                return Err(Status::BadAddress);
            }
            self.append(segment.address, segment.bytes.into());
            if self.bytes > limit {
                return Err(Status::Invalid);
            }
        }
        Ok(header.next)
    }

    /// Appends a run, joined with the one before when they touch.
    fn append(&mut self, address: u64, bytes: u64) {
        match self.runs.last_mut() {
            Some(last) if last.address + last.bytes == address => last.bytes += bytes,
            _ => self.runs.push(GuestRun {
                address,
                bytes,
                start: self.bytes,
            }),
        }
        self.bytes += bytes;
    }

    /// Bytes of the transfer.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Host memory that the table takes.
    pub fn footprint(&self) -> u64 {
        (self.runs.capacity() * size_of::<GuestRun>()) as u64
    }

    /// The runs that hold bytes from `offset` on, the first cut accordingly.
    pub fn runs_from(&self, offset: u64) -> impl Iterator<Item = GuestRun> + '_ {
        let first = self
            .runs
            .partition_point(|run| run.start + run.bytes <= offset);
        self.runs.iter().skip(first).map(move |run| {
            let skip = offset.saturating_sub(run.start);
            GuestRun {
                address: run.address + skip,
                bytes: run.bytes - skip,
                start: run.start + skip,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::GuestMemory;
    use vm_memory::{Bytes as _, GuestAddress, GuestMemoryMmap};
    use zerocopy::IntoBytes as _;

    fn guest() -> GuestMemory {
        let guest = GuestMemory::new();
        guest.replace(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 1 << 20)]).unwrap());
        guest.resume();
        guest
    }

    fn write_page(guest: &GuestMemory, at: u64, next: u64, segments: &[(u64, u32)]) {
        let access = guest.enter().unwrap();
        let header = SegmentTablePage {
            next,
            count: segments.len() as u32,
            reserved: 0,
        };
        access
            .memory()
            .write_slice(header.as_bytes(), GuestAddress(at))
            .unwrap();
        for (index, &(address, bytes)) in segments.iter().enumerate() {
            let segment = WireSegment {
                address,
                bytes,
                reserved: 0,
            };
            let at = at + 16 + 16 * index as u64;
            access
                .memory()
                .write_slice(segment.as_bytes(), GuestAddress(at))
                .unwrap();
        }
    }

    fn read(guest: &GuestMemory, segment_table: u64, bytes: u64) -> Result<Transfer, Status> {
        let mut budget = MAX_SEGMENTS;
        Transfer::read(
            &guest.enter().unwrap(),
            &WireTransfer {
                segment_table,
                bytes,
            },
            &mut budget,
        )
    }

    #[test]
    fn pages_are_followed_and_neighbours_joined() {
        let guest = guest();
        write_page(
            &guest,
            0x1000,
            0x2000,
            &[(0x8001, 10), (0x800b, 5), (0x9000, 1)],
        );
        write_page(&guest, 0x2000, 0, &[(0x100, 4)]);
        let transfer = read(&guest, 0x1000, 20).unwrap();
        let runs: Vec<(u64, u64)> = transfer
            .runs_from(0)
            .map(|r| (r.address, r.bytes))
            .collect();
        assert_eq!(runs, [(0x8001, 15), (0x9000, 1), (0x100, 4)]);
        let runs: Vec<(u64, u64)> = transfer
            .runs_from(14)
            .map(|r| (r.address, r.bytes))
            .collect();
        assert_eq!(runs, [(0x800f, 1), (0x9000, 1), (0x100, 4)]);
        assert_eq!(transfer.runs_from(20).count(), 0);
    }

    #[test]
    fn tables_that_lie_are_refused() {
        let guest = guest();
        write_page(&guest, 0x1000, 0x1000, &[(0x8000, 1)]);
        assert_eq!(
            read(&guest, 0x1000, 5),
            Err(Status::Invalid),
            "a page that links itself"
        );
        write_page(&guest, 0x1000, 0, &[(0x8000, 4)]);
        assert_eq!(
            read(&guest, 0x1000, 5),
            Err(Status::Invalid),
            "too few bytes"
        );
        assert_eq!(
            read(&guest, 0x1000, 3),
            Err(Status::Invalid),
            "too many bytes"
        );
        assert_eq!(
            read(&guest, 0x1001, 4),
            Err(Status::Invalid),
            "not at a page"
        );
        assert_eq!(read(&guest, 0x1000, 0), Err(Status::Invalid), "no bytes");
        assert_eq!(
            read(&guest, 0x1000, u64::MAX),
            Err(Status::Invalid),
            "too large"
        );
        assert_eq!(
            read(&guest, 1 << 20, 4),
            Err(Status::BadAddress),
            "outside memory"
        );
        write_page(&guest, 0x1000, 0, &[(0xf_fffe, 4)]);
        assert_eq!(
            read(&guest, 0x1000, 4),
            Err(Status::BadAddress),
            "a segment across the end"
        );
        write_page(&guest, 0x1000, 0, &[(u64::MAX, 4)]);
        assert_eq!(
            read(&guest, 0x1000, 4),
            Err(Status::BadAddress),
            "a segment that wraps"
        );
        write_page(&guest, 0x1000, 0, &[(0x8000, 0)]);
        assert_eq!(
            read(&guest, 0x1000, 1),
            Err(Status::Invalid),
            "an empty segment"
        );
        write_page(&guest, 0x1000, 0, &[]);
        assert_eq!(
            read(&guest, 0x1000, 1),
            Err(Status::Invalid),
            "an empty page"
        );
    }
}
