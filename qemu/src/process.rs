// SPDX-License-Identifier: MIT OR Apache-2.0
//! Child processes that cannot outlive this one.
//!
//! Every child gets `SIGKILL` from the kernel when this process ends in any
//! way, even by `SIGKILL` itself; it is killed when its [`Supervised`] handle
//! is dropped; and [`end_all_on_signals`] ends all of them, with everything they
//! started, when the user stops this process.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::{Error, terminal};

/// How often a wait with a limit looks.
const POLL: Duration = Duration::from_millis(10);
/// How long a child may take to end after a polite request.
const GRACE: Duration = Duration::from_secs(2);

/// What must go when this process is stopped.
#[derive(Default)]
struct Registry {
    /// Process groups, by their leader's id.
    groups: Vec<i32>,
    /// Files and directories that exist only while we run.
    paths: Vec<PathBuf>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    groups: Vec::new(),
    paths: Vec::new(),
});

fn registry() -> std::sync::MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running child.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
    /// The child leads a process group of its own.
    leads_group: bool,
}

/// Whether a child shares the terminal with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// It reads from our terminal, so it stays in our process group.
    Shared,
    /// It does not; Ctrl-C at the terminal reaches only us.
    Apart,
}

impl Supervised {
    /// Starts `command`.
    ///
    /// # Errors
    /// [`Error::Spawn`] when the program cannot be started.
    pub fn spawn(mut command: Command, terminal: Terminal) -> Result<Self, Error> {
        let leads_group = terminal == Terminal::Apart;
        if leads_group {
            command.process_group(0);
        }
        let program = command.get_program().to_string_lossy().into_owned();
        let child = spawn_from_lasting_thread(command)
            .map_err(|source| Error::Spawn { program, source })?;
        let supervised = Self { child, leads_group };
        if leads_group {
            registry().groups.push(supervised.id());
        }
        Ok(supervised)
    }

    /// The child's process id.
    pub fn id(&self) -> i32 {
        // Linux process ids fit in 22 bits.
        i32::try_from(self.child.id()).unwrap_or(i32::MAX)
    }

    /// The child's standard streams, as far as they are pipes.
    pub fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit status if the child has ended.
    ///
    /// # Errors
    /// The system's reason why it could not be asked.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for the end, at most `limit`; `None` when it still runs then.
    ///
    /// # Errors
    /// The system's reason why it could not be waited for.
    pub fn wait_at_most(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    /// Sends `signal` to the child alone.
    pub fn signal(&self, signal: i32) {
        send(self.id(), signal);
    }

    /// Asks the child to end, and kills it if it does not within two seconds.
    pub fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(SIGTERM);
        if !matches!(self.wait_at_most(GRACE), Ok(Some(_))) {
            self.kill();
        }
    }

    /// Kills the child, and its group when it leads one, at once.
    pub fn kill(&mut self) {
        send(
            if self.leads_group {
                -self.id()
            } else {
                self.id()
            },
            libc::SIGKILL,
        );
        // It was killed: the only thing left is to take its exit status.
        let _ = self.child.wait();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.kill();
        }
        let id = self.id();
        registry().groups.retain(|&group| group != id);
    }
}

/// Removes a path when dropped, and when a signal stops this process.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// Watches over `path`, which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        registry().paths.push(path.clone());
        Self(path)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        remove(&self.0);
        registry().paths.retain(|path| *path != self.0);
    }
}

/// Ends all children and removes all temporary paths when the user stops this
/// process (Ctrl-C, `SIGTERM`, a closed terminal), then exits as a process
/// does that died of the signal.
///
/// # Errors
/// The system's reason why the signals cannot be caught.
pub fn end_all_on_signals() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        let Some(signal) = signals.forever().next() else {
            return;
        };
        let registry = registry();
        for &group in &registry.groups {
            send(-group, SIGTERM);
        }
        let end = Instant::now() + GRACE;
        while Instant::now() < end && registry.groups.iter().any(|&group| lives(group)) {
            thread::sleep(POLL);
        }
        for &group in &registry.groups {
            send(-group, libc::SIGKILL);
        }
        for path in &registry.paths {
            remove(path);
        }
        terminal::restore();
        std::process::exit(128 + signal);
    });
    Ok(())
}

/// Removal on the way out: what is already gone is as good as removed, and
/// nobody is left to be told about the rest.
fn remove(path: &Path) {
    let _ = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
}

fn send(id: i32, signal: i32) {
    // SAFETY: kill(2) takes two integers and touches no memory of ours.
    unsafe { libc::kill(id, signal) };
}

/// Whether the child `id` of ours still runs; a zombie does not.
fn lives(id: i32) -> bool {
    // SAFETY: waitid(2) writes only into `info`, which is ours; WNOWAIT
    // leaves the status for the owner of the child.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let id = libc::id_t::try_from(id).unwrap_or_default();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, id, &raw mut info, options) == 0 && info.si_pid() == 0
    }
}

type Request = (Command, Sender<io::Result<Child>>);

/// Starts `command` from a thread that lives as long as the process: the
/// kernel sends the parent-death signal when the *thread* that started the
/// child ends, and a test's thread ends early.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Request>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, answer) in requests {
                // The asker waits for the answer; if it is gone, the child
                // must go as well.
                if let Err(mpsc::SendError(Ok(mut orphan))) = answer.send(spawn_bound(&mut command))
                {
                    let _ = orphan.kill();
                }
            }
        });
        Mutex::new(sender)
    });
    let (answer, child) = mpsc::channel();
    let ended = || io::Error::other("the thread that starts processes has ended");
    spawner
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, answer))
        .map_err(|_| ended())?;
    child.recv().map_err(|_| ended())?
}

/// Starts `command` so that the kernel kills it when we are gone.
fn spawn_bound(command: &mut Command) -> io::Result<Child> {
    let parent = std::process::id();
    // SAFETY: between fork and exec only prctl(2) and getppid(2) run, both
    // async-signal-safe, and no memory is allocated.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the call above.
            if u32::try_from(libc::getppid()).ok() != Some(parent) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Ok(())
        });
    }
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & wait"]);
        command
    }

    fn group_exists(group: i32) -> bool {
        // SAFETY: signal 0 only asks.
        unsafe { libc::kill(-group, 0) == 0 }
    }

    fn wait_until_gone(group: i32) -> bool {
        let end = Instant::now() + Duration::from_secs(300);
        while group_exists(group) {
            if Instant::now() > end {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }

    #[test]
    fn a_dropped_child_takes_its_children_with_it() {
        let child = Supervised::spawn(sleeper(), Terminal::Apart).unwrap();
        let group = child.id();
        assert!(group_exists(group));
        drop(child);
        assert!(wait_until_gone(group));
    }

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let mut child = thread::spawn(|| Supervised::spawn(sleeper(), Terminal::Apart).unwrap())
            .join()
            .unwrap();
        // Were it bound to the ended thread, the kernel would have killed it
        // before join returned.
        assert!(child.try_wait().unwrap().is_none());
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error =
            Supervised::spawn(Command::new("no-such-program"), Terminal::Apart).unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }
}
