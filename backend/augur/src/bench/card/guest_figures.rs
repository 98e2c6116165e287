// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guest's `augur-bench --json` says, and the figures it makes.

use std::time::Duration;

use serde::Deserialize;

use super::figures::{Aim, Figures, Unit, gigabytes, microseconds, ratio};
use super::memory_copy::{Course, MemoryCopy};
use crate::size::Size;

/// Transfers at least this large are held against `memcpy`.
const LARGE: u64 = 1 << 20;

/// The guest's figures of one repeat.
#[derive(Debug, Deserialize)]
pub struct GuestFigures {
    latency: Latency,
    transfers: Vec<Transfer>,
    faults: Vec<Fault>,
    aperture: Aperture,
    peer: Vec<PeerRead>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Quantiles {
    median_ns: u64,
    p99_ns: u64,
}

#[derive(Debug, Deserialize)]
struct Latency {
    driver_polling: Option<Quantiles>,
    /// One kind of call again and again.
    alone: Calls,
    /// One call of each kind in turn.
    by_turns: Calls,
    list_in_card: Quantiles,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Calls {
    control: Quantiles,
    list: Quantiles,
    list_polling: Quantiles,
}

#[derive(Debug, Deserialize)]
struct Transfer {
    direction: String,
    bytes: u64,
    /// Other bytes each time, which no cache holds.
    walks: bool,
    /// Transfers of a list; the time is the list's.
    in_a_list: u64,
    /// Where the program's memory begins behind the start of a page: zero in huge pages,
    /// otherwise where `malloc` has it.
    behind_a_page: u64,
    guest_bytes_per_second: u64,
    card_bytes_per_second: u64,
}

impl Transfer {
    /// Whether it is one of whole pages, the same again and again.
    fn is_plain(&self) -> bool {
        !self.walks && self.in_a_list == 1 && self.behind_a_page == 0
    }

    /// Time from the end of one in the card to the start of the next.
    fn rest(&self) -> Duration {
        let seconds = |bytes_per_second: u64| ratio(self.bytes as f64, bytes_per_second as f64);
        let rest = seconds(self.guest_bytes_per_second) - seconds(self.card_bytes_per_second);
        Duration::try_from_secs_f64(rest).unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
struct Fault {
    kind: String,
    guest: Quantiles,
    mean_in_guest_ns: u64,
    mean_in_card_ns: u64,
}

#[derive(Debug, Deserialize)]
struct Aperture {
    aperture_read_bytes_per_second: u64,
    aperture_write_bytes_per_second: u64,
    memory_read_bytes_per_second: u64,
    memory_write_bytes_per_second: u64,
}

#[derive(Debug, Deserialize)]
struct PeerRead {
    bytes: u64,
    /// The memory of both, which otherwise is as `malloc` gives it.
    in_huge_pages: bool,
    guest: Quantiles,
    guest_bytes_per_second: u64,
    /// Transfers of the card by turns with the reads.
    card: Quantiles,
    card_bytes_per_second: u64,
}

impl GuestFigures {
    /// Adds them to `figures`, transfers beside `memcpy` on the host now.
    pub fn record(&self, copy: &MemoryCopy, figures: &mut Figures) {
        self.record_latency(figures);
        self.record_transfers(copy, figures);
        self.record_peer(figures);
        self.record_faults(figures);
        self.record_aperture(figures);
    }

    fn record_latency(&self, figures: &mut Figures) {
        let Latency {
            driver_polling,
            alone,
            by_turns,
            list_in_card,
        } = self.latency;
        // The aims are what a bare virtqueue's round trip cost.
        let (interrupt, polling) = (Some(Aim::AtMost(36.0)), Some(Aim::AtMost(7.9)));
        for (name, quantiles, aim) in [
            ("driver, polling", driver_polling, polling),
            ("program, control request", Some(alone.control), interrupt),
            ("program, list of one command", Some(alone.list), interrupt),
            ("program, list, polling", Some(alone.list_polling), polling),
            (
                "by turns, control request",
                Some(by_turns.control),
                interrupt,
            ),
            (
                "by turns, list of one command",
                Some(by_turns.list),
                interrupt,
            ),
            (
                "by turns, list, polling",
                Some(by_turns.list_polling),
                polling,
            ),
            (
                "a list's command, by the card's clock",
                Some(list_in_card),
                None,
            ),
        ] {
            let Some(quantiles) = quantiles else {
                continue;
            };
            let group = "round trip";
            let (median, p99) = (quantiles.median_ns, quantiles.p99_ns);
            figures.add(group, name, Unit::Microseconds, aim, microseconds(median));
            let tail = format!("{name}, p99");
            figures.add(group, tail, Unit::Microseconds, None, microseconds(p99));
        }
    }

    fn record_transfers(&self, copy: &MemoryCopy, figures: &mut Figures) {
        for transfer in &self.transfers {
            let group = "DMA";
            let (size, direction) = (Size(transfer.bytes), &transfer.direction);
            let walks = if transfer.walks { ", walking" } else { "" };
            let several = match transfer.in_a_list {
                1 => String::new(),
                count => format!(", {count} in a list"),
            };
            let memory = match transfer.behind_a_page {
                0 => "",
                _ => ", malloc's memory",
            };
            let name = |what: &str| format!("{size} {direction}{walks}{several}{memory}, {what}");
            let guest = transfer.guest_bytes_per_second;
            let card = gigabytes(transfer.card_bytes_per_second);
            let unit = Unit::GigabytesPerSecond;
            figures.add(group, name("guest"), unit, None, gigabytes(guest));
            figures.add(group, name("card"), unit, None, card);
            let course = if transfer.walks {
                Course::Walks
            } else {
                Course::Again
            };
            let behind = if direction == "to card" {
                (transfer.behind_a_page, 0)
            } else {
                (0, transfer.behind_a_page)
            };
            let memcpy = copy.bytes_per_second(transfer.bytes, course, behind) * 1e-9;
            figures.add(group, name("memcpy on the host"), unit, None, memcpy);
            let aim = (transfer.bytes >= LARGE).then_some(Aim::AtLeast(0.9));
            let against = ratio(card, memcpy);
            figures.add(group, name("card / memcpy"), Unit::Ratio, aim, against);
            if aim.is_some() && transfer.is_plain() {
                let course = Course::Rests(transfer.rest());
                let rested = copy.bytes_per_second(transfer.bytes, course, behind) * 1e-9;
                let against = ratio(card, rested);
                let name = name("card / memcpy that sleeps as long between");
                figures.add(group, name, Unit::Ratio, None, against);
            }
        }
    }

    fn record_peer(&self, figures: &mut Figures) {
        for peer in &self.peer {
            let group = "peer (vhost-user-blk)";
            let size = Size(peer.bytes);
            let memory = if peer.in_huge_pages {
                ""
            } else {
                ", malloc's memory"
            };
            let name = |what: &str| format!("{size}{memory}, {what}");
            let (guest, unit) = (peer.guest, Unit::Microseconds);
            let (median, p99) = (microseconds(guest.median_ns), microseconds(guest.p99_ns));
            figures.add(group, name("read"), unit, None, median);
            figures.add(group, name("read, p99"), unit, None, p99);
            let speed = gigabytes(peer.guest_bytes_per_second);
            let unit = Unit::GigabytesPerSecond;
            figures.add(group, name("read, bytes"), unit, None, speed);
            let time = ratio(peer.card.median_ns as f64, guest.median_ns as f64);
            let small = (peer.bytes == 4 << 10).then_some(Aim::AtMost(0.5));
            let against = name("time of the card / of the peer");
            figures.add(group, against, Unit::Ratio, small, time);
            let speed = ratio(gigabytes(peer.card_bytes_per_second), speed);
            let large = (peer.bytes == 4 << 20).then_some(Aim::AtLeast(1.5));
            let against = name("bandwidth of the card / of the peer");
            figures.add(group, against, Unit::Ratio, large, speed);
        }
    }

    fn record_faults(&self, figures: &mut Figures) {
        for fault in &self.faults {
            let (group, unit) = ("demand fault, in the guest", Unit::Microseconds);
            let Quantiles { median_ns, p99_ns } = fault.guest;
            let kind = &fault.kind;
            figures.add(group, kind, unit, None, microseconds(median_ns));
            figures.add(
                group,
                format!("{kind}, p99"),
                unit,
                None,
                microseconds(p99_ns),
            );
            for (name, nanos) in [
                ("mean", fault.mean_in_guest_ns),
                ("of it in the card (mean)", fault.mean_in_card_ns),
            ] {
                let name = format!("{kind}, {name}");
                figures.add(group, name, unit, None, microseconds(nanos));
            }
        }
    }

    fn record_aperture(&self, figures: &mut Figures) {
        let aperture = &self.aperture;
        for (name, mapped, own) in [
            (
                "read",
                aperture.aperture_read_bytes_per_second,
                aperture.memory_read_bytes_per_second,
            ),
            (
                "written",
                aperture.aperture_write_bytes_per_second,
                aperture.memory_write_bytes_per_second,
            ),
        ] {
            let (group, unit) = ("aperture", Unit::GigabytesPerSecond);
            let (mapped, own) = (gigabytes(mapped), gigabytes(own));
            figures.add(group, format!("windows, {name}"), unit, None, mapped);
            figures.add(
                group,
                format!("guest's own memory, {name}"),
                unit,
                None,
                own,
            );
            let (name, aim) = (format!("{name}, windows / own"), Some(Aim::AtLeast(0.9)));
            figures.add(group, name, Unit::Ratio, aim, ratio(mapped, own));
        }
    }
}
