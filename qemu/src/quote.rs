// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quoting for a shell, so that a recorded command line can be run again.

use std::ffi::OsStr;

/// `word` as a POSIX shell must be given it.
pub fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// `words` as one command.
pub fn command<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_gives_back_what_was_quoted() {
        for word in ["plain", "", "a b", "it's", "$HOME;`id`", "a\nb", "ü*?"] {
            let output = Command::new("sh")
                .arg("-c")
                .arg(format!("printf %s {}", quote(OsStr::new(word))))
                .output()
                .unwrap();
            assert_eq!(output.stdout, word.as_bytes());
        }
    }
}
