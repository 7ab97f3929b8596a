//! A job as the rest of the crate sees it: validated, with every default filled in. Made by
//! `jobfile` only.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::door::{Door, Principal};
use super::schedule::Schedule;
use super::time::Wall;
use super::words::words;

/// The number of TERM in signal(7).
const SIGTERM: i32 = 15;
/// The longest name of a job or lock.
pub(crate) const NAME_MAX: usize = 64;

/// The name of a job or lock: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, not all digits. Safe as a file
/// name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(Arc<str>);

impl Name {
    /// Checks a name. The error is a sentence fragment that says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut chars = text.chars();
        match chars.next() {
            None => return Err("is empty"),
            Some(first) if !first.is_ascii_alphanumeric() => {
                return Err("must begin with a letter or digit");
            }
            Some(_) => {}
        }
        if !chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
            return Err("may hold only letters, digits, `.`, `_` and `-`");
        }
        if text.len() > NAME_MAX {
            return Err("is longer than 64 characters");
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err("has only digits, like the id of a run");
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The command of a job.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CommandLine {
    /// Text for the job's shell; the run's arguments are `$1 ...`, `$0` is the job's name.
    Shell(Box<str>),
    /// A program and its arguments, executed as they are; the run's arguments are appended.
    Exec(Box<[Box<str>]>),
}

/// The schedules of a job, each with the text it was written as.
pub(crate) type Schedules = Box<[(Box<str>, Schedule)]>;

/// A job of the jobfile.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Its name.
    pub(crate) name: Name,
    /// What it executes.
    pub(crate) command: CommandLine,
    /// Its schedules with the text they were written as; empty for a job that only takes items.
    pub(crate) schedules: Schedules,
    /// The IANA name of its schedules' zone; none: the file's, else the system's.
    pub(crate) timezone: Option<Arc<str>>,
    /// Everything else; equal policies are shared, so that ten thousand jobs stay small.
    pub(crate) policy: Arc<Policy>,
}

impl Job {
    /// Returns whether this is a former name of it.
    pub(crate) fn was(&self, name: &str) -> bool {
        self.policy.was.iter().any(|was| was.as_str() == name)
    }
}

/// A value of the environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EnvValue {
    /// The text as it is.
    Text(Box<str>),
    /// `{ file = "..." }`: read for each attempt, never recorded.
    File(Box<str>),
}

words! {
    /// What an occurrence does when its job is busy (jobctl.toml(5), `overlap`).
    Overlap {
        /// Recorded as skipped.
        Skip "skip",
        /// Waits if none waits yet, else skipped.
        QueueOne "queue-one",
        /// Waits.
        QueueAll "queue-all",
        /// The oldest run gets the stop sequence, the new one starts.
        Replace "replace",
        /// No limit.
        Allow "allow",
    }
}

words! {
    /// What happens to missed occurrences (jobctl.toml(5), `catch_up`).
    CatchUp {
        /// Recorded as skipped.
        None "none",
        /// The newest one runs.
        Last "last",
        /// Up to 100 run.
        All "all",
    }
}

words! {
    /// What becomes of processes that a finished attempt leaves running.
    Leftovers {
        /// They are left alone.
        Leave "leave",
        /// They are killed.
        Kill "kill",
    }
}

words! {
    /// What a new occurrence does to an older occurrence of its job that is `retrying`.
    OnNext {
        /// The older one ends `failed (superseded)`.
        Supersede "supersede",
        /// Both go their way.
        Keep "keep",
    }
}

/// Attempts after the first that a policy grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RetryMax {
    /// This many.
    Times(u32),
    /// As many as it takes.
    Unlimited,
}

/// The retry policy of a job (jobctl.toml(5), "Retries").
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Retry {
    /// Further attempts after the first.
    pub(crate) max: RetryMax,
    /// Delay before the second attempt.
    pub(crate) delay: Duration,
    /// Each further delay is the one before times this, in thousandths (2000 is twice).
    pub(crate) factor_milli: u32,
    /// No delay is longer than this.
    pub(crate) max_delay: Duration,
    /// The delay is shortened by up to this share, in thousandths.
    pub(crate) jitter_milli: u32,
    /// From the start of the first attempt: no retry starts later.
    pub(crate) give_up_after: Option<Duration>,
    /// What a new occurrence does to an older one that is retrying.
    pub(crate) on_next: OnNext,
    /// Whether a lost attempt may be retried.
    pub(crate) lost: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max: RetryMax::Times(0),
            delay: Duration::from_secs(10),
            factor_milli: 2000,
            max_delay: Duration::from_secs(3600),
            jitter_milli: 250,
            give_up_after: None,
            on_next: OnNext::Supersede,
            lost: true,
        }
    }
}

/// A share of starts over time: a bucket of `burst` that refills in `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rate {
    /// How many.
    pub(crate) burst: u32,
    /// In which time.
    pub(crate) per: Duration,
}

/// Resource limits of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Limits {
    /// `RLIMIT_CPU`.
    pub(crate) cpu_time: Option<Duration>,
    /// `RLIMIT_NOFILE`.
    pub(crate) open_files: Option<u64>,
    /// `RLIMIT_NPROC`.
    pub(crate) processes: Option<u64>,
    /// `RLIMIT_FSIZE`, in bytes.
    pub(crate) file_size: Option<u64>,
    /// `RLIMIT_AS`, in bytes.
    pub(crate) address_space: Option<u64>,
    /// cgroup `memory.max`, in bytes.
    pub(crate) memory: Option<u64>,
}

/// The time for which ended runs are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Keep {
    /// Succeeded, skipped and cancelled ones, by age of their end.
    pub(crate) succeeded: Duration,
    /// Failed ones that were acknowledged, by age of their end.
    pub(crate) failed: Duration,
    /// Ended runs of the job, by number.
    pub(crate) runs: u64,
}

impl Default for Keep {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            succeeded: Duration::from_secs(30 * DAY),
            failed: Duration::from_secs(180 * DAY),
            runs: 100_000,
        }
    }
}

words! {
    /// When mail is sent.
    MailOn {
        /// When a run gave up or is late.
        Failure "failure",
        /// Whenever there is output, as cron does.
        Output "output",
    }
}

/// The time without a success after which a job is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ExpectEvery {
    /// Three occurrences in a row without a success.
    Auto,
    /// This time.
    Span(Duration),
}

/// The commands that hear of a job's runs (jobctl.toml(5), "Notifications").
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Hooks {
    /// A run gave up.
    pub(crate) on_failure: Option<CommandLine>,
    /// The first success after that.
    pub(crate) on_recovery: Option<CommandLine>,
    /// A run succeeded.
    pub(crate) on_success: Option<CommandLine>,
    /// An attempt failed, whatever follows.
    pub(crate) on_attempt_failure: Option<CommandLine>,
    /// The job is late.
    pub(crate) on_late: Option<CommandLine>,
}

impl Hooks {
    /// Those that are given, with their keys.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static str, &CommandLine)> {
        let all = [
            ("on_failure", &self.on_failure),
            ("on_recovery", &self.on_recovery),
            ("on_success", &self.on_success),
            ("on_attempt_failure", &self.on_attempt_failure),
            ("on_late", &self.on_late),
        ];
        all.into_iter().filter_map(|(key, hook)| Some((key, hook.as_ref()?)))
    }
}

/// All keys of a job but its name, command and schedules, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Policy {
    /// The shell of a [`CommandLine::Shell`].
    pub(crate) shell: Box<[Box<str>]>,
    /// False: occurrences are not planned.
    pub(crate) enabled: bool,
    /// For people.
    pub(crate) description: Option<Box<str>>,
    /// Former names.
    pub(crate) was: Box<[Name]>,
    /// What a busy job does with an occurrence.
    pub(crate) overlap: Overlap,
    /// How many runs may run at once; at least 1; meaningless under [`Overlap::Allow`].
    pub(crate) concurrency: u32,
    /// A further lock; may contain `{1}`.
    pub(crate) lock: Option<Box<str>>,
    /// Higher is claimed first.
    pub(crate) priority: i8,
    /// Starts over time.
    pub(crate) rate: Option<Rate>,
    /// Adding beyond it is refused.
    pub(crate) backlog_max: Option<u32>,
    /// Who may add runs by the door.
    pub(crate) enqueue_by: Box<[Principal]>,
    /// How it is retried.
    pub(crate) retry: Retry,
    /// For each attempt.
    pub(crate) timeout: Option<Duration>,
    /// The first signal of the stop sequence (a number of signal(7)).
    pub(crate) stop_signal: i32,
    /// From that signal to KILL.
    pub(crate) stop_grace: Duration,
    /// What becomes of processes left running.
    pub(crate) leftovers: Leftovers,
    /// Exit codes of success.
    pub(crate) success_exit: Box<[u8]>,
    /// Exit codes of "nothing to do".
    pub(crate) skip_exit: Box<[u8]>,
    /// Exit codes that no retry can help.
    pub(crate) no_retry_exit: Box<[u8]>,
    /// What happens to missed occurrences.
    pub(crate) catch_up: CatchUp,
    /// An occurrence not started within this is skipped.
    pub(crate) start_deadline: Option<Duration>,
    /// The start is delayed by a fixed share of this.
    pub(crate) jitter: Duration,
    /// Working directory; none: the home of the user, `/` if it has none.
    pub(crate) cwd: Option<Box<str>>,
    /// File mode creation mask.
    pub(crate) umask: u32,
    /// As nice(1).
    pub(crate) nice: i32,
    /// Whose rights the command has.
    pub(crate) user: Option<Box<str>>,
    /// Its group.
    pub(crate) group: Option<Box<str>>,
    /// Added to the environment, in the order of names.
    pub(crate) env: Box<[(Box<str>, EnvValue)]>,
    /// A file of `NAME=value` lines.
    pub(crate) env_file: Option<Box<str>>,
    /// Whether the supervisor's environment is passed on; none: yes unless `user` is given.
    pub(crate) inherit_env: Option<bool>,
    /// Resource limits.
    pub(crate) limits: Limits,
    /// Standard input.
    pub(crate) stdin: Option<Box<str>>,
    /// Bytes of output kept for each attempt, head and tail together.
    pub(crate) output_max: u64,
    /// A file that output is appended to, besides.
    pub(crate) output_file: Option<Box<str>>,
    /// The job that gets this one's lines.
    pub(crate) feeds: Option<Name>,
    /// Path or glob whose files become runs.
    pub(crate) watch: Option<Box<str>>,
    /// Template of a run's key.
    pub(crate) key: Option<Box<str>>,
    /// How long a key is held after a success.
    pub(crate) key_for: Duration,
    /// A longer attempt is late.
    pub(crate) expect_within: Option<Duration>,
    /// A longer time without success is late.
    pub(crate) expect_every: ExpectEvery,
    /// Who hears of its runs.
    pub(crate) hooks: Hooks,
    /// Who gets mail.
    pub(crate) mailto: Option<Box<str>>,
    /// The sender of its mail; none: whom sendmail(8) names.
    pub(crate) mail_from: Option<Box<str>>,
    /// When.
    pub(crate) mail_on: MailOn,
    /// At most one `on_failure` and mail in it.
    pub(crate) hook_interval: Duration,
    /// Retention.
    pub(crate) keep: Keep,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            shell: Box::from([Box::from("/bin/sh"), Box::from("-c")]),
            enabled: true,
            description: None,
            was: Box::default(),
            overlap: Overlap::Skip,
            concurrency: 1,
            lock: None,
            priority: 0,
            rate: None,
            backlog_max: None,
            enqueue_by: Box::default(),
            retry: Retry::default(),
            timeout: None,
            stop_signal: SIGTERM,
            stop_grace: Duration::from_secs(10),
            leftovers: Leftovers::Leave,
            success_exit: Box::from([0]),
            skip_exit: Box::default(),
            no_retry_exit: Box::default(),
            catch_up: CatchUp::None,
            start_deadline: None,
            jitter: Duration::ZERO,
            cwd: None,
            umask: 0o022,
            nice: 0,
            user: None,
            group: None,
            env: Box::default(),
            env_file: None,
            inherit_env: None,
            limits: Limits::default(),
            stdin: None,
            output_max: 1 << 20,
            output_file: None,
            feeds: None,
            watch: None,
            key: None,
            key_for: Duration::ZERO,
            expect_within: None,
            expect_every: ExpectEvery::Auto,
            hooks: Hooks::default(),
            mailto: None,
            mail_from: None,
            mail_on: MailOn::Failure,
            hook_interval: Duration::from_secs(300),
            keep: Keep::default(),
        }
    }
}

impl Policy {
    /// A success that ended later holds its key still at a time; none: no success does.
    pub(crate) fn key_held_since(&self, now: Wall) -> Option<Wall> {
        (!self.key_for.is_zero()).then(|| now - self.key_for)
    }

    /// Returns whether its commands get the supervisor's environment.
    pub(crate) fn passes_env(&self) -> bool {
        self.inherit_env.unwrap_or(self.user.is_none())
    }

    /// Returns how many runs of the job may run at once; none is no limit.
    pub(crate) fn running_max(&self) -> Option<u32> {
        match self.overlap {
            Overlap::Allow => None,
            Overlap::Skip | Overlap::QueueOne | Overlap::QueueAll | Overlap::Replace => {
                Some(self.concurrency)
            }
        }
    }
}

words! {
    /// What the supervisor does with running attempts when it is told to stop.
    OnStop {
        /// They get time to end, then the stop sequence.
        Finish "finish",
        /// It leaves at once and the next one adopts them.
        Detach "detach",
    }
}

/// A thing that tells an outside monitor that the supervisor is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeartbeatTarget {
    /// A command that is executed.
    Command(CommandLine),
    /// A file that is touched.
    File(Box<str>),
}

words! {
    /// How log lines are written.
    LogFormat {
        /// `key=value`.
        Text "text",
        /// One JSON object a line.
        Json "json",
    }
}

/// The top-level keys of a jobfile; none means that the default of the machine is taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// IANA name of the zone of all schedules.
    pub(crate) timezone: Option<Arc<str>>,
    /// Where the store, locks, slots and output are.
    pub(crate) state_dir: Option<Box<str>>,
    /// Attempts at once over all jobs.
    pub(crate) max_running: Option<u32>,
    /// What a stop does.
    pub(crate) on_stop: Option<OnStop>,
    /// How long a stop may take.
    pub(crate) stop_timeout: Option<Duration>,
    /// Bytes of large output kept over all jobs.
    pub(crate) output_total_max: Option<u64>,
    /// Whether commands' output is copied to standard output.
    pub(crate) forward_output: Option<bool>,
    /// Where Prometheus text is written.
    pub(crate) metrics_file: Option<Box<str>>,
    /// Sign of life.
    pub(crate) heartbeat: Option<(HeartbeatTarget, Duration)>,
    /// The door; none: there is none.
    pub(crate) door: Option<Box<Door>>,
    /// Seed of `H` and `jitter`; none: the machine id.
    pub(crate) hash_seed: Option<Box<str>>,
    /// How log lines are written.
    pub(crate) log_format: Option<LogFormat>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    proptest! {
        #[test]
        fn a_name_that_is_taken_is_one_component_of_a_path_in_all_its_file_names(
            text in prop_oneof![any::<String>(), "[A-Za-z0-9._/\\\\~ \u{0}\n-]{0,70}", "[A-Za-z0-9._-]{1,64}"],
            place in 1_u32..=1000,
        ) {
            let Ok(name) = Name::parse(&text) else {
                return Ok(());
            };
            for file in [format!("{name}.lock"), format!("{name}.{place}.lock"), format!("lock-{name}.lock")] {
                let parts: Vec<_> = Path::new(&file).components().collect();
                prop_assert_eq!(parts, [Component::Normal(file.as_ref())]);
                prop_assert!(file.len() <= 255 && !file.contains('\0') && !file.starts_with('.'));
            }
        }
    }

    #[test]
    fn a_name_comes_back_as_it_was_written() {
        assert_eq!(
            Name::parse("db.backup").map(|name| name.as_str().to_owned()).as_deref(),
            Ok("db.backup")
        );
    }

    #[test]
    fn only_a_former_name_is_one() {
        let was = Box::from([Name::parse("old").unwrap(), Name::parse("older").unwrap()]);
        let job = Job {
            name: Name::parse("new").unwrap(),
            command: CommandLine::Shell("true".into()),
            schedules: Box::default(),
            timezone: None,
            policy: Arc::new(Policy { was, ..Policy::default() }),
        };
        assert!(job.was("old") && job.was("older"));
        assert!(!job.was("new") && !job.was("oldest"));
    }

    #[test]
    fn a_success_holds_its_key_for_as_long_as_the_job_says() {
        let holds = |secs| {
            let policy = Policy { key_for: Duration::from_secs(secs), ..Policy::default() };
            policy.key_held_since(Wall::from_secs(100))
        };
        assert_eq!(holds(0), None);
        assert_eq!(holds(60), Some(Wall::from_secs(40)));
    }

    #[test]
    fn the_environment_is_passed_unless_the_job_says_no_or_has_a_user_of_its_own() {
        let passes = |inherit_env, user: Option<&str>| {
            let user = user.map(Into::into);
            Policy { inherit_env, user, ..Policy::default() }.passes_env()
        };
        assert!(passes(None, None) && passes(Some(true), Some("ann")));
        assert!(!passes(Some(false), None) && !passes(None, Some("ann")));
    }

    #[test]
    fn a_name_is_safe_as_a_file_name_and_is_no_run_id() {
        for good in ["a", "A9", "db.backup_2-x", "9lives", &"x".repeat(64)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", ".hidden", "-x", "_x", "a/b", "a b", "ä", "123", "a\0", "..", &"x".repeat(65)]
        {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }
}
