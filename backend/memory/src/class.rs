// SPDX-License-Identifier: MIT OR Apache-2.0
//! Classes of windows that are expected to come back alike.

/// What windows have in common that tells whether they come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Class(u8);

/// What the return of windows of each class is expected to cost, in any unit; above zero.
/// That of [`Class::UNTOLD`] follows from the others.
pub type Weights = [f32; Class::COUNT];

impl Class {
    /// How many there are.
    pub const COUNT: usize = 18;
    /// Windows that were mapped ahead and that nobody has used yet.
    pub const UNUSED: Self = Self(0);
    /// Windows that programs asked for and of which nothing was said, as where nobody
    /// predicts. They are held as dear as the dearest class: what is foretold of others
    /// does not drive them out.
    pub const UNTOLD: Self = Self(17);

    /// The class of this number, if there is one.
    pub fn new(number: usize) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number as u8))
    }

    /// Its number, below [`Self::COUNT`].
    pub fn number(self) -> usize {
        self.0.into()
    }
}
