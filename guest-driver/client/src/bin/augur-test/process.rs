// SPDX-License-Identifier: MIT OR Apache-2.0
//! Child processes that share the parent's mappings and open files, and words
//! of memory that they share.
//!
//! The program has one thread, so that a forked child may do everything.

use std::io::{self, Write};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::harness::{Failure, Outcome, check};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// A forked child. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    process: libc::pid_t,
}

/// Runs `work` in a forked child, which then ends: with 0 if it passed, with 1
/// and a line on stderr if not. What the child drops it drops for itself only,
/// except for objects of a device that the parent opened: `work` must borrow
/// those.
///
/// # Errors
/// The kernel has no more processes.
pub fn fork(name: &str, work: impl FnOnce() -> Outcome) -> io::Result<Child> {
    io::stdout().flush()?;
    // SAFETY: the program has one thread, so no lock is held by another.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let code = match work() {
                Ok(()) => 0,
                Err(Failure(reason)) => {
                    eprintln!("# {name}: {reason}");
                    1
                }
            };
            // SAFETY: ends the child without the parent's destructors.
            unsafe { libc::_exit(code) }
        }
        process => Ok(Child { process }),
    }
}

impl Child {
    /// Waits until the child has ended.
    ///
    /// # Errors
    /// It was waited for already.
    pub fn wait(mut self) -> io::Result<Exit> {
        self.reap()
    }

    /// Sends SIGKILL and waits.
    ///
    /// # Errors
    /// It was waited for already.
    pub fn kill(mut self) -> io::Result<Exit> {
        self.send_kill();
        self.reap()
    }

    fn send_kill(&self) {
        // SAFETY: `process` is a child that was not waited for, so that its id
        // is nobody else's.
        unsafe { libc::kill(self.process, libc::SIGKILL) };
    }

    fn reap(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.collect(0)? {
                return Ok(exit);
            }
        }
    }

    /// How the child ended, if it has.
    ///
    /// # Errors
    /// It was waited for already.
    pub fn poll(&mut self) -> io::Result<Option<Exit>> {
        self.collect(libc::WNOHANG)
    }

    fn collect(&mut self, flags: i32) -> io::Result<Option<Exit>> {
        let mut status = 0;
        // SAFETY: the kernel writes one int.
        let waited = unsafe { libc::waitpid(self.process, &raw mut status, flags) };
        if waited == 0 {
            return Ok(None);
        }
        if waited < 0 {
            let error = io::Error::last_os_error();
            let interrupted = error.kind() == io::ErrorKind::Interrupted;
            return if interrupted { Ok(None) } else { Err(error) };
        }
        self.process = 0;
        Ok(Some(if libc::WIFSIGNALED(status) {
            Exit::Signal(libc::WTERMSIG(status))
        } else {
            Exit::Code(libc::WEXITSTATUS(status))
        }))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.process != 0 {
            self.send_kill();
            // It is a child that was not waited for; nothing else can fail.
            let _ = self.reap();
        }
    }
}

/// Waits for children that must all have passed. When one has failed the
/// others are killed: what they wait for may never come.
///
/// # Errors
/// One failed; its own message is on stderr.
pub fn wait_all(mut children: Vec<Child>) -> Outcome {
    while !children.is_empty() {
        let mut left = Vec::new();
        for mut child in children {
            match child.poll()? {
                None => left.push(child),
                Some(exit) => check(exit == Exit::Code(0), || {
                    format!("a child ended with {exit:?}")
                })?,
            }
        }
        children = left;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Words that parent and children share.
#[derive(Debug)]
pub struct SharedWords {
    start: NonNull<AtomicU32>,
    count: usize,
}

impl SharedWords {
    /// `count` words, all zero.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new(count: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                count * size_of::<u32>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { start, count })
    }

    fn words(&self) -> &[AtomicU32] {
        // SAFETY: the mapping holds `count` zeroed words for as long as `self`
        // lives, and all access is atomic.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }

    /// The word at `index`, 0 if there is none.
    pub fn get(&self, index: usize) -> u32 {
        let word = self.words().get(index);
        word.map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Sets the word at `index`, if there is one.
    pub fn set(&self, index: usize, value: u32) {
        if let Some(word) = self.words().get(index) {
            word.store(value, Ordering::Release);
        }
    }

    /// Waits until the word at `index` is `value`, or until `alive` says no.
    pub fn wait_for(&self, index: usize, value: u32, mut alive: impl FnMut() -> bool) -> bool {
        while self.get(index) != value {
            if !alive() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; no borrow of it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.count * size_of::<u32>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_share_words_and_their_ends_are_seen() {
        let words = SharedWords::new(3).expect("memory");
        let child = fork("child", || {
            words.set(1, 7);
            check(words.wait_for(2, 9, || true), String::new)
        });
        let child = child.expect("a process");
        assert!(words.wait_for(1, 7, || true));
        words.set(2, 9);
        assert_eq!(wait_all(vec![child]), Ok(()));
        assert_eq!((words.get(1), words.get(99)), (7, 0));
    }

    #[test]
    fn a_failed_child_ends_the_wait_for_one_that_never_ends() {
        let words = SharedWords::new(1).expect("memory");
        let endless = fork("endless", || {
            while words.get(0) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        });
        let failing = fork("failing", || Err(Failure("on purpose".into())));
        let children = vec![endless.expect("a process"), failing.expect("a process")];
        assert!(wait_all(children).is_err());
    }

    #[test]
    fn a_killed_child_ends_with_the_signal() {
        let child = fork("sleeps", || {
            std::thread::sleep(Duration::from_secs(3600));
            Ok(())
        });
        let exit = child.expect("a process").kill().expect("waited for");
        assert_eq!(exit, Exit::Signal(libc::SIGKILL));
    }
}
