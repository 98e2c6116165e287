// SPDX-License-Identifier: MIT OR Apache-2.0
//! The carrying out of the memory manager's decisions: who does which, and the moves
//! between home and visible frames. No lock is held while bytes move.

use std::sync::MutexGuard;

use augur_abi::Status;
use augur_memory::{Action, FillPriority, Frames, PhysicalOffset, Piece, WindowRef};

use crate::dma::DmaJob;
use crate::header;
use crate::shared::{Core, Shared};

/// What is done by the thread that finds it is to be done.
enum Urgent {
    Fill(WindowRef, Vec<Piece>),
    WriteHome(WindowRef, Vec<Piece>),
}

impl Shared {
    /// Hands the memory manager's decisions to whoever carries them out and
    /// releases the lock. Demand fills, and writes home that a fault waits for, are
    /// done here, by the caller: a thread switch costs as much as the copy.
    pub fn carry_out<'a>(&'a self, core: MutexGuard<'a, Core>) {
        if self.carry_out_untold(core) {
            self.host.events_pending();
        }
    }

    /// As [`Shared::carry_out`], but leaves it to the caller to tell the host that
    /// events wait; answers whether any were added.
    pub fn carry_out_untold<'a>(&'a self, mut core: MutexGuard<'a, Core>) -> bool {
        let mut told = false;
        loop {
            let urgent = self.distribute(&mut core, &mut told);
            self.tell_waiting();
            drop(core);
            if urgent.is_empty() {
                break;
            }
            for job in urgent {
                match job {
                    Urgent::Fill(window, pieces) => {
                        self.fill(&pieces);
                        let now = self.guest_time();
                        self.core().manager.filled(window, now);
                    }
                    Urgent::WriteHome(window, pieces) => {
                        self.write_home(&pieces);
                        let now = self.guest_time();
                        self.core().manager.written_home(window, now);
                    }
                }
            }
            core = self.core();
        }
        told
    }

    /// Sorts actions to events and channels; answers what a program waits for.
    fn distribute(&self, core: &mut Core, told: &mut bool) -> Vec<Urgent> {
        let mut urgent = Vec::new();
        let Some(mut action) = core.manager.next_action() else {
            return urgent;
        };
        let now = self.now();
        let resyncs = core.events.resyncs;
        self.dma.line_up(|| self.dispatch.take_transfer(0, now));
        let by_urgency = !self.dma.in_order_of_arrival();
        loop {
            match action {
                Action::Fill {
                    window,
                    priority: FillPriority::Demand,
                    pieces,
                    ..
                } if by_urgency => {
                    urgent.push(Urgent::Fill(window, pieces));
                }
                Action::Fill { window, pieces, .. } => {
                    self.dma.push(DmaJob::Fill {
                        window,
                        pieces,
                        done: 0,
                    });
                }
                Action::WriteHome { window, pieces, .. } => {
                    if by_urgency && core.manager.faults_wait() {
                        urgent.push(Urgent::WriteHome(window, pieces));
                    } else {
                        self.dma.push(DmaJob::WriteHome { window, pieces });
                    }
                }
                Action::Scrub(run) => self.dma.push(DmaJob::Scrub {
                    run,
                    done: Frames(0),
                }),
                Action::Relocate { relocation, copies } => {
                    self.dma.push(DmaJob::Relocate { relocation, copies });
                }
                Action::Publish(window) => {
                    core.events.map(&window, now);
                    *told = true;
                }
                Action::Revoke(window) => {
                    core.events.revoke(&window, now);
                    *told = true;
                }
                Action::Gone(report) => self.prediction.gone(&report),
                Action::FaultFailed {
                    context,
                    page,
                    error,
                } => {
                    core.events.fault_failed(context, page, error, now);
                    *told = true;
                }
                Action::ContextFailed(context) => {
                    log::warn!("{context} did not acknowledge a revoke in time and has failed");
                    core.events
                        .context_failed(context, Status::ContextFailed, now);
                    if let Some(info) = core.contexts.get(&context) {
                        info.cancelled.end();
                    }
                    *told = true;
                }
            }
            match core.manager.next_action() {
                Some(next) => action = next,
                None => break,
            }
        }
        // A driver that waits for a buffer to be used may wait in vain.
        if core.events.resyncs != resyncs {
            header::state(&self.memory, core.state, core.events.resyncs);
        }
        urgent
    }

    /// Moves a window's bytes into its visible frames.
    pub fn fill(&self, pieces: &[Piece]) {
        for piece in pieces {
            match piece.home {
                Some(home) => self.memory.copy(home, piece.visible, piece.bytes),
                None => self.memory.zero(piece.visible, piece.bytes),
            }
        }
    }

    /// Moves a window's bytes back home.
    pub fn write_home(&self, pieces: &[Piece]) {
        for piece in pieces {
            if let Some(home) = piece.home {
                self.memory.copy(piece.visible, home, piece.bytes);
            }
        }
    }

    /// Moves at most `count` bytes of a window, from byte `done` of its pieces on.
    pub fn fill_part(&self, pieces: &[Piece], mut done: u64, mut count: u64) {
        for piece in pieces {
            if done >= piece.bytes {
                done -= piece.bytes;
                continue;
            }
            let bytes = (piece.bytes - done).min(count);
            self.fill(&[Piece {
                home: piece.home.map(|home| PhysicalOffset(home.0 + done)),
                visible: PhysicalOffset(piece.visible.0 + done),
                bytes,
            }]);
            count -= bytes;
            if count == 0 {
                break;
            }
            done = 0;
        }
    }

    /// Does the fill of a window that was predicted and is touched before its turn:
    /// here, by the caller, unless a channel is at it.
    pub fn finish_fill(&self, window: WindowRef) {
        if let Some((pieces, done)) = self.dma.take_fill(window) {
            self.fill_part(&pieces, done, u64::MAX);
            let mut core = self.core();
            core.manager.filled(window, self.guest_time());
            self.carry_out(core);
        }
    }
}
