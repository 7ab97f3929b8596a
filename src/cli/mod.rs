//! The command line: clap's types and the help texts, which are its documentation.
//!
//! In the groups of `cmd`; imports nothing of the crate but the words of `core`.

/// The forms of a time, for the help of verbs that take one.
macro_rules! times {
    () => {
        "\n\nTimes are RFC 3339, YYYY-MM-DD[ HH:MM[:SS]] or HH:MM in local time, or a duration such as 90m"
    };
}

mod care;
mod control;
mod help;
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
Exit codes: 0 done; 1 the answer is no; 2 usage or no jobfile; 3 no such job or run; 4 no supervisor \
is running; 75 try again later; 111 the system failed

`jobctl help VERB` shows a verb with examples, `jobctl man` the manual page";

/// Run commands on schedule or from a queue, with locks, retries and a record
#[derive(Debug, Parser)]
#[command(name = "jobctl", version, after_help = EXIT_CODES, arg_required_else_help = true)]
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
    /// Print JSON: an object, or one per line for lists
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colour the output: auto, always or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, hide_possible_values = true)]
    pub(crate) color: Color,
    /// Print only what was asked for
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print more
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
    /// Validate the jobfile and warn about likely mistakes
    #[command(
        after_help = "Examples:\n  jobctl check\n  jobctl --jobfile new.toml check\n\nExit code 0: valid, perhaps with warnings; 1: not valid"
    )]
    Check,
    /// Edit the jobfile, validate it, install it and reload
    #[command(
        after_help = "Examples:\n  jobctl edit\n  VISUAL=vim jobctl edit\n\nOpens a copy in $VISUAL or else $EDITOR; a copy with errors is never installed"
    )]
    Edit,
    /// Write a commented jobfile to start from
    #[command(
        after_help = "Examples:\n  jobctl init\n  jobctl --jobfile ./jobs.toml init\n\nNever overwrites a file"
    )]
    Init,
    /// Make the supervisor read the jobfile now
    #[command(
        after_help = "Examples:\n  jobctl reload\n  jobctl check && jobctl reload\n\nExit code 0: the jobfile is in force; 1: it is not, and the old one stays; 4: no supervisor is running. \
                      The supervisor also reads a changed jobfile by itself after a second, unless a job with unfinished runs would go"
    )]
    Reload,
    /// Show jobs, what runs and waits, and what failed
    Status(Status),
    /// Show upcoming occurrences
    Next(Next),
    /// List runs, newest first
    #[command(visible_alias = "history")]
    Runs(Runs),
    /// Show one run with its attempts
    Show(Show),
    /// Explain why a run waits, was skipped or failed
    Why(Why),
    /// Print the output of a run
    Logs(Logs),
    /// Add a run of a job to the queue
    #[command(visible_aliases = ["trigger", "start"])]
    Enqueue(Enqueue),
    /// Run a job now in this terminal
    Exec(Exec),
    /// Run failed runs again
    Retry(Retry),
    /// Cancel waiting runs and stop running ones
    #[command(visible_alias = "stop")]
    Cancel(Cancel),
    /// Acknowledge failed runs
    Ack(Ack),
    /// Wait for runs to end
    Wait(Wait),
    /// Stop starting runs of a job
    Pause(Pause),
    /// End a pause
    Resume(Resume),
    /// Show success rates and durations of jobs
    Stats(Stats),
    /// Write a page of jobs, failures and the queue
    Report(Report),
    /// Print metrics in the Prometheus text format
    #[command(
        after_help = "Examples:\n  jobctl metrics\n  jobctl metrics > /var/lib/node_exporter/jobctl.prom"
    )]
    Metrics,
    /// Delete runs older than their jobs keep them
    #[command(
        after_help = "Examples:\n  jobctl prune\n\nThe supervisor does this by itself every hour; `keep` in the jobfile sets the limits"
    )]
    Prune,
    /// Diagnose the installation and suggest fixes
    #[command(
        after_help = "Examples:\n  jobctl doctor\n  sudo jobctl doctor\n\nExit code 0: nothing is wrong, perhaps with warnings; 1: something is wrong"
    )]
    Doctor,
    /// Export the jobs as a crontab
    Export(Export),
    /// Convert crontabs to a jobfile
    Import(Import),
    /// Back up the store while it is in use
    Backup(Backup),
    /// Restore the store from a backup
    Restore(Restore),
    /// Make a token for the HTTP interface (jobctl-http(7))
    #[cfg(feature = "door")]
    Token(Token),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Show a manual page
    Man(Man),
    /// Print words for a shell's completion
    #[command(name = "__complete", hide = true)]
    Complete(Complete),
}
