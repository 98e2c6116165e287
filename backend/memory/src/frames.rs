// SPDX-License-Identifier: MIT OR Apache-2.0
//! The allocator of visible frames: a binary buddy system (Knuth, The Art of
//! Computer Programming vol. 1, §2.5), because windows are powers of two and
//! any free frame must stay usable.

use crate::{Frame, Frames};

const NONE: u32 = u32::MAX;
/// Marks a frame that is not the head of a free block.
const NOT_FREE: u8 = u8::MAX;

#[derive(Clone, Copy)]
struct Link {
    next: u32,
    previous: u32,
    /// log2 of the free block that starts here, or [`NOT_FREE`].
    order: u8,
}

/// Blocks of 2^order frames, each aligned to its size.
pub(crate) struct BuddyFrames {
    links: Vec<Link>,
    heads: Vec<u32>,
    free: u32,
}

impl BuddyFrames {
    /// An allocator of the frames `first..first + count`; the frames below
    /// `first` are never given out. Blocks have at most 2^`max_order` frames.
    pub fn new(first: Frame, count: Frames, max_order: u8) -> Self {
        let end = first.0 + count.0;
        let mut frames = BuddyFrames {
            links: vec![
                Link {
                    next: NONE,
                    previous: NONE,
                    order: NOT_FREE
                };
                end as usize
            ],
            heads: vec![NONE; usize::from(max_order) + 1],
            free: 0,
        };
        // Highest first, so that the lists start with the lowest blocks.
        let mut at = end;
        while at > first.0 {
            let order = (at.trailing_zeros() as u8)
                .min(max_order)
                .min((at - first.0).ilog2() as u8);
            at -= 1 << order;
            frames.push(at, order);
        }
        frames
    }

    /// Frames that are free.
    pub fn free_frames(&self) -> Frames {
        Frames(self.free)
    }

    /// log2 of the largest free block, `None` when nothing is free.
    pub fn largest_order(&self) -> Option<u8> {
        self.heads
            .iter()
            .rposition(|&head| head != NONE)
            .map(|order| order as u8)
    }

    /// Takes a block of 2^`order` frames.
    pub fn allocate(&mut self, order: u8) -> Option<Frame> {
        let found = (usize::from(order)..self.heads.len()).find(|&o| self.heads[o] != NONE)? as u8;
        let block = self.heads[usize::from(found)];
        self.unlink(block);
        for split in (order..found).rev() {
            self.push(block + (1 << split), split);
        }
        Some(Frame(block))
    }

    /// Gives back a block that [`BuddyFrames::allocate`] returned for `order`.
    pub fn release(&mut self, block: Frame, order: u8) {
        let (mut block, mut order) = (block.0, order);
        while usize::from(order) + 1 < self.heads.len() {
            let buddy = block ^ (1 << order);
            match self.links.get(buddy as usize) {
                Some(link) if link.order == order => self.unlink(buddy),
                _ => break,
            }
            block &= !(1 << order);
            order += 1;
        }
        self.push(block, order);
    }

    fn push(&mut self, block: u32, order: u8) {
        let next = self.heads[usize::from(order)];
        if next != NONE {
            self.links[next as usize].previous = block;
        }
        self.links[block as usize] = Link {
            next,
            previous: NONE,
            order,
        };
        self.heads[usize::from(order)] = block;
        self.free += 1 << order;
    }

    fn unlink(&mut self, block: u32) {
        let Link {
            next,
            previous,
            order,
        } = self.links[block as usize];
        if previous == NONE {
            self.heads[usize::from(order)] = next;
        } else {
            self.links[previous as usize].next = next;
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        self.links[block as usize].order = NOT_FREE;
        self.free -= 1 << order;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Blocks never overlap, are aligned, lie in range, and all frames come back.
        #[test]
        fn blocks_are_disjoint_and_nothing_is_lost(
            first in 0u32..5,
            count in 1u32..300,
            steps in prop::collection::vec((0u8..5, any::<prop::sample::Index>(), any::<bool>()), 1..200),
        ) {
            let mut frames = BuddyFrames::new(Frame(first), Frames(count), 4);
            let mut held: Vec<(Frame, u8)> = Vec::new();
            let mut used = vec![false; (first + count) as usize];
            for (order, index, release) in steps {
                if release && !held.is_empty() {
                    let (block, order) = held.swap_remove(index.index(held.len()));
                    for frame in block.0..block.0 + (1 << order) {
                        used[frame as usize] = false;
                    }
                    frames.release(block, order);
                } else if let Some(block) = frames.allocate(order) {
                    prop_assert_eq!(block.0 % (1 << order), 0);
                    prop_assert!(block.0 >= first);
                    for frame in block.0..block.0 + (1 << order) {
                        prop_assert!(!std::mem::replace(&mut used[frame as usize], true));
                    }
                    held.push((block, order));
                } else {
                    prop_assert!(frames.largest_order().is_none_or(|largest| largest < order));
                }
                let taken = used.iter().filter(|&&u| u).count() as u32;
                prop_assert_eq!(frames.free_frames(), Frames(count - taken));
            }
            for (block, order) in held.drain(..) {
                frames.release(block, order);
            }
            prop_assert_eq!(frames.free_frames(), Frames(count));
        }
    }
}
