// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur-job` in a guest with several cards, for benchmarks that compare these.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::guest::Guest;

/// What the program prints: a figure of one of its cards.
#[derive(Debug, Deserialize)]
pub struct OnCard<F> {
    /// Number of the card in the guest.
    pub card: usize,
    /// What was measured.
    pub figure: F,
}

/// Runs `augur-job` with these arguments for at most `limit`; answers its figures in the
/// order in which they came. A result that was wrong is among them.
///
/// # Errors
/// When the program fails, takes too long or prints something else.
pub fn figures<F: DeserializeOwned>(
    guest: &Guest,
    arguments: &[&str],
    limit: Duration,
) -> anyhow::Result<Vec<OnCard<F>>> {
    let words = [&["augur-job"], arguments].concat();
    let job = guest.machine().begin(&words)?;
    let mut said = Vec::new();
    let code = guest
        .machine()
        .follow(&job, &mut said, &mut io::stderr(), limit)?;
    ensure!(code <= 1, "augur-job ended with exit code {code}");
    said.split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).context("augur-job printed no figures"))
        .collect()
}
