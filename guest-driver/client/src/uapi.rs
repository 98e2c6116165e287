// SPDX-License-Identifier: MIT OR Apache-2.0
//! The structures and numbers of `uapi/drm/augur_accel.h` and of the few
//! ioctls of the DRM core that the library uses.
//!
//! Field by field the same as the C header, which documents them; a test
//! compiles the header and compares every size, offset and number. Nothing
//! here calls the kernel.
#![allow(missing_docs, reason = "the C header documents every field")]

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Declares structures without padding, as the kernel lays them out.
macro_rules! uapi_structures {
    ($( pub struct $name:ident { $( pub $field:ident: $ty:ty, )* } )*) => {$(
        #[doc = concat!("See the C header.")]
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
        )]
        #[repr(C)]
        pub struct $name { $( pub $field: $ty, )* }
    )*};
}

uapi_structures! {
    pub struct DevQuery {
        pub query_type: u32,
        pub size: u32,
        pub pointer: u64,
        pub index: u32,
        pub pad: u32,
    }

    pub struct QueryDevice {
        pub memory_bytes: u64,
        pub usable_bytes: u64,
        pub aperture_bytes: u64,
        pub demand_window_bytes: u32,
        pub max_window_bytes: u32,
        pub window_slots: u32,
        pub compute_engines: u32,
        pub dma_channels: u32,
        pub submit_queues: u32,
        pub max_contexts: u32,
        pub max_submit_bytes: u32,
        pub abi_major: u16,
        pub abi_minor: u16,
        pub context: u32,
    }

    pub struct QueryDriver {
        pub state: u32,
        pub pad: u32,
        pub heartbeat: u64,
        pub page_faults: u64,
        pub demand_faults: u64,
        pub events: u64,
        pub stale_events: u64,
        pub revokes: u64,
        pub dirty_revokes: u64,
        pub resyncs: u64,
        pub windows: u64,
        pub objects: u64,
        pub submissions: u64,
    }

    pub struct ObjectCreate {
        pub size: u64,
        pub flags: u32,
        pub handle: u32,
        pub device_address: u64,
        pub mmap_offset: u64,
    }

    pub struct ObjectInfo {
        pub handle: u32,
        pub pad: u32,
        pub size: u64,
        pub device_address: u64,
        pub mmap_offset: u64,
    }

    pub struct Transfer {
        pub address: u64,
        pub size: u64,
        pub flags: u32,
        pub handle: u32,
    }

    pub struct Sync {
        pub handle: u32,
        pub pad: u32,
        pub point: u64,
    }

    pub struct Wait {
        pub fence: u64,
        pub timeout_ns: i64,
        pub status: u32,
        pub failed_command: u32,
        pub started_ns: u64,
        pub finished_ns: u64,
    }

    pub struct Submit {
        pub commands: u64,
        pub commands_size: u32,
        pub command_count: u32,
        pub transfers: u64,
        pub transfer_count: u32,
        pub queue: u32,
        pub in_syncs: u64,
        pub out_syncs: u64,
        pub in_sync_count: u32,
        pub out_sync_count: u32,
        pub flags: u32,
        pub wait_error: u32,
        pub wait: Wait,
    }

    pub struct List {
        pub commands: u64,
        pub commands_size: u32,
        pub command_count: u32,
        pub transfers: u64,
        pub transfer_count: u32,
        pub pad: u32,
    }

    pub struct SubmitLists {
        pub lists: u64,
        pub list_count: u32,
        pub queue: u32,
        pub in_syncs: u64,
        pub out_syncs: u64,
        pub in_sync_count: u32,
        pub out_sync_count: u32,
        pub flags: u32,
        pub pad: u32,
        pub fence: u64,
    }

    pub struct ContextPriority {
        pub priority: u32,
        pub pad: u32,
    }

    pub struct ObjectAdvise {
        pub handle: u32,
        pub advice: u32,
        pub offset: u64,
        pub size: u64,
    }

    pub struct ObjectWait {
        pub handle: u32,
        pub flags: u32,
        pub timeout_ns: i64,
    }

    pub struct ObjectCopy {
        pub source: u32,
        pub destination: u32,
        pub source_offset: u64,
        pub destination_offset: u64,
        pub size: u64,
        pub flags: u32,
        pub pad: u32,
    }

    pub struct Reset {
        pub flags: u32,
        pub pad: u32,
    }

    pub struct Predictor {
        pub mode: u32,
        pub pad: u32,
    }

    pub struct ModelPull {
        pub scope: u32,
        pub offset: u32,
        pub pointer: u64,
        pub generation: u64,
        pub checksum: u64,
        pub total: u32,
        pub bytes: u32,
        pub parameters: u32,
        pub mode: u32,
        pub context: u32,
        pub pad: u32,
    }

    pub struct Profile {
        pub action: u32,
        pub count: u32,
        pub pointer: u64,
        pub lost: u64,
        pub recording: u32,
        pub flags: u32,
    }

    pub struct DrmVersion {
        pub version_major: i32,
        pub version_minor: i32,
        pub version_patchlevel: i32,
        pub pad: u32,
        pub name_len: u64,
        pub name: u64,
        pub date_len: u64,
        pub date: u64,
        pub desc_len: u64,
        pub desc: u64,
    }

    pub struct GemClose {
        pub handle: u32,
        pub pad: u32,
    }

    pub struct PrimeHandle {
        pub handle: u32,
        pub flags: u32,
        pub fd: i32,
    }

    pub struct SyncobjCreate {
        pub handle: u32,
        pub flags: u32,
    }

    pub struct SyncobjDestroy {
        pub handle: u32,
        pub pad: u32,
    }

    pub struct SyncobjHandle {
        pub handle: u32,
        pub flags: u32,
        pub fd: i32,
        pub pad: u32,
    }

    pub struct SyncobjTimelineWait {
        pub handles: u64,
        pub points: u64,
        pub timeout_nsec: i64,
        pub count_handles: u32,
        pub flags: u32,
        pub first_signaled: u32,
        pub pad: u32,
        pub deadline_nsec: u64,
    }

    pub struct SyncobjTimelineArray {
        pub handles: u64,
        pub points: u64,
        pub count_handles: u32,
        pub flags: u32,
    }

    pub struct SyncobjEventfd {
        pub handle: u32,
        pub flags: u32,
        pub point: u64,
        pub fd: i32,
        pub pad: u32,
    }
}

/// See the C header. (The other structures derive more than arrays of this size can.)
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs, reason = "the C header documents every field")]
pub struct ModelPush {
    pub scope: u32,
    pub total: u32,
    pub offset: u32,
    pub bytes: u32,
    pub pointer: u64,
    pub outcome: u32,
    pub context: u32,
    pub reason: [u8; 120],
}

/// The argument of the other direction has the same structure as
/// [`PrimeHandle`], and another number.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[allow(missing_docs, reason = "the C header documents every field")]
pub struct PrimeFd {
    pub handle: u32,
    pub flags: u32,
    pub fd: i32,
}

/// What [`Profile`] does.
pub const PROFILE_START: u32 = 0;
/// See [`PROFILE_START`].
pub const PROFILE_STOP: u32 = 1;
/// See [`PROFILE_START`].
pub const PROFILE_READ: u32 = 2;
/// Flag of [`Profile`]: the accesses of all files, which needs CAP_SYS_ADMIN.
pub const PROFILE_OF_CARD: u32 = 1 << 0;

/// The structure that [`DevQuery`] is asked for.
pub const QUERY_DEVICE: u32 = 0;
/// See [`QUERY_DEVICE`].
pub const QUERY_COUNTERS: u32 = 1;
/// See [`QUERY_DEVICE`].
pub const QUERY_CONTEXT: u32 = 2;
/// See [`QUERY_DEVICE`].
pub const QUERY_DRIVER: u32 = 3;

/// Flag of [`Transfer`]: the transfer writes the program's memory.
pub const TRANSFER_WRITES_MEMORY: u32 = 1 << 0;

/// Flag of [`Transfer`]: the memory is a buffer that was imported.
pub const TRANSFER_BUFFER: u32 = 1 << 1;

/// Flag of [`PrimeHandle`]: the dma-buf is closed on exec.
pub const PRIME_CLOSE_ON_EXEC: u32 = 0o2_000_000;
/// Flag of [`PrimeHandle`]: the dma-buf may be written.
pub const PRIME_READ_WRITE: u32 = 2;

/// Flag of [`Submit`]: wait for the list's end as well.
pub const SUBMIT_WAIT: u32 = 1 << 0;

/// Lists of one [`SubmitLists`], at most.
pub const MAX_LISTS: usize = 64;
/// Flag of [`ObjectWait`]: wait for lists that only read as well.
pub const WAIT_FOR_READERS: u32 = 1 << 0;

/// Flag of [`SyncobjTimelineWait`]: wait also for a fence to be there.
pub const SYNCOBJ_WAIT_FOR_SUBMIT: u32 = 1 << 1;

const DRM_IOCTL_BASE: u32 = b'd' as u32;
const DRM_COMMAND_BASE: u32 = 0x40;

/// `_IOWR('d', number, T)` of the kernel's `ioctl.h`.
const fn read_write<T>(number: u32) -> u32 {
    (3 << 30) | ((size_of::<T>() as u32) << 16) | (DRM_IOCTL_BASE << 8) | number
}

/// `_IOW('d', number, T)` of the kernel's `ioctl.h`.
const fn write_only<T>(number: u32) -> u32 {
    (1 << 30) | ((size_of::<T>() as u32) << 16) | (DRM_IOCTL_BASE << 8) | number
}

/// An ioctl's argument: the number says which structure the kernel expects, so
/// the two cannot be mixed up.
pub trait Argument: FromBytes + IntoBytes {
    /// Number of the ioctl.
    const NUMBER: u32;
    /// Name of the ioctl, for messages.
    const NAME: &'static str;
}

macro_rules! arguments {
    ($( $ty:ty => $number:expr, $name:literal; )*) => {$(
        impl Argument for $ty {
            const NUMBER: u32 = $number;
            const NAME: &'static str = $name;
        }
    )*};
}

arguments! {
    DevQuery => read_write::<DevQuery>(DRM_COMMAND_BASE), "DEV_QUERY";
    ObjectCreate => read_write::<ObjectCreate>(DRM_COMMAND_BASE + 1), "BO_CREATE";
    ObjectInfo => read_write::<ObjectInfo>(DRM_COMMAND_BASE + 2), "BO_INFO";
    Submit => read_write::<Submit>(DRM_COMMAND_BASE + 3), "SUBMIT";
    Wait => read_write::<Wait>(DRM_COMMAND_BASE + 4), "WAIT";
    Predictor => read_write::<Predictor>(DRM_COMMAND_BASE + 0x10), "PREDICTOR";
    ModelPull => read_write::<ModelPull>(DRM_COMMAND_BASE + 0x11), "MODEL_PULL";
    ModelPush => read_write::<ModelPush>(DRM_COMMAND_BASE + 0x12), "MODEL_PUSH";
    Profile => read_write::<Profile>(DRM_COMMAND_BASE + 0x13), "PROFILE";
    ContextPriority => read_write::<ContextPriority>(DRM_COMMAND_BASE + 0x20), "CONTEXT_PRIORITY";
    ObjectAdvise => read_write::<ObjectAdvise>(DRM_COMMAND_BASE + 0x21), "BO_ADVISE";
    ObjectWait => read_write::<ObjectWait>(DRM_COMMAND_BASE + 0x22), "BO_WAIT";
    SubmitLists => read_write::<SubmitLists>(DRM_COMMAND_BASE + 0x23), "SUBMIT_LISTS";
    ObjectCopy => read_write::<ObjectCopy>(DRM_COMMAND_BASE + 0x24), "BO_COPY";
    Reset => read_write::<Reset>(DRM_COMMAND_BASE + 0x25), "RESET";
    PrimeHandle => read_write::<PrimeHandle>(0x2d), "PRIME_HANDLE_TO_FD";
    PrimeFd => read_write::<PrimeFd>(0x2e), "PRIME_FD_TO_HANDLE";
    DrmVersion => read_write::<DrmVersion>(0x00), "VERSION";
    GemClose => write_only::<GemClose>(0x09), "GEM_CLOSE";
    SyncobjCreate => read_write::<SyncobjCreate>(0xbf), "SYNCOBJ_CREATE";
    SyncobjDestroy => read_write::<SyncobjDestroy>(0xc0), "SYNCOBJ_DESTROY";
    SyncobjHandle => read_write::<SyncobjHandle>(0xc1), "SYNCOBJ_HANDLE_TO_FD";
    SyncobjTimelineWait => read_write::<SyncobjTimelineWait>(0xca), "SYNCOBJ_TIMELINE_WAIT";
    SyncobjTimelineArray => read_write::<SyncobjTimelineArray>(0xcd), "SYNCOBJ_TIMELINE_SIGNAL";
    SyncobjEventfd => read_write::<SyncobjEventfd>(0xcf), "SYNCOBJ_EVENTFD";
}
