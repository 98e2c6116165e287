// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists that make no progress, and cards that do wrong.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use augur_client::{CommandList, DataType, Device, Error, Object, Status};

use crate::harness::{AT_LAST, Failure, Options, Outcome, While, check, check_status};
use crate::pattern;

/// The driver's patience with lists, in milliseconds.
const PATIENCE: &str = "/sys/module/augur/parameters/tdr_timeout_ms";
/// Where the kernel keeps dumps of devices.
const DUMPS: &str = "/sys/class/devcoredump";

/// The driver's patience, shortened until this is dropped.
struct Impatience {
    before: String,
}

impl Impatience {
    fn new(milliseconds: u32) -> Result<Self, Failure> {
        let before = fs::read_to_string(PATIENCE).while_doing(|| PATIENCE.into())?;
        fs::write(PATIENCE, milliseconds.to_string()).while_doing(|| PATIENCE.into())?;
        Ok(Self { before })
    }
}

impl Drop for Impatience {
    fn drop(&mut self) {
        // A later test that needs the patience fails by itself.
        let _ = fs::write(PATIENCE, &self.before);
    }
}

/// Bytes of an object for [`endless_list`].
const ENDLESS_BYTES: u64 = 3 << 26;

/// One command that takes far longer than the patience of these tests.
fn endless_list(object: &Object) -> Result<CommandList<'static>, Error> {
    const SIZE: u32 = 4096;
    let bytes = u64::from(SIZE) * u64::from(SIZE) * 4;
    let matrix = |index| object.tensor(DataType::F32, index * bytes, &[SIZE, SIZE]);
    let (a, b, c) = (matrix(0)?, matrix(1)?, matrix(2)?);
    let mut list = CommandList::new();
    for _ in 0..100 {
        list.matmul(&c, &a, &b, true)?;
    }
    Ok(list)
}

/// The driver's patience with lists that would never end, in milliseconds. While it is
/// so short nothing else is in flight: a busy host may well keep an innocent list for as
/// long.
const SHORT: u32 = 100;
/// The same for a card that may be honest still.
const SHORT_BUT_HONEST: u32 = 2000;

/// A list that makes no progress is given up; nothing else is lost.
pub fn given_up(options: &Options) -> Outcome {
    let before = dumps()?;
    let device = options.open()?;
    let kept = Kept::new(&device)?;
    let bystander = options.open()?;
    let beside = Kept::new(&bystander)?;

    is_given_up(&device)?;
    kept.check(&device)?;
    beside.check(&bystander)?;

    let dump = dumps()?
        .into_iter()
        .find(|dump| !before.contains(dump))
        .ok_or_else(|| Failure("the hang left no dump".into()))?;
    let text = fs::read_to_string(dump.join("data")).while_doing(|| "the dump".into())?;
    let context = format!("context {} ", device.information().context);
    check(text.contains(&context), || format!("the dump says {text}"))?;
    fs::write(dump.join("data"), "1").while_doing(|| "freeing the dump".into())
}

/// Submits a list that takes for ever, and expects that it is given up.
fn is_given_up(device: &Device) -> Outcome {
    let _impatience = Impatience::new(SHORT)?;
    let object = device.create_object(ENDLESS_BYTES)?;
    let endless = device.submit(0, &endless_list(&object)?)?;
    let result = endless.wait(Some(AT_LAST));
    check_status(result, Status::DeviceError, "a list without progress")
}

/// A context whose lists are given up again and again may submit no more.
pub fn banned(options: &Options) -> Outcome {
    let device = options.open()?;
    for _ in 0..3 {
        // Another object each time: what reads the results of a failed list fails too.
        is_given_up(&device)?;
    }
    let object = device.create_object(ENDLESS_BYTES)?;
    let refused = device.submit(0, &endless_list(&object)?);
    check(matches!(refused, Err(Error::CardLost { .. })), || {
        format!("the fourth endless list was taken: {refused:?}")
    })?;
    let other = options.open()?;
    Kept::new(&other)?.check(&other)
}

/// The card keeps a list: its fence fails, others go on.
pub fn kept_by_card(options: &Options) -> Outcome {
    let device = options.open()?;
    let kept = Kept::new(&device)?;
    let impatience = Impatience::new(SHORT_BUT_HONEST)?;
    println!("# READY");
    let mut list = CommandList::new();
    let object = device.create_object(4096)?;
    list.fill(&object.byte_range(0, 4096)?, 1)?;
    // Until somebody has turned the card.
    let began = Instant::now();
    loop {
        match device.submit(0, &list)?.wait(Some(AT_LAST)) {
            Ok(_) => std::thread::sleep(Duration::from_millis(1)),
            result => {
                check_status(result, Status::DeviceError, "a list that the card keeps")?;
                break;
            }
        }
        check(began.elapsed() < AT_LAST, || {
            "nobody turned the card".into()
        })?;
    }
    println!("# KEPT");
    // Until somebody has turned it back.
    loop {
        let other = options.open()?;
        if Kept::new(&other).is_ok_and(|memory| memory.check(&other).is_ok()) {
            break;
        }
        check(began.elapsed() < AT_LAST, || "the card stays bad".into())?;
    }
    drop(impatience);
    kept.check(&device)
}

/// A file that the host makes when it has turned the card.
const TURNED: &str = "/tmp/turned";

/// When a program may end that uses a card until some time after it was turned.
struct Endurance {
    most: Duration,
    turned: Option<Instant>,
}

impl Endurance {
    fn new(most: Duration) -> Self {
        println!("# READY");
        Self { most, turned: None }
    }

    /// Whether to go on.
    fn goes_on(&mut self) -> bool {
        if self.turned.is_none() && Path::new(TURNED).exists() {
            self.turned = Some(Instant::now());
        }
        self.turned
            .is_none_or(|turned| turned.elapsed() < self.most)
    }
}

/// Goes on with everything that a program does while the card misbehaves, and
/// accepts any result but a wrong byte after a good one.
pub fn endure(options: &Options) -> Outcome {
    let mut endurance = Endurance::new(Duration::from_secs(8));
    let mut errors = 0_u32;
    let mut successes = 0_u32;
    while endurance.goes_on() {
        match one_round(options) {
            Ok(()) => successes += 1,
            Err(_) => {
                errors += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
    println!("# {successes} rounds went well, {errors} gave an error");
    Ok(())
}

fn one_round(options: &Options) -> Outcome {
    let device = options.open()?;
    let kept = Kept::new(&device)?;
    // No touch of mapped memory: its failure is a signal, not an error.
    kept.check(&device)
}

/// Touches mapped memory while the card misbehaves; SIGBUS ends it.
pub fn touch(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(8 << 20)?;
    let mut mapping = object.map()?;
    mapping.write_byte(0, 1)?;
    let mut endurance = Endurance::new(Duration::from_secs(4));
    let mut random = options.random(11);
    while endurance.goes_on() {
        let at = random.usize(..mapping.bytes());
        mapping.write_byte(at, 1)?;
    }
    Ok(())
}

/// Memory with known contents.
struct Kept {
    object: Object,
}

impl Kept {
    const BYTES: usize = 1 << 16;

    fn new(device: &Device) -> Result<Self, Failure> {
        let object = device.create_object(Self::BYTES as u64)?;
        let mut list = CommandList::new();
        let memory = pattern::bytes(7, Self::BYTES);
        list.upload(&object.byte_range(0, Self::BYTES as u64)?, &memory)?;
        device.run(&list)?;
        drop(list);
        Ok(Self { object })
    }

    fn check(&self, device: &Device) -> Outcome {
        let mut memory = vec![0; Self::BYTES];
        let mut list = CommandList::new();
        list.download(&mut memory, &self.object.byte_range(0, Self::BYTES as u64)?)?;
        device.run(&list)?;
        drop(list);
        pattern::verify(7, &memory, "after the hang")
    }
}

fn dumps() -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(Path::new(DUMPS)) {
        Ok(entries) => Ok(entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.join("data").exists())
            .collect()),
        // The class appears with the first dump.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
