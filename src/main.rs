//! jobctl: replaces crontab on one machine, with retries.

mod core;
mod jobfile;
mod keeper;
mod os;
mod store;

fn main() -> std::process::ExitCode {
    keeper::main()
}
