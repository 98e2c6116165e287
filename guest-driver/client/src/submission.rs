// SPDX-License-Identifier: MIT OR Apache-2.0
//! Submitting command lists and waiting for them.
//!
//! While a list is in flight the card reads and writes the memory that was
//! lent to the list. So a list that borrows memory is submitted by
//! [`Device::run`], which waits, or within [`Device::scope`], which waits for
//! all of its lists before it returns; only a list without borrowed memory is
//! submitted freely ([`Device::submit`]).

use std::cell::RefCell;
use std::marker::PhantomData;
use std::time::Duration;

use augur_abi::Status;
use augur_abi::submit::{SubmitHeader, Transfer};

use crate::command_list::CommandList;
use crate::device::Device;
use crate::error::Error;
use crate::kernel;
use crate::timeline::{Order, Point};
use crate::uapi;

/// When a command list was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Card clock when the first command started, in nanoseconds.
    pub started_ns: u64,
    /// Card clock when the last command ended, in nanoseconds.
    pub finished_ns: u64,
}

impl Completion {
    /// How a list ended, as the driver says it.
    fn of(wait: &uapi::Wait) -> Result<Self, Error> {
        match Status::from_code(wait.status) {
            Some(Status::Ok) => Ok(Self {
                started_ns: wait.started_ns,
                finished_ns: wait.finished_ns,
            }),
            Some(status) => Err(Error::ListFailed {
                status,
                command: wait.failed_command,
            }),
            None => Err(Error::UnknownStatus(wait.status)),
        }
    }

    /// Nanoseconds from the first command's start to the last one's end, by
    /// the card's clock.
    pub fn nanos(&self) -> u64 {
        self.finished_ns.saturating_sub(self.started_ns)
    }
}

/// A submitted command list. Dropping it does not cancel the list.
#[derive(Clone, Debug)]
pub struct Submission {
    device: Device,
    fence: u64,
}

impl Submission {
    /// Number of the list in its context.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Waits until the list has ended, at most `limit` if there is one.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::ListFailed`], [`Error::CardLost`], or the
    /// result was dropped because 1024 later lists have ended since.
    pub fn wait(&self, limit: Option<Duration>) -> Result<Completion, Error> {
        let mut argument = uapi::Wait {
            fence: self.fence,
            timeout_ns: kernel::deadline(limit),
            ..Default::default()
        };
        kernel::call(&self.device.file, &mut argument)?;
        Completion::of(&argument)
    }

    /// Whether the list has ended, well or not, without waiting.
    ///
    /// # Errors
    /// [`Error::CardLost`], or the result was dropped.
    pub fn has_ended(&self) -> Result<bool, Error> {
        let mut argument = uapi::Wait {
            fence: self.fence,
            ..Default::default()
        };
        match kernel::call(&self.device.file, &mut argument) {
            Ok(()) => Ok(true),
            Err(Error::TimedOut) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Device {
    /// Submits a list on queue 0 and waits until it has ended.
    ///
    /// # Errors
    /// As [`Submission::wait`], or the kernel refused the list.
    pub fn run(&self, list: &CommandList<'_>) -> Result<Completion, Error> {
        self.run_on(0, list)
    }

    /// Submits a list on a queue and waits until it has ended, in one system call.
    ///
    /// # Errors
    /// As [`Submission::wait`], or the kernel refused the list.
    pub fn run_on(&self, queue: u32, list: &CommandList<'_>) -> Result<Completion, Error> {
        self.scope(|scope| scope.run(queue, list))
    }

    /// The list with this number, as [`Submission::fence`] gave it: for programs
    /// that keep numbers only.
    pub fn submission(&self, fence: u64) -> Submission {
        Submission {
            device: self.clone(),
            fence,
        }
    }

    /// Submits a list that borrows no memory.
    ///
    /// # Errors
    /// The kernel refused the list.
    pub fn submit(&self, queue: u32, list: &CommandList<'static>) -> Result<Submission, Error> {
        self.submit_ordered(queue, list, &Order::default())
    }

    /// Submits several lists that borrow no memory, in their order on one queue:
    /// all of them, or after an error none. Each waits for all points of
    /// `order.after`; those of `order.passes` are passed when all lists have
    /// ended.
    ///
    /// # Errors
    /// The kernel refused a list, or there are none or more than
    /// [`uapi::MAX_LISTS`].
    pub fn submit_lists(
        &self,
        queue: u32,
        lists: &[CommandList<'static>],
        order: &Order<'_>,
    ) -> Result<Vec<Submission>, Error> {
        let described = lists
            .iter()
            .map(|list| self.describe(list))
            .collect::<Result<Vec<_>, _>>()?;
        let [after, passes] = [order.after, order.passes]
            .map(|points| points.iter().map(Point::sync).collect::<Vec<_>>());
        let mut argument = uapi::SubmitLists {
            lists: described.as_ptr().expose_provenance() as u64,
            list_count: u32::try_from(described.len()).unwrap_or(u32::MAX),
            queue,
            in_syncs: after.as_ptr().expose_provenance() as u64,
            out_syncs: passes.as_ptr().expose_provenance() as u64,
            in_sync_count: u32::try_from(after.len()).unwrap_or(u32::MAX),
            out_sync_count: u32::try_from(passes.len()).unwrap_or(u32::MAX),
            ..Default::default()
        };
        // SAFETY: lists, commands and points are copied during the call; memory
        // that is borrowed for 'static outlives every list.
        unsafe { kernel::ioctl(&self.file, &mut argument) }?;
        let first = argument.fence;
        Ok((first..)
            .zip(lists)
            .map(|(fence, _)| self.submission(fence))
            .collect())
    }

    /// A list as the driver takes it.
    fn describe(&self, list: &CommandList<'_>) -> Result<uapi::List, Error> {
        let (commands, transfers) = (list.commands(), list.transfers());
        let needed =
            (SubmitHeader::BYTES + commands.len() + transfers.len() * Transfer::BYTES) as u64;
        let limit = u64::from(self.information().max_submit_bytes);
        let sizes = (
            u32::try_from(commands.len()),
            u32::try_from(transfers.len()),
        );
        let (Ok(commands_size), Ok(transfer_count), true) = (sizes.0, sizes.1, needed <= limit)
        else {
            return Err(Error::ListTooLong { needed, limit });
        };
        Ok(uapi::List {
            commands: commands.as_ptr().expose_provenance() as u64,
            commands_size,
            command_count: list.command_count(),
            transfers: transfers.as_ptr().expose_provenance() as u64,
            transfer_count,
            pad: 0,
        })
    }

    /// Runs `work`, which may submit lists that borrow memory, and returns when
    /// all of them have ended.
    pub fn scope<'memory, R>(&self, work: impl FnOnce(&Scope<'memory>) -> R) -> R {
        let scope = Scope {
            device: self.clone(),
            pending: RefCell::new(Vec::new()),
            memory: PhantomData,
        };
        work(&scope)
    }

    /// Submits a list without keeping what it borrows.
    ///
    /// # Safety
    /// The memory that the list borrows must stay as borrowed until the list
    /// has ended.
    pub(crate) unsafe fn submit_unguarded(
        &self,
        queue: u32,
        list: &CommandList<'_>,
        order: &Order<'_>,
    ) -> Result<Submission, Error> {
        // SAFETY: the caller's promise.
        let submit = unsafe { self.submit_flagged(queue, list, order, 0) }?;
        Ok(self.submission(submit.wait.fence))
    }

    /// Submits a list with `uapi::SUBMIT_*`. Return: the argument as the driver
    /// left it; a wait has no time limit.
    ///
    /// # Safety
    /// As [`Device::submit_unguarded`].
    unsafe fn submit_flagged(
        &self,
        queue: u32,
        list: &CommandList<'_>,
        order: &Order<'_>,
        flags: u32,
    ) -> Result<uapi::Submit, Error> {
        let list = self.describe(list)?;
        let [after, passes] = [order.after, order.passes]
            .map(|points| points.iter().map(Point::sync).collect::<Vec<_>>());
        let mut argument = uapi::Submit {
            commands: list.commands,
            commands_size: list.commands_size,
            command_count: list.command_count,
            transfers: list.transfers,
            transfer_count: list.transfer_count,
            queue,
            in_syncs: after.as_ptr().expose_provenance() as u64,
            out_syncs: passes.as_ptr().expose_provenance() as u64,
            in_sync_count: u32::try_from(after.len()).unwrap_or(u32::MAX),
            out_sync_count: u32::try_from(passes.len()).unwrap_or(u32::MAX),
            flags,
            ..Default::default()
        };
        if flags & uapi::SUBMIT_WAIT != 0 {
            argument.wait.timeout_ns = kernel::deadline(None);
        }
        // SAFETY: commands, transfers and points are copied during the call;
        // the caller keeps the memory that the transfers name.
        unsafe { kernel::ioctl(&self.file, &mut argument) }?;
        Ok(argument)
    }
}

/// Where lists that borrow memory for `'memory` may be submitted; see
/// [`Device::scope`].
#[derive(Debug)]
pub struct Scope<'memory> {
    device: Device,
    pending: RefCell<Vec<Submission>>,
    memory: PhantomData<&'memory mut &'memory ()>,
}

impl<'memory> Scope<'memory> {
    /// Submits a list.
    ///
    /// # Errors
    /// The kernel refused the list.
    pub fn submit(&self, queue: u32, list: &CommandList<'memory>) -> Result<Submission, Error> {
        // SAFETY: 'memory outlives the call of `Device::scope`, which owns the
        // scope: it is dropped, and so all lists are waited for, before the
        // call returns or unwinds.
        let submission = unsafe { self.device.submit_unguarded(queue, list, &Order::default()) }?;
        self.pending.borrow_mut().push(submission.clone());
        Ok(submission)
    }

    /// Submits a list and waits until it has ended.
    fn run(&self, queue: u32, list: &CommandList<'memory>) -> Result<Completion, Error> {
        let (order, flags) = (Order::default(), uapi::SUBMIT_WAIT);
        // SAFETY: as in `submit`; a list that has not ended when the call
        // returns is waited for like all others.
        let submit = unsafe { self.device.submit_flagged(queue, list, &order, flags) }?;
        if submit.wait_error == 0 {
            return Completion::of(&submit.wait);
        }
        // A signal ended the wait, or what this wait meets again.
        let submission = self.device.submission(submit.wait.fence);
        self.pending.borrow_mut().push(submission.clone());
        submission.wait(None)
    }
}

impl Drop for Scope<'_> {
    /// Waits for every list; how they ended is for whoever holds the
    /// [`Submission`].
    fn drop(&mut self) {
        for submission in self.pending.get_mut().drain(..) {
            match submission.wait(None) {
                // When the card is lost the driver has given the memory back.
                Ok(_)
                | Err(
                    Error::ListFailed { .. } | Error::UnknownStatus(_) | Error::CardLost { .. },
                ) => {}
                // Its result was dropped because later lists have ended.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                // Returning would let the card write to memory that is not
                // lent any more.
                Err(error) => {
                    eprintln!("waiting for a command list failed: {error}");
                    std::process::abort();
                }
            }
        }
    }
}
