// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C compiler agrees with `augur_client::uapi` on every size, offset, type
//! size and number of `augur_accel.h`.
#![allow(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use augur_client::uapi::{self, Argument};

/// The few things that `augur_accel.h` takes from the DRM core's header, which
/// is not part of the C library's headers.
const DRM_CORE: &str = "\
#include <linux/types.h>
#include <linux/ioctl.h>
#define DRM_COMMAND_BASE 0x40
#define DRM_IOWR(number, type) _IOWR('d', number, type)
";

/// Writes assertions that a C structure is laid out as a Rust one.
macro_rules! same_layout {
    ($source:ident: $( $c_name:literal => $name:ident { $( $field:ident $(as $c_field:literal)?, )* } )*) => {$({
        let bytes = size_of::<uapi::$name>();
        assertion(&mut $source, &format!("sizeof(struct {}) == {bytes}", $c_name));
        $(
            let c_field = [$($c_field,)? stringify!($field)][0];
            let offset = std::mem::offset_of!(uapi::$name, $field);
            assertion(&mut $source, &format!("offsetof(struct {}, {c_field}) == {offset}", $c_name));
            let bytes = bytes_of(|structure: &uapi::$name| &structure.$field);
            assertion(&mut $source, &format!("sizeof(((struct {} *)0)->{c_field}) == {bytes}", $c_name));
        )*
    })*};
}

fn bytes_of<S, F>(_field: impl Fn(&S) -> &F) -> usize {
    size_of::<F>()
}

fn assertion(source: &mut String, condition: &str) {
    writeln!(source, "_Static_assert({condition}, \"{condition}\");").expect("writing to a string");
}

fn number<T: Argument>(source: &mut String, c_name: &str) {
    assertion(source, &format!("{c_name} == {:#x}u", T::NUMBER));
}

#[test]
fn c_compiler_agrees_on_structures_and_numbers() {
    let mut source = String::from("#include <stddef.h>\n#include \"drm/augur_accel.h\"\n");
    same_layout! { source:
        "drm_augur_dev_query" => DevQuery { query_type as "type", size, pointer, index, pad, }
        "drm_augur_query_device" => QueryDevice {
            memory_bytes, usable_bytes, aperture_bytes, demand_window_bytes, max_window_bytes,
            window_slots, compute_engines, dma_channels, submit_queues, max_contexts,
            max_submit_bytes, abi_major, abi_minor, context,
        }
        "drm_augur_query_driver" => QueryDriver {
            state, pad, heartbeat, page_faults, demand_faults, events, stale_events, revokes,
            dirty_revokes, resyncs, windows, objects, submissions,
        }
        "drm_augur_bo_create" => ObjectCreate { size, flags, handle, device_address, mmap_offset, }
        "drm_augur_bo_info" => ObjectInfo { handle, pad, size, device_address, mmap_offset, }
        "drm_augur_transfer" => Transfer { address, size, flags, handle, }
        "drm_augur_sync" => Sync { handle, pad, point, }
        "drm_augur_submit" => Submit {
            commands, commands_size, command_count, transfers, transfer_count, queue, in_syncs,
            out_syncs, in_sync_count, out_sync_count, flags, wait_error, wait,
        }
        "drm_augur_list" => List {
            commands, commands_size, command_count, transfers, transfer_count, pad,
        }
        "drm_augur_submit_lists" => SubmitLists {
            lists, list_count, queue, in_syncs, out_syncs, in_sync_count, out_sync_count, flags,
            pad, fence,
        }
        "drm_augur_context_priority" => ContextPriority { priority, pad, }
        "drm_augur_bo_advise" => ObjectAdvise { handle, advice, offset, size, }
        "drm_augur_bo_wait" => ObjectWait { handle, flags, timeout_ns, }
        "drm_augur_bo_copy" => ObjectCopy {
            source, destination, source_offset, destination_offset, size, flags, pad,
        }
        "drm_augur_reset" => Reset { flags, pad, }
        "drm_augur_predictor" => Predictor { mode, pad, }
        "drm_augur_model_pull" => ModelPull {
            scope, offset, pointer, generation, checksum, total, bytes, parameters, mode,
            context, pad,
        }
        "drm_augur_model_push" => ModelPush {
            scope, total, offset, bytes, pointer, outcome, context, reason,
        }
        "drm_augur_profile" => Profile { action, count, pointer, lost, recording, flags, }
        "drm_augur_wait" => Wait {
            fence, timeout_ns, status, failed_command, started_ns, finished_ns,
        }
    }
    number::<uapi::DevQuery>(&mut source, "DRM_IOCTL_AUGUR_DEV_QUERY");
    number::<uapi::ObjectCreate>(&mut source, "DRM_IOCTL_AUGUR_BO_CREATE");
    number::<uapi::ObjectInfo>(&mut source, "DRM_IOCTL_AUGUR_BO_INFO");
    number::<uapi::Submit>(&mut source, "DRM_IOCTL_AUGUR_SUBMIT");
    number::<uapi::Wait>(&mut source, "DRM_IOCTL_AUGUR_WAIT");
    number::<uapi::Predictor>(&mut source, "DRM_IOCTL_AUGUR_PREDICTOR");
    number::<uapi::ModelPull>(&mut source, "DRM_IOCTL_AUGUR_MODEL_PULL");
    number::<uapi::ModelPush>(&mut source, "DRM_IOCTL_AUGUR_MODEL_PUSH");
    number::<uapi::Profile>(&mut source, "DRM_IOCTL_AUGUR_PROFILE");
    number::<uapi::ContextPriority>(&mut source, "DRM_IOCTL_AUGUR_CONTEXT_PRIORITY");
    number::<uapi::ObjectAdvise>(&mut source, "DRM_IOCTL_AUGUR_BO_ADVISE");
    number::<uapi::ObjectWait>(&mut source, "DRM_IOCTL_AUGUR_BO_WAIT");
    number::<uapi::SubmitLists>(&mut source, "DRM_IOCTL_AUGUR_SUBMIT_LISTS");
    number::<uapi::Reset>(&mut source, "DRM_IOCTL_AUGUR_RESET");
    number::<uapi::ObjectCopy>(&mut source, "DRM_IOCTL_AUGUR_BO_COPY");
    for (c_name, value) in [
        ("DRM_AUGUR_QUERY_DEVICE", uapi::QUERY_DEVICE),
        ("DRM_AUGUR_QUERY_COUNTERS", uapi::QUERY_COUNTERS),
        ("DRM_AUGUR_QUERY_CONTEXT", uapi::QUERY_CONTEXT),
        ("DRM_AUGUR_QUERY_DRIVER", uapi::QUERY_DRIVER),
        ("DRM_AUGUR_PROFILE_START", uapi::PROFILE_START),
        ("DRM_AUGUR_PROFILE_STOP", uapi::PROFILE_STOP),
        ("DRM_AUGUR_PROFILE_READ", uapi::PROFILE_READ),
        (
            "DRM_AUGUR_TRANSFER_WRITES_MEMORY",
            uapi::TRANSFER_WRITES_MEMORY,
        ),
    ] {
        assertion(&mut source, &format!("{c_name} == {value}"));
    }
    for (c_name, value) in [
        ("DRM_AUGUR_MAX_LISTS", uapi::MAX_LISTS),
        ("DRM_AUGUR_TRANSFER_BUFFER", uapi::TRANSFER_BUFFER as usize),
        (
            "DRM_AUGUR_WAIT_FOR_READERS",
            uapi::WAIT_FOR_READERS as usize,
        ),
    ] {
        assertion(&mut source, &format!("{c_name} == {value}"));
    }
    compile(&source, &[]);
    // The same for 32-bit programs: nothing in the structures depends on the
    // size of a pointer or the alignment of 64-bit fields.
    // (A 64-bit compiler looks for the kernel's headers elsewhere with -m32.)
    compile(
        &source,
        &["-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"],
    );
}

fn compile(source: &str, options: &[&str]) {
    let stand_in = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(stand_in.path().join("drm.h"), DRM_CORE).expect("the header can be written");
    let headers = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../include/uapi");
    let mut compiler = Command::new("cc")
        .args(options)
        .args(["-std=gnu11", "-Wall", "-Werror", "-fsyntax-only", "-x", "c"])
        .arg("-I")
        .arg(headers)
        .arg("-I")
        .arg(stand_in.path())
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .expect("a C compiler is installed");
    let mut input = compiler.stdin.take().expect("stdin is piped");
    std::io::Write::write_all(&mut input, source.as_bytes()).expect("the compiler reads");
    drop(input);
    assert!(
        compiler.wait().expect("the compiler ends").success(),
        "the C header disagrees"
    );
}
