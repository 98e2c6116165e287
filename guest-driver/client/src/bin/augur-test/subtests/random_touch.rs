// SPDX-License-Identifier: MIT OR Apache-2.0
//! More memory than the aperture shows, touched at random by several
//! processes, every byte checked.
//!
//! Memory is cut into granules. The words of a granule follow from its place
//! and its version; versions stand in ordinary memory that the processes
//! share. In each round a granule belongs to one process, which writes a new
//! version or checks the one that is there, whoever wrote it before.

use augur_client::{Device, Object};

use crate::harness::{Options, Outcome, check};
use crate::pattern;
use crate::process::{self, SharedWords};
use crate::raw::RawMapping;

/// Bytes of a granule: several to a page, so that pages are written in part.
const GRANULE: usize = 512;
/// Words of a granule.
const WORDS: usize = GRANULE / 8;
/// Rounds, in each of which the granules have other owners.
const ROUNDS: u32 = 4;

/// Shares one object between processes, then gives each its own.
pub fn run(options: &Options) -> Outcome {
    shared(options)?;
    separate(options)
}

/// Memory under test: the words of a mapped object and their versions.
struct Memory<'a> {
    mapping: RawMapping,
    versions: &'a SharedWords,
    granules: usize,
}

impl<'a> Memory<'a> {
    fn map(device: &Device, object: &Object, versions: &'a SharedWords) -> std::io::Result<Self> {
        let bytes = usize::try_from(object.bytes()).unwrap_or(0);
        Ok(Self {
            mapping: RawMapping::new(device, object.mmap_offset(), bytes, libc::MAP_SHARED)?,
            versions,
            granules: bytes / GRANULE,
        })
    }

    /// What the word at `index` of a granule is in a version.
    fn expected(granule: usize, version: u32, index: usize) -> u64 {
        match version {
            0 => 0,
            version => pattern::word(u64::from(version), (granule * WORDS + index) as u64),
        }
    }

    /// Checks every word of a granule.
    fn verify(&self, granule: usize) -> Outcome {
        let version = self.versions.get(granule);
        for index in 0..WORDS {
            let found = self.mapping.read(granule * WORDS + index);
            let expected = Self::expected(granule, version, index);
            check(found == Some(expected), || {
                format!(
                    "byte {:#x} (granule {granule}, version {version}): {found:x?}, expected {expected:#x}; in version {} it was {:#x}",
                    granule * GRANULE + index * 8,
                    version.saturating_sub(1),
                    Self::expected(granule, version.saturating_sub(1), index)
                )
            })?;
        }
        Ok(())
    }

    /// Writes the next version of a granule, backwards or forwards.
    fn renew(&self, granule: usize, backwards: bool) {
        let version = self.versions.get(granule) + 1;
        for step in 0..WORDS {
            let index = if backwards { WORDS - 1 - step } else { step };
            let word = Self::expected(granule, version, index);
            self.mapping.write(granule * WORDS + index, word);
        }
        self.versions.set(granule, version);
    }

    fn verify_all(&self) -> Outcome {
        (0..self.granules).try_for_each(|granule| self.verify(granule))
    }
}

/// The process that a granule belongs to in a round.
fn owner(granule: usize, round: u32, processes: u32) -> u32 {
    (pattern::word(u64::from(round) + 1000, granule as u64) % u64::from(processes)) as u32
}

/// Touches granules of one process at random.
fn touch(memory: &Memory<'_>, who: u32, round: u32, options: &Options) -> Outcome {
    let mut random = options.random(u64::from(round) << 32 | u64::from(who));
    let mine = |granule| owner(granule, round, options.processes) == who;
    let mut touches = 0;
    while touches < options.touches / ROUNDS {
        let granule = random.usize(..memory.granules);
        if !mine(granule) {
            continue;
        }
        touches += 1;
        match random.u8(..4) {
            0 => memory.verify(granule)?,
            1 => {
                memory.verify(granule)?;
                memory.renew(granule, true);
            }
            2 => memory.renew(granule, false),
            _ => {
                memory.renew(granule, random.bool());
                memory.verify(granule)?;
            }
        }
    }
    Ok(())
}

/// One object; in each round every process maps it in another way.
fn shared(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(options.bytes)?;
    let versions = SharedWords::new(usize::try_from(options.bytes).unwrap_or(0) / GRANULE)?;
    let inherited = Memory::map(&device, &object, &versions)?;
    // Some pages are in the parent's page table when it forks.
    (0..inherited.granules)
        .step_by(997)
        .for_each(|granule| inherited.renew(granule, false));
    for round in 0..ROUNDS {
        let mut children = Vec::new();
        for who in 0..options.processes {
            let name = format!("process {who}, round {round}");
            children.push(process::fork(&name, || match (who + round) % 4 {
                0 => touch(&inherited, who, round, options),
                1 => touch(
                    &Memory::map(&device, &object, &versions)?,
                    who,
                    round,
                    options,
                ),
                2 => {
                    let mut memory = Memory::map(&device, &object, &versions)?;
                    touch_some(&memory, who, round, options)?;
                    memory.mapping.move_elsewhere()?;
                    touch(&memory, who, round, options)
                }
                _ => {
                    // A second mapping is torn while the first is used.
                    let mut torn = Memory::map(&device, &object, &versions)?;
                    touch_some(&torn, who, round, options)?;
                    let pages = torn.granules * GRANULE / 4096;
                    torn.mapping.tear(pages / 4..pages / 2)?;
                    touch(&inherited, who, round, options)
                }
            })?);
        }
        process::wait_all(children)?;
    }
    inherited.verify_all()
}

/// Checks and renews a few granules of one process.
fn touch_some(memory: &Memory<'_>, who: u32, round: u32, options: &Options) -> Outcome {
    let mut left = 50;
    for granule in (who as usize..memory.granules).step_by(61) {
        if left > 0 && owner(granule, round, options.processes) == who {
            memory.verify(granule)?;
            memory.renew(granule, false);
            left -= 1;
        }
    }
    Ok(())
}

/// Every process has its own context and object, and forks in the middle.
fn separate(options: &Options) -> Outcome {
    // The device file of the children is their own.
    let path = options.open()?.path().to_path_buf();
    let each = (options.bytes / u64::from(options.processes)).max(augur_abi::PAGE_BYTES);
    let mut children = Vec::new();
    for who in 0..options.processes {
        let path = &path;
        children.push(process::fork(&format!("context {who}"), || {
            let device = Device::open(path)?;
            let object = device.create_object(each)?;
            let granules = usize::try_from(object.bytes()).unwrap_or(0) / GRANULE;
            let versions = SharedWords::new(granules)?;
            let memory = Memory::map(&device, &object, &versions)?;
            let alone = Options {
                processes: 1,
                ..options.clone()
            };
            touch(&memory, 0, who, &alone)?;
            let grandchild = process::fork(&format!("child of context {who}"), || {
                touch(&memory, 0, who + 100, &alone)
            })?;
            process::wait_all(vec![grandchild])?;
            touch(&memory, 0, who + 200, &alone)?;
            memory.verify_all()
        })?);
    }
    process::wait_all(children)
}
