// SPDX-License-Identifier: MIT OR Apache-2.0
//! Round trips of the smallest requests.

use std::fmt;

use augur_client::{CommandList, Device, Error};
use serde::Serialize;

use crate::samples::{Quantiles, timed};

/// Round trips from the program and back.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// A request on the control queue (reading the counters).
    pub control: Quantiles,
    /// A list of one command, waiting asleep for the interrupt.
    pub list_on_interrupt: Quantiles,
    /// A list of one command, asking again and again whether it has ended.
    pub list_polling: Quantiles,
    /// The same list by the card's clock, from its command's start to its end.
    pub list_in_card: Quantiles,
}

/// Measures each round trip `requests` times.
///
/// # Errors
/// The card failed.
pub fn measure(device: &Device, requests: u32) -> Result<Figures, Error> {
    let object = device.create_object(augur_abi::PAGE_BYTES)?;
    let mut list = CommandList::new();
    list.fill(&object.byte_range(0, 1)?, 1)?;
    let (mut control, mut asleep, mut polling, mut in_card) = (vec![], vec![], vec![], vec![]);
    for _ in 0..requests {
        control.push(timed(|| device.counters())?.1);
        let (completion, nanos) = timed(|| device.submit(0, &list)?.wait(None))?;
        asleep.push(nanos);
        in_card.push(completion.nanos());
        let polled = timed(|| {
            let submission = device.submit(0, &list)?;
            while !submission.has_ended()? {
                std::hint::spin_loop();
            }
            Ok::<_, Error>(())
        });
        polling.push(polled?.1);
    }
    Ok(Figures {
        control: Quantiles::of(control),
        list_on_interrupt: Quantiles::of(asleep),
        list_polling: Quantiles::of(polling),
        list_in_card: Quantiles::of(in_card),
    })
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("control request", self.control),
            ("list, on interrupt", self.list_on_interrupt),
            ("list, polling", self.list_polling),
            ("list, inside the card", self.list_in_card),
        ];
        for (index, (name, quantiles)) in rows.into_iter().enumerate() {
            let end = if index + 1 < rows.len() { "\n" } else { "" };
            write!(
                f,
                "{name:<24} median {:>9.1} us   p99 {:>9.1} us{end}",
                quantiles.median_ns as f64 * 1e-3,
                quantiles.p99_ns as f64 * 1e-3
            )?;
        }
        Ok(())
    }
}
