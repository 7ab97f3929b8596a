//! jobctl: replaces crontab on one machine, with retries.
//!
//! Parse, dispatch, print error and hint, exit code. Nothing else.

mod cli;
mod cmd;
mod core;
mod crontab;
mod jobfile;
mod keeper;
mod os;
#[cfg(test)]
#[path = "../tests/skipped/mod.rs"]
mod skipped;
mod store;
mod supervisor;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Color};
use cmd::output::Out;

fn main() -> ExitCode {
    // The verb of the processes that a supervisor starts; no command of people's.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "keeper") {
        return keeper::main();
    }
    cmd::prepare();
    let answer = match Cli::try_parse() {
        Ok(cli) => cmd::answer(cli),
        Err(error) => cmd::usage::answer(&error, &mut Out::standard(Color::Auto)),
    };
    match answer {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.code.into()
        }
    }
}
