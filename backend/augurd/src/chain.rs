// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptor chains from a guest that may be hostile: walked once, checked,
//! and turned into bytes to read and places to write that cannot be wrong
//! afterwards.
//!
//! Knows descriptors and guest memory; never what a request means.

use std::ops::Deref;

use thiserror::Error;
use virtio_queue::DescriptorChain;
use vm_memory::{Bytes as _, GuestAddress, GuestMemory, Permissions};

/// A run of guest memory that was checked to be there when its chain was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Guest-physical address of the first byte.
    pub address: GuestAddress,
    /// Bytes, not zero.
    pub bytes: usize,
}

/// A chain that is well-formed at the ring level.
#[derive(Debug, Default)]
pub struct Walked {
    /// A copy of the readable part, cut at the bound that the walk was given.
    pub readable: Vec<u8>,
    /// The writable part.
    pub writable: Vec<Segment>,
    /// Bytes of the writable part.
    pub capacity: u64,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// The chain has more descriptors than the queue, or leads outside its
    /// table, or has a bad indirect table, or is longer than 2^32 bytes.
    #[error("it does not end: a loop, an index or an indirect table that is out of range")]
    Endless,
    /// A readable descriptor stands behind a writable one.
    #[error("a readable descriptor stands behind a writable one")]
    ReadableBehindWritable,
    /// A descriptor names bytes that are not guest memory.
    #[error("{bytes} bytes at guest address {address:#x} are not guest memory")]
    OutsideMemory {
        /// First guest address of the descriptor.
        address: u64,
        /// Bytes of the descriptor.
        bytes: u32,
    },
    /// The head of the chain is still in flight.
    #[error("its head {0} is already in flight")]
    InFlight(u16),
    /// The writable part cannot take the answer.
    #[error("it has room for {capacity} bytes where {needed} are needed")]
    NoRoom {
        /// Bytes of the writable part.
        capacity: u64,
        /// Bytes that the answer needs.
        needed: u64,
    },
    /// A queue that takes only writable descriptors was given a readable one.
    #[error("it has a readable part, which this queue does not take")]
    Readable,
}

/// Walks a chain of a queue with `queue_size` descriptors, copying at most
/// `most_readable` bytes of its readable part.
///
/// # Errors
/// [`Malformed`] for chains that the virtio specification does not allow, or
/// that name bytes outside of guest memory.
pub fn walk<M>(
    memory: &M::Target,
    chain: &mut DescriptorChain<M>,
    queue_size: u16,
    most_readable: usize,
) -> Result<Walked, Malformed>
where
    M: Deref,
    M::Target: GuestMemory,
{
    let mut walked = Walked::default();
    let (mut writable_began, mut ended) = (false, false);
    // An indirect table may be longer than the queue, the chain may not
    // (virtio 1.2, 2.7.5.3.1).
    for _ in 0..queue_size {
        let Some(descriptor) = chain.next() else {
            break;
        };
        let segment = checked(memory, descriptor.addr(), descriptor.len())?;
        if descriptor.is_write_only() {
            writable_began = true;
        } else if writable_began {
            return Err(Malformed::ReadableBehindWritable);
        }
        match segment {
            None => {}
            Some(segment) if writable_began => {
                walked.capacity += segment.bytes as u64;
                walked.writable.push(segment);
            }
            Some(segment) => copy(memory, segment, most_readable, &mut walked.readable)?,
        }
        if !descriptor.has_next() {
            ended = true;
            break;
        }
    }
    // The iterator stops without a word at whatever it does not like; only a
    // descriptor without a successor is an honest end.
    if ended {
        Ok(walked)
    } else {
        Err(Malformed::Endless)
    }
}

/// Writes as much of `bytes` as the segments take; answers how much that was.
/// Stops early where guest memory has shrunk since the chain was taken.
pub fn scatter<M: GuestMemory>(memory: &M, segments: &[Segment], mut bytes: &[u8]) -> u32 {
    let mut written = 0;
    for segment in segments {
        let (now, later) = bytes.split_at(segment.bytes.min(bytes.len()));
        if now.is_empty() || memory.write_slice(now, segment.address).is_err() {
            break;
        }
        written += now.len() as u32;
        bytes = later;
    }
    written
}

fn checked<M: GuestMemory + ?Sized>(
    memory: &M,
    address: GuestAddress,
    bytes: u32,
) -> Result<Option<Segment>, Malformed> {
    if bytes == 0 {
        return Ok(None);
    }
    let outside = Malformed::OutsideMemory {
        address: address.0,
        bytes,
    };
    address.0.checked_add(u64::from(bytes)).ok_or(outside)?;
    let segment = Segment {
        address,
        bytes: bytes as usize,
    };
    memory
        .check_range(address, segment.bytes, Permissions::ReadWrite)
        .then_some(Some(segment))
        .ok_or(outside)
}

fn copy<M: GuestMemory + ?Sized>(
    memory: &M,
    segment: Segment,
    most: usize,
    into: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let start = into.len();
    let wanted = segment.bytes.min(most.saturating_sub(start));
    into.resize(start + wanted, 0);
    let (_, room) = into.split_at_mut(start);
    memory
        .read_slice(room, segment.address)
        .map_err(|_| Malformed::OutsideMemory {
            address: segment.address.0,
            bytes: segment.bytes as u32,
        })
}
