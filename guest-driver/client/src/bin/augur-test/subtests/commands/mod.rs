// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every command on random shapes and strides. The whole object is compared
//! with a model of it afterwards, so that a byte written beside the
//! destination is found too.

mod case;
mod elements;
mod images;
mod lines;
mod model;
mod products;
mod tables;

use augur_client::{CommandList, Device, Error, Object};

use crate::harness::{Failure, Options, Outcome, While};
use case::{BYTES, Case, Contents};

/// Commands of each kind.
const ROUNDS: u32 = 25;

/// A kind of command: what memory holds before it, and what puts one random
/// command into the list and into the model.
struct Kind {
    name: &'static str,
    contents: Contents,
    make: fn(&mut Case<'_>) -> Result<(), Error>,
}

const fn kind(
    name: &'static str,
    contents: Contents,
    make: fn(&mut Case<'_>) -> Result<(), Error>,
) -> Kind {
    Kind {
        name,
        contents,
        make,
    }
}

const KINDS: [Kind; 17] = [
    kind("copy", Contents::Bytes, elements::copy),
    kind("fill", Contents::Bytes, elements::fill),
    kind("conv2d u8", Contents::Bytes, images::conv2d_u8),
    kind("conv2d f32", Contents::Floats, images::conv2d_f32),
    kind("resample", Contents::Floats, images::resample),
    kind("add and multiply", Contents::Floats, elements::binary),
    kind("relu", Contents::Floats, elements::relu),
    kind("scale", Contents::Floats, elements::scale),
    kind("matmul f32", Contents::Floats, products::f32),
    kind("matmul bf16", Contents::Bfloats, products::bf16),
    kind("matmul i8", Contents::Bytes, products::i8),
    kind("transpose", Contents::Bytes, elements::transpose),
    kind("reduce", Contents::Floats, lines::reduce),
    kind("softmax", Contents::Floats, lines::softmax),
    kind("layer_norm", Contents::Floats, lines::layer_norm),
    kind("gather", Contents::Floats, tables::gather),
    kind("scatter", Contents::Floats, tables::scatter),
];

/// Runs random commands of each kind.
pub fn run(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(BYTES)?;
    for (number, kind) in (10..).zip(&KINDS) {
        let mut numbers = options.random(number);
        for round in 0..ROUNDS {
            let mut case = Case::new(&object, &mut numbers, kind.contents);
            (kind.make)(&mut case)?;
            let what = format!("{}, round {round}: {}", kind.name, case.described());
            upload(&device, &object, case.model.initial())?;
            device.run(&case.list).while_doing(|| what.clone())?;
            let after = download(&device, &object)?;
            case.model.compare(&after).while_doing(|| what)?;
        }
    }
    Ok(())
}

fn upload(device: &Device, object: &Object, bytes: &[u8]) -> Outcome {
    let mut list = CommandList::new();
    list.upload(&object.byte_range(0, BYTES)?, bytes)?;
    device.run(&list)?;
    Ok(())
}

fn download(device: &Device, object: &Object) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; BYTES as usize];
    let mut list = CommandList::new();
    list.download(&mut bytes, &object.byte_range(0, BYTES)?)?;
    device.run(&list)?;
    Ok(bytes)
}
