//! The arguments of verbs for moving from cron and back.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

/// `jobctl export`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 1 if a job could not be exported at all")]
pub(crate) struct Export {
    /// The format
    #[arg(value_enum)]
    pub(crate) format: ExportFormat,
    /// With a user column, as in /etc/crontab
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
    after_help = "Without FILE: your own crontab, from `crontab -l`. The jobfile goes to standard output, what is to be said \
                  about it to standard error. Exit code 0 if there are jobs in it or nothing was to be imported, else 1"
)]
pub(crate) struct Import {
    /// The crontab; - is standard input
    #[arg(conflicts_with_all = ["all_users", "system"])]
    pub(crate) file: Option<PathBuf>,
    /// The crontabs of all users
    #[arg(long)]
    pub(crate) all_users: bool,
    /// /etc/crontab, /etc/cron.d, the directories /etc/cron.daily and so on, /etc/anacrontab
    #[arg(long)]
    pub(crate) system: bool,
    /// Look for the files of the system below this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// The lines of FILE have a user column, as those of /etc/crontab
    #[arg(long, requires = "file")]
    pub(crate) user_column: bool,
    /// Whose crontab FILE is; as root, what is not root's own, and standard input, needs it
    #[arg(long, value_name = "NAME", requires = "file", conflicts_with = "user_column", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) user: Option<String>,
    /// Write keys for what flock, timeout, cd, nice and the like do in the commands
    #[arg(long, conflicts_with = "compare")]
    pub(crate) modern: bool,
    /// Compare the occurrences of the original lines, minute by minute as cron finds them, with
    /// those of the jobs, over so many days [default: 400]
    #[arg(long, value_name = "DAYS", num_args = 0..=1, default_missing_value = "", conflicts_with = "compare")]
    pub(crate) prove: Option<String>,
    /// Instead of a jobfile: compare what cron has recorded, in the journal or in this file, with
    /// the schedules of the jobs
    #[arg(long, value_name = "LOG", num_args = 0..=1)]
    pub(crate) compare: Option<Option<PathBuf>>,
}
