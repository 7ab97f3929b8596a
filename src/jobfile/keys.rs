//! The table of all keys, with their types and readers. Suggestions for unknown keys come from it
//! too.

use super::compound::{self, HEARTBEAT, KEEP, LIMITS, RETRY};
use super::door::{self, DOOR};
use super::units;
use super::value::{
    BOOL, COMMAND, DURATION, EXIT_CODES, Key, NUMBER, SIZE, STRING, TABLE, Value, did_you_mean,
    key, set, set_some,
};
use crate::core::job::{CommandLine, ExpectEvery, Policy, Settings};
use crate::core::schedule::Schedule;
use std::sync::Arc;

/// A table of the jobfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The top of the file.
    Top,
    /// `[defaults]` and `[jobs.NAME]`.
    Job,
    /// `retry`.
    Retry,
    /// `limits`.
    Limits,
    /// `keep`.
    Keep,
    /// `heartbeat`.
    Heartbeat,
    /// `[door]`.
    Door,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 7] =
        [Self::Top, Self::Job, Self::Retry, Self::Limits, Self::Keep, Self::Heartbeat, Self::Door];
}

/// Returns the keys that a table may have.
pub fn keys_of(table: Table) -> Vec<&'static str> {
    match table {
        Table::Top => names(TOP),
        Table::Job => names(JOB),
        Table::Retry => names(RETRY),
        Table::Limits => names(LIMITS),
        Table::Keep => names(KEEP),
        Table::Heartbeat => names(HEARTBEAT),
        Table::Door => names(DOOR),
    }
}

/// A job while it is being read.
#[derive(Clone, Default)]
pub(super) struct Draft {
    /// `command`.
    pub(super) command: Option<CommandLine>,
    /// `schedule`.
    pub(super) schedules: Box<[(Box<str>, Schedule)]>,
    /// `timezone`.
    pub(super) timezone: Option<Arc<str>>,
    /// All other keys; shared with the defaults until a key changes it.
    pub(super) policy: Arc<Policy>,
}

impl Draft {
    /// Returns the policy for a change.
    pub(super) fn policy(&mut self) -> &mut Policy {
        Arc::make_mut(&mut self.policy)
    }
}

/// The keys at the top of a jobfile.
pub(super) const TOP: &[Key<Settings>] = &[
    key("timezone", STRING, |s, v| set_some(&mut s.timezone, v.timezone())),
    key("include", "an array of paths", |_, v| drop(v.each(STRING, |item| item.words()))),
    key("defaults", TABLE, |_, v| compound::expect_table(v)),
    key("jobs", "tables [jobs.NAME]", |_, v| compound::expect_table(v)),
    key("state_dir", STRING, |s, v| set_some(&mut s.state_dir, v.path())),
    key("max_running", NUMBER, |s, v| set_some(&mut s.max_running, v.number(1..=100_000))),
    key("on_stop", STRING, |s, v| {
        set_some(&mut s.on_stop, v.word());
    }),
    key("stop_timeout", DURATION, |s, v| set_some(&mut s.stop_timeout, v.duration_or_zero())),
    key("hash_seed", STRING, |s, v| set_some(&mut s.hash_seed, v.words().map(Box::from))),
    key("output_total_max", SIZE, |s, v| {
        set_some(&mut s.output_total_max, v.size(1 << 20, u64::MAX))
    }),
    key("forward_output", BOOL, |s, v| set_some(&mut s.forward_output, v.bool())),
    key("metrics_file", STRING, |s, v| set_some(&mut s.metrics_file, v.path())),
    key("heartbeat", TABLE, |s, v| set_some(&mut s.heartbeat, compound::heartbeat(v))),
    key("log_format", STRING, |s, v| {
        set_some(&mut s.log_format, v.word());
    }),
    key("door", TABLE, |s, v| set_some(&mut s.door, door::door(v).map(Box::new))),
];

/// The keys of a job and of `[defaults]`.
pub(super) const JOB: &[Key<Draft>] = &[
    key("command", COMMAND, |d, v| set_some(&mut d.command, v.command())),
    key("shell", COMMAND, |d, v| set(&mut d.policy().shell, compound::shell(v))),
    key("schedule", COMMAND, |d, v| set(&mut d.schedules, v.schedules())),
    key("timezone", STRING, |d, v| set_some(&mut d.timezone, v.timezone())),
    key("enabled", BOOL, |d, v| set(&mut d.policy().enabled, v.bool())),
    key("description", STRING, |d, v| {
        set_some(&mut d.policy().description, v.text().map(Box::from))
    }),
    key("was", "a name or an array of names", |d, v| set(&mut d.policy().was, compound::was(v))),
    key("overlap", STRING, |d, v| set(&mut d.policy().overlap, v.word())),
    key("concurrency", NUMBER, |d, v| set(&mut d.policy().concurrency, v.number(1..=1000))),
    key("lock", STRING, |d, v| set_some(&mut d.policy().lock, compound::lock(v))),
    key("priority", NUMBER, |d, v| set(&mut d.policy().priority, v.number(-100..=100))),
    key("rate", "a string such as \"10/min\"", |d, v| {
        set_some(&mut d.policy().rate, compound::rate(v))
    }),
    key("backlog_max", NUMBER, |d, v| {
        set_some(&mut d.policy().backlog_max, v.number(1..=1_000_000_000));
    }),
    key("enqueue_by", door::PRINCIPALS, |d, v| {
        set(&mut d.policy().enqueue_by, door::principals(v));
    }),
    key("retry", "a number or a table", |d, v| set(&mut d.policy().retry, compound::retry(v))),
    key("timeout", DURATION, |d, v| set_some(&mut d.policy().timeout, v.duration())),
    key("stop_signal", "the name of a signal", |d, v| {
        set(&mut d.policy().stop_signal, compound::signal(v))
    }),
    key("stop_grace", DURATION, |d, v| set(&mut d.policy().stop_grace, v.duration_or_zero())),
    key("leftovers", STRING, |d, v| {
        set(&mut d.policy().leftovers, v.word());
    }),
    key("success_exit", EXIT_CODES, |d, v| {
        set(&mut d.policy().success_exit, compound::success_exit(v));
    }),
    key("skip_exit", EXIT_CODES, |d, v| set(&mut d.policy().skip_exit, compound::exit_codes(v))),
    key("no_retry_exit", EXIT_CODES, |d, v| {
        set(&mut d.policy().no_retry_exit, compound::exit_codes(v))
    }),
    key("catch_up", STRING, |d, v| set(&mut d.policy().catch_up, v.word())),
    key("start_deadline", DURATION, |d, v| set_some(&mut d.policy().start_deadline, v.duration())),
    key("jitter", DURATION, |d, v| set(&mut d.policy().jitter, v.duration_or_zero())),
    key("cwd", STRING, |d, v| set_some(&mut d.policy().cwd, v.path())),
    key("umask", "a string such as \"022\"", |d, v| set(&mut d.policy().umask, compound::umask(v))),
    key("nice", NUMBER, |d, v| set(&mut d.policy().nice, v.number(-20..=19))),
    key("user", STRING, |d, v| set_some(&mut d.policy().user, compound::account(v))),
    key("group", STRING, |d, v| set_some(&mut d.policy().group, compound::account(v))),
    key("env", TABLE, |d, v| compound::env(&mut d.policy().env, v)),
    key("env_file", STRING, |d, v| set_some(&mut d.policy().env_file, v.path())),
    key("inherit_env", BOOL, |d, v| set_some(&mut d.policy().inherit_env, v.bool())),
    key("limits", TABLE, |d, v| set(&mut d.policy().limits, fresh(LIMITS, v))),
    key("stdin", STRING, |d, v| set_some(&mut d.policy().stdin, v.text().map(Box::from))),
    key("output_max", SIZE, |d, v| set(&mut d.policy().output_max, v.size(1 << 10, 1 << 30))),
    key("output_file", STRING, |d, v| set_some(&mut d.policy().output_file, v.path())),
    key("feeds", "the name of a job", |d, v| set_some(&mut d.policy().feeds, v.job_name())),
    key("watch", STRING, |d, v| set_some(&mut d.policy().watch, compound::watch(v))),
    key("key", STRING, |d, v| set_some(&mut d.policy().key, compound::key_template(v))),
    key("key_for", DURATION, |d, v| set(&mut d.policy().key_for, v.duration_or_zero())),
    key("expect_within", DURATION, |d, v| set_some(&mut d.policy().expect_within, v.duration())),
    key("expect_every", "\"auto\" or a duration", |d, v| {
        let is_auto = v.node.get_ref().as_str() == Some("auto");
        let span =
            if is_auto { Some(ExpectEvery::Auto) } else { v.duration().map(ExpectEvery::Span) };
        set(&mut d.policy().expect_every, span);
    }),
    key("on_failure", COMMAND, |d, v| set_some(&mut d.policy().hooks.on_failure, v.command())),
    key("on_recovery", COMMAND, |d, v| set_some(&mut d.policy().hooks.on_recovery, v.command())),
    key("on_success", COMMAND, |d, v| set_some(&mut d.policy().hooks.on_success, v.command())),
    key("on_attempt_failure", COMMAND, |d, v| {
        set_some(&mut d.policy().hooks.on_attempt_failure, v.command());
    }),
    key("on_late", COMMAND, |d, v| set_some(&mut d.policy().hooks.on_late, v.command())),
    key("mailto", STRING, |d, v| set(&mut d.policy().mailto, compound::address(v))),
    key("mail_from", STRING, |d, v| set(&mut d.policy().mail_from, compound::address(v))),
    key("mail_on", STRING, |d, v| {
        set(&mut d.policy().mail_on, v.word());
    }),
    key("hook_interval", DURATION, |d, v| set(&mut d.policy().hook_interval, v.duration_or_zero())),
    key("keep", "a duration or a table", |d, v| set(&mut d.policy().keep, compound::keep(v))),
];

/// Reads a table that starts from its default values, so that it replaces an inherited one as a
/// whole.
fn fresh<T: Default>(keys: &'static [Key<T>], value: &Value<'_>) -> Option<T> {
    let mut into = T::default();
    value.table(keys, &mut into)?;
    Some(into)
}

/// Makes the hint for a key that is unknown among `here`: the same key of another table, else a
/// similar one.
pub(super) fn hint_for_unknown(name: &str, here: Vec<&'static str>) -> Option<String> {
    let is_here = |keys: &[&str]| keys.first() == here.first();
    let (top, job) = (names(TOP), names(JOB));
    if top.contains(&name) && !is_here(&top) {
        return Some(format!("`{name}` is a key of the file: write it above the first [table]"));
    }
    if job.contains(&name) && !is_here(&job) {
        return Some(format!(
            "`{name}` is a key of a job: write it under [jobs.NAME] or [defaults]"
        ));
    }
    let nested = [
        ("retry", names(RETRY)),
        ("limits", names(LIMITS)),
        ("keep", names(KEEP)),
        ("door", names(DOOR)),
    ];
    let owner = nested.iter().find(|(_, keys)| keys.contains(&name) && !is_here(keys));
    match owner {
        Some((owner, _)) => {
            Some(format!("`{name}` is a key of `{owner}`: write `{owner} = {{ {name} = ... }}`"))
        }
        None => units::nearest(name, here).map(did_you_mean),
    }
}

fn names<T>(keys: &[Key<T>]) -> Vec<&'static str> {
    keys.iter().map(|row| row.name).collect()
}
