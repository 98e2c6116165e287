// SPDX-License-Identifier: MIT OR Apache-2.0
//! The arm that falls back to doing little when predictions hurt.
//!
//! Beside the predictor run ghosts of the aperture: demand alone, and demand with a few
//! next pages, each with the least recently used page as victim. What programs would
//! have waited with them is compared, about a turnover at a time, with what they did
//! wait, at the same prices. Where they waited more than twice as long, two windows in a
//! row, the policy of the best ghost takes over for some windows; then all that the
//! predictor expects is mapped again, and soon compared. Each relapse doubles the time
//! until then, each window that goes well halves it.
//!
//! A ghost is not the truth: with its policy programs would come to their pages at other
//! times, and it sees only what the card learns of. So an arm that makes programs wait
//! no less than they did before is let go at once, and barred for a while, each time for
//! twice as long. And programs change: as soon as they have waited longer in a window with
//! an arm than in those together that brought it in, all is tried again.
//!
//! All contexts share the aperture and what it holds; so they share this.

use augur_memory::Nanos;

use crate::Origin;
use crate::ghost::{Ghost, Price};
use crate::table::mix;

/// What the arms map: nothing, and so many pages after the one touched. Four in a third
/// arm brought nothing more, and half of the cost.
const ARMS: [u64; 2] = [0, 2];
/// Frames of a ghost, at most. Of larger apertures a sample of the pages is watched,
/// with as many of the frames (SHARDS, Waldspurger et al., FAST '15).
const FRAMES: u32 = 8192;
/// log2 of the pages that are sampled together.
const ZONE_SHIFT: u32 = 4;
/// Pages that come in a window at least, or chance would decide.
const WINDOW: u32 = 128;
/// The window in which predictions are tried again is one of so many parts of others.
const TRIAL: u32 = 4;
/// Predictions hurt when programs wait more than this many times what they would with
/// an arm.
const WORSE: f32 = 2.0;
/// Windows in a row in which predictions hurt, until an arm takes over.
const CONFIRMED: u32 = 2;
/// Faults that are chance.
const CHANCE: f32 = 0.5;
/// With fewer faults in a window nothing is said of how well others do.
const LITTLE: f32 = 2.0;
/// An arm is a success when programs wait less than this part of what they waited before.
const SUCCESS: f32 = 0.7;
/// How fast what they wait while predictions are believed is followed.
const RATE: f32 = 0.25;
/// Windows until all is tried again.
const SPAN: (u32, u32) = (8, 64);
/// Windows that an arm is barred for when it did not keep what its ghost promised.
const BAR: (u32, u32) = (16, 1024);

/// What is in charge of mapping ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charge {
    /// The predictor.
    All,
    /// The predictor, again, after this arm.
    Trial(usize),
    /// An arm.
    Arm(usize),
}

/// Compares, and chooses what is in charge.
#[derive(Debug)]
pub struct Bandit {
    ghosts: [Ghost; ARMS.len()],
    charge: Charge,
    /// Zones whose hash has any of these bits are not watched.
    unwatched: u64,
    /// Pages that come in a window.
    window: u32,
    /// What programs waited in the window at hand, and would have with each ghost.
    waited: f32,
    would_wait: [f32; ARMS.len()],
    /// Pages that came in it, and that had come to the ghost of `nothing` before.
    came: f32,
    came_before: u32,
    /// What they waited, and would have with nothing, while predictions were believed.
    before: (f32, f32),
    /// Windows that each arm is barred for, and those of the next time.
    barred: [u32; ARMS.len()],
    bar: [u32; ARMS.len()],
    /// Windows in a row in which predictions hurt, and what programs waited in them.
    hurt: u32,
    hurting: f32,
    /// What they may wait in a window with an arm.
    limit: f32,
    /// Windows that the arm was in charge, and that it stays.
    served: u32,
    left: u32,
    span: u32,
    falls: [u64; ARMS.len()],
}

impl Bandit {
    /// For an aperture of so many frames; nothing is known.
    pub fn new(frames: u32) -> Self {
        let shift = frames.div_ceil(FRAMES).next_power_of_two().ilog2();
        let frames = frames >> shift;
        Self {
            ghosts: ARMS.map(|neighbours| Ghost::new(frames, neighbours)),
            charge: Charge::All,
            unwatched: (1 << shift) - 1,
            window: frames.max(WINDOW),
            waited: 0.0,
            would_wait: [0.0; ARMS.len()],
            came: 0.0,
            came_before: 0,
            before: (0.0, 0.0),
            barred: [0; ARMS.len()],
            bar: [BAR.0; ARMS.len()],
            hurt: 0,
            hurting: 0.0,
            limit: 0.0,
            served: 0,
            left: 0,
            span: SPAN.0,
            falls: [0; ARMS.len()],
        }
    }

    /// How many pages are mapped after the one touched, whatever is predicted; `None`
    /// while predictions are believed.
    pub fn neighbours(&self) -> Option<u64> {
        match self.charge {
            Charge::Arm(arm) => ARMS.get(arm).copied(),
            Charge::All | Charge::Trial(_) => None,
        }
    }

    /// How often it fell back to mapping nothing, and to mapping neighbours.
    pub fn falls(&self) -> (u64, u64) {
        let [nothing, neighbours @ ..] = self.falls;
        (nothing, neighbours.iter().sum())
    }

    /// A page was touched.
    pub fn touched(&mut self, page: u64, origin: Origin, now: Nanos, price: &Price) {
        let unwatched = self.unwatched;
        let is_watched = |page: u64| unwatched == 0 || mix(page >> ZONE_SHIFT) & unwatched == 0;
        if origin != Origin::Touch && is_watched(page) {
            if origin == Origin::Fault {
                self.waited += price.fault + price.moved;
                self.came += 1.0;
            } else {
                self.waited += price.first_touch;
            }
        }
        for (ghost, wait) in self.ghosts.iter_mut().zip(&mut self.would_wait) {
            *wait += ghost.touched(page, now, price, is_watched);
        }
        let parts = match self.charge {
            Charge::Trial(_) => TRIAL,
            Charge::All | Charge::Arm(_) => 1,
        };
        // A turnover of what there is, or of what demand alone would bring: one that maps
        // much in vain is over before it says anything of the others.
        let demanded = self.demanded().wrapping_sub(self.came_before);
        let is_over = demanded.max(self.came as u32) >= self.window / parts;
        if is_over || self.exceeds_limit() {
            self.close(price);
        }
    }

    /// So many pages were mapped ahead.
    pub fn moved(&mut self, pages: u32, price: &Price) {
        let watched = pages as f32 / (self.unwatched + 1) as f32;
        self.waited += watched * price.moved;
        self.came += watched;
    }

    /// Pages that have come to the ghost of `nothing`.
    fn demanded(&self) -> u32 {
        let [nothing, ..] = &self.ghosts;
        nothing.came()
    }

    /// Whether an arm makes programs wait longer than predictions did.
    fn exceeds_limit(&self) -> bool {
        matches!(self.charge, Charge::Arm(_)) && self.waited > self.limit
    }

    /// The window is over.
    fn close(&mut self, price: &Price) {
        let chance = CHANCE * price.fault;
        match self.charge {
            Charge::All => {
                let waits = self.would_wait.iter().zip(self.barred).enumerate();
                let open = waits.filter(|(_, (_, barred))| *barred == 0);
                let best = open.min_by(|(_, (one, _)), (_, (other, _))| one.total_cmp(other));
                self.judge(best.map(|(arm, _)| arm), chance);
            }
            Charge::Trial(arm) => self.judge(Some(arm), chance),
            Charge::Arm(arm) => self.serve(arm, price),
        }
        self.barred = self.barred.map(|windows| windows.saturating_sub(1));
        self.waited = 0.0;
        self.would_wait = [0.0; ARMS.len()];
        self.came = 0.0;
        self.came_before = self.demanded();
    }

    /// Predictions were believed for a window: as well as `rival`?
    fn judge(&mut self, rival: Option<usize>, chance: f32) {
        self.before.0 += self.waited - RATE * self.before.0;
        self.before.1 += self.would_wait[0] - RATE * self.before.1;
        match rival {
            Some(arm) if self.waited > WORSE * (self.would_wait[arm] + chance) => {
                self.hurt += 1;
                self.hurting += self.waited;
                if self.hurt >= CONFIRMED {
                    self.limit = self.hurting;
                }
                if self.hurt >= CONFIRMED || matches!(self.charge, Charge::Trial(_)) {
                    self.fall_back_to(arm);
                }
            }
            _ => {
                self.hurt = 0;
                self.hurting = 0.0;
                self.charge = Charge::All;
                self.span = (self.span / 2).max(SPAN.0);
            }
        }
    }

    fn fall_back_to(&mut self, arm: usize) {
        self.charge = Charge::Arm(arm);
        self.falls[arm] += 1;
        self.hurt = 0;
        self.hurting = 0.0;
        self.served = 0;
        self.left = self.span;
        self.span = (self.span * 2).min(SPAN.1);
    }

    /// An arm was in charge for a window.
    fn serve(&mut self, arm: usize, price: &Price) {
        let chance = CHANCE * price.fault;
        let is_over = self.exceeds_limit();
        self.served += 1;
        self.left = self.left.saturating_sub(1);
        self.charge = if self.left == 0 || is_over {
            Charge::Trial(arm)
        } else {
            Charge::Arm(arm)
        };
        // In its first one the aperture was still as it had found it.
        if self.served == 1 && !is_over {
            return;
        }
        let nothing = self.would_wait[0];
        let waited = self.waited - chance;
        // Windows are not equally long: what they wait is compared in parts of what they
        // would have with nothing mapped ahead, if that says anything.
        let before = (self.before.0 / self.before.1.max(chance)).min(WORSE) * nothing;
        let broken = if nothing > LITTLE * price.fault {
            waited > before
        } else {
            waited > WORSE * self.would_wait[arm]
        };
        if broken {
            self.barred[arm] = self.bar[arm];
            self.bar[arm] = (self.bar[arm] * 2).min(BAR.1);
            self.charge = Charge::All;
        } else if waited < SUCCESS * before {
            self.bar[arm] = (self.bar[arm] / 2).max(BAR.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    const PRICE: Price = Price {
        fault: 22_000.0,
        first_touch: 1_000.0,
        moved: 0.0,
        late: 0.0,
    };
    const FEW: u32 = 256;

    /// A program whose pages fit in the aperture, but for a new one now and then, and lie so
    /// far apart that no neighbour is one. While anything is mapped ahead, every other one
    /// has been pushed out. Answers how many touches predictions were believed at.
    fn pushed_out(bandit: &mut Bandit, touches: Range<u64>, keeps_promises: bool) -> usize {
        let mut believed = 0;
        for touch in touches {
            let alone = bandit.neighbours() == Some(0) && keeps_promises;
            let is_new = touch % 16 == 0;
            let hit = !is_new && (alone || touch % 2 == 0);
            let origin = if hit { Origin::Touch } else { Origin::Fault };
            if bandit.neighbours() != Some(0) {
                bandit.moved(2, &PRICE);
            }
            believed += usize::from(bandit.neighbours().is_none());
            let page = if is_new {
                1000 + touch
            } else {
                mix(touch) % 200
            };
            bandit.touched(page * 16, origin, Nanos(touch * 50_000), &PRICE);
        }
        believed
    }

    /// A program that uses new pages one after another, each of them foreseen.
    fn foreseen(bandit: &mut Bandit, touches: Range<u64>) {
        for touch in touches {
            let origin = match bandit.neighbours() {
                Some(0) => Origin::Fault,
                _ => Origin::FirstTouch,
            };
            if origin == Origin::FirstTouch {
                bandit.moved(1, &PRICE);
            }
            bandit.touched((1 << 30) + touch, origin, Nanos(touch * 50_000), &PRICE);
        }
    }

    #[test]
    fn predictions_that_push_out_what_is_in_use_give_way_and_come_back_when_they_pay() {
        let mut bandit = Bandit::new(FEW);
        let first = pushed_out(&mut bandit, 0..10_000, true);
        assert_eq!(bandit.neighbours(), Some(0));
        let later = pushed_out(&mut bandit, 10_000..200_000, true);
        let (nothing, neighbours) = bandit.falls();
        assert!(nothing >= 2 && neighbours == 0, "{nothing} {neighbours}");
        assert!(first > 0 && later * 20 < 190_000, "{first} {later}");
        foreseen(&mut bandit, 200_000..201_000);
        assert_eq!(bandit.neighbours(), None);
        foreseen(&mut bandit, 201_000..230_000);
        assert_eq!(bandit.falls(), (nothing, neighbours), "and it stays");
    }

    #[test]
    fn each_relapse_doubles_the_time_until_all_is_tried_again() {
        let mut bandit = Bandit::new(FEW);
        let mut spans = Vec::new();
        let mut touch = 0;
        while spans.len() < 5 && touch < 10_000_000 {
            let before = bandit.falls().0;
            pushed_out(&mut bandit, touch..touch + 1, true);
            touch += 1;
            if bandit.falls().0 > before {
                spans.push(bandit.left);
            }
        }
        assert_eq!(spans, [8, 16, 32, 64, 64]);
    }

    #[test]
    fn an_arm_that_does_not_keep_what_its_ghost_promised_is_let_go_and_seldom_tried() {
        let mut bandit = Bandit::new(FEW);
        let believed = pushed_out(&mut bandit, 0..400_000, false);
        let (nothing, _) = bandit.falls();
        assert!((2..=12).contains(&nothing), "{nothing}");
        assert!(believed > 380_000, "{believed}");
    }

    #[test]
    fn ghosts_are_bounded_and_a_sample_of_a_large_aperture_stands_for_all() {
        let mut bandit = Bandit::new(1 << 16);
        assert_eq!(bandit.unwatched + 1, 8);
        let mut whole = Ghost::new(1 << 16, 2);
        let (mut all, mut sampled) = (0.0_f64, 0.0);
        for touch in 0..400_000 {
            let (page, now) = (mix(touch) % (1 << 17), Nanos(touch * 50_000));
            all += f64::from(whole.touched(page, now, &PRICE, |_| true));
            let before = bandit.would_wait[1];
            bandit.touched(page, Origin::Touch, now, &PRICE);
            sampled += f64::from((bandit.would_wait[1] - before).max(0.0));
        }
        let share = sampled * 8.0 / all;
        assert!((0.75..1.25).contains(&share), "{share}");
        for ghost in &bandit.ghosts {
            assert!(ghost.frames() <= FRAMES as usize);
        }
    }
}
