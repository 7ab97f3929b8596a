//! Axes of pictures: round values, and the positions of times.

use chrono::{Datelike, Days, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use crate::core::time::Wall;
use crate::wording::when::Viewer;

/// Lines of a value axis, at most.
const LINES_MAX: i64 = 4;

const SEC: i64 = 1000;
const MIN: i64 = 60 * SEC;
const HOUR: i64 = 60 * MIN;
const DAY: i64 = 24 * HOUR;

/// Steps between durations that people count in.
const SPANS: [i64; 27] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    SEC,
    2 * SEC,
    5 * SEC,
    10 * SEC,
    15 * SEC,
    30 * SEC,
    MIN,
    2 * MIN,
    5 * MIN,
    10 * MIN,
    15 * MIN,
    30 * MIN,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];

/// Steps between times, in hours.
const HOURS: [i64; 12] = [1, 2, 3, 6, 12, 24, 48, 7 * 24, 14 * 24, 30 * 24, 91 * 24, 365 * 24];

/// Labels of a time axis, at most.
const LABELS_MAX: i64 = 7;

/// The text of an axis, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tick {
    /// From the left, in percent.
    pub(super) x: String,
    /// From above, in pixels.
    pub(super) y: i64,
    /// Which end of the text stands there.
    pub(super) class: &'static str,
    /// The text.
    pub(super) text: String,
}

/// Returns the values of lines for durations up to `max_ms`; the last is at least that.
pub(super) fn spans(max_ms: i64) -> Vec<i64> {
    let fits = |step: &&i64| max_ms <= **step * LINES_MAX;
    let step = SPANS.iter().find(fits).copied();
    lines(step.unwrap_or_else(|| (max_ms / LINES_MAX / DAY + 1) * DAY), max_ms)
}

/// The same for numbers.
pub(super) fn counts(max: i64) -> Vec<i64> {
    let tens = std::iter::successors(Some(1_i64), |ten| ten.checked_mul(10));
    let mut steps = tens.flat_map(|ten| [1, 2, 5].map(|digit| digit * ten));
    let step = steps.find(|step| max <= step.saturating_mul(LINES_MAX)).unwrap_or(max.max(1));
    lines(step, max)
}

fn lines(step: i64, max: i64) -> Vec<i64> {
    let count = (max + step - 1).div_euclid(step).max(1);
    (1..=count).map(|nth| nth * step).collect()
}

/// Labels at full hours, days, weeks or so of the viewer's clock.
pub(super) fn times(span: (Wall, Wall), y: i64, viewer: &Viewer) -> Vec<Tick> {
    let all = instants(span, viewer).into_iter();
    all.map(|(time, at)| Tick::of_time(time, share(at, span), y)).collect()
}

/// Returns the positions of those labels: the local time, and the instant.
pub(super) fn instants((from, to): (Wall, Wall), viewer: &Viewer) -> Vec<(NaiveDateTime, Wall)> {
    let hours = (to.ms() - from.ms()) / HOUR;
    let step = HOURS.into_iter().find(|step| hours <= step * LABELS_MAX).unwrap_or(hours.max(1));
    let Some(begin) = viewer.local(from).map(|time| begin_of(time, step)) else {
        return Vec::new();
    };
    let next = |time: &NaiveDateTime| time.checked_add_signed(TimeDelta::hours(step));
    let all = std::iter::successors(Some(begin), next).map(|time| (time, viewer.at_local(time)));
    all.take_while(|(_, at)| *at <= to).filter(|(_, at)| *at >= from).collect()
}

/// Returns where steps of some hours begin: at midnight, and for weeks on Mondays.
fn begin_of(time: NaiveDateTime, step: i64) -> NaiveDateTime {
    let date = time.date();
    let back = if step % (7 * 24) == 0 { date.weekday().num_days_from_monday() } else { 0 };
    let date = date.checked_sub_days(Days::new(u64::from(back))).unwrap_or(date);
    date.and_time(NaiveTime::MIN)
}

impl Tick {
    fn of_time(time: NaiveDateTime, permille: i64, y: i64) -> Self {
        let is_midnight = time.hour() == 0 && time.minute() == 0;
        let text = time.format(if is_midnight { "%-d %b" } else { "%H:%M" }).to_string();
        Self { x: percent(permille), y, class: anchor(permille), text }
    }
}

/// Returns the position of a time between two others, in thousandths.
pub(super) fn share(at: Wall, (from, to): (Wall, Wall)) -> i64 {
    let whole = (to.ms() - from.ms()).max(1);
    ((at.ms() - from.ms()).saturating_mul(1000) / whole).clamp(0, 1000)
}

/// Thousandths as SVG has them.
pub(super) fn percent(permille: i64) -> String {
    format!("{}.{}%", permille / 10, permille % 10)
}

/// Which end of a text stands at a place, so that it does not leave the picture.
fn anchor(permille: i64) -> &'static str {
    match permille {
        ..30 => "",
        30..=970 => "middle",
        _ => "end",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wording::when::tests::viewer;

    #[test]
    fn lines_stand_at_round_values_and_reach_the_longest() {
        for (max, expected) in [
            (0, &[1][..]),
            (7, &[2, 4, 6, 8]),
            (950, &[500, 1000]),
            (61_000, &[30_000, 60_000, 90_000]),
            (7_300_000, &[1, 2, 3].map(|nth| nth * HOUR)),
            (9 * DAY, &[1, 2, 3].map(|nth| nth * 3 * DAY)),
        ] {
            assert_eq!(spans(max), expected, "{max}");
        }
        assert_eq!(counts(0), [1]);
        assert_eq!(counts(17), [5, 10, 15, 20]);
        assert_eq!(counts(4_100), [2_000, 4_000, 6_000]);
        assert!(counts(i64::MAX / 4).len() <= 5);
    }

    #[test]
    fn times_are_labelled_at_midnight_of_the_viewer() {
        let to = viewer().now;
        let from = to - std::time::Duration::from_secs(7 * 86_400);
        let texts: Vec<_> =
            times((from, to), 0, &viewer()).into_iter().map(|tick| (tick.text, tick.x)).collect();
        assert_eq!(texts.len(), 7);
        assert_eq!(texts[0], ("20 Jul".to_owned(), "5.9%".to_owned()));
        let from = to - std::time::Duration::from_secs(86_400);
        let texts: Vec<_> =
            times((from, to), 0, &viewer()).into_iter().map(|tick| tick.text).collect();
        assert_eq!(texts, ["18:00", "26 Jul", "06:00", "12:00"]);
    }
}
