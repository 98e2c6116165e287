// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cuts a program's memory into atoms: the largest pieces that no region it
//! uses cuts through.  Residency is kept by atom, so it is as exact as the
//! regions are and costs no more than they need.
//!
//! Memory is first counted in sectors: the largest power of two, at least a
//! line, that divides every run of the program; a policy whose unit is larger
//! moves whole units.  An atom is the sectors that the same regions use.

use hashbrown::HashMap;

use crate::list::{Access, CommandList, Operand};
use crate::policy::Policy;
use crate::profile::Profile;
use crate::region::Region;
use crate::workload::OBJECT_ALIGNMENT;

/// Runs of one region that are told apart, and of all.
const MAX_RUNS: u64 = 1 << 22;
const ALL_RUNS: u64 = 1 << 25;

/// Borders that may be there twice.
const FEW_BORDERS: usize = 1 << 22;

/// Number of an atom.
pub type Atom = u32;

/// What is the same about an atom all the time.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Its bytes, which need not follow each other.
    pub bytes: u64,
    /// Which of the program's objects it was first used as part of.
    pub object: u32,
}

/// Which atoms each instruction of a program uses.
#[derive(Debug)]
pub struct Atoms {
    pieces: Vec<Piece>,
    objects: usize,
    /// The atoms of each distinct region, by rising address.
    regions: Vec<Vec<Atom>>,
    /// The region and access of each operand, in program order.
    operands: Vec<(u32, Access)>,
    /// Where the operands of each instruction end.
    ends: Vec<u32>,
}

impl Atoms {
    /// The atoms of `list`, whose memory is moved in units of `policy`.
    pub fn new(list: &CommandList, policy: Policy, line: u64) -> Self {
        let sector = match policy {
            Policy::Block(bits) => 1 << bits,
            Policy::Tensor => OBJECT_ALIGNMENT,
            Policy::Exact | Policy::Adaptive => sector_bytes(list, line),
        };
        let mut numbers = HashMap::<Region, u32>::new();
        let mut distinct: Vec<(Region, u32)> = Vec::new();
        let mut objects = HashMap::<u64, u32>::new();
        let (mut operands, mut ends) = (Vec::new(), Vec::new());
        for (_, used) in list.iter() {
            for operand in used {
                let (region, access) = moved(policy, operand);
                let fresh = numbers.len() as u32;
                let number = *numbers.entry(region).or_insert_with_key(|region| {
                    let next = objects.len() as u32;
                    let object = *objects.entry(operand.object.start()).or_insert(next);
                    distinct.push((region.clone(), object));
                    fresh
                });
                operands.push((number, access));
            }
            ends.push(operands.len() as u32);
        }
        let (pieces, regions) = cut(&distinct, sector);
        Self {
            pieces,
            objects: objects.len(),
            regions,
            operands,
            ends,
        }
    }

    /// Every atom.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Objects that atoms are part of.
    pub fn objects(&self) -> usize {
        self.objects
    }

    /// The operands of an instruction: the atoms of each with the access.
    pub fn operands(&self, instruction: usize) -> impl Iterator<Item = (&[Atom], Access)> {
        let end_of = |at: usize| self.ends.get(at).map_or(0, |&end| end as usize);
        let first = instruction.checked_sub(1).map_or(0, end_of);
        let operands = self.operands.get(first..end_of(instruction));
        operands
            .unwrap_or_default()
            .iter()
            .map(|&(region, access)| {
                let atoms = self.regions.get(region as usize);
                (atoms.map_or(&[][..], Vec::as_slice), access)
            })
    }

    /// The distinct atoms of an instruction with all that it does to each.
    pub fn uses(&self, instruction: usize, uses: &mut Vec<(Atom, Access)>) {
        uses.clear();
        for (atoms, access) in self.operands(instruction) {
            uses.extend(atoms.iter().map(|&atom| (atom, access)));
        }
        uses.sort_unstable_by_key(|&(atom, _)| atom);
        uses.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same && later.1 != first.1 {
                first.1 = Access::ReadWrite;
            }
            same
        });
    }

    /// Bytes of an atom.
    pub fn bytes(&self, atom: Atom) -> u64 {
        self.pieces.get(atom as usize).map_or(0, |it| it.bytes)
    }
}

/// The largest power of two, at least a line, that divides every run.
fn sector_bytes(list: &CommandList, line: u64) -> u64 {
    let mut bits = 0;
    for operand in list.operands() {
        let region = &operand.region;
        bits |= region.start() | region.run_bytes();
        for dim in region.dims() {
            bits |= dim.stride;
        }
    }
    (1u64 << bits.trailing_zeros().min(16)).max(line)
}

/// An operand as a policy moves it.  Its unit is what is moved; one that is
/// written in part is fetched as well.
fn moved(policy: Policy, operand: &Operand) -> (Region, Access) {
    match (policy, operand.access) {
        (Policy::Exact | Policy::Adaptive, access) => (operand.region.clone(), access),
        (Policy::Tensor, access) => {
            let object = Region::run(operand.object.start(), operand.object.bytes());
            (object, whole(access))
        }
        (Policy::Block(bits), access) => {
            let region = operand.region.clone();
            let ends = region.start() | region.end();
            let aligned = region.is_contiguous() && ends.trailing_zeros() >= bits;
            (region, if aligned { access } else { whole(access) })
        }
    }
}

fn whole(access: Access) -> Access {
    match access {
        Access::Read => Access::Read,
        _ => Access::ReadWrite,
    }
}

/// Cuts what the regions use at their borders, in sectors.
fn cut(distinct: &[(Region, u32)], sector: u64) -> (Vec<Piece>, Vec<Vec<Atom>>) {
    let intervals = Intervals::new(distinct, sector);
    // The atom of each interval, if any region uses it.
    let mut atom_of: Vec<Option<Atom>> = vec![None; intervals.borders.len()];
    // The object of each atom, and the region that cut it off.
    let mut cut_off: Vec<(u32, u32)> = Vec::new();
    let mut split = HashMap::<Option<Atom>, Atom>::new();
    for (by, (region, object)) in (0..).zip(distinct) {
        split.clear();
        intervals.of(region, |at| {
            let Some(atom) = atom_of.get_mut(at) else {
                return;
            };
            let mine = atom.and_then(|now| cut_off.get(now as usize));
            if mine.is_some_and(|&(_, cutter)| cutter == by) {
                return;
            }
            let fresh = *split.entry(*atom).or_insert_with(|| {
                cut_off.push((*object, by));
                cut_off.len() as Atom - 1
            });
            *atom = Some(fresh);
        });
    }
    // Atoms in the order of their addresses, without those that were cut up.
    let mut numbers = vec![None; cut_off.len()];
    let mut pieces: Vec<Piece> = Vec::new();
    for (at, atom) in atom_of.iter().enumerate() {
        let Some(atom) = atom.map(|atom| atom as usize) else {
            continue;
        };
        let Some(number) = numbers.get_mut(atom) else {
            continue;
        };
        let number = *number.get_or_insert_with(|| {
            pieces.push(Piece {
                bytes: 0,
                object: cut_off.get(atom).map_or(0, |&(object, _)| object),
            });
            pieces.len() - 1
        });
        if let Some(piece) = pieces.get_mut(number) {
            piece.bytes += intervals.sectors(at) * sector;
        }
    }
    let regions = distinct.iter().map(|(region, _)| {
        let mut atoms = Vec::new();
        intervals.of(region, |at| {
            let atom = atom_of.get(at).copied().flatten();
            let atom = atom.and_then(|atom| numbers.get(atom as usize));
            if let Some(&Some(atom)) = atom
                && atoms.last() != Some(&(atom as Atom))
            {
                atoms.push(atom as Atom);
            }
        });
        atoms.sort_unstable();
        atoms.dedup();
        atoms
    });
    let regions = regions.collect();
    (pieces, regions)
}

/// Memory between the borders of all runs: no run begins or ends inside one.
struct Intervals {
    shift: u32,
    /// Runs of one region that are told apart.
    most_runs: u64,
    /// The first sector of each interval, and the end of the last.
    borders: Vec<u64>,
}

impl Intervals {
    fn new(distinct: &[(Region, u32)], sector: u64) -> Self {
        let shift = sector.trailing_zeros();
        let most_runs = most_runs(distinct);
        let mut borders = Vec::new();
        let mut full = FEW_BORDERS;
        for (region, _) in distinct {
            for_each_stretch(region, shift, most_runs, |first, end| {
                borders.extend([first, end]);
            });
            // Most borders come again and again.
            if borders.len() >= full {
                borders.sort_unstable();
                borders.dedup();
                full = FEW_BORDERS.max(borders.len() * 2);
            }
        }
        borders.sort_unstable();
        borders.dedup();
        Self {
            shift,
            most_runs,
            borders,
        }
    }

    /// Calls `visit` with each interval that `region` touches.
    fn of(&self, region: &Region, mut visit: impl FnMut(usize)) {
        for_each_stretch(region, self.shift, self.most_runs, |first, end| {
            let start = self.borders.partition_point(|&border| border < first);
            let borders = self.borders.get(start..).unwrap_or_default();
            let inside = borders.iter().take_while(|&&border| border < end);
            (start..).zip(inside).for_each(|(at, _)| visit(at));
        });
    }

    /// Sectors of an interval.
    fn sectors(&self, at: usize) -> u64 {
        match self.borders.get(at..at + 2) {
            Some(&[first, end]) => end - first,
            _ => 0,
        }
    }
}

/// Runs of one region that are told apart, so that of all there are no more than
/// [`ALL_RUNS`].
fn most_runs(distinct: &[(Region, u32)]) -> u64 {
    let all = |most: &u64| -> u64 {
        let runs = distinct.iter().map(|(region, _)| region.runs());
        runs.filter(|runs| runs <= most).sum()
    };
    let halves = std::iter::successors(Some(MAX_RUNS), |most| Some(most / 2));
    halves
        .take_while(|&most| most > 1)
        .find(|most| all(most) <= ALL_RUNS)
        .unwrap_or(1)
}

/// Calls `visit` with the first sector of each run of `region` and the one
/// behind its last; runs that share a sector or follow each other are one.  A
/// region of more than `most_runs` is taken for all that it spans.
fn for_each_stretch(region: &Region, shift: u32, most_runs: u64, mut visit: impl FnMut(u64, u64)) {
    if region.runs() > most_runs {
        visit(region.start() >> shift, ((region.end() - 1) >> shift) + 1);
        return;
    }
    let mut latest: Option<(u64, u64)> = None;
    region.for_each_run(|start, length| {
        let (first, end) = (start >> shift, ((start + length - 1) >> shift) + 1);
        latest = match latest {
            Some((known, until)) if (known..=until).contains(&first) => {
                Some((known, until.max(end)))
            }
            Some((known, until)) => {
                visit(known, until);
                Some((first, end))
            }
            None => Some((first, end)),
        };
    });
    if let Some((first, end)) = latest {
        visit(first, end);
    }
}

/// The policy by which memory is moved: its own, unless one instruction's
/// units do not fit into a local memory; then it moves just what is used.
pub fn moving_policy(list: &CommandList, policy: Policy, profile: &Profile) -> Policy {
    let unit_bytes = |operand: &Operand| match policy {
        Policy::Exact | Policy::Adaptive => 0,
        Policy::Tensor => operand.object.bytes(),
        Policy::Block(bits) => {
            let mut blocks = 0;
            for_each_stretch(&operand.region, bits, MAX_RUNS, |first, end| {
                blocks += end - first;
            });
            blocks << bits
        }
    };
    let mut known = HashMap::<Region, u64>::new();
    let mut fits = |operands: &[Operand]| {
        let bytes = operands.iter().fold(0u64, |sum, operand| {
            let bytes = known
                .entry(operand.region.clone())
                .or_insert_with(|| unit_bytes(operand));
            sum.saturating_add(*bytes)
        });
        bytes <= profile.local_bytes
    };
    if list.iter().all(|(_, operands)| fits(operands)) {
        policy
    } else {
        Policy::Exact
    }
}

/// Each distinct input byte once in and each final output byte once out.
#[must_use]
pub fn compulsory_bytes(list: &CommandList, line: u64) -> u64 {
    let atoms = Atoms::new(list, Policy::Exact, line);
    let mut seen = vec![(false, false); atoms.pieces.len()];
    let mut total = 0;
    for instruction in 0..list.len() {
        for reads in [true, false] {
            for (used, access) in atoms.operands(instruction) {
                if !(if reads {
                    access.reads()
                } else {
                    access.writes()
                }) {
                    continue;
                }
                for &atom in used {
                    let Some((known, written)) = seen.get_mut(atom as usize) else {
                        continue;
                    };
                    let first = if reads { !*known } else { !*written };
                    total += u64::from(first) * atoms.bytes(atom);
                    *known = true;
                    *written |= !reads;
                }
            }
        }
    }
    total
}
