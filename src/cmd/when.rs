//! Times and durations between people and the crate: what they type, and what they are shown.
//!
//! Times are read and shown in the viewer's zone; JSON has them in UTC with milliseconds.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use crate::cmd::{Failure, Result};
use crate::core::duration::parse_duration;
use crate::core::local::{instants, local};
use crate::core::schedule::Zone;
use crate::core::time::Wall;

const DAY_SECS: i64 = 86_400;

/// Where a duration or a bare time of day points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toward {
    /// So long ago; the last time it was so late.
    Past,
    /// So long from now; the next time it will be so late.
    Future,
}

/// The one who looks: a zone and a present.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// The viewer's zone.
    pub(crate) zone: Zone,
    /// When the command was called.
    pub(crate) now: Wall,
}

impl Viewer {
    /// Reads RFC 3339, `YYYY-MM-DD[ HH:MM[:SS]]`, `HH:MM[:SS]` or a duration. The error is one of
    /// usage.
    pub(crate) fn parse(&self, text: &str, toward: Toward) -> Result<Wall> {
        let text = text.trim();
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Wall::from_ms(at.timestamp_millis()));
        }
        if let Some(local) = local_time(text) {
            return Ok(from_local(&self.zone, local));
        }
        if let Some(time) = time_of_day(text) {
            return Ok(self.nearest(time, toward));
        }
        let is_duration = text.starts_with(|c: char| c.is_ascii_digit());
        if !is_duration || text.contains([':', 'T']) || text.matches('-').count() > 1 {
            return Err(Failure::usage(format!("`{text}` is not a time")).hint(
                "write 2026-07-26 02:30, 02:30, 2026-07-26T02:30:00Z or a duration such as 90m",
            ));
        }
        let span = self.parse_span(text)?;
        Ok(match toward {
            Toward::Past => self.now - span,
            Toward::Future => self.now + span,
        })
    }

    /// Reads a duration. The error is one of usage.
    pub(crate) fn parse_span(&self, text: &str) -> Result<Duration> {
        parse_duration(text).map_err(|error| Failure::usage(error.message).hint(error.hint))
    }

    /// A time as `YYYY-MM-DD HH:MM:SS` in the viewer's zone.
    pub(crate) fn show(&self, at: Wall) -> String {
        local_text(&self.zone, at)
    }

    /// What the viewer's clock shows at a time; none where the calendar ends.
    pub(crate) fn local(&self, at: Wall) -> Option<NaiveDateTime> {
        local(&self.zone, at)
    }

    /// The time at which the viewer's clock shows this, the first of two.
    pub(crate) fn at_local(&self, time: NaiveDateTime) -> Wall {
        from_local(&self.zone, time)
    }

    /// A time as seen from now: `in 3h 12m`, `5m 3s ago`.
    pub(crate) fn relative(&self, at: Wall) -> String {
        let ms = at.ms().saturating_sub(self.now.ms());
        match ms {
            0..=999 => "now".to_owned(),
            -999..0 => "just now".to_owned(),
            1000.. => format!("in {}", span(ms / 1000 * 1000)),
            _ => format!("{} ago", span(ms.saturating_neg() / 1000 * 1000)),
        }
    }

    /// The time of day nearest to now in a direction.
    fn nearest(&self, time: NaiveTime, toward: Toward) -> Wall {
        let today = local(&self.zone, self.now).map_or_else(NaiveDate::default, |at| at.date());
        let on =
            |date: Option<NaiveDate>| date.map(|date| from_local(&self.zone, date.and_time(time)));
        let at = on(Some(today)).unwrap_or(self.now);
        match toward {
            Toward::Past if at > self.now => on(today.pred_opt()).unwrap_or(at),
            Toward::Future if at < self.now => on(today.succ_opt()).unwrap_or(at),
            Toward::Past | Toward::Future => at,
        }
    }
}

/// A time as `YYYY-MM-DD HH:MM:SS` in a zone.
pub(crate) fn local_text(zone: &Zone, at: Wall) -> String {
    local(zone, at)
        .map_or_else(|| out_of_range(at), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// A duration in its two largest units: `850ms`, `3.2s`, `45s`, `3m 20s`, `3h 12m`, `2d 4h`.
pub(crate) fn span(ms: i64) -> String {
    let ms = ms.max(0);
    let secs = ms / 1000;
    let pair = |value: i64, unit: &str, rest: i64, rest_unit: &str| match rest {
        0 => format!("{value}{unit}"),
        _ => format!("{value}{unit} {rest}{rest_unit}"),
    };
    match secs {
        0 => format!("{ms}ms"),
        1..10 if ms % 1000 >= 100 => format!("{secs}.{}s", ms % 1000 / 100),
        1..60 => format!("{secs}s"),
        60..3600 => pair(secs / 60, "m", secs % 60, "s"),
        3600..DAY_SECS => pair(secs / 3600, "h", secs % 3600 / 60, "m"),
        _ => pair(secs / DAY_SECS, "d", secs % DAY_SECS / 3600, "h"),
    }
}

/// The instant at which the clock on the wall shows `time`: the first of two, and in a gap the one
/// as long after it.
fn from_local(zone: &Zone, time: NaiveDateTime) -> Wall {
    instants(zone, time).0
}

fn local_time(text: &str) -> Option<NaiveDateTime> {
    let full = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"];
    let midnight = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    full.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).or_else(midnight)
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    ["%H:%M:%S", "%H:%M"].iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok())
}

fn out_of_range(at: Wall) -> String {
    format!("{} ms", at.ms())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::schedule::Transition;

    /// 2026: summer time from 29 March 01:00 UTC to 25 October 01:00 UTC.
    fn berlin() -> Zone {
        let transition = |at_secs, offset_secs| Transition { at_secs, offset_secs };
        Zone {
            name: "Europe/Berlin".into(),
            offset_first_secs: 3600,
            transitions: Box::from([
                transition(1_774_746_000, 7200),
                transition(1_792_890_000, 3600),
            ]),
        }
    }

    /// 2026-07-26 14:00:00 in Berlin.
    fn viewer() -> Viewer {
        Viewer { zone: berlin(), now: Wall::from_secs(1_785_067_200) }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let viewer = viewer();
        for (text, toward, utc_text) in [
            ("2026-07-26T02:30:00Z", Toward::Past, "2026-07-26T02:30:00.000Z"),
            ("2026-07-26T02:30:00.5+02:00", Toward::Past, "2026-07-26T00:30:00.500Z"),
            ("2026-07-26", Toward::Past, "2026-07-25T22:00:00.000Z"),
            ("2026-01-26 02:30", Toward::Past, "2026-01-26T01:30:00.000Z"),
            ("2026-07-26 02:30:15", Toward::Past, "2026-07-26T00:30:15.000Z"),
            ("13:00", Toward::Past, "2026-07-26T11:00:00.000Z"),
            ("15:00", Toward::Past, "2026-07-25T13:00:00.000Z"),
            ("15:00", Toward::Future, "2026-07-26T13:00:00.000Z"),
            ("13:00", Toward::Future, "2026-07-27T11:00:00.000Z"),
            ("90m", Toward::Past, "2026-07-26T10:30:00.000Z"),
            ("1h 30m", Toward::Future, "2026-07-26T13:30:00.000Z"),
        ] {
            assert_eq!(
                viewer.parse(text, toward).map(Wall::rfc3339_ms).as_deref(),
                Ok(utc_text),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_an_error_of_usage() {
        for text in
            ["", "90", "yesterday", "25:00", "2026-13-01", "2026-02-30 10:00", "-5m", "1M", "12:"]
        {
            let failure = viewer().parse(text, Toward::Past).unwrap_err();
            assert_eq!(failure.code, crate::cmd::exit::Exit::Usage, "{text}");
            assert!(failure.hint.is_some(), "{text}");
        }
    }

    #[test]
    fn a_word_is_not_a_time_and_a_number_has_no_unit() {
        let message = |text| viewer().parse(text, Toward::Past).unwrap_err().message;
        assert_eq!(message("foo"), "`foo` is not a time");
        assert_eq!(message("90"), "`90` has no unit");
    }

    #[test]
    fn a_local_time_in_a_fold_is_the_first_and_in_a_gap_the_one_after() {
        let viewer = viewer();
        let read = |text| viewer.parse(text, Toward::Past).map(Wall::rfc3339_ms).unwrap();
        assert_eq!(read("2026-10-25 02:30"), "2026-10-25T00:30:00.000Z");
        assert_eq!(read("2026-03-29 02:30"), "2026-03-29T01:30:00.000Z");
        assert_eq!(read("2026-03-29 01:59"), "2026-03-29T00:59:00.000Z");
        assert_eq!(read("2026-03-29 03:00"), "2026-03-29T01:00:00.000Z");
    }

    #[test]
    fn times_are_shown_in_the_zone_asked_for() {
        let at = Wall::from_ms(1_785_067_200_250);
        assert_eq!(viewer().show(at), "2026-07-26 14:00:00");
        assert_eq!(at.rfc3339_ms(), "2026-07-26T12:00:00.250Z");
        assert_eq!(crate::core::local::with_offset(&berlin(), at), "2026-07-26T14:00:00.250+02:00");
        assert_eq!(viewer().show(Wall::from_ms(i64::MAX)), "9223372036854775807 ms");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        for (ms, text) in [
            (0, "0ms"),
            (850, "850ms"),
            (1000, "1s"),
            (3_250, "3.2s"),
            (45_900, "45s"),
            (60_000, "1m"),
            (200_000, "3m 20s"),
            (11_520_000, "3h 12m"),
            (86_400_000, "1d"),
            (187_200_000, "2d 4h"),
            (-1, "0ms"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn a_time_is_near_or_far_from_now() {
        let viewer = viewer();
        assert_eq!(viewer.relative(viewer.now), "now");
        assert_eq!(viewer.relative(viewer.now - Duration::from_millis(9)), "just now");
        assert_eq!(viewer.relative(viewer.now + Duration::from_secs(11_520)), "in 3h 12m");
        assert_eq!(viewer.relative(viewer.now - Duration::from_millis(9_900)), "9s ago");
    }
}
