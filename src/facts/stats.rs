//! Success rates and durations of jobs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::run::State;
use crate::core::tally::percentile;
use crate::core::time::Wall;
use crate::store::{JobRow, PastRun, Store, StoreError};

/// How many of a job's newest runs are read; by default a job keeps no more.
const RUNS_MAX: u32 = 100_000;

/// The figures of a job, for a period or for all its runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Line {
    /// The job.
    pub(crate) job: String,
    /// When the period begins; `None` for all runs.
    pub(crate) from: Option<Wall>,
    /// How many runs ended.
    pub(crate) runs: i64,
    /// How many succeeded.
    pub(crate) succeeded: i64,
    /// How many failed.
    pub(crate) failed: i64,
    /// How many were skipped.
    pub(crate) skipped: i64,
    /// How many were cancelled.
    pub(crate) cancelled: i64,
    /// How many attempts were not the first of their run.
    pub(crate) retries: i64,
    /// The share of successes among the runs that succeeded or failed, rounded to thousandths.
    pub(crate) success_rate: Option<f64>,
    /// The median duration of the newest attempts.
    pub(crate) p50_ms: Option<i64>,
    /// Their 95th percentile.
    pub(crate) p95_ms: Option<i64>,
    /// The longest duration.
    pub(crate) max_ms: Option<i64>,
    #[serde(skip)]
    durations: Vec<i64>,
}

impl Line {
    /// Starts with zeros.
    pub(super) fn of(job: &str) -> Self {
        Self { job: job.to_owned(), ..Self::default() }
    }

    /// Counts a run.
    pub(super) fn add(&mut self, run: &PastRun) {
        self.runs += run.count;
        match run.state {
            State::Succeeded => self.succeeded += 1,
            State::Failed => self.failed += 1,
            State::Skipped => self.skipped += run.count,
            State::Cancelled => self.cancelled += 1,
            State::Scheduled | State::Queued | State::Running | State::Retrying => {}
        }
        self.retries += i64::from(run.attempt.saturating_sub(1));
        self.durations.extend(run.duration_ms.filter(|_| run.attempt > 0));
    }

    /// Counts a run.
    pub(super) fn with(mut self, run: &PastRun) -> Self {
        self.add(run);
        self
    }

    /// Computes the rate and the percentiles once all runs are counted.
    pub(super) fn summed_up(mut self) -> Self {
        self.durations.sort_unstable();
        let share = |percent| percentile(&self.durations, percent);
        let (p50_ms, p95_ms, max_ms) = (share(50), share(95), share(100));
        let success_rate = self.permille().map(|permille| permille as f64 / 1000.0);
        Self { success_rate, p50_ms, p95_ms, max_ms, ..self }
    }

    /// Returns the share of successes in thousandths.
    pub(crate) fn permille(&self) -> Option<i64> {
        let all = self.succeeded + self.failed;
        (all > 0).then(|| self.succeeded * 1000 / all)
    }
}

/// Gathers the figures of one job or of all jobs since a time; `period` maps the end of a run to
/// the beginning of its period.
pub(crate) fn gather(
    store: &Store,
    job: Option<&str>,
    since: Wall,
    period: impl Fn(Wall) -> Option<Wall>,
) -> Result<Vec<Line>, StoreError> {
    let is_asked = |row: &JobRow| job.is_none_or(|name| *name == row.name);
    let mut lines = Vec::new();
    for row in store.jobs()?.into_iter().filter(is_asked) {
        let mut periods: BTreeMap<Option<Wall>, Line> = BTreeMap::new();
        for run in store.past_runs(row.id, since, RUNS_MAX)? {
            periods.entry(period(run.ended_at)).or_default().add(&run);
        }
        let line = |(from, line)| Line { job: row.name.clone(), from, ..line }.summed_up();
        lines.extend(periods.into_iter().map(line));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: State, attempt: u32, duration_ms: Option<i64>) -> PastRun {
        PastRun {
            state,
            reason: None,
            cause: crate::core::run::Cause::Schedule,
            count: if state == State::Skipped { 3 } else { 1 },
            ended_at: Wall::from_secs(0),
            attempt,
            duration_ms,
            has_timed_out: false,
            due_at: None,
        }
    }

    #[test]
    fn runs_are_counted_once_and_skipped_ones_do_not_lower_the_rate() {
        let mut line = Line::default();
        for run in [
            run(State::Succeeded, 1, Some(100)),
            run(State::Succeeded, 3, Some(300)),
            run(State::Failed, 2, Some(200)),
            run(State::Skipped, 0, None),
        ] {
            line.add(&run);
        }
        let line = line.summed_up();
        assert_eq!((line.runs, line.retries), (6, 3));
        assert_eq!(line.success_rate, Some(0.666));
        assert_eq!((line.p50_ms, line.p95_ms, line.max_ms), (Some(200), Some(300), Some(300)));
        assert_eq!(Line::default().summed_up().success_rate, None);
    }
}
