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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::schedule::Transition;

    const HOUR: i64 = 3600;

    /// An hour east of UTC; two from hour 100 to hour 300.
    fn zone() -> Zone {
        let change = |hour, offset_secs| Transition { at_secs: hour * HOUR, offset_secs };
        Zone {
            name: "test".into(),
            offset_first_secs: 3600,
            transitions: Box::from([change(100, 7200), change(300, 3600)]),
        }
    }

    fn at(hour: i64, minute: i64) -> Wall {
        Wall::from_secs(hour * HOUR + minute * 60)
    }

    fn shown(hour: i64, minute: i64) -> NaiveDateTime {
        DateTime::from_timestamp(hour * HOUR + minute * 60, 0).unwrap().naive_utc()
    }

    #[test]
    fn a_change_counts_from_its_first_second_on() {
        let (forward, back) = (100 * HOUR, 300 * HOUR);
        for (secs, offset) in
            [(0, 3600), (forward - 1, 3600), (forward, 7200), (back - 1, 7200), (back, 3600)]
        {
            assert_eq!(offset_at(&zone(), secs), offset, "{secs}");
        }
        assert_eq!(local(&zone(), at(99, 59)), Some(shown(100, 59)));
        assert_eq!(local(&zone(), at(100, 0)), Some(shown(102, 0)));
        assert_eq!(local(&zone(), Wall::from_ms(i64::MAX)), None);
    }

    #[test]
    fn a_time_stands_with_the_offset_of_its_instant() {
        assert_eq!(with_offset(&zone(), at(9, 0)), "1970-01-01T10:00:00.000+01:00");
        assert_eq!(with_offset(&zone(), at(100, 0)), "1970-01-05T06:00:00.000+02:00");
        assert_eq!(with_offset(&zone(), Wall::from_ms(i64::MAX)), format!("{} ms", i64::MAX));
    }

    #[test]
    fn a_clock_shows_most_times_once_some_twice_and_some_never() {
        for (time, first, last) in [
            (shown(9, 0), at(8, 0), at(8, 0)),
            (shown(110, 0), at(108, 0), at(108, 0)),
            (shown(301, 30), at(299, 30), at(300, 30)),
            (shown(101, 30), at(100, 30), at(100, 30)),
        ] {
            assert_eq!(instants(&zone(), time), (first, last), "{time}");
        }
    }
}
