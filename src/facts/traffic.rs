//! What blocks a queued run according to the store: concurrency, locks, `max_running`, rate.

use super::jobs::Jobs;
use crate::core::job::{Job, Settings};
use crate::core::lane;
use crate::core::rate;
use crate::core::run::State;
use crate::core::time::Wall;
use crate::store::{Filter, RunRow, Store, StoreError};

/// The default of `max_running`: attempts per CPU, and the minimum.
const RUNNING_PER_CPU: usize = 4;
const RUNNING_MIN: usize = 16;

/// Something that blocks a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Obstacle {
    /// Its job runs as many runs as it may: these.
    Place(Vec<Holder>),
    /// Runs of another job hold its lock.
    Lock {
        /// The lock.
        name: Box<str>,
        /// The job.
        job: String,
        /// The runs that hold the lock.
        holders: Vec<Holder>,
    },
    /// `max_running` runs are running: this many.
    MaxRunning(usize),
    /// The rate limit of its job allows the next start at this time.
    Rate(Wall),
}

/// A run that holds what another one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The run.
    pub(crate) run: i64,
    /// When it started.
    pub(crate) since: Wall,
}

impl From<&RunRow> for Holder {
    fn from(run: &RunRow) -> Self {
        Self { run: run.id, since: run.started_at.unwrap_or(run.created_at) }
    }
}

/// The runs that are running now, read once to explain several waiting runs.
pub(crate) struct Traffic<'a> {
    store: &'a Store,
    jobs: &'a Jobs,
    now: Wall,
    running: Vec<RunRow>,
}

impl<'a> Traffic<'a> {
    /// Reads the running runs.
    pub(crate) fn read(store: &'a Store, jobs: &'a Jobs, now: Wall) -> Result<Self, StoreError> {
        let filter = Filter { states: vec![State::Running], ..Filter::default() };
        Ok(Self { store, jobs, now, running: store.runs(&filter, None)? })
    }

    /// Returns the obstacles of a run in the order in which a start checks them; empty if its job
    /// is not in the jobfile.
    pub(crate) fn obstacles(&self, run: &RunRow) -> Result<Vec<Obstacle>, StoreError> {
        let Some(job) = self.jobs.get(&run.job) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        found.extend(self.place(job).or_else(|| self.lock(job, run)));
        if self.running.len() >= running_max(&self.jobs.settings) {
            found.push(Obstacle::MaxRunning(self.running.len()));
        }
        if let Some(rate) = job.policy.rate
            && let Some(wait) = rate::wait(rate, self.store.rate_at(run.job_id)?, self.now)
        {
            found.push(Obstacle::Rate(self.now + wait));
        }
        Ok(found)
    }

    fn running_of(&self, job: &Job) -> impl Iterator<Item = &RunRow> {
        self.running.iter().filter(move |run| run.job == job.name.as_str())
    }

    fn place(&self, job: &Job) -> Option<Obstacle> {
        let own: Vec<Holder> = self.running_of(job).map(Holder::from).collect();
        let max = usize::try_from(job.policy.running_max()?).unwrap_or(usize::MAX);
        (own.len() >= max).then_some(Obstacle::Place(own))
    }

    /// Finds the first job, in the order of the jobfile, that holds the lock which the run needs.
    fn lock(&self, job: &Job, run: &RunRow) -> Option<Obstacle> {
        let name = lane::lock_of(&job.policy, &run.args)?;
        let with_lock = self.jobs.jobs.iter().filter(|other| other.policy.lock.is_some());
        let (job, holders) = with_lock
            .map(|other| {
                let has_it = |held: &&RunRow| {
                    lane::lock_of(&other.policy, &held.args).as_ref() == Some(&name)
                };
                let holders: Vec<_> =
                    self.running_of(other).filter(has_it).map(Holder::from).collect();
                (other.name.to_string(), holders)
            })
            .find(|(_, holders)| !holders.is_empty())?;
        Some(Obstacle::Lock { name, job, holders })
    }
}

/// Returns how many runs may run at once.
pub(crate) fn running_max(settings: &Settings) -> usize {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    match settings.max_running {
        Some(max) => usize::try_from(max).unwrap_or(usize::MAX),
        None => (cpus * RUNNING_PER_CPU).max(RUNNING_MIN),
    }
}
