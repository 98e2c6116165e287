// SPDX-License-Identifier: MIT OR Apache-2.0
//! A blocked Cholesky factorisation, submitted as one command list whose commands
//! work on tiles of one matrix: how much of it a card runs in parallel depends on
//! the unit at which it tracks memory. The same matrix goes to every card, the
//! first result is checked, the others must be the same bytes.

use std::time::Instant;

use augur_client::reference::factor::Factor;
use augur_client::{CommandList, Device, Error, Tensor};
use clap::Args;
use serde::Serialize;
use zerocopy::IntoBytes as _;

use crate::failure::{During, Failure};
use crate::product::Matrix;

/// Random vectors of the check.
const VECTORS: u32 = 4;
/// Rows that are computed in full.
const ROWS: usize = 16;

/// What is factorised.
#[derive(Clone, Copy, Debug, Args)]
pub struct Arguments {
    /// Rows and columns of the matrix.
    #[arg(long, default_value_t = 3072, value_parser = clap::value_parser!(u32).range(1..=8192))]
    size: u32,

    /// Rows and columns of a tile, the last of which may be smaller.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=8192))]
    tile: u32,

    /// How often it is factorised on each card.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,

    /// Where the random numbers begin; the same seed gives the same matrix.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the factorisation took on one card.
#[derive(Debug, Serialize)]
struct Figure {
    /// Rows and columns of the matrix and of its tiles.
    size: u32,
    tile: u32,
    /// Commands of the list.
    commands: u32,
    /// From submitting the list until it had ended, in nanoseconds: each round.
    wall_ns: Vec<u64>,
    /// From the first command's start to the last one's end by the card's clock.
    card_ns: Vec<u64>,
    /// Engine time that the rounds took together, in nanoseconds.
    compute_ns: u64,
    /// What is wrong with the result, if anything is.
    wrong: Option<String>,
}

/// Factorises on each card and prints a line of JSON for it; whether every result
/// was right.
///
/// # Errors
/// A card refused or failed, or the tiles are too many for one list.
pub fn run(cards: &[(usize, Device)], arguments: &Arguments) -> Result<bool, Failure> {
    let matrix = random_matrix(arguments);
    let mut first: Option<Vec<f32>> = None;
    let mut right = true;
    for (card, device) in cards {
        let (mut figure, factor) = measure(device, arguments, &matrix)?;
        figure.wrong = match &first {
            Some(first) if first.as_bytes() == factor.as_bytes() => None,
            Some(_) => Some("the bytes differ from the first card's".to_owned()),
            None => check(&matrix, &factor, arguments),
        };
        right &= figure.wrong.is_none();
        first.get_or_insert(factor);
        println!("{}", serde_json::json!({ "card": card, "figure": figure }));
    }
    Ok(right)
}

/// A symmetric positive definite matrix, of which the lower triangle is there:
/// entries from -1 to 1 have no eigenvalue beyond 1.2 √size, which the diagonal
/// outweighs.
fn random_matrix(arguments: &Arguments) -> Vec<f32> {
    let size = arguments.size as usize;
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let mut matrix = vec![0.0; size * size];
    let diagonal = 2.0 * (arguments.size as f32).sqrt();
    for (row, entries) in matrix.chunks_exact_mut(size).enumerate() {
        for entry in &mut entries[..row] {
            *entry = random.f32() * 2.0 - 1.0;
        }
        entries[row] = diagonal + random.f32();
    }
    matrix
}

fn measure(
    device: &Device,
    arguments: &Arguments,
    matrix: &[f32],
) -> Result<(Figure, Vec<f32>), Failure> {
    let on_card = Matrix::create(device, arguments.size).during("allocating the matrix")?;
    let list = factorisation(&on_card.tensor, arguments.tile).during("building the list")?;
    if list.commands().len() > device.information().max_submit_bytes as usize {
        return Err(Failure::Input(format!(
            "{} commands do not fit into one list; give larger tiles",
            list.command_count()
        )));
    }
    let whole = on_card.object.byte_range(0, on_card.bytes);
    let whole = whole.during("naming the matrix")?;
    let mut figure = Figure {
        size: arguments.size,
        tile: arguments.tile,
        commands: list.command_count(),
        wall_ns: Vec::new(),
        card_ns: Vec::new(),
        compute_ns: 0,
        wrong: None,
    };
    let before = device.counters().during("reading the counters")?.compute_ns;
    for _ in 0..arguments.rounds {
        let mut upload = CommandList::new();
        let filled = upload.upload(&whole, matrix.as_bytes());
        filled.and_then(|()| device.run(&upload)).during("upload")?;
        let began = Instant::now();
        let completion = device.run(&list).during("factorisation")?;
        let wall = began.elapsed().as_nanos();
        figure.wall_ns.push(u64::try_from(wall).unwrap_or(u64::MAX));
        figure.card_ns.push(completion.nanos());
    }
    let after = device.counters().during("reading the counters")?.compute_ns;
    figure.compute_ns = after - before;
    let mut factor = vec![0.0_f32; matrix.len()];
    let mut download = CommandList::new();
    download
        .download(factor.as_mut_bytes(), &whole)
        .and_then(|()| device.run(&download))
        .during("download")?;
    drop(download);
    Ok((figure, factor))
}

/// The right-looking algorithm: a tile of the diagonal is factorised, the tiles
/// below are solved with it, and their products are taken off the rest.
fn factorisation(matrix: &Tensor, tile: u32) -> Result<CommandList<'static>, Error> {
    let size = matrix.shape()[0];
    let tiles = size.div_ceil(tile);
    let span = |index: u32| index * tile..size.min((index + 1) * tile);
    let at = |row: u32, column: u32| matrix.slice(0, span(row))?.slice(1, span(column));
    let mut list = CommandList::new();
    for step in 0..tiles {
        let diagonal = at(step, step)?;
        list.cholesky(&diagonal)?;
        for row in step + 1..tiles {
            list.triangular_solve(&at(row, step)?, &diagonal)?;
        }
        for row in step + 1..tiles {
            for column in step + 1..=row {
                let other = at(column, step)?.transpose(0, 1)?;
                list.matmul_subtract(&at(row, column)?, &at(row, step)?, &other)?;
            }
        }
    }
    Ok(list)
}

/// What is wrong with a factor, if anything is.
fn check(matrix: &[f32], factor: &[f32], arguments: &Arguments) -> Option<String> {
    let size = arguments.size as usize;
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let factor = Factor::new(matrix, factor, size)?;
    let signs = (0..VECTORS).try_for_each(|_| factor.check_random_signs(&mut random));
    let rows = random.choose_multiple(0..size, ROWS);
    let rows = || {
        rows.into_iter()
            .try_for_each(|row| factor.check_row(row).map(drop))
    };
    signs
        .and_then(|()| rows())
        .err()
        .map(|wrong| wrong.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use augur_client::DataType;

    #[test]
    fn a_list_has_the_commands_of_the_algorithm() {
        let matrix = Tensor::dense(0x1000, DataType::F32, 0, &[100, 100]).expect("a good shape");
        let list = factorisation(&matrix, 30).expect("tiles of the matrix");
        // Four tiles a side: 4 + 3·4/2 + (1·2 + 2·3 + 3·4)/2.
        assert_eq!(list.command_count(), 4 + 6 + 10);
    }
}
