// SPDX-License-Identifier: MIT OR Apache-2.0
//! Order between the CPU, engines, channels and lists.

use augur_client::{CommandList, DataType};

use crate::harness::{Options, Outcome, While, check};
use crate::pattern;
use crate::process;

/// CPU and engines write and read the same memory in turn, while another
/// process keeps the aperture busy.
pub fn engine_and_cpu(options: &Options) -> Outcome {
    let path = options.open()?.path().to_path_buf();
    let busy = process::fork("keeps the aperture busy", || {
        let device = augur_client::Device::open(&path)?;
        let bytes = 2 * device.information().aperture_bytes;
        let bytes = bytes.min(device.information().usable_bytes / 2);
        let object = device.create_object(bytes)?;
        let mut mapping = object.map()?;
        let mut random = options.random(40);
        loop {
            mapping.write_byte(random.usize(..mapping.bytes()), 1)?;
        }
    })?;
    let result = take_turns(options);
    busy.kill()?;
    result
}

fn take_turns(options: &Options) -> Outcome {
    const BYTES: usize = 1 << 20;
    let device = options.open()?;
    let (a, b) = (
        device.create_object(BYTES as u64)?,
        device.create_object(BYTES as u64)?,
    );
    let (mut map_a, mut map_b) = (a.map()?, b.map()?);
    let mut random = options.random(4);
    let mut read = vec![0; BYTES];
    for round in 0..60 {
        let length = 1 + random.usize(..BYTES / 4);
        let (from, to) = (
            random.usize(..BYTES - length),
            random.usize(..BYTES - length),
        );
        let what = || format!("round {round}: {length} bytes from {from} to {to}");
        let data = pattern::bytes(random.u64(..), length);
        map_a.write(from, &data)?;
        map_b.write(to, &vec![0xbb; length])?;
        let source = a.byte_range(from as u64, length as u64)?;
        let destination = b.byte_range(to as u64, length as u64)?;
        let mut list = CommandList::new();
        list.copy(&destination, &source)?;
        device.run(&list).while_doing(what)?;
        let read = &mut read[..length];
        map_b.read(to, read)?;
        pattern::same(read, &data, &format!("{}, copied by an engine", what()))?;

        let mut list = CommandList::new();
        list.fill(&source, 0x11)?;
        device.run(&list).while_doing(what)?;
        map_a.read(from, read)?;
        check(read.iter().all(|&byte| byte == 0x11), || {
            format!("{}: the fill is not seen by the CPU", what())
        })?;
    }
    Ok(())
}

/// Lists of one queue that depend on each other, submitted without waiting.
pub fn lists_in_order(options: &Options) -> Outcome {
    const STEPS: u8 = 100;
    let device = options.open()?;
    let object = device.create_object(1 << 20)?;
    for queue in 0..device.information().submit_queues {
        let counter = object.tensor(DataType::U8, u64::from(queue) * 8192 + 5, &[3001])?;
        let mut sums = vec![0; 3001];
        let mut reset = CommandList::new();
        reset.fill(&counter, 1)?;
        let (mut double, mut add) = (CommandList::new(), CommandList::new());
        let (ones, twos) = (
            object.tensor(DataType::U8, 500_000, &[3001])?,
            object.tensor(DataType::U8, 600_000, &[3001])?,
        );
        add.fill(&ones, 1)?;
        add.add(&counter, &counter, &ones)?;
        double.fill(&twos, 2)?;
        double.multiply(&counter, &counter, &twos)?;
        let mut expected = 1_u8;
        let mut last = device.submit(queue, &reset)?;
        for step in 0..STEPS {
            // Doubling saturates at once; once in a while is enough.
            let list = if step % 25 == 24 { &double } else { &add };
            expected = if step % 25 == 24 {
                expected.saturating_mul(2)
            } else {
                expected.saturating_add(1)
            };
            last = device.submit(queue, list)?;
        }
        last.wait(None)?;
        let mut list = CommandList::new();
        list.download(&mut sums, &counter)?;
        device.run_on(queue, &list)?;
        check(sums.iter().all(|&sum| sum == expected), || {
            format!(
                "queue {queue}: {} after {STEPS} lists, expected {expected}",
                sums[0]
            )
        })?;
    }
    Ok(())
}
