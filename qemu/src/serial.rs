// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading the guest's serial log for the kernel's last words.

use std::fs;
use std::path::Path;

/// What the kernel prints when it gives up. `oops=panic` turns every oops
/// into the first of these.
const LAST_WORDS: [&str; 2] = ["Kernel panic - not syncing", "Attempted to kill init"];

/// How the kernel begins to complain without giving up.
const COMPLAINTS: [&str; 8] = [
    "WARNING:",
    "BUG:",
    "INFO: task ",
    "INFO: rcu",
    "UBSAN:",
    "refcount_t:",
    "possible circular locking",
    "Call Trace:",
];

/// The lines in which the guest's kernel complains since byte `from` of the
/// log, in their order.
pub fn kernel_complaints(log: &Path, from: u64) -> Vec<String> {
    let bytes = fs::read(log).unwrap_or_default();
    let bytes = usize::try_from(from)
        .ok()
        .and_then(|from| bytes.get(from..))
        .unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let complains = |line: &&str| COMPLAINTS.iter().any(|words| line.contains(words));
    text.lines()
        .filter(complains)
        .map(|line| line.trim().to_owned())
        .collect()
}

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
    fn complaints_are_found_and_ordinary_lines_are_not() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let complaint = "[    3.1] WARNING: CPU: 1 PID: 7 at drivers/augur.c:12";
        fs::write(
            log.path(),
            format!("[    1.0] augur: debugging off, no warning\n{complaint}\r\n"),
        )
        .unwrap();
        assert_eq!(kernel_complaints(log.path(), 0), [complaint]);
    }

    #[test]
    fn only_a_panic_after_the_mark_counts() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let old = "[    1.0] Kernel panic - not syncing: old\n";
        fs::write(log.path(), format!("{old}[    2.0] all is well\n")).unwrap();
        assert_eq!(kernel_failure(log.path(), 0).unwrap(), old.trim());
        assert_eq!(kernel_failure(log.path(), old.len() as u64), None);
    }
}
