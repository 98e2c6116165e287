// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wrong submissions, and wrong transfers in submissions.

use augur_client::uapi;
use augur_client::{CommandList, Device, Object};
use zerocopy::IntoBytes;

use super::{NOWHERE, expect};
use crate::harness::{Outcome, check};

/// Makes wrong submissions of every kind.
pub fn run(device: &Device, object: &Object) -> Outcome {
    submissions(device, object)?;
    transfers(device, object)?;
    read_only_memory(device, object)
}

/// A submission of one good command that the cases below make wrong.
fn good_list(object: &Object) -> Result<Vec<u8>, augur_client::Error> {
    let mut list = CommandList::new();
    list.fill(&object.byte_range(0, 64)?, 7)?;
    Ok(list.commands().to_vec())
}

/// A submission of one command.
fn one_command(commands: &[u8]) -> uapi::Submit {
    uapi::Submit {
        commands: commands.as_ptr().expose_provenance() as u64,
        commands_size: commands.len() as u32,
        command_count: 1,
        ..Default::default()
    }
}

fn submissions(device: &Device, object: &Object) -> Outcome {
    let commands = good_list(object)?;
    let good = one_command(&commands);
    let invalid = &[libc::EINVAL];
    let submit =
        |what: &str, argument: uapi::Submit, errnos: &[i32]| expect(device, what, argument, errnos);
    submit("flags", uapi::Submit { flags: 2, ..good }, invalid)?;
    let errored = uapi::Submit {
        wait_error: 1,
        ..good
    };
    submit("an error before the wait", errored, invalid)?;
    for (what, flags, timeout_ns) in [
        ("a negative time", uapi::SUBMIT_WAIT, -1),
        ("a time without a wait", 0, 1),
    ] {
        let wait = uapi::Wait {
            timeout_ns,
            ..Default::default()
        };
        submit(
            what,
            uapi::Submit {
                flags,
                wait,
                ..good
            },
            invalid,
        )?;
    }
    let queue = device.information().submit_queues;
    submit("a queue too many", uapi::Submit { queue, ..good }, invalid)?;
    submit(
        "the last queue",
        uapi::Submit {
            queue: u32::MAX,
            ..good
        },
        invalid,
    )?;
    let odd = uapi::Submit {
        commands_size: good.commands_size - 4,
        ..good
    };
    submit("an odd size", odd, invalid)?;
    let too_long = &[libc::EINVAL, libc::E2BIG, libc::EFAULT];
    for commands_size in [
        device.information().max_submit_bytes + 8,
        1 << 31,
        u32::MAX - 7,
    ] {
        submit(
            "a long list",
            uapi::Submit {
                commands_size,
                ..good
            },
            too_long,
        )?;
    }
    for commands in [0, NOWHERE, u64::MAX - 8] {
        submit(
            "a list nowhere",
            uapi::Submit { commands, ..good },
            &[libc::EFAULT],
        )?;
    }
    let counts = &[libc::EINVAL, libc::E2BIG, libc::EFAULT, libc::ENOMEM];
    for transfer_count in [1, 1000, u32::MAX] {
        let argument = uapi::Submit {
            transfer_count,
            transfers: NOWHERE,
            ..good
        };
        submit("transfers nowhere", argument, counts)?;
    }
    for count in [65, u32::MAX] {
        let argument = uapi::Submit {
            in_sync_count: count,
            in_syncs: NOWHERE,
            ..good
        };
        submit("too many syncobjs to wait for", argument, counts)?;
        let argument = uapi::Submit {
            out_sync_count: count,
            out_syncs: NOWHERE,
            ..good
        };
        submit("too many syncobjs to signal", argument, counts)?;
    }
    let sync = [uapi::Sync {
        handle: 4711,
        pad: 0,
        point: 0,
    }];
    let at = sync.as_ptr().expose_provenance() as u64;
    let argument = uapi::Submit {
        in_sync_count: 1,
        in_syncs: at,
        ..good
    };
    submit(
        "a syncobj that there is not",
        argument,
        &[libc::ENOENT, libc::EINVAL],
    )?;
    let argument = uapi::Submit {
        out_sync_count: 1,
        out_syncs: at,
        ..good
    };
    submit(
        "a syncobj that there is not, to signal",
        argument,
        &[libc::ENOENT, libc::EINVAL],
    )?;
    let argument = uapi::Submit {
        in_sync_count: 1,
        in_syncs: NOWHERE,
        ..good
    };
    submit("syncobjs nowhere", argument, &[libc::EFAULT])
}

/// Submits a command with a transfer, and expects one of the errnos.
fn refuse_transfer(
    device: &Device,
    commands: &[u8],
    transfer: uapi::Transfer,
    what: &str,
    errnos: &[i32],
) -> Outcome {
    let transfers = [transfer];
    let submit = uapi::Submit {
        transfers: transfers.as_ptr().expose_provenance() as u64,
        transfer_count: 1,
        ..one_command(commands)
    };
    expect(device, what, submit, errnos)
}

fn transfers(device: &Device, object: &Object) -> Outcome {
    let memory = [0_u8; 64];
    let mut list = CommandList::new();
    list.upload(&object.byte_range(0, 64)?, &memory)?;
    let commands = list.commands().to_vec();
    let good = uapi::Transfer {
        address: memory.as_ptr().expose_provenance() as u64,
        size: 64,
        flags: 0,
        handle: 0,
    };
    let huge = augur_abi::submit::MAX_TRANSFER_BYTES + 1;
    for (what, transfer, errnos) in [
        (
            "size 0",
            uapi::Transfer { size: 0, ..good },
            &[libc::EINVAL][..],
        ),
        (
            "a huge size",
            uapi::Transfer { size: huge, ..good },
            &[libc::EINVAL],
        ),
        (
            "2^64 - 1 bytes",
            uapi::Transfer {
                size: u64::MAX,
                ..good
            },
            &[libc::EINVAL, libc::EFAULT],
        ),
        (
            "flags",
            uapi::Transfer { flags: 4, ..good },
            &[libc::EINVAL],
        ),
        (
            "a handle",
            uapi::Transfer { handle: 1, ..good },
            &[libc::EINVAL],
        ),
        (
            "a buffer that there is not",
            uapi::Transfer {
                flags: uapi::TRANSFER_BUFFER,
                handle: 4711,
                ..good
            },
            &[libc::ENOENT],
        ),
        (
            "address 0",
            uapi::Transfer { address: 0, ..good },
            &[libc::EFAULT],
        ),
        (
            "a kernel address",
            uapi::Transfer {
                address: 0xffff_8880_0000_0000,
                ..good
            },
            &[libc::EFAULT],
        ),
        (
            "an end that wraps",
            uapi::Transfer {
                address: u64::MAX - 31,
                ..good
            },
            &[libc::EFAULT, libc::EINVAL],
        ),
    ] {
        let what = format!("a transfer with {what}");
        refuse_transfer(device, &commands, transfer, &what, errnos)?;
    }
    Ok(())
}

/// The card must not write memory that the program itself may only read.
fn read_only_memory(device: &Device, object: &Object) -> Outcome {
    static CONSTANT: [u8; 4096] = [0x3c; 4096];
    let mut downloaded = [0_u8; 64];
    let mut list = CommandList::new();
    list.download(&mut downloaded, &object.byte_range(0, 64)?)?;
    let commands = list.commands().to_vec();
    for flags in [0, uapi::TRANSFER_WRITES_MEMORY] {
        let transfer = uapi::Transfer {
            address: CONSTANT.as_ptr().expose_provenance() as u64,
            size: 64,
            flags,
            handle: 0,
        };
        let what = format!("a download to read-only memory, flags {flags}");
        let errnos = &[libc::EFAULT, libc::EACCES];
        refuse_transfer(device, &commands, transfer, &what, errnos)?;
    }
    let constant = CONSTANT.as_bytes();
    // SAFETY: reads a static; volatile so that the read is made.
    let unchanged = constant
        .iter()
        .all(|byte| unsafe { std::ptr::read_volatile(byte) } == 0x3c);
    check(unchanged, || "the card wrote read-only memory".into())
}
