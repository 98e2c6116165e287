// SPDX-License-Identifier: MIT OR Apache-2.0
//! The socket that the front end connects to: a path that this process makes
//! and removes, or a descriptor that it was given.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use rustix::io::fcntl_getfd;
use rustix::net::AddressFamily;
use rustix::net::sockopt::{socket_acceptconn, socket_domain};
use thiserror::Error;

/// Bytes of a socket's path, at most.
pub const MAX_PATH_BYTES: usize = 107;

/// Why there is no socket to listen on.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The path does not fit a socket's address.
    #[error(
        "the socket path has {0} bytes, at most {MAX_PATH_BYTES} fit: use a shorter directory, such as one in /tmp or /run"
    )]
    TooLong(usize),
    /// Another process listens there.
    #[error("the socket {0} is in use by another process: choose another path or end that process")]
    InUse(PathBuf),
    /// There is something else at the path.
    #[error("{0} exists and is not a socket: choose another path or remove it")]
    NotASocket(PathBuf),
    /// The directory is missing.
    #[error("the directory of the socket {0} does not exist: create it first")]
    NoDirectory(PathBuf),
    /// The user may not create it.
    #[error("no permission to create the socket {0}: choose a directory that you can write to")]
    NoPermission(PathBuf),
    /// Something else kept it from being made.
    #[error("cannot listen on the socket {path}: {error}")]
    Listen {
        /// Path of the socket.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// The descriptor is no listening Unix socket.
    #[error("descriptor {0} is not a listening Unix stream socket")]
    NotListening(RawFd),
}

/// A listening socket; its path, if this process made it, is removed when this
/// is dropped.
#[derive(Debug)]
pub struct ListeningSocket {
    listener: Option<UnixListener>,
    path: Option<PathBuf>,
}

impl ListeningSocket {
    /// Listens at a path, replacing the socket of a process that has ended.
    ///
    /// # Errors
    /// [`SocketError`], each with what to do about it.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let bytes = path.as_os_str().as_bytes().len();
        if bytes > MAX_PATH_BYTES {
            return Err(SocketError::TooLong(bytes));
        }
        remove_stale(path)?;
        let listener = UnixListener::bind(path).map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => SocketError::InUse(path.into()),
            ErrorKind::NotFound => SocketError::NoDirectory(path.into()),
            ErrorKind::PermissionDenied => SocketError::NoPermission(path.into()),
            _ => SocketError::Listen {
                path: path.into(),
                error,
            },
        })?;
        Ok(ListeningSocket {
            listener: Some(listener),
            path: Some(path.into()),
        })
    }

    /// Takes over a descriptor that the process was started with.
    ///
    /// # Errors
    /// [`SocketError::NotListening`] when it is not a listening Unix socket.
    pub fn inherited(number: RawFd) -> Result<Self, SocketError> {
        let refused = || SocketError::NotListening(number);
        // Standard streams belong to others.
        if number <= 2 {
            return Err(refused());
        }
        // SAFETY: the number is that of a descriptor above the standard streams
        // which nothing in this process has opened yet: `main` calls this before
        // anything else is opened. If nobody has opened it at all, every call on
        // it fails with EBADF, and it is forgotten below instead of closed.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        if fcntl_getfd(&descriptor).is_err() {
            std::mem::forget(descriptor);
            return Err(refused());
        }
        let socket = descriptor.as_fd();
        if socket_domain(socket) != Ok(AddressFamily::UNIX) || socket_acceptconn(socket) != Ok(true)
        {
            return Err(refused());
        }
        Ok(ListeningSocket {
            listener: Some(descriptor.into()),
            path: None,
        })
    }

    /// The listener, to be taken once.
    pub fn take_listener(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }

    /// Removes the path, if this process made it.
    pub fn remove(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = std::fs::remove_file(&path)
            && error.kind() != ErrorKind::NotFound
        {
            log::warn!("cannot remove the socket {}: {error}", path.display());
        }
    }
}

impl Drop for ListeningSocket {
    fn drop(&mut self) {
        self.remove();
    }
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let listen = |error| SocketError::Listen {
        path: path.into(),
        error,
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(SocketError::NoPermission(path.into()));
        }
        Err(error) => return Err(listen(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.into()));
        }
        Ok(_) => {}
    }
    // A datagram socket cannot connect to a stream socket, but learns whether
    // somebody has it open, without being taken for a front end.
    match UnixDatagram::unbound().map_err(listen)?.connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path)
            .map_err(|error| match error.kind() {
                ErrorKind::PermissionDenied => SocketError::NoPermission(path.into()),
                _ => listen(error),
            }),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(SocketError::NoPermission(path.into()))
        }
        Err(_) | Ok(()) => Err(SocketError::InUse(path.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_a_dead_process_is_replaced_and_removed_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("card.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let socket = ListeningSocket::bind(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_in_use_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("card.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let error = ListeningSocket::bind(&path).unwrap_err();
        assert!(matches!(error, SocketError::InUse(_)), "{error}");
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn what_is_not_a_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes");
        std::fs::write(&path, "keep").unwrap();
        assert!(matches!(
            ListeningSocket::bind(&path),
            Err(SocketError::NotASocket(_))
        ));
        assert_eq!(std::fs::read(&path).unwrap(), b"keep");
    }

    #[test]
    fn paths_that_cannot_work_are_refused() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(MAX_PATH_BYTES)));
        assert!(matches!(
            ListeningSocket::bind(&long),
            Err(SocketError::TooLong(112))
        ));
        let nowhere = Path::new("/nonexistent/card.sock");
        assert!(matches!(
            ListeningSocket::bind(nowhere),
            Err(SocketError::NoDirectory(_))
        ));
    }

    #[test]
    fn only_listening_sockets_are_inherited() {
        use std::os::fd::IntoRawFd as _;
        let (connected, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let number = connected.into_raw_fd();
        assert!(matches!(
            ListeningSocket::inherited(number),
            Err(SocketError::NotListening(_))
        ));
        assert!(matches!(
            ListeningSocket::inherited(99_999),
            Err(SocketError::NotListening(_))
        ));
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        assert!(ListeningSocket::inherited(listener.into_raw_fd()).is_ok());
    }
}
