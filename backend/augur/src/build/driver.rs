// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card's kernel module, and the example of a second one, compiled by the
//! tool root's compiler against the guest kernel's headers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::build::cache::{self, Inputs, files_below, lock};
use crate::build::tool_root::{Kernel, ToolRoot};
use crate::progress;
use crate::project::Project;

/// A kernel module of this project.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// What it is called while it is compiled.
    label: &'static str,
    /// Its directory below `guest-driver`.
    folder: &'static str,
    /// What is built there.
    file: &'static str,
}

/// The card's driver.
pub const DRIVER: Module = Module {
    label: "driver",
    folder: "kernel",
    file: "augur.ko",
};
/// The example of a small one.
pub const MINIMAL: Module = Module {
    label: "minimal driver",
    folder: "examples/minimal",
    file: "augur_minimal.ko",
};

/// The directory of `guest-driver` that every module needs.
const HEADERS: &str = "include";
/// Endings of files that are sources; others are what a build leaves behind.
const SOURCE_ENDINGS: [&str; 3] = ["c", "h", "S"];
/// Sources without an ending.
const SOURCE_NAMES: [&str; 2] = ["Kbuild", "Makefile"];

/// The module, compiled again when a source or the kernel changed.
///
/// # Errors
/// When it does not compile; the compiler's words are printed.
pub fn ensure(
    project: &Project,
    kernel: Kernel,
    root: &ToolRoot,
    module: Module,
) -> anyhow::Result<PathBuf> {
    let Module {
        label,
        folder: home,
        file,
    } = module;
    let folder = match kernel {
        Kernel::Stable => project.guest(),
        other => project.guest().join(other.name()),
    };
    let module = folder.join(file);
    let stamp = folder.join(format!("{file}.inputs"));
    let sources = project.path("guest-driver");
    let mut inputs = Inputs::new()
        .bytes("root", root.path().as_os_str().as_encoded_bytes())
        .path(&project.path("images/tool-root/enter"))?;
    for file in source_files(&sources, home)? {
        inputs = inputs.bytes(&file.to_string_lossy(), b"").path(&file)?;
    }
    let digest = inputs.digest();

    let _lock = lock(&folder)?;
    if module.exists() && fs::read_to_string(&stamp).is_ok_and(|made| made == digest) {
        return Ok(module);
    }
    cache::remove(&stamp)?;
    let inside = root.path().join("src");
    copy_sources(&sources, &inside, home)?;
    let log = folder.join(format!("{}.log", label.replace(' ', "-")));
    progress::run(label, make(project, kernel, root, home), &log)?;
    let built = inside.join(home).join(file);
    fs::copy(&built, &module).with_context(|| built.display().to_string())?;
    fs::write(&stamp, digest).with_context(|| stamp.display().to_string())?;
    Ok(module)
}

/// The command that compiles the module in the tool root.
fn make(project: &Project, kernel: Kernel, root: &ToolRoot, home: &str) -> Command {
    let mut command = Command::new(project.path("images/tool-root/enter"));
    command.arg(root.path());
    // Warnings of the compiler and of sparse are errors, so that none gets old.
    command.args(["make", "--silent", "-C"]);
    command.arg(format!("/lib/modules/{}/build", root.kernel_release()));
    command.arg(format!("M=/src/{home}"));
    command.args(["W=1", "KCFLAGS=-Werror"]);
    // Debian's newer headers lack the script that runs sparse.
    if kernel == Kernel::Stable {
        command.args(["C=1", "CF=-Wsparse-error"]);
    }
    command.arg("modules");
    command
}

fn source_files(sources: &Path, home: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in [home, HEADERS] {
        files.extend(
            files_below(&sources.join(folder))?
                .into_iter()
                .filter(|file| is_source(file)),
        );
    }
    Ok(files)
}

fn is_source(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // `augur.mod.c` is what a build leaves behind.
    let ending = file.extension().unwrap_or_default().to_string_lossy();
    SOURCE_NAMES.contains(&name.as_ref())
        || (SOURCE_ENDINGS.contains(&ending.as_ref()) && !name.ends_with(".mod.c"))
}

/// Makes the sources in the tool root the same as `sources`, touching only
/// files that differ, so that make compiles only those.
fn copy_sources(sources: &Path, inside: &Path, home: &str) -> anyhow::Result<()> {
    for folder in [home, HEADERS] {
        let old = inside.join(folder);
        fs::create_dir_all(&old).with_context(|| old.display().to_string())?;
        for file in files_below(&old)?
            .into_iter()
            .filter(|file| is_source(file))
        {
            let below = file.strip_prefix(inside).unwrap_or(&file);
            if !sources.join(below).exists() {
                cache::remove(&file)?;
            }
        }
    }
    for file in source_files(sources, home)? {
        let copy = inside.join(file.strip_prefix(sources).unwrap_or(&file));
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        if fs::read(&copy).is_ok_and(|old| old == bytes) {
            continue;
        }
        if let Some(folder) = copy.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::write(&copy, bytes).with_context(|| copy.display().to_string())?;
    }
    Ok(())
}
