//! The command line: clap's types and the help texts, which are its documentation.
//!
//! Types and text only. Imports nothing of the crate, so that tests and scripts can include this file by itself.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, value_parser};

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

/// `jobctl run`.
#[derive(Debug, Args)]
#[command(
    after_help = "TERM or INT stops it, a second one at once; HUP makes it read the jobfile at once"
)]
pub(crate) struct Run {
    /// Let running attempts end when told to stop (finish), or leave them to the next supervisor (detach)
    ///
    /// Without it, `on_stop` of the jobfile says which.
    #[arg(long, value_enum, value_name = "finish|detach", hide_possible_values = true)]
    pub(crate) on_stop: Option<OnStop>,
    /// Start nothing: record each occurrence as skipped (shadow), to compare with cron before the cut-over
    #[arg(long)]
    pub(crate) shadow: bool,
    /// Wait until no other supervisor runs here, then take over
    #[arg(long)]
    pub(crate) standby: bool,
    /// Write the log as text or as json, a JSON object a line
    ///
    /// Without it, `log_format` of the jobfile says which; without that, events go to journald with fields where it reads standard error.
    #[arg(long, value_enum, value_name = "text|json", hide_possible_values = true)]
    pub(crate) log_format: Option<LogFormat>,
    /// What people type who mean `enqueue`; refused with a hint.
    #[arg(hide = true, value_name = "NAME", num_args = 0.., trailing_var_arg = true)]
    pub(crate) names: Vec<OsString>,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `key=value`
    Text,
    /// JSON
    Json,
}

/// What `run` does with running attempts when it is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnStop {
    /// Give them time to end, then stop them
    Finish,
    /// Leave at once; the next supervisor adopts them
    Detach,
}

/// `jobctl status`.
#[derive(Debug, Args)]
#[command(
    after_help = "With --quiet nothing is printed; exit code 0: all well, 1: failed runs that nobody has \
                        acknowledged, or late, 4: no supervisor"
)]
pub(crate) struct Status {
    /// Show this job in detail
    pub(crate) job: Option<String>,
    /// Show only jobs with failed runs that nobody has acknowledged
    #[arg(long, conflicts_with = "job")]
    pub(crate) failed: bool,
    /// Show all jobs, however many there are
    #[arg(long, conflicts_with = "job")]
    pub(crate) all: bool,
    /// Show it again and again, until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `jobctl stats`.
#[derive(Debug, Args)]
#[command(
    after_help = "SUCCESS is of the runs that succeeded or failed; RETRIES are attempts after the first of a run; P50, P95 and MAX are of \
                  the newest attempts. Of a job the newest 100000 runs are looked at"
)]
pub(crate) struct Stats {
    /// Only this job
    pub(crate) job: Option<String>,
    /// Only runs that ended at or after this time [default: 7d]
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// A line for each hour, day, week or month
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

/// `jobctl next`.
#[derive(Debug, Args)]
#[command(after_help = TIMES)]
pub(crate) struct Next {
    /// Show only this job
    pub(crate) job: Option<String>,
    /// Show so many [default: 10]
    #[arg(short = 'n', long = "count", value_name = "COUNT", value_parser = value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
    /// Begin here instead of now
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// End here
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Show when this expression would fire; needs no jobfile
    #[arg(long, value_name = "EXPR", conflicts_with = "job")]
    pub(crate) schedule: Option<String>,
    /// Take the expression in this zone [default: the system's]
    #[arg(long, value_name = "ZONE", requires = "schedule")]
    pub(crate) timezone: Option<String>,
}

/// Which runs: one set of filters for `runs`, `retry`, `cancel` and `ack`; all that are given must hold.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "filters", multiple = true)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filters {
    /// Only runs in this state; may be repeated
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = [
        "scheduled", "queued", "running", "retrying", "succeeded", "failed", "skipped", "cancelled",
    ])]
    pub(crate) states: Vec<String>,
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
#[command(after_help = TIMES)]
pub(crate) struct Runs {
    /// Only runs of this job
    #[arg(conflicts_with = "job_filter")]
    pub(crate) job: Option<String>,
    /// Show so many at most; 0 for all
    #[arg(short = 'n', long = "count", value_name = "COUNT", default_value_t = 20)]
    pub(crate) count: u32,
    /// Which ones.
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// `jobctl show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Id of the run
    #[arg(value_parser = value_parser!(i64).range(1..))]
    pub(crate) id: i64,
}

/// `jobctl why`.
#[derive(Debug, Args)]
#[command(after_help = TIMES)]
pub(crate) struct Why {
    /// Id of a run, or name of a job: what is next in its queue, else what it did last
    #[arg(value_name = "ID|JOB")]
    pub(crate) target: String,
    /// What became of the occurrence of the job at this time
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

/// `jobctl logs`.
#[derive(Debug, Args)]
#[command(override_usage = "jobctl logs [OPTIONS] ID|JOB\n       jobctl logs -f")]
pub(crate) struct Logs {
    /// Id of a run, or name of a job: its newest run with an attempt
    #[arg(value_name = "ID|JOB", required_unless_present = "follow")]
    pub(crate) target: Option<String>,
    /// Go on as output comes; without a run or job: of all
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Print this attempt [default: the newest]
    #[arg(long, value_name = "N", requires = "target", value_parser = value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,
    /// Print only the last lines
    #[arg(short = 'n', long = "lines", value_name = "LINES")]
    pub(crate) lines: Option<u64>,
    /// Print the bytes as they are, also on a terminal
    #[arg(long)]
    pub(crate) raw: bool,
}

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
    /// Give the command standard input as it is here, a terminal for example (to another user: what is typed)
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
    /// Compare the occurrences of the original lines, minute by minute as cron finds them, with those of the jobs, over so
    /// many days [default: 400]
    #[arg(long, value_name = "DAYS", num_args = 0..=1, default_missing_value = "", conflicts_with = "compare")]
    pub(crate) prove: Option<String>,
    /// Instead of a jobfile: compare what cron has recorded, in the journal or in this file, with the schedules of the jobs
    #[arg(long, value_name = "LOG", num_args = 0..=1)]
    pub(crate) compare: Option<Option<PathBuf>>,
}

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
}

/// What a completion script asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Words {
    /// Names of jobs
    Jobs,
    /// Ids of recent runs
    Runs,
}
