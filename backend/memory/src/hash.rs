// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hasher for keys that are small integers: one multiplication
//! (Fibonacci hashing, Knuth, The Art of Computer Programming vol. 3, §6.4).
//!
//! Keys are page-table chunk numbers. The card chooses device addresses, so a
//! guest cannot choose colliding keys.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// 2^64 divided by the golden ratio, odd.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// See the module's description.
#[derive(Default)]
pub(crate) struct IntegerHasher(u64);

impl Hasher for IntegerHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value)
            .wrapping_mul(MULTIPLIER)
            .rotate_left(32);
    }
}

/// A map from integers.
pub(crate) type IntegerMap<V> = HashMap<u64, V, BuildHasherDefault<IntegerHasher>>;
