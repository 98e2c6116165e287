// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random instructions on a small arena, with the bytes they touch: what the
//! oracles of the tests know.

use augur_scheduler::list::{Access, Object, Operand};
use augur_scheduler::region::Region;

/// xorshift64*: the tests are the same every time.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 33) % bound
    }

    pub fn pick(&mut self, values: &[u64]) -> u64 {
        values[self.below(values.len() as u64) as usize]
    }
}

pub const ARENA: u64 = 4096;

/// One view of the arena; the kinds are runs, tiles of several pitches, and
/// views whose strides do not nest.
fn view(random: &mut Random, written: bool) -> Region {
    loop {
        let element = random.pick(&[1, 2, 4, 8]);
        let (shape, strides): (Vec<u64>, Vec<i64>) = match random.below(5) {
            0 => (vec![1 + random.below(64)], vec![element as i64]),
            1 => {
                let pitch = random.pick(&[64, 128, 100, 256]);
                let width = 1 + random.below(8);
                (
                    vec![1 + random.below(8), width],
                    vec![pitch as i64, element as i64],
                )
            }
            2 => {
                // Aligned tiles, so that the same region comes again.
                let start = random.below(4) * 1024 + random.below(8) * 16;
                let region = Region::written(start, 4, &[4, 4], &[128, 4]);
                return region.expect("aligned tiles are valid");
            }
            3 => (
                vec![
                    1 + random.below(6),
                    1 + random.below(4),
                    1 + random.below(3),
                ],
                vec![
                    random.pick(&[256, 192, 320]) as i64,
                    random.pick(&[32, 48, 24]) as i64,
                    -(random.pick(&[8, 16]) as i64),
                ],
            ),
            _ => (
                vec![1 + random.below(9), 1 + random.below(5)],
                vec![random.below(97) as i64 - 20, random.below(61) as i64],
            ),
        };
        let base = random.below(ARENA);
        let region = if written {
            Region::written(base, element, &shape, &strides)
        } else {
            Region::read(base, element, &shape, &strides)
        };
        match region {
            Ok(region) if region.end() <= ARENA => return region,
            _ => {}
        }
    }
}

/// The bytes of an instruction, a bit each.
#[derive(Clone, Default)]
pub struct Bytes {
    pub reads: Vec<u64>,
    pub writes: Vec<u64>,
}

fn mark(bits: &mut Vec<u64>, region: &Region) {
    bits.resize(ARENA as usize / 64, 0);
    region.for_each_run(|start, length| {
        for byte in start..start + length {
            bits[byte as usize / 64] |= 1 << (byte % 64);
        }
    });
}

pub fn meet(a: &[u64], b: &[u64]) -> bool {
    a.iter().zip(b).any(|(a, b)| a & b != 0)
}

pub fn conflict(a: &Bytes, b: &Bytes) -> bool {
    meet(&a.writes, &b.writes) || meet(&a.writes, &b.reads) || meet(&a.reads, &b.writes)
}

/// A random instruction whose operands lie in the objects that `object_of`
/// names.
pub fn instruction_in(
    random: &mut Random,
    reads_only: bool,
    object_of: impl Fn(&Region) -> Option<Object>,
) -> (Vec<Operand>, Bytes) {
    let placed = |random: &mut Random, written| loop {
        let region = view(random, written);
        if let Some(object) = object_of(&region) {
            return (region, object);
        }
    };
    let (mut operands, mut bytes) = (Vec::new(), Bytes::default());
    mark_empty(&mut bytes);
    let reads = random.below(4);
    for _ in 0..reads {
        let (region, object) = placed(random, false);
        mark(&mut bytes.reads, &region);
        operands.push(Operand {
            region,
            object,
            access: Access::Read,
        });
    }
    if !reads_only && random.below(5) > 0 {
        let (region, object) = placed(random, true);
        mark(&mut bytes.writes, &region);
        let access = if random.below(3) == 0 {
            mark(&mut bytes.reads, &region);
            Access::ReadWrite
        } else {
            Access::Write
        };
        operands.push(Operand {
            region,
            object,
            access,
        });
    }
    (operands, bytes)
}

fn mark_empty(bytes: &mut Bytes) {
    bytes.reads.resize(ARENA as usize / 64, 0);
    bytes.writes.resize(ARENA as usize / 64, 0);
}
