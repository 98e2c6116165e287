// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of tables.

use augur_client::Tensor;

use super::{Model, indices};

impl Model {
    /// GATHER.
    pub fn gather(&mut self, destination: &Tensor, table: &Tensor, numbers: &Tensor) {
        for index in indices(destination.shape()) {
            let row = self.row(numbers, &index);
            let value = self.element(table, &row).to_vec();
            self.set_element(destination, &index, &value);
        }
    }

    /// SCATTER.
    pub fn scatter(&mut self, table: &Tensor, source: &Tensor, numbers: &Tensor) {
        for index in indices(source.shape()) {
            let row = self.row(numbers, &index);
            let value = self.element(source, &index).to_vec();
            self.set_element(table, &row, &value);
        }
    }

    /// The index in the table of an element of the listed rows.
    fn row(&self, numbers: &Tensor, index: &[u32]) -> Vec<u32> {
        let number = self.element(numbers, &index[..1]).first_chunk();
        let mut row = index.to_vec();
        row[0] = number.map_or(0, |word| u32::from_le_bytes(*word));
        row
    }
}
