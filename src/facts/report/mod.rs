//! The facts of a report: the jobs with their past and future, failures, the queue, and the day.
//!
//! They are read in one transaction. The number of runs per job and of jobs in detail is limited,
//! so the cost is bounded however large the store is.

mod calendar;
mod day;
mod durations;
mod queue;

use serde::Serialize;

pub(crate) use calendar::Day;
pub(crate) use day::{Row, Span, Timeline};
#[cfg(test)]
pub(crate) use durations::Point;
pub(crate) use durations::{Durations, Kind};
pub(crate) use queue::{Queue, QueueOfJob};

use super::closely::{self, Closely};
use super::failures::{self, Alike};
use super::overview::{JobStatus, Sources, Supervisor};
use super::stats::Line;
use super::status::{Extent, List, Status, Wanted};
use crate::core::schedule::Zone;
use crate::core::time::Wall;
use crate::store::{PastRun, StoreError, Untold};

/// The number of a job's newest runs that count.
const RUNS_MAX: u32 = 20_000;

/// The number of jobs in detail, beginning with those that need attention.
const JOBS_MAX: usize = 250;

/// The number of listed kinds of failures.
const FAILURES_MAX: usize = 100;

/// What is asked for.
pub(crate) struct Asked<'a> {
    /// Only these jobs; none given is all.
    pub(crate) jobs: &'a [String],
    /// Where the time begins that numbers and durations are of.
    pub(crate) since: Wall,
    /// Where days begin.
    pub(crate) zone: &'a Zone,
}

/// All of it.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    /// When it was made.
    pub(crate) made_at: Wall,
    /// Where the time begins that numbers and durations are of.
    pub(crate) since: Wall,
    /// The supervisor.
    pub(crate) supervisor: &'a Supervisor,
    /// The jobs, those first that need a look.
    pub(crate) jobs: Vec<JobReport<'a>>,
    /// How many jobs were left out.
    pub(crate) left_out: usize,
    /// Failures whose hook or mail failed, too.
    pub(crate) untold: Vec<Untold>,
    /// The numbers of all these together.
    pub(crate) numbers: Line,
    /// Unacknowledged failures, grouped.
    #[serde(skip)]
    pub(crate) failed: List<Alike>,
    /// What waits.
    pub(crate) queue: Queue,
    /// The last 24 hours and the next.
    pub(crate) timeline: Timeline,
}

/// A job in a report.
#[derive(Serialize)]
pub(crate) struct JobReport<'a> {
    /// What `status` says of it.
    #[serde(flatten)]
    pub(crate) status: JobStatus<'a>,
    /// What `status JOB` says of it.
    #[serde(skip)]
    pub(crate) closely: Closely,
    /// How often it succeeded.
    pub(crate) numbers: Line,
    /// How long it took.
    pub(crate) durations: Durations,
    /// The days of the last year on which it ran, oldest first.
    pub(crate) calendar: Vec<Day>,
}

impl<'a> Report<'a> {
    /// Gathers it; jobs that were asked for and are not there are left out.
    pub(crate) fn gather(from: &Sources<'a>, asked: &Asked<'_>) -> Result<Self, StoreError> {
        let wanted = Wanted { job: None, part: None, failed: false, extent: Extent::All };
        let Status { supervisor, mut jobs, mut untold, .. } = Status::gather(from, wanted)?;
        let is_asked = |name: &str| asked.jobs.is_empty() || asked.jobs.iter().any(|it| it == name);
        jobs.retain(|job| is_asked(job.name));
        untold.retain(|untold| is_asked(&untold.job));
        let left_out = jobs.len().saturating_sub(JOBS_MAX);
        let failed = match from.store {
            Some(store) => failures::of_jobs(store, &jobs, FAILURES_MAX)?,
            None => List::default(),
        };
        let mut queue = queue::Building::begin(from, &jobs)?;
        jobs.truncate(JOBS_MAX);
        let mut timeline = day::Building::begin(from)?;
        let (mut all, mut numbers) = (Vec::with_capacity(jobs.len()), Line::default());
        for status in jobs {
            let past = past_runs(from, &status, asked)?;
            queue.add(&status, &past);
            timeline.add(from, &status, &past)?;
            let recent = || past.iter().filter(|run| run.ended_at >= asked.since);
            recent().for_each(|run| numbers.add(run));
            all.push(JobReport {
                closely: closely::read(from, &status)?,
                numbers: recent().fold(Line::of(status.name), Line::with).summed_up(),
                durations: Durations::of(recent(), status.usual_ms(), (asked.since, from.now)),
                calendar: calendar::days(&past, asked.zone, from.now),
                status,
            });
        }
        Ok(Self {
            made_at: from.now,
            since: asked.since,
            supervisor,
            jobs: all,
            left_out,
            untold,
            numbers: numbers.summed_up(),
            failed,
            queue: queue.end(),
            timeline: timeline.end(),
        })
    }
}

/// The ended runs of a job that something is made of, newest first.
fn past_runs(
    from: &Sources<'_>,
    job: &JobStatus<'_>,
    asked: &Asked<'_>,
) -> Result<Vec<PastRun>, StoreError> {
    let since = asked.since.min(calendar::begin(from.now));
    match from.store.zip(job.row) {
        Some((store, row)) => store.past_runs(row.id, since, RUNS_MAX),
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::core::run::{Cause, State};

    /// Makes a run that ended at a second and took this many milliseconds.
    pub(super) fn ended(state: State, secs: i64, duration_ms: i64) -> PastRun {
        PastRun {
            state,
            reason: None,
            cause: Cause::Schedule,
            count: 1,
            ended_at: Wall::from_secs(secs),
            attempt: u32::from(state != State::Skipped),
            duration_ms: (state != State::Skipped).then_some(duration_ms),
            has_timed_out: false,
            due_at: Some(Wall::from_ms(secs * 1000 - duration_ms)),
        }
    }
}
