// SPDX-License-Identifier: MIT OR Apache-2.0
//! One random command: the list with it, the model of it, and what it was made
//! of.

use augur_client::{CommandList, DataType, Error, Object, Tensor};

use super::model::Model;
use crate::pattern;

/// Bytes of the object: an arena for the destination and two for sources.
const ARENA: u64 = 96 << 10;
/// See [`ARENA`].
pub const BYTES: u64 = 3 * ARENA;

/// What memory holds before a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Any bytes.
    Bytes,
    /// Moderate f32.
    Floats,
    /// Moderate bf16; pairs of them are moderate f32 too.
    Bfloats,
}

/// A command in the making.
pub struct Case<'a> {
    /// Where its random numbers come from.
    pub numbers: &'a mut fastrand::Rng,
    /// The list it goes into.
    pub list: CommandList<'static>,
    /// The model it goes into.
    pub model: Model,
    object: &'a Object,
    described: String,
}

impl<'a> Case<'a> {
    /// No command yet, on new random contents.
    pub fn new(object: &'a Object, numbers: &'a mut fastrand::Rng, contents: Contents) -> Self {
        let upper_half = |numbers: &mut fastrand::Rng| {
            let [_, _, low, high] = (numbers.f32() * 4.0 - 2.0).to_le_bytes();
            [low, high]
        };
        let bytes = match contents {
            Contents::Bytes => pattern::bytes(numbers.u64(..), BYTES as usize),
            Contents::Floats => (0..BYTES / 4)
                .flat_map(|_| (numbers.f32() * 4.0 - 2.0).to_le_bytes())
                .collect(),
            Contents::Bfloats => (0..BYTES / 2).flat_map(|_| upper_half(numbers)).collect(),
        };
        Self {
            numbers,
            list: CommandList::new(),
            model: Model::new(object.device_address(), bytes),
            object,
            described: String::new(),
        }
    }

    /// Adds to what is said of the command when it fails.
    pub fn note(&mut self, what: &str) {
        self.described += what;
        self.described += " ";
    }

    /// Everything noted, views included.
    pub fn described(&self) -> &str {
        &self.described
    }

    /// Random extents.
    pub fn shape(&mut self, rank: usize, largest: u32) -> Vec<u32> {
        (0..rank).map(|_| self.numbers.u32(1..=largest)).collect()
    }

    /// A view of `shape` in an arena: of a larger tensor, with steps, from an
    /// odd place.
    pub fn view(
        &mut self,
        arena: u64,
        data_type: DataType,
        shape: &[u32],
    ) -> Result<Tensor, Error> {
        let dense: u64 = shape.iter().map(|&extent| u64::from(extent)).product();
        let mut room = ARENA / data_type.bytes() / dense.max(1);
        let mut whole = Vec::new();
        let mut cuts = Vec::new();
        for &extent in shape {
            let step = if room >= 4 {
                self.numbers.u32(1..=2)
            } else {
                1
            };
            let extra = if room >= 16 {
                self.numbers.u32(0..=extent)
            } else {
                0
            };
            let full = extent * step + extra;
            room = room * u64::from(extent) / u64::from(full).max(1);
            cuts.push((self.numbers.u32(0..=extra), extent, step));
            whole.push(full);
        }
        let elements: u64 = whole.iter().map(|&extent| u64::from(extent)).product();
        let slack = ARENA / data_type.bytes() - elements;
        let offset = arena * ARENA + self.numbers.u64(0..=slack.min(5000)) * data_type.bytes();
        let mut view = self.object.tensor(data_type, offset, &whole)?;
        for (dimension, (first, extent, step)) in cuts.into_iter().enumerate() {
            view = view.slice(dimension, first..first + (extent - 1) * step + 1)?;
            view = view.every(dimension, step)?;
        }
        self.note(&format!("{view:?}"));
        Ok(view)
    }

    /// A view of `shape`, sometimes of a tensor whose first and last dimension
    /// are exchanged.
    pub fn turned_view(
        &mut self,
        arena: u64,
        data_type: DataType,
        shape: &[u32],
    ) -> Result<Tensor, Error> {
        let last = shape.len() - 1;
        if last == 0 || self.numbers.bool() {
            return self.view(arena, data_type, shape);
        }
        let mut turned = shape.to_vec();
        turned.swap(0, last);
        self.note("turned");
        self.view(arena, data_type, &turned)?.transpose(0, last)
    }

    /// A type that copies and fills take.
    pub fn any_type(&mut self) -> DataType {
        DataType::ALL[self.numbers.usize(..DataType::ALL.len())]
    }

    /// A type that most commands take.
    pub fn byte_or_float(&mut self) -> DataType {
        if self.numbers.bool() {
            DataType::U8
        } else {
            DataType::F32
        }
    }
}
