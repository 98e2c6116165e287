// SPDX-License-Identifier: MIT OR Apache-2.0
//! An open card: finding it, asking it, allocating on it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use augur_abi::ABI_MAJOR;
use augur_abi::control::{ContextInfoResponse, CountersResponse, Priority};

use crate::error::Error;
use crate::kernel;
use crate::object::Object;
use crate::uapi::{self, QueryDevice, QueryDriver};

/// Where accelerators have their device files.
const DEVICE_DIRECTORY: &str = "/dev/accel";
/// Name that the driver gives itself.
const DRIVER_NAME: &str = "augur";

/// An open card, and a context on it: what is created here is visible to
/// nobody else. Clones share the context; it ends with the last of them and
/// of the [`Object`]s.
#[derive(Clone, Debug)]
pub struct Device {
    pub(crate) file: Arc<File>,
    path: Arc<Path>,
    information: QueryDevice,
}

impl Device {
    /// Device files of accelerators of any kind, in order of their number.
    pub fn candidates() -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(DEVICE_DIRECTORY) else {
            return Vec::new();
        };
        let mut numbered: Vec<(u32, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let number = name.to_str()?.strip_prefix("accel")?.parse().ok()?;
                Some((number, entry.path()))
            })
            .collect();
        numbered.sort();
        numbered.into_iter().map(|(_, path)| path).collect()
    }

    /// Opens every Augur card of the machine, in order of its device number.
    ///
    /// # Errors
    /// [`Error::NoCard`] if there is none, otherwise why one could not be
    /// opened. Accelerators of other drivers are passed over.
    pub fn open_all() -> Result<Vec<Self>, Error> {
        let mut devices = Vec::new();
        for path in Self::candidates() {
            match Self::open(&path) {
                Ok(device) => devices.push(device),
                Err(Error::OtherDriver { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if devices.is_empty() {
            return Err(Error::NoCard);
        }
        Ok(devices)
    }

    /// Opens the first Augur card of the machine.
    ///
    /// # Errors
    /// As [`Device::open_all`].
    pub fn open_first() -> Result<Self, Error> {
        for path in Self::candidates() {
            match Self::open(&path) {
                Err(Error::OtherDriver { .. }) => {}
                other => return other,
            }
        }
        Err(Error::NoCard)
    }

    /// Opens the card behind a device file, with a new context.
    ///
    /// # Errors
    /// The file cannot be opened, belongs to another driver or another version
    /// of it, or the card is lost or out of contexts.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| match source.raw_os_error() {
                Some(libc::EIO) => Error::CardLost { request: "open" },
                _ => Error::Open {
                    path: path.into(),
                    source,
                },
            })?;
        let driver = kernel::driver_name(&file).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOTTY) => Error::Open {
                path: path.into(),
                source: io::Error::other("it is not an accelerator's device file"),
            },
            _ => error,
        })?;
        if driver != DRIVER_NAME {
            return Err(Error::OtherDriver {
                path: path.into(),
                driver,
            });
        }
        let information: QueryDevice = kernel::query(&file, uapi::QUERY_DEVICE, 0)?;
        if information.abi_major != ABI_MAJOR {
            return Err(Error::Version {
                found: information.abi_major,
                expected: ABI_MAJOR,
            });
        }
        Ok(Self {
            file: Arc::new(file),
            path: path.into(),
            information,
        })
    }

    /// The device file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What does not change while the driver lives: sizes, engines, limits.
    pub fn information(&self) -> &QueryDevice {
        &self.information
    }

    /// The card's counters now.
    ///
    /// # Errors
    /// The card is lost.
    pub fn counters(&self) -> Result<CountersResponse, Error> {
        kernel::query(&self.file, uapi::QUERY_COUNTERS, 0)
    }

    /// The driver's counters now; they outlive the card.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn driver_counters(&self) -> Result<QueryDriver, Error> {
        kernel::query(&self.file, uapi::QUERY_DRIVER, 0)
    }

    /// Every context of the card, of this and other processes, in order of its
    /// id.
    ///
    /// # Errors
    /// The card is lost.
    pub fn contexts(&self) -> Result<Vec<ContextInfoResponse>, Error> {
        let mut contexts = Vec::new();
        let mut lowest = 0;
        loop {
            let answer = kernel::query(&self.file, uapi::QUERY_CONTEXT, lowest);
            let context: ContextInfoResponse = match answer {
                Ok(context) => context,
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(contexts),
                Err(error) => return Err(error),
            };
            contexts.push(context);
            match context.context.checked_add(1) {
                Some(next) => lowest = next,
                None => return Ok(contexts),
            }
        }
    }

    /// Changes the priority of this context: of its lists that wait, and of those
    /// to come. Where several contexts want engines, one gets three times the time
    /// of one with the next lower priority.
    ///
    /// # Errors
    /// [`Priority::High`] needs CAP_SYS_NICE; or the card is lost, or too old.
    pub fn set_priority(&self, priority: Priority) -> Result<(), Error> {
        let mut argument = uapi::ContextPriority {
            priority: priority.code(),
            pad: 0,
        };
        kernel::call(&self.file, &mut argument)
    }

    /// Resets the card. All contexts keep their memory; lists that do not end
    /// within some seconds end with [`augur_abi::Status::DeviceError`].
    ///
    /// # Errors
    /// It needs CAP_SYS_ADMIN; or the card does not come back, and is lost.
    pub fn reset(&self) -> Result<(), Error> {
        kernel::call(&self.file, &mut uapi::Reset::default())
    }

    /// Allocates at least `bytes` of device memory. It reads as zero.
    ///
    /// # Errors
    /// [`Error::NoMemory`] when the card has no more.
    pub fn create_object(&self, bytes: u64) -> Result<Object, Error> {
        let mut argument = uapi::ObjectCreate {
            size: bytes,
            ..Default::default()
        };
        kernel::call(&self.file, &mut argument)?;
        Ok(Object::new(self.clone(), &argument))
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
