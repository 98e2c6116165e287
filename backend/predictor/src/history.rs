// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is remembered of the past: the recent pages of each stream, and when
//! and how often each page was touched.

use crate::Stream;
use crate::table::Table;

/// Pages remembered for a stream.
pub const RECENT: usize = 16;

/// The recent accesses of one stream, repeated touches of one page folded.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamHistory {
    pages: [u64; RECENT],
    count: usize,
    /// Accesses in a row with the same delta.
    pub run: u32,
    /// The event of the last access.
    last: u32,
}

impl StreamHistory {
    /// The page `back` accesses ago; 0 is the newest.
    pub fn page(&self, back: usize) -> Option<u64> {
        (back < self.count.min(RECENT)).then(|| self.pages[(self.count - 1 - back) % RECENT])
    }

    /// The delta that led to the page `back` accesses ago, 0 if unknown.
    pub fn delta(&self, back: usize) -> i64 {
        match (self.page(back), self.page(back + 1)) {
            (Some(to), Some(from)) => to.wrapping_sub(from).cast_signed(),
            _ => 0,
        }
    }

    fn push(&mut self, page: u64) {
        self.pages[self.count % RECENT] = page;
        self.count += 1;
        self.run = if self.count > 2 && self.delta(0) == self.delta(1) {
            self.run.saturating_add(1)
        } else {
            0
        };
    }
}

/// What is known of one page.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageRecord {
    /// The event of its last touch.
    pub last: u32,
    /// Touches, saturating.
    pub touches: u8,
    /// Touches since the page was mapped, saturating.
    stay: u8,
}

/// The pages of a 64-page zone.
#[derive(Clone, Copy, Debug, Default)]
pub struct ZoneRecord {
    /// Pages touched lately.
    pub touched: u64,
    /// The event of the last touch.
    pub last: u32,
    /// Mean touches of its pages while they were mapped, 0 while unknown.
    pub touches_of_a_stay: f32,
}

/// The past of all streams.
#[derive(Debug)]
pub struct History {
    streams: Table<StreamHistory>,
    pages: Table<PageRecord>,
    zones: Table<ZoneRecord>,
    /// Accesses seen, wrapping.
    pub events: u32,
    /// Mean touches of a page that was touched at all while it was mapped.
    touches_of_a_stay: f32,
    streams_at_work: f32,
}

/// Events over which streams are counted.
const STREAMS_OVER: u32 = 256;
/// log2 of the pages of a [`ZoneRecord`].
pub const ZONE_SHIFT: u32 = 6;

impl History {
    /// Nothing remembered yet.
    pub fn new() -> Self {
        Self {
            streams: Table::new(10),
            pages: Table::new(17),
            zones: Table::new(14),
            events: 0,
            touches_of_a_stay: 1.0,
            streams_at_work: 1.0,
        }
    }

    /// Records an access to `page` (a key that includes the context). Answers
    /// whether it is another page than the stream's last.
    pub fn record(&mut self, stream: Stream, page: u64) -> bool {
        self.events = self.events.wrapping_add(1);
        let record = self.pages.entry(page);
        record.touches = record.touches.saturating_add(1);
        record.stay = record.stay.saturating_add(1);
        record.last = self.events;
        let zone = self.zones.entry(page >> ZONE_SHIFT);
        zone.touched |= 1 << (page & 63);
        zone.last = self.events;
        let history = self.streams.entry(stream.key());
        let between = self.events.wrapping_sub(history.last).min(STREAMS_OVER) as f32;
        history.last = self.events;
        self.streams_at_work +=
            (between - self.streams_at_work) / self.events.clamp(1, STREAMS_OVER) as f32;
        if history.page(0) == Some(page) {
            return false;
        }
        history.push(page);
        true
    }

    /// The history of a stream.
    pub fn stream(&self, stream: Stream) -> StreamHistory {
        self.streams.get(stream.key()).copied().unwrap_or_default()
    }

    /// How many streams there are of late: the mean of the events from one of a stream
    /// to its next, which is their number whatever their shares.
    pub fn streams_at_work(&self) -> f32 {
        self.streams_at_work.max(1.0)
    }

    /// What is known of a page.
    pub fn page(&self, page: u64) -> Option<&PageRecord> {
        self.pages.get(page)
    }

    /// What is known of the zone around a page.
    pub fn zone(&self, page: u64) -> Option<&ZoneRecord> {
        self.zones.get(page >> ZONE_SHIFT)
    }

    /// How often a page is touched while it is mapped, if at all: in its zone
    /// where that is known.
    pub fn touches_of_a_stay(&self, page: u64) -> f32 {
        self.zone(page)
            .map(|zone| zone.touches_of_a_stay)
            .filter(|&touches| touches > 0.0)
            .unwrap_or(self.touches_of_a_stay)
    }

    /// A page has left the aperture: its zone forgets it. `used` says whether
    /// it was touched.
    pub fn unmapped(&mut self, page: u64, used: bool) {
        let stay = self
            .pages
            .get_mut(page)
            .map(|record| std::mem::take(&mut record.stay));
        if let (true, Some(stay)) = (used, stay) {
            let stay = f32::from(stay.max(1));
            self.touches_of_a_stay += (stay - self.touches_of_a_stay) / 256.0;
            let zone = self.zones.entry(page >> ZONE_SHIFT);
            zone.touches_of_a_stay = if zone.touches_of_a_stay == 0.0 {
                stay
            } else {
                zone.touches_of_a_stay + (stay - zone.touches_of_a_stay) / 8.0
            };
        }
        if let Some(zone) = self.zones.get_mut(page >> ZONE_SHIFT) {
            zone.touched &= !(1 << (page & 63));
        }
    }
}
