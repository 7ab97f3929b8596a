//! The command line: clap's types and the help texts, which are its documentation.
//!
//! Types and text only, in the groups of `cmd`; imports nothing of the crate but the words of
//! `core`.

mod care;
mod control;
mod jobs;
mod look;
mod moving;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub(crate) use care::*;
pub(crate) use control::*;
pub(crate) use jobs::*;
pub(crate) use look::*;
pub(crate) use moving::*;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the answer is no; 2 usage or no jobfile; 3 no such job or run; 4 needs a running
supervisor; 75 not now; 111 the system failed";

const TIMES: &str = "\
Times are RFC 3339, YYYY-MM-DD[ HH:MM[:SS]] or HH:MM in local time, or a duration such as 90m";

/// Replace crontab on one machine: schedules, locks, retries, a queue and a record of every run
#[derive(Debug, Parser)]
#[command(name = "jobctl", version, after_help = EXIT_CODES, disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Options of all commands.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of all commands.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Read the jobs from this file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "JOBCTL_JOBFILE",
        hide_env_values = true
    )]
    pub(crate) jobfile: Option<PathBuf>,
    /// Keep the store, locks and output in this directory
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "JOBCTL_STATE_DIR",
        hide_env_values = true
    )]
    pub(crate) state_dir: Option<PathBuf>,
    /// Print JSON: one object, or one a line for lists
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colour the output: auto, always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, hide_possible_values = true)]
    pub(crate) color: Color,
    /// Say only what was asked for
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal that can show it, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the supervisor in the foreground
    Run(Run),
    /// Check the jobfile and say what would surprise
    Check,
    /// Edit the jobfile, check it, install it and reload
    #[command(
        after_help = "Runs $VISUAL, else $EDITOR, on a copy; what is wrong with it is never installed"
    )]
    Edit,
    /// Write a commented jobfile to start from
    Init,
    /// Make the supervisor read the jobfile now, and print its answer
    #[command(
        after_help = "Exit code 0: it is in force; 1: it is not; 4: no supervisor. Without it, the supervisor reads the \
                      jobfile a second after its last change, unless that would remove a job with unfinished runs"
    )]
    Reload,
    /// Show the supervisor, the jobs, and what runs, waits and failed
    Status(Status),
    /// Show coming occurrences
    Next(Next),
    /// List runs, newest first
    #[command(visible_alias = "history")]
    Runs(Runs),
    /// Show one run with its attempts
    Show(Show),
    /// Say why a run waits, was skipped or gave up, or why a job did not run
    Why(Why),
    /// Print the output of a run
    Logs(Logs),
    /// Add a run of a job to the queue
    #[command(visible_aliases = ["trigger", "start"])]
    Enqueue(Enqueue),
    /// Run a job here and now, and print its output
    Exec(Exec),
    /// Run again what has failed
    Retry(Retry),
    /// Cancel runs that wait, stop runs that run
    #[command(visible_alias = "stop")]
    Cancel(Cancel),
    /// Take note of failed runs
    Ack(Ack),
    /// Wait until runs have ended
    Wait(Wait),
    /// Start nothing more of a job
    Pause(Pause),
    /// End a pause
    Resume(Resume),
    /// Show how often jobs succeed and how long they take
    Stats(Stats),
    /// Print numbers for monitoring, as Prometheus text
    Metrics,
    /// Remove now the runs that are older than their jobs keep them
    Prune,
    /// Look whether all is well around the supervisor, and say what mends it
    #[command(after_help = "Exit code: 0 if nothing is wrong, warnings apart; 1 if something is")]
    Doctor,
    /// Print the jobs in the format of another program
    Export(Export),
    /// Make a jobfile of crontabs
    Import(Import),
    /// Copy the store into a file, while it is in use
    Backup(Backup),
    /// Make the store what it was when a backup was made
    Restore(Restore),
    /// Print a shell's completion script
    Completions(Completions),
    /// Print a manual page
    Man(Man),
    /// Print words for a shell's completion
    #[command(name = "__complete", hide = true)]
    Complete(Complete),
}
