// SPDX-License-Identifier: MIT OR Apache-2.0
//! Folders for UNIX sockets: short paths, because a socket's address holds
//! 108 bytes, and none left behind, not even by a process that was killed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;
use crate::process::Temporary;

const PREFIX: &str = "augur-";

/// Makes a folder of this process that only its user may enter; it is removed
/// when the handle is dropped. Folders of processes that are gone are removed.
///
/// # Errors
/// [`Error::File`] when the folder cannot be made.
pub fn folder() -> Result<Temporary, Error> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let parent = std::env::temp_dir();
    sweep(&parent);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
    fs::create_dir(&path).map_err(Error::file(&path))?;
    let folder = Temporary::new(path.clone());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(Error::file(&path))?;
    Ok(folder)
}

/// Removes what killed processes left. Nothing depends on it, so that what
/// cannot be removed (another user's) stays.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if let Some(process) = owner(&entry.path())
            && !Path::new(&format!("/proc/{process}")).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process whose folder this is, if it is one of ours.
fn owner(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    let (process, number) = name.split_once('-')?;
    number.parse::<u32>().ok()?;
    process.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_dead_processes_are_swept() {
        let parent = tempfile::tempdir().unwrap();
        // The largest process id Linux gives is 2^22.
        let (dead, alive) = (
            format!("{PREFIX}4194999-0"),
            format!("{PREFIX}{}-0", std::process::id()),
        );
        let names = [
            dead.as_str(),
            alive.as_str(),
            "augur-notes",
            "other-4194999-0",
        ];
        for name in names {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        sweep(parent.path());
        let left: Vec<_> = names
            .into_iter()
            .filter(|name| parent.path().join(name).exists())
            .collect();
        assert_eq!(left, [alive.as_str(), "augur-notes", "other-4194999-0"]);
    }

    #[test]
    fn folders_are_private_and_removed() {
        let folder = folder().unwrap();
        let path = folder.path().to_path_buf();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        drop(folder);
        assert!(!path.exists());
    }
}
