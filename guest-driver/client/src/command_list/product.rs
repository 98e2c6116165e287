// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products of matrices, and what undoes them.

use augur_abi::command::{MATMUL_ACCUMULATE, MATMUL_SUBTRACT};
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
        let flags = if accumulate { MATMUL_ACCUMULATE } else { 0 };
        self.product(flags, destination, a, b)
    }

    /// `destination(m, n)` -= `a(m, k) * b(k, n)`, of the types that
    /// [`CommandList::matmul`] takes.
    ///
    /// # Errors
    /// As [`CommandList::matmul`].
    pub fn matmul_subtract(
        &mut self,
        destination: &Tensor,
        a: &Tensor,
        b: &Tensor,
    ) -> Result<(), Error> {
        self.product(MATMUL_SUBTRACT, destination, a, b)
    }

    fn product(
        &mut self,
        flags: u32,
        destination: &Tensor,
        a: &Tensor,
        b: &Tensor,
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
            flags,
            ..Default::default()
        };
        self.push(Opcode::Matmul, &parameters, &[destination, a, b]);
        Ok(())
    }
    /// `matrix(n, n)` = its Cholesky factor: lower triangular, with zeros above the
    /// diagonal; the factor times its transpose is the symmetric matrix whose lower
    /// triangle was there. f32. The command fails while it runs when that is not
    /// positive definite.
    ///
    /// # Errors
    /// It is not f32, or not square.
    pub fn cholesky(&mut self, matrix: &Tensor) -> Result<(), Error> {
        let square = matches!(matrix.shape(), [rows, columns] if rows == columns);
        want(square && matrix.data_type() == DataType::F32, || {
            let (shape, data_type) = (matrix.shape(), matrix.data_type());
            format!("cholesky takes a square f32 matrix, not {shape:?} of {data_type:?}")
        })?;
        self.push(Opcode::Cholesky, &[0_u8; 0], &[matrix]);
        Ok(())
    }

    /// `x(m, n)` = what times the transposed `l(n, n)` is what `x` held; `l` is lower
    /// triangular, and what stands above its diagonal does not matter. f32.
    ///
    /// # Errors
    /// One is not f32, `l` is not square, or they do not fit together.
    pub fn triangular_solve(&mut self, x: &Tensor, l: &Tensor) -> Result<(), Error> {
        let floats = [x, l].map(Tensor::data_type) == [DataType::F32; 2];
        let fits = match (x.shape(), l.shape()) {
            (&[_, columns], &[l_rows, l_columns]) => columns == l_rows && columns == l_columns,
            _ => false,
        };
        want(floats && fits, || {
            format!(
                "a solve takes f32 (m, n) and (n, n), not {:?} and {:?}",
                x.shape(),
                l.shape()
            )
        })?;
        self.push(Opcode::TriangularSolve, &[0_u8; 0], &[x, l]);
        Ok(())
    }
}
