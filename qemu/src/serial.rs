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

/// Whether the kernel failed, since byte `from` of the log, at a breakpoint of its own
/// that it had taken out already, before the card's driver was there.
///
/// Linux replaces instructions while it runs by way of an `int3`. QEMU's emulation lets
/// another processor meet that `int3` afterwards, in one boot of hundreds or
/// thousands (Red Hat's bug 2216496).
pub fn ran_replaced_code(log: &Path, from: u64) -> bool {
    let bytes = fs::read(log).unwrap_or_default();
    let bytes = usize::try_from(from)
        .ok()
        .and_then(|from| bytes.get(from..));
    let text = String::from_utf8_lossy(bytes.unwrap_or_default());
    let mut lines = text.lines();
    let oops = lines.find(|line| line.contains("int3: 0000 [#1]"));
    let modules = lines.find(|line| line.contains("Modules linked in:"));
    oops.is_some() && modules.is_some_and(|line| !line.contains(" augur"))
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
    fn replaced_code_is_the_emulations_fault_without_the_driver_only() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let holds = |oops: &str, modules: &str| {
            let text = format!(
                "[    3.07] Oops: {oops}: 0000 [#1] PREEMPT SMP NOPTI\n\
                 [    3.08] Modules linked in:{modules}\n\
                 [    3.09] Kernel panic - not syncing: Fatal exception in interrupt\n"
            );
            fs::write(log.path(), text).unwrap();
            assert!(kernel_failure(log.path(), 0).is_some());
            ran_replaced_code(log.path(), 0)
        };
        assert!(holds("int3", ""));
        assert!(holds("int3", " virtio_console drm"));
        assert!(!holds("int3", " augur(O) drm"));
        assert!(!holds("general protection fault", ""));
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
