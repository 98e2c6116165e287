// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest with its cards, booted from the parts that [`crate::build`] makes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use augur_qemu::accelerator::{self, Choice};
use augur_qemu::process::Temporary;
use augur_qemu::{Accelerator, Configuration, Console, Machine, Qemu, sockets};

use crate::build::initramfs::InputFile;
use crate::build::programs::{self, Program};
use crate::build::tool_root::{Kernel, ToolRoot};
use crate::build::{driver, initramfs};
use crate::card_process::{CardOptions, CardProcess, schedule_beside};
use crate::exit::Failure;
use crate::project::Project;
use crate::run_folder::RunFolder;
use crate::size::Size;

/// How long a guest may take to come up: three seconds under TCG on an idle
/// machine, but many guests may boot at once on a slow one.
const BOOT: Duration = Duration::from_secs(600);
/// Memory of the guest of an acceleration trial, in MiB.
const TRIAL_MIB: u64 = 512;

/// Everything a guest is made of, built and up to date.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The checkout.
    pub project: Project,
    /// The QEMU to run.
    pub qemu: Qemu,
    /// KVM or TCG, and why.
    pub acceleration: Choice,
    kernel: PathBuf,
    base: PathBuf,
    programs: Vec<Program>,
    /// The card's process and its driver; a guest without a card needs neither.
    card: Option<CardParts>,
}

#[derive(Debug, Clone)]
struct CardParts {
    program: PathBuf,
    driver: PathBuf,
}

impl Parts {
    /// Makes what is missing or out of date.
    ///
    /// # Errors
    /// When something cannot be made; progress and reasons go to stderr.
    pub fn ensure(project: &Project) -> anyhow::Result<Self> {
        Self::with_kernel(project, Kernel::Stable)
    }

    /// The same for guests that boot this kernel.
    ///
    /// # Errors
    /// As [`Parts::ensure`].
    pub fn with_kernel(project: &Project, kernel: Kernel) -> anyhow::Result<Self> {
        let root = ToolRoot::with_kernel(project, kernel)?;
        let driver = driver::ensure(project, kernel, &root, driver::DRIVER)?;
        let program = programs::card(project)?;
        let card = Some(CardParts { program, driver });
        Self::assemble(project, kernel, &root, card)
    }

    /// The same for guests without a card: no driver, no card process.
    ///
    /// # Errors
    /// As [`Parts::ensure`].
    pub fn ensure_without_card(project: &Project) -> anyhow::Result<Self> {
        Self::assemble(project, Kernel::Stable, &ToolRoot::ensure(project)?, None)
    }

    fn assemble(
        project: &Project,
        kernel: Kernel,
        root: &ToolRoot,
        card: Option<CardParts>,
    ) -> anyhow::Result<Self> {
        let mut parts = Self {
            project: project.clone(),
            qemu: find_qemu(&ToolRoot::ensure(project)?)?,
            acceleration: Choice {
                accelerator: Accelerator::Tcg,
                reason: String::new(),
            },
            kernel: root.kernel(),
            base: initramfs::base(project, kernel, root)?,
            programs: programs::guest(project)?,
            card,
        };
        parts.acceleration = parts.choose_acceleration()?;
        Ok(parts)
    }

    /// Where the answer of the acceleration trial is kept.
    pub fn acceleration_cache(project: &Project) -> PathBuf {
        project.tools().join("acceleration")
    }

    fn choose_acceleration(&self) -> anyhow::Result<Choice> {
        match std::env::var("AUGUR_ACCELERATOR").as_deref() {
            Ok("kvm") => return Ok(asked_for(Accelerator::Kvm)),
            Ok("tcg") => return Ok(asked_for(Accelerator::Tcg)),
            Ok(other) => {
                return Err(
                    Failure::input(format!("AUGUR_ACCELERATOR={other}: write kvm or tcg")).into(),
                );
            }
            Err(_) => {}
        }
        let cache = Self::acceleration_cache(&self.project);
        if let Some(known) = accelerator::known(&cache) {
            return Ok(known);
        }
        eprintln!("trying whether KVM boots a guest here (up to 15 s) …");
        let folder = RunFolder::create(&self.project, "kvm-trial")?;
        let initramfs = Temporary::new(folder.join("initramfs"));
        initramfs::pack(initramfs.path(), &self.base, None, &self.programs, &[])?;
        let trial = Configuration {
            accelerator: Accelerator::Kvm,
            memory_mib: TRIAL_MIB,
            processors: processors(),
            kernel: self.kernel.clone(),
            initramfs: initramfs.path().to_path_buf(),
            kernel_arguments: Vec::new(),
            cards: Vec::new(),
            console: Console::None,
            additional: Vec::new(),
        };
        Ok(accelerator::choose(
            &self.qemu,
            &trial,
            folder.path(),
            &cache,
        )?)
    }
}

fn asked_for(accelerator: Accelerator) -> Choice {
    Choice {
        accelerator,
        reason: "AUGUR_ACCELERATOR asks for it".into(),
    }
}

/// The system's QEMU when it can run the card, or else the tool root's.
///
/// # Errors
/// When neither works.
pub fn find_qemu(root: &ToolRoot) -> anyhow::Result<Qemu> {
    match Qemu::of_system() {
        Ok(qemu) => Ok(qemu),
        Err(_) => Qemu::of_root(root.path())
            .context("the tool root is damaged; `make clean` and try again"),
    }
}

/// Two processors, so that the driver's races have a chance, or what there is.
fn processors() -> u32 {
    let there = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(there.min(2)).unwrap_or(1)
}

/// Less does not hold a kernel and what it begins with.
const LEAST_MEMORY: Size = Size(128 << 20);

/// Reads an argument that says how much memory a guest has.
///
/// # Errors
/// It is no size, or too small.
pub fn guest_memory(text: &str) -> Result<Size, String> {
    let size: Size = text.parse()?;
    if size < LEAST_MEMORY {
        return Err(format!("a guest needs {LEAST_MEMORY} at least"));
    }
    Ok(size)
}

/// What a guest is like.
#[derive(Debug, Clone)]
pub struct GuestOptions {
    /// The last part of its run folder's name.
    pub name: String,
    /// Guest memory in MiB.
    pub memory_mib: u64,
    /// Its cards.
    pub cards: Vec<CardOptions>,
    /// A card's process other than the usual one, with arguments for it.
    pub card_program: Option<(PathBuf, Vec<String>)>,
    /// Who uses its console.
    pub console: Console,
    /// Files it is given below `/input`.
    pub input: Vec<InputFile>,
    /// Words for its kernel's command line.
    pub kernel_arguments: Vec<String>,
    /// Arguments for QEMU as they are.
    pub additional: Vec<OsString>,
}

impl GuestOptions {
    /// A guest with one default card, 1 GiB of memory and no console.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            memory_mib: 1024,
            cards: vec![CardOptions::default()],
            card_program: None,
            console: Console::None,
            input: Vec::new(),
            kernel_arguments: Vec::new(),
            additional: Vec::new(),
        }
    }
}

/// Where the card with this number logs.
fn card_log(folder: &RunFolder, index: usize) -> PathBuf {
    if index == 0 {
        folder.join("card.log")
    } else {
        folder.join(&format!("card{index}.log"))
    }
}

/// Where the card with this number has recorded its schedule, once it has ended.
pub fn card_schedule(folder: &RunFolder, index: usize) -> PathBuf {
    schedule_beside(&card_log(folder, index))
}

/// A running guest with its cards. Dropping it ends all of them.
#[derive(Debug)]
pub struct Guest {
    // The order of the fields is that of dropping: QEMU before its cards.
    machine: Machine,
    cards: Vec<CardProcess>,
    folder: RunFolder,
    booted_in: Duration,
    _sockets: Temporary,
    _initramfs: Temporary,
}

impl Guest {
    /// Starts the cards, boots the guest and waits until it takes commands. A boot that
    /// QEMU's emulation has spoilt is said to be, and tried once more.
    ///
    /// # Errors
    /// When any of them fails; the message names the log that says more.
    pub fn boot(parts: &Parts, options: &GuestOptions) -> anyhow::Result<Self> {
        Self::boot_once(parts, options).or_else(|error| match error.downcast_ref() {
            Some(augur_qemu::Error::ReplacedCode { .. }) => {
                eprintln!("guest: {error}; booting it once more");
                Self::boot_once(parts, options)
            }
            _ => Err(error),
        })
    }

    fn boot_once(parts: &Parts, options: &GuestOptions) -> anyhow::Result<Self> {
        let began = Instant::now();
        let folder = RunFolder::create(&parts.project, &options.name)?;
        let sockets = sockets::folder()?;
        let mut cards = Vec::new();
        for (index, card) in options.cards.iter().enumerate() {
            let log = card_log(&folder, index);
            let socket = sockets.path().join(format!("card{index}"));
            let program = parts.card.as_ref().map(|card| card.program.as_path());
            let program = program.context("these parts were made for guests without a card")?;
            let (program, additional) = match &options.card_program {
                Some((other, additional)) => (other.as_path(), additional.as_slice()),
                None => (program, [].as_slice()),
            };
            cards.push(CardProcess::start(program, additional, card, socket, log)?);
        }
        let initramfs = Temporary::new(folder.join("initramfs"));
        let driver = parts.card.as_ref().map(|card| card.driver.as_path());
        initramfs::pack(
            initramfs.path(),
            &parts.base,
            driver,
            &parts.programs,
            &options.input,
        )?;
        let configuration = Configuration {
            accelerator: parts.acceleration.accelerator,
            memory_mib: options.memory_mib,
            processors: processors(),
            kernel: parts.kernel.clone(),
            initramfs: initramfs.path().to_path_buf(),
            kernel_arguments: options.kernel_arguments.clone(),
            cards: cards.iter().map(CardProcess::card).collect(),
            console: options.console,
            additional: options.additional.clone(),
        };
        let machine = Machine::boot(&parts.qemu, &configuration, folder.path(), BOOT)?;
        let booted_in = began.elapsed();
        Ok(Self {
            machine,
            cards,
            folder,
            booted_in,
            _sockets: sockets,
            _initramfs: initramfs,
        })
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The machine, for what changes it.
    pub fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// The machine, for what ends it; the cards end afterwards.
    pub fn power_off(self, limit: Duration) -> anyhow::Result<RunFolder> {
        self.machine.power_off(limit)?;
        Ok(self.folder)
    }

    /// Waits until the guest powers itself off.
    ///
    /// # Errors
    /// As [`Machine::wait_end`].
    pub fn wait_end(self, limit: Duration) -> anyhow::Result<RunFolder> {
        self.machine.wait_end(limit)?;
        Ok(self.folder)
    }

    /// The processes of its cards.
    pub fn cards(&self) -> &[CardProcess] {
        &self.cards
    }

    /// The same, for what changes them.
    pub fn cards_mut(&mut self) -> &mut [CardProcess] {
        &mut self.cards
    }

    /// Where its logs and results are.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// From starting the card until the guest took commands.
    pub fn booted_in(&self) -> Duration {
        self.booted_in
    }

    /// Copies `/results` of the guest into the run folder.
    ///
    /// # Errors
    /// As [`Machine::collect`].
    pub fn collect_results(&self, limit: Duration) -> anyhow::Result<Vec<PathBuf>> {
        Ok(self
            .machine
            .collect("/results", &self.folder.results(), limit)?)
    }
}
