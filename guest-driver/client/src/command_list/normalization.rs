// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands along one dimension: reductions, softmax, layer normalisation.

use augur_abi::Opcode;
use augur_abi::command::{LayerNormParams, ReduceKind, ReduceParams, SoftmaxParams};

use super::CommandList;
use super::check::{all_floats, dimension, same_type_and_shape, want};
use crate::error::Error;
use crate::tensor::Tensor;

impl CommandList<'_> {
    /// `destination` = `source` reduced along dimension `axis`, in which
    /// `destination` has length 1. f32; a sum is made in any order.
    ///
    /// # Errors
    /// A type is not f32, there is no such dimension, or shapes do not fit
    /// together.
    pub fn reduce(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        axis: usize,
        kind: ReduceKind,
    ) -> Result<(), Error> {
        all_floats("reduce", &[destination, source])?;
        let along = dimension("reduce", source, axis)?;
        let (to, from) = (destination.shape(), source.shape());
        let fits = to.len() == from.len()
            && (0..from.len()).all(|at| to[at] == if at == axis { 1 } else { from[at] });
        want(fits, || {
            format!("reduce of {from:?} along dimension {axis} does not give {to:?}")
        })?;
        let parameters = ReduceParams {
            axis: along,
            kind: kind.code(),
        };
        self.push(Opcode::Reduce, &parameters, &[destination, source]);
        Ok(())
    }

    /// `destination` = `exp(source - max) / sum(exp(source - max))` along
    /// dimension `axis`. f32; in place if both are the same tensor.
    ///
    /// # Errors
    /// A type is not f32, shapes differ, or there is no such dimension.
    pub fn softmax(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        axis: usize,
    ) -> Result<(), Error> {
        all_floats("softmax", &[destination, source])?;
        same_type_and_shape("softmax", destination, source)?;
        let parameters = SoftmaxParams {
            axis: dimension("softmax", source, axis)?,
            ..Default::default()
        };
        self.push(Opcode::Softmax, &parameters, &[destination, source]);
        Ok(())
    }

    /// `destination` =
    /// `(source - mean) / sqrt(variance + epsilon) * scale + bias` along
    /// dimension `axis`; `scale` and `bias` have one element for each of that
    /// dimension, and the variance is divided by their number. f32; in place if
    /// destination and source are the same tensor.
    ///
    /// # Errors
    /// A type is not f32, there is no such dimension, or shapes do not fit
    /// together.
    pub fn layer_norm(
        &mut self,
        destination: &Tensor,
        source: &Tensor,
        scale: &Tensor,
        bias: &Tensor,
        axis: usize,
        epsilon: f32,
    ) -> Result<(), Error> {
        let operands = [destination, source, scale, bias];
        all_floats("layer_norm", &operands)?;
        same_type_and_shape("layer_norm", destination, source)?;
        let along = dimension("layer_norm", source, axis)?;
        let extent = &source.shape()[axis..=axis];
        want(scale.shape() == extent && bias.shape() == extent, || {
            format!(
                "layer_norm along a dimension of {extent:?} takes scale and bias of that length, not {:?} and {:?}",
                scale.shape(),
                bias.shape()
            )
        })?;
        let parameters = LayerNormParams {
            axis: along,
            epsilon: epsilon.to_bits(),
        };
        self.push(Opcode::LayerNorm, &parameters, &operands);
        Ok(())
    }
}
