// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every command on random shapes and strides. The whole object is compared
//! with a model of it afterwards, so that a byte written beside the
//! destination is found too.

mod model;

use augur_client::{CommandList, Convolution, DataType, Device, Error, Object, Tensor};

use crate::harness::{Options, Outcome, While};
use crate::pattern;
use model::Model;

/// Bytes of the object: an arena for the destination and two for sources.
const ARENA: u64 = 96 << 10;
const BYTES: u64 = 3 * ARENA;
/// Commands of each kind.
const ROUNDS: u32 = 25;

/// One random command: it goes into a list and into the model.
type Make = fn(&mut Random<'_>, &mut CommandList<'static>, &mut Model) -> Result<String, Error>;

/// Runs random commands of each kind.
pub fn run(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(BYTES)?;
    let kinds: [(&str, Make); 9] = [
        ("copy", copy),
        ("fill", fill),
        ("conv2d u8", conv2d_u8),
        ("conv2d f32", conv2d_f32),
        ("resample", resample),
        ("add and multiply", binary),
        ("relu", relu),
        ("scale", scale),
        ("matmul", matmul),
    ];
    for (kind, (name, make)) in (10..).zip(kinds) {
        let mut random = Random {
            numbers: options.random(kind),
            object: &object,
        };
        for round in 0..ROUNDS {
            let float = !matches!(name, "copy" | "fill" | "conv2d u8");
            let mut model = random.contents(float);
            let mut list = CommandList::new();
            let before = model.bytes().to_vec();
            upload(&device, &object, &before)?;
            let described = make(&mut random, &mut list, &mut model)?;
            let what = || format!("{name}, round {round}: {described}");
            device.run(&list).while_doing(what)?;
            let after = download(&device, &object)?;
            model.compare(&after, &before).while_doing(what)?;
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

fn download(device: &Device, object: &Object) -> Result<Vec<u8>, crate::harness::Failure> {
    let mut bytes = vec![0; BYTES as usize];
    let mut list = CommandList::new();
    list.download(&mut bytes, &object.byte_range(0, BYTES)?)?;
    device.run(&list)?;
    Ok(bytes)
}

/// Random contents, shapes and views.
struct Random<'a> {
    numbers: fastrand::Rng,
    object: &'a Object,
}

impl Random<'_> {
    /// Random bytes, or random moderate f32.
    fn contents(&mut self, float: bool) -> Model {
        let bytes = if float {
            let mut word = || (self.numbers.f32() * 4.0 - 2.0).to_le_bytes();
            (0..BYTES / 4).flat_map(|_| word()).collect()
        } else {
            pattern::bytes(self.numbers.u64(..), BYTES as usize)
        };
        Model::new(self.object.device_address(), bytes)
    }

    fn shape(&mut self, rank: usize, largest: u32) -> Vec<u32> {
        (0..rank).map(|_| self.numbers.u32(1..=largest)).collect()
    }

    /// A view of `shape` in an arena: of a larger tensor, with steps, from an
    /// odd place.
    fn view(&mut self, arena: u64, data_type: DataType, shape: &[u32]) -> Result<Tensor, Error> {
        let dense: u64 = shape.iter().map(|&extent| u64::from(extent)).product();
        let mut room = ARENA / data_type.bytes() / dense.max(1);
        let mut whole = Vec::new();
        let mut cuts = Vec::new();
        for &extent in shape {
            let step = if room >= 4 {
                self.numbers.u32(1..=2)
            } else {
                1
            };
            let extra = if room >= 16 {
                self.numbers.u32(0..=extent)
            } else {
                0
            };
            let full = extent * step + extra;
            room = room * u64::from(extent) / u64::from(full).max(1);
            cuts.push((self.numbers.u32(0..=extra), extent, step));
            whole.push(full);
        }
        let elements: u64 = whole.iter().map(|&extent| u64::from(extent)).product();
        let slack = ARENA / data_type.bytes() - elements;
        let offset = arena * ARENA + self.numbers.u64(0..=slack.min(5000)) * data_type.bytes();
        let mut view = self.object.tensor(data_type, offset, &whole)?;
        for (dimension, (first, extent, step)) in cuts.into_iter().enumerate() {
            view = view.slice(dimension, first..first + (extent - 1) * step + 1)?;
            view = view.every(dimension, step)?;
        }
        Ok(view)
    }

    /// A type that copies and fills take.
    fn any_type(&mut self) -> DataType {
        DataType::ALL[self.numbers.usize(..DataType::ALL.len())]
    }

    fn byte_or_float(&mut self) -> DataType {
        if self.numbers.bool() {
            DataType::U8
        } else {
            DataType::F32
        }
    }
}

fn copy(
    random: &mut Random<'_>,
    list: &mut CommandList<'static>,
    model: &mut Model,
) -> Result<String, Error> {
    let data_type = random.any_type();
    let rank = random.numbers.usize(1..=6);
    let largest = [900, 60, 14, 8, 5, 4][rank - 1];
    let shape = random.shape(rank, largest);
    let destination = random.view(0, data_type, &shape)?;
    // Sometimes the source overlaps the destination.
    let arena = random.numbers.u64(0..=1);
    let mut source = random.view(arena, data_type, &shape)?;
    if arena == 1 && rank >= 2 {
        let mut turned = shape.clone();
        turned.swap(0, rank - 1);
        source = random
            .view(arena, data_type, &turned)?
            .transpose(0, rank - 1)?;
    }
    list.copy(&destination, &source)?;
    model.copy(&destination, &source);
    Ok(format!("{destination:?} from {source:?}"))
}

fn fill(
    random: &mut Random<'_>,
    list: &mut CommandList<'static>,
    model: &mut Model,
) -> Result<String, Error> {
    let data_type = random.any_type();
    let shape = random.shape(3, 12);
    let destination = random.view(0, data_type, &shape)?;
    let value = random.numbers.u64(..) >> (64 - 8 * data_type.bytes());
    list.fill(&destination, value)?;
    model.fill(&destination, value);
    Ok(format!("{destination:?} with {value:#x}"))
}

/// A random convolution with the shapes of source, weights and destination.
fn convolution(random: &mut Random<'_>) -> (Convolution, [Vec<u32>; 3]) {
    let numbers = &mut random.numbers;
    let groups = numbers.u16(1..=3);
    let (inputs, outputs) = (numbers.u32(1..=2), numbers.u32(1..=2));
    let [kernel_height, kernel_width] = [numbers.u32(1..=5), numbers.u32(1..=5)];
    let [batch, height, width] = [numbers.u32(1..=2), numbers.u32(5..=20), numbers.u32(5..=20)];
    let convolution = Convolution {
        stride: [numbers.u16(1..=3), numbers.u16(1..=3)],
        pad_rows: [numbers.u16(0..=3), numbers.u16(0..=3)],
        pad_columns: [numbers.u16(0..=3), numbers.u16(0..=3)],
        repeat_edge: numbers.bool(),
        groups,
        shift: 0,
        absolute: numbers.bool(),
        bias: 0,
    };
    let outputs_of = |extent: u32, pad: [u16; 2], kernel: u32, stride: u16| {
        (extent + u32::from(pad[0]) + u32::from(pad[1]) - kernel) / u32::from(stride) + 1
    };
    let groups = u32::from(groups);
    let to_height = outputs_of(
        height,
        convolution.pad_rows,
        kernel_height,
        convolution.stride[0],
    );
    let to_width = outputs_of(
        width,
        convolution.pad_columns,
        kernel_width,
        convolution.stride[1],
    );
    let shapes = [
        vec![batch, height, width, inputs * groups],
        vec![kernel_height, kernel_width, inputs, outputs * groups],
        vec![batch, to_height, to_width, outputs * groups],
    ];
    (convolution, shapes)
}

fn conv2d_u8(
    random: &mut Random<'_>,
    list: &mut CommandList<'static>,
    model: &mut Model,
) -> Result<String, Error> {
    let (convolution, [source, weights, destination]) = convolution(random);
    let convolution = Convolution {
        shift: random.numbers.u16(0..=24),
        bias: random.numbers.i32(-70_000..70_000).cast_unsigned(),
        ..convolution
    };
    let source = random.view(1, DataType::U8, &source)?;
    let weights = random.view(2, DataType::I16, &weights)?;
    let destination = random.view(0, DataType::U8, &destination)?;
    list.conv2d(&destination, &source, &weights, &convolution)?;
    model.conv2d_u8(&destination, &source, &weights, &convolution);
    Ok(format!(
        "{convolution:?} {destination:?} {source:?} {weights:?}"
    ))
}

fn conv2d_f32(
    random: &mut Random<'_>,
    list: &mut CommandList<'static>,
    model: &mut Model,
) -> Result<String, Error> {
    let (convolution, [source, weights, destination]) = convolution(random);
    let convolution = Convolution {
        bias: random.numbers.f32().to_bits(),
        ..convolution
    };
    let source = random.view(1, DataType::F32, &source)?;
    let weights = random.view(2, DataType::F32, &weights)?;
    let destination = random.view(0, DataType::F32, &destination)?;
    list.conv2d(&destination, &source, &weights, &convolution)?;
    model.conv2d_f32(&destination, &source, &weights, &convolution);
    Ok(format!(
        "{convolution:?} {destination:?} {source:?} {weights:?}"
    ))
}

fn resample(
    random: &mut Random<'_>,
    list: &mut CommandList<'static>,
    model: &mut Model,
) -> Result<String, Error> {
    let data_type = random.byte_or_float();
    let numbers = &mut random.numbers;
    let factor = numbers.u32(2..=5);
    let [batch, height, width, channels] = [
        numbers.u32(1..=2),
        numbers.u32(1..=9),
        numbers.u32(1..=9),
        numbers.u32(1..=3),
    ];
    let larger = |extent, odd| extent * factor + odd;
    let (odd_row, odd_column) = (numbers.u32(0..factor), numbers.u32(0..factor));
    let from = [
        batch,
        larger(height, odd_row),
        larger(width, odd_column),
        channels,
    ];
    let source = random.view(1, data_type, &from)?;
    let destination = random.view(0, data_type, &[batch, height, width, channels])?;
    list.resample(&destination, &source, factor)?;
    model.resample(&destination, &source, factor);
    Ok(format!("by {factor}: {destination:?} from {source:?}"))
}

fn binary(
    random: &mut Random<'_>,
    list: &mut CommandList<'static>,
    model: &mut Model,
) -> Result<String, Error> {
    let data_type = random.byte_or_float();
    let shape = random.shape(3, 14);
    let destination = random.view(0, data_type, &shape)?;
    let a = random.view(1, data_type, &shape)?;
    let in_place = random.numbers.bool();
    let b = if in_place {
        destination
    } else {
        random.view(2, data_type, &shape)?
    };
    if random.numbers.bool() {
        list.add(&destination, &a, &b)?;
        model.binary(&destination, &a, &b, u8::saturating_add, |a, b| a + b);
        Ok(format!("add {destination:?} {a:?} {b:?}"))
    } else {
        list.multiply(&destination, &a, &b)?;
        model.binary(&destination, &a, &b, u8::saturating_mul, |a, b| a * b);
        Ok(format!("multiply {destination:?} {a:?} {b:?}"))
    }
}

fn relu(
    random: &mut Random<'_>,
    list: &mut CommandList<'static>,
    model: &mut Model,
) -> Result<String, Error> {
    let shape = random.shape(2, 90);
    let (destination, source) = (
        random.view(0, DataType::F32, &shape)?,
        random.view(1, DataType::F32, &shape)?,
    );
    list.relu(&destination, &source)?;
    model.unary(&destination, &source, |value| value.max(0.0));
    Ok(format!("{destination:?} from {source:?}"))
}

fn scale(
    random: &mut Random<'_>,
    list: &mut CommandList<'static>,
    model: &mut Model,
) -> Result<String, Error> {
    let shape = random.shape(2, 90);
    let (destination, source) = (
        random.view(0, DataType::F32, &shape)?,
        random.view(1, DataType::F32, &shape)?,
    );
    let (factor, bias) = (random.numbers.f32() * 9.0 - 4.5, random.numbers.f32());
    list.scale(&destination, &source, factor, bias)?;
    model.unary(&destination, &source, |value| value * factor + bias);
    Ok(format!(
        "by {factor} plus {bias}: {destination:?} from {source:?}"
    ))
}

fn matmul(
    random: &mut Random<'_>,
    list: &mut CommandList<'static>,
    model: &mut Model,
) -> Result<String, Error> {
    let [rows, inner, columns] = [0; 3].map(|_| random.numbers.u32(1..=70));
    let a = if random.numbers.bool() {
        random.view(1, DataType::F32, &[rows, inner])?
    } else {
        random
            .view(1, DataType::F32, &[inner, rows])?
            .transpose(0, 1)?
    };
    let b = random.view(2, DataType::F32, &[inner, columns])?;
    let destination = random.view(0, DataType::F32, &[rows, columns])?;
    let accumulate = random.numbers.bool();
    list.matmul(&destination, &a, &b, accumulate)?;
    model.matmul(&destination, &a, &b, accumulate);
    Ok(format!(
        "accumulate {accumulate}: {destination:?} = {a:?} * {b:?}"
    ))
}
