//! jobctl: replaces crontab on one machine, with retries.

mod core;
mod keeper;
mod os;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(verb) if verb == "keeper" => keeper::main(),
        Some(_) | None => ExitCode::SUCCESS,
    }
}
