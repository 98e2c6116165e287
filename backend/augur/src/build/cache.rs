// SPDX-License-Identifier: MIT OR Apache-2.0
//! Things made from a recipe: kept under a name that holds a hash of the
//! recipe's inputs, and put in place by one rename.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;
use augur_qemu::process::Temporary;
use sha2::{Digest, Sha256};

/// The inputs of a recipe.
#[derive(Default)]
pub struct Inputs {
    hash: Sha256,
}

impl Inputs {
    /// No inputs yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes under a name; both count.
    #[must_use]
    pub fn bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        // Lengths first, so that no two lists of inputs look the same.
        for part in [name.as_bytes(), bytes] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part);
        }
        self
    }

    /// Adds a file, or every file below a directory.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn path(mut self, path: &Path) -> anyhow::Result<Self> {
        for file in files_below(path)? {
            let name = file
                .strip_prefix(path)
                .unwrap_or(&file)
                .to_string_lossy()
                .into_owned();
            let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
            self = self.bytes(&name, &bytes);
        }
        Ok(self)
    }

    /// The hash: sixteen hexadecimal digits, enough to tell recipes apart.
    pub fn digest(self) -> String {
        let digest = self.hash.finalize();
        digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The files below `path`, in a stable order; `path` itself when it is one.
///
/// # Errors
/// When a directory cannot be read.
pub fn files_below(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut entries = fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .with_context(|| path.display().to_string())?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        files.extend(files_below(&entry)?);
    }
    Ok(files)
}

/// Returns `folder/name-DIGEST`, which `make` fills when it is not there yet.
///
/// `make` is given another path; what it leaves there is renamed at the end,
/// so that a stopped build leaves nothing that looks whole. Older versions are
/// removed after that. Only one process makes things in `folder` at a time.
///
/// # Errors
/// When `make` fails or the file system does.
pub fn kept(
    folder: &Path,
    name: &str,
    digest: &str,
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let finished = folder.join(format!("{name}-{digest}"));
    if finished.exists() {
        return Ok(finished);
    }
    let _lock = lock(folder)?;
    if finished.exists() {
        return Ok(finished);
    }
    let partial = folder.join(format!("{name}-{digest}.partial"));
    remove(&partial)?;
    let partial = Temporary::new(partial);
    make(partial.path())?;
    fs::rename(partial.path(), &finished).with_context(|| finished.display().to_string())?;
    for entry in fs::read_dir(folder)
        .with_context(|| folder.display().to_string())?
        .flatten()
    {
        let path = entry.path();
        if path != finished
            && entry
                .file_name()
                .to_string_lossy()
                .starts_with(&format!("{name}-"))
        {
            remove(&path)?;
        }
    }
    Ok(finished)
}

/// Takes the lock on `folder`, which is made when it does not exist; it is
/// released when the returned file is dropped, or the process ends.
///
/// # Errors
/// When the lock's file cannot be used.
pub fn lock(folder: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(".lock");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    file.lock().with_context(|| path.display().to_string())?;
    Ok(file)
}

/// Removes a file or a directory that may not exist.
///
/// # Errors
/// When it exists and cannot be removed.
pub fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_build_leaves_nothing_and_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let failed = kept(folder.path(), "thing", "1", |path| {
            fs::write(path, "half").unwrap();
            anyhow::bail!("no space")
        });
        assert!(failed.is_err());
        let left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, [".lock"]);
        let made = kept(folder.path(), "thing", "1", |path| {
            Ok(fs::write(path, "whole")?)
        })
        .unwrap();
        assert_eq!(fs::read_to_string(made).unwrap(), "whole");
    }

    #[test]
    fn a_thing_is_made_once_for_the_same_inputs_and_replaced_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let first = kept(folder.path(), "thing", "1", |path| {
            Ok(fs::write(path, "first")?)
        })
        .unwrap();
        let again = kept(folder.path(), "thing", "1", |_| anyhow::bail!("made twice")).unwrap();
        assert_eq!(first, again);
        let second = kept(folder.path(), "thing", "2", |path| {
            Ok(fs::write(path, "second")?)
        })
        .unwrap();
        assert!(second.exists() && !first.exists());
    }

    #[test]
    fn every_name_and_byte_of_the_inputs_counts() {
        let digest = |name: &str, bytes: &[u8]| Inputs::new().bytes(name, bytes).digest();
        assert_ne!(digest("a", b"bc"), digest("ab", b"c"));
        assert_ne!(digest("a", b"b"), digest("a", b"c"));
        assert_eq!(digest("a", b"b"), digest("a", b"b"));
    }
}
