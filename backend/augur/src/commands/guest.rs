// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur guest`: run one command in a guest with the card.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::build::initramfs::InputFile;
use crate::build::tool_root::Kernel;
use crate::card_process::CardOptions;
use crate::exit::{self, Failure};
use crate::guest::{Guest, GuestOptions, Parts, guest_memory};
use crate::project::Project;
use crate::size::Size;

/// Arguments of `augur guest`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    card: CardOptions,
    /// The kernel that the guest boots
    #[arg(long, value_enum, default_value_t)]
    kernel: Kernel,
    /// How many cards like this the guest has
    #[arg(long, value_name = "N", default_value_t = 1)]
    cards: usize,
    /// Memory of the guest
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = guest_memory)]
    guest_memory: Size,
    /// Seconds that the command may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
    /// A file to be given to the guest as /input/NAME; a program may be run there
    /// (may be repeated)
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// The command and its arguments; `sh -c '…'` for a shell's
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Arguments {
    /// Boots, runs the command, passes its output on, copies `/results`.
    ///
    /// # Errors
    /// When the guest cannot be built or an argument cannot be used.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let input = input_files(&self.input)?;
        self.card.check()?;
        let cards = self.card.times(self.cards)?;
        let project = Project::find()?;
        let parts = if self.cards == 0 {
            Parts::ensure_without_card(&project)?
        } else {
            Parts::with_kernel(&project, self.kernel)?
        };
        let options = GuestOptions {
            memory_mib: self.guest_memory.mib(),
            cards,
            input,
            ..GuestOptions::new("guest")
        };
        match self.run_in_guest(&parts, &options) {
            Ok(code) => Ok(code),
            Err(error) if exit::nobody_reads(&error) => Ok(ExitCode::from(exit::NO_READER)),
            Err(error) => {
                exit::report(&error);
                Ok(ExitCode::from(exit::GUEST_FAILED))
            }
        }
    }

    fn run_in_guest(&self, parts: &Parts, options: &GuestOptions) -> anyhow::Result<ExitCode> {
        let limit = Duration::from_secs(self.timeout);
        let guest = Guest::boot(parts, options)?;
        let job = guest.machine().begin(&self.command)?;
        let code = guest
            .machine()
            .follow(&job, &mut io::stdout(), &mut io::stderr(), limit)?;
        let results = guest.collect_results(limit)?;
        let folder = guest.power_off(limit)?;
        if !results.is_empty() {
            eprintln!("results: {}", Project::shown(&folder.results()));
        }
        let code = u8::try_from(code).with_context(|| format!("the command ended with {code}"))?;
        Ok(ExitCode::from(code))
    }
}

/// Files for the guest, each under its own name.
fn input_files(paths: &[PathBuf]) -> anyhow::Result<Vec<InputFile>> {
    let mut files: Vec<InputFile> = Vec::new();
    for path in paths {
        let file = input_file(path)?;
        if files.iter().any(|other| other.name == file.name) {
            bail!(Failure::input(format!(
                "two inputs are called {}; rename one",
                file.name
            )));
        }
        files.push(file);
    }
    Ok(files)
}

/// A file for the guest, under its own name.
fn input_file(path: &PathBuf) -> anyhow::Result<InputFile> {
    let refuse = |reason: String| Failure::input(format!("{}: {reason}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
    if !metadata.is_file() {
        return Err(refuse("not a file".into()).into());
    }
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| refuse("its name is not text".into()))?;
    Ok(InputFile {
        name: name.to_owned(),
        path: path.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_files_with_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a/x", "a/y", "b/x"].map(|path| folder.path().join(path));
        for path in &paths {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(input_files(&paths[..2]).unwrap().len(), 2);
        let refusal = |paths: &[PathBuf]| input_files(paths).err().unwrap().to_string();
        assert_eq!(refusal(&paths), "two inputs are called x; rename one");
        assert!(refusal(&[folder.path().into()]).ends_with(": not a file"));
    }
}
