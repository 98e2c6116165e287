// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line, and the card that it describes.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use augur_card::{CardConfig, Policy, PredictorMode};
use clap::{ArgGroup, Parser};
use thiserror::Error;

/// The Augur card as a process: serves one QEMU over vhost-user.
///
/// QEMU connects to the socket with
/// `-device vhost-user-test-device-pci,virtio-id=38,chardev=…`, and the process
/// ends when QEMU disconnects. Options win over the profile, the profile over
/// the defaults. Set RUST_LOG to error, warn (the default), info or debug for
/// more or less on standard error.
///
/// Exit codes: 0 QEMU has disconnected, or the process was asked to end by
/// SIGTERM or SIGINT; 1 the card or the connection failed; 2 wrong arguments,
/// a profile that cannot work, or a socket that cannot be made.
#[derive(Debug, Parser)]
#[command(name = "augurd", version, max_term_width = 100)]
#[command(group = ArgGroup::new("socket").required(true).args(["socket_path", "fd", "print_capabilities"]))]
pub struct Arguments {
    /// Unix socket to listen on. It is made, and removed at the end; one left
    /// behind by a dead process is replaced. At most 107 bytes.
    #[arg(long, value_name = "PATH")]
    pub socket_path: Option<PathBuf>,

    /// Number of an inherited descriptor that is a listening Unix socket, such
    /// as 3 with systemd's socket activation.
    #[arg(long, value_name = "N")]
    pub fd: Option<RawFd>,

    /// Device memory, the aperture included; sparse, so that only what is used
    /// is taken from the host. K, M, G and T stand for 2^10, 2^20, 2^30 and
    /// 2^40 bytes [default: 4G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<u64>,

    /// The part of device memory that the guest sees at a time, a power of two
    /// [default: 256M]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub aperture: Option<u64>,

    /// Compute engines; each is a thread [default: 2]
    #[arg(long, value_name = "N")]
    pub engines: Option<u16>,

    /// DMA channels; each is a thread [default: 2]
    #[arg(long, value_name = "M")]
    pub dma_channels: Option<u16>,

    /// Submit virtqueues. QEMU's num_vqs must be two more [default: 2]
    #[arg(long, value_name = "N")]
    pub submit_queues: Option<u16>,

    /// Window that answers a page fault of the guest, a power of two from 4K to
    /// 2M [default: 64K]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub demand_window: Option<u64>,

    /// Microseconds that a worker looks at its queues before it sleeps, while
    /// requests come in quick succession; 0 to sleep at once
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub busy_poll: u32,

    /// Unit at which dependences between commands are tracked: adaptive, exact,
    /// tensor, 4k, 64k or 1m [default: adaptive]
    #[arg(long, value_name = "UNIT")]
    pub tracking: Option<Policy>,

    /// Do not divide large commands, to measure what that is worth
    #[arg(long)]
    pub keep_whole: bool,

    /// Do not move objects to where they are used together, to measure what that is
    /// worth
    #[arg(long)]
    pub keep_in_place: bool,

    /// Mapping of memory ahead of its use: off, classic (what the experts' own
    /// records say) or full (the learned scorer as well), for drivers that set up
    /// a touch ring [default: full]
    #[arg(long, value_name = "MODE")]
    pub predictor: Option<PredictorMode>,

    /// Largest window that is mapped ahead of use, a power of two from 4K to 2M
    /// [default: 512K]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub ahead_window: Option<u64>,

    /// Most memory of the aperture that is mapped ahead and not used yet
    /// [default: half of the aperture]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub speculative: Option<u64>,

    /// Model of the predictor as a safetensors file: it is loaded if it exists, and
    /// what was learned is written there when the process ends
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,

    /// Record the guest's accesses, as far as the card knows of them, as a trace:
    /// time_ns,stream,op,offset,bytes
    #[arg(long, value_name = "FILE.csv")]
    pub record: Option<PathBuf>,

    /// Unix socket that gives such a trace to whoever connects, from then on until
    /// it shuts its side down; `augur trace record` does
    #[arg(long, value_name = "PATH")]
    pub trace_socket: Option<PathBuf>,

    /// Record what each engine did when, how finely memory was tracked, and why that
    /// changed: one JSON object a line
    #[arg(long, value_name = "FILE.jsonl")]
    pub schedule: Option<PathBuf>,

    /// TOML file with the card's sizes and limits
    #[arg(long, value_name = "FILE.toml")]
    pub profile: Option<PathBuf>,

    /// Print what this back end is able to do, as JSON, and end.
    #[arg(long)]
    pub print_capabilities: bool,
}

/// Why a profile cannot be used.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("cannot read the profile {path}: {error}")]
    Read {
        /// Path of the profile.
        path: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
    /// The file is not a profile.
    #[error("the profile {path} cannot be used: {error}")]
    Parse {
        /// Path of the profile.
        path: PathBuf,
        /// Where and why, in one line.
        error: String,
    },
}

impl Arguments {
    /// For how long a worker looks for work before it sleeps.
    pub fn busy_poll(&self) -> Duration {
        Duration::from_micros(self.busy_poll.into())
    }

    /// The card that the profile and the options describe.
    ///
    /// # Errors
    /// [`ProfileError`] when the profile cannot be read or understood.
    pub fn card_config(&self) -> Result<CardConfig, ProfileError> {
        let mut config = match &self.profile {
            None => CardConfig::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| ProfileError::Read {
                    path: path.clone(),
                    error,
                })?;
                toml::from_str(&text).map_err(|error| ProfileError::Parse {
                    path: path.clone(),
                    error: one_line(&text, &error),
                })?
            }
        };
        set(&mut config.memory_bytes, self.memory);
        set(&mut config.aperture_bytes, self.aperture);
        set(&mut config.compute_engines, self.engines);
        set(&mut config.dma_channels, self.dma_channels);
        set(&mut config.submit_queues, self.submit_queues);
        set(&mut config.demand_window_bytes, self.demand_window);
        set(&mut config.tracking, self.tracking);
        config.divides_commands &= !self.keep_whole;
        config.moves_objects &= !self.keep_in_place;
        set(&mut config.predictor, self.predictor);
        set(&mut config.ahead_window_bytes, self.ahead_window);
        set(&mut config.speculative_bytes, self.speculative);
        Ok(config)
    }
}

fn set<T>(field: &mut T, option: Option<T>) {
    if let Some(value) = option {
        *field = value;
    }
}

fn one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

/// Bytes of a size such as `64K`, `256M`, `4G`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text.strip_prefix(digits) {
        Some("") => 0,
        Some("K" | "k" | "KiB") => 10,
        Some("M" | "m" | "MiB") => 20,
        Some("G" | "g" | "GiB") => 30,
        Some("T" | "t" | "TiB") => 40,
        _ => {
            return Err("write a number of bytes with K, M, G or T behind it, such as 256M".into());
        }
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "write a number such as 256M".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "that is more than 2^64 bytes".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["augurd"].iter().chain(arguments))
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64K"), Ok(64 << 10));
        assert_eq!(size("256M"), Ok(256 << 20));
        assert_eq!(size("4GiB"), Ok(4 << 30));
        assert_eq!(size("1T"), Ok(1 << 40));
        for bad in ["", "M", "-1", "4X", "1.5G", "99999999999T", "4 G", "0x10"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn options_win_over_the_profile_and_the_profile_over_the_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let profile = directory.path().join("small.toml");
        std::fs::write(
            &profile,
            "memory_bytes = 67108864\naperture_bytes = 16777216\n",
        )
        .unwrap();
        let profile = profile.to_str().unwrap();
        let arguments = parse(&[
            "--socket-path",
            "s",
            "--profile",
            profile,
            "--memory",
            "128M",
        ])
        .unwrap();
        let config = arguments.card_config().unwrap();
        assert_eq!(config.memory_bytes, 128 << 20);
        assert_eq!(config.aperture_bytes, 16 << 20);
        assert_eq!(config.dma_channels, CardConfig::default().dma_channels);
    }

    #[test]
    fn a_bad_profile_gives_one_line_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let profile = directory.path().join("bad.toml");
        std::fs::write(&profile, "memory_bytes = 67108864\n\naperture = 5\n").unwrap();
        let path = profile.to_str().unwrap();
        let arguments = parse(&["--fd", "3", "--profile", path]).unwrap();
        let message = arguments.card_config().unwrap_err().to_string();
        assert!(
            message.contains(path) && message.contains("line 3"),
            "{message}"
        );
        assert_eq!(message.lines().count(), 1);
        let arguments = parse(&["--fd", "3", "--profile", "/nonexistent.toml"]).unwrap();
        assert!(matches!(
            arguments.card_config(),
            Err(ProfileError::Read { .. })
        ));
    }

    #[test]
    fn one_socket_is_needed_and_one_only() {
        assert!(parse(&[]).is_err());
        assert!(parse(&["--fd", "3", "--socket-path", "s"]).is_err());
        assert!(parse(&["--print-capabilities"]).is_ok());
    }
}
