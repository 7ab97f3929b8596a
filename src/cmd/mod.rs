//! One file per command: turns arguments into verbs and results into text. The only module that
//! prints to standard output.
//!
//! A command is `answer(&Context, &its arguments, &mut Out) -> Result<Exit>`; it prints through
//! [`output::Out`] only.

mod care;
mod context;
mod control;
mod exit;
mod failure;
mod fields;
mod filter;
mod jobs;
mod jobset;
mod look;
mod moving;
pub(crate) mod output;
mod progress;
mod said;
mod state_key;
mod table;
mod trust;
pub(crate) mod usage;
mod when;

use crate::cli::{Cli, Command};
pub(crate) use crate::facts::jobs::Jobs;
use crate::os::{process, signals};
pub(crate) use context::Context;
pub(crate) use exit::Exit;
pub(crate) use failure::{Failure, InFile, plain};
pub(crate) use output::{Out, Style};
pub(crate) use progress::Progress;
pub(crate) use table::{Cell, Table};
pub(crate) use when::{Toward, Viewer};

/// The result of most functions here.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Sets up the umask and limits that every command needs.
pub(crate) fn prepare() {
    process::keep_own_rights();
    // Where that is refused, a write beyond the limit ends this process, as it does by default.
    let _ = signals::survive_size_limit();
}

/// Runs the command and flushes its output.
pub(crate) fn answer(cli: Cli) -> Result<Exit> {
    let mut out = Out::standard(&cli.global);
    let context = Context::of_process(cli.global);
    let answer = dispatch(&context, &cli.command, &mut out);
    let flushed = out.flush();
    let exit = answer.map_err(|failure| context.failure(failure))?;
    flushed.map(|()| exit)
}

fn dispatch(context: &Context, command: &Command, out: &mut Out) -> Result<Exit> {
    match command {
        Command::Run(args) => jobs::run::answer(context, args, out),
        Command::Check => jobs::check::answer(context, out),
        Command::Edit => jobs::edit::answer(context, out),
        Command::Reload => jobs::reload::answer(context, out),
        Command::Init => jobs::init::answer(context, out),
        Command::Status(args) => look::status::answer(context, args, out),
        Command::Next(args) => look::next::answer(context, args, out),
        Command::Runs(args) => look::runs::answer(context, args, out),
        Command::Show(args) => look::show::answer(context, args, out),
        Command::Why(args) => look::why::answer(context, args, out),
        Command::Logs(args) => look::logs::answer(context, args, out),
        Command::Enqueue(args) => control::enqueue::answer(context, args, out),
        Command::Exec(args) => control::exec::answer(context, args, out),
        Command::Retry(args) => control::retry::answer(context, args, out),
        Command::Cancel(args) => control::cancel::answer(context, args, out),
        Command::Ack(args) => control::ack::answer(context, args, out),
        Command::Wait(args) => control::wait::answer(context, args, out),
        Command::Pause(args) => control::pause::answer(context, args, out),
        Command::Resume(args) => control::resume::answer(context, args, out),
        Command::Stats(args) => look::stats::answer(context, args, out),
        Command::Report(args) => look::report::answer(context, args, out),
        Command::Metrics => look::metrics::answer(context, out),
        Command::Prune => care::prune::answer(context, out),
        Command::Doctor => care::doctor::answer(context, out),
        Command::Export(args) => moving::export::answer(context, args, out),
        Command::Import(args) => moving::import::answer(context, args, out),
        Command::Backup(args) => care::backup::answer(context, args, out),
        Command::Restore(args) => care::restore::answer(context, args, out),
        Command::Completions(args) => care::completions::answer(args, out),
        #[cfg(feature = "door")]
        Command::Token(args) => care::token::answer(context, args, out),
        Command::Man(args) => care::man::answer(args, out),
        Command::Complete(args) => care::complete::answer(context, args, out),
    }
}
