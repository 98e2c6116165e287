// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest for one test: booted with the options the test needs, stopped when
//! the test ends, its logs kept and named when it fails.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use augur::build::initramfs::InputFile;
use augur::build::programs;
use augur::build::tool_root::Kernel;
use augur::guest::{Guest, GuestOptions, Parts};
use augur::project::Project;
use augur::size::Size;
use augur_agent::Message;
use augur_qemu::Machine;
use augur_qemu::agent::Job;
use augur_qemu::machine::Output;

/// How long anything in a guest may take. Nothing is expected to come near it:
/// it only keeps a hung guest from hanging the tests. What waits inside of the guest
/// gives up before, and says what for.
pub const LIMIT: Duration = Duration::from_secs(1800);

/// Everything a guest is made of, built once for all tests of a program.
fn parts(kernel: Kernel) -> &'static Parts {
    static STABLE: OnceLock<Parts> = OnceLock::new();
    static BACKPORTS: OnceLock<Parts> = OnceLock::new();
    static DEBUG: OnceLock<Parts> = OnceLock::new();
    let parts = match kernel {
        Kernel::Stable => &STABLE,
        Kernel::Backports => &BACKPORTS,
        Kernel::Debug => &DEBUG,
    };
    parts.get_or_init(|| {
        let project = Project::find().expect("the tests run inside the source tree");
        Parts::with_kernel(&project, kernel)
            .unwrap_or_else(|error| panic!("the guest cannot be built: {error:#}"))
    })
}

/// A guest to boot.
#[derive(Debug, Clone)]
pub struct Builder {
    kernel: Kernel,
    options: GuestOptions,
}

impl Builder {
    /// A guest with one default card; `name` names its run folder.
    pub fn new(name: &str) -> Self {
        Self {
            kernel: Kernel::Stable,
            options: GuestOptions::new(&format!("test-{name}")),
        }
    }

    /// The kernel it boots.
    #[must_use]
    pub fn kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }

    /// How many cards it has.
    #[must_use]
    pub fn cards(mut self, count: usize) -> Self {
        let card = self.options.cards.first().cloned().unwrap_or_default();
        self.options.cards = vec![card; count];
        self
    }

    /// The aperture of its cards, as on a command line.
    #[must_use]
    pub fn aperture(mut self, size: &str) -> Self {
        for card in &mut self.options.cards {
            card.aperture = size.parse().unwrap();
        }
        self
    }

    /// The predictor of its cards, as on a command line.
    #[must_use]
    pub fn predictor(mut self, mode: &str) -> Self {
        for card in &mut self.options.cards {
            card.predictor = mode.parse().unwrap();
        }
        self
    }

    /// The memory of its cards, as on a command line.
    #[must_use]
    pub fn card_memory(mut self, size: &str) -> Self {
        for card in &mut self.options.cards {
            card.memory = size.parse().unwrap();
        }
        self
    }

    /// The guest's memory, as on a command line.
    #[must_use]
    pub fn memory(mut self, size: &str) -> Self {
        self.options.memory_mib = size.parse::<Size>().unwrap().mib();
        self
    }

    /// A word for the kernel's command line.
    #[must_use]
    pub fn kernel_argument(mut self, word: &str) -> Self {
        self.options.kernel_arguments.push(word.to_owned());
        self
    }

    /// A file that it is given as `/input/NAME`.
    #[must_use]
    pub fn input(mut self, path: &Path) -> Self {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let path = path.to_path_buf();
        self.options.input.push(InputFile { name, path });
        self
    }

    /// A card that misbehaves once it gets SIGUSR1; `how` is an argument of
    /// `augurd-misbehaving`.
    #[must_use]
    pub fn misbehaving(mut self, how: &str) -> Self {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| {
            let project = Project::find().unwrap();
            programs::misbehaving_card(&project).unwrap_or_else(|error| panic!("{error:#}"))
        });
        let arguments = vec!["--misbehave".to_owned(), how.to_owned()];
        self.options.card_program = Some((program.clone(), arguments));
        self
    }

    /// Arguments for QEMU.
    #[must_use]
    pub fn qemu(mut self, arguments: &[impl Into<OsString> + Clone]) -> Self {
        self.options
            .additional
            .extend(arguments.iter().cloned().map(Into::into));
        self
    }

    /// Boots it.
    pub fn boot(self) -> TestGuest {
        let guest = Guest::boot(parts(self.kernel), &self.options)
            .unwrap_or_else(|error| panic!("{error:#}"));
        TestGuest { guest: Some(guest) }
    }
}

/// A booted guest.
#[derive(Debug)]
pub struct TestGuest {
    /// Empty only after [`TestGuest::finish`].
    guest: Option<Guest>,
}

impl TestGuest {
    /// The guest.
    pub fn guest(&mut self) -> &mut Guest {
        self.guest.as_mut().unwrap()
    }

    /// The machine it runs in.
    pub fn machine(&self) -> &Machine {
        self.guest.as_ref().unwrap().machine()
    }

    /// Runs a program and returns what it printed, whatever its exit code.
    pub fn output(&self, words: &[&str]) -> Output {
        self.machine()
            .output(words, LIMIT)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs a program that must succeed; returns its standard output.
    pub fn succeed(&self, words: &[&str]) -> String {
        let output = self.output(words);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(
            output.code, 0,
            "{words:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        stdout
    }

    /// Runs a shell script that must succeed; returns its standard output.
    pub fn shell(&self, script: &str) -> String {
        self.succeed(&["sh", "-ec", script])
    }

    /// Starts a program and waits until it has printed `marker`.
    pub fn begin_until(&self, words: &[&str], marker: &str) -> Job {
        let job = self.machine().begin(words).unwrap();
        self.wait_for(&job, marker);
        job
    }

    /// Waits until a running program prints `marker` (again).
    pub fn wait_for(&self, job: &Job, marker: &str) {
        let mut said = String::new();
        while !said.contains(marker) {
            match self
                .machine()
                .next(job, LIMIT)
                .unwrap_or_else(|error| panic!("{error}\nit said: {said}"))
            {
                Message::Output { bytes, .. } => said += &text(&bytes),
                Message::Exited { code, .. } => {
                    panic!("it ended with {code} before {marker:?}; it said: {said}")
                }
                _ => {}
            }
        }
    }

    /// Waits for the end of a running program; returns its exit code and what
    /// it still had to say.
    pub fn wait_end(&self, job: &Job) -> (i32, String) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let code = self
            .machine()
            .follow(job, &mut stdout, &mut stderr, LIMIT)
            .unwrap_or_else(|error| panic!("{error}"));
        (code, text(&stdout) + &text(&stderr))
    }

    /// Waits for a reset that something else causes, and for the new life.
    pub fn wait_for_reboot(&mut self) {
        self.guest()
            .machine_mut()
            .wait_for_reboot(LIMIT)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Ends the test's guest: its kernel must not have complained, and it must
    /// power off by itself.
    pub fn finish(mut self) {
        let complaints = self.machine().kernel_warnings();
        assert!(
            complaints.is_empty(),
            "the guest's kernel complained: {complaints:#?}"
        );
        let guest = self.guest.take().unwrap();
        let folder = guest.folder().path().to_path_buf();
        match guest.power_off(LIMIT) {
            Ok(folder) => folder.remove().unwrap(),
            Err(error) => panic!("{error:#}; its logs: {}", folder.display()),
        }
    }
}

impl Drop for TestGuest {
    fn drop(&mut self) {
        if let Some(guest) = &self.guest
            && thread::panicking()
        {
            eprintln!(
                "the logs of this guest, its card and QEMU's command line: {}",
                guest.folder().path().display()
            );
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
