//! Fixed times that a coming day does not have, because clocks go forward over them.

use chrono::DateTime;

use super::{Subject, Words};
use crate::core::schedule::{Calendar, Span};
use crate::core::time::Wall;

/// How far is looked ahead: far enough for two changes of every zone that has them each year.
const AHEAD_SECS: i64 = 400 * 86_400;

/// Says which day lacks the time, and when it runs instead.
pub(super) fn look(subject: &Subject<'_>, text: &str, calendar: &Calendar) -> Option<Words> {
    if !subject.job.policy.enabled {
        return None;
    }
    let span = Span {
        after: subject.from,
        until: Wall::from_secs(subject.from.secs().saturating_add(AHEAD_SECS)),
    };
    let moved = calendar.moved(subject.zone, span)?;
    let (first, back) = (format("%H:%M", moved.first), format("%H:%M", moved.gap_to));
    let times = match moved.count {
        1 => format!("{first} does not exist"),
        count => format!("{count} times starting at {first} do not exist"),
    };
    let once = if moved.count > 1 { "once, " } else { "" };
    let message = format!(
        "schedule `{text}`: {times} on {} in {}, when clocks go forward from {} to {back}: it runs {once}at {back}",
        format("%Y-%m-%d", moved.first),
        subject.zone.name,
        format("%H:%M", moved.gap_from),
    );
    Some((message, format!("choose a time outside that hour if {back} does not suit")))
}

/// A minute of the wall.
fn format(format: &str, minute: i64) -> String {
    let at = DateTime::from_timestamp(minute * 60, 0).unwrap_or_default();
    at.format(format).to_string()
}
