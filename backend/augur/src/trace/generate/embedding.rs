// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lookups in embedding tables, as recommendation models make them: the rank of
//! a row follows Zipf's law, hot rows lie anywhere in their table, and the rows
//! found are gathered in a dense buffer.

use std::rc::Rc;

use clap::Args;

use super::{Kernel, Layout, Steps, check_entries, endless, random, read, write};

/// Sizes of the tables and of a batch.
#[derive(Args, Clone, Debug)]
pub struct Embedding {
    /// Tables.
    #[arg(long, default_value_t = Embedding::default().tables, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub tables: u64,
    /// Rows of a table.
    #[arg(long, default_value_t = Embedding::default().rows, value_parser = clap::value_parser!(u64).range(1..=1 << 22))]
    pub rows: u64,
    /// Bytes of a row.
    #[arg(long, default_value_t = Embedding::default().row_bytes, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub row_bytes: u64,
    /// Samples of a batch.
    #[arg(long, default_value_t = Embedding::default().batch, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub batch: u64,
    /// The exponent of Zipf's law; 0 makes all rows alike.
    #[arg(long, default_value_t = Embedding::default().exponent, value_parser = exponent)]
    pub exponent: f64,
    /// Workers, one stream each.
    #[arg(long, default_value_t = Embedding::default().streams, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub streams: u64,
}

impl Default for Embedding {
    fn default() -> Self {
        Self {
            tables: 4,
            rows: 32768,
            row_bytes: 512,
            batch: 128,
            exponent: 1.05,
            streams: 2,
        }
    }
}

fn exponent(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no exponent from 0 to 10");
    let value: f64 = text.parse().map_err(|_| wrong())?;
    (0.0..=10.0)
        .contains(&value)
        .then_some(value)
        .ok_or_else(wrong)
}

/// Draws ranks from 0 by Zipf's law, by looking a uniform number up in the
/// distribution function.
struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    fn new(ranks: u64, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weight = |rank: u64| ((rank + 1) as f64).powf(-exponent);
        let cumulative = (0..ranks)
            .map(|rank| {
                sum += weight(rank);
                sum
            })
            .collect();
        Self { cumulative }
    }

    fn rank(&self, uniform: f64) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let rank = self
            .cumulative
            .partition_point(|sum| *sum <= uniform * total);
        rank.min(self.cumulative.len().saturating_sub(1))
    }
}

impl Kernel for Embedding {
    fn streams(&self, layout: &mut Layout, seed: u64) -> Result<Vec<Steps>, String> {
        check_entries(self.tables * self.rows)?;
        let zipf = Rc::new(Zipf::new(self.rows, self.exponent));
        let mut tables = Vec::new();
        for table in 0..self.tables {
            let mut rows: Vec<u64> = (0..self.rows).collect();
            random(seed, table).shuffle(&mut rows);
            let base = layout.place(self.rows, self.row_bytes)?;
            tables.push((base, rows));
        }
        let tables = Rc::new(tables);
        let mut streams = Vec::new();
        for stream in 0..self.streams {
            let gathered = layout.place(self.batch * self.tables, self.row_bytes)?;
            let (zipf, tables, row_bytes) = (Rc::clone(&zipf), Rc::clone(&tables), self.row_bytes);
            let mut random = random(seed, 1 << 32 | stream);
            let (batch, mut sample) = (self.batch, 0);
            streams.push(endless(move |steps| {
                for (base, rows) in tables.iter() {
                    let row = rows.get(zipf.rank(random.f64())).copied().unwrap_or(0);
                    read(steps, base + row * row_bytes, row_bytes);
                }
                let bytes = tables.len() as u64 * row_bytes;
                write(steps, gathered + sample * bytes, bytes);
                sample = (sample + 1) % batch;
            }));
        }
        Ok(streams)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::tests::accesses;
    use super::*;

    #[test]
    fn the_share_of_the_hottest_rows_is_that_of_zipfs_law() {
        let sizes = Embedding {
            tables: 1,
            rows: 1000,
            row_bytes: 4096,
            exponent: 1.0,
            ..Embedding::default()
        };
        let records = accesses(&sizes, 1, 100_000);
        let mut counts: HashMap<u64, u64> = HashMap::new();
        for record in records.iter().filter(|record| !record.write) {
            *counts.entry(record.offset).or_default() += 1;
        }
        let total: u64 = counts.values().sum();
        let mut counts: Vec<u64> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let harmonic: f64 = (1..=1000).map(|rank| 1.0 / f64::from(rank)).sum();
        for rank in [1, 2, 10] {
            let share = counts[rank - 1] as f64 / total as f64;
            let expected = 1.0 / rank as f64 / harmonic;
            assert!(
                (share / expected - 1.0).abs() < 0.1,
                "{rank}: {share} {expected}"
            );
        }
    }

    #[test]
    fn hot_rows_lie_anywhere() {
        let records = accesses(&Embedding::default(), 1, 5_000);
        let rows: Vec<u64> = records
            .iter()
            .filter(|it| !it.write && it.offset < 16 << 20)
            .map(|it| it.offset / 512)
            .collect();
        let low = rows.iter().filter(|row| **row < 16384).count() as f64;
        assert!((0.2..0.8).contains(&(low / rows.len() as f64)));
    }

    #[test]
    fn exponents_are_checked() {
        assert!(exponent("nan").is_err() && exponent("-1").is_err() && exponent("11").is_err());
        assert_eq!(exponent("0.5"), Ok(0.5));
    }
}
