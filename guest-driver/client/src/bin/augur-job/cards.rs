// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of the machine's cards a comparison runs on.

use augur_client::Device;
use clap::Args;

use crate::failure::Failure;

/// Some cards of the machine.
#[derive(Debug, Args)]
pub struct Cards {
    /// Numbers of the cards to use, from 0, such as 0,2,3 [default: all].
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    cards: Vec<usize>,
}

impl Cards {
    /// The cards with their numbers.
    ///
    /// # Errors
    /// There is no such card, or one cannot be opened.
    pub fn open(&self) -> Result<Vec<(usize, Device)>, Failure> {
        let devices = Device::open_all().map_err(Failure::no_card)?;
        if let Some(missing) = self.cards.iter().find(|&&card| card >= devices.len()) {
            let there = devices.len();
            return Err(Failure::Input(format!(
                "there is no card {missing}; this machine has {there}, numbered from 0"
            )));
        }
        let wanted = |card: &usize| self.cards.is_empty() || self.cards.contains(card);
        Ok(devices
            .into_iter()
            .enumerate()
            .filter(|(card, _)| wanted(card))
            .collect())
    }
}
