// SPDX-License-Identifier: MIT OR Apache-2.0
//! Moves over the link: what brings data to the card first, then what takes
//! results home.

use std::cmp::Reverse;

use super::atoms::Atom;
use super::{Event, Simulation, Transfer};
use crate::clock::Nanos;

impl Simulation<'_> {
    /// Uses the link: fills first, then what goes home.
    pub(super) fn move_next(&mut self, now: Nanos) {
        while self.link.next_slot() <= now {
            let mut fill = Vec::new();
            let mut bytes = 0;
            let enough = self.setup.profile.move_bytes / self.setup.profile.moves_in_flight as u64;
            while bytes < enough
                && let Some(atom) = self.planner.next()
            {
                self.planner.asked(&self.atoms, atom);
                bytes += self.atoms.bytes(atom);
                fill.push(atom);
            }
            if bytes > 0 {
                let end = self.transfer(bytes, 0, now);
                self.events
                    .push(Reverse((end, Event::Moved(self.fills.len()))));
                self.fills.push(fill);
                continue;
            }
            let complete =
                self.next == self.program.list.len() && !self.scheduler.is_analysing(self.context);
            let homeward = self.visible.homeward(
                &self.atoms,
                self.next as u32,
                complete,
                self.setup.profile.move_bytes,
            );
            if homeward.is_empty() {
                return;
            }
            self.write_home(&homeward, now);
        }
    }

    pub(super) fn write_home(&mut self, atoms: &[Atom], now: Nanos) {
        let bytes: u64 = atoms.iter().map(|&atom| self.atoms.bytes(atom)).sum();
        if bytes > 0 {
            let end = self.transfer(0, bytes, now);
            self.events
                .push(Reverse((end, Event::Moved(self.fills.len()))));
            self.fills.push(Vec::new());
        }
    }

    /// Lets those go on that have waited for a fill.
    pub(super) fn arrive(&mut self, fill: usize, now: Nanos) {
        let arrived = self.fills.get_mut(fill).map(std::mem::take);
        for atom in arrived.unwrap_or_default() {
            self.visible.arrived(atom);
            self.planner.arrived(atom);
            let waiting = self.waiting.get_mut(atom as usize).map(std::mem::take);
            for instruction in waiting.unwrap_or_default() {
                let instruction = instruction as usize;
                let batch = self
                    .batches
                    .partition_point(|&(first, _)| first <= instruction);
                if let Some(&(first, list)) = self.batches.get(batch.wrapping_sub(1)) {
                    self.scheduler.lift(list, (instruction - first) as u32, now);
                }
            }
        }
    }

    /// Puts one move on the link and returns when it is over.
    fn transfer(&mut self, filled: u64, drained: u64, now: Nanos) -> Nanos {
        let end = self.link.transfer(now, filled + drained);
        self.run.moves += 1;
        self.run.transfers.push(Transfer {
            filled,
            drained,
            asked: now,
            end,
        });
        end
    }
}
