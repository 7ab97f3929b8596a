//! jobctl: replaces crontab on one machine, with retries.
//!
//! The binary is [`main`]. Benches ask [`schedule`], tests ask [`keys`], fuzz targets run the
//! properties; everything else is the binary's own.

mod cli;
mod cmd;
mod core;
mod crontab;
#[cfg(feature = "door")]
mod door;
mod facts;
mod jobfile;
mod keeper;
mod metrics;
mod os;
mod pages;
#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(test)]
#[path = "../tests/skipped/mod.rs"]
mod skipped;
mod store;
mod supervisor;
mod verbs;
mod wording;

use std::process::ExitCode;

use cli::{Cli, Global};
use cmd::output::Out;

/// Keys of the jobfile: what each table may have.
pub mod keys {
    pub use crate::jobfile::keys::{Table, keys_of};
}

/// The log of the supervisor.
pub mod log {
    pub use crate::supervisor::log::events;
}

/// Schedules: parse an expression and ask when it fires.
pub mod schedule {
    pub use crate::core::schedule::{
        HashSeed, Occurrence, Schedule, ScheduleError, Span, Transition, Zone,
    };
    pub use crate::core::time::Wall;
    pub use crate::os::zone::{ZoneError, load as load_zone};
}

/// Runs the process's command line to its end: parses, dispatches, prints an error and its hint.
pub fn main() -> ExitCode {
    // The verb of the processes that a supervisor starts; people have no use for it.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "keeper") {
        return keeper::main();
    }
    #[cfg(feature = "door")]
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "door") {
        return door::main();
    }
    cmd::prepare();
    let mut out = Out::standard(&Global::default());
    let answer = match Cli::read(std::env::args_os(), out.width) {
        Ok(cli) => cmd::answer(cli),
        Err(error) => cmd::usage::answer(&error, &mut out),
    };
    match answer {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.code.into()
        }
    }
}
