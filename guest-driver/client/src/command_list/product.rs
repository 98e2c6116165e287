// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products of matrices.

use augur_abi::command::MATMUL_ACCUMULATE;
use augur_abi::{DataType, MatmulParams, Opcode};

use super::CommandList;
use super::check::want;
use crate::error::Error;
use crate::tensor::Tensor;

impl CommandList<'_> {
    /// `destination(m, n)` = `a(m, k) * b(k, n)`, plus what `destination` held
    /// if `accumulate`. All f32; or `a` and `b` bf16 and `destination` f32; or
    /// `a` and `b` i8 and `destination` i32, which wraps. A transposed operand
    /// is a view ([`Tensor::transpose`]); nothing is copied for it.
    ///
    /// # Errors
    /// Types are none of these, a rank is not 2, or sizes do not fit together.
    pub fn matmul(
        &mut self,
        destination: &Tensor,
        a: &Tensor,
        b: &Tensor,
        accumulate: bool,
    ) -> Result<(), Error> {
        let types = [destination, a, b].map(Tensor::data_type);
        want(
            matches!(
                types,
                [DataType::F32, DataType::F32, DataType::F32]
                    | [DataType::F32, DataType::Bf16, DataType::Bf16]
                    | [DataType::I32, DataType::I8, DataType::I8]
            ),
            || {
                let [to, a, b] = types;
                format!(
                    "matmul gives f32 from f32 or bf16, or i32 from i8, not {to:?} from {a:?} and {b:?}"
                )
            },
        )?;
        let fits = match (destination.shape(), a.shape(), b.shape()) {
            (&[rows, columns], &[a_rows, a_columns], &[b_rows, b_columns]) => {
                (rows, columns, a_columns) == (a_rows, b_columns, b_rows)
            }
            _ => false,
        };
        want(fits, || {
            format!(
                "matmul: {:?} is not {:?} times {:?}",
                destination.shape(),
                a.shape(),
                b.shape()
            )
        })?;
        let parameters = MatmulParams {
            flags: if accumulate { MATMUL_ACCUMULATE } else { 0 },
            ..Default::default()
        };
        self.push(Opcode::Matmul, &parameters, &[destination, a, b]);
        Ok(())
    }
}
