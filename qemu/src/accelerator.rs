// SPDX-License-Identifier: MIT OR Apache-2.0
//! KVM or TCG: which one really boots a guest here.
//!
//! `/dev/kvm` may exist, open, and still be unable to run a stock kernel (in
//! some nested machines). So KVM counts only after a trial guest has come up,
//! and the answer is remembered for this host kernel and QEMU.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

use crate::{Configuration, Error, Machine, Qemu};

/// How long a trial guest may take; one that works needs about a second.
const TRIAL: Duration = Duration::from_secs(15);

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The host's processor.
    Kvm,
    /// QEMU's translator, several threads.
    Tcg,
}

impl Accelerator {
    /// QEMU's `-accel` argument.
    pub fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi",
        }
    }

    /// QEMU's `-cpu` argument.
    pub fn processor(self) -> &'static str {
        match self {
            Self::Kvm => "host",
            Self::Tcg => "max",
        }
    }

    /// The name people use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        }
    }
}

/// An accelerator and why it was chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The accelerator.
    pub accelerator: Accelerator,
    /// One clause, to be printed behind the name.
    pub reason: String,
}

impl Choice {
    fn tcg(reason: impl Into<String>) -> Self {
        Self {
            accelerator: Accelerator::Tcg,
            reason: reason.into(),
        }
    }
}

/// Decides what can be decided without a trial: TCG when `/dev/kvm` cannot be
/// opened, or whatever an earlier trial left in `cache`. `None` means that
/// [`choose`] has to boot a trial guest.
pub fn known(cache: &Path) -> Option<Choice> {
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Some(Choice::tcg(format!("/dev/kvm cannot be used: {error}")));
    }
    let (host, answer) = fs::read_to_string(cache)
        .ok()?
        .split_once('\n')
        .map(|(h, a)| (h.to_owned(), a.to_owned()))?;
    if host != host_kernel() {
        return None;
    }
    Some(match answer.trim() {
        "" => Choice {
            accelerator: Accelerator::Kvm,
            reason: "a trial guest booted with it".into(),
        },
        failure => Choice::tcg(format!(
            "/dev/kvm is there and a trial guest failed: {failure}"
        )),
    })
}

/// Decides between KVM and TCG, by a trial boot of `configuration` (without
/// cards) when nothing is known yet. The logs of the trial go to `folder`, the
/// answer to the file `cache`.
///
/// # Errors
/// [`Error::File`] when the answer cannot be kept.
pub fn choose(
    qemu: &Qemu,
    configuration: &Configuration,
    folder: &Path,
    cache: &Path,
) -> Result<Choice, Error> {
    if let Some(choice) = known(cache) {
        return Ok(choice);
    }
    let trial = Configuration {
        accelerator: Accelerator::Kvm,
        cards: Vec::new(),
        ..configuration.clone()
    };
    let answer = match Machine::boot(qemu, &trial, folder, TRIAL) {
        Ok(machine) => {
            machine.power_off(TRIAL)?;
            String::new()
        }
        Err(Error::TimedOut { what, limit, .. }) => format!("{what} took longer than {limit:?}"),
        Err(error) => error.to_string().replace('\n', " "),
    };
    let path = cache.with_extension("new");
    fs::write(&path, format!("{}\n{answer}", host_kernel())).map_err(Error::file(&path))?;
    fs::rename(&path, cache).map_err(Error::file(cache))?;
    Ok(known(cache).unwrap_or_else(|| Choice::tcg("the trial's answer was lost")))
}

/// The running kernel's release and build, which decide whether KVM works.
fn host_kernel() -> String {
    fs::read_to_string("/proc/version")
        .unwrap_or_default()
        .trim()
        .to_owned()
}
