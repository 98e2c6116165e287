// SPDX-License-Identifier: MIT OR Apache-2.0
//! Round trips of the smallest requests.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use augur_client::{CommandList, Completion, Device, Error};
use serde::Serialize;

use crate::samples::{Quantiles, timed};

/// Round trips.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// A request on the control queue (reading the counters) from the driver and
    /// back, the driver looking at the ring; none when there is no debugfs.
    pub driver_polling: Option<Quantiles>,
    /// One kind of call again and again, as a bare virtqueue is measured.
    pub alone: Calls,
    /// One call of each kind in turn: each finds another worker of the card awake.
    pub by_turns: Calls,
    /// A list by the card's clock, from its command's start to its end.
    pub list_in_card: Quantiles,
}

/// Round trips of a program's calls.
#[derive(Debug, Serialize)]
pub struct Calls {
    /// A request on the control queue (reading the counters).
    pub control: Quantiles,
    /// A list of one command, submitted and waited for in one system call.
    pub list: Quantiles,
    /// The same list, asking again and again whether it has ended.
    pub list_polling: Quantiles,
}

/// Makes the calls.
struct Caller<'a> {
    device: &'a Device,
    list: CommandList<'static>,
}

impl Caller<'_> {
    /// Return: nanoseconds.
    fn control(&self) -> Result<u64, Error> {
        Ok(timed(|| self.device.counters())?.1)
    }

    /// Return: the list's end and nanoseconds.
    fn list(&self) -> Result<(Completion, u64), Error> {
        timed(|| self.device.run(&self.list))
    }

    /// Return: nanoseconds.
    fn list_polling(&self) -> Result<u64, Error> {
        let ended = timed(|| {
            let submission = self.device.submit(0, &self.list)?;
            while !submission.has_ended()? {
                std::hint::spin_loop();
            }
            Ok::<_, Error>(())
        });
        Ok(ended?.1)
    }

    /// Each kind of call `requests` times before the next.
    fn alone(&self, requests: u32) -> Result<Calls, Error> {
        let times = 0..requests;
        let control: Result<_, _> = times.clone().map(|_| self.control()).collect();
        let list: Result<_, _> = times.clone().map(|_| Ok(self.list()?.1)).collect();
        let polling: Result<_, _> = times.map(|_| self.list_polling()).collect();
        Ok(Calls {
            control: Quantiles::of(control?),
            list: Quantiles::of(list?),
            list_polling: Quantiles::of(polling?),
        })
    }
}

/// Measures each round trip `requests` times.
///
/// # Errors
/// The card failed.
pub fn measure(device: &Device, requests: u32) -> Result<Figures, Error> {
    let object = device.create_object(augur_abi::PAGE_BYTES)?;
    let mut list = CommandList::new();
    list.fill(&object.byte_range(0, 1)?, 1)?;
    let caller = Caller { device, list };
    let alone = caller.alone(requests)?;
    let (mut control, mut waiting, mut polling, mut in_card) = (vec![], vec![], vec![], vec![]);
    for _ in 0..requests {
        control.push(caller.control()?);
        let (completion, nanos) = caller.list()?;
        waiting.push(nanos);
        in_card.push(completion.nanos());
        polling.push(caller.list_polling()?);
    }
    Ok(Figures {
        driver_polling: in_driver(device).ok(),
        alone,
        by_turns: Calls {
            control: Quantiles::of(control),
            list: Quantiles::of(waiting),
            list_polling: Quantiles::of(polling),
        },
        list_in_card: Quantiles::of(in_card),
    })
}

/// What the driver's debugfs file measures.
fn in_driver(device: &Device) -> io::Result<Quantiles> {
    let text = fs::read_to_string(round_trip(device)?)?;
    parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn round_trip(device: &Device) -> io::Result<PathBuf> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let name = device.path().file_name().ok_or_else(missing)?;
    // debugfs names cards after the bus's device.
    let bus = fs::canonicalize(Path::new("/sys/class/accel").join(name).join("device"))?;
    let bus = bus.file_name().ok_or_else(missing)?;
    Ok(Path::new("/sys/kernel/debug/accel")
        .join(bus)
        .join("round_trip"))
}

/// The numbers below a line of names: requests, least, median, 99th percentile.
fn parse(text: &str) -> Option<Quantiles> {
    let mut numbers = text.lines().nth(1)?.split(' ').skip(2).map(str::parse);
    Some(Quantiles {
        median_ns: numbers.next()?.ok()?,
        p99_ns: numbers.next()?.ok()?,
    })
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = [
            ("driver, polling", self.driver_polling),
            ("control request", Some(self.alone.control)),
            ("list", Some(self.alone.list)),
            ("list, polling", Some(self.alone.list_polling)),
            ("control request, by turns", Some(self.by_turns.control)),
            ("list, by turns", Some(self.by_turns.list)),
            ("list polling, by turns", Some(self.by_turns.list_polling)),
            ("list, inside the card", Some(self.list_in_card)),
        ]
        .into_iter()
        .filter_map(|(name, quantiles)| Some((name, quantiles?)))
        .collect();
        let count = rows.len();
        for (index, (name, quantiles)) in rows.into_iter().enumerate() {
            let end = if index + 1 < count { "\n" } else { "" };
            write!(
                f,
                "{name:<25} median {:>9.1} us   p99 {:>9.1} us{end}",
                quantiles.median_ns as f64 * 1e-3,
                quantiles.p99_ns as f64 * 1e-3
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_own_figures_are_below_their_names() {
        let text = "requests least_ns median_ns p99_ns\n1000 5000 7000 90000\n";
        let quantiles = parse(text).unwrap();
        assert_eq!((quantiles.median_ns, quantiles.p99_ns), (7000, 90_000));
        assert_eq!(parse("requests\n"), None);
        assert_eq!(parse("a b\n1 2 x y\n"), None);
    }
}
