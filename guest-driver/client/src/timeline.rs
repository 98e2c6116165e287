// SPDX-License-Identifier: MIT OR Apache-2.0
//! Order between command lists, processes and programs: timelines (syncobjs of
//! the DRM core) and their points.
//!
//! A list may wait for points and pass points when it has ended; a program
//! waits for a point with a time limit, as a future, or in its own event loop
//! by a file descriptor.

use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::command_list::CommandList;
use crate::device::Device;
use crate::error::Error;
use crate::kernel;
use crate::reactor::Readiness;
use crate::submission::{Completion, Submission};
use crate::uapi;

/// A row of points that are passed in order. Dropping it leaves lists that
/// wait for its points alone.
///
/// ```no_run
/// # fn main() -> Result<(), augur_client::Error> {
/// use augur_client::{CommandList, Device, Order};
///
/// let device = Device::open_first()?;
/// let object = device.create_object(4096)?;
/// let bytes = object.byte_range(0, 4096)?;
/// let (mut first, mut second) = (CommandList::new(), CommandList::new());
/// first.fill(&bytes, 1)?;
/// second.add(&bytes, &bytes, &bytes)?;
///
/// let timeline = device.create_timeline()?;
/// device.submit_ordered(0, &first, &Order { after: &[], passes: &[timeline.at(1)] })?;
/// device.submit_ordered(
///     0,
///     &second,
///     &Order { after: &[timeline.at(1)], passes: &[timeline.at(2)] },
/// )?;
/// timeline.at(2).wait(None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Timeline {
    device: Device,
    handle: u32,
}

/// A point of a timeline.
#[derive(Clone, Copy, Debug)]
pub struct Point<'timeline> {
    timeline: &'timeline Timeline,
    value: u64,
}

/// What a command list waits for and what it passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order<'a> {
    /// The list begins when all of these have been passed. Whoever passes them
    /// must have been submitted before.
    pub after: &'a [Point<'a>],
    /// Passed when the list has ended, well or not.
    pub passes: &'a [Point<'a>],
}

impl Device {
    /// A timeline that is at point 0.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn create_timeline(&self) -> Result<Timeline, Error> {
        let mut argument = uapi::SyncobjCreate::default();
        kernel::call(&self.file, &mut argument)?;
        Ok(Timeline {
            device: self.clone(),
            handle: argument.handle,
        })
    }

    /// Submits a list that borrows no memory, in an order with others.
    ///
    /// # Errors
    /// The kernel refused the list, or nobody has promised to pass a point
    /// that it is to wait for.
    pub fn submit_ordered(
        &self,
        queue: u32,
        list: &CommandList<'static>,
        order: &Order<'_>,
    ) -> Result<Submission, Error> {
        // SAFETY: memory borrowed for 'static outlives every list.
        unsafe { self.submit_unguarded(queue, list, order) }
    }

    /// Submits a list that borrows no memory; the future is its end.
    ///
    /// # Errors
    /// The kernel refused the list.
    pub fn submit_async(&self, queue: u32, list: &CommandList<'static>) -> Result<Ended, Error> {
        let timeline = self.create_timeline()?;
        let order = Order {
            after: &[],
            passes: &[timeline.at(1)],
        };
        let submission = self.submit_ordered(queue, list, &order)?;
        let passed = Passed::new(timeline.at(1))?;
        Ok(Ended { submission, passed })
    }
}

impl Timeline {
    /// The point `value`; 0 has always been passed.
    pub fn at(&self, value: u64) -> Point<'_> {
        Point {
            timeline: self,
            value,
        }
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        let mut argument = uapi::SyncobjDestroy {
            handle: self.handle,
            pad: 0,
        };
        // As for objects: what the kernel refuses goes with the open file.
        let _ = kernel::call(&self.device.file, &mut argument);
    }
}

impl Point<'_> {
    /// Passes the point from the program.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn pass(&self) -> Result<(), Error> {
        let (handle, value) = ([self.timeline.handle], [self.value]);
        let mut argument = uapi::SyncobjTimelineArray {
            handles: handle.as_ptr().expose_provenance() as u64,
            points: value.as_ptr().expose_provenance() as u64,
            count_handles: 1,
            flags: 0,
        };
        // SAFETY: two arrays of one entry, read during the call.
        unsafe { kernel::ioctl(&self.timeline.device.file, &mut argument) }
    }

    /// Waits until the point has been passed, also when nobody has promised to
    /// pass it yet; at most `limit` if there is one.
    ///
    /// # Errors
    /// [`Error::TimedOut`].
    pub fn wait(&self, limit: Option<Duration>) -> Result<(), Error> {
        let (handle, value) = ([self.timeline.handle], [self.value]);
        let mut argument = uapi::SyncobjTimelineWait {
            handles: handle.as_ptr().expose_provenance() as u64,
            points: value.as_ptr().expose_provenance() as u64,
            timeout_nsec: kernel::deadline(limit),
            count_handles: 1,
            flags: uapi::SYNCOBJ_WAIT_FOR_SUBMIT,
            ..Default::default()
        };
        // SAFETY: two arrays of one entry, read during the call.
        unsafe { kernel::ioctl(&self.timeline.device.file, &mut argument) }
    }

    /// A descriptor that becomes readable when the point has been passed, for
    /// event loops.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn event(&self) -> Result<OwnedFd, Error> {
        let event = kernel::event()?;
        let mut argument = uapi::SyncobjEventfd {
            handle: self.timeline.handle,
            flags: 0,
            point: self.value,
            fd: event.as_raw_fd(),
            pad: 0,
        };
        kernel::call(&self.timeline.device.file, &mut argument)?;
        Ok(event)
    }

    /// A future that is ready when the point has been passed. It needs no
    /// particular runtime.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn passed(&self) -> Result<Passed, Error> {
        Passed::new(*self)
    }

    /// The point as the driver takes it.
    pub(crate) fn sync(&self) -> uapi::Sync {
        uapi::Sync {
            handle: self.timeline.handle,
            pad: 0,
            point: self.value,
        }
    }
}

/// A point that will have been passed; see [`Point::passed`].
#[derive(Debug)]
pub struct Passed(Readiness);

impl Passed {
    fn new(point: Point<'_>) -> Result<Self, Error> {
        Readiness::of(point.event()?).map(Self)
    }
}

impl Future for Passed {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll(context)
    }
}

/// The end of a command list; see [`Device::submit_async`]. Dropping it does
/// not cancel the list.
#[derive(Debug)]
pub struct Ended {
    submission: Submission,
    passed: Passed,
}

impl Ended {
    /// The submitted list.
    pub fn submission(&self) -> &Submission {
        &self.submission
    }
}

impl Future for Ended {
    type Output = Result<Completion, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.passed).poll(context) {
            Poll::Ready(()) => Poll::Ready(self.submission.wait(None)),
            Poll::Pending => Poll::Pending,
        }
    }
}
