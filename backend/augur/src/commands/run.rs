// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur run`: the main job, on a photograph, from nothing to a report.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use image::{ImageError, ImageFormat, ImageReader};

use crate::bench::{ahead, tracking};
use crate::build::initramfs::InputFile;
use crate::card_process::CardOptions;
use crate::exit::{self, Failure};
use crate::guest::{Guest, GuestOptions, Parts, card_schedule};
use crate::plan::Plan;
use crate::progress::Heartbeat;
use crate::project::Project;
use crate::report::{self, RunFacts, Schedule};
use crate::size::Size;

/// The photograph that is processed when none is given.
const PHOTO: &str = "images/photo/raccoon.jpg";
/// What each of two jobs moves through an aperture of an eighth of both, mapped in
/// several ways, in MiB.
const AHEAD_MIB: u64 = 128;
/// The sides that an image may have, in pixels: half of it is one at least.
const SHORTEST_SIDE: u32 = 2;
const LONGEST_SIDE: u32 = 8192;
/// Memory of a guest with a small image, in MiB.
const BASE_MIB: u64 = 768;
/// Guest memory for each pixel: the picture, its references, and the results
/// in the guest's file system, in bytes.
const BYTES_PER_PIXEL: u64 = 24;
/// How long the job may take; a second on an idle machine for the photograph,
/// minutes for the largest image under TCG on a busy one.
const JOB: Duration = Duration::from_secs(1800);
/// How long copying the results and powering off may take.
const END: Duration = Duration::from_secs(300);

/// Arguments of `augur run`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The image: PNG or JPEG, at most 8192x8192 [default: the photograph that comes along]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    #[command(flatten)]
    card: CardOptions,
}

impl Arguments {
    /// Builds what is missing, boots, runs the job, writes the report.
    ///
    /// # Errors
    /// When the image cannot be used, or something cannot be built or booted.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        self.card.check()?;
        let project = Project::find()?;
        let image = self.image.unwrap_or_else(|| project.path(PHOTO));
        let memory_mib = guest_memory_mib(&image)?;
        require_memory(Size(memory_mib << 20))?;
        require_whole(&image)?;
        Plan::of(&project)?.announce();

        let parts = Parts::ensure(&project)?;
        let chosen = &parts.acceleration;
        let acceleration = format!("{} ({})", chosen.accelerator.name(), chosen.reason);
        eprintln!("guest: {acceleration}; {}", parts.qemu.description);
        // The cards that the job is not for come last; a guest less is booted.
        let mut cards = vec![CardOptions {
            records_schedule: true,
            ..self.card
        }];
        let first_compared = cards.len();
        cards.extend(tracking::cards());
        let options = GuestOptions {
            memory_mib,
            cards,
            input: vec![InputFile {
                name: "image".into(),
                path: image,
            }],
            ..GuestOptions::new("run")
        };
        let guest = {
            let _beat = Heartbeat::start("booting");
            Guest::boot(&parts, &options)?
        };
        let boot_seconds = guest.booted_in().as_secs_f64();
        eprintln!("driver ready after {boot_seconds:.1} s");
        let code = {
            let _beat = Heartbeat::start("the job runs");
            let words = [
                "augur-job",
                "all",
                "--input",
                "/input/image",
                "--output",
                "/results",
            ];
            let job = guest.machine().begin(&words)?;
            guest
                .machine()
                .follow(&job, &mut io::stdout(), &mut io::stderr(), JOB)?
        };
        let results = guest.collect_results(END)?;
        if !results
            .iter()
            .any(|file| file.ends_with(report::JOB_REPORT))
        {
            let folder = guest.power_off(END)?;
            bail!(
                "the job ended with exit code {code} and left no report; logs: {}",
                Project::shown(folder.path())
            );
        }
        println!();
        let tracking = tracking::measure_in(&guest, first_compared, &tracking::Work::default())?;
        println!("{}", tracking.table());
        let folder = guest.power_off(END)?;
        // A guest of its own: QEMU's table of shared memory has room for the
        // apertures of eight cards.
        let ahead = ahead::measure(&parts, AHEAD_MIB)?;
        print!("{}", ahead.table());

        let name = folder
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let facts = RunFacts {
            name,
            acceleration,
            qemu: parts.qemu.description.clone(),
            boot_seconds,
            schedule: Schedule::read(&card_schedule(&folder, 0))?,
            tracking: tracking.recorded(&folder)?,
            mapping: ahead.recorded(),
        };
        let report = report::write(&folder.results(), &facts)?;
        println!();
        println!("report:  {}", Project::shown(&report));
        println!("results: {}", Project::shown(&folder.results()));
        println!("logs:    {}", Project::shown(folder.path()));
        println!("next:    make shell   (then: augur-smi)");
        Ok(if code == 0 && tracking.all_right() && ahead.all_right() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::FAILED)
        })
    }
}

/// Memory for a guest that processes this image, in MiB; refuses what the job
/// would refuse, before anything is built.
fn guest_memory_mib(image: &Path) -> Result<u64, Failure> {
    let refuse = |reason: String| Failure::input(format!("{}: {reason}", image.display()));
    let file =
        File::open(image).map_err(|error| refuse(format!("{error}; give a PNG or JPEG file")))?;
    let metadata = file.metadata().map_err(|error| refuse(error.to_string()))?;
    if !metadata.is_file() {
        return Err(refuse("not a file; give a PNG or JPEG file".into()));
    }
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format();
    let reader = reader.map_err(|error| refuse(error.to_string()))?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        return Err(refuse(
            "neither PNG nor JPEG; convert it to one of them".into(),
        ));
    }
    let damaged = |error| refuse(format!("damaged ({error}); give another file"));
    let (width, height) = reader.into_dimensions().map_err(damaged)?;
    if width > LONGEST_SIDE || height > LONGEST_SIDE {
        return Err(refuse(format!(
            "{width}x{height} is too large; scale it to {LONGEST_SIDE}x{LONGEST_SIDE} or less"
        )));
    }
    if width < SHORTEST_SIDE || height < SHORTEST_SIDE {
        return Err(refuse(format!(
            "{width}x{height} is too small; give {SHORTEST_SIDE}x{SHORTEST_SIDE} or more"
        )));
    }
    let pixels = u64::from(width) * u64::from(height);
    Ok(BASE_MIB + Size(pixels * BYTES_PER_PIXEL + 2 * metadata.len()).mib())
}

/// Refuses an image that ends early or is damaged behind its dimensions, as the job
/// would after a boot.
fn require_whole(image: &Path) -> anyhow::Result<()> {
    let decoded = ImageReader::open(image)
        .and_then(ImageReader::with_guessed_format)
        .map_err(ImageError::from)
        .and_then(|mut reader| {
            // Its sides are within bounds.
            reader.no_limits();
            reader.decode()
        });
    match decoded {
        Ok(_) => Ok(()),
        Err(error) => bail!(Failure::input(format!(
            "{}: damaged ({error}); give another file",
            image.display()
        ))),
    }
}

/// Refuses to start a guest that this machine has no memory for.
fn require_memory(needed: Size) -> Result<(), Failure> {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    match kib.map(|kib| Size(kib << 10)) {
        Some(free) if free < needed => Err(Failure::machine(format!(
            "the guest needs {} MiB of memory and {} MiB are free; close something or give a smaller image",
            needed.mib(),
            free.mib()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        guest_memory_mib(file.path()).unwrap_err().to_string()
    }

    /// A PNG's beginning, as far as its dimensions.
    fn png_header(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 2, 0, 0, 0]);
        let crc = bytes[12..].iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        });
        bytes.extend((!crc).to_be_bytes());
        bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        bytes
    }

    #[test]
    fn images_that_the_job_would_refuse_are_refused_first() {
        assert!(refusal(b"GIF89a________").contains("neither PNG nor JPEG"));
        assert!(refusal(b"").contains("neither PNG nor JPEG"));
        assert!(refusal(b"\x89PNG\r\n\x1a\n").contains("damaged"));
        assert!(refusal(&png_header(8193, 10)).contains("8193x10 is too large"));
        assert!(refusal(&png_header(1, 10)).contains("1x10 is too small"));
        let header = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(header.path(), png_header(64, 64)).unwrap();
        let unfinished = require_whole(header.path()).unwrap_err().to_string();
        assert!(unfinished.contains("damaged ("), "{unfinished}");
        let missing = guest_memory_mib(Path::new("/no/such.png"))
            .unwrap_err()
            .to_string();
        assert!(
            missing.starts_with("/no/such.png: No such file"),
            "{missing}"
        );
        assert!(
            guest_memory_mib(Path::new("/"))
                .unwrap_err()
                .to_string()
                .contains("not a file")
        );
    }

    #[test]
    fn guest_memory_follows_the_image() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), png_header(8192, 8192)).unwrap();
        assert_eq!(
            guest_memory_mib(file.path()).unwrap(),
            BASE_MIB + 64 * BYTES_PER_PIXEL + 1
        );
    }
}
