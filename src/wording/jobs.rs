//! Texts about jobs: their present state, anything unusual, and their settings.

use super::when::{Viewer, span};
use crate::core::job::CommandLine;
use crate::core::schedule::Schedule;
use crate::core::time::Wall;
use crate::facts::overview::JobStatus;
use crate::facts::queue::{Progress, Rate};
use crate::store::JobRow;

/// Describes the present state of a job and anything unusual.
pub(crate) fn now(view: &JobStatus<'_>, viewer: &Viewer) -> String {
    let count = |name: &str, counter: fn(&JobRow) -> i64| {
        let count = view.row.map_or(0, counter);
        (count > 0).then(|| format!("{count} {name}"))
    };
    let late = view.late.then(|| {
        let since = view.late_at.map(|at| viewer.roughly(at));
        let span = since.as_deref().and_then(|since| since.strip_suffix(" ago"));
        span.map_or("late".to_owned(), |span| format!("late for {span}"))
    });
    let missed = view.missed_at.map(|at| format!("missed {}", clock_of(viewer, at)));
    let lost = view.lost_output().map(str::to_owned);
    let note = Some(note(view, viewer)).filter(|note| !note.is_empty());
    let parts = [
        count("failed", |row| row.failed),
        late,
        missed,
        count("running", |row| row.running),
        count("queued", |row| row.queued),
        count("retrying", |row| row.retrying),
        count("due later", |row| row.scheduled),
        time_left(view.progress.as_ref()).map(|span| format!("~{span} left")),
        lost,
        note,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Describes the time left of a queue, if more runs wait than are running.
fn time_left(progress: Option<&Progress>) -> Option<String> {
    let progress = progress.filter(|progress| progress.left > 1)?;
    Some(span(progress.rate?.left_ms))
}

/// Describes anything unusual about a job.
pub(crate) fn note(view: &JobStatus<'_>, viewer: &Viewer) -> String {
    match view.job {
        None => return "not in the jobfile".to_owned(),
        Some(job) if !job.policy.enabled => return "not enabled".to_owned(),
        Some(_) => {}
    }
    let Some(pause) = view.own_pause(viewer.now) else {
        return String::new();
    };
    let said = view.row.map(|row| row.pause_note.clone()).unwrap_or_default();
    let by = said.author().map(|by| format!(" by {by}")).unwrap_or_default();
    let when = match pause.until {
        Some(until) => format!(", ends {}", viewer.relative(until)),
        None => format!(" since {}", clock_of(viewer, pause.since)),
    };
    let reason = said.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("paused{by}{when}{reason}")
}

/// Formats the author and reason of a pause, to be appended.
pub(crate) fn noted(text: String) -> String {
    if text.is_empty() { text } else { format!(", {text}") }
}

/// Explains why the next time of a job with a schedule is unknown.
pub(crate) fn no_next(view: &JobStatus<'_>) -> Option<&'static str> {
    let job = view.job.filter(|job| job.policy.enabled)?;
    let fires =
        |test: fn(&Schedule) -> bool| job.schedules.iter().any(|(_, schedule)| test(schedule));
    if fires(|schedule| matches!(schedule, Schedule::Reboot)) {
        Some("at boot")
    } else {
        fires(|schedule| matches!(schedule, Schedule::Every(_))).then_some("once loaded")
    }
}

/// A command as it was written; the words of an array with blanks between them.
pub(crate) fn command(command: &CommandLine) -> String {
    match command {
        CommandLine::Shell(text) => text.to_string(),
        CommandLine::Exec(words) => words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" "),
    }
}

/// Formats an expression, with its `H` replaced by values.
pub(crate) fn with_values(text: &str, resolved: Option<&str>) -> String {
    resolved.map_or_else(|| text.to_owned(), |resolved| format!("{text} = {resolved}"))
}

/// Formats a time briefly: the day only if it is another one, the seconds only if not zero.
pub(crate) fn clock_of(viewer: &Viewer, at: Wall) -> String {
    let (text, today) = (viewer.show(at), viewer.show(viewer.now));
    let (day, time) = text.split_once(' ').unwrap_or(("", &text));
    let time = time.strip_suffix(":00").unwrap_or(time);
    match (today.starts_with(day), day.get(..4) == today.get(..4)) {
        (true, _) => time.to_owned(),
        (false, true) => format!("{} {time}", day.get(5..).unwrap_or(day)),
        (false, false) => format!("{day} {time}"),
    }
}

/// `372/min`, `4.5/min`, `12/h`.
pub(crate) fn rate_text(rate: Rate) -> String {
    let in_tenths = |unit_ms: i64| rate.ended.saturating_mul(10 * unit_ms) / rate.in_ms;
    let (tenths, unit) = match in_tenths(60_000) {
        tenths @ 10.. => (tenths, "min"),
        _ => (in_tenths(3_600_000), "h"),
    };
    match tenths {
        100.. => format!("{}/{unit}", tenths / 10),
        _ => format!("{}.{}/{unit}", tenths / 10, tenths % 10),
    }
}
