//! The arguments of verbs that change what runs.

use std::ffi::OsString;

use clap::{Args, ValueEnum, value_parser};

use super::{Filters, run_id};

/// `jobctl enqueue`.
#[derive(Debug, Args)]
#[command(
    override_usage = "jobctl enqueue [OPTIONS] JOB [ARGS...]\n       jobctl enqueue [OPTIONS] --lines JOB < FILE",
    after_help = "Examples:\n  jobctl enqueue thumbnail photo.jpg\n  jobctl enqueue --wait backup\n  jobctl enqueue --in 10m --key user-42 mail user-42\n  ls *.jpg | jobctl enqueue --lines thumbnail\n\nOptions go before the job; everything after it is passed to the command ($1, $2, ...). Prints the id of each run"
)]
pub(crate) struct Enqueue {
    /// Add a run for each line of standard input: all or none
    #[arg(long)]
    pub(crate) lines: bool,
    /// Like --lines, with items that end with NUL
    #[arg(long)]
    pub(crate) null: bool,
    /// Pass standard input to the command, at most 16 MiB
    #[arg(long, conflicts_with_all = ["lines", "null"])]
    pub(crate) stdin: bool,
    /// Start it after this duration
    #[arg(long = "in", value_name = "DURATION", conflicts_with = "at")]
    pub(crate) delay: Option<String>,
    /// Start it at this time
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// Start it after these runs succeeded; cancel it if one of them does not
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with_all = ["delay", "at"], value_parser = run_id)]
    pub(crate) after: Vec<i64>,
    /// Cancel it if it has not started by this time
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Add nothing if an unfinished run or an unacknowledged failure of the job has this key
    #[arg(long, conflicts_with_all = ["lines", "null"])]
    pub(crate) key: Option<String>,
    /// If a run has the key: ignore the new run, replace the old one, or fail with an error
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnConflict::Ignore, hide_possible_values = true)]
    pub(crate) on_conflict: OnConflict,
    /// Start it before runs of lower priority
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = value_parser!(i8).range(-100..=100))]
    pub(crate) priority: Option<i8>,
    /// Wait for it to end; exit code 0 if it succeeded
    #[arg(long)]
    pub(crate) wait: bool,
    /// Give up waiting after this duration; exit code 75
    #[arg(long, value_name = "DURATION", requires = "wait")]
    pub(crate) timeout: Option<String>,
    /// Only print what would be added
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Name of the job, then the arguments of its command
    #[arg(value_name = "JOB", required = true, num_args = 1.., trailing_var_arg = true)]
    pub(crate) words: Vec<OsString>,
}

/// What `enqueue` does with a key that a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnConflict {
    /// Print the id of the old run
    Ignore,
    /// Cancel the old run
    Replace,
    /// Add nothing and exit 1
    Error,
}

/// `jobctl exec`.
#[derive(Debug, Args)]
#[command(
    override_usage = "jobctl exec [OPTIONS] JOB [ARGS...]\n       jobctl exec [OPTIONS] --run ID",
    after_help = "Examples:\n  jobctl exec backup\n  jobctl exec thumbnail photo.jpg\n  jobctl exec --run 412\n\nRuns the job as the supervisor would: same user, environment, locks, limits and record, even while it is \
                  paused. Never retries. INT, TERM and HUP stop it gracefully, a second one kills it. The exit code is the \
                  command's; 75: another run holds its lock"
)]
pub(crate) struct Exec {
    /// Use the job, arguments and standard input of this run
    #[arg(long, value_name = "ID", conflicts_with = "words", value_parser = run_id)]
    pub(crate) run: Option<i64>,
    /// Connect the command to this standard input, for example a terminal
    #[arg(long)]
    pub(crate) tty_stdin: bool,
    /// Print the output unescaped, even on a terminal
    #[arg(long)]
    pub(crate) raw: bool,
    /// Name of the job, then the arguments of its command
    #[arg(value_name = "JOB", required_unless_present = "run", num_args = 1.., trailing_var_arg = true)]
    pub(crate) words: Vec<OsString>,
}

/// `jobctl retry`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl retry 412\n  jobctl retry --failed\n  jobctl retry --failed --job thumbnail --rate 5/s\n\nWithout --state, filters select unacknowledged failures: all items, and of each job only the newest failed \
                  occurrence (all of them with --failed --all)"
)]
pub(crate) struct Retry {
    /// Ids of runs
    #[arg(value_parser = run_id, conflicts_with = "filters", required_unless_present = "filters")]
    pub(crate) ids: Vec<i64>,
    /// With --failed: include older failed occurrences
    #[arg(long, requires = "failed")]
    pub(crate) all: bool,
    /// Run it again even if it succeeded
    #[arg(long)]
    pub(crate) force: bool,
    /// Start them at this rate, such as 5/s
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<String>,
    /// Only print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Which ones.
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// `jobctl cancel`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl cancel 412\n  jobctl cancel --job thumbnail --dry-run\n\nWithout --state, filters select unfinished runs"
)]
pub(crate) struct Cancel {
    /// Ids of runs
    #[arg(value_parser = run_id, conflicts_with = "filters", required_unless_present = "filters")]
    pub(crate) ids: Vec<i64>,
    /// Only print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Which ones.
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// `jobctl ack`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl ack 412\n  jobctl ack --failed --job thumbnail\n\nWithout --state, filters select unacknowledged failures"
)]
pub(crate) struct Ack {
    /// Ids of runs
    #[arg(value_parser = run_id, conflicts_with = "filters", required_unless_present = "filters")]
    pub(crate) ids: Vec<i64>,
    /// Only print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Which ones.
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// `jobctl wait`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl wait 412 413\n  jobctl wait --idle\n\nExit code 0: all of them succeeded; 1: at least one did not"
)]
pub(crate) struct Wait {
    /// Ids of runs
    #[arg(value_parser = run_id, conflicts_with = "idle", required_unless_present = "idle")]
    pub(crate) ids: Vec<i64>,
    /// Wait until nothing is due or running
    #[arg(long)]
    pub(crate) idle: bool,
    /// Give up after this duration; exit code 75
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
}

/// `jobctl pause`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl pause backup\n  jobctl pause --all --for 2h\n\nWhile a job is paused, occurrences are skipped, and items and retries wait. A pause survives restarts"
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
    /// Say why, for whoever looks
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// `jobctl resume`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl resume backup\n  jobctl resume --all\n\nOccurrences skipped during the pause do not run later"
)]
pub(crate) struct Resume {
    /// Name of the job
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) job: Option<String>,
    /// End the pause of `pause --all`
    #[arg(long)]
    pub(crate) all: bool,
}
