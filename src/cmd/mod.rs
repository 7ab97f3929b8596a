//! One file a command: arguments to verbs to text. The only room that prints to standard output.
//!
//! A command is `answer(&Context, &its arguments, &mut Out) -> Result<Exit, Failure>`; it prints through [`output::Out`] only.

pub(crate) mod context;
use crate::core::escape;
pub(crate) mod exit;
pub(crate) mod failure;
pub(crate) mod fields;
pub(crate) mod filter;
pub(crate) mod jobs;
pub(crate) mod json;
pub(crate) mod output;
pub(crate) mod table;
pub(crate) mod usage;
pub(crate) mod when;

mod ack;
mod backup;
mod batch;
mod cancel;
mod check;
mod complete;
mod completions;
mod doctor;
mod edit;
mod enqueue;
mod exec;
mod exec_input;
mod export;
mod follow;
mod follow_all;
pub(crate) mod import;
mod in_the_way;
mod init;
mod items;
mod live;
mod logs;
mod man;
mod metrics;
mod next;
mod pause;
mod pieces;
mod portions;
mod progress;
mod prune;
mod reload;
mod reloading;
mod restore;
mod resume;
mod retry;
mod run;
mod runs;
pub(crate) mod show;
mod state_key;
mod stats;
mod status;
mod status_job;
mod status_runs;
mod status_text;
mod status_watch;
mod steer;
mod transcript;
mod trust;
mod twin;
mod untold;
mod wait;
mod why;

use crate::cli::{Cli, Command};
use crate::os::{process, signals};
use context::Context;
use exit::Exit;
use failure::Failure;
use output::Out;

/// Sets this process up as every command needs it, whatever umask and limits it was started with.
pub(crate) fn prepare() {
    process::keep_own_rights();
    // Where that is refused, a write beyond the limit ends this process, as it does by default.
    let _ = signals::survive_size_limit();
}

/// Does what the command line says and hands over everything printed.
pub(crate) fn answer(cli: Cli) -> Result<Exit, Failure> {
    let mut out = Out::standard(cli.global.color);
    let context = Context::of_process(cli.global);
    let answer = dispatch(&context, &cli.command, &mut out);
    let flushed = out.flush();
    let exit = answer?;
    flushed.map(|()| exit)
}

fn dispatch(context: &Context, command: &Command, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::answer(context, args, out),
        Command::Check => check::answer(context, out),
        Command::Edit => edit::answer(context, out),
        Command::Reload => reload::answer(context, out),
        Command::Init => init::answer(context, out),
        Command::Status(args) => status::answer(context, args, out),
        Command::Next(args) => next::answer(context, args, out),
        Command::Runs(args) => runs::answer(context, args, out),
        Command::Show(args) => show::answer(context, args, out),
        Command::Why(args) => why::answer(context, args, out),
        Command::Logs(args) => logs::answer(context, args, out),
        Command::Enqueue(args) => enqueue::answer(context, args, out),
        Command::Exec(args) => exec::answer(context, args, out),
        Command::Retry(args) => retry::answer(context, args, out),
        Command::Cancel(args) => cancel::answer(context, args, out),
        Command::Ack(args) => ack::answer(context, args, out),
        Command::Wait(args) => wait::answer(context, args, out),
        Command::Pause(args) => pause::answer(context, args, out),
        Command::Resume(args) => resume::answer(context, args, out),
        Command::Stats(args) => stats::answer(context, args, out),
        Command::Metrics => metrics::answer(context, out),
        Command::Prune => prune::answer(context, out),
        Command::Doctor => doctor::answer(context, out),
        Command::Export(args) => export::answer(context, args, out),
        Command::Import(args) => import::answer(context, args, out),
        Command::Backup(args) => backup::answer(context, args, out),
        Command::Restore(args) => restore::answer(context, args, out),
        Command::Completions(args) => completions::answer(args, out),
        Command::Man(args) => man::answer(args, out),
        Command::Complete(args) => complete::answer(context, args, out),
    }
}
