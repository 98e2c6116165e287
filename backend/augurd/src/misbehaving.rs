// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augurd-misbehaving`: a card for tests of drivers. It is the card of
//! `augurd` until SIGUSR1, does what `--misbehave` says from then on, and is
//! honest again after SIGUSR2.

use std::process::ExitCode;

use augurd::Daemon;
use augurd::arguments::Arguments;
use augurd::misbehaviour::{self, Misbehaviour};
use augurd::socket::ListeningSocket;
use clap::Parser;
use signal_hook::consts::{SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

/// A card that turns against its driver.
#[derive(Debug, Parser)]
struct MisbehavingArguments {
    #[command(flatten)]
    card: Arguments,
    /// What it does after SIGUSR1
    #[arg(long)]
    misbehave: Misbehaviour,
}

fn main() -> ExitCode {
    let arguments = MisbehavingArguments::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    misbehaviour::choose(arguments.misbehave);
    match run(&arguments.card) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("augurd-misbehaving: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let path = arguments.socket_path.as_ref().ok_or("it needs a path")?;
    let mut socket = ListeningSocket::bind(path)?;
    let mut daemon = Daemon::new(arguments.card_config()?, arguments.busy_poll())?;
    let mut signals = Signals::new([SIGUSR1, SIGUSR2])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            misbehaviour::arm(signal == SIGUSR1);
            // Tests wait for it.
            log::warn!("the card has turned");
        }
    });
    if let Some(listener) = socket.take_listener() {
        daemon.serve(listener)?;
    }
    socket.remove();
    Ok(())
}
