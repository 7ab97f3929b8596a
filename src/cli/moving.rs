//! The arguments of verbs for moving from cron and back.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

/// `jobctl export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl export crontab\n  jobctl export crontab --system > /etc/cron.d/jobs\n\nExit code 1: a job could not be exported at all"
)]
pub(crate) struct Export {
    /// Format to write
    #[arg(value_enum)]
    pub(crate) format: ExportFormat,
    /// Add a user column, as in /etc/crontab
    #[arg(long)]
    pub(crate) system: bool,
}

/// What jobs are exported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A crontab
    Crontab,
}

/// `jobctl import`.
#[derive(Debug, Default, Args)]
#[command(
    after_help = "Examples:\n  jobctl import > jobs.toml\n  jobctl import --modern --prove > jobs.toml\n  jobctl import --system --prove > /etc/jobctl/jobs.toml\n  crontab -l | jobctl import - --user alice\n\nWithout FILE it converts your own crontab (`crontab -l`). The jobfile goes to standard output, remarks go \
                  to standard error. Exit code 0: there are jobs in it, or there was nothing to import; 1: otherwise"
)]
pub(crate) struct Import {
    /// Crontab to convert; - is standard input
    #[arg(conflicts_with_all = ["all_users", "system"])]
    pub(crate) file: Option<PathBuf>,
    /// Convert the crontabs of all users
    #[arg(long)]
    pub(crate) all_users: bool,
    /// Convert /etc/crontab, /etc/cron.d, /etc/cron.daily and the like, and /etc/anacrontab
    #[arg(long)]
    pub(crate) system: bool,
    /// Look for the system's files below this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// FILE has a user column, like /etc/crontab
    #[arg(long, requires = "file")]
    pub(crate) user_column: bool,
    /// Owner of the crontab; as root, needed for standard input and files of other users
    #[arg(long, value_name = "NAME", requires = "file", conflicts_with = "user_column", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) user: Option<String>,
    /// Turn flock, timeout, cd, nice and the like in commands into keys
    #[arg(long, conflicts_with = "compare")]
    pub(crate) modern: bool,
    /// Prove minute by minute, over this many days, that jobs fire when cron did [default: 400]
    #[arg(long, value_name = "DAYS", num_args = 0..=1, default_missing_value = "", conflicts_with = "compare")]
    pub(crate) prove: Option<String>,
    /// Compare the jobs' schedules with what cron logged in the journal or this file
    #[arg(long, value_name = "LOG", num_args = 0..=1)]
    pub(crate) compare: Option<Option<PathBuf>>,
}
