//! The arguments of verbs that care for the installation.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `jobctl backup`.
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is overwritten: exit code 1 if FILE is there. Output of more than 32 KiB is in files of its own \
                  (output/ in the state directory), which are not in the copy"
)]
pub(crate) struct Backup {
    /// The file to make
    pub(crate) file: PathBuf,
}

/// `jobctl restore`.
#[derive(Debug, Args)]
#[command(
    after_help = "The supervisor must be stopped (else exit code 75). What is there now is kept beside it. Everything is paused \
                  afterwards: what waited in the backup may have been executed since; `jobctl resume --all` goes on"
)]
pub(crate) struct Restore {
    /// The file that `jobctl backup` made
    pub(crate) file: PathBuf,
}

/// `jobctl completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
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
#[command(after_help = "Prints the source of the page; to read it: jobctl man | man -l -")]
pub(crate) struct Man {
    /// Which page: jobctl (the command) or jobctl.toml (the jobfile)
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
