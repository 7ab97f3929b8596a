//! The arguments of verbs that change what runs.

use std::ffi::OsString;

use clap::{Args, ValueEnum, value_parser};

use super::Filters;

/// `jobctl enqueue`.
#[derive(Debug, Args)]
#[command(
    override_usage = "jobctl enqueue [OPTIONS] JOB [ARGS...]\n       jobctl enqueue [OPTIONS] --lines JOB < FILE",
    after_help = "Options stand before the job; everything after it is an argument of the command ($1, $2, ...). \
                  Prints the id of each run"
)]
pub(crate) struct Enqueue {
    /// Add a run for each line of standard input, all or none
    #[arg(long)]
    pub(crate) lines: bool,
    /// As --lines, but up to NUL
    #[arg(long)]
    pub(crate) null: bool,
    /// Give standard input to the command, 16 MiB at most
    #[arg(long, conflicts_with_all = ["lines", "null"])]
    pub(crate) stdin: bool,
    /// Start it after this duration
    #[arg(long = "in", value_name = "DURATION", conflicts_with = "at")]
    pub(crate) delay: Option<String>,
    /// Start it at this time
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// Start it when these runs have succeeded; cancel it when one ends otherwise
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with_all = ["delay", "at"], value_parser = value_parser!(i64).range(1..))]
    pub(crate) after: Vec<i64>,
    /// Cancel it if it has not started by this time
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Add nothing if an unfinished run or unacknowledged failure of the job has this key
    #[arg(long, conflicts_with_all = ["lines", "null"])]
    pub(crate) key: Option<String>,
    /// If a run has the key: ignore the new one, replace that one, or make it an error
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnConflict::Ignore, hide_possible_values = true)]
    pub(crate) on_conflict: OnConflict,
    /// Claim it before runs of lower priority
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = value_parser!(i8).range(-100..=100))]
    pub(crate) priority: Option<i8>,
    /// Wait until it has ended; exit code 0 if it succeeded
    #[arg(long)]
    pub(crate) wait: bool,
    /// Add nothing, say what would be added
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Name of the job, then the arguments of its command
    #[arg(value_name = "JOB", required = true, num_args = 1.., trailing_var_arg = true)]
    pub(crate) words: Vec<OsString>,
}

/// What `enqueue` does with a key that a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnConflict {
    /// Print the id of that one
    Ignore,
    /// Cancel that one
    Replace,
    /// Add nothing and exit 1
    Error,
}

/// `jobctl exec`.
#[derive(Debug, Args)]
#[command(
    override_usage = "jobctl exec [OPTIONS] JOB [ARGS...]\n       jobctl exec [OPTIONS] --run ID",
    after_help = "Runs it as the supervisor would: same user, environment, place, lock, limits and record, also while the job is \
                  paused. INT, TERM and HUP begin the stop sequence, a second one kills. Never retries. The exit code is the \
                  command's; 75: somebody else has its place or lock"
)]
pub(crate) struct Exec {
    /// Take job, arguments and standard input of this run
    #[arg(long, value_name = "ID", conflicts_with = "words", value_parser = value_parser!(i64).range(1..))]
    pub(crate) run: Option<i64>,
    /// Give the command standard input as it is here, a terminal for example (to another user: what
    /// is typed)
    #[arg(long)]
    pub(crate) tty_stdin: bool,
    /// Print the bytes of the output as they are, also on a terminal
    #[arg(long)]
    pub(crate) raw: bool,
    /// Name of the job, then the arguments of its command
    #[arg(value_name = "JOB", required_unless_present = "run", num_args = 1.., trailing_var_arg = true)]
    pub(crate) words: Vec<OsString>,
}

/// `jobctl retry`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --state, filters find failed runs that nobody has acknowledged: of the occurrences of a job the \
                  newest one (--failed --all: all), and all items"
)]
pub(crate) struct Retry {
    /// Ids of the runs
    #[arg(value_parser = value_parser!(i64).range(1..), conflicts_with = "filters", required_unless_present = "filters")]
    pub(crate) ids: Vec<i64>,
    /// With --failed: also the older failed occurrences
    #[arg(long, requires = "failed")]
    pub(crate) all: bool,
    /// Also run a success again
    #[arg(long)]
    pub(crate) force: bool,
    /// Start them one after the other, so many in this time, such as 5/s
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Which ones.
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// `jobctl cancel`.
#[derive(Debug, Args)]
#[command(after_help = "Without --state, filters find runs that have not ended")]
pub(crate) struct Cancel {
    /// Ids of the runs
    #[arg(value_parser = value_parser!(i64).range(1..), conflicts_with = "filters", required_unless_present = "filters")]
    pub(crate) ids: Vec<i64>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Which ones.
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// `jobctl ack`.
#[derive(Debug, Args)]
#[command(after_help = "Without --state, filters find failed runs that nobody has acknowledged")]
pub(crate) struct Ack {
    /// Ids of the runs
    #[arg(value_parser = value_parser!(i64).range(1..), conflicts_with = "filters", required_unless_present = "filters")]
    pub(crate) ids: Vec<i64>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Which ones.
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// `jobctl wait`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0 if all of them succeeded, else 1")]
pub(crate) struct Wait {
    /// Ids of the runs
    #[arg(value_parser = value_parser!(i64).range(1..), conflicts_with = "idle", required_unless_present = "idle")]
    pub(crate) ids: Vec<i64>,
    /// Wait until nothing is due or running any more
    #[arg(long)]
    pub(crate) idle: bool,
}

/// `jobctl pause`.
#[derive(Debug, Args)]
#[command(
    after_help = "Occurrences are skipped meanwhile, items and retries wait; a pause outlives restarts"
)]
pub(crate) struct Pause {
    /// Name of the job
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) job: Option<String>,
    /// All jobs
    #[arg(long)]
    pub(crate) all: bool,
    /// End the pause after this duration
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) span: Option<String>,
}

/// `jobctl resume`.
#[derive(Debug, Args)]
#[command(after_help = "What was skipped meanwhile is not made up for")]
pub(crate) struct Resume {
    /// Name of the job
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) job: Option<String>,
    /// What `pause --all` paused
    #[arg(long)]
    pub(crate) all: bool,
}
