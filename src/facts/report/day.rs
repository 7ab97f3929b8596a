//! What ran in the last 24 hours, what is due in the next, and when nothing was started.

use std::time::Duration;

use serde::Serialize;

use crate::core::run::State;
use crate::core::time::Wall;
use crate::facts::overview::{JobStatus, Sources};
use crate::store::{Downtime, Filter, PastRun, StoreError};

/// How far it looks to either side.
const REACH: Duration = Duration::from_secs(86_400);

/// What is nearer to each other is one: a picture of two days shows no more.
const NEAR: Duration = Duration::from_secs(300);

/// A restart is no gap.
const SHORT: Duration = Duration::from_secs(60);

/// Running runs of a job that are looked at.
const RUNNING_MAX: u32 = 20;

/// Gaps that are shown.
const GAPS_MAX: u32 = 200;

/// The last 24 hours and the next.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Timeline {
    /// Its begin.
    pub(crate) from: Wall,
    /// Its end.
    pub(crate) to: Wall,
    /// The jobs that ran or are due in it, by name.
    pub(crate) rows: Vec<Row>,
    /// When nothing was started.
    pub(crate) gaps: Vec<Downtime>,
}

/// A job in it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// The job.
    pub(crate) job: String,
    /// What was and what is, oldest first; those of one state do not overlap.
    pub(crate) past: Vec<Span>,
    /// When it is due.
    pub(crate) coming: Vec<Span>,
}

/// One run, or several near to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Span {
    /// When the first one began.
    pub(crate) from: Wall,
    /// When the last one ended.
    pub(crate) to: Wall,
    /// What became of them.
    pub(crate) state: State,
    /// How many.
    pub(crate) count: i64,
}

/// A time line that is being made.
pub(super) struct Building(Timeline);

impl Building {
    /// Begins with the gaps.
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

    /// Adds a job, if it ran or is due.
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

    /// Ends it.
    pub(super) fn end(mut self) -> Timeline {
        self.0.rows.sort_by(|a, b| a.job.cmp(&b.job));
        self.0
    }
}

/// From the last sign of life to now, if no supervisor is there.
fn open_gap(from: &Sources<'_>, begin: Wall) -> Option<Downtime> {
    if from.overview.supervisor.running {
        return None;
    }
    let lock = std::fs::metadata(from.state_dir.join("supervisor.lock")).ok()?;
    let since = lock.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let since = (Wall::from_secs(0) + since).max(begin);
    (since < from.now).then_some(Downtime { from: since, to: from.now, is_stopping: false })
}

/// A run that ended after `begin`; nothing of one that was not executed.
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

/// When a job is due; what is near to the one before is left out, it would not be seen.
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

/// Spans in their order, those of one state that are near to each other as one.
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
