// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the driver tells about itself and the card outside of its ioctls:
//! fdinfo, sysfs, hwmon, debugfs, tracepoints.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use augur_client::Device;

use crate::harness::{AT_LAST, Failure, Options, Outcome, While, check};
use crate::subtests::lifetime::{LONG_LIST_BYTES, long_list};

/// Where the kernel's tracepoints are switched and read.
const TRACING: &str = "/sys/kernel/tracing";

/// A context's share of engines and memory is what it used.
pub fn fdinfo(options: &Options) -> Outcome {
    let device = options.open()?;
    let idle = usage(&device)?;
    check(
        idle.get("drm-driver").map(String::as_str) == Some("augur"),
        || format!("no driver's name in {idle:?}"),
    )?;
    expect(&idle, "drm-total-device", 0, 0)?;
    expect(&idle, "drm-engine-compute", 0, 0)?;

    let object = device.create_object(LONG_LIST_BYTES)?;
    object.map()?.write_byte(0, 1)?;
    device.run(&long_list(&object)?)?;
    let mut memory = vec![0; 1 << 20];
    let mut download = augur_client::CommandList::new();
    download.download(&mut memory, &object.byte_range(0, 1 << 20)?)?;
    device.run(&download)?;
    // A channel counts its time right after the list has ended.
    let counted = |used: &BTreeMap<_, _>| expect(used, "drm-engine-dma", 1, u64::MAX).is_ok();
    let began = Instant::now();
    let mut used = usage(&device)?;
    while !counted(&used) && began.elapsed() < AT_LAST {
        std::thread::sleep(Duration::from_millis(1));
        used = usage(&device)?;
    }
    let kib = LONG_LIST_BYTES >> 10;
    expect(&used, "drm-total-device", kib, kib)?;
    expect(&used, "drm-resident-device", kib, kib)?;
    expect(&used, "drm-resident-aperture", 4, kib)?;
    expect(&used, "drm-engine-compute", 1, u64::MAX)?;
    expect(&used, "drm-engine-dma", 1, u64::MAX)?;
    let engines = u64::from(device.information().compute_engines);
    expect(&used, "drm-engine-capacity-compute", engines, engines)?;

    drop(object);
    let freed = usage(&device)?;
    expect(&freed, "drm-total-device", 0, 0)
}

/// The numbers that monitors read from sysfs and hwmon follow the card's work.
pub fn sensors(options: &Options) -> Outcome {
    let device = options.open()?;
    let folder = sysfs(&device)?;
    let object = device.create_object(LONG_LIST_BYTES)?;
    let busy = number(&folder.join("npu_busy_time_us"))?;
    let memory = number(&folder.join("npu_memory_utilization"))?;
    check(memory >= LONG_LIST_BYTES, || {
        format!("{memory} bytes are in use, at least {LONG_LIST_BYTES} expected")
    })?;
    let hwmon = hwmon(&folder)?;
    let energy = number(&hwmon.join("energy1_input"))?;
    device.run(&long_list(&object)?)?;
    let later = number(&folder.join("npu_busy_time_us"))?;
    check(later > busy, || {
        format!("busy time went from {busy} µs to {later} µs")
    })?;
    let most = number(&folder.join("npu_max_frequency_mhz"))?;
    let now = number(&folder.join("npu_current_frequency_mhz"))?;
    check(most > 0 && now <= most, || format!("{now} of {most} MHz"))?;

    // Until the next heartbeat has counted it.
    let began = Instant::now();
    while number(&hwmon.join("energy1_input"))? == energy {
        check(began.elapsed() < AT_LAST, || "no energy is used".into())?;
        std::thread::sleep(Duration::from_millis(20));
    }
    let power = number(&hwmon.join("power1_input"))?;
    let temperature = number(&hwmon.join("temp1_input"))?;
    check((1..1_000_000_000).contains(&power), || {
        format!("{power} µW")
    })?;
    check((10_000..200_000).contains(&temperature), || {
        format!("{temperature} millidegrees")
    })
}

/// debugfs shows the windows, objects, contexts and queues that there are, and
/// measures a round trip.
pub fn debugfs(options: &Options) -> Outcome {
    let device = options.open()?;
    let object = device.create_object(1 << 20)?;
    object.map()?.write_byte(0, 1)?;
    let context = device.information().context.to_string();
    let address = format!("{:#x}", object.device_address());
    // Named after the bus's device.
    let bus = fs::canonicalize(sysfs(&device)?)?;
    let name = bus.file_name().unwrap_or_default();
    let folder = Path::new("/sys/kernel/debug/accel").join(name);
    for (file, word) in [
        ("windows", address.as_str()),
        ("windows", "dirty"),
        ("objects", "1048576"),
        ("contexts", "good"),
    ] {
        let path = folder.join(file);
        let text = read(&path)?;
        let line = text.lines().find(|line| {
            let mut words = line.split(' ');
            words.next() == Some(context.as_str()) && words.any(|other| other == word)
        });
        check(line.is_some(), || {
            format!(
                "{} says nothing of {word} of context {context}: {text}",
                path.display()
            )
        })?;
    }
    let queues = read(&folder.join("queues"))?;
    let expected = 1 + device.information().submit_queues as usize;
    check(queues.lines().count() == expected, || queues)?;
    let measured = read(&folder.join("round_trip"))?;
    let numbers = measured.lines().nth(1).and_then(|line| {
        let mut numbers = line.split(' ').map(str::parse::<u64>);
        numbers
            .all(|number| number.is_ok_and(|number| number > 0))
            .then_some(())
    });
    check(numbers.is_some(), || measured)
}

/// Every tracepoint fires for what it is there for.
pub fn tracepoints(options: &Options) -> Outcome {
    let device = options.open()?;
    let switch = Path::new(TRACING).join("events/augur/enable");
    write(&switch, "1")?;
    write(&Path::new(TRACING).join("trace"), "")?;
    let done = traced_work(&device);
    write(&switch, "0")?;
    done?;
    let trace = read(&Path::new(TRACING).join("trace"))?;
    let context = format!("context={} ", device.information().context);
    for event in [
        "augur_submit",
        "augur_fence",
        "augur_fault",
        "augur_window_publish",
    ] {
        let fired = trace
            .lines()
            .any(|line| line.contains(&format!(" {event}: ")) && line.contains(&context));
        check(fired, || format!("{event} did not fire:\n{trace}"))?;
    }
    Ok(())
}

fn traced_work(device: &Device) -> Outcome {
    let object = device.create_object(1 << 20)?;
    object.map()?.write_byte(0, 1)?;
    let mut list = augur_client::CommandList::new();
    list.fill(&object.byte_range(0, 4096)?, 1)?;
    device.run(&list)?;
    Ok(())
}

fn usage(device: &Device) -> Result<BTreeMap<String, String>, Failure> {
    let path = format!("/proc/self/fdinfo/{}", device.as_fd().as_raw_fd());
    let text = read(Path::new(&path))?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect())
}

/// The number of a key is in a range, in the unit that the key has.
fn expect(usage: &BTreeMap<String, String>, key: &str, least: u64, most: u64) -> Outcome {
    let value = usage.get(key).map_or("missing", String::as_str);
    let kib = match value.split_once(' ') {
        Some((number, "MiB")) => number.parse().map(|number: u64| number << 10),
        Some((number, _)) => number.parse(),
        None => value.parse(),
    };
    check(
        kib.is_ok_and(|number| (least..=most).contains(&number)),
        || format!("{key} is {value}, not between {least} and {most}"),
    )
}

fn device_name(device: &Device) -> Result<&str, Failure> {
    let name = device.path().file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| Failure("the card's file has no name".into()))
}

/// The directory of the card's device.
fn sysfs(device: &Device) -> Result<PathBuf, Failure> {
    Ok(Path::new("/sys/class/accel")
        .join(device_name(device)?)
        .join("device"))
}

fn hwmon(folder: &Path) -> Result<PathBuf, Failure> {
    let mut entries = fs::read_dir(folder.join("hwmon")).while_doing(|| "hwmon".into())?;
    let entry = entries.next().ok_or_else(|| Failure("no hwmon".into()))??;
    let name = read(&entry.path().join("name"))?;
    check(name.trim() == "augur", || {
        format!("the sensors are called {name}")
    })?;
    Ok(entry.path())
}

fn number(path: &Path) -> Result<u64, Failure> {
    let text = read(path)?;
    text.trim()
        .parse()
        .map_err(|_| Failure(format!("{} says {text:?}", path.display())))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).while_doing(|| path.display().to_string())
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).while_doing(|| path.display().to_string())
}
