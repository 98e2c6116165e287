// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timelines, and futures of lists and of points.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use augur_client::{CommandList, DataType, Device, Error, Object, Order, Status};

use crate::harness::{Failure, Options, Outcome, check, check_status};

/// Rows and columns of matrices whose product takes an engine a while.
const SIZE: u32 = 512;

/// A list that keeps an engine busy for some milliseconds.
fn slow_list(object: &Object) -> Result<CommandList<'static>, Error> {
    let bytes = u64::from(SIZE * SIZE) * 4;
    let matrix = |number| object.tensor(DataType::F32, number * bytes, &[SIZE, SIZE]);
    let mut list = CommandList::new();
    list.matmul(&matrix(0)?, &matrix(1)?, &matrix(2)?, false)?;
    Ok(list)
}

fn slow_object(device: &Device) -> Result<Object, Error> {
    device.create_object(3 * u64::from(SIZE * SIZE) * 4)
}

/// Lists begin after the points that they wait for, on any queue, and points
/// are passed by lists that failed too.
pub fn timelines(options: &Options) -> Outcome {
    let device = options.open()?;
    let (first, second) = (slow_object(&device)?, slow_object(&device)?);
    let queues = device.information().submit_queues;
    let timeline = device.create_timeline()?;
    check(
        matches!(
            timeline.at(1).wait(Some(Duration::from_millis(20))),
            Err(Error::TimedOut)
        ),
        || "a point that nobody passes was passed".into(),
    )?;
    let early = Order {
        after: &[timeline.at(1)],
        passes: &[],
    };
    let refused = device.submit_ordered(0, &slow_list(&second)?, &early);
    check(
        matches!(&refused, Err(error) if error.raw_os_error() == Some(libc::EINVAL)),
        || format!("a wait for a point that nobody promised: {refused:?}"),
    )?;

    // The lists share no memory: only the points order them.
    let mut submissions = Vec::new();
    for point in 1..=8 {
        let object = if point % 2 == 0 { &first } else { &second };
        let after = [timeline.at(point - 1)];
        let order = Order {
            after: if point == 1 { &[] } else { &after },
            passes: &[timeline.at(point)],
        };
        let queue = u32::try_from(point).unwrap_or(0) % queues;
        submissions.push(device.submit_ordered(queue, &slow_list(object)?, &order)?);
    }
    timeline.at(8).wait(None)?;
    let mut finished = 0;
    for (number, submission) in submissions.iter().enumerate() {
        check(submission.has_ended()?, || {
            format!("list {number} runs although its point was passed")
        })?;
        let completion = submission.wait(None)?;
        check(completion.started_ns >= finished, || {
            format!("list {number} began before the one that it waits for had ended")
        })?;
        finished = completion.finished_ns;
    }

    let other = device.create_timeline()?;
    let order = Order {
        after: &[],
        passes: &[other.at(5)],
    };
    let failing = device.submit_ordered(0, &failing_list(&device)?, &order)?;
    other.at(5).wait(None)?;
    check_status(failing.wait(None), Status::NoObject, "a freed object")?;
    other.at(9).pass()?;
    Ok(other.at(7).wait(Some(Duration::ZERO))?)
}

/// A list that names memory which is freed before it is submitted.
fn failing_list(device: &Device) -> Result<CommandList<'static>, Error> {
    let mut list = CommandList::new();
    list.fill(&device.create_object(4096)?.byte_range(0, 4096)?, 1)?;
    Ok(list)
}

/// Futures are ready when their list has ended, in any order of asking, and
/// may be dropped before.
pub fn futures(options: &Options) -> Outcome {
    let device = options.open()?;
    let objects = [slow_object(&device)?, slow_object(&device)?];
    let queues = device.information().submit_queues;
    let mut running = Vec::new();
    for number in 0..24_u32 {
        let list = slow_list(&objects[number as usize % 2])?;
        let ended = device.submit_async(number % queues, &list)?;
        if number % 6 == 5 {
            drop(ended);
        } else {
            running.push(ended);
        }
    }
    // The last first: readiness of one must not depend on others.
    while let Some(ended) = running.pop() {
        let fence = ended.submission().fence();
        let completion = block_on(ended)?;
        check(completion.nanos() > 0, || {
            format!("list {fence} took no time")
        })?;
    }
    let failing = device.submit_async(0, &failing_list(&device)?)?;
    check_status(block_on(failing), Status::NoObject, "a freed object")?;

    let timeline = device.create_timeline()?;
    let passed = timeline.at(3).passed()?;
    let passer = thread::scope(|scope| {
        let passer = scope.spawn(|| timeline.at(3).pass());
        block_on(passed);
        passer.join()
    });
    passer.map_err(|_| Failure("passing a point panicked".into()))??;
    Ok(())
}

/// A runtime for one future: it waits on the calling thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
