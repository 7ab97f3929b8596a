//! The arguments of verbs that only look.

use std::fmt;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, value_parser};

use crate::core::run::State;
use crate::core::words::Word;

/// `jobctl status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl status\n  jobctl status backup\n  jobctl status --watch\n  jobctl -q status || echo 'look at the jobs'\n\nWith --quiet it prints nothing; exit code 0: all is well; 1: unacknowledged failures or late jobs; \
                  4: no supervisor is running"
)]
pub(crate) struct Status {
    /// Show this job in detail
    pub(crate) job: Option<String>,
    /// Show only jobs with unacknowledged failures
    #[arg(long, conflicts_with = "job")]
    pub(crate) failed: bool,
    /// Show every job, however many there are
    #[arg(long, conflicts_with = "job")]
    pub(crate) all: bool,
    /// Refresh every second; on a terminal, ? lists the keys
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `jobctl stats`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jobctl stats\n  jobctl stats backup --since 30d --by week\n\nSUCCESS is the share of succeeded among succeeded and failed runs; RETRIES are attempts after the first of a run; P50, P95 \
                  and MAX are durations of the newest attempts. Of each job the newest 100000 runs count"
)]
pub(crate) struct Stats {
    /// Show only this job
    pub(crate) job: Option<String>,
    /// Only runs that ended at or after this time [default: 7d]
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Print a line per hour, day, week or month
    #[arg(long, value_enum, value_name = "PERIOD")]
    pub(crate) by: Option<Period>,
}

/// What `stats` counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Period {
    /// An hour
    Hour,
    /// A day
    Day,
    /// A week, from Monday
    Week,
    /// A month
    Month,
}

/// `jobctl report`.
#[derive(Debug, Args)]
#[command(
    after_help = concat!("Examples:\n  jobctl report --html report.html\n  jobctl report --html - --since 30d backup mirror > report.html", times!())
)]
pub(crate) struct Report {
    /// Show only these jobs
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<String>,
    /// Write the page to this file; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) html: PathBuf,
    /// Only runs that ended at or after this time [default: 7d]
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
}

/// `jobctl next`.
#[derive(Debug, Args)]
#[command(
    after_help = concat!("Examples:\n  jobctl next\n  jobctl next backup -n 3\n  jobctl next --schedule '*/5 9-17 * * 1-5'", times!())
)]
pub(crate) struct Next {
    /// Show only this job
    pub(crate) job: Option<String>,
    /// Number of occurrences [default: 10]
    #[arg(short = 'n', long = "count", value_name = "COUNT", value_parser = value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
    /// Start here instead of now
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// End here
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Show when this expression fires; needs no jobfile
    #[arg(long, value_name = "EXPR", conflicts_with = "job")]
    pub(crate) schedule: Option<String>,
    /// Time zone of the expression [default: the system's]
    #[arg(long, value_name = "ZONE", requires = "schedule")]
    pub(crate) timezone: Option<String>,
}

/// Takes one of the words of an enum.
fn word<W: Word>() -> impl TypedValueParser<Value = W> {
    PossibleValuesParser::new(W::ALL.iter().map(|one| one.word()))
        .try_map(|word| W::parse(&word).ok_or("no such word"))
}

/// Which runs: one set of filters for `runs`, `retry`, `cancel` and `ack`; all that are given must
/// hold.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "filters", multiple = true)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filters {
    /// Only runs in this state; may be repeated
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = word::<State>())]
    pub(crate) states: Vec<State>,
    /// Only runs of this job
    #[arg(long = "job", value_name = "JOB", id = "job_filter")]
    pub(crate) job: Option<String>,
    /// Only runs made at or after this time
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only runs made before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only runs whose newest attempt ended with this exit code
    #[arg(long, value_name = "CODE")]
    pub(crate) exit: Option<u8>,
    /// Only runs with this key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Only failed runs that nobody has acknowledged
    #[arg(long)]
    pub(crate) failed: bool,
}

/// `jobctl runs`.
#[derive(Debug, Args)]
#[command(
    after_help = concat!("Examples:\n  jobctl runs\n  jobctl runs backup\n  jobctl runs --failed --since 24h\n  jobctl --json runs -n 0 --state failed,cancelled", times!())
)]
pub(crate) struct Runs {
    /// Only runs of this job
    #[arg(conflicts_with = "job_filter")]
    pub(crate) job: Option<String>,
    /// Number of runs at most; 0 for all
    #[arg(short = 'n', long = "count", value_name = "COUNT", default_value_t = 20)]
    pub(crate) count: u32,
    /// Which ones.
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// Reads the id of a run.
pub(super) fn run_id(text: &str) -> Result<i64, IdError> {
    match text.parse::<i64>() {
        Ok(id) if id >= 1 => Ok(id),
        Ok(_) => Err(IdError::TooSmall),
        Err(_) => Err(IdError::NoNumber(text.to_owned())),
    }
}

/// Why a text is not the id of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdError {
    /// It is not a number that fits.
    NoNumber(String),
    /// It is zero or less.
    TooSmall,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNumber(text) => write!(f, "`{text}` is not a run id"),
            Self::TooSmall => f.write_str("run ids start at 1"),
        }
    }
}

impl std::error::Error for IdError {}

/// `jobctl show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  jobctl show 412\n  jobctl --json show 412")]
pub(crate) struct Show {
    /// Id of the run
    #[arg(value_parser = run_id)]
    pub(crate) id: i64,
}

/// `jobctl why`.
#[derive(Debug, Args)]
#[command(
    after_help = concat!("Examples:\n  jobctl why 412\n  jobctl why backup\n  jobctl why backup --at 02:30", times!())
)]
pub(crate) struct Why {
    /// Id of a run, or name of a job: what is next in its queue, else what it did last
    #[arg(value_name = "ID|JOB")]
    pub(crate) target: String,
    /// Explain the occurrence of the job at this time
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

/// `jobctl logs`.
#[derive(Debug, Args)]
#[command(
    override_usage = "jobctl logs [OPTIONS] ID|JOB\n       jobctl logs -f",
    after_help = "Examples:\n  jobctl logs 412\n  jobctl logs backup\n  jobctl logs -f backup\n  jobctl logs -f"
)]
pub(crate) struct Logs {
    /// Id of a run, or name of a job: its newest run with an attempt
    #[arg(value_name = "ID|JOB", required_unless_present = "follow")]
    pub(crate) target: Option<String>,
    /// Follow the output as it comes; without a run or job: of everything
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Print this attempt [default: the newest]
    #[arg(long, value_name = "N", requires = "target", value_parser = value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,
    /// Print only this many last lines
    #[arg(short = 'n', long = "lines", value_name = "LINES")]
    pub(crate) lines: Option<u64>,
    /// Print the output unescaped, even on a terminal
    #[arg(long)]
    pub(crate) raw: bool,
}
