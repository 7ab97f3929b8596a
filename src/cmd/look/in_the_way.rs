//! What is in the way of a queued run that could start otherwise, by what is on record: places, locks, `max_running`, rate.

use crate::cmd::{Jobs, Result};
use crate::core::job::Job;
use crate::core::lane;
use crate::core::rate;
use crate::core::run::State;
use crate::core::time::Wall;
use crate::store::{Filter, RunRow, Store};

/// Something that lets a run wait.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Obstacle<'a> {
    /// As many runs of its job run as may; these do.
    Place(Vec<&'a RunRow>),
    /// Runs of one job have its lock.
    Lock {
        /// The lock.
        name: Box<str>,
        /// The job.
        job: &'a str,
        /// Its runs that have it.
        holders: Vec<&'a RunRow>,
    },
    /// So many runs run, as many as `max_running` allows.
    MaxRunning(usize),
    /// The rate of its job allows no start before this time.
    Rate(Wall),
}

/// What runs now, to be asked for several runs that wait.
pub(crate) struct Traffic<'a> {
    store: &'a Store,
    jobs: &'a Jobs,
    now: Wall,
    running: Vec<RunRow>,
}

impl<'a> Traffic<'a> {
    /// Reads what runs.
    pub(crate) fn read(store: &'a Store, jobs: &'a Jobs, now: Wall) -> Result<Self> {
        let filter = Filter { states: vec![State::Running], ..Filter::default() };
        Ok(Self { store, jobs, now, running: store.runs(&filter, None)? })
    }

    /// What is in the way of a run, in the order in which it is looked at before a start; nothing if its job is not in the jobfile.
    pub(crate) fn obstacles(&self, run: &RunRow) -> Result<Vec<Obstacle<'_>>> {
        let Some(job) = self.jobs.get(&run.job) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        found.extend(self.place(job).or_else(|| self.lock(job, run)));
        let running_max = crate::cmd::jobs::run::running_max(&self.jobs.settings);
        if self.running.len() >= running_max {
            found.push(Obstacle::MaxRunning(self.running.len()));
        }
        if let Some(rate) = job.policy.rate
            && let Some(wait) = rate::wait(rate, self.store.rate_at(run.job_id)?, self.now)
        {
            found.push(Obstacle::Rate(self.now + wait));
        }
        Ok(found)
    }

    fn running_of(&self, job: &str) -> Vec<&RunRow> {
        self.running.iter().filter(|run| run.job == job).collect()
    }

    fn place(&self, job: &Job) -> Option<Obstacle<'_>> {
        let own = self.running_of(job.name.as_str());
        let max = usize::try_from(job.policy.running_max()?).unwrap_or(usize::MAX);
        (own.len() >= max).then_some(Obstacle::Place(own))
    }

    /// The first job, in the order of the jobfile, with runs that have the lock which the run needs.
    fn lock(&self, job: &Job, run: &RunRow) -> Option<Obstacle<'_>> {
        let name = lane::lock_of(&job.policy, &run.args)?;
        let has_it = |other: &Job, held: &RunRow| {
            lane::lock_of(&other.policy, &held.args).as_ref() == Some(&name)
        };
        let with_lock = self.jobs.jobs.iter().filter(|other| other.policy.lock.is_some());
        let (job, holders) = with_lock
            .map(|other| {
                let mut holders = self.running_of(other.name.as_str());
                holders.retain(|held| has_it(other, held));
                (other.name.as_str(), holders)
            })
            .find(|(_, holders)| !holders.is_empty())?;
        Some(Obstacle::Lock { name, job, holders })
    }
}
