// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who waits for an instruction, as a recording names it: without sequences, and
//! so that the end of an instruction finds it in few cache lines.

use crate::graph::Sequence;

/// An instruction that waits, by how far it lies behind a base, and whether it
/// reads what is waited for.  Those that wait for the same lie one behind the
/// other, the latest first.
#[derive(Clone, Copy, Debug)]
pub struct Follower(u32);

impl Follower {
    /// A follower that is not the last of its run.
    pub fn new(behind: u32, reads: bool) -> Self {
        Self(behind << 2 | u32::from(reads))
    }

    /// The same as the last of its run.
    pub fn last(self) -> Self {
        Self(self.0 | 2)
    }

    pub fn behind(self) -> usize {
        (self.0 >> 2) as usize
    }

    #[inline]
    pub fn after(self, base: Sequence) -> Sequence {
        base + u64::from(self.0 >> 2)
    }

    pub fn reads(self) -> bool {
        self.0 & 1 != 0
    }

    pub fn is_last(self) -> bool {
        self.0 & 2 != 0
    }
}

/// Who of its own list waits for an instruction, in one word that lies with the
/// instruction: most have one follower at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside(u32);

/// [`Inside`] in its parts.
pub enum Followers {
    Nobody,
    One(Follower),
    /// The run that begins at this place of the recording.
    Run(usize),
}

impl Inside {
    pub const NOBODY: Self = Self(0);

    /// One that lies behind, which is never at distance 0.
    pub fn one(only: Follower) -> Self {
        Self(only.0 & !2)
    }

    pub fn run(start: u32) -> Self {
        Self(start << 2 | 2)
    }

    #[inline]
    pub fn followers(self) -> Followers {
        if self == Self::NOBODY {
            Followers::Nobody
        } else if self.0 & 2 == 0 {
            Followers::One(Follower(self.0))
        } else {
            Followers::Run((self.0 >> 2) as usize)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followers_are_found_as_they_were_put_in() {
        let reader = Follower::new(7, true).last();
        assert!(reader.reads() && reader.is_last());
        assert_eq!((reader.behind(), reader.after(100)), (7, 107));
        assert!(!Follower::new(1, false).is_last());
        assert!(matches!(Inside::NOBODY.followers(), Followers::Nobody));
        let only = Inside::one(reader).followers();
        assert!(matches!(only, Followers::One(it) if it.behind() == 7 && it.reads()));
        for start in [0, 1 << 20] {
            let run = Inside::run(start as u32).followers();
            assert!(matches!(run, Followers::Run(at) if at == start));
        }
    }
}
