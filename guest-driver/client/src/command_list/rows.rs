// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that pick the rows of a table by indices in device memory.

use augur_abi::{DataType, Opcode};

use super::CommandList;
use super::check::{byte_or_float, want};
use crate::error::Error;
use crate::tensor::Tensor;

impl CommandList<'_> {
    /// `destination(i, …)` = `table(indices(i), …)`. u8 or f32; indices are
    /// i32. An index that is not that of a row fails the command while it runs
    /// ([`augur_abi::Status::BadOperand`]).
    ///
    /// # Errors
    /// Types or shapes do not fit together.
    pub fn gather(
        &mut self,
        destination: &Tensor,
        table: &Tensor,
        indices: &Tensor,
    ) -> Result<(), Error> {
        rows_fit("gather", destination, table, indices)?;
        self.push(Opcode::Gather, &[0_u8; 0], &[destination, table, indices]);
        Ok(())
    }

    /// `table(indices(i), …)` = `source(i, …)`, in order of `i`: of rows that
    /// are named twice the last one stays. Otherwise as [`CommandList::gather`].
    ///
    /// # Errors
    /// Types or shapes do not fit together.
    pub fn scatter(
        &mut self,
        table: &Tensor,
        source: &Tensor,
        indices: &Tensor,
    ) -> Result<(), Error> {
        rows_fit("scatter", source, table, indices)?;
        self.push(Opcode::Scatter, &[0_u8; 0], &[table, source, indices]);
        Ok(())
    }
}

/// Whether `listed` can hold the rows of `table` that `indices` name.
fn rows_fit(name: &str, listed: &Tensor, table: &Tensor, indices: &Tensor) -> Result<(), Error> {
    byte_or_float(name, table)?;
    want(
        listed.data_type() == table.data_type() && indices.data_type() == DataType::I32,
        || format!("{name}: rows and table have one type, and indices are i32"),
    )?;
    let (&[count], [rows, row @ ..], [_, table_row @ ..]) =
        (indices.shape(), listed.shape(), table.shape())
    else {
        return Err(Error::Shape(format!(
            "{name} takes indices of one dimension, not {:?}",
            indices.shape()
        )));
    };
    want(*rows == count && row == table_row, || {
        format!(
            "{name}: {count} rows of {:?} are not {:?}",
            table.shape(),
            listed.shape()
        )
    })
}
