//! The door: HTTP for other users and programs (jobctl-http(7)). A process of its own, which the
//! supervisor starts, watches and ends.
//!
//! One thread serves all connections; the store is read on a few others and written by one, so that
//! requests that are in flight together share a commit. What a caller may do is decided in
//! `core::admission`, what is shown is gathered by `facts`, what is changed is changed by `verbs` and
//! the store's own verbs: there is no second copy of a rule here.

mod accounts;
mod address;
mod answer;
mod body;
mod control;
mod desk;
mod item;
mod list;
mod problem;
mod query;
mod race;
mod routes;
mod serve;
mod start;
mod waits;
mod writer;

use std::io::Write;
use std::process::ExitCode;

/// Serves what the supervisor hands over, until it says or leaves.
pub(crate) fn main() -> ExitCode {
    match start::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell where standard error is gone.
            let _ = writeln!(std::io::stderr(), "jobctl door: {error}");
            ExitCode::FAILURE
        }
    }
}
