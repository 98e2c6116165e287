// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors as C has them: a number, and a message of the thread.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};

use augur_client::Error;

/// `AUGUR_OK`.
pub(crate) const OK: c_int = 0;

/// What a function of the library may fail with.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An argument is wrong.
    Argument(&'static str),
    /// The client library failed.
    Client(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Client(error)
    }
}

impl Failure {
    /// The `enum augur_result`.
    fn code(&self) -> c_int {
        match self {
            Failure::Argument(_)
            | Failure::Client(
                Error::Shape(_) | Error::OutOfRange { .. } | Error::ListTooLong { .. },
            ) => -1,
            Failure::Client(error) => match error {
                Error::NoCard
                | Error::Open { .. }
                | Error::OtherDriver { .. }
                | Error::Version { .. } => -2,
                Error::NoMemory { .. } => -3,
                Error::CardLost { .. } => -4,
                Error::TimedOut => -5,
                Error::ListFailed { .. } | Error::UnknownStatus(_) => -6,
                _ => -7,
            },
        }
    }

    fn message(&self) -> String {
        match self {
            Failure::Argument(what) => (*what).to_owned(),
            Failure::Client(error) => error.to_string(),
        }
    }
}

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

/// Turns a result into what a function returns, and keeps the message.
pub(crate) fn returned(result: Result<(), Failure>) -> c_int {
    match result {
        Ok(()) => OK,
        Err(failure) => {
            // No message holds a zero byte but one that quotes the caller.
            let message = failure.message().replace('\0', "?");
            MESSAGE.set(CString::new(message).unwrap_or_default());
            failure.code()
        }
    }
}

/// See `augur.h`.
#[unsafe(no_mangle)]
pub extern "C" fn augur_message() -> *const c_char {
    MESSAGE.with_borrow(|message| message.as_ptr())
}
