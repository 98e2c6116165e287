// SPDX-License-Identifier: MIT OR Apache-2.0
//! Malformed lists: each gets its status, nothing of it is executed, and the
//! card goes on.

use std::mem::offset_of;

use augur_abi::command::{ReduceParams, SoftmaxParams};
use augur_abi::{CommandHeader, Conv2dParams, MatmulParams, Operand, ResampleParams, Status};
use augur_client::{CommandList, Convolution, DataType, Device, Object, ReduceKind, Tensor};

use crate::harness::{Options, Outcome, While, check, check_status};
use crate::raw::{self, Taken};

/// Refused by the driver, which checks that commands fill the list.
const STRUCTURE: &[Taken] = &[Taken::Refused(libc::EINVAL)];
const INVALID: &[Taken] = &[Taken::Ended(Status::Invalid.code(), 1)];
const BAD_OPERAND: &[Taken] = &[Taken::Ended(Status::BadOperand.code(), 1)];
const NO_OBJECT: &[Taken] = &[Taken::Ended(Status::NoObject.code(), 1)];
/// An operand that is in no object, because it wraps around.
const NOWHERE: &[Taken] = &[
    Taken::Ended(Status::NoObject.code(), 1),
    Taken::Ended(Status::BadOperand.code(), 1),
];
/// Where the datasheet leaves it open which of the two a field's value is.
const EITHER: &[Taken] = &[
    Taken::Ended(Status::Invalid.code(), 1),
    Taken::Ended(Status::BadOperand.code(), 1),
];

/// A list whose first command is good and whose second is made bad.
struct Victim<'a> {
    device: &'a Device,
    object: &'a Object,
    /// Written by the first command.
    witness: Tensor,
    commands: Vec<u8>,
    /// Where the second command begins.
    second: usize,
}

impl<'a> Victim<'a> {
    fn new(
        device: &'a Device,
        object: &'a Object,
        second: impl FnOnce(&mut CommandList<'static>) -> Result<(), augur_client::Error>,
    ) -> Result<Self, augur_client::Error> {
        let witness = object.byte_range(0, 64)?;
        let mut list = CommandList::new();
        list.fill(&witness, 0xff)?;
        let at = list.commands().len();
        second(&mut list)?;
        Ok(Self {
            device,
            object,
            witness,
            commands: list.commands().to_vec(),
            second: at,
        })
    }

    /// Writes `bytes` at `offset` of the second command and expects one of the
    /// answers, and that the first command was not executed.
    fn with(&self, what: &str, offset: usize, bytes: &[u8], expected: &[Taken]) -> Outcome {
        let mut commands = self.commands.clone();
        let at = self.second + offset;
        if let Some(place) = commands.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.submit(what, &commands, 2, expected)
    }

    fn submit(&self, what: &str, commands: &[u8], count: u32, expected: &[Taken]) -> Outcome {
        let mut clear = CommandList::new();
        clear.fill(&self.witness, 0)?;
        self.device.run(&clear)?;
        let taken = raw::run_list(self.device, commands, count).while_doing(|| what.into())?;
        check(expected.contains(&taken), || {
            format!("{what}: {taken:?}, expected one of {expected:?}")
        })?;
        let mut read = [0xee; 64];
        let mut list = CommandList::new();
        list.download(&mut read, &self.object.byte_range(0, 64)?)?;
        self.device
            .run(&list)
            .while_doing(|| format!("after {what}"))?;
        check(read == [0; 64], || {
            format!("{what}: the command before it was executed")
        })
    }
}

/// Makes one field after another wrong.
pub fn run(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(1 << 20)?;
    headers(&device, &object)?;
    operands(&device, &object)?;
    parameters(&device, &object)?;
    overlaps(&device, &object)?;
    rows_outside_the_table(&device, &object)
}

fn headers(device: &Device, object: &Object) -> Outcome {
    let (a, b) = (object.byte_range(4096, 100)?, object.byte_range(8192, 100)?);
    let victim = Victim::new(device, object, |list| list.copy(&a, &b))?;
    let opcode = offset_of!(CommandHeader, opcode);
    victim.with("opcode 0", opcode, &[0, 0], INVALID)?;
    victim.with("opcode 99", opcode, &[99, 0], INVALID)?;
    let count = offset_of!(CommandHeader, operand_count);
    for operands in [0, 1, 3, 255] {
        victim.with(
            &format!("{operands} operands"),
            count,
            &[operands, 0],
            INVALID,
        )?;
    }
    let bytes = offset_of!(CommandHeader, bytes);
    for wrong in [0_u32, 7, 12, 1 << 30, u32::MAX] {
        let what = format!("a command of {wrong} bytes");
        victim.with(&what, bytes, &wrong.to_le_bytes(), STRUCTURE)?;
    }
    victim.submit("one command too few", &victim.commands, 1, STRUCTURE)?;
    victim.submit("one command too many", &victim.commands, 3, STRUCTURE)?;
    victim.submit("2^32 - 1 commands", &victim.commands, u32::MAX, STRUCTURE)?;
    let short = &victim.commands[..victim.commands.len() - 8];
    victim.submit("a list cut short", short, 2, STRUCTURE)
}

fn operands(device: &Device, object: &Object) -> Outcome {
    let (a, b) = (
        object.tensor(DataType::I16, 4096, &[10, 10])?,
        object.tensor(DataType::I16, 8192, &[10, 10])?,
    );
    let victim = Victim::new(device, object, |list| list.copy(&a, &b))?;
    let operand =
        |index: usize, field: usize| CommandHeader::BYTES + index * Operand::BYTES + field;
    let address = |index| operand(index, offset_of!(Operand, address));
    let end = object.device_address() + object.bytes();
    for (what, value, expected) in [
        ("an odd address of i16", a.device_address() + 1, EITHER),
        ("address 0", 0, NO_OBJECT),
        ("the last address", u64::MAX - 1, NOWHERE),
        ("the address behind the object", end, NO_OBJECT),
        (
            "an operand that ends behind the object",
            end - 100,
            BAD_OPERAND,
        ),
    ] {
        for index in [0, 1] {
            let what = format!("{what} (operand {index})");
            victim.with(&what, address(index), &value.to_le_bytes(), expected)?;
        }
    }
    let data_type = operand(1, offset_of!(Operand, data_type));
    victim.with("data type 0", data_type, &[0], EITHER)?;
    victim.with("data type 77", data_type, &[77], EITHER)?;
    victim.with(
        "two data types",
        data_type,
        &[DataType::U8.code()],
        BAD_OPERAND,
    )?;
    let rank = operand(1, offset_of!(Operand, rank));
    for wrong in [0, 1, 3, 7, 255] {
        victim.with(&format!("rank {wrong}"), rank, &[wrong], EITHER)?;
    }
    victim.with(
        "reserved byte",
        operand(1, offset_of!(Operand, reserved)),
        &[1],
        EITHER,
    )?;
    let shape = operand(1, offset_of!(Operand, shape));
    victim.with("no elements", shape, &0_u32.to_le_bytes(), EITHER)?;
    victim.with("another shape", shape, &9_u32.to_le_bytes(), BAD_OPERAND)?;
    victim.with("shape behind the rank", shape + 8, &[1], EITHER)?;
    let stride = operand(1, offset_of!(Operand, stride));
    victim.with(
        "an odd stride of i16",
        stride,
        &21_u64.to_le_bytes(),
        EITHER,
    )?;
    victim.with(
        "a stride that overflows",
        stride,
        &(1_u64 << 63).to_le_bytes(),
        BAD_OPERAND,
    )?;
    victim.with(
        "a stride out of the object",
        stride,
        &(1_u64 << 19).to_le_bytes(),
        BAD_OPERAND,
    )?;
    victim.with("stride behind the rank", stride + 16, &[2], EITHER)?;
    let destination = operand(0, offset_of!(Operand, stride));
    victim.with(
        "a destination on itself",
        destination,
        &0_u64.to_le_bytes(),
        BAD_OPERAND,
    )?;
    let big = [u32::MAX.to_le_bytes(), u32::MAX.to_le_bytes()].concat();
    victim.with("2^64 elements", shape, &big, EITHER)
}

fn parameters(device: &Device, object: &Object) -> Outcome {
    let image = |at| object.tensor(DataType::U8, at, &[1, 8, 8, 2]);
    let weights = object.tensor(DataType::I16, 16_384, &[3, 3, 2, 2])?;
    let (a, b) = (image(4096)?, image(8192)?);
    let same = Convolution::same_size(3, 3);
    let victim = Victim::new(device, object, |list| list.conv2d(&a, &b, &weights, &same))?;
    let field = |offset| CommandHeader::BYTES + offset;
    for (what, offset, value) in [
        ("a stride of 0", offset_of!(Conv2dParams, stride_y), 0_u16),
        (
            "a stride of 2 for the same size",
            offset_of!(Conv2dParams, stride_x),
            2,
        ),
        (
            "65535 rows of padding",
            offset_of!(Conv2dParams, pad_top),
            u16::MAX,
        ),
        ("no groups", offset_of!(Conv2dParams, groups), 0),
        (
            "three groups of two channels",
            offset_of!(Conv2dParams, groups),
            3,
        ),
        ("a shift of 25", offset_of!(Conv2dParams, shift), 25),
        ("an unknown flag", offset_of!(Conv2dParams, flags), 4),
    ] {
        victim.with(
            &format!("conv2d with {what}"),
            field(offset),
            &value.to_le_bytes(),
            EITHER,
        )?;
    }
    let half = object.tensor(DataType::U8, 12_288, &[1, 4, 4, 2])?;
    let victim = Victim::new(device, object, |list| list.resample(&half, &b, 2))?;
    let factor = field(offset_of!(ResampleParams, factor));
    for wrong in [0_u32, 1, 3, 17, u32::MAX] {
        let what = format!("resample by {wrong}");
        victim.with(&what, factor, &wrong.to_le_bytes(), EITHER)?;
    }
    victim.with("resample, padding", factor + 4, &[1], EITHER)?;
    let victim = Victim::new(device, object, |list| {
        let sums = object.tensor(DataType::F32, 8192, &[1, 4])?;
        list.reduce(
            &sums,
            &object.tensor(DataType::F32, 4096, &[4, 4])?,
            0,
            ReduceKind::Sum,
        )
    })?;
    for (what, offset, wrong) in [
        (
            "along dimension 2 of 2",
            offset_of!(ReduceParams, axis),
            2_u32,
        ),
        (
            "along dimension 2^32 - 1",
            offset_of!(ReduceParams, axis),
            u32::MAX,
        ),
        (
            "along the other dimension",
            offset_of!(ReduceParams, axis),
            1,
        ),
        ("of kind 3", offset_of!(ReduceParams, kind), 3),
    ] {
        let bytes = wrong.to_le_bytes();
        victim.with(&format!("reduce {what}"), field(offset), &bytes, EITHER)?;
    }
    let victim = Victim::new(device, object, |list| {
        let square = object.tensor(DataType::F32, 4096, &[4, 4])?;
        list.softmax(&square, &square, 0)
    })?;
    let axis = field(offset_of!(SoftmaxParams, axis));
    victim.with("softmax along dimension 2 of 2", axis, &[2], EITHER)?;
    victim.with("softmax, padding", axis + 4, &[1], EITHER)?;
    let square = |at| object.tensor(DataType::F32, at, &[4, 4]);
    let (c, d, e) = (square(4096)?, square(8192)?, square(12_288)?);
    let victim = Victim::new(device, object, |list| list.matmul(&c, &d, &e, false))?;
    victim.with(
        "matmul, an unknown flag",
        field(offset_of!(MatmulParams, flags)),
        &[128],
        EITHER,
    )?;
    let byte = object.byte_range(4096, 1)?;
    let victim = Victim::new(device, object, |list| list.fill(&byte, 1))?;
    victim.with(
        "fill with more than a byte",
        CommandHeader::BYTES + 1,
        &[1],
        EITHER,
    )
}

fn overlaps(device: &Device, object: &Object) -> Outcome {
    let bytes = |at| object.byte_range(at, 100);
    let (a, b, shifted) = (bytes(4096)?, bytes(8192)?, bytes(4096 + 50)?);
    let victim = Victim::new(device, object, |list| list.add(&a, &b, &shifted))?;
    victim.with("add into an overlapping source", 0, &[], BAD_OPERAND)?;
    let square = |at| object.tensor(DataType::F32, at, &[4, 4]);
    let (c, d) = (square(4096)?, square(8192)?);
    let victim = Victim::new(device, object, |list| list.matmul(&c, &c, &d, false))?;
    victim.with("matmul into its source", 0, &[], BAD_OPERAND)
}

/// Indices are the card's only numbers that are found in device memory: one
/// that names no row fails its command while it runs, and nothing else.
fn rows_outside_the_table(device: &Device, object: &Object) -> Outcome {
    let table = object.tensor(DataType::F32, 4096, &[8, 16])?;
    let listed = object.tensor(DataType::F32, 8192, &[2, 16])?;
    // Others than those above: what reads a failed command's result fails too.
    let target = object.tensor(DataType::F32, 16_384, &[8, 16])?;
    let source = object.tensor(DataType::F32, 20_480, &[2, 16])?;
    let place = object.byte_range(12288, 8)?;
    let indices = object.tensor(DataType::I32, 12288, &[2])?;
    for wrong in [-1, 8, i32::MIN, i32::MAX] {
        let bytes: Vec<u8> = [3, wrong].into_iter().flat_map(i32::to_le_bytes).collect();
        let mut upload = CommandList::new();
        upload.upload(&place, &bytes)?;
        device.run(&upload)?;
        let mut gather = CommandList::new();
        gather.gather(&listed, &table, &indices)?;
        let what = format!("gather of row {wrong} of 8");
        check_status(device.run(&gather), Status::BadOperand, &what)?;
        // A table keeps the rows that are not named, so it is read as well.
        let mut scatter = CommandList::new();
        scatter.fill(&target, 0)?;
        scatter.scatter(&target, &source, &indices)?;
        let what = format!("scatter to row {wrong} of 8");
        check_status(device.run(&scatter), Status::BadOperand, &what)?;
    }
    let bytes: Vec<u8> = [3, 7].into_iter().flat_map(i32::to_le_bytes).collect();
    let mut good = CommandList::new();
    good.upload(&place, &bytes)?;
    good.fill(&target, 0)?;
    good.scatter(&target, &source, &indices)?;
    good.gather(&listed, &table, &indices)?;
    device
        .run(&good)
        .while_doing(|| "good commands after bad ones".into())?;
    Ok(())
}
