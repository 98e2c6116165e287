// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copying between memories whose bytes lie differently in cache lines.
//!
//! A program's memory seldom begins where the card's does: a large `malloc` begins 16
//! bytes behind a page. The C library copies what is as long as a page by `rep movsb` or
//! by stores whose lines it does not align, and takes up to 1.9 times as long then (AMD
//! EPYC, source at 4080 of a page). Loads may lie anywhere; stores should not.
//!
//! Both memories may change meanwhile: only raw copies are made.

/// Bytes of a cache line.
const LINE: usize = 64;
/// Fewer bytes are copied as fast by anything.
const LEAST: usize = 512;

/// Copies `bytes` bytes.
///
/// # Safety
/// The bytes at `from` are readable and those at `to` writable until it returns, and
/// they do not overlap.
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    if bytes >= LEAST
        && from.addr() % LINE != to.addr() % LINE
        && std::arch::is_x86_feature_detected!("avx2")
    {
        let head = to.addr().next_multiple_of(LINE) - to.addr();
        let lines = (bytes - head) / LINE * LINE;
        let done = head + lines;
        // SAFETY: head, lines and the rest are parts of both ranges, behind each other;
        // the processor has AVX2, and `to` is at the start of a line behind the head.
        unsafe {
            from.copy_to_nonoverlapping(to, head);
            copy_lines(from.add(head), to.add(head), lines);
            from.add(done)
                .copy_to_nonoverlapping(to.add(done), bytes - done);
        }
        return;
    }
    // SAFETY: by contract.
    unsafe { from.copy_to_nonoverlapping(to, bytes) };
}

/// Copies whole lines.
///
/// # Safety
/// As for [`copy`]; `to` is at the start of a line, and `bytes` are whole lines.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn copy_lines(from: *const u8, to: *mut u8, bytes: usize) {
    use std::arch::x86_64::{__m256i, _mm256_loadu_si256, _mm256_store_si256};

    for done in (0..bytes).step_by(LINE) {
        // SAFETY: the line is inside both ranges; halves of an aligned line are aligned.
        unsafe {
            let from = from.add(done).cast::<__m256i>();
            let to = to.add(done).cast::<__m256i>();
            let (first, second) = (_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1)));
            _mm256_store_si256(to, first);
            _mm256_store_si256(to.add(1), second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_arrives_and_no_other_changes_wherever_both_begin() {
        let source: Vec<u8> = (0..10_000_u32).map(|at| (at % 251) as u8 + 1).collect();
        for bytes in [0, 1, 63, 511, 512, 513, 575, 576, 1000, 4080, 4096, 9000] {
            for from in [0, 1, 16, 63, 64, 100] {
                for to in [0, 1, 15, 48, 63, 64, 90] {
                    let mut target = vec![0; 10_000];
                    // SAFETY: both have 100 bytes more than are copied at most.
                    unsafe { copy(source[from..].as_ptr(), target[to..].as_mut_ptr(), bytes) };
                    assert_eq!(target[to..to + bytes], source[from..from + bytes]);
                    let others = target[..to].iter().chain(&target[to + bytes..]);
                    assert!(others.into_iter().all(|&byte| byte == 0));
                }
            }
        }
    }
}
