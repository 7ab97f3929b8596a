//! The durations of a job's attempts over time: one point each or, if there are many, per interval.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::run::State;
use crate::core::tally::percentile;
use crate::core::time::Wall;
use crate::store::PastRun;

/// More runs than this are grouped into intervals; and the number of those.
const ALONE_MAX: usize = 160;
const STRETCHES: i64 = 120;

/// A success is an outlier if it takes this many times as long as usual and at least the minimum.
const OUTLIER_FACTOR: i64 = 3;
const OUTLIER_MIN_MS: i64 = 1000;

/// The durations of attempts.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Durations {
    /// The usual duration of a success, as in `status`.
    pub(crate) usual_ms: Option<i64>,
    /// The longest duration.
    pub(crate) longest_ms: i64,
    /// One point per run, or one per kind and interval; oldest first.
    pub(crate) points: Vec<Point>,
}

/// A run, or several of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Point {
    /// When it ended, or the middle of the interval.
    pub(crate) at: Wall,
    /// The kind.
    pub(crate) kind: Kind,
    /// The number of runs.
    pub(crate) count: usize,
    /// The shortest.
    pub(crate) low_ms: i64,
    /// The median.
    pub(crate) mid_ms: i64,
    /// The longest.
    pub(crate) high_ms: i64,
}

/// The kind of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// It succeeded.
    Usual,
    /// It succeeded and took far longer than usual.
    Outlier,
    /// It did not succeed.
    Failed,
}

impl Durations {
    /// Gathers the durations of the runs executed between two times.
    pub(super) fn of<'r>(
        runs: impl Iterator<Item = &'r PastRun>,
        usual_ms: Option<i64>,
        (from, to): (Wall, Wall),
    ) -> Self {
        let executed = runs.filter(|run| run.attempt > 0);
        let all: Vec<_> = executed.filter_map(|run| Some((run, run.duration_ms?))).collect();
        let limit = usual_ms.map(|ms| (ms * OUTLIER_FACTOR).max(OUTLIER_MIN_MS));
        let longest_ms = all.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
        let point = |(run, ms): &(&PastRun, i64)| {
            let kind = match run.state == State::Succeeded {
                true if limit.is_some_and(|limit| *ms > limit) => Kind::Outlier,
                true => Kind::Usual,
                false => Kind::Failed,
            };
            Point { at: run.ended_at, kind, count: 1, low_ms: *ms, mid_ms: *ms, high_ms: *ms }
        };
        let mut points: Vec<Point> = all.iter().map(point).collect();
        points.sort_by_key(|point| point.at);
        if points.len() > ALONE_MAX {
            points = by_stretches(&points, (from, to));
        }
        Self { usual_ms, longest_ms, points }
    }
}

/// Merges the points of each kind in each interval.
fn by_stretches(points: &[Point], (from, to): (Wall, Wall)) -> Vec<Point> {
    let step = ((to.ms() - from.ms()) / STRETCHES).max(1);
    let mut found: BTreeMap<(i64, Kind), Vec<i64>> = BTreeMap::new();
    for point in points {
        let nth = (point.at.ms() - from.ms()) / step;
        found.entry((nth, point.kind)).or_default().push(point.mid_ms);
    }
    let merged = found.into_iter().map(|((nth, kind), mut spans)| {
        spans.sort_unstable();
        let of = |percent| percentile(&spans, percent).unwrap_or(0);
        let at = Wall::from_ms(from.ms() + nth * step + step / 2);
        Point { at, kind, count: spans.len(), low_ms: spans[0], mid_ms: of(50), high_ms: of(100) }
    });
    merged.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::ended;
    use super::*;

    const SPAN: (Wall, Wall) = (Wall::from_secs(0), Wall::from_secs(1_200));

    #[test]
    fn what_takes_three_times_as_long_as_usual_stands_out() {
        let of = |usual_ms, durations: &[i64]| {
            let runs: Vec<_> =
                durations.iter().map(|ms| ended(State::Succeeded, *ms, *ms)).collect();
            let points = Durations::of(runs.iter(), usual_ms, SPAN).points;
            let outliers = points.iter().filter(|point| point.kind == Kind::Outlier);
            outliers.map(|point| point.mid_ms).collect::<Vec<_>>()
        };
        assert_eq!(of(Some(1_000), &[900, 3_000, 3_001]), [3_001]);
        // Of short ones the least counts, and where nothing is usual nothing stands out.
        assert_eq!(of(Some(10), &[10, 900, 1_001]), [1_001]);
        assert_eq!(of(None, &[10, 900, 90_000]), [0; 0]);
        let failed = [ended(State::Failed, 2, 60_000)];
        let durations = Durations::of(failed.iter(), Some(10), SPAN);
        assert_eq!((durations.points[0].kind, durations.longest_ms), (Kind::Failed, 60_000));
    }

    #[test]
    fn many_runs_are_told_by_stretches_that_leave_out_no_failure() {
        let state = |nth| if nth % 100 == 0 { State::Failed } else { State::Succeeded };
        let runs: Vec<_> = (0..1_200).map(|nth| ended(state(nth), nth, 10 + nth % 7)).collect();
        let durations = Durations::of(runs.iter(), Some(13), SPAN);
        assert!(durations.points.len() <= 240, "{}", durations.points.len());
        let count = |kind| {
            let of_kind = durations.points.iter().filter(|point| point.kind == kind);
            of_kind.map(|point| point.count).sum::<usize>()
        };
        assert_eq!((count(Kind::Failed), count(Kind::Usual)), (12, 1_188));
        assert!(durations.points.is_sorted_by_key(|point| point.at));
    }
}
