//! What the clocks of a zone show, and when they show it.

use chrono::{DateTime, FixedOffset, NaiveDateTime, SecondsFormat};

use super::schedule::Zone;
use super::time::Wall;

const DAY_SECS: i64 = 86_400;

/// Seconds east of UTC at an instant.
pub(crate) fn offset_at(zone: &Zone, secs: i64) -> i32 {
    let passed = zone.transitions.partition_point(|transition| transition.at_secs <= secs);
    match passed.checked_sub(1) {
        Some(last) => zone.transitions[last].offset_secs,
        None => zone.offset_first_secs,
    }
}

/// Returns the local time of an instant; none beyond the end of the calendar.
pub(crate) fn local(zone: &Zone, at: Wall) -> Option<NaiveDateTime> {
    let offset_ms = i64::from(offset_at(zone, at.secs())) * 1000;
    DateTime::from_timestamp_millis(at.ms().checked_add(offset_ms)?).map(|time| time.naive_utc())
}

/// A time with the offset a zone has then, with milliseconds (RFC 3339).
pub(crate) fn with_offset(zone: &Zone, at: Wall) -> String {
    let offset = FixedOffset::east_opt(offset_at(zone, at.secs()));
    match (DateTime::from_timestamp_millis(at.ms()), offset) {
        (Some(time), Some(offset)) => {
            time.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::Millis, false)
        }
        _ => format!("{} ms", at.ms()),
    }
}

/// The instants at which the clock on the wall shows a time, the first and the last one; they
/// differ where it is shown twice. In a gap both are the one as long after it.
pub(crate) fn instants(zone: &Zone, time: NaiveDateTime) -> (Wall, Wall) {
    let shown = time.and_utc().timestamp();
    let offset = |secs: i64| offset_at(zone, secs);
    let (before, after) =
        (offset(shown.saturating_sub(DAY_SECS)), offset(shown.saturating_add(DAY_SECS)));
    let is_right = |it: &i32| offset(shown.saturating_sub(i64::from(*it))) == *it;
    let found = [before, after].into_iter().filter(is_right);
    let at = |it: i32| {
        Wall::from_ms(time.and_utc().timestamp_millis().saturating_sub(i64::from(it) * 1000))
    };
    let first = found.clone().map(at).min().unwrap_or_else(|| at(before));
    (first, found.map(at).max().unwrap_or(first))
}
