//! Attempts that are under way.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::core::job::Policy;
use crate::core::time::Mono;

/// The job that no jobfile has and no user sees: its attempts are hooks and mails.
pub(super) const NOTIFY_JOB: i64 = 0;

/// An attempt that is under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    pub(super) job_id: i64,
    pub(super) slot: u32,
    pub(super) claim: i64,
    pub(super) place: u32,
    /// What it was started with, as its row in the store says; a reload does not change it.
    pub(super) policy: Arc<Policy>,
    pub(super) is_shell: bool,
    /// It was adopted from another boot or store: that its record says nothing proves nothing.
    pub(super) is_doubted: bool,
    pub(super) lock: Option<Box<str>>,
    /// Its keeper was told to stop.
    pub(super) is_stopping: bool,
    /// It was sent KILL.
    pub(super) is_killed: bool,
    /// It has had its time for a stop.
    pub(super) is_hurried: bool,
    /// When it takes longer than expected; none: it may take any time, or that was told.
    pub(super) late_at: Option<Mono>,
}

impl Live {
    /// A hook or mail.
    pub(super) fn of_notice(slot: u32, claim: i64) -> Self {
        Self { job_id: NOTIFY_JOB, slot, claim, ..Self::default() }
    }

    /// Returns whether it is an attempt of a job, as opposed to a hook or mail.
    pub(super) fn is_of_a_job(&self) -> bool {
        self.job_id != NOTIFY_JOB
    }
}

/// All of them, by run.
#[derive(Debug, Default)]
pub(super) struct AllLive {
    by_run: HashMap<i64, Live>,
    /// Runs of a job with their places, oldest first.
    of_job: HashMap<i64, Vec<(i64, u32)>>,
    late: BTreeSet<(Mono, i64)>,
}

impl AllLive {
    /// Returns how many are of jobs.
    pub(super) fn len(&self) -> usize {
        self.by_run.len() - self.of_job(NOTIFY_JOB).len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn get(&self, run: i64) -> Option<&Live> {
        self.by_run.get(&run)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Live)> {
        self.by_run.iter().map(|(run, live)| (*run, live))
    }

    pub(super) fn of_job(&self, job_id: i64) -> &[(i64, u32)] {
        self.of_job.get(&job_id).map_or(&[], Vec::as_slice)
    }

    /// When the next one is late.
    pub(super) fn next_late_at(&self) -> Option<Mono> {
        self.late.first().map(|(at, _)| *at)
    }

    /// Returns the attempts that are late.
    pub(super) fn late(&self, now: Mono) -> impl Iterator<Item = i64> {
        self.late.iter().take_while(move |(at, _)| *at <= now).map(|(_, run)| *run)
    }

    /// Returns whether one is under way whose claim may be of another boot or store.
    pub(super) fn has_doubts(&self) -> bool {
        self.by_run.values().any(|live| live.is_doubted)
    }

    pub(super) fn insert(&mut self, run: i64, live: Live) {
        self.remove(run);
        let running = self.of_job.entry(live.job_id).or_default();
        running.push((run, live.place));
        running.sort_unstable();
        self.late.extend(live.late_at.map(|at| (at, run)));
        self.by_run.insert(run, live);
    }

    pub(super) fn remove(&mut self, run: i64) {
        let Some(live) = self.by_run.remove(&run) else {
            return;
        };
        if let Some(at) = live.late_at {
            self.late.remove(&(at, run));
        }
        if let Some(running) = self.of_job.get_mut(&live.job_id) {
            running.retain(|(id, _)| *id != run);
            if running.is_empty() {
                self.of_job.remove(&live.job_id);
            }
        }
    }

    /// Notes that its lateness was reported.
    pub(super) fn forget_late(&mut self, run: i64) {
        if let Some(at) = self.by_run.get_mut(&run).and_then(|live| live.late_at.take()) {
            self.late.remove(&(at, run));
        }
    }

    /// Its keeper is told to stop.
    pub(super) fn note_stop(&mut self, run: i64, note: impl FnOnce(&mut Live)) -> Option<u32> {
        let live = self.by_run.get_mut(&run)?;
        note(live);
        Some(live.slot)
    }

    /// Rows of jobs have become others.
    pub(super) fn follow_merged(&mut self, rows: &HashMap<i64, i64>) {
        for (run, mut live) in std::mem::take(self).by_run {
            live.job_id = rows.get(&live.job_id).copied().unwrap_or(live.job_id);
            self.insert(run, live);
        }
    }
}
