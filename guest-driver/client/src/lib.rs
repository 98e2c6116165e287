// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Augur accelerator for guest programs: a safe library over the driver's
//! userspace interface (`uapi/drm/augur_accel.h`).
//!
//! A [`Device`] is an open card and a context of its own; [`Object`]s are its
//! memory; a [`Tensor`] is a typed, strided view of an object; a
//! [`CommandList`] says what to do with tensors; a [`Submission`] is waited
//! for, by a thread or as a future; a [`Timeline`] orders submissions. A
//! [`Mapping`] shows an object in the program's memory.
//!
//! ```no_run
//! # fn main() -> Result<(), augur_client::Error> {
//! use augur_client::{CommandList, Device};
//!
//! let device = Device::open_first()?;
//! let object = device.create_object(8)?;
//! let (a, b) = (object.byte_range(0, 4)?, object.byte_range(4, 4)?);
//! let mut sums = [0; 4];
//! let mut list = CommandList::new();
//! list.upload(&a, &[1, 2, 3, 250])?;
//! list.upload(&b, &[10, 20, 30, 40])?;
//! list.add(&b, &a, &b)?;
//! list.download(&mut sums, &b)?;
//! device.run(&list)?;
//! assert_eq!(sums, [11, 22, 33, 255]);
//! # Ok(())
//! # }
//! ```
//!
//! The guest's tools (`augur-smi`, `augur-job`, `augur-test`, `augur-bench`)
//! are programs of this crate. The library must never know how the driver
//! reaches the card: virtqueues, windows and events are the driver's.

pub mod command_list;
pub mod counters;
pub mod device;
pub mod error;
mod kernel;
pub mod mapping;
pub mod object;
pub mod prediction;
mod reactor;
pub mod reference;
pub mod sharing;
pub mod slice;
pub mod submission;
pub mod tensor;
pub mod timeline;
pub mod uapi;
pub mod units;

pub use augur_abi::command::ReduceKind;
pub use augur_abi::control::{Advice, Priority};
pub use augur_abi::{DataType, Status};
pub use command_list::{CommandList, Convolution, Lent, LentMut};
pub use device::Device;
pub use error::Error;
pub use mapping::Mapping;
pub use object::Object;
pub use sharing::SharedBuffer;
pub use slice::MappedSlice;
pub use submission::{Completion, Scope, Submission};
pub use tensor::Tensor;
pub use timeline::{Order, Point, Timeline};
