// SPDX-License-Identifier: MIT OR Apache-2.0
//! Models of the predictor and records of accesses, through the driver.

use augur_client::prediction::{ModelScope, PredictorMode, ProfileScope, PulledModel};
use augur_client::{CommandList, Device, Error, uapi};

use crate::harness::{Options, Outcome, check};
use crate::raw::{self, RawMapping};

/// Bytes of the length that a safetensors file begins with.
const LENGTH: usize = 8;

/// Pushes and pulls models of contexts and of the card.
pub fn models(options: &Options) -> Outcome {
    let (own, other) = (options.open()?, options.open()?);
    let cards = own.pull_model(ModelScope::Card)?;
    check(!cards.file.is_empty() && cards.parameters > 0, || {
        format!("the card's model has {} parameters", cards.parameters)
    })?;
    own.push_model(ModelScope::Context, &cards.file)?;
    let mine = own.pull_model(ModelScope::Context)?;
    check(mine.file == cards.file && same(&mine, &cards), || {
        format!(
            "generation {} came back as {}",
            cards.generation, mine.generation
        )
    })?;
    poisoned(&own, &mine)?;

    // Root may give a model to another program; nobody takes over a context that is not.
    other.push_model_to(own.information().context, &cards.file)?;
    check(
        same(&other.pull_model_of(own.information().context)?, &cards),
        || "another program's model was not installed".into(),
    )?;
    check(
        other.push_model_to(u32::MAX - 1, &cards.file).is_err(),
        || "a context that does not exist got a model".into(),
    )?;

    for mode in [
        PredictorMode::Off,
        PredictorMode::Classic,
        PredictorMode::Full,
    ] {
        own.set_predictor(mode)?;
        let found = own.pull_model(ModelScope::Context)?.mode;
        check(found == Some(mode), || {
            format!("{found:?} instead of {mode:?}")
        })?;
    }
    own.set_predictor(PredictorMode::Default)?;
    let mut argument = uapi::Predictor { mode: 99, pad: 0 };
    // SAFETY: the argument holds no address.
    let asked = unsafe { raw::call(&own, &mut argument) };
    check(asked.is_err(), || "there is a predictor mode 99".into())
}

fn same(one: &PulledModel, other: &PulledModel) -> bool {
    (one.generation, one.checksum, one.parameters)
        == (other.generation, other.checksum, other.parameters)
}

/// A model that cannot be used is refused with a reason, and the one before stays.
fn poisoned(device: &Device, model: &PulledModel) -> Outcome {
    let good = &model.file;
    let with_end = |value: f32| {
        let mut file = good.clone();
        let end = file.len() - 4;
        file[end..].copy_from_slice(&value.to_le_bytes());
        file
    };
    let mut shape = good.clone();
    let turned = turn_shape(&mut shape);
    check(turned, || "the file describes no matrix".into())?;
    let mut endless = good.clone();
    endless[..LENGTH].copy_from_slice(&u64::MAX.to_le_bytes());
    let cases = [
        ("a weight that is no number", with_end(f32::NAN)),
        ("an infinite weight", with_end(f32::INFINITY)),
        ("a matrix of another shape", shape),
        ("a file cut short", good[..good.len() - 4].to_vec()),
        ("a file cut in its header", good[..LENGTH + 5].to_vec()),
        ("a header of endless length", endless),
        ("a file of zeros", vec![0; good.len()]),
        ("an empty file", Vec::new()),
        ("a file that is too large", vec![0; 2 << 20]),
    ];
    for (what, file) in cases {
        match device.push_model(ModelScope::Context, &file) {
            Err(Error::Model { reason }) => check(!reason.is_empty(), || {
                format!("{what} was refused without a reason")
            })?,
            Ok(()) => return check(false, || format!("{what} was taken")),
            Err(error) => return check(false, || format!("{what}: {error}")),
        }
    }
    let kept = device.pull_model(ModelScope::Context)?;
    check(same(&kept, model) && kept.file == *good, || {
        "a refused model changed the one that predicts".into()
    })
}

/// Turns the first matrix's shape round; answers whether there is one.
fn turn_shape(file: &mut [u8]) -> bool {
    const SHAPE: &[u8] = b"\"shape\":[";
    let starts = (0..file.len().saturating_sub(SHAPE.len()))
        .filter(|&at| file[at..].starts_with(SHAPE))
        .map(|at| at + SHAPE.len());
    for start in starts.collect::<Vec<_>>() {
        let Some(length) = file[start..].iter().position(|&byte| byte == b']') else {
            return false;
        };
        let numbers = String::from_utf8_lossy(&file[start..start + length]).into_owned();
        if let Some((rows, columns)) = numbers.split_once(',')
            && rows != columns
        {
            let turned = format!("{columns},{rows}");
            file[start..start + length].copy_from_slice(turned.as_bytes());
            return true;
        }
    }
    false
}

/// Records one context's accesses, and those of all.
pub fn profile(options: &Options) -> Outcome {
    const BYTES: u64 = 1 << 20;
    let (own, other) = (options.open()?, options.open()?);
    own.start_profile(ProfileScope::Context)?;
    other.start_profile(ProfileScope::Card)?;
    let (mine, others) = (own.create_object(BYTES)?, other.create_object(BYTES)?);
    for (device, object) in [(&own, &mine), (&other, &others)] {
        let mapping = RawMapping::new(
            device,
            object.mmap_offset(),
            BYTES as usize,
            libc::MAP_SHARED,
        )?;
        mapping.write(0, 1);
        let mut list = CommandList::new();
        list.fill(&object.byte_range(0, BYTES)?, 3)?;
        device.run(&list)?;
    }
    own.stop_profile(ProfileScope::Context)?;
    other.stop_profile(ProfileScope::Card)?;
    let (own_id, other_id) = (own.information().context, other.information().context);
    let private = own.read_profile(ProfileScope::Context)?;
    let all = other.read_profile(ProfileScope::Card)?;
    let within = |object: &augur_client::Object, address: u64| {
        (object.device_address()..object.device_address() + BYTES).contains(&address)
    };
    // At least the fault and the operand of the list.
    check(private.records.len() >= 2, || {
        format!("{} accesses of one context", private.records.len())
    })?;
    for record in &private.records {
        check(
            record.context == own_id && within(&mine, record.device_address),
            || format!("a record of another context: {record:?}"),
        )?;
    }
    for context in [own_id, other_id] {
        check(
            all.records.iter().any(|record| record.context == context),
            || {
                format!(
                    "nothing of context {context} among {} accesses",
                    all.records.len()
                )
            },
        )?;
    }
    check(!all.recording && !private.recording, || {
        "a stopped recording goes on".into()
    })?;
    let again = other.read_profile(ProfileScope::Card)?;
    check(again.records.is_empty(), || {
        format!("{} accesses were read twice", again.records.len())
    })
}
