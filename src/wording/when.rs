//! Formats times and durations for people, in the viewer's zone.

use chrono::NaiveDateTime;

use crate::core::local::local;
use crate::core::moment::from_local;
use crate::core::schedule::Zone;
use crate::core::time::Wall;

const DAY_SECS: i64 = 86_400;

/// The viewer: a time zone and the current time.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// The viewer's zone.
    pub(crate) zone: Zone,
    /// When the command was called.
    pub(crate) now: Wall,
}

impl Viewer {
    /// Formats a time as `YYYY-MM-DD HH:MM:SS` in the viewer's zone.
    pub(crate) fn show(&self, at: Wall) -> String {
        local_text(&self.zone, at)
    }

    /// Formats a time both ways: `2026-07-26 14:00:00 (5m 3s ago)`.
    pub(crate) fn both(&self, at: Wall) -> String {
        format!("{} ({})", self.show(at), self.relative(at))
    }

    /// Converts an instant to the viewer's local time; `None` outside the calendar.
    pub(crate) fn local(&self, at: Wall) -> Option<NaiveDateTime> {
        local(&self.zone, at)
    }

    /// Converts a local time of the viewer to an instant, the first of two.
    pub(crate) fn at_local(&self, time: NaiveDateTime) -> Wall {
        from_local(&self.zone, time)
    }

    /// Formats a time relative to now: `in 3h 12m`, `5m 3s ago`.
    pub(crate) fn relative(&self, at: Wall) -> String {
        let ms = at.ms().saturating_sub(self.now.ms());
        match ms {
            0..=999 => "now".to_owned(),
            -999..0 => "just now".to_owned(),
            1000.. => format!("in {}", span(ms / 1000 * 1000)),
            _ => format!("{} ago", span(ms.saturating_neg() / 1000 * 1000)),
        }
    }

    /// Formats a time relative to now in one unit: `in 3h`, `5m ago`.
    pub(crate) fn roughly(&self, at: Wall) -> String {
        let text = self.relative(at);
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            ["in", first, _] => format!("in {first}"),
            [first, _, "ago"] => format!("{first} ago"),
            _ => text,
        }
    }
}

/// Formats a time as `YYYY-MM-DD HH:MM:SS` in a zone.
pub(crate) fn local_text(zone: &Zone, at: Wall) -> String {
    local(zone, at)
        .map_or_else(|| out_of_range(at), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// Formats a duration in its two largest units: `850ms`, `3.2s`, `45s`, `3m 20s`, `3h 12m`, `2d
/// 4h`.
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

fn out_of_range(at: Wall) -> String {
    format!("{} ms", at.ms())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

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
    pub(crate) fn viewer() -> Viewer {
        Viewer { zone: berlin(), now: Wall::from_secs(1_785_067_200) }
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
        assert_eq!(viewer.roughly(viewer.now), "now");
        assert_eq!(viewer.roughly(viewer.now + Duration::from_secs(11_520)), "in 3h");
        assert_eq!(viewer.roughly(viewer.now - Duration::from_secs(11_520)), "3h ago");
        assert_eq!(viewer.relative(viewer.now - Duration::from_millis(9)), "just now");
        assert_eq!(viewer.relative(viewer.now + Duration::from_secs(11_520)), "in 3h 12m");
        assert_eq!(viewer.relative(viewer.now - Duration::from_millis(9_900)), "9s ago");
    }
}
