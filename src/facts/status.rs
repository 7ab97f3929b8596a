//! The facts of `status`: the supervisor, the jobs with their next and last run, and the running,
//! waiting and failed runs.
//!
//! Never reads all runs: the jobs' counters tell what exists, and only what is needed is read.

use std::collections::HashMap;

use serde::Serialize;

use super::closely::{self, Closely};
use super::failures::{self, Alike};
use super::live;
use super::overview::{JobStatus, Sources, Supervisor};
use super::queue::Progress;
use super::traffic::{Obstacle, Traffic};
use crate::core::run::State;
use crate::store::{Filter, JobRow, RunRow, Store, StoreError, Untold};

/// The number of runs of each kind that are shown to people.
const RUNS_MAX: u32 = 10;

/// The number of runs of each kind that are read to find those of some jobs.
const FILTERED_MAX: u32 = 1000;

/// The number of jobs whose queues are read to find what starts next.
const QUEUES_MAX: usize = 200;

/// The number of runs that are read to find what falls due next.
const DUE_MAX: u32 = 200;

/// Up to this many jobs, all are shown.
const JOBS_PLAIN: usize = 50;

/// Otherwise those that need attention and this many that are next.
const JOBS_NEXT: usize = 20;

/// The number of past results that are shown for a job.
pub(crate) const RESULTS_MAX: usize = 20;

/// How much to gather.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The promised JSON.
    Contract,
    /// The page for people; of many jobs, those that matter.
    Page,
    /// The page for people, with all jobs.
    All,
}

/// The request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Only this job.
    pub(crate) job: Option<&'a str>,
    /// Only jobs with this in their names.
    pub(crate) part: Option<&'a str>,
    /// Only jobs with unacknowledged failures.
    pub(crate) failed: bool,
    /// How much.
    pub(crate) extent: Extent,
}

impl Wanted<'_> {
    fn shows(&self, job: &str) -> bool {
        self.part.is_none_or(|part| job.contains(part))
    }

    /// Returns how many runs to read, including those of jobs that are filtered out.
    fn runs_max(&self) -> u32 {
        self.part.map_or(RUNS_MAX, |_| FILTERED_MAX)
    }
}

/// The status.
#[derive(Debug, Serialize)]
pub(crate) struct Status<'a> {
    /// The supervisor.
    pub(crate) supervisor: &'a Supervisor,
    /// The jobs: sorted by name for programs, by need for attention for people.
    pub(crate) jobs: Vec<JobStatus<'a>>,
    /// Failures whose hook or mail also failed.
    pub(crate) untold: Vec<Untold>,
    /// How many jobs were left out.
    #[serde(skip)]
    pub(crate) left_out: usize,
    /// The lists of the page for people.
    #[serde(skip)]
    pub(crate) lists: Lists,
    /// The details of the page about one job.
    #[serde(skip)]
    pub(crate) closely: Option<Closely>,
}

/// The newest runs of each kind.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// The running runs.
    pub(crate) running: List<RunRow>,
    /// The waiting runs, and why they wait.
    pub(crate) waiting: List<(RunRow, Why)>,
    /// The failures.
    pub(crate) failed: List<Alike>,
}

/// Part of a list.
#[derive(Debug)]
pub(crate) struct List<T> {
    /// How many there are.
    pub(crate) count: i64,
    /// The runs that are shown.
    pub(crate) runs: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { count: 0, runs: Vec::new() }
    }
}

impl<T: Row> List<T> {
    /// Returns how many runs are not shown.
    pub(crate) fn left_out(&self) -> i64 {
        self.count - self.runs.iter().map(T::times).sum::<i64>()
    }
}

/// A row of a list of runs.
pub(crate) trait Row {
    /// Whether all rows of the list are failures.
    const ARE_FAILURES: bool = false;

    /// Returns the run that it shows.
    fn run(&self) -> &RunRow;

    /// Returns how many runs it stands for.
    fn times(&self) -> i64 {
        1
    }

    /// Returns whether there may be more of them.
    fn is_at_least(&self) -> bool {
        false
    }

    /// Returns the last line of their output, or a replacement for it.
    fn last_line(&self) -> Option<&str> {
        None
    }
}

impl Row for RunRow {
    fn run(&self) -> &RunRow {
        self
    }
}

impl Row for (RunRow, Why) {
    fn run(&self) -> &RunRow {
        &self.0
    }
}

/// Why a run waits, in brief; `why` has the details.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Why {
    /// For its time, or for nothing that the store knows.
    Unsaid,
    /// For runs to succeed.
    After(Vec<i64>),
    /// For its next attempt.
    Attempt,
    /// No supervisor runs.
    NoSupervisor,
    /// The supervisor is stopping.
    Stopping,
    /// Its job is not in the jobfile.
    NotInJobfile,
    /// Its job is paused, or all jobs are.
    Paused,
    /// An obstacle blocks it.
    Obstacle(Obstacle),
}

impl<'a> Status<'a> {
    /// Gathers the status; without a job if the requested one does not exist.
    pub(crate) fn gather(from: &Sources<'a>, wanted: Wanted<'_>) -> Result<Self, StoreError> {
        let mut jobs = jobs(from, wanted);
        if wanted.failed {
            jobs.retain(|job| job.failed > 0);
        }
        let untold = match from.store.filter(|_| jobs.iter().any(|job| job.failed > 0)) {
            Some(store) => store.untold(wanted.job)?,
            None => Vec::new(),
        };
        let supervisor = &from.overview.supervisor;
        let mut status =
            Self { supervisor, jobs, untold, left_out: 0, lists: Lists::default(), closely: None };
        match (wanted.extent, wanted.job) {
            (Extent::Contract, _) => status.read_last(from.store)?,
            (Extent::Page | Extent::All, Some(_)) => {
                status.read_last(from.store)?;
                let job = status.jobs.first();
                status.closely = job.map(|job| closely::read(from, job)).transpose()?;
            }
            (Extent::Page | Extent::All, None) => {
                status.lists = lists(from, &status.jobs, wanted)?;
                sort(&mut status.jobs);
                if wanted.extent == Extent::Page && !wanted.failed {
                    status.choose();
                }
                status.read_last(from.store)?;
                sort(&mut status.jobs);
                status.read_recent(from)?;
            }
        }
        Ok(status)
    }

    /// If there are many jobs, leaves out those that neither need attention nor are next.
    fn choose(&mut self) {
        let all = self.jobs.len();
        if all <= JOBS_PLAIN {
            return;
        }
        let in_need = self.jobs.iter().filter(|job| job.need() < 5).count();
        let next = self.jobs.iter().filter(|job| job.need() == 5).count();
        let rest: Vec<_> = self.jobs.drain(in_need..).take(next.min(JOBS_NEXT)).collect();
        self.jobs.truncate(in_need.min(JOBS_PLAIN));
        self.jobs.extend(rest);
        self.left_out = all - self.jobs.len();
    }

    fn read_last(&mut self, store: Option<&Store>) -> Result<(), StoreError> {
        let Some(store) = store else {
            return Ok(());
        };
        let last = |job: &JobStatus<'_>| job.row.and_then(|row| row.last_run);
        let ids: Vec<i64> = self.jobs.iter().filter_map(last).collect();
        let runs = store.runs_of_ids(&ids)?.into_iter().map(|run| (run.id, run));
        let mut runs: HashMap<i64, RunRow> = runs.collect();
        for job in &mut self.jobs {
            job.last = last(job).and_then(|id| runs.remove(&id));
            if let Some(run) = &job.last
                && matches!(run.state, State::Scheduled | State::Queued)
            {
                // It is to run again. Before it another one was the last.
                let ended = store.recent_runs(run.job_id, run.id, 1)?;
                let ids: Vec<i64> = ended.iter().map(|run| run.id).collect();
                job.last = store.runs_of_ids(&ids)?.pop();
            }
        }
        Ok(())
    }

    fn read_recent(&mut self, from: &Sources<'_>) -> Result<(), StoreError> {
        for job in &mut self.jobs {
            let last = job.row.and_then(|row| Some((row.id, row.last_run?)));
            if let Some((store, (id, last))) = from.store.zip(last) {
                job.recent = store.recent_runs(id, last, RESULTS_MAX)?;
            }
            job.progress = Progress::read(from, job)?;
        }
        Ok(())
    }
}

/// Returns the jobs of the jobfile, or the requested one, and removed jobs that still have runs to
/// show; sorted by name.
fn jobs<'a>(from: &Sources<'a>, wanted: Wanted<'_>) -> Vec<JobStatus<'a>> {
    let Sources { overview, jobs, .. } = *from;
    let is_asked = |name: &str| wanted.job.is_none_or(|asked| asked == name) && wanted.shows(name);
    let known = jobs.jobs.iter().filter(|job| is_asked(job.name.as_str()));
    let known = known.map(|job| {
        let name = job.name.as_str();
        JobStatus::of(from, name, Some(job), overview.row(name))
    });
    let is_gone = |row: &&JobRow| is_asked(&row.name) && jobs.get(&row.name).is_none();
    let gone = overview.rows.iter().filter(is_gone).filter(|row| row.has_rest());
    let gone = gone.map(|row| JobStatus::of(from, &row.name, None, Some(row)));
    let mut all: Vec<_> = known.chain(gone).collect();
    all.sort_by_key(|job| job.name);
    all
}

fn sort(jobs: &mut [JobStatus<'_>]) {
    jobs.sort_by_cached_key(|job| {
        (job.need(), job.next_due_at.is_none(), job.next_due_at, job.name)
    });
}

/// Reads the runs of each kind; skips those whose counters are zero.
fn lists(
    from: &Sources<'_>,
    jobs: &[JobStatus<'_>],
    wanted: Wanted<'_>,
) -> Result<Lists, StoreError> {
    let Some(store) = from.store else {
        return Ok(Lists::default());
    };
    let total = |counter: fn(&JobRow) -> i64| {
        jobs.iter().filter_map(|job| job.row).map(counter).sum::<i64>()
    };
    let failed = failures::of_jobs(store, jobs, RUNS_MAX as usize)?;
    if wanted.failed {
        return Ok(Lists { failed, ..Lists::default() });
    }
    let count = total(|row| row.running);
    let runs = match count {
        0 => Vec::new(),
        _ => newest_in(from, store, &[State::Running], wanted)?,
    };
    let running = List { count, runs };
    let states = [State::Queued, State::Retrying, State::Scheduled];
    let count = total(|row| row.queued + row.retrying + row.scheduled);
    let runs = match count {
        0 => Vec::new(),
        count if count <= i64::from(RUNS_MAX) => newest_in(from, store, &states, wanted)?,
        _ => next_to_start(store, jobs)?,
    };
    let waiting = List { count, runs: with_why(from, store, runs)? };
    Ok(Lists { running, waiting, failed })
}

/// Returns the waiting runs of some jobs, in the likely order of their starts.
pub(super) fn waiting(
    from: &Sources<'_>,
    jobs: &[JobStatus<'_>],
) -> Result<List<(RunRow, Why)>, StoreError> {
    let Some(store) = from.store else {
        return Ok(List::default());
    };
    let rows = jobs.iter().filter_map(|job| job.row);
    let count = rows.map(|row| row.queued + row.retrying + row.scheduled).sum();
    Ok(List { count, runs: with_why(from, store, next_to_start(store, jobs)?)? })
}

/// Adds to waiting runs why they wait.
pub(super) fn with_why(
    from: &Sources<'_>,
    store: &Store,
    runs: Vec<RunRow>,
) -> Result<Vec<(RunRow, Why)>, StoreError> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let traffic = Traffic::read(store, from.jobs, from.now)?;
    let with_why = |run: RunRow| Ok((run.clone(), why(from, &traffic, &run)?));
    runs.into_iter().map(with_why).collect()
}

/// Returns the newest runs in these states, with their latest reports.
fn newest_in(
    from: &Sources<'_>,
    store: &Store,
    states: &[State],
    wanted: Wanted<'_>,
) -> Result<Vec<RunRow>, StoreError> {
    let mut runs = Vec::new();
    for state in states {
        // The index orders runs only within a state, so each state is read separately.
        let filter = Filter { states: vec![*state], ..Filter::default() };
        runs.extend(store.runs(&filter, Some(wanted.runs_max()))?);
    }
    runs.retain(|run| wanted.shows(&run.job));
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    runs.truncate(RUNS_MAX as usize);
    live::fill_in(from.state_dir, &mut runs);
    Ok(runs)
}

/// Returns the likely next runs of a long queue: the queued ones, then those that fall due.
fn next_to_start(store: &Store, jobs: &[JobStatus<'_>]) -> Result<Vec<RunRow>, StoreError> {
    let mut runs = Vec::new();
    let waiting = jobs.iter().filter_map(|job| job.row).filter(|row| row.queued > 0);
    for row in waiting.take(QUEUES_MAX) {
        runs.extend(store.queue(row.id, RUNS_MAX)?);
    }
    runs.sort_by_key(|run| (std::cmp::Reverse(run.priority), run.due_at, run.id));
    let is_of_these = |run: &RunRow| jobs.iter().any(|job| job.name == run.job);
    runs.extend(store.due_next(DUE_MAX)?.into_iter().filter(is_of_these));
    runs.truncate(RUNS_MAX as usize);
    Ok(runs)
}

fn why(from: &Sources<'_>, traffic: &Traffic<'_>, run: &RunRow) -> Result<Why, StoreError> {
    Ok(match run.state {
        State::Retrying => Why::Attempt,
        State::Scheduled if !run.after.is_empty() && run.due_at.is_none() => {
            Why::After(run.after.clone())
        }
        State::Queued => why_queued(from, traffic, run)?,
        State::Scheduled
        | State::Running
        | State::Succeeded
        | State::Failed
        | State::Skipped
        | State::Cancelled => Why::Unsaid,
    })
}

fn why_queued(from: &Sources<'_>, traffic: &Traffic<'_>, run: &RunRow) -> Result<Why, StoreError> {
    let Sources { overview, jobs, now, .. } = *from;
    let own = overview.row(&run.job).and_then(|row| row.pause);
    let mut pauses = own.into_iter().chain(overview.supervisor.pause);
    Ok(if !overview.supervisor.running {
        Why::NoSupervisor
    } else if overview.supervisor.stopping_at.is_some() {
        Why::Stopping
    } else if jobs.get(&run.job).is_none() {
        Why::NotInJobfile
    } else if pauses.any(|pause| pause.holds(now)) {
        Why::Paused
    } else {
        let obstacles = traffic.obstacles(run)?;
        obstacles.into_iter().next().map_or(Why::Unsaid, Why::Obstacle)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::core::pause::{Pause, PauseNote};
    use crate::core::time::Wall;
    use crate::facts::jobs::Jobs;
    use crate::facts::jobs::tests::jobs;
    use crate::facts::overview::Overview;
    use crate::store::SupervisorRow;

    /// A job's row without any runs.
    pub(crate) fn row(name: &str) -> JobRow {
        JobRow {
            id: 1,
            name: name.to_owned(),
            present: true,
            pause: None,
            grid_at: None,
            watermark: None,
            scheduled: 0,
            queued: 0,
            running: 0,
            retrying: 0,
            failed: 0,
            ended: 0,
            last_run: None,
            last_success_at: None,
            late_at: None,
            missed_at: None,
            pause_note: PauseNote::default(),
            well_at: None,
        }
    }

    /// The status of jobs, without a store.
    pub(crate) fn gather<'a>(
        overview: &'a Overview,
        jobs: &'a Jobs,
        (extent, now): (Extent, Wall),
    ) -> Status<'a> {
        let state_dir = Path::new("/nowhere");
        let sources = Sources { overview, jobs, store: None, state_dir, now };
        Status::gather(&sources, Wanted { job: None, part: None, failed: false, extent }).unwrap()
    }

    #[test]
    fn a_job_that_is_gone_is_shown_while_something_is_left_of_it() {
        let jobs = jobs("[jobs.b]\nschedule = '@daily'\ncommand = 'true'\n");
        let rows = vec![JobRow { queued: 2, ..row("a") }, row("b"), row("c")];
        let overview = Overview { rows, ..Overview::default() };
        let status = gather(&overview, &jobs, (Extent::Contract, Wall::from_secs(0)));
        let names: Vec<_> = status.jobs.iter().map(|job| job.name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn of_many_jobs_those_in_trouble_are_never_left_out() {
        let job = |index| JobRow {
            failed: i64::from(index == 150),
            queued: i64::from(index == 7),
            scheduled: 1,
            ..row(&format!("job{index:03}"))
        };
        let overview = Overview { rows: (0..200).map(job).collect(), ..Overview::default() };
        let jobs = jobs("");
        let status = gather(&overview, &jobs, (Extent::Page, Wall::from_secs(0)));
        assert_eq!(
            status.jobs.iter().map(|job| job.name).collect::<Vec<_>>(),
            ["job150", "job007"]
        );
        assert_eq!(status.left_out, 198);
    }

    #[test]
    fn a_job_in_json_has_the_fields_of_the_contract() {
        let jobs = jobs("timezone = 'UTC'\n[jobs.b]\nschedule = '@daily'\ncommand = 'true'\n");
        let pause = Some(Pause { since: Wall::from_secs(0), until: None });
        let rows = vec![JobRow { pause, failed: 3, ..row("b") }];
        let overview = Overview { rows, ..Overview::default() };
        let status = gather(&overview, &jobs, (Extent::Contract, Wall::from_secs(0)));
        let value = serde_json::json!(status.jobs[0]);
        let names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let contract = "name schedule enabled paused next last queued running retrying failed late late_at resolved next_due_at jitter_ms missed_at pause";
        assert_eq!(names, contract.split(' ').collect::<Vec<_>>());
        assert_eq!(
            (&value["paused"], &value["failed"], &value["schedule"], &value["resolved"]),
            (&true.into(), &3.into(), &"@daily".into(), &serde_json::Value::Null)
        );
        assert_eq!(value["next"], "1970-01-02T00:00:00.000Z");
    }

    #[test]
    fn a_supervisor_that_is_gone_has_no_pid() {
        let row = SupervisorRow {
            pid: Some(7),
            since: Some(Wall::from_secs(0)),
            ..SupervisorRow::default()
        };
        let of = |is_running| serde_json::json!(Supervisor::of(row.clone(), is_running));
        assert_eq!((&of(true)["pid"], &of(false)["pid"]), (&7.into(), &serde_json::Value::Null));
        let value = of(false);
        let names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "running",
                "pid",
                "since",
                "jobfile",
                "jobfile_error",
                "version",
                "shadow",
                "stopping_at",
                "waits_for"
            ]
        );
    }
}
