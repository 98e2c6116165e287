// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tiled product of square row-major f32 matrices: for each tile of C the
//! tiles of a row of A and of a column of B, each tile row by row.

use clap::Args;

use super::{F32, Kernel, Layout, Step, Steps, endless, read, write};

/// Sizes of C = A · B.
#[derive(Args, Clone, Debug)]
pub struct Gemm {
    /// Rows and columns of the matrices.
    #[arg(long, default_value_t = Gemm::default().size, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub size: u64,
    /// Rows and columns of a tile.
    #[arg(long, default_value_t = Gemm::default().tile, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub tile: u64,
    /// Engines that share the rows of tiles, one stream each.
    #[arg(long, default_value_t = Gemm::default().streams, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub streams: u64,
}

impl Default for Gemm {
    fn default() -> Self {
        Self {
            size: 1024,
            tile: 128,
            streams: 2,
        }
    }
}

impl Gemm {
    /// The rows of the tile at (`row`, `column`) of the matrix at `base`.
    fn tile_rows(&self, base: u64, row: u64, column: u64) -> impl Iterator<Item = (u64, u64)> {
        let (size, tile) = (self.size, self.tile);
        let bytes = tile.min(size - column * tile) * F32;
        let last = (row * tile + tile).min(size);
        (row * tile..last).map(move |row| (base + (row * size + column * tile) * F32, bytes))
    }

    /// Tile (`row`, `column`) of C.
    fn product(&self, [a, b, c]: [u64; 3], row: u64, column: u64, steps: &mut Vec<Step>) {
        for inner in 0..self.size.div_ceil(self.tile) {
            for (offset, bytes) in self.tile_rows(a, row, inner) {
                read(steps, offset, bytes);
            }
            for (offset, bytes) in self.tile_rows(b, inner, column) {
                read(steps, offset, bytes);
            }
        }
        for (offset, bytes) in self.tile_rows(c, row, column) {
            write(steps, offset, bytes);
        }
    }
}

impl Kernel for Gemm {
    fn streams(&self, layout: &mut Layout, _seed: u64) -> Result<Vec<Steps>, String> {
        let places = [
            layout.place(self.size, self.size * F32)?,
            layout.place(self.size, self.size * F32)?,
            layout.place(self.size, self.size * F32)?,
        ];
        let tiles = self.size.div_ceil(self.tile);
        let stream = |stream: u64| {
            let sizes = self.clone();
            let (mut row, mut column) = (stream % tiles, 0);
            endless(move |steps| {
                sizes.product(places, row, column, steps);
                column += 1;
                if column == tiles {
                    column = 0;
                    row = (row + sizes.streams) % tiles;
                }
            })
        };
        Ok((0..self.streams).map(stream).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{accesses, footprint};
    use super::*;

    #[test]
    fn rows_of_a_tile_are_a_pitch_apart() {
        let records = accesses(&Gemm::default(), 1, 10_000);
        let own: Vec<_> = records.iter().filter(|it| it.stream == 0).collect();
        let strides = own
            .windows(2)
            .filter(|pair| pair[1].offset.wrapping_sub(pair[0].offset) == 1024 * F32)
            .count();
        assert!(strides as f64 > 0.95 * own.len() as f64);
        assert!(own.iter().all(|it| it.bytes == 128 * F32));
    }

    #[test]
    fn one_product_touches_three_matrices_and_writes_one() {
        let gemm = Gemm {
            size: 256,
            tile: 64,
            streams: 1,
        };
        // 16 tiles of C, each with 4 pairs of tiles and itself, of 64 rows.
        let records = accesses(&gemm, 1, 16 * 9 * 64);
        assert_eq!(footprint(&records).len() as u64, 3 * 256 * 256 * F32 / 4096);
        let written: u64 = records
            .iter()
            .filter(|it| it.write)
            .map(|it| it.bytes)
            .sum();
        assert_eq!(written, 256 * 256 * F32);
    }

    #[test]
    fn tiles_at_the_edge_are_cut_off() {
        let gemm = Gemm {
            size: 100,
            tile: 64,
            streams: 1,
        };
        let records = accesses(&gemm, 1, 1000);
        let sizes: std::collections::BTreeSet<u64> = records.iter().map(|it| it.bytes).collect();
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [36 * F32, 64 * F32]);
    }
}
