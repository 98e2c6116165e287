// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things are: the checkout, and the built things below `target/`.

use std::env;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// A file that only the root of a checkout of this project has.
const LANDMARK: &str = "images/tool-root/packages";

/// The checkout that this command belongs to.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// Finds the checkout: the nearest directory above this program that looks
    /// like it, or else above the current directory.
    ///
    /// # Errors
    /// A [`Failure`] when neither is inside a checkout.
    pub fn find() -> Result<Self, Failure> {
        let places = [env::current_exe(), env::current_dir()];
        let ancestors = places.iter().flatten().flat_map(|place| place.ancestors());
        match ancestors
            .into_iter()
            .find(|place| place.join(LANDMARK).is_file())
        {
            Some(root) => Ok(Self {
                root: root.to_path_buf(),
            }),
            None => Err(Failure::input(
                "this is not inside Augur's source tree; run augur from there",
            )),
        }
    }

    /// The root of the checkout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the checkout.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// Where tools from elsewhere are kept.
    pub fn tools(&self) -> PathBuf {
        self.path("target/tools")
    }

    /// Where the parts of the guest are built.
    pub fn guest(&self) -> PathBuf {
        self.path("target/guest")
    }

    /// Where each run leaves a folder.
    pub fn runs(&self) -> PathBuf {
        self.path("target/runs")
    }

    /// `path` as it is shortest to read: relative to the current directory
    /// when it is below it.
    pub fn shown(path: &Path) -> String {
        let below = env::current_dir()
            .ok()
            .and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
        below
            .unwrap_or_else(|| path.to_path_buf())
            .display()
            .to_string()
    }
}
