//! What every test stands on: a directory of its own, the real binary in it, and one way to wait.
//!
//! Nothing here knows the inside of jobctl: it calls commands, reads files and looks at processes
//! as a user could.

use std::collections::HashMap;
use std::process::Command;

use serde_json::Value;

mod answer;
mod dead_mount;
pub(crate) mod home;
mod house;
pub(crate) mod http;
mod process;
mod supervisor;
mod waiting;

pub(crate) use crate::skipped::{Need, skipped};
pub(crate) use answer::{Answer, answer_from, answer_of, answer_to};
pub(crate) use dead_mount::DeadMount;
pub(crate) use house::House;
pub(crate) use process::{environment, is_alive, processes, send, stat_field, wait_gone};
pub(crate) use supervisor::Supervisor;
pub(crate) use waiting::{DEADLINE, found_within, now, pass, wait_for};

/// A program to be started.
#[expect(clippy::disallowed_methods, reason = "a test is a user that starts programs")]
pub(crate) fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(path)
}

/// A program of a user of this number, to be put behind it.
pub(crate) fn become_user(uid: u32) -> Command {
    let uid = uid.to_string();
    let mut command = program("setpriv");
    command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]);
    command
}

/// Whether the test runs as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// How often each line stands there.
pub(crate) fn tally(lines: &[String]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for line in lines {
        *counts.entry(line.as_str()).or_default() += 1;
    }
    counts
}

/// A time as JSON has it.
#[track_caller]
pub(crate) fn time(value: &Value) -> chrono::DateTime<chrono::FixedOffset> {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    chrono::DateTime::parse_from_rfc3339(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}
