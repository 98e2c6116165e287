// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tool root: a directory with a QEMU, the guest's kernel and the compiler
//! for its driver, unpacked from a Debian archive. See `images/tool-root`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use augur_qemu::locate;

use crate::build::cache::{Inputs, kept};
use crate::exit::Failure;
use crate::progress;
use crate::project::Project;

/// What making it costs, for whoever waits. Measured; the archive moves slowly.
pub const DOWNLOAD_MB: u32 = 230;
/// Disk space it takes, in MB, with what it needs while it is made.
pub const DISK_MB: u32 = 1000;

/// Which of Debian's kernels a guest boots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Kernel {
    /// The stable release's.
    #[default]
    Stable,
    /// The newest one of its backports, fetched when it is first asked for.
    Backports,
    /// The stable release's with KASAN, lockdep, kmemleak and fault injection,
    /// compiled when it is first asked for.
    Debug,
}

impl Kernel {
    /// The directory below `images` with the recipe of its root.
    fn recipe(self) -> &'static str {
        match self {
            Self::Stable => "images/tool-root",
            Self::Backports => "images/kernel-backports",
            Self::Debug => "images/kernel-debug",
        }
    }

    /// The name of its root, and of what is built in it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "root",
            Self::Backports => "backports",
            Self::Debug => "debug",
        }
    }
}

/// A tool root that is in place.
#[derive(Debug, Clone)]
pub struct ToolRoot {
    path: PathBuf,
    kernel_release: String,
}

impl ToolRoot {
    /// The tool root, made first when it is not there or its recipe changed.
    ///
    /// # Errors
    /// When it cannot be made; a [`Failure`] when a program for that is missing.
    pub fn ensure(project: &Project) -> anyhow::Result<Self> {
        Self::with_kernel(project, Kernel::Stable)
    }

    /// A root with this kernel, its headers and their compiler. Only the one
    /// with the stable kernel has a QEMU.
    ///
    /// # Errors
    /// As [`ToolRoot::ensure`].
    pub fn with_kernel(project: &Project, kernel: Kernel) -> anyhow::Result<Self> {
        let digest = digest(project, kernel)?;
        let path = kept(&project.tools(), kernel.name(), &digest, |path| {
            make(project, kernel, path)
        })?;
        Self::at(path)
    }

    /// The tool root, if it is in place and up to date.
    ///
    /// # Errors
    /// When its recipe cannot be read or it is damaged.
    pub fn existing(project: &Project) -> anyhow::Result<Option<Self>> {
        let path = project
            .tools()
            .join(format!("root-{}", digest(project, Kernel::Stable)?));
        if path.exists() {
            Self::at(path).map(Some)
        } else {
            Ok(None)
        }
    }

    fn at(path: PathBuf) -> anyhow::Result<Self> {
        let modules = path.join("usr/lib/modules");
        let names: Vec<_> = fs::read_dir(&modules)
            .with_context(|| modules.display().to_string())?
            .flatten()
            .filter(|entry| entry.path().join("modules.dep").exists())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        match names.as_slice() {
            [release] => Ok(Self {
                kernel_release: release.clone(),
                path,
            }),
            _ => bail!(
                "{} holds {} kernels instead of one; remove it and try again",
                path.display(),
                names.len()
            ),
        }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The guest's kernel: newer packages keep it beside its modules.
    pub fn kernel(&self) -> PathBuf {
        let beside = self.modules().join("vmlinuz");
        if beside.exists() {
            return beside;
        }
        self.path
            .join("boot")
            .join(format!("vmlinuz-{}", self.kernel_release))
    }

    /// The directory of the kernel's modules.
    pub fn modules(&self) -> PathBuf {
        self.path.join("usr/lib/modules").join(&self.kernel_release)
    }

    /// The kernel's release, which names the directory of its modules.
    pub fn kernel_release(&self) -> &str {
        &self.kernel_release
    }

    /// A command that runs one of its programs on this host.
    pub fn command(&self, program: &str) -> Command {
        let words = locate::program_of_root(&self.path, Path::new(program));
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }
}

fn digest(project: &Project, kernel: Kernel) -> anyhow::Result<String> {
    let recipe = project.path(kernel.recipe());
    let mut inputs = Inputs::new()
        .path(&recipe.join("build"))?
        .path(&recipe.join("packages"))?;
    if kernel == Kernel::Debug {
        inputs = inputs.path(&recipe.join("config"))?;
    }
    Ok(inputs.path(&project.path("images/debian"))?.digest())
}

fn make(project: &Project, kernel: Kernel, path: &Path) -> anyhow::Result<()> {
    if !on_path("mmdebstrap") {
        return Err(
            Failure::machine("mmdebstrap is missing: sudo apt-get install mmdebstrap").into(),
        );
    }
    let mut command = Command::new(project.path(kernel.recipe()).join("build"));
    command.arg(path);
    let label = match kernel {
        Kernel::Stable => "tools (QEMU, kernel, compiler)",
        Kernel::Backports => "the backports kernel (290 MB)",
        Kernel::Debug => "the debug kernel (250 MB, then a quarter of an hour of compiling)",
    };
    let log = project.tools().join(format!("{}.log", kernel.name()));
    progress::run(label, command, &log)
}

/// Whether a program of this name is on the `PATH`.
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
