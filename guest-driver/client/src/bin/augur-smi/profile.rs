// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur-smi profile`: what the card knows of the accesses of all programs, as a
//! trace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use augur_abi::predict::PROFILE_WRITE;
use augur_client::Device;
use augur_client::prediction::{Profile, ProfileRecord, ProfileScope};
use clap::Subcommand;

use crate::Failure;

/// The first line of a trace.
const HEADER: &str = "time_ns,stream,op,offset,bytes";
/// log2 of the distance between the addresses of two contexts in a trace.
const CONTEXT_SHIFT: u32 = 40;

/// What is done with the profile.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Begin to record; what was recorded before is dropped.
    Start,
    /// Stop to record; what was recorded stays until it is saved.
    Stop,
    /// Write what was recorded since the last save as a trace of
    /// time_ns,stream,op,offset,bytes. A stream is a context; the addresses of
    /// contexts are 2^40 apart. A card keeps 65,536 accesses.
    Save {
        /// The file, - for standard output.
        file: PathBuf,
    },
}

/// Does it; returns what there is to say.
///
/// # Errors
/// The card refused, or the file cannot be written.
pub fn run(device: &Device, action: &Action) -> Result<String, Failure> {
    match action {
        Action::Start => {
            device.start_profile(ProfileScope::Card)?;
            Ok(format!("{}: recording\n", device.path().display()))
        }
        Action::Stop => {
            device.stop_profile(ProfileScope::Card)?;
            Ok(format!("{}: stopped\n", device.path().display()))
        }
        Action::Save { file } => {
            let profile = save(device, file)?;
            if profile.lost > 0 {
                eprintln!("augur-smi: {} older accesses are lost", profile.lost);
            }
            if file == Path::new("-") {
                return Ok(String::new());
            }
            let count = profile.records.len();
            Ok(format!("{}: {count} accesses\n", file.display()))
        }
    }
}

/// Takes the records and writes them; the file is whole, or what was there before. The card
/// gives them once, so that the file is begun before.
fn save(device: &Device, file: &Path) -> Result<Profile, Failure> {
    let failed = |source| Failure::System {
        what: file.display().to_string(),
        source,
    };
    if file == Path::new("-") {
        let profile = device.read_profile(ProfileScope::Card)?;
        write(&profile.records, io::stdout().lock()).map_err(failed)?;
        return Ok(profile);
    }
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let begun = File::create(Path::new(&partial)).map_err(failed)?;
    let profile = device.read_profile(ProfileScope::Card)?;
    write(&profile.records, BufWriter::new(begun))
        .and_then(|()| fs::rename(partial, file))
        .map_err(failed)?;
    Ok(profile)
}

fn write(records: &[ProfileRecord], mut to: impl Write) -> io::Result<()> {
    writeln!(to, "{HEADER}")?;
    let mut places = BTreeMap::new();
    let mut time = 0;
    for record in records {
        // Threads of the card note accesses a little out of order.
        time = record.time_ns.max(time);
        let next = (places.len() as u64).min((1 << (48 - CONTEXT_SHIFT)) - 1);
        let place = *places.entry(record.context).or_insert(next);
        let within = record.device_address & ((1 << CONTEXT_SHIFT) - 1);
        let operation = if record.flags & PROFILE_WRITE == 0 {
            'r'
        } else {
            'w'
        };
        writeln!(
            to,
            "{time},{place},{operation},{},{}",
            place << CONTEXT_SHIFT | within,
            record.bytes
        )?;
    }
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_become_streams_with_addresses_of_their_own() {
        let record = |time_ns, context, flags| ProfileRecord {
            time_ns,
            device_address: 0x20_0000,
            bytes: 4096,
            source: 1,
            flags,
            context,
        };
        let mut text = Vec::new();
        write(
            &[record(5, 7, 0), record(3, 9, 1), record(6, 7, 0)],
            &mut text,
        )
        .expect("writing to memory");
        assert_eq!(
            String::from_utf8_lossy(&text),
            "time_ns,stream,op,offset,bytes\n\
             5,0,r,2097152,4096\n5,1,w,1099513724928,4096\n6,0,r,2097152,4096\n"
        );
    }
}
