//! Parses points in time as people write them: a date, a time of day, or a span from now.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use super::duration::{DurationError, parse_duration};
use super::local::{instants, local};
use super::schedule::Zone;
use super::time::Wall;

/// The direction in which a duration or a bare time of day is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toward {
    /// That long ago; the most recent such time of day.
    Past,
    /// That long from now; the next such time of day.
    Future,
}

/// Parses RFC 3339, `YYYY-MM-DD[ HH:MM[:SS]]`, `HH:MM[:SS]` or a duration, in a zone.
pub(crate) fn parse(
    text: &str,
    (zone, now): (&Zone, Wall),
    toward: Toward,
) -> Result<Wall, DurationError> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Wall::from_ms(at.timestamp_millis()));
    }
    if let Some(local) = local_time(text) {
        return Ok(from_local(zone, local));
    }
    if let Some(time) = time_of_day(text) {
        return Ok(nearest(time, (zone, now), toward));
    }
    let is_duration = text.starts_with(|c: char| c.is_ascii_digit());
    if !is_duration || text.contains([':', 'T']) || text.matches('-').count() > 1 {
        return Err(DurationError {
            message: format!("`{text}` is not a time"),
            hint: "write 2026-07-26 02:30, 02:30, 2026-07-26T02:30:00Z or a duration such as 90m"
                .to_owned(),
        });
    }
    let span = parse_duration(text)?;
    Ok(match toward {
        Toward::Past => now - span,
        Toward::Future => now + span,
    })
}

/// Returns the instant at which local clocks show `time`: the first of two, and for a time that a
/// clock change skips, the instant as long after the change.
pub(crate) fn from_local(zone: &Zone, time: NaiveDateTime) -> Wall {
    instants(zone, time).0
}

/// Returns the instant nearest to now in one direction with this time of day.
fn nearest(time: NaiveTime, (zone, now): (&Zone, Wall), toward: Toward) -> Wall {
    let today = local(zone, now).map_or_else(NaiveDate::default, |at| at.date());
    let on = |date: Option<NaiveDate>| date.map(|date| from_local(zone, date.and_time(time)));
    let at = on(Some(today)).unwrap_or(now);
    match toward {
        Toward::Past if at > now => on(today.pred_opt()).unwrap_or(at),
        Toward::Future if at < now => on(today.succ_opt()).unwrap_or(at),
        Toward::Past | Toward::Future => at,
    }
}

fn local_time(text: &str) -> Option<NaiveDateTime> {
    let full = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"];
    let midnight = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    full.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).or_else(midnight)
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    ["%H:%M:%S", "%H:%M"].iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok())
}
