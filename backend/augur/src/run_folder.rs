// SPDX-License-Identifier: MIT OR Apache-2.0
//! The folder that each run leaves behind: logs, QEMU's command line, results.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;

use crate::build::cache;
use crate::project::Project;

/// Folders that are kept; older ones are removed.
const KEPT: usize = 20;

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes `target/runs/TIME-name` and removes the oldest folders.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn create(project: &Project, name: &str) -> anyhow::Result<Self> {
        let runs = project.runs();
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ");
        fs::create_dir_all(&runs).with_context(|| runs.display().to_string())?;
        let path = unused(&runs, &format!("{time}-{name}"))?;
        let results = path.join("results");
        fs::create_dir(&results).with_context(|| results.display().to_string())?;
        prune(&runs)?;
        Ok(Self { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the guest's results go.
    pub fn results(&self) -> PathBuf {
        self.path.join("results")
    }

    /// Removes the folder: nothing in it is worth keeping.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> anyhow::Result<()> {
        cache::remove(&self.path)
    }
}

/// Makes a folder whose name starts with `name` and that did not exist.
fn unused(runs: &Path, name: &str) -> anyhow::Result<PathBuf> {
    for number in 1_u32.. {
        let path = if number == 1 {
            runs.join(name)
        } else {
            runs.join(format!("{name}-{number}"))
        };
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                return made
                    .map(|()| path.clone())
                    .with_context(|| path.display().to_string());
            }
        }
    }
    anyhow::bail!("{}: every name is in use", runs.display())
}

fn prune(runs: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(runs).with_context(|| runs.display().to_string())?;
    // Names start with the time, so that their order is that of age.
    let mut folders: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    for old in folders.iter().rev().skip(KEPT) {
        cache::remove(old)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_folders_are_kept() {
        let runs = tempfile::tempdir().unwrap();
        for number in 0..KEPT + 3 {
            fs::create_dir(runs.path().join(format!("2026010{:02}-x", number))).unwrap();
        }
        prune(runs.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(runs.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names.len(), KEPT);
        assert_eq!(names[0], "202601003-x");
    }

    #[test]
    fn two_runs_of_one_moment_do_not_share_a_folder() {
        let runs = tempfile::tempdir().unwrap();
        assert_ne!(
            unused(runs.path(), "a").unwrap(),
            unused(runs.path(), "a").unwrap()
        );
    }
}
