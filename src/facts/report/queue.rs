//! The waiting runs: what starts next, the progress of each queue, and the depth over the last day.

use serde::Serialize;

use crate::core::time::Wall;
use crate::facts::overview::{JobStatus, Sources};
use crate::facts::queue::Progress;
use crate::facts::status::{self, List, Why};
use crate::store::{PastRun, RunRow, StoreError};

/// A day in quarters of an hour.
const BUCKETS: usize = 96;
const STEP_MS: i64 = 900_000;

/// The waiting runs.
#[derive(Serialize)]
pub(crate) struct Queue {
    /// The runs that start next, and what they wait for.
    #[serde(skip)]
    pub(crate) waiting: List<(RunRow, Why)>,
    /// The jobs with waiting runs, longest queue first.
    pub(crate) jobs: Vec<QueueOfJob>,
    /// How many runs waited at the end of each quarter of an hour of the last day.
    pub(crate) depth: Vec<i64>,
    /// How many runs ended in each quarter.
    pub(crate) ended: Vec<i64>,
}

/// A job with waiting runs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct QueueOfJob {
    /// The job.
    pub(crate) job: String,
    /// The number of waiting runs.
    pub(crate) waiting: i64,
    /// The number of running runs.
    pub(crate) running: i64,
    /// The progress, if the job is a queue.
    #[serde(skip)]
    pub(crate) progress: Option<Progress>,
}

/// The facts under construction.
pub(super) struct Building {
    queue: Queue,
    now: Wall,
    /// The change of the depth in each quarter.
    change: Vec<i64>,
}

impl Building {
    /// Starts with the runs that wait now.
    pub(super) fn begin(from: &Sources<'_>, jobs: &[JobStatus<'_>]) -> Result<Self, StoreError> {
        let waiting = status::waiting(from, jobs)?;
        let queue = Queue { waiting, jobs: Vec::new(), depth: Vec::new(), ended: vec![0; BUCKETS] };
        let mut building = Self { queue, now: from.now, change: vec![0; BUCKETS + 1] };
        let Some(store) = from.store else {
            return Ok(building);
        };
        let is_asked = |id: i64| jobs.iter().any(|job| job.row.is_some_and(|row| row.id == id));
        let queued = store.queued_by_due(building.begin_at(), STEP_MS)?;
        for (_, nth, count) in queued.into_iter().filter(|(id, ..)| is_asked(*id)) {
            building.change[place(nth)] += count;
        }
        Ok(building)
    }

    fn begin_at(&self) -> Wall {
        let span = BUCKETS as u64 * STEP_MS.unsigned_abs();
        self.now - std::time::Duration::from_millis(span)
    }

    /// Adds the runs of a job in the last day.
    pub(super) fn add(&mut self, job: &JobStatus<'_>, past: &[PastRun]) {
        let begin = self.begin_at();
        let nth = |at: Wall| place((at.ms() - begin.ms()).div_euclid(STEP_MS));
        for run in past.iter().filter(|run| run.ended_at >= begin && run.attempt > 0) {
            self.queue.ended[nth(run.ended_at).min(BUCKETS - 1)] += 1;
            if let Some((due, took)) = run.due_at.zip(run.duration_ms) {
                let started = Wall::from_ms(run.ended_at.ms() - took);
                self.change[nth(due.min(started))] += 1;
                self.change[nth(started)] -= 1;
            }
        }
        let Some(row) = job.row.filter(|row| row.queued + row.retrying > 0) else {
            return;
        };
        self.queue.jobs.push(QueueOfJob {
            job: job.name.to_owned(),
            waiting: row.queued + row.retrying,
            running: row.running,
            progress: job.progress,
        });
    }

    /// Finishes the facts.
    pub(super) fn end(mut self) -> Queue {
        self.queue.jobs.sort_by_key(|job| std::cmp::Reverse(job.waiting));
        let depth = self.change.iter().scan(0, |depth, change| {
            *depth += change;
            Some((*depth).max(0))
        });
        self.queue.depth = depth.take(BUCKETS).collect();
        self.queue
    }
}

/// Returns the index of a quarter in the day; earlier ones count as the first.
fn place(nth: i64) -> usize {
    usize::try_from(nth).unwrap_or(0).min(BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::super::tests::ended;
    use super::*;
    use crate::core::run::State;
    use crate::facts::jobs::Jobs;
    use crate::facts::overview::Overview;
    use crate::facts::status::tests::row;
    use crate::store::JobRow;

    #[test]
    fn the_depth_is_what_was_due_and_had_not_started() {
        let now = Wall::from_secs(86_400);
        let (overview, jobs) = (Overview::default(), Jobs::none());
        let state_dir = std::path::Path::new("/nowhere");
        let from = Sources { overview: &overview, jobs: &jobs, store: None, state_dir, now };
        let mut building = Building::begin(&from, &[]).unwrap();
        // Due at 01:00, started at 02:00, ended at 02:10.
        let waited = PastRun {
            due_at: Some(Wall::from_secs(3_600)),
            ..ended(State::Succeeded, 7_800, 600_000)
        };
        let row = JobRow { queued: 4, ..row("a") };
        let job = JobStatus::of(&from, "a", None, Some(&row));
        let late = ended(State::Failed, 86_000, 1_000);
        building.add(&job, &[late, waited]);
        let queue = building.end();
        assert_eq!(queue.depth[3..9], [0, 1, 1, 1, 1, 0]);
        assert_eq!((queue.ended[8], queue.ended[95]), (1, 1));
        let of_jobs: Vec<_> = queue.jobs.iter().map(|job| (&*job.job, job.waiting)).collect();
        assert_eq!(of_jobs, [("a", 4)]);
    }
}
