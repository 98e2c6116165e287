// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contents that say where they belong: every word depends on its place and
//! on a tag, so that memory that is moved, mixed up or stale is recognised.

use crate::harness::{Failure, Outcome};

/// The word at `place` (counted in words) under `tag`.
pub fn word(tag: u64, place: u64) -> u64 {
    let mut mixed = (place ^ tag.rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 29;
    mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(tag);
    mixed ^ (mixed >> 32)
}

/// Fills `bytes` with the pattern from its first word on.
pub fn fill(tag: u64, bytes: &mut [u8]) {
    let (words, rest) = bytes.as_chunks_mut();
    let mut place = 0;
    for chunk in words {
        *chunk = word(tag, place).to_le_bytes();
        place += 1;
    }
    rest.copy_from_slice(&word(tag, place).to_le_bytes()[..rest.len()]);
}

/// A vector of `length` bytes with the pattern.
pub fn bytes(tag: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fill(tag, &mut bytes);
    bytes
}

/// Fails at the first byte that is not the pattern's.
///
/// # Errors
/// Says where, and what was found.
pub fn verify(tag: u64, bytes: &[u8], what: &str) -> Outcome {
    let (words, rest) = bytes.as_chunks();
    let mut place = 0;
    for chunk in words {
        if u64::from_le_bytes(*chunk) != word(tag, place) {
            return Err(wrong(tag, place, chunk, what));
        }
        place += 1;
    }
    let expected = word(tag, place).to_le_bytes();
    if *rest == expected[..rest.len()] {
        Ok(())
    } else {
        Err(wrong(tag, place, rest, what))
    }
}

fn wrong(tag: u64, place: u64, found: &[u8], what: &str) -> Failure {
    let expected = word(tag, place).to_le_bytes();
    Failure(format!(
        "{what}: bytes from {} are {found:02x?}, expected {:02x?}",
        place * 8,
        &expected[..found.len()]
    ))
}

/// Fails at the first byte that differs.
///
/// # Errors
/// Says where, and how many differ.
pub fn same(found: &[u8], expected: &[u8], what: &str) -> Outcome {
    if found == expected {
        return Ok(());
    }
    let pairs = found.iter().zip(expected).enumerate();
    let mut differing = pairs.filter(|(_, (found, expected))| found != expected);
    let first = differing.next();
    let others = differing.count();
    Err(Failure(match first {
        Some((at, (byte, expected))) => format!(
            "{what}: byte {at} of {} is {byte:#04x}, expected {expected:#04x}; {others} more differ",
            found.len()
        ),
        None => format!("{what}: {} bytes, expected {}", found.len(), expected.len()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_stale_and_damaged_bytes_are_found() {
        let good = bytes(7, 4099);
        assert_eq!(verify(7, &good, "good"), Ok(()));
        assert!(verify(8, &good, "another tag").is_err());
        assert!(verify(7, &good[8..], "moved by a word").is_err());
        for at in [0, 5, 4095, 4098] {
            let mut damaged = good.clone();
            damaged[at] ^= 0x10;
            assert!(verify(7, &damaged, "damaged").is_err());
            let failure = same(&damaged, &good, "compared").expect_err("differs");
            let Failure(reason) = failure;
            assert!(reason.contains(&format!("byte {at} of 4099")), "{reason}");
            assert!(reason.contains("0 more differ"));
        }
        assert!(same(&good[1..], &good, "short").is_err());
    }
}
