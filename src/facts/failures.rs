//! Groups similar failures, so that a noisy job does not hide the others.

use std::collections::{HashMap, HashSet};

use super::overview::JobStatus;
use super::said;
use super::status::{List, Row};
use crate::store::{Filter, RunRow, Store, StoreError};

/// How many of the newest failures are compared.
pub(crate) const COMPARED_MAX: u32 = 1000;

/// How many `status` compares, shared evenly among the failing jobs.
const OF_STATUS_MAX: u32 = 200;

/// How many failing jobs are read: those that ran last.
const JOBS_MAX: usize = 50;

/// Failures of a job that ended the same way and printed the same last line.
#[derive(Debug)]
pub(crate) struct Alike {
    /// The newest failure.
    pub(crate) newest: RunRow,
    /// How many.
    pub(crate) count: i64,
    /// Whether older failures of the job were not compared.
    pub(crate) has_older: bool,
    /// Their last line of output, or why they could not be started.
    pub(crate) last_line: Option<String>,
}

impl Row for Alike {
    const ARE_FAILURES: bool = true;

    fn run(&self) -> &RunRow {
        &self.newest
    }

    fn times(&self) -> i64 {
        self.count
    }

    fn is_at_least(&self) -> bool {
        self.has_older
    }

    fn last_line(&self) -> Option<&str> {
        self.last_line.as_deref()
    }
}

/// Groups similar failures, ordered by the newest of each group.
fn alike(store: &Store, runs: &[RunRow]) -> Vec<Alike> {
    let mut lines = said::last_line_of_each(store, runs);
    let mut found: Vec<Alike> = Vec::new();
    let mut places = HashMap::new();
    for run in runs {
        let last_line = lines.remove(&run.id);
        let how = (run.reason, run.outcome, run.exit_code, run.signal, run.acked.is_some());
        let place = *places.entry((run.job_id, how, last_line.clone())).or_insert(found.len());
        match found.get_mut(place) {
            Some(alike) => alike.count += 1,
            None => {
                found.push(Alike { newest: run.clone(), count: 1, has_older: false, last_line })
            }
        }
    }
    found
}

/// Groups the failures of a filter into at most `rows_max` rows; `newest` are those to compare.
pub(crate) fn of_filter(
    store: &Store,
    filter: &Filter,
    newest: &[RunRow],
    rows_max: usize,
) -> Result<List<Alike>, StoreError> {
    let count = match newest.len() >= COMPARED_MAX as usize {
        true => store.ids(filter)?.len(),
        false => newest.len(),
    };
    let mut runs = alike(store, newest);
    runs.iter_mut().for_each(|alike| alike.has_older = count > newest.len());
    runs.truncate(rows_max);
    Ok(List { count: i64::try_from(count).unwrap_or(i64::MAX), runs })
}

/// Groups the `count` unacknowledged failures of some jobs into at most `rows_max` rows, newest
/// first. As far as there are rows, the newest failure of each job is included.
pub(super) fn of_jobs(
    store: &Store,
    jobs: &[JobStatus<'_>],
    rows_max: usize,
) -> Result<List<Alike>, StoreError> {
    let mut failing: Vec<_> = jobs.iter().filter(|job| job.failed > 0).collect();
    let count: i64 = failing.iter().map(|job| job.failed).sum();
    failing.sort_by_key(|job| std::cmp::Reverse(job.row.and_then(|row| row.last_run)));
    failing.truncate(JOBS_MAX);
    let jobs_count = u32::try_from(failing.len()).unwrap_or(u32::MAX).max(1);
    let each = match count <= i64::from(OF_STATUS_MAX) {
        true => OF_STATUS_MAX,
        false => OF_STATUS_MAX / jobs_count,
    };
    let (mut runs, mut cut) = (Vec::new(), HashSet::new());
    for job in failing {
        cut.extend(job.row.filter(|row| row.failed > i64::from(each)).map(|row| row.id));
        let filter = Filter { failed: true, job: Some(job.name.to_owned()), ..Filter::default() };
        runs.extend(store.runs(&filter, Some(each))?);
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    let mut found = alike(store, &runs);
    found.iter_mut().for_each(|alike| alike.has_older = cut.contains(&alike.newest.job_id));
    Ok(List { count, runs: choose(found, rows_max) })
}

/// Picks the newest group of each job, then the newest of all, and keeps their order.
fn choose(found: Vec<Alike>, rows_max: usize) -> Vec<Alike> {
    let mut seen = HashSet::new();
    let (first, more): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|alike| seen.insert(alike.newest.job_id));
    let mut chosen: Vec<_> = first.into_iter().chain(more).take(rows_max).collect();
    chosen.sort_by_key(|alike| std::cmp::Reverse(alike.newest.id));
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::State;
    use crate::facts::run::tests::sample_run;

    /// A failure: its id, its job, how it ended, and how many are like it.
    fn failure(id: i64, job_id: i64, count: i64) -> Alike {
        let newest = RunRow { id, job_id, state: State::Failed, ..sample_run() };
        Alike { newest, count, has_older: false, last_line: None }
    }

    #[test]
    fn failures_that_ended_alike_are_one() {
        let failed = |id, job_id, exit_code| RunRow {
            id,
            job_id,
            exit_code: Some(exit_code),
            state: State::Failed,
            ..sample_run()
        };
        let runs = [failed(9, 1, 3), failed(8, 1, 4), failed(7, 2, 3), failed(6, 1, 3)];
        let found = alike(&Store::in_memory(), &runs);
        let rows: Vec<_> = found.iter().map(|alike| (alike.newest.id, alike.count)).collect();
        assert_eq!(rows, [(9, 2), (8, 1), (7, 1)]);
    }

    #[test]
    fn a_noisy_job_hides_no_other_and_the_newest_stands_first() {
        let found = vec![failure(9, 1, 1), failure(8, 1, 1), failure(7, 1, 1), failure(5, 2, 2)];
        let chosen = choose(found, 3);
        let ids: Vec<_> = chosen.iter().map(|alike| alike.newest.id).collect();
        assert_eq!(ids, [9, 8, 5]);
        assert_eq!(List { count: 46, runs: chosen }.left_out(), 42);
    }
}
