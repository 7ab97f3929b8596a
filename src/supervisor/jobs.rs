//! The jobs as the supervisor holds them, how far they are planned, and what is paused.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::core::job::Job;
use crate::core::pause::Pause;
use crate::core::plan::Timetable;
use crate::core::schedule::Zone;
use crate::core::time::{Mono, Wall};

/// A job with what is known of it now.
#[derive(Debug)]
pub(super) struct JobState {
    pub(super) job: Job,
    pub(super) id: i64,
    pub(super) zone: Arc<Zone>,
    pub(super) planning: Planning,
    /// When it, or its schedule as it is, was first loaded, if that was in this process: what is
    /// before is no concern of it.
    pub(super) began: Option<Mono>,
    pub(super) jitter: Duration,
}

/// The progress of planning a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planning {
    /// All occurrences up to here are decided.
    pub(super) watermark: Wall,
    pub(super) next: Option<Wall>,
    pub(super) grid_at: Option<Wall>,
}

impl JobState {
    /// When its next occurrence falls due: at its instant and the job's jitter.
    pub(super) fn planned_at(&self) -> Option<Wall> {
        self.due_at(self.planning)
    }

    /// The same, planned so far.
    pub(super) fn due_at(&self, planning: Planning) -> Option<Wall> {
        planning.next.map(|at| at + self.jitter)
    }

    /// Returns whether it is defined in the same way.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let texts = |state: &Self| -> Vec<Box<str>> {
            let texts = state.job.schedules.iter();
            texts.map(|(text, _)| text.clone()).collect()
        };
        self.job.command == other.job.command
            && self.job.policy == other.job.policy
            && self.zone.name == other.zone.name
            && self.jitter == other.jitter
            && texts(self) == texts(other)
    }

    /// When its occurrences are, on this grid.
    pub(super) fn timetable(&self, grid_at: Option<Wall>) -> Timetable<'_> {
        Timetable { job: &self.job, zone: &self.zone, grid_at }
    }
}

/// All jobs.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    /// Sorted by name.
    pub(super) all: Vec<JobState>,
    by_id: HashMap<i64, usize>,
    /// Next occurrences.
    pub(super) planned: BTreeSet<(Wall, usize)>,
    /// How often jobs were loaded.
    pub(super) loads: u64,
}

impl Jobs {
    /// Returns where a job is; none: it is not in the jobfile.
    pub(super) fn index(&self, id: i64) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, id: i64) -> Option<&JobState> {
        self.index(id).map(|index| &self.all[index])
    }

    /// There are other jobs now.
    pub(super) fn replace(&mut self, states: Vec<JobState>) {
        self.by_id = states.iter().enumerate().map(|(index, state)| (state.id, index)).collect();
        let planned = states.iter().enumerate();
        self.planned =
            planned.filter_map(|(index, state)| Some((state.planned_at()?, index))).collect();
        self.all = states;
        self.loads += 1;
    }

    /// A job is planned so far.
    pub(super) fn plan(&mut self, index: usize, planning: Planning) {
        let state = &mut self.all[index];
        if let Some(at) = state.planned_at() {
            self.planned.remove(&(at, index));
        }
        state.planning = planning;
        self.planned.extend(state.planned_at().map(|at| (at, index)));
    }
}

/// The pauses in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Pauses {
    pub(super) all: Option<Pause>,
    pub(super) jobs: HashMap<i64, Pause>,
}

impl Pauses {
    /// The pauses of a job: that of all before its own.
    fn of(&self, job_id: i64) -> impl Iterator<Item = Pause> {
        self.all.into_iter().chain(self.jobs.get(&job_id).copied())
    }

    /// Returns the pause of a job that has no end, and whether it is that of all.
    pub(super) fn endless(&self, job_id: i64) -> Option<(Pause, bool)> {
        let own = self.jobs.get(&job_id).map(|pause| (*pause, false));
        let of_all = self.all.map(|pause| (pause, true));
        own.into_iter().chain(of_all).find(|(pause, _)| pause.until.is_none())
    }

    /// Returns whether a job may not start anything, and since when.
    pub(super) fn holding(&self, job_id: i64, now: Wall) -> Option<Pause> {
        self.of(job_id).find(|pause| pause.holds(now))
    }

    /// The last pause that has ended by itself after `watermark`: it owes nothing.
    pub(super) fn over(&self, job_id: i64, watermark: Wall, now: Wall) -> Option<Pause> {
        let is_over =
            |pause: &Pause| !pause.holds(now) && pause.until.is_some_and(|until| until > watermark);
        self.of(job_id).filter(is_over).max_by_key(|pause| pause.until)
    }
}
