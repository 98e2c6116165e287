// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many short lives on the card, some of which end at any moment.

use std::path::Path;
use std::time::Duration;

use augur_client::{CommandList, Device};

use crate::harness::{Failure, Options, Outcome, check};
use crate::pattern;
use crate::process::{self, Child, Exit, SharedWords};
use crate::subtests::lifetime::nothing_left;

/// Processes at one time.
const PROCESSES: usize = 8;

/// Whole lives of contexts in eight processes, of which one is killed now and
/// then; afterwards the books of card and driver are as before.
pub fn run(options: &Options) -> Outcome {
    let device = options.open()?;
    let path = device.path().to_path_buf();
    let before = (device.counters()?, device.driver_counters()?);
    let rounds = SharedWords::new(PROCESSES)?;
    let mut random = options.random(9);
    let mut workers = Vec::new();
    for worker in 0..PROCESSES {
        workers.push(begin(&path, &rounds, worker)?);
    }
    let mut killed = 0;
    while (0..PROCESSES).map(|worker| rounds.get(worker)).sum::<u32>() < options.rounds {
        std::thread::sleep(Duration::from_micros(random.u64(..20_000)));
        let victim = random.usize(..PROCESSES);
        let fresh = begin(&path, &rounds, victim)?;
        let worker = std::mem::replace(&mut workers[victim], fresh);
        ended_by_kill(worker)?;
        killed += 1;
    }
    for worker in workers {
        ended_by_kill(worker)?;
    }
    println!("# {killed} processes were killed on the way");
    nothing_left(&device, &before, 0)
}

fn begin(path: &Path, rounds: &SharedWords, worker: usize) -> Result<Child, Failure> {
    Ok(process::fork("churn", || {
        for tag in 0_u64.. {
            life(path, tag)?;
            rounds.set(worker, rounds.get(worker) + 1);
        }
        Ok(())
    })?)
}

/// It was killed, so that it had found nothing wrong until then.
fn ended_by_kill(worker: Child) -> Outcome {
    let exit = worker.kill()?;
    check(exit == Exit::Signal(libc::SIGKILL), || {
        format!("a process ended with {exit:?} before it was killed")
    })
}

/// One context: memory through its mapping and by transfer, a command, the end.
fn life(path: &Path, tag: u64) -> Outcome {
    const BYTES: usize = 192 << 10;
    let device = Device::open(path)?;
    let object = device.create_object(BYTES as u64)?;
    let whole = object.byte_range(0, BYTES as u64)?;
    let mut mapping = object.map()?;
    mapping.write(0, &pattern::bytes(tag, BYTES))?;
    let mut memory = vec![0; BYTES];
    let mut list = CommandList::new();
    list.download(&mut memory, &whole)?;
    device.run(&list)?;
    pattern::verify(tag, &memory, "what was written to the mapping")?;
    let mut list = CommandList::new();
    list.fill(&whole, tag & 0xff)?;
    // The last of them is not waited for: closing cancels it.
    device.submit(0, &list)?;
    Ok(())
}
