// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's first and only file system, packed from parts: busybox and the
//! kernel's own modules (kept), the card's driver, the guest's programs, and
//! the files of one run.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::build::cache::{Inputs, kept};
use crate::build::cpio::Archive;
use crate::build::programs::Program;
use crate::build::tool_root::{Kernel, ToolRoot};
use crate::project::Project;

/// A file of the host that a guest is given, below `/input`.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// Its name in the guest, without `/`.
    pub name: String,
    /// The file on the host.
    pub path: PathBuf,
}

/// The part that depends on the tool root and the recipe alone.
///
/// # Errors
/// When a module or busybox cannot be read.
pub fn base(project: &Project, kernel: Kernel, root: &ToolRoot) -> anyhow::Result<PathBuf> {
    let recipe = project.path("images/guest");
    let digest = Inputs::new()
        .bytes("root", root.path().as_os_str().as_encoded_bytes())
        .path(&recipe)?
        .digest();
    let name = match kernel {
        Kernel::Stable => "base",
        Kernel::Backports => "backports_base",
        Kernel::Debug => "debug_base",
    };
    kept(&project.guest(), name, &digest, |path| {
        let mut archive = Archive::new(BufWriter::new(create(path)?));
        for folder in ["bin", "dev", "lib", "lib/modules"] {
            archive.directory(folder)?;
        }
        archive.file("init", true, &read(&recipe.join("init"))?)?;
        archive.file(
            "bin/busybox",
            true,
            &read(&root.path().join("usr/bin/busybox"))?,
        )?;
        let mut order = String::new();
        // What the debug kernel has is built in.
        let modules = match kernel {
            Kernel::Debug => Vec::new(),
            _ => modules(root, &recipe.join("modules"))?,
        };
        for module in modules {
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            let name = name.trim_end_matches(".xz").to_owned();
            archive.file(
                &format!("lib/modules/{name}"),
                false,
                &unpacked(root, &module)?,
            )?;
            order += &format!("{name}\n");
        }
        archive.file("lib/modules/order", false, order.as_bytes())?;
        archive.finish()?;
        Ok(())
    })
}

/// Packs the initramfs of one run into the file `into`.
///
/// # Errors
/// When a part cannot be read or the file cannot be written.
pub fn pack(
    into: &Path,
    base: &Path,
    driver: Option<&Path>,
    programs: &[Program],
    input: &[InputFile],
) -> anyhow::Result<()> {
    let unwritten = || into.display().to_string();
    let mut output = create(into)?;
    let mut base_file = File::open(base).with_context(|| base.display().to_string())?;
    io::copy(&mut base_file, &mut output).with_context(unwritten)?;
    let mut archive = Archive::new(BufWriter::new(output));
    if let Some(driver) = driver {
        let module = read(driver)?;
        let added = archive.file("lib/modules/augur.ko", false, &module);
        added.with_context(unwritten)?;
    }
    for program in programs {
        let name = program
            .name
            .strip_prefix("augur-agent")
            .map_or(program.name.as_str(), |_| "agent");
        let added = archive.file(&format!("bin/{name}"), true, &read(&program.path)?);
        added.with_context(unwritten)?;
    }
    archive.directory("input").with_context(unwritten)?;
    for file in input {
        let name = format!("input/{}", file.name);
        let added = archive.file(&name, is_executable(&file.path)?, &read(&file.path)?);
        added.with_context(unwritten)?;
    }
    archive
        .finish()
        .and_then(|mut output| output.flush())
        .with_context(unwritten)
}

/// The modules named in `list` and those they need, in the order of loading.
fn modules(root: &ToolRoot, list: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let text = fs::read_to_string(list).with_context(|| list.display().to_string())?;
    let wanted = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let folder = root.modules();
    let dependencies = folder.join("modules.dep");
    let dependencies =
        fs::read_to_string(&dependencies).with_context(|| dependencies.display().to_string())?;
    let mut seen = BTreeSet::new();
    let mut ordered = Vec::new();
    for name in wanted {
        let line = dependencies.lines().find(|line| is_module(line, name));
        let Some((module, needs)) = line.and_then(|line| line.split_once(':')) else {
            bail!(
                "the guest's kernel has no module {name}, which {} names",
                list.display()
            );
        };
        // modules.dep lists what a module needs, what is to be loaded first last.
        for file in needs.split_whitespace().rev().chain([module]) {
            if seen.insert(file.to_owned()) {
                ordered.push(folder.join(file));
            }
        }
    }
    Ok(ordered)
}

/// Whether a line of modules.dep is about module `name`.
fn is_module(line: &str, name: &str) -> bool {
    let file = line
        .split(':')
        .next()
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or_default();
    file.split('.').next() == Some(name)
}

/// A module's bytes, decompressed here rather than by the guest.
fn unpacked(root: &ToolRoot, module: &Path) -> anyhow::Result<Vec<u8>> {
    if module.extension().is_none_or(|ending| ending != "xz") {
        return read(module);
    }
    let output = root
        .command("usr/bin/xz")
        .arg("-dc")
        .arg(module)
        .output()
        .context("xz")?;
    if !output.status.success() {
        bail!(
            "{} cannot be decompressed: {}",
            module.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}

/// Whether somebody may run a file on the host.
fn is_executable(path: &Path) -> anyhow::Result<bool> {
    let metadata = fs::metadata(path).with_context(|| path.display().to_string())?;
    Ok(metadata.permissions().mode() & 0o111 != 0)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| path.display().to_string())
}
