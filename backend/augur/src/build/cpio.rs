// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing the archive that the kernel unpacks as its first file system
//! ("newc" cpio, described in the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Archives may be put one behind the other; the kernel unpacks all of them.

use std::io::{self, Write};

const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
/// The kernel refuses longer names.
const LONGEST_NAME: usize = 4095;

/// Writes an archive to `W`.
pub struct Archive<W> {
    output: W,
    next_inode: u32,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub fn new(output: W) -> Self {
        Self {
            output,
            next_inode: 1,
        }
    }

    /// Adds a directory; its parent comes first.
    ///
    /// # Errors
    /// When writing fails or the name is too long.
    pub fn directory(&mut self, name: &str) -> io::Result<()> {
        self.entry(name, DIRECTORY | 0o755, &[])
    }

    /// Adds a file that everybody may read and, when `executable`, run.
    ///
    /// # Errors
    /// When writing fails, the name is too long, or `bytes` are 4 GiB or more.
    pub fn file(&mut self, name: &str, executable: bool, bytes: &[u8]) -> io::Result<()> {
        self.entry(
            name,
            REGULAR | if executable { 0o755 } else { 0o644 },
            bytes,
        )
    }

    /// Writes the end; another archive may follow.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let too_large =
            |what| io::Error::new(io::ErrorKind::InvalidInput, format!("{name}: {what}"));
        let size = u32::try_from(bytes.len()).map_err(|_| too_large("larger than 4 GiB"))?;
        if name.len() > LONGEST_NAME {
            return Err(too_large("name too long"));
        }
        let name_size = name.len() as u32 + 1;
        // inode, mode, user, group, links, time, size, device (2), special
        // device (2), name's size, checksum (not used)
        let fields = [
            self.next_inode,
            mode,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            0,
            0,
            name_size,
            0,
        ];
        self.next_inode += 1;
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        self.output.write_all(header.as_bytes())?;
        self.output.write_all(name.as_bytes())?;
        self.output.write_all(&[0])?;
        self.pad(header.len() + name.len() + 1)?;
        self.output.write_all(bytes)?;
        self.pad(bytes.len())
    }

    /// Names and contents end at a multiple of four bytes.
    fn pad(&mut self, written: usize) -> io::Result<()> {
        let padding = written.next_multiple_of(4) - written;
        self.output
            .write_all([0; 3].get(..padding).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_start_at_multiples_of_four_bytes() {
        let mut archive = Archive::new(Vec::new());
        archive.directory("bin").unwrap();
        archive.file("bin/a", true, b"12345").unwrap();
        archive.file("b", false, b"").unwrap();
        let bytes = archive.finish().unwrap();
        let starts: Vec<usize> = (0..bytes.len() - 5)
            .filter(|&at| &bytes[at..at + 6] == b"070701")
            .collect();
        assert_eq!(starts.len(), 4);
        assert!(starts.iter().all(|start| start % 4 == 0), "{starts:?}");
        // Header 110 + "bin/a\0" 6 = 116, a multiple of 4: data follow at once.
        assert_eq!(&bytes[starts[1] + 116..starts[1] + 121], b"12345");
        assert_eq!(&bytes[starts[1] + 14..starts[1] + 22], b"000081ed");
    }
}
