//! The door: HTTP for other users and programs (jobctl-http(7)). It is a separate process that the
//! supervisor starts, watches and stops.
//!
//! One thread serves all connections. A few others read the store, and one writes it, so that
//! concurrent requests share a commit. The door has no rules of its own: `core::admission` decides
//! what a caller may do, `facts` gathers what is shown, and `verbs` and the store make the changes.

mod accounts;
mod address;
mod answer;
mod body;
mod control;
mod desk;
mod item;
mod list;
mod members;
mod problem;
mod query;
mod race;
mod repeat;
mod routes;
mod serve;
mod shelf;
mod start;
mod stream;
mod waits;
mod writer;

use std::io::Write;
use std::process::ExitCode;

/// Serves the sockets from the supervisor until it stops the door or exits itself.
pub(crate) fn main() -> ExitCode {
    match start::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed there is no other place to report to.
            let _ = writeln!(std::io::stderr(), "jobctl door: {error}");
            ExitCode::FAILURE
        }
    }
}
