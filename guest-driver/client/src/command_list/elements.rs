// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that treat each element by itself.

use augur_abi::{ElementwiseParams, FillParams, Opcode};

use super::CommandList;
use super::check::{all_floats, byte_or_float, same_type_and_shape, want};
use crate::error::Error;
use crate::tensor::Tensor;

impl CommandList<'_> {
    /// `destination` = `source`; they may overlap.
    ///
    /// # Errors
    /// Types or shapes differ.
    pub fn copy(&mut self, destination: &Tensor, source: &Tensor) -> Result<(), Error> {
        same_type_and_shape("copy", destination, source)?;
        self.push(Opcode::Copy, &[0_u8; 0], &[destination, source]);
        Ok(())
    }

    /// Every element of `destination` = the low bytes of `value`.
    ///
    /// # Errors
    /// `value` has bits that an element does not.
    pub fn fill(&mut self, destination: &Tensor, value: u64) -> Result<(), Error> {
        let bits = destination.data_type().bytes() * 8;
        want(value >> bits == 0, || {
            format!("fill value {value:#x} has more than {bits} bits")
        })?;
        self.push(Opcode::Fill, &FillParams { value }, &[destination]);
        Ok(())
    }

    /// `destination` = `a + b`; u8 saturates.
    ///
    /// # Errors
    /// Types or shapes differ, or the type is neither u8 nor f32.
    pub fn add(&mut self, destination: &Tensor, a: &Tensor, b: &Tensor) -> Result<(), Error> {
        self.binary(Opcode::Add, "add", destination, a, b)
    }

    /// `destination` = `a * b`, element by element; u8 saturates.
    ///
    /// # Errors
    /// Types or shapes differ, or the type is neither u8 nor f32.
    pub fn multiply(&mut self, destination: &Tensor, a: &Tensor, b: &Tensor) -> Result<(), Error> {
        self.binary(Opcode::Multiply, "multiply", destination, a, b)
    }

    fn binary(
        &mut self,
        opcode: Opcode,
        name: &str,
        destination: &Tensor,
        a: &Tensor,
        b: &Tensor,
    ) -> Result<(), Error> {
        byte_or_float(name, destination)?;
        same_type_and_shape(name, destination, a)?;
        same_type_and_shape(name, destination, b)?;
        let parameters = ElementwiseParams::default();
        self.push(opcode, &parameters, &[destination, a, b]);
        Ok(())
    }

    /// `destination` = `max(source, 0)`, f32.
    ///
    /// # Errors
    /// Types or shapes differ, or the type is not f32.
    pub fn relu(&mut self, destination: &Tensor, source: &Tensor) -> Result<(), Error> {
        self.unary(Opcode::Relu, "relu", destination, source, [0.0; 2])
    }

    /// `destination` = `source * scale + bias`, f32.
    ///
    /// # Errors
    /// Types or shapes differ, or the type is not f32.
    pub fn scale(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        scale: f32,
        bias: f32,
    ) -> Result<(), Error> {
        self.unary(Opcode::Scale, "scale", destination, source, [scale, bias])
    }

    fn unary(
        &mut self,
        opcode: Opcode,
        name: &str,
        destination: &Tensor,
        source: &Tensor,
        [scale, bias]: [f32; 2],
    ) -> Result<(), Error> {
        all_floats(name, &[destination])?;
        same_type_and_shape(name, destination, source)?;
        let parameters = ElementwiseParams {
            scale: scale.to_bits(),
            bias: bias.to_bits(),
        };
        self.push(opcode, &parameters, &[destination, source]);
        Ok(())
    }
}
