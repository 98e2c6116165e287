// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subtests, by what they guard.

mod basics;
mod batches;
mod churn;
mod commands;
mod errors;
mod fences;
mod hangs;
mod hints;
mod hostile;
mod isolation;
mod lifetime;
mod loss;
mod mapping;
mod memory;
mod models;
mod observed;
mod ordering;
mod random_touch;
mod recovery;
mod sharing;
mod submit_wait;
mod transfers;

use crate::harness::Subtest;

/// Every subtest, the quick ones first.
pub const ALL: &[Subtest] = &[
    Subtest {
        name: "probe",
        summary: "the driver describes the card: sizes, limits, counters, contexts",
        alone: true,
        run: basics::probe,
    },
    Subtest {
        name: "smoke",
        summary: "allocate, transfer, compute, map, refuse a bad list: a second at most",
        alone: true,
        run: basics::smoke,
    },
    Subtest {
        name: "exhaustion",
        summary: "allocate all memory and free it, twice",
        alone: true,
        run: memory::exhaustion,
    },
    Subtest {
        name: "zeroed",
        summary: "memory is zero although another context wrote it before",
        alone: true,
        run: memory::zeroed,
    },
    Subtest {
        name: "dma-odd",
        summary: "transfers of any offset, length and alignment",
        alone: true,
        run: transfers::odd,
    },
    Subtest {
        name: "dma-sizes",
        summary: "transfers of sizes up to --bytes, every byte checked",
        alone: true,
        run: transfers::sizes,
    },
    Subtest {
        name: "dma-scatter",
        summary: "one list gathers and scatters pieces of scattered memory",
        alone: true,
        run: transfers::scatter,
    },
    Subtest {
        name: "mmap",
        summary: "mapped memory and transfers see the same bytes",
        alone: true,
        run: mapping::mapped,
    },
    Subtest {
        name: "mmap-refused",
        summary: "private mappings and mappings beyond the object are refused",
        alone: true,
        run: mapping::refused,
    },
    Subtest {
        name: "mmap-fork",
        summary: "a forked child shares the mapping, and either may end first",
        alone: true,
        run: mapping::forked,
    },
    Subtest {
        name: "mmap-move",
        summary: "mappings may be moved and torn",
        alone: true,
        run: mapping::moved_and_torn,
    },
    Subtest {
        name: "mmap-kernel-access",
        summary: "system calls and debuggers reach mapped memory; pinning it is refused",
        alone: true,
        run: mapping::kernel_access,
    },
    Subtest {
        name: "random-touch",
        summary: "more memory than aperture, touched at random by several processes",
        alone: true,
        run: random_touch::run,
    },
    Subtest {
        name: "engine-and-cpu",
        summary: "CPU and engines take turns on the same memory, ordered by completion",
        alone: true,
        run: ordering::engine_and_cpu,
    },
    Subtest {
        name: "list-order",
        summary: "lists of one queue take effect in order without waiting",
        alone: true,
        run: ordering::lists_in_order,
    },
    Subtest {
        name: "timelines",
        summary: "lists wait for points of timelines and pass them, failed ones too",
        alone: true,
        run: fences::timelines,
    },
    Subtest {
        name: "futures",
        summary: "futures of lists and points are ready in any order of asking",
        alone: true,
        run: fences::futures,
    },
    Subtest {
        name: "lists",
        summary: "several lists of one submission: in order, all of them or none",
        alone: true,
        run: batches::lists,
    },
    Subtest {
        name: "submit-wait",
        summary: "lists are submitted and waited for in one call, once each among signals",
        alone: true,
        run: submit_wait::run,
    },
    Subtest {
        name: "object-wait",
        summary: "waits for the lists that read or write an object",
        alone: true,
        run: batches::object_wait,
    },
    Subtest {
        name: "priority",
        summary: "contexts of higher priority get engines more often, if they may",
        alone: true,
        run: hints::priority,
    },
    Subtest {
        name: "advice",
        summary: "advice changes how many faults memory costs; pins hold, within bounds",
        alone: true,
        run: hints::advice,
    },
    Subtest {
        name: "dma-buf",
        summary: "another program maps and copies shared memory, and outlives its owner",
        alone: true,
        run: sharing::with_a_program,
    },
    Subtest {
        name: "dma-buf-import",
        summary: "transfers use udmabufs and the system heap's memory in place",
        alone: true,
        run: sharing::with_guest_memory,
    },
    Subtest {
        name: "dma-buf-cards",
        summary: "a second card copies from and to a first one's memory",
        alone: false,
        run: sharing::with_a_card,
    },
    Subtest {
        name: "mmap-slices",
        summary: "typed elements are read and written in place beside engines",
        alone: true,
        run: mapping::slices,
    },
    Subtest {
        name: "commands",
        summary: "every command on random shapes and strides, against a reference",
        alone: true,
        run: commands::run,
    },
    Subtest {
        name: "isolation",
        summary: "another context's handles, offsets and addresses are refused",
        alone: true,
        run: isolation::run,
    },
    Subtest {
        name: "submit-errors",
        summary: "malformed lists get their status and change nothing",
        alone: true,
        run: errors::run,
    },
    Subtest {
        name: "ioctl-hostile",
        summary: "wrong sizes, flags, padding, pointers and handles get an errno",
        alone: true,
        run: hostile::run,
    },
    Subtest {
        name: "models",
        summary: "models go in and out unchanged; poisoned ones are refused with a reason",
        alone: true,
        run: models::models,
    },
    Subtest {
        name: "profile",
        summary: "the card records what a context, and what all contexts do",
        alone: true,
        run: models::profile,
    },
    Subtest {
        name: "wait",
        summary: "waits time out, and unknown or forgotten lists are said to be",
        alone: true,
        run: lifetime::wait,
    },
    Subtest {
        name: "hang",
        summary: "a list without progress is given up alone, and leaves a dump",
        alone: true,
        run: hangs::given_up,
    },
    Subtest {
        name: "hang-ban",
        summary: "a context with three hung lists may submit no more",
        alone: true,
        run: hangs::banned,
    },
    Subtest {
        name: "fdinfo",
        summary: "fdinfo says what a context uses of engines and memory",
        alone: true,
        run: observed::fdinfo,
    },
    Subtest {
        name: "sensors",
        summary: "sysfs and hwmon follow the card's work",
        alone: true,
        run: observed::sensors,
    },
    Subtest {
        name: "debugfs",
        summary: "debugfs shows windows, objects, contexts and queues",
        alone: true,
        run: observed::debugfs,
    },
    Subtest {
        name: "tracepoints",
        summary: "every tracepoint fires for what it is there for",
        alone: true,
        run: observed::tracepoints,
    },
    Subtest {
        name: "reset",
        summary: "resets in place: memory and lists survive, beside busy programs too",
        alone: true,
        run: recovery::reset,
    },
    Subtest {
        name: "suspend",
        summary: "suspends as far as the devices: memory and lists survive (takes seconds)",
        alone: false,
        run: recovery::suspend,
    },
    Subtest {
        name: "killed-in-dma",
        summary: "a program killed in the middle of DMA leaves nothing behind",
        alone: true,
        run: lifetime::killed_in_dma,
    },
    Subtest {
        name: "churn",
        summary: "--rounds of open, allocate, map, submit, close by 8 processes, some killed",
        alone: true,
        run: churn::run,
    },
    Subtest {
        name: "dma-endless",
        summary: "transfers and checks until it is stopped: for tests that pause or reset",
        alone: false,
        run: lifetime::endless,
    },
    Subtest {
        name: "card-keeps-list",
        summary: "prints READY; when the card keeps a list, only its fence fails",
        alone: false,
        run: hangs::kept_by_card,
    },
    Subtest {
        name: "endure",
        summary: "prints READY; lists on a card until seconds after it was turned",
        alone: false,
        run: hangs::endure,
    },
    Subtest {
        name: "endure-touch",
        summary: "prints READY; touches memory of a card until seconds after it was turned",
        alone: false,
        run: hangs::touch,
    },
    Subtest {
        name: "removed",
        summary: "prints READY; when the card is taken away, programs get ENODEV and SIGBUS",
        alone: false,
        run: loss::removed,
    },
    Subtest {
        name: "card-death",
        summary: "prints READY; when the card's process dies, waiters get errors",
        alone: false,
        run: loss::card_death,
    },
];
