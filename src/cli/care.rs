//! The arguments of verbs that care for the installation.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `jobctl backup`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl backup /backup/jobctl.db\n\nNever overwrites a file: exit code 1 if FILE exists. Output longer than 32 KiB is kept in separate files \
                  (output/ in the state directory), which are not part of the backup"
)]
pub(crate) struct Backup {
    /// File to write
    pub(crate) file: PathBuf,
}

/// `jobctl restore`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl restore /backup/jobctl.db\n\nThe supervisor must be stopped (otherwise exit code 75). The current store is kept beside the restored one. \
                  All jobs are paused afterwards, because what waits in the backup may have run since: `jobctl resume --all` ends the pause"
)]
pub(crate) struct Restore {
    /// File written by `jobctl backup`
    pub(crate) file: PathBuf,
}

/// `jobctl token`.
#[cfg(feature = "door")]
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl token shop\n\nPrints the token once, then the line for [door.tokens] of the jobfile, which has only its SHA-256"
)]
pub(crate) struct Token {
    /// Name of the token: `token:NAME` in lists of the jobfile
    pub(crate) name: String,
}

/// `jobctl completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl completions bash > /etc/bash_completion.d/jobctl\n  jobctl completions zsh > ~/.zfunc/_jobctl\n  jobctl completions fish > ~/.config/fish/completions/jobctl.fish"
)]
pub(crate) struct Completions {
    /// Shell to complete for
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// A shell that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// For bash(1)
    Bash,
    /// For zsh(1)
    Zsh,
    /// For fish(1)
    Fish,
}

/// `jobctl man`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl man\n  jobctl man jobctl.toml\n  jobctl man > jobctl.1\n\nOn a terminal man(1) shows the page; elsewhere its source is printed"
)]
pub(crate) struct Man {
    /// Page: jobctl (the command), jobctl.toml (the jobfile) or jobctl-http (the door)
    #[arg(value_enum, default_value_t = Page::Command, hide_possible_values = true)]
    pub(crate) page: Page,
}

/// A manual page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Page {
    /// jobctl(1)
    #[value(name = "jobctl")]
    Command,
    /// jobctl.toml(5)
    #[value(name = "jobctl.toml")]
    Jobfile,
    /// jobctl-http(7)
    #[value(name = "jobctl-http")]
    Http,
}

/// `jobctl __complete`, called by completion scripts.
#[derive(Debug, Args)]
pub(crate) struct Complete {
    /// What is to be completed
    #[arg(value_enum)]
    pub(crate) what: Words,
    /// The words before it, as they stand there
    #[arg(last = true)]
    pub(crate) line: Vec<OsString>,
}

/// What a completion script asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Words {
    /// Names of jobs
    Jobs,
    /// Ids of recent runs
    Runs,
}
