//! The additional facts of `status JOB`: the job's next occurrences and attempts, and its newest
//! runs.

use std::time::Duration;

use super::failures::{self, Alike};
use super::live;
use super::overview::{JobStatus, Sources};
use super::queue::Progress;
use super::status::{List, Why, with_why};
use crate::core::job::Job;
use crate::core::retry::Waiting;
use crate::core::run::State;
use crate::core::time::Wall;
use crate::store::{Filter, JobRow, RunRow, Store, StoreError};

/// The number of next occurrences.
const NEXT_MAX: usize = 3;

/// The number of retrying runs whose next attempts are listed, and of attempts for each.
const PLANS_MAX: u32 = 3;
const ATTEMPTS_MAX: usize = 6;

/// The number of past runs.
const RUNS_MAX: u32 = 5;

/// The number of rows of failures.
const FAILED_MAX: usize = 3;

/// The details of a job.
#[derive(Debug)]
pub(crate) struct Closely {
    /// Each schedule as written, and with its `H` replaced by values.
    pub(crate) schedules: Vec<(String, Option<String>)>,
    /// The zone of its schedules.
    pub(crate) zone: Option<std::rc::Rc<crate::core::schedule::Zone>>,
    /// How long after their instants its occurrences fall due.
    pub(crate) jitter: Duration,
    /// The instants of its next occurrences.
    pub(crate) coming: Vec<Wall>,
    /// The next attempts of its retrying runs, newest run first.
    pub(crate) plans: Vec<Plan>,
    /// The runs of its queue that start next.
    pub(crate) queue: List<(RunRow, Why)>,
    /// The progress of the queue.
    pub(crate) progress: Option<Progress>,
    /// Its unacknowledged failures.
    pub(crate) failed: List<Alike>,
    /// Whether the queue is so long that its newest runs are all waiting.
    pub(crate) is_queue_long: bool,
    /// Its newest runs; for a long queue, those that started last.
    pub(crate) newest: Vec<RunRow>,
}

/// The next attempts of a run, assuming that each fails immediately.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The run.
    pub(crate) run: i64,
    /// The next attempts and their times.
    pub(crate) attempts: Vec<(u32, Wall)>,
    /// The total number of its attempts, if these are the last ones.
    pub(crate) max: Option<u32>,
}

/// Reads the details.
pub(super) fn read(from: &Sources<'_>, status: &JobStatus<'_>) -> Result<Closely, StoreError> {
    let Sources { jobs, store, now, .. } = *from;
    let long = status.row.filter(|row| row.queued + row.scheduled >= i64::from(RUNS_MAX));
    let newest = match (store, long) {
        (None, _) => Vec::new(),
        (Some(store), None) => {
            let filter = Filter { job: Some(status.name.to_owned()), ..Filter::default() };
            with_reports(from, store.runs(&filter, Some(RUNS_MAX))?)
        }
        (Some(store), Some(row)) => with_reports(from, last_started(store, row)?),
    };
    let is_queue_long = long.is_some();
    let (queue, progress) = (queue(from, status)?, Progress::read(from, status)?);
    let failed = match store {
        Some(store) => failures::of_jobs(store, std::slice::from_ref(status), FAILED_MAX)?,
        None => List::default(),
    };
    let Some(job) = status.job else {
        let (schedules, coming, plans) = (Vec::new(), Vec::new(), Vec::new());
        return Ok(Closely {
            schedules,
            zone: None,
            jitter: Duration::ZERO,
            coming,
            plans,
            queue,
            failed,
            progress,
            is_queue_long,
            newest,
        });
    };
    let grid_at = status.row.and_then(|row| row.grid_at);
    let begin = jobs.undecided_after(job, status.row, now);
    let following = |at: &Wall| Some(jobs.next(job, grid_at, *at)?.occurrence.at);
    let texts = job.schedules.iter().enumerate();
    Ok(Closely {
        schedules: texts
            .map(|(nth, (text, _))| (text.to_string(), jobs.resolved(job, nth)))
            .collect(),
        zone: Some(jobs.zone(job)),
        jitter: jobs.jitter(job),
        coming: std::iter::successors(following(&begin), following).take(NEXT_MAX).collect(),
        plans: plans(from, status, job)?,
        queue,
        failed,
        progress,
        is_queue_long,
        newest,
    })
}

fn last_started(store: &Store, row: &JobRow) -> Result<Vec<RunRow>, StoreError> {
    let filter = Filter { states: vec![State::Running], ..Filter::default() };
    let mut runs = store.runs(&filter, None)?;
    runs.retain(|run| run.job_id == row.id);
    if let Some(last) = row.last_run {
        let ended = store.recent_runs(row.id, last, RUNS_MAX as usize)?;
        let ids: Vec<i64> = ended.iter().map(|run| run.id).collect();
        runs.extend(store.runs_of_ids(&ids)?);
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    runs.truncate(RUNS_MAX as usize);
    Ok(runs)
}

/// Adds the progress that running commands report.
fn with_reports(from: &Sources<'_>, mut runs: Vec<RunRow>) -> Vec<RunRow> {
    live::fill_in(from.state_dir, &mut runs);
    runs
}

fn queue(from: &Sources<'_>, status: &JobStatus<'_>) -> Result<List<(RunRow, Why)>, StoreError> {
    let (Some(store), Some(row)) = (from.store, status.row.filter(|row| row.queued > 0)) else {
        return Ok(List::default());
    };
    let runs = store.queue(row.id, RUNS_MAX)?;
    Ok(List { count: row.queued, runs: with_why(from, store, runs)? })
}

fn plans(from: &Sources<'_>, status: &JobStatus<'_>, job: &Job) -> Result<Vec<Plan>, StoreError> {
    let is_retrying = status.row.is_some_and(|row| row.retrying > 0);
    let Some(store) = from.store.filter(|_| is_retrying) else {
        return Ok(Vec::new());
    };
    let (states, name) = (vec![State::Retrying], Some(status.name.to_owned()));
    let filter = Filter { states, job: name, ..Filter::default() };
    let runs = store.runs(&filter, Some(PLANS_MAX))?;
    Ok(runs.iter().filter_map(|run| plan(run, job)).collect())
}

fn plan(run: &RunRow, job: &Job) -> Option<Plan> {
    let waiting =
        Waiting { run: run.id, attempt: run.attempt, budget: run.budget, due_at: run.due_at? };
    let attempts = job.policy.plan(&waiting, ATTEMPTS_MAX);
    let max = run.budget.max.filter(|_| attempts.len() < ATTEMPTS_MAX);
    Some(Plan { run: run.id, attempts, max })
}
