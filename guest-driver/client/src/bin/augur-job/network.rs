// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network of many layers, submitted as one command list with one command for each
//! operation of a layer: each needs the one before, so more than one engine has work
//! only where the card divides them. Its tensors were allocated with others between them,
//! as in a program that does more than this. The same network runs on every card, the
//! first result is checked, the others must be the same bytes.

use std::time::Instant;

use augur_abi::control::CountersResponse;
use augur_client::{CommandList, DataType, Device, Error, Object, Tensor};
use clap::Args;
use serde::Serialize;
use zerocopy::IntoBytes as _;

use crate::failure::{During, Failure};

/// Added to a variance before its root is taken.
const EPSILON: f32 = 1e-5;
/// Bytes of what lies between two tensors of the network.
const BETWEEN: u64 = 256 << 10;
/// Rows of the result that are computed again, in f64.
const ROWS: usize = 4;
/// Largest difference of an element of the result, relative to it: a probability's
/// relative error is the error of its logarithm, to which each layer adds some 10⁻⁶.
const TOLERANCE: f64 = 1e-3;

/// What is computed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Arguments {
    /// Layers: layer norm, product, relu and sum each.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=500))]
    layers: u32,

    /// Rows of the input.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=8192))]
    rows: u32,

    /// Columns of the input, rows and columns of the weights.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=4096))]
    width: u32,

    /// How often it is computed on each card.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,

    /// Where the random numbers begin; the same seed gives the same network.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What the network took on one card.
#[derive(Debug, Serialize)]
struct Figure {
    layers: u32,
    rows: u32,
    width: u32,
    /// Commands of the list.
    commands: u32,
    /// From submitting the list until it had ended, in nanoseconds: each round.
    wall_ns: Vec<u64>,
    /// From the first command's start to the last one's end by the card's clock.
    card_ns: Vec<u64>,
    /// Engine time that the rounds took together, in nanoseconds.
    compute_ns: u64,
    /// Ranges of objects that engines took hold of in the last round, and the runs of
    /// device memory in which those lay.
    held_ranges: u64,
    held_runs: u64,
    /// Bytes of objects that the card moved.
    relocated_bytes: u64,
    /// What is wrong with the result, if anything is.
    wrong: Option<String>,
}

/// The numbers that go in.
struct Numbers {
    input: Vec<f32>,
    /// One matrix for each layer.
    weights: Vec<Vec<f32>>,
    scale: Vec<f32>,
    bias: Vec<f32>,
}

/// A tensor with memory of its own.
struct Own {
    object: Object,
    tensor: Tensor,
}

impl Own {
    fn create(device: &Device, shape: &[u32]) -> Result<Self, Error> {
        let elements: u64 = shape.iter().map(|&length| u64::from(length)).product();
        let object = device.create_object(elements * DataType::F32.bytes())?;
        let tensor = object.tensor(DataType::F32, 0, shape)?;
        Ok(Self { object, tensor })
    }

    fn bytes(&self) -> Result<Tensor, Error> {
        let bytes = self.tensor.elements() * DataType::F32.bytes();
        self.object.byte_range(0, bytes)
    }
}

/// A network on a card.
struct OnCard {
    input: Own,
    /// What the layers add to, what is normalised, and the products.
    sum: Own,
    normal: Own,
    product: Own,
    result: Own,
    weights: Vec<Own>,
    scale: Own,
    bias: Own,
    /// What lies between, in use as long as the network is.
    _between: Vec<Object>,
}

/// Runs the network on each card and prints a line of JSON for it; whether every result
/// was right.
///
/// # Errors
/// A card refused or failed.
pub fn run(cards: &[(usize, Device)], arguments: &Arguments) -> Result<bool, Failure> {
    let numbers = Numbers::random(arguments);
    let mut first: Option<Vec<f32>> = None;
    let mut right = true;
    for (card, device) in cards {
        let (mut figure, result) = measure(device, arguments, &numbers)?;
        figure.wrong = match &first {
            Some(first) if first.as_bytes() == result.as_bytes() => None,
            Some(_) => Some("the bytes differ from the first card's".to_owned()),
            None => numbers.check(&result, arguments),
        };
        right &= figure.wrong.is_none();
        first.get_or_insert(result);
        println!("{}", serde_json::json!({ "card": card, "figure": figure }));
    }
    Ok(right)
}

fn measure(
    device: &Device,
    arguments: &Arguments,
    numbers: &Numbers,
) -> Result<(Figure, Vec<f32>), Failure> {
    let network = OnCard::create(device, arguments).during("allocating the network")?;
    network.upload(device, numbers).during("upload")?;
    let list = network.list().during("building the list")?;
    if list.commands().len() > device.information().max_submit_bytes as usize {
        return Err(Failure::Input(format!(
            "{} commands do not fit into one list; give fewer layers",
            list.command_count()
        )));
    }
    let counters = || device.counters().during("reading the counters");
    let (mut wall_ns, mut card_ns) = (Vec::new(), Vec::new());
    let began: CountersResponse = counters()?;
    let mut last = began;
    for _ in 0..arguments.rounds {
        last = counters()?;
        let began = Instant::now();
        let completion = device.run(&list).during("the network")?;
        let wall = began.elapsed().as_nanos();
        wall_ns.push(u64::try_from(wall).unwrap_or(u64::MAX));
        card_ns.push(completion.nanos());
    }
    let ended = counters()?;
    let mut result = vec![0.0_f32; numbers.input.len()];
    let mut download = CommandList::new();
    download
        .download(
            result.as_mut_bytes(),
            &network.result.bytes().during("naming the result")?,
        )
        .and_then(|()| device.run(&download))
        .during("download")?;
    drop(download);
    let figure = Figure {
        layers: arguments.layers,
        rows: arguments.rows,
        width: arguments.width,
        commands: list.command_count(),
        wall_ns,
        card_ns,
        compute_ns: ended.compute_ns - began.compute_ns,
        held_ranges: ended.held_ranges - last.held_ranges,
        held_runs: ended.held_runs - last.held_runs,
        relocated_bytes: ended.relocated_bytes - began.relocated_bytes,
        wrong: None,
    };
    Ok((figure, result))
}

impl OnCard {
    fn create(device: &Device, arguments: &Arguments) -> Result<Self, Error> {
        let Arguments {
            layers,
            rows,
            width,
            ..
        } = *arguments;
        let mut between = Vec::new();
        let mut own = |shape: &[u32]| {
            let own = Own::create(device, shape)?;
            between.push(device.create_object(BETWEEN)?);
            Ok::<_, Error>(own)
        };
        Ok(Self {
            input: own(&[rows, width])?,
            sum: own(&[rows, width])?,
            normal: own(&[rows, width])?,
            product: own(&[rows, width])?,
            result: own(&[rows, width])?,
            weights: (0..layers)
                .map(|_| own(&[width, width]))
                .collect::<Result<_, _>>()?,
            scale: own(&[width])?,
            bias: own(&[width])?,
            _between: between,
        })
    }

    fn upload(&self, device: &Device, numbers: &Numbers) -> Result<(), Error> {
        let mut list = CommandList::new();
        list.upload(&self.input.bytes()?, numbers.input.as_bytes())?;
        for (weights, numbers) in self.weights.iter().zip(&numbers.weights) {
            list.upload(&weights.bytes()?, numbers.as_bytes())?;
        }
        list.upload(&self.scale.bytes()?, numbers.scale.as_bytes())?;
        list.upload(&self.bias.bytes()?, numbers.bias.as_bytes())?;
        device.run(&list).map(drop)
    }

    /// A command for each operation.
    fn list(&self) -> Result<CommandList<'static>, Error> {
        let (sum, normal, product) = (&self.sum.tensor, &self.normal.tensor, &self.product.tensor);
        let (scale, bias) = (&self.scale.tensor, &self.bias.tensor);
        let mut list = CommandList::new();
        list.copy(sum, &self.input.tensor)?;
        for weights in &self.weights {
            list.layer_norm(normal, sum, scale, bias, 1, EPSILON)?;
            list.matmul(product, normal, &weights.tensor, false)?;
            list.relu(product, product)?;
            list.add(sum, sum, product)?;
        }
        list.softmax(&self.result.tensor, sum, 1)?;
        Ok(list)
    }
}

impl Numbers {
    /// Weights that leave the size of what they are multiplied with as it is.
    fn random(arguments: &Arguments) -> Self {
        let mut random = fastrand::Rng::with_seed(arguments.seed);
        let mut some = |count: u32, middle: f32, around: f32| -> Vec<f32> {
            (0..count)
                .map(|_| middle + (random.f32() * 2.0 - 1.0) * around)
                .collect()
        };
        let (rows, width) = (arguments.rows, arguments.width);
        let around = (3.0 / width as f32).sqrt();
        Self {
            input: some(rows * width, 0.0, 1.0),
            weights: (0..arguments.layers)
                .map(|_| some(width * width, 0.0, around))
                .collect(),
            scale: some(width, 1.0, 0.1),
            bias: some(width, 0.0, 0.1),
        }
    }

    /// What is wrong with a result, if anything is.
    fn check(&self, result: &[f32], arguments: &Arguments) -> Option<String> {
        let width = arguments.width as usize;
        let mut random = fastrand::Rng::with_seed(arguments.seed);
        let rows = random.choose_multiple(0..arguments.rows as usize, ROWS);
        rows.into_iter().find_map(|row| {
            let wanted = self.row(row, width);
            let found = result.get(row * width..(row + 1) * width)?;
            let mut both = wanted.iter().zip(found).enumerate();
            let (column, (wanted, found)) = both.find(|(_, (wanted, found))| {
                let off = (f64::from(**found) - **wanted).abs();
                off.is_nan() || off > TOLERANCE * **wanted
            })?;
            Some(format!(
                "row {row}, column {column} is {found}, not {wanted}"
            ))
        })
    }

    /// A row of the result: none needs another.
    fn row(&self, row: usize, width: usize) -> Vec<f64> {
        let input = self.input.iter().skip(row * width).take(width);
        let mut sum: Vec<f64> = input.map(|&it| f64::from(it)).collect();
        for weights in &self.weights {
            let count = width as f64;
            let mean = sum.iter().sum::<f64>() / count;
            let variance = sum.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / count;
            let root = (variance + f64::from(EPSILON)).sqrt();
            let mut product = vec![0.0; width];
            let scaled = self.scale.iter().zip(&self.bias);
            for ((it, (&scale, &bias)), weights) in
                sum.iter().zip(scaled).zip(weights.chunks_exact(width))
            {
                let normal = (it - mean) / root * f64::from(scale) + f64::from(bias);
                for (product, &weight) in product.iter_mut().zip(weights) {
                    *product += normal * f64::from(weight);
                }
            }
            for (sum, product) in sum.iter_mut().zip(product) {
                *sum += product.max(0.0);
            }
        }
        let largest = sum.iter().copied().fold(f64::MIN, f64::max);
        let powers: Vec<f64> = sum.iter().map(|it| (it - largest).exp()).collect();
        let all: f64 = powers.iter().sum();
        powers.into_iter().map(|it| it / all).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_compared_with_rows_computed_in_full() {
        let arguments = Arguments {
            layers: 2,
            rows: 4,
            width: 8,
            rounds: 1,
            seed: 3,
        };
        let numbers = Numbers::random(&arguments);
        let rows = (0..4).flat_map(|row| numbers.row(row, 8));
        let mut result: Vec<f32> = rows.map(|it| it as f32).collect();
        for row in result.chunks(8) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        assert_eq!(numbers.check(&result, &arguments), None);
        // All four rows are among those that are computed.
        result[9] *= 1.01;
        let wrong = numbers.check(&result, &arguments).unwrap_or_default();
        assert!(wrong.starts_with("row 1, column 1 is "), "{wrong}");
        result[9] = f32::NAN;
        assert!(numbers.check(&result, &arguments).is_some());
    }
}
