// SPDX-License-Identifier: MIT OR Apache-2.0
//! `augurd`: turns arguments into a card and a socket, and ends in an orderly
//! way. Knows nothing of what goes over the socket.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use augur_card::Card;
use augurd::arguments::Arguments;
use augurd::learned::{self, LearnedError, ModelFile};
use augurd::socket::ListeningSocket;
use augurd::{Daemon, DaemonError, trace_socket};
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What `--print-capabilities` prints (docs/interop/vhost-user.json of QEMU).
const CAPABILITIES: &str = include_str!("../capabilities.json");

/// The exit code of a process whose card or connection failed.
const FAILED: u8 = 1;
/// The exit code of a process that was started wrongly.
const WRONG_START: u8 = 2;

/// The time that an orderly end may take before the process ends anyhow.
const SHUT_DOWN_TIMEOUT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.print_capabilities {
        print!("{CAPABILITIES}");
        return ExitCode::SUCCESS;
    }
    // Before anything is opened that could have the descriptor's number.
    let socket = match (&arguments.socket_path, arguments.fd) {
        (Some(path), _) => ListeningSocket::bind(path),
        (None, Some(number)) => ListeningSocket::inherited(number),
        // The arguments have one of the two.
        (None, None) => return ExitCode::from(WRONG_START),
    };
    start_log();
    let config = match arguments.card_config() {
        Ok(config) => config,
        Err(error) => return report(&error, WRONG_START),
    };
    let trace_socket = arguments.trace_socket.as_deref();
    let trace_socket = trace_socket.map(ListeningSocket::bind).transpose();
    let (socket, trace_socket) = match (socket, trace_socket) {
        (Ok(socket), Ok(trace_socket)) => (socket, trace_socket),
        (Err(error), _) | (_, Err(error)) => return report(&error, WRONG_START),
    };
    become_hard_to_kill();
    let daemon = match Daemon::new(config, arguments.busy_poll()) {
        Ok(daemon) => daemon,
        Err(error @ DaemonError::Card(_)) => return report(&error, WRONG_START),
        Err(error) => return report(&error, FAILED),
    };
    let model = match begin_files(&arguments, daemon.card()) {
        Ok(model) => model.map(Arc::new),
        Err(error) => return report(&error, WRONG_START),
    };
    match run(daemon, socket, trace_socket, model) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, FAILED),
    }
}

/// Begins what the arguments want recorded; answers the model's file.
fn begin_files(arguments: &Arguments, card: &Card) -> Result<Option<ModelFile>, LearnedError> {
    let model = arguments.model.clone();
    let model = model.map(|path| ModelFile::load(card, path)).transpose()?;
    if let Some(path) = &arguments.record {
        learned::record(card, path)?;
    }
    if let Some(path) = &arguments.schedule {
        learned::record_schedule(card, path)?;
    }
    Ok(model)
}

fn run(
    mut daemon: Daemon,
    mut socket: ListeningSocket,
    mut trace_socket: Option<ListeningSocket>,
    model: Option<Arc<ModelFile>>,
) -> Result<(), DaemonError> {
    let Some(listener) = socket.take_listener() else {
        return Ok(());
    };
    let card = daemon.card().clone();
    let traces = trace_socket
        .as_mut()
        .and_then(ListeningSocket::take_listener);
    if let Some(listener) = traces {
        trace_socket::serve(card.clone(), listener)?;
    }
    let sockets: Vec<ListeningSocket> =
        [Some(socket), trace_socket].into_iter().flatten().collect();
    let sockets = Arc::new(Mutex::new(sockets));
    end_on_signals(card.clone(), sockets.clone(), model.clone())?;
    let served = daemon.serve(listener);
    drop(daemon);
    if let Some(model) = &model {
        model.save(&card);
    }
    remove(&sockets);
    served
}

fn remove(sockets: &Mutex<Vec<ListeningSocket>>) {
    let mut sockets = sockets.lock().unwrap_or_else(PoisonError::into_inner);
    sockets.iter_mut().for_each(ListeningSocket::remove);
}

/// Ends the process when it is asked to: the guest sees the card's state GONE,
/// the sockets are removed.
fn end_on_signals(
    card: Arc<Card>,
    sockets: Arc<Mutex<Vec<ListeningSocket>>>,
    model: Option<Arc<ModelFile>>,
) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if signals.forever().next().is_none() {
                return;
            }
            log::info!("asked to end");
            remove(&sockets);
            let (ended, end) = crossbeam_channel::bounded(1);
            // Without a thread to do it in, it is not done.
            let _ = std::thread::Builder::new()
                .name("shut-down".into())
                .spawn(move || {
                    card.shut_down();
                    if let Some(model) = &model {
                        model.save(&card);
                    }
                    let _ = ended.send(());
                });
            if end.recv_timeout(SHUT_DOWN_TIMEOUT).is_err() {
                log::warn!("the card did not end in an orderly way");
            }
            std::process::exit(0);
        })?;
    Ok(())
}

fn start_log() {
    // The queue crate writes a line for each thing it does not like, so that a
    // guest could flood the log; whatever matters of it is reported by `queue`.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn"))
        .filter_module("virtio_queue", log::LevelFilter::Off)
        .init();
}

/// Losing this process is losing the virtual machine: let the kernel take
/// others first when memory is short, if this user may ask for that.
fn become_hard_to_kill() {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "-900") {
        log::debug!("oom_score_adj stays as it is: {error}");
    }
}

fn report(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("augurd: {error}");
    ExitCode::from(code)
}
