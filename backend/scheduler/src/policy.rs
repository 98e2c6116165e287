// SPDX-License-Identifier: MIT OR Apache-2.0
//! The unit at which memory is tracked.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How accesses are turned into tracked memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Whole objects: two accesses to one object conflict unless both read.
    Tensor,
    /// Aligned blocks of this many address bits: two accesses to one block
    /// conflict unless both read.
    Block(u32),
    /// The regions themselves: only bytes that are shared conflict.
    Exact,
    /// As exact about conflicts, with a unit of tracking for each object that
    /// follows the way the object is used.
    Adaptive,
}

impl Policy {
    /// Every policy, in the order in which they are reported.
    pub const ALL: [Self; 6] = [
        Self::Tensor,
        Self::Block(12),
        Self::Block(16),
        Self::Block(20),
        Self::Exact,
        Self::Adaptive,
    ];
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor => f.write_str("tensor"),
            Self::Block(bits @ 20..) => write!(f, "{}m", 1u64 << (bits - 20)),
            Self::Block(bits) => write!(f, "{}k", (1u64 << bits) >> 10),
            Self::Exact => f.write_str("exact"),
            Self::Adaptive => f.write_str("adaptive"),
        }
    }
}

/// A name that is no policy's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no policy '{0}': use tensor, 4k, 64k, 1m, exact or adaptive")]
pub struct UnknownPolicy(String);

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.to_string() == name)
            .ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}
