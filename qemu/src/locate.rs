// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding a QEMU that can run the card: the system's own, or one in a root
//! directory of another distribution release.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// The first QEMU whose generic vhost-user device carries shared memory.
pub const OLDEST: Version = Version {
    major: 11,
    minor: 1,
};

/// The device that stands for the card.
pub const DEVICE: &str = "vhost-user-test-device-pci";

/// A QEMU release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A QEMU that was run once and is known to have the device.
#[derive(Debug, Clone)]
pub struct Qemu {
    /// The program and the arguments that come before all others.
    command: Vec<OsString>,
    /// Its release.
    pub version: Version,
    /// What to call it in messages.
    pub description: String,
}

impl Qemu {
    /// The system's QEMU.
    ///
    /// # Errors
    /// [`Error::NoQemu`] when there is none on the `PATH`, it is older than
    /// [`OLDEST`], or it lacks [`DEVICE`].
    pub fn of_system() -> Result<Self, Error> {
        let command = vec![OsString::from("qemu-system-x86_64")];
        Self::check(command, "the system's QEMU")
    }

    /// The QEMU installed in the root directory `root`, run by that root's own
    /// dynamic linker so that the host's libraries do not matter.
    ///
    /// # Errors
    /// [`Error::NoQemu`] when it does not run, is too old or lacks [`DEVICE`].
    pub fn of_root(root: &Path) -> Result<Self, Error> {
        let mut command = program_of_root(root, Path::new("usr/bin/qemu-system-x86_64"));
        for data in ["usr/share/qemu", "usr/share/seabios"] {
            command.push("-L".into());
            command.push(root.join(data).into());
        }
        Self::check(command, "the tool root's QEMU")
    }

    /// A command that runs this QEMU.
    pub fn command(&self) -> Command {
        let mut words = self.command.iter();
        let mut command = Command::new(words.next().map_or_else(OsString::new, Clone::clone));
        command.args(words);
        command
    }

    fn check(command: Vec<OsString>, name: &str) -> Result<Self, Error> {
        let mut qemu = Self {
            command,
            version: OLDEST,
            description: String::new(),
        };
        let said = qemu.ask(&["--version"], name)?;
        let version = parse_version(&said).ok_or_else(|| {
            Error::NoQemu(format!(
                "{name} does not say its version, but: {}",
                said.trim()
            ))
        })?;
        if version < OLDEST {
            return Err(Error::NoQemu(format!(
                "{name} is {version}, and the card needs {OLDEST} or newer"
            )));
        }
        if !qemu
            .ask(&["-device", "help"], name)?
            .contains(&format!("\"{DEVICE}\""))
        {
            return Err(Error::NoQemu(format!(
                "{name} ({version}) was built without {DEVICE}"
            )));
        }
        qemu.version = version;
        qemu.description = format!("{name}, {version}");
        Ok(qemu)
    }

    fn ask(&self, arguments: &[&str], name: &str) -> Result<String, Error> {
        let output = self
            .command()
            .args(arguments)
            .output()
            .map_err(|error| Error::NoQemu(format!("{name} cannot be started: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::NoQemu(format!("{name} fails: {}", said.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The words that run a program of the root directory `root` on this host.
pub fn program_of_root(root: &Path, program: &Path) -> Vec<OsString> {
    let linker = root.join("usr/lib64/ld-linux-x86-64.so.2");
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let name = program.file_name().unwrap_or(program.as_os_str());
    let path: PathBuf = root.join(program);
    vec![
        linker.into(),
        "--argv0".into(),
        name.into(),
        "--library-path".into(),
        libraries.into(),
        path.into(),
    ]
}

/// The release in the first line of `qemu --version`.
fn parse_version(said: &str) -> Option<Version> {
    let numbers = said.split_once("version ")?.1;
    let mut numbers = numbers.split(|c: char| !c.is_ascii_digit());
    Some(Version {
        major: numbers.next()?.parse().ok()?,
        minor: numbers.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_distributions_write_them() {
        let debian = "QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1~bpo13+1)\nCopyright …";
        assert_eq!(
            parse_version(debian),
            Some(Version {
                major: 11,
                minor: 1
            })
        );
        assert_eq!(
            parse_version("QEMU emulator version 7.2.17"),
            Some(Version { major: 7, minor: 2 })
        );
        assert_eq!(parse_version("something else"), None);
        assert!(
            Version {
                major: 10,
                minor: 9
            } < OLDEST
        );
        assert!(
            Version {
                major: 12,
                minor: 0
            } > OLDEST
        );
    }
}
