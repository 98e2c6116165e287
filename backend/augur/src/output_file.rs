// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file that is complete under its name, or not there at all.
//!
//! It is begun before the work whose result it takes, so that a place where nothing
//! can be written costs nobody a run.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::{Builder, NamedTempFile};

/// A file under way. Dropped before [`OutputFile::finish`], it leaves nothing.
pub struct OutputFile {
    path: PathBuf,
    partial: NamedTempFile,
}

impl OutputFile {
    /// Begins the file `path`, in a file beside it.
    ///
    /// # Errors
    /// Nothing can be created there, or `path` is a folder.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let begin = |_| {
            Builder::new()
                .prefix(".augur-")
                .suffix(".partial")
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(folder)
                // Its text names a file that nobody chose.
                .map_err(|error| error.kind().into())
        };
        let partial = if path.is_dir() {
            Err(io::ErrorKind::IsADirectory.into())
        } else {
            fs::metadata(folder).and_then(begin)
        };
        Ok(Self {
            partial: partial.with_context(|| cannot_write(path))?,
            path: path.to_owned(),
        })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// Whatever renaming meets.
    pub fn finish(self) -> anyhow::Result<()> {
        let Self { path, partial } = self;
        let persisted = partial.persist(&path).map_err(|error| error.error);
        persisted.with_context(|| cannot_write(&path))?;
        Ok(())
    }

    /// Writes all of it and puts it in its place.
    ///
    /// # Errors
    /// Whatever writing or renaming meets.
    pub fn finish_with(mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self.partial.write_all(bytes);
        written.with_context(|| cannot_write(&self.path))?;
        self.finish()
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.partial.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.partial.flush()
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_finished_leaves_nothing_and_keeps_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let file = OutputFile::create(&path).unwrap();
        file.finish_with(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_where_nothing_can_be_written_is_named_before_the_work_begins() {
        let folder = tempfile::tempdir().unwrap();
        let reason = |path: &Path| format!("{:#}", OutputFile::create(path).err().unwrap());
        let missing = folder.path().join("no/a");
        assert_eq!(
            reason(&missing),
            format!(
                "cannot write {}: No such file or directory (os error 2)",
                missing.display()
            )
        );
        let expected = format!("cannot write {}: is a directory", folder.path().display());
        assert_eq!(reason(folder.path()), expected);
    }
}
