// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was found last for an object, kept at hand.
//!
//! An instruction's operands lie in few objects, and so do those of the next:
//! a few bits of the object's address find what was found before.  It may be
//! another object's, or be over by now: who looks has to check.

use crate::list::Object;

/// Places; objects share them.
const PLACES: usize = 16;
/// Spreads the objects' addresses: 2^64 over the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// One `T` for each of a few objects.
#[derive(Debug, Default)]
pub struct Recent<T>([T; PLACES]);

impl<T> Recent<T> {
    /// What was found last for this object, or for another.
    #[inline]
    pub fn of(&mut self, object: Object) -> &mut T {
        let place = object.start().wrapping_mul(SPREAD) >> (u64::BITS - PLACES.ilog2());
        &mut self.0[place as usize % PLACES]
    }
}
