// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the card's results are compared with: plain computations on the
//! guest's CPU, written from the datasheet's definitions and sharing no code
//! with the card.

pub mod factor;
pub mod image;
pub mod product;
