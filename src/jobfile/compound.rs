//! Readers of values with rules of their own: tables, names, notations, and dependencies between
//! keys.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::de::DeValue;

use super::units;
use super::value::{
    BOOL, COMMAND, DURATION, Key, NUMBER, SIZE, STRING, Value, did_you_mean, key, set, set_some,
};
use crate::core::job::{
    CommandLine, EnvValue, HeartbeatTarget, Keep, Limits, Name, Rate, Retry, RetryMax,
};

/// The maximum number of variables of a job.
const ENV_COUNT_MAX: usize = 1000;
/// The maximum number of retries; more is "unlimited".
const RETRIES_MAX: i64 = 1_000_000;

/// The keys of `retry`.
pub(super) const RETRY: &[Key<RetryDraft>] = &[
    key("max", "a whole number or \"unlimited\"", |r, v| {
        let is_unlimited = v.node.get_ref().as_str() == Some("unlimited");
        let times = if is_unlimited { Some(RetryMax::Unlimited) } else { times(v) };
        set_some(&mut r.max, times);
    }),
    key("delay", DURATION, |r, v| set(&mut r.retry.delay, v.duration_or_zero())),
    key("factor", "a number", |r, v| set(&mut r.retry.factor_milli, v.milli(1000..=1_000_000))),
    key("max_delay", DURATION, |r, v| set(&mut r.retry.max_delay, v.duration_or_zero())),
    key("jitter", "a number", |r, v| set(&mut r.retry.jitter_milli, v.milli(0..=1000))),
    key("give_up_after", DURATION, |r, v| set_some(&mut r.retry.give_up_after, v.duration())),
    key("on_next", STRING, |r, v| {
        set(&mut r.retry.on_next, v.word());
    }),
    key("lost", BOOL, |r, v| set(&mut r.retry.lost, v.bool())),
];

/// The keys of `limits`.
pub(super) const LIMITS: &[Key<Limits>] = &[
    key("cpu_time", DURATION, |l, v| set_some(&mut l.cpu_time, whole_seconds(v))),
    key("open_files", NUMBER, |l, v| set_some(&mut l.open_files, v.number(3..=1_000_000_000))),
    key("processes", NUMBER, |l, v| set_some(&mut l.processes, v.number(1..=1_000_000_000))),
    key("file_size", SIZE, |l, v| set_some(&mut l.file_size, v.size(0, u64::MAX))),
    key("address_space", SIZE, |l, v| set_some(&mut l.address_space, v.size(1 << 20, u64::MAX))),
    key("memory", SIZE, |l, v| set_some(&mut l.memory, v.size(1 << 20, u64::MAX))),
];

/// The keys of `keep`.
pub(super) const KEEP: &[Key<Keep>] = &[
    key("succeeded", DURATION, |k, v| set(&mut k.succeeded, v.duration_or_zero())),
    key("failed", DURATION, |k, v| set(&mut k.failed, v.duration_or_zero())),
    key("runs", NUMBER, |k, v| set(&mut k.runs, v.number(1..=1_000_000_000))),
];

/// The keys of `heartbeat`.
pub(super) const HEARTBEAT: &[Key<HeartbeatDraft>] = &[
    key("command", COMMAND, |h, v| set_some(&mut h.command, v.command())),
    key("file", STRING, |h, v| set_some(&mut h.file, v.path())),
    key("every", DURATION, |h, v| set_some(&mut h.every, v.duration())),
];

/// The keys of a table as value of `env`.
pub(super) const ENV_VALUE: &[Key<Option<Box<str>>>] =
    &[key("file", STRING, |file, v| set_some(file, v.path()))];

/// Reports a value that is not a table; its content is read elsewhere.
pub(super) fn expect_table(value: &Value<'_>) {
    match value.node.get_ref() {
        DeValue::Table(_) => {}
        DeValue::Array(_) => {
            value.complain_of_type(Some("write [...] around the name, not [[...]]".to_owned()))
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => value.complain_of_type(None),
    }
}

/// Reads a shell: a program that takes the text after `-c`, or all words that precede the text.
pub(super) fn shell(value: &Value<'_>) -> Option<Box<[Box<str>]>> {
    if matches!(value.node.get_ref(), DeValue::Array(_)) {
        return value.program();
    }
    let text = value.fits_argument(value.words()?)?;
    if text.contains(char::is_whitespace) {
        let words: Vec<_> = text.split_whitespace().collect();
        value.complain("has several words", Some(format!("write `shell = {words:?}`")));
        return None;
    }
    Some(Box::from([Box::from(text), Box::from("-c")]))
}

/// Reads former names of a job.
pub(super) fn was(value: &Value<'_>) -> Option<Box<[Name]>> {
    one_or_each(value, "a string", Value::job_name).map(Vec::into_boxed_slice)
}

/// Reads the elements of an array; any other value counts as an array of one element.
pub(super) fn one_or_each<'a, T>(
    value: &Value<'a>,
    wants: &'static str,
    read: impl Fn(&Value<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    if matches!(value.node.get_ref(), DeValue::Array(_)) {
        return value.each(wants, read);
    }
    read(value).map(|only| vec![only])
}

/// Reads how long to keep runs: a table, or one duration for succeeded and failed ones.
pub(super) fn keep(value: &Value<'_>) -> Option<Keep> {
    let mut keep = Keep::default();
    if matches!(value.node.get_ref(), DeValue::String(_)) {
        let span = value.duration_or_zero()?;
        return Some(Keep { succeeded: span, failed: span, ..keep });
    }
    value.table(KEEP, &mut keep)?;
    Some(keep)
}

/// Reads the name of a lock, or its template.
pub(super) fn lock(value: &Value<'_>) -> Option<Box<str>> {
    let text = value.text()?;
    match units::check_lock(text) {
        Ok(()) => Some(text.into()),
        Err(reason) => {
            value.complain(
                reason,
                Some("name a lock like a job; only `{1}` is replaced, by the argument".to_owned()),
            );
            None
        }
    }
}

/// Reads a rate of starts.
pub(super) fn rate(value: &Value<'_>) -> Option<Rate> {
    units::parse_rate(value.text()?)
        .map_err(|usage| value.complain("is not a rate", Some(usage.to_owned())))
        .ok()
}

/// A `retry` table while it is being read.
#[derive(Default)]
pub(super) struct RetryDraft {
    /// `max`, if given.
    pub(super) max: Option<RetryMax>,
    /// The other keys.
    pub(super) retry: Retry,
}

/// Reads a number of retries, or a table with the whole policy.
pub(super) fn retry(value: &Value<'_>) -> Option<Retry> {
    let mut draft = RetryDraft::default();
    if matches!(value.node.get_ref(), DeValue::Table(_)) {
        value.table(RETRY, &mut draft)?;
        check_retry(&draft, value);
    } else {
        draft.max = Some(times(value)?);
    }
    Some(Retry { max: draft.max.unwrap_or(RetryMax::Times(0)), ..draft.retry })
}

/// Reads a number of retries.
pub(super) fn times(value: &Value<'_>) -> Option<RetryMax> {
    if value.node.get_ref().as_str() == Some("unlimited") {
        value.complain("is not enough", Some("write `retry = { max = \"unlimited\" }`".to_owned()));
        return None;
    }
    value.number(0..=RETRIES_MAX).map(RetryMax::Times)
}

fn check_retry(draft: &RetryDraft, value: &Value<'_>) {
    if draft.retry.delay > draft.retry.max_delay {
        let (delay, max) = (draft.retry.delay, draft.retry.max_delay);
        let delay = humantime::format_duration(delay);
        let message = format!(
            "`delay` {delay} is longer than `max_delay` {}",
            humantime::format_duration(max)
        );
        value.complain(message, Some(format!("write `max_delay = \"{delay}\"` or more")));
    }
    if draft.max.is_none() && !value.has("max") {
        let message = format!("`{}` has no `max`, so nothing is retried", value.name);
        let hint = "write `max = 3`, or `max = \"unlimited\"`".to_owned();
        value.scope.note(value.offset(), message, Some(hint));
    }
}

/// Reads a signal.
pub(super) fn signal(value: &Value<'_>) -> Option<i32> {
    let text = value.text()?;
    let number = units::parse_signal(text);
    if number.is_none() {
        let names: Vec<_> = units::SIGNALS.iter().map(|(name, _)| *name).collect();
        let upper = text.to_ascii_uppercase();
        let near =
            units::nearest(upper.strip_prefix("SIG").unwrap_or(&upper), names.iter().copied());
        value.complain(format_args!("is not one of {}", names.join(", ")), near.map(did_you_mean));
    }
    number
}

/// Reads exit codes, sorted and without duplicates.
pub(super) fn exit_codes(value: &Value<'_>) -> Option<Box<[u8]>> {
    let mut codes: Vec<u8> = one_or_each(value, "a whole number", |item| item.number(0..=255))?;
    codes.sort_unstable();
    codes.dedup();
    Some(codes.into())
}

/// Reads exit codes, at least one.
pub(super) fn success_exit(value: &Value<'_>) -> Option<Box<[u8]>> {
    let codes = exit_codes(value)?;
    if codes.is_empty() {
        value.complain("is empty, so the job could never succeed", Some("write `[0]`".to_owned()));
        return None;
    }
    Some(codes)
}

/// Reads a file mode creation mask.
pub(super) fn umask(value: &Value<'_>) -> Option<u32> {
    let mask = units::parse_umask(value.text()?);
    if mask.is_none() {
        value.complain("is not an octal mask", Some("write \"022\", up to \"0777\"".to_owned()));
    }
    mask
}

/// Reads the name of a user or group.
pub(super) fn account(value: &Value<'_>) -> Option<Box<str>> {
    let text = value.words()?;
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/' | ',')) {
        value.complain("is not an account name", None);
        return None;
    }
    Some(text.into())
}

/// Reads a mail address; empty text means no mail.
pub(super) fn address(value: &Value<'_>) -> Option<Option<Box<str>>> {
    let text = value.text()?;
    if text.trim().is_empty() {
        return Some(None);
    }
    if text.starts_with('-') || text.chars().any(char::is_control) {
        value.complain(
            "is not a mail address",
            Some("write `ops@example.org`, or a local user".to_owned()),
        );
        return None;
    }
    Some(Some(text.into()))
}

/// Adds variables, replacing those with the same name.
pub(super) fn env(into: &mut Box<[(Box<str>, EnvValue)]>, value: &Value<'_>) {
    let DeValue::Table(table) = value.node.get_ref() else {
        value.complain_of_type(None);
        return;
    };
    let mut merged: BTreeMap<Box<str>, EnvValue> = std::mem::take(into).into_iter().collect();
    for (key, node) in table {
        let name = key.get_ref().as_ref();
        check_env_name(name, key.span().start, value);
        let full = format!("{}.{name}", value.name);
        let item =
            Value { scope: value.scope, name: full, wants: "a string or { file = \"...\" }", node };
        if let Some(item) = env_value(&item) {
            merged.insert(name.into(), item);
        }
    }
    if merged.len() > ENV_COUNT_MAX {
        value.complain(format_args!("{} variables, more than {ENV_COUNT_MAX}", merged.len()), None);
    }
    *into = merged.into_iter().collect();
}

fn check_env_name(name: &str, offset: usize, value: &Value<'_>) {
    let reason = match name {
        "" => "is empty",
        _ if name.contains('=') => "contains `=`",
        _ if name.contains('\0') => "contains a NUL character",
        _ if name.starts_with("JOBCTL_") => "is set by jobctl itself",
        _ => return,
    };
    let message = format!("{}: the name {name:?} {reason}", value.name);
    value.scope.report(offset, message, Some("choose another name".to_owned()));
}

fn env_value(value: &Value<'_>) -> Option<EnvValue> {
    if let DeValue::Table(table) = value.node.get_ref() {
        let mut file = None;
        value.table(ENV_VALUE, &mut file)?;
        if table.is_empty() {
            value.complain(
                "has no `file`",
                Some("write `{ file = \"/run/secrets/...\" }`".to_owned()),
            );
        }
        return file.map(EnvValue::File);
    }
    value.text().and_then(|text| value.fits_argument(text)).map(|text| EnvValue::Text(text.into()))
}

/// Reads a path or glob to watch.
pub(super) fn watch(value: &Value<'_>) -> Option<Box<str>> {
    let path = value.path()?;
    if let Err(error) = glob::Pattern::new(&path) {
        value.complain(format_args!("is not a glob: {}", error.msg), None);
        return None;
    }
    let dir = std::path::Path::new(&*path).parent();
    if dir.is_some_and(|dir| dir.to_string_lossy().contains(['*', '?', '['])) {
        value.complain(
            "has a wildcard before its last part",
            Some("watch one directory in each job".to_owned()),
        );
        return None;
    }
    Some(path)
}

/// Reads the template of a run's key.
pub(super) fn key_template(value: &Value<'_>) -> Option<Box<str>> {
    let text = value.words()?;
    units::check_key_template(text)
        .map_err(|usage| value.complain("is not a template", Some(usage.to_owned())))
        .ok()
        .map(|()| text.into())
}

/// Reads a duration of whole seconds, at least one.
pub(super) fn whole_seconds(value: &Value<'_>) -> Option<Duration> {
    let span = value.duration()?;
    if span.subsec_nanos() != 0 {
        value.complain("is not a whole number of seconds", None);
        return None;
    }
    Some(span)
}

/// A `heartbeat` table while it is being read.
#[derive(Default)]
pub(super) struct HeartbeatDraft {
    /// `command`.
    pub(super) command: Option<CommandLine>,
    /// `file`.
    pub(super) file: Option<Box<str>>,
    /// `every`.
    pub(super) every: Option<Duration>,
}

/// Reads the target and the interval of the heartbeat.
pub(super) fn heartbeat(value: &Value<'_>) -> Option<(HeartbeatTarget, Duration)> {
    let mut draft = HeartbeatDraft::default();
    value.table(HEARTBEAT, &mut draft)?;
    if !value.has("every") {
        value.complain("has no `every`", Some("write `every = \"1m\"`".to_owned()));
    }
    if value.has("command") == value.has("file") {
        value.complain("needs one of `command` and `file`", Some("write one of them".to_owned()));
        return None;
    }
    let target =
        draft.command.map(HeartbeatTarget::Command).or(draft.file.map(HeartbeatTarget::File));
    target.zip(draft.every)
}

impl Value<'_> {
    /// Returns whether this table has a key, valid or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node.get_ref().as_table().is_some_and(|table| table.contains_key(key))
    }
}
