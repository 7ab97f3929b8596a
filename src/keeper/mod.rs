//! The process between the supervisor and a command: one for each slot, one attempt at a time.
//!
//! Knows core and os, nothing else: no store, no jobfile, no policy. What it is told is an
//! [`order::Order`], what it leaves is a [`record::Record`]. A supervisor starts one with
//! [`os::process::spawn_keeper`](crate::os::process::spawn_keeper), gives it orders with
//! [`send_order`] and hears of their ends with [`hear`]. TERM sent to a keeper begins the stop
//! sequence of its attempt, USR1 kills at once.

mod asked;
mod attempt;
mod begin;
mod enclosure;
pub(crate) mod format;
mod format_1;
mod launch;
mod message;
pub(crate) mod order;
mod output;
mod ready;
pub(crate) mod record;
mod refusal;
mod remark;
mod serve;
mod slot;
mod spool;
mod start;
mod sweep;
#[cfg(test)]
mod tests;
mod tools;

use std::process::ExitCode;

pub(crate) use self::begin::START_MAX;
pub(crate) use self::enclosure::limit_again;
pub(crate) use self::launch::ENV_FILE_MAX;
pub(crate) use self::message::{Heard, Lent, hear, send_order, send_sweep};
pub(crate) use self::sweep::{Witness, end_lost};

/// The hidden verb `jobctl keeper`: takes orders from descriptor 0 until its other end is closed.
///
/// Fails where it cannot do what it is for; a supervisor sees that as the end of the socket, and
/// from the record whether the command was started.
pub(crate) fn main() -> ExitCode {
    match serve::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
