// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending the files below a directory to the host.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use augur_agent::{LARGEST_PAYLOAD, Message};

use crate::port::Port;

/// Sends every regular file below `directory`, then the end of the collection.
/// A directory that does not exist holds no files.
pub fn send(port: &Port, number: u32, directory: &[u8]) {
    let directory = Path::new(OsStr::from_bytes(directory));
    let error = match send_below(port, number, directory, directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => error.to_string().into_bytes(),
        _ => Vec::new(),
    };
    port.send(&Message::Collected { number, error });
}

fn send_below(port: &Port, number: u32, top: &Path, directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            send_below(port, number, top, &path)?;
        } else if kind.is_file() {
            let name = path
                .strip_prefix(top)
                .unwrap_or(&path)
                .as_os_str()
                .as_bytes()
                .to_vec();
            port.send(&Message::File { number, path: name });
            send_bytes(port, number, &path)?;
        }
    }
    Ok(())
}

fn send_bytes(port: &Port, number: u32, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; LARGEST_PAYLOAD];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let bytes = buffer.get(..read).unwrap_or_default().to_vec();
        port.send(&Message::FileBytes { number, bytes });
    }
}
