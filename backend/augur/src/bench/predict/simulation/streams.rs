// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs: streams that touch pages one after another and wait for those that
//! are not visible.

use std::cmp::Reverse;

use anyhow::bail;
use augur_memory::{MemoryError, Nanos, WindowState};
use augur_predictor::{Observation, Origin, Stream};

use super::{Cursor, Observe, Probe, Simulation, Waiter};
use crate::bench::predict::policy::Aperture;
use crate::bench::predict::workload::PAGE_STEP;

impl<P: Probe> Simulation<'_, P> {
    pub(super) fn touch(&mut self) -> anyhow::Result<()> {
        let Some(Reverse((now, cursor))) = self.ready.pop() else {
            return Ok(());
        };
        let stream = &self.workload.streams[cursor.stream as usize];
        let access = stream.accesses[cursor.access as usize];
        let number = self.workload.touches[(access.first_touch + cursor.touch) as usize];
        let page = self.workload.pages[number as usize];
        let (context, at) = self.locate(page);
        self.outcome.touches += 1;
        self.policy.passing(number);
        let waiter = |extra| Waiter {
            cursor,
            since: now,
            extra,
            write: access.write,
        };
        let origin = match self.manager.lookup(context, at) {
            Some((window, WindowState::Live)) => {
                let slot = &mut self.slots[window.slot.0 as usize];
                let first = slot.ahead && !slot.touched;
                let refault = std::mem::take(&mut slot.watched);
                slot.touched = true;
                slot.dirty |= access.write;
                self.outcome.used += u64::from(first);
                self.policy
                    .retell(self.manager.replacement(), window.slot, number);
                let stall = if first || refault {
                    self.costs.first_touch
                } else {
                    Nanos(0)
                };
                let reported = first && self.observe != Observe::Faults;
                if reported || refault || self.observe == Observe::All {
                    self.manager.touch(window, now);
                }
                self.resume(cursor, now, now + stall);
                match (first, refault) {
                    (true, _) => Some(Origin::FirstTouch),
                    (false, true) => Some(Origin::Touch),
                    (false, false) => None,
                }
            }
            found => {
                let coming_ahead = match found {
                    Some((window, WindowState::Filling)) => {
                        let slot = &mut self.slots[window.slot.0 as usize];
                        let ahead = slot.ahead;
                        self.outcome.used += u64::from(ahead && !slot.touched);
                        slot.touched = true;
                        self.link.promote(window);
                        ahead
                    }
                    _ => false,
                };
                let extra = if coming_ahead {
                    self.outcome.late += 1;
                    self.costs.first_touch
                } else {
                    self.outcome.faults += 1;
                    self.costs.fault
                };
                self.waiters
                    .entry((context, at))
                    .or_default()
                    .push(waiter(extra));
                self.demanding = true;
                match self.manager.fault(context, at.address(), now) {
                    Ok(_) => {}
                    Err(MemoryError::Busy) => bail!("more than 256 streams wait at one time"),
                    Err(error) => return Err(error.into()),
                }
                self.drain(now);
                self.demanding = false;
                Some(if coming_ahead {
                    Origin::FirstTouch
                } else {
                    Origin::Fault
                })
            }
        };
        let seen = match (self.observe, origin) {
            (Observe::Faults, Some(Origin::FirstTouch)) => None,
            (Observe::All, None) => Some(Origin::Touch),
            _ => origin,
        };
        if let Some(origin) = seen {
            let observation = Observation {
                stream: Stream {
                    context,
                    queue: cursor.stream,
                },
                page: at,
                origin,
                write: access.write,
                time: now,
            };
            let mut wanted = self.policy.take_buffer();
            let aperture = Aperture {
                manager: &self.manager,
                link: &self.link,
            };
            self.policy.observe(&observation, &aperture, &mut wanted);
            self.policy.classify(&mut self.manager, context, at);
            self.policy.keep(&mut self.manager, context, now);
            for &page in &wanted {
                self.prefetch(context, page, now, None);
            }
            self.policy.give_buffer(wanted);
        }
        self.prefetch_in_order_of_use(now);
        self.probe.touch(now, page, origin, Nanos(0));
        Ok(())
    }

    /// The stream goes on after a touch that ended at `end`.
    pub(super) fn resume(&mut self, cursor: Cursor, since: Nanos, end: Nanos) {
        self.outcome.stall += end - since;
        self.probe.ended(end - since);
        let accesses = &self.workload.streams[cursor.stream as usize].accesses;
        let current = &accesses[cursor.access as usize];
        let next = if cursor.touch + 1 < current.touches {
            Some((
                end + PAGE_STEP,
                Cursor {
                    touch: cursor.touch + 1,
                    ..cursor
                },
            ))
        } else {
            accesses.get(cursor.access as usize + 1).map(|access| {
                (
                    end + access.gap,
                    Cursor {
                        access: cursor.access + 1,
                        touch: 0,
                        ..cursor
                    },
                )
            })
        };
        self.ready.extend(next.map(Reverse));
    }
}
