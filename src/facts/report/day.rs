//! The time line: runs of the last 24 hours, occurrences of the next 24, and gaps in which no
//! supervisor ran.

use std::time::Duration;

use serde::Serialize;

use crate::core::run::State;
use crate::core::time::Wall;
use crate::facts::overview::{JobStatus, Sources};
use crate::store::{Downtime, Filter, PastRun, StoreError};

/// The length of the past and of the future.
const REACH: Duration = Duration::from_secs(86_400);

/// Runs closer together than this are merged: a picture of two days cannot show them apart.
const NEAR: Duration = Duration::from_secs(300);

/// Shorter gaps are restarts and not shown.
const SHORT: Duration = Duration::from_secs(60);

/// The number of a job's running runs that are read.
const RUNNING_MAX: u32 = 20;

/// The number of gaps that are shown.
const GAPS_MAX: u32 = 200;

/// The last 24 hours and the next.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Timeline {
    /// The beginning.
    pub(crate) from: Wall,
    /// The end.
    pub(crate) to: Wall,
    /// The jobs that ran or are due in this time, sorted by name.
    pub(crate) rows: Vec<Row>,
    /// The times in which nothing was started.
    pub(crate) gaps: Vec<Downtime>,
}

/// A job on the time line.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// The job.
    pub(crate) job: String,
    /// Past and running runs, oldest first; spans of the same state do not overlap.
    pub(crate) past: Vec<Span>,
    /// The next occurrences.
    pub(crate) coming: Vec<Span>,
}

/// One run, or several close together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Span {
    /// When the first one began.
    pub(crate) from: Wall,
    /// When the last one ended.
    pub(crate) to: Wall,
    /// The state of the runs.
    pub(crate) state: State,
    /// How many.
    pub(crate) count: i64,
}

/// A time line under construction.
pub(super) struct Building(Timeline);

impl Building {
    /// Starts with the gaps.
    pub(super) fn begin(from: &Sources<'_>) -> Result<Self, StoreError> {
        let (begin, end) = (from.now - REACH, from.now + REACH);
        let downtimes = from.store.map(|store| store.downtimes(begin, from.now, GAPS_MAX));
        let downtimes = downtimes.transpose()?.unwrap_or_default();
        let mut gaps: Vec<Downtime> = downtimes
            .into_iter()
            .map(|down| Downtime { from: down.from.max(begin), to: down.to.min(from.now), ..down })
            .collect();
        gaps.extend(open_gap(from, begin));
        gaps.retain(|gap| gap.to.since(gap.from) >= SHORT);
        Ok(Self(Timeline { from: begin, to: end, rows: Vec::new(), gaps }))
    }

    /// Adds a job if it ran or is due.
    pub(super) fn add(
        &mut self,
        from: &Sources<'_>,
        job: &JobStatus<'_>,
        past: &[PastRun],
    ) -> Result<(), StoreError> {
        let begin = self.0.from;
        let executed = past.iter().take_while(|run| run.ended_at >= begin - REACH);
        let mut spans: Vec<Span> = executed.filter_map(|run| span_of(run, begin)).collect();
        spans.extend(running(from, job, begin)?);
        let row = Row {
            job: job.name.to_owned(),
            past: merged(spans),
            coming: merged(coming(from, job, self.0.to)),
        };
        if !row.past.is_empty() || !row.coming.is_empty() {
            self.0.rows.push(row);
        }
        Ok(())
    }

    /// Finishes the time line.
    pub(super) fn end(mut self) -> Timeline {
        self.0.rows.sort_by(|a, b| a.job.cmp(&b.job));
        self.0
    }
}

/// Returns the current gap, from the supervisor's last sign of life until now, if none runs.
fn open_gap(from: &Sources<'_>, begin: Wall) -> Option<Downtime> {
    if from.overview.supervisor.running {
        return None;
    }
    let lock = std::fs::metadata(from.state_dir.join("supervisor.lock")).ok()?;
    let since = lock.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let since = (Wall::from_secs(0) + since).max(begin);
    (since < from.now).then_some(Downtime { from: since, to: from.now, is_stopping: false })
}

/// Returns the span of a run that ended after `begin`; `None` if it was not executed.
fn span_of(run: &PastRun, begin: Wall) -> Option<Span> {
    let took = u64::try_from(run.duration_ms.filter(|_| run.attempt > 0)?).ok()?;
    let from = (run.ended_at - Duration::from_millis(took)).max(begin);
    let (to, state) = (run.ended_at, run.state);
    (to >= begin).then_some(Span { from, to, state, count: 1 })
}

fn running(from: &Sources<'_>, job: &JobStatus<'_>, begin: Wall) -> Result<Vec<Span>, StoreError> {
    let is_running = job.row.is_some_and(|row| row.running > 0);
    let Some(store) = from.store.filter(|_| is_running) else {
        return Ok(Vec::new());
    };
    let (states, name) = (vec![State::Running], Some(job.name.to_owned()));
    let runs = store.runs(&Filter { states, job: name, ..Filter::default() }, Some(RUNNING_MAX))?;
    let span = |started_at: Wall| Span {
        from: started_at.max(begin).min(from.now),
        to: from.now,
        state: State::Running,
        count: 1,
    };
    Ok(runs.iter().filter_map(|run| run.started_at).map(span).collect())
}

/// Returns the next occurrences of a job, without those too close to the one before to be seen.
fn coming(from: &Sources<'_>, job: &JobStatus<'_>, end: Wall) -> Vec<Span> {
    let Some(known) = job.job.filter(|_| !job.paused) else {
        return Vec::new();
    };
    let grid_at = job.row.and_then(|row| row.grid_at);
    let begin = from.jobs.undecided_after(known, job.row, from.now);
    let after = |at: Wall| from.jobs.next(known, grid_at, at);
    let near = NEAR - Duration::from_millis(1);
    let all = std::iter::successors(after(begin), |last| after(last.occurrence.at + near));
    let due = all.map(|coming| coming.due_at()).take_while(|at| *at <= end);
    due.map(|at| Span { from: at, to: at, state: State::Scheduled, count: 1 }).collect()
}

/// Sorts the spans and merges those of the same state that are close together.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.state, span.from));
    let mut found: Vec<Span> = Vec::new();
    for span in spans {
        match found.last_mut() {
            Some(last) if last.state == span.state && span.from <= last.to + NEAR => {
                last.to = last.to.max(span.to);
                last.count += span.count;
            }
            Some(_) | None => found.push(span),
        }
    }
    found.sort_by_key(|span| span.from);
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::ended;
    use super::*;

    #[test]
    fn runs_near_to_each_other_are_one_and_a_failure_is_never_merged_away() {
        let begin = Wall::from_secs(0);
        let runs = [
            ended(State::Succeeded, 100, 1_000),
            ended(State::Failed, 160, 1_000),
            ended(State::Succeeded, 220, 1_000),
            ended(State::Succeeded, 900, 200_000),
            ended(State::Skipped, 950, 0),
            ended(State::Succeeded, -5, 1_000),
        ];
        let spans = merged(runs.iter().filter_map(|run| span_of(run, begin)).collect());
        let found: Vec<_> = spans
            .iter()
            .map(|span| (span.from.secs(), span.to.secs(), span.state, span.count))
            .collect();
        assert_eq!(
            found,
            [
                (99, 220, State::Succeeded, 2),
                (159, 160, State::Failed, 1),
                (700, 900, State::Succeeded, 1)
            ]
        );
    }
}
