// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augur bench`: measures the card, in a guest and in this process, and its
//! parts on a virtual clock.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::bench::predict::adapt;
use crate::bench::{
    ahead, card, divide, metg, network, peers, place, predict, priority, schedule, tracking,
};

/// Arguments of `augur bench`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Measure how fast prefetching policies follow a program that changes.
    Adapt(adapt::Arguments),
    /// Compare mapping on demand with mapping ahead of use, in a guest.
    Ahead(ahead::Arguments),
    /// Measure the card in a guest beside a peer, and inside this process.
    Card(card::Arguments),
    /// Run large commands on one engine and on several, which divide them.
    Divide(divide::Arguments),
    /// Find the smallest commands that keep the card's engines half busy.
    Metg(metg::Arguments),
    /// Run a network on cards that divide large commands and move objects, and on cards that don't, in a guest.
    Network(network::Arguments),
    /// Run the schedule benchmark's programs on libgomp, StarPU and TBB beside the card's scheduler.
    Peers(peers::Arguments),
    /// Place buffers of known lifetimes in one memory.
    Place(place::Arguments),
    /// Compare prefetching policies on access traces.
    Predict(predict::Arguments),
    /// Measure page faults beside bulk transfers and predictions, with DMA by urgency and without.
    Priority(priority::Arguments),
    /// Schedule a program on regions, with one unit of tracking or all of them.
    Schedule(schedule::Arguments),
    /// Run one command list under several units of tracking, in a guest.
    Tracking(tracking::Arguments),
}

impl Arguments {
    /// Runs the benchmark.
    ///
    /// # Errors
    /// Whatever is wrong with its input.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Adapt(arguments) => arguments.run(),
            What::Ahead(arguments) => arguments.run(),
            What::Card(arguments) => arguments.run(),
            What::Divide(arguments) => arguments.run(),
            What::Metg(arguments) => arguments.run(),
            What::Network(arguments) => arguments.run(),
            What::Peers(arguments) => arguments.run(),
            What::Place(arguments) => arguments.run(),
            What::Predict(arguments) => arguments.run(),
            What::Priority(arguments) => arguments.run(),
            What::Schedule(arguments) => arguments.run(),
            What::Tracking(arguments) => arguments.run(),
        }
    }
}
