//! Reading the guest's serial log for the kernel's last words.

use std::fs;
use std::path::Path;

/// What the kernel prints when it gives up. `oops=panic` turns every oops
/// into the first of these.
const LAST_WORDS: [&str; 2] = ["Kernel panic - not syncing", "Attempted to kill init"];

/// The line in which the guest's kernel gives up, if it did since byte `from`
/// of the log.
pub fn kernel_failure(log: &Path, from: u64) -> Option<String> {
    let bytes = fs::read(log).ok()?;
    let bytes = bytes.get(usize::try_from(from).ok()?..)?;
    let text = String::from_utf8_lossy(bytes);
    let line = text
        .lines()
        .find(|line| LAST_WORDS.iter().any(|words| line.contains(words)))?;
    Some(line.trim().to_owned())
}

/// Bytes in the log now.
pub fn length(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_panic_after_the_mark_counts() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let old = "[    1.0] Kernel panic - not syncing: old\n";
        fs::write(log.path(), format!("{old}[    2.0] all is well\n")).unwrap();
        assert_eq!(kernel_failure(log.path(), 0).unwrap(), old.trim());
        assert_eq!(kernel_failure(log.path(), old.len() as u64), None);
    }
}
