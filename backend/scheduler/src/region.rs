// SPDX-License-Identifier: MIT OR Apache-2.0
//! A region: the bytes that one operand of an instruction touches.
//!
//! Operands arrive as strided N-dimensional views, which come from a guest or
//! from a file.  They are checked and brought into one shape here, once, and
//! nothing behind this module meets a view that is empty, wraps or leaves the
//! address space.  Nothing here knows tensors, instructions or tracking.

use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock};

use hashbrown::DefaultHashBuilder;
use thiserror::Error;

use crate::diophantine::{Reach, Term, reach};

/// Most dimensions an operand may have.
pub const MAX_RANK: usize = 6;

/// Device addresses end here (exclusive).  Far above any card's memory and low
/// enough that sums of spans stay inside `i64`.
pub const ADDRESS_LIMIT: u64 = 1 << 56;

/// Why an operand is not a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RegionError {
    /// More dimensions than [`MAX_RANK`].
    #[error("an operand has at most {MAX_RANK} dimensions, not {0}")]
    TooManyDimensions(usize),
    /// Shape and strides disagree about the rank.
    #[error("{shape} sizes but {strides} strides")]
    RankMismatch {
        /// Number of sizes given.
        shape: usize,
        /// Number of strides given.
        strides: usize,
    },
    /// The element has no bytes, or one dimension has no elements.
    #[error("the operand holds no bytes")]
    Empty,
    /// Some byte lies below zero or above [`ADDRESS_LIMIT`], or the sum of the
    /// strides wraps.
    #[error("the operand leaves the address space")]
    OutOfRange,
    /// Two elements of a written operand share a byte.
    #[error("two elements of the written operand share a byte")]
    OverlappingWrite,
}

/// One dimension outside the contiguous run: `count` ≥ 2 steps of `stride`
/// bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Dim {
    pub count: u64,
    pub stride: u64,
}

impl Dim {
    /// Distance from the first to the last step, in bytes.
    pub fn reach(self) -> u64 {
        (self.count - 1) * self.stride
    }
}

/// The key of this process, so that nobody can choose regions that are hard to
/// tell apart.
static KEY: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// A set of bytes: every sum of `start`, one multiple of each dimension's
/// stride, and an offset below `run`.
///
/// Dimensions are sorted by falling stride; unit dimensions are gone and
/// dimensions that continue each other are merged, so a dense tensor of any
/// rank is one run.
#[derive(Clone, Debug)]
pub struct Region {
    start: u64,
    end: u64,
    run: u64,
    /// Of all the other fields: regions are looked up far more often than they
    /// are made.
    hash: u64,
    steps: Steps,
}

/// The dimensions of a region outside its run.  Most have one or none, and a
/// region of those takes less than a cache line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Steps {
    None,
    One(Dim),
    /// Two or more.
    Many(Arc<[Dim]>),
}

impl Steps {
    fn of(dims: &[Dim]) -> Self {
        match *dims {
            [] => Self::None,
            [only] => Self::One(only),
            _ => Self::Many(dims.into()),
        }
    }
}

const _: () = assert!(size_of::<Region>() <= 56);

impl PartialEq for Region {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.start == other.start
            && self.end == other.end
            && self.run == other.run
            && self.steps == other.steps
    }
}

impl Eq for Region {}

impl std::hash::Hash for Region {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.start);
        state.write_u64(self.run);
        state.write_u64(self.hash);
    }
}

impl Region {
    /// The contiguous bytes `start .. start + length`.
    ///
    /// # Errors
    /// [`RegionError::Empty`] and [`RegionError::OutOfRange`].
    pub fn contiguous(start: u64, length: u64) -> Result<Self, RegionError> {
        if length == 0 {
            return Err(RegionError::Empty);
        }
        let end = start.checked_add(length).ok_or(RegionError::OutOfRange)?;
        if end > ADDRESS_LIMIT {
            return Err(RegionError::OutOfRange);
        }
        Ok(Self::run(start, length))
    }

    /// A run whose bounds are known to be inside the address space.
    pub(crate) fn run(start: u64, length: u64) -> Self {
        Self {
            start,
            end: start + length,
            run: length,
            hash: KEY.hash_one((start, length)),
            steps: Steps::None,
        }
    }

    fn named(&self) -> u64 {
        match self.dims() {
            [] => KEY.hash_one((self.start, self.run)),
            dims => KEY.hash_one((self.start, self.run, dims)),
        }
    }

    /// A number that is the same for equal regions of this process.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The run that a view is when its elements lie one behind the other, as those
    /// of most do; none when they do not, or something is wrong.
    fn dense(base: u64, element: u64, shape: &[u64], strides: &[i64]) -> Option<Self> {
        if shape.len() != strides.len() || shape.len() > MAX_RANK {
            return None;
        }
        let mut bytes = element;
        for (&count, &stride) in shape.iter().zip(strides).rev() {
            if count != 1 && stride.cast_unsigned() != bytes {
                return None;
            }
            bytes = bytes.checked_mul(count)?;
        }
        Self::contiguous(base, bytes).ok()
    }

    /// The bytes that a view reads: `shape` elements of `element` bytes, the
    /// first at `base`, `strides` bytes apart.  Strides may be zero, negative,
    /// or smaller than an element; the same byte may be read more than once.
    ///
    /// # Errors
    /// Any of [`RegionError`] but [`RegionError::OverlappingWrite`].
    pub fn read(
        base: u64,
        element: u64,
        shape: &[u64],
        strides: &[i64],
    ) -> Result<Self, RegionError> {
        if let Some(run) = Self::dense(base, element, shape, strides) {
            return Ok(run);
        }
        let view = Checked::new(base, element, shape, strides)?;
        Ok(view.canonical())
    }

    /// As [`Region::read`], for a view that is written: no byte may belong to
    /// two elements, or the result would depend on an order nobody defined.
    ///
    /// # Errors
    /// Any of [`RegionError`].
    pub fn written(
        base: u64,
        element: u64,
        shape: &[u64],
        strides: &[i64],
    ) -> Result<Self, RegionError> {
        if let Some(run) = Self::dense(base, element, shape, strides) {
            return Ok(run);
        }
        let view = Checked::new(base, element, shape, strides)?;
        if !view.is_injective() {
            return Err(RegionError::OverlappingWrite);
        }
        Ok(view.canonical())
    }

    /// First byte.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// One past the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Length in bytes of each contiguous run.
    #[must_use]
    pub fn run_bytes(&self) -> u64 {
        self.run
    }

    /// Whether the region is one run.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        matches!(self.steps, Steps::None)
    }

    /// Dimensions outside the run, by falling stride.
    pub(crate) fn dims(&self) -> &[Dim] {
        match &self.steps {
            Steps::None => &[],
            Steps::One(dim) => std::slice::from_ref(dim),
            Steps::Many(dims) => dims,
        }
    }

    /// The distance between rows and their number, for rectangles: one
    /// dimension outside the run.
    pub(crate) fn pitch(&self) -> Option<(u64, u64)> {
        match self.dims() {
            [rows] => Some((rows.stride, rows.count)),
            _ => None,
        }
    }

    /// Number of runs; runs of a view that reads bytes more than once are
    /// counted as often as they are read.
    #[must_use]
    pub fn runs(&self) -> u64 {
        if self.is_contiguous() {
            return 1;
        }
        self.dims()
            .iter()
            .fold(1u64, |product, dim| product.saturating_mul(dim.count))
    }

    /// Number of bytes touched; bytes read more than once through interleaved
    /// strides are counted as often as they are read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.runs().saturating_mul(self.run)
    }

    /// Calls `visit(start, length)` for each run, in the order of the view.
    pub fn for_each_run(&self, mut visit: impl FnMut(u64, u64)) {
        let dims = self.dims();
        let mut index = [0u64; MAX_RANK];
        let mut at = self.start;
        loop {
            visit(at, self.run);
            let mut level = dims.len();
            loop {
                let Some(next) = level.checked_sub(1) else {
                    return;
                };
                level = next;
                let (dim, position) = (dims[level], &mut index[level]);
                if *position + 1 < dim.count {
                    *position += 1;
                    at += dim.stride;
                    break;
                }
                at -= dim.reach();
                *position = 0;
            }
        }
    }
}

/// A view whose bounds are checked and whose strides are positive: what
/// [`Region`] is built from.
struct Checked {
    start: u64,
    end: u64,
    element: u64,
    rank: usize,
    dims: [Dim; MAX_RANK],
    /// A dimension of stride zero was dropped.
    repeats: bool,
}

impl Checked {
    fn new(base: u64, element: u64, shape: &[u64], strides: &[i64]) -> Result<Self, RegionError> {
        if shape.len() != strides.len() {
            return Err(RegionError::RankMismatch {
                shape: shape.len(),
                strides: strides.len(),
            });
        }
        if shape.len() > MAX_RANK {
            return Err(RegionError::TooManyDimensions(shape.len()));
        }
        if element == 0 || shape.contains(&0) {
            return Err(RegionError::Empty);
        }
        let mut view = Self {
            start: base,
            end: base.checked_add(element).ok_or(RegionError::OutOfRange)?,
            element,
            rank: 0,
            dims: [Dim::default(); MAX_RANK],
            repeats: false,
        };
        for (&count, &stride) in shape.iter().zip(strides) {
            if count == 1 {
                continue;
            }
            if stride == 0 {
                view.repeats = true;
                continue;
            }
            let reach = (count - 1)
                .checked_mul(stride.unsigned_abs())
                .ok_or(RegionError::OutOfRange)?;
            if stride > 0 {
                view.end = view.end.checked_add(reach).ok_or(RegionError::OutOfRange)?;
            } else {
                view.start = view
                    .start
                    .checked_sub(reach)
                    .ok_or(RegionError::OutOfRange)?;
            }
            view.insert(Dim {
                count,
                stride: stride.unsigned_abs(),
            });
        }
        if view.end > ADDRESS_LIMIT {
            return Err(RegionError::OutOfRange);
        }
        Ok(view)
    }

    /// Keeps the dimensions sorted by falling stride.
    fn insert(&mut self, dim: Dim) {
        let mut at = self.rank;
        while at > 0 && self.dims[at - 1].stride < dim.stride {
            self.dims[at] = self.dims[at - 1];
            at -= 1;
        }
        self.dims[at] = dim;
        self.rank += 1;
    }

    /// Whether no two elements share a byte.  Nested strides, where each step
    /// is at least as long as all that is inside it, are the common case; any
    /// other view is searched for two distinct index vectors less than an
    /// element apart.  A search that is not finished within its bound counts
    /// as an overlap.
    fn is_injective(&self) -> bool {
        if self.repeats {
            return false;
        }
        let dims = self.dims.get(..self.rank).unwrap_or_default();
        let mut span = self.element;
        let nested = dims.iter().rev().all(|dim| {
            let fits = dim.stride >= span;
            span += dim.reach();
            fits
        });
        if nested {
            return true;
        }
        let slack = i128::from(self.element) - 1;
        (0..dims.len()).all(|first| {
            // Differences whose first non-zero component is this dimension's
            // and, without loss of generality, positive.
            let mut terms = [Term::default(); MAX_RANK];
            let mut used = 0;
            for (position, dim) in dims.iter().enumerate().skip(first) {
                let most = i128::from(dim.count) - 1;
                terms[used] = Term {
                    stride: i128::from(dim.stride),
                    least: if position == first { 1 } else { -most },
                    most,
                };
                used += 1;
            }
            reach(&mut terms[..used], -slack, slack) == Reach::Never
        })
    }

    fn canonical(&self) -> Region {
        let mut run = self.element;
        // From the inside out: a step no longer than the run makes the run
        // longer; a step that is a multiple of the step inside it and no
        // longer than that whole dimension makes that dimension longer.
        let mut merged = [Dim::default(); MAX_RANK];
        let mut used = 0;
        for &dim in self.dims.get(..self.rank).unwrap_or_default().iter().rev() {
            if used == 0 {
                if dim.stride <= run {
                    run += dim.reach();
                } else {
                    merged[0] = dim;
                    used = 1;
                }
                continue;
            }
            let inner = &mut merged[used - 1];
            let steps = dim.stride / inner.stride;
            if dim.stride % inner.stride == 0 && steps <= inner.count {
                inner.count += (dim.count - 1) * steps;
            } else {
                merged[used] = dim;
                used += 1;
            }
        }
        let merged = &mut merged[..used];
        merged.reverse();
        let mut region = Region {
            start: self.start,
            end: self.end,
            run,
            hash: 0,
            steps: Steps::of(merged),
        };
        region.hash = region.named();
        region
    }
}
