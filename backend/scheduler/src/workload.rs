// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs of known shape, for tests and for the benchmark.
//!
//! Each is the dependence pattern of a real computation: tiled linear algebra,
//! stencils whose halos are a sliver of their chunks, a network's attention
//! and convolution layers.  Only operands and modelled costs are generated;
//! nothing here computes.

mod linear;
mod network;
mod sweep;

use std::fmt;
use std::str::FromStr;

use hashbrown::HashMap;
use thiserror::Error;

use crate::clock::Nanos;
use crate::list::{Access, CommandList, ListError, Object, Operand, Unit};
use crate::region::{Region, RegionError};

/// Objects start at multiples of this many bytes, as the card's do.
pub(crate) const OBJECT_ALIGNMENT: u64 = 4096;

/// A whole program: its objects and its instructions in order.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Objects with their names, in address order.
    pub objects: Vec<(String, Object)>,
    /// The instructions.
    pub list: CommandList,
    /// Which operation each instruction is, by number.
    operations: Vec<u32>,
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Where the list has which operands.
    seen: HashMap<u64, u32>,
}

/// Why a program cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProgramError {
    /// An operand is wrong.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// An instruction is wrong.
    #[error(transparent)]
    List(#[from] ListError),
}

/// The programs of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Workload {
    /// C = A·B in 64×64 tiles of row-major 2944² matrices.
    Gemm,
    /// Right-looking Cholesky factorisation in 64×64 tiles, 83 a side.
    Cholesky,
    /// 1,000 chunks of 64 KiB, 100 steps, reading both neighbours whole.
    Stencil,
    /// As stencil, 40 steps, reading 512 bytes of each neighbour.
    Halo,
    /// 62.5 MiB in chunks of 48, 64, 40 and 56 KiB in turn, 40 steps.
    Retile,
    /// An image of 8,000 rows of 1,000 bytes in bands of 7 rows, 30 passes.
    Rows,
    /// 12 heads × 512 tokens × 64, four layers, in 64-token tiles.
    Attention,
    /// Two 3×3 convolutions and a skip on 8 images of 56×56×64.
    ResnetBlock,
}

impl Workload {
    /// Every workload, in the order in which they are reported.
    pub const ALL: [Self; 8] = [
        Self::Gemm,
        Self::Cholesky,
        Self::Stencil,
        Self::Halo,
        Self::Retile,
        Self::Rows,
        Self::Attention,
        Self::ResnetBlock,
    ];

    /// The program.
    ///
    /// # Errors
    /// None for the programs here; the type is that of what they are built
    /// with.
    pub fn program(self) -> Result<Program, ProgramError> {
        match self {
            Self::Gemm => linear::gemm(46, 64),
            Self::Cholesky => linear::cholesky(83, 64),
            Self::Stencil => sweep::stencil(1000, 64 << 10, 64 << 10, 100),
            Self::Halo => sweep::stencil(1000, 64 << 10, 512, 40),
            Self::Retile => sweep::retile(1000 * (64 << 10), &[48, 64, 40, 56], 40),
            Self::Rows => sweep::rows(8000, 1000, 7, 30),
            Self::Attention => network::attention(12, 512, 64, 4),
            Self::ResnetBlock => network::resnet_block(8, 56, 64, 5),
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gemm => "gemm",
            Self::Cholesky => "cholesky",
            Self::Stencil => "stencil",
            Self::Halo => "halo",
            Self::Retile => "retile",
            Self::Rows => "rows",
            Self::Attention => "attention",
            Self::ResnetBlock => "resnet-block",
        })
    }
}

/// A name that is no workload's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "no workload '{0}': use gemm, cholesky, stencil, halo, retile, rows, attention or resnet-block"
)]
pub struct UnknownWorkload(String);

impl FromStr for Workload {
    type Err = UnknownWorkload;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|workload| workload.to_string() == name)
            .ok_or_else(|| UnknownWorkload(name.to_owned()))
    }
}

impl Program {
    /// No objects, no instructions, and no limit to them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            list: CommandList::new(u32::MAX as usize),
            ..Self::default()
        }
    }

    /// Places an object behind those there are.
    ///
    /// # Errors
    /// [`ListError::Object`] when it is empty or memory ends.
    pub fn object(&mut self, name: &str, bytes: u64) -> Result<Object, ProgramError> {
        let end = self
            .objects
            .last()
            .map_or(0, |(_, object)| object.start() + object.bytes());
        let start = end.next_multiple_of(OBJECT_ALIGNMENT);
        let object = Object::new(start, bytes)?;
        self.objects.push((name.to_owned(), object));
        Ok(object)
    }

    /// Appends an instruction for a compute engine.
    ///
    /// # Errors
    /// That of [`CommandList::push`].
    pub fn push(
        &mut self,
        operation: &str,
        operands: &[Operand],
        cost: Nanos,
    ) -> Result<(), ProgramError> {
        self.list.push(operands, cost, Unit::Compute)?;
        self.list.share(&mut self.seen);
        let number = match self.numbers.get(operation) {
            Some(&number) => number,
            None => {
                let number = self.names.len() as u32;
                self.names.push(operation.to_owned());
                self.numbers.insert(operation.to_owned(), number);
                number
            }
        };
        self.operations.push(number);
        Ok(())
    }

    /// The name of an instruction's operation.
    #[must_use]
    pub fn operation(&self, instruction: usize) -> &str {
        self.operations
            .get(instruction)
            .and_then(|&number| self.names.get(number as usize))
            .map_or("", String::as_str)
    }
}

/// A row-major f32 matrix inside an object.
#[derive(Clone, Copy)]
struct Matrix {
    object: Object,
    columns: u64,
}

impl Matrix {
    fn new(
        program: &mut Program,
        name: &str,
        rows: u64,
        columns: u64,
    ) -> Result<Self, ProgramError> {
        let object = program.object(name, rows * columns * 4)?;
        Ok(Self { object, columns })
    }

    /// `rows`×`columns` elements from (`row`, `column`).
    fn tile(
        self,
        (row, column): (u64, u64),
        (rows, columns): (u64, u64),
        access: Access,
    ) -> Result<Operand, ProgramError> {
        let pitch = self.columns * 4;
        let base = self.object.start() + row * pitch + column * 4;
        let region = Region::read(base, 4, &[rows, columns], &[pitch as i64, 4])?;
        Ok(Operand {
            region,
            object: self.object,
            access,
        })
    }
}

/// The bytes `start .. start + length` of an object.
fn bytes_of(
    object: Object,
    start: u64,
    length: u64,
    access: Access,
) -> Result<Operand, ProgramError> {
    Ok(Operand {
        region: Region::contiguous(object.start() + start, length)?,
        object,
        access,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_the_instructions_of_its_definition() {
        let counts: Vec<usize> = Workload::ALL
            .iter()
            .map(|workload| workload.program().unwrap().list.len())
            .collect();
        let cholesky = 83 + 83 * 82 / 2 + (0..83).map(|k| (82 - k) * (83 - k) / 2).sum::<usize>();
        let retile = [1334, 1000, 1600, 1143].iter().sum::<usize>() * 10;
        assert_eq!(
            counts,
            [
                46 * 46 * 46,
                cholesky,
                100_000,
                40_000,
                retile,
                30 * 1143,
                4 * 12 * (64 + 8 + 64),
                8 * 12 * 3,
            ]
        );
    }
}
