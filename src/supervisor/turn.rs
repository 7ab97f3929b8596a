//! A turn: what the duties decide in one transaction, and what is done about it once that is on
//! disk.
//!
//! Nothing that the supervisor remembers changes within a turn. What a later duty has to know, a
//! place that became free or a run that was planned, is laid over it here, and becomes memory with
//! the commit. A turn that fails is dropped.

use std::fmt::Display;
use std::io;

use super::effects::Effects;
use super::jobs::{JobState, Pauses, Planning};
use super::live::{Live, NOTIFY_JOB};
use super::log::LogEvent;
use super::memory::Memory;
use super::oversight::Oversight;
use super::queue::Queue;
use super::spawner::{Spawner, Stop};
use crate::core::plan::Timetable;
use crate::core::time::Now;
use crate::store::Store;

/// A turn under way.
pub(super) struct Turn<'a, S> {
    pub(super) now: Now,
    pub(super) store: &'a Store,
    pub(super) spawner: &'a mut S,
    /// What the store says waits: read anew after a turn that failed.
    pub(super) queue: &'a mut Queue,
    pub(super) memory: &'a Memory,
    pub(super) oversight: &'a Oversight,
    /// Output is not kept now.
    pub(super) is_disk_full: bool,
    pub(super) effects: Box<Effects>,
}

impl<'a, S: Spawner> Turn<'a, S> {
    /// Takes a slot; a turn that fails gives it back.
    pub(super) fn free_slot(&mut self) -> io::Result<u32> {
        let slot = self.spawner.free_slot()?;
        self.effects.given.push(slot);
        Ok(slot)
    }

    /// The slot is not used.
    pub(super) fn give_back(&mut self, slot: u32) {
        self.effects.given.retain(|given| *given != slot);
        self.spawner.give_back(slot);
    }

    /// Notes a line of the log.
    pub(super) fn say(&mut self, event: LogEvent, fields: &[(&'static str, &dyn Display)]) {
        let fields = fields.iter().map(|(key, value)| (*key, value.to_string())).collect();
        self.effects.log.push((event, fields));
    }

    /// A job by its place among all.
    pub(super) fn job(&self, index: usize) -> &'a JobState {
        &self.memory.jobs.all[index]
    }

    /// Returns where a job is; none: it is not in the jobfile.
    pub(super) fn index(&self, job_id: i64) -> Option<usize> {
        self.memory.jobs.index(job_id)
    }

    /// An attempt that counts as running.
    pub(super) fn live(&self, run: i64) -> Option<&Live> {
        let before = || self.memory.live.get(run).filter(|_| !self.effects.gone.contains(&run));
        self.effects.begun.get(&run).or_else(before)
    }

    /// Returns how many attempts of jobs count as running.
    pub(super) fn live_len(&self) -> usize {
        let before = self.memory.live.len() + self.memory.live.of_job(NOTIFY_JOB).len();
        let all = before - self.effects.gone.len() + self.effects.begun.len();
        all - self.running_len(NOTIFY_JOB)
    }

    /// All of them.
    pub(super) fn all_live(&self) -> impl Iterator<Item = (i64, &Live)> {
        let gone = &self.effects.gone;
        let before = self.memory.live.iter().filter(|(run, _)| !gone.contains(run));
        before.chain(self.effects.begun.iter().map(|(run, live)| (*run, live)))
    }

    /// Returns how many of them are of a job.
    pub(super) fn running_len(&self, job_id: i64) -> usize {
        let before = self.memory.live.of_job(job_id).len();
        self.effects.of_job.get(&job_id).map_or(before, |(gone, begun)| before - gone + begun.len())
    }

    /// Returns the running attempts of a job, with their places.
    pub(super) fn running_of(&self, job_id: i64) -> impl Iterator<Item = (i64, u32)> {
        let before = self.memory.live.of_job(job_id).iter();
        let before = before.filter(|(run, _)| !self.effects.gone.contains(run));
        let begun = self.effects.of_job.get(&job_id).into_iter().flat_map(|(_, begun)| begun);
        before.chain(begun).copied()
    }

    /// Counts an attempt as running.
    pub(super) fn begin(&mut self, run: i64, live: Live) {
        self.effects.of_job.entry(live.job_id).or_default().1.push((run, live.place));
        self.effects.begun.insert(run, live);
    }

    /// An attempt has ended: its place is free, and its lock.
    pub(super) fn end(&mut self, run: i64) {
        let memory = self.memory;
        let Some(live) = memory.live.get(run).filter(|_| self.effects.gone.insert(run)) else {
            return;
        };
        self.effects.of_job.entry(live.job_id).or_default().0 += 1;
        if let Some(lock) = &live.lock {
            self.queue.lock_is_free(lock, self.now.mono);
        }
        if let Some(index) = self.index(live.job_id) {
            self.queue.set_try_at(index, None);
        }
    }

    /// Returns whether the keeper of an attempt was told to stop, or will be.
    pub(super) fn is_stopping(&self, run: i64) -> bool {
        self.live(run).is_none_or(|live| live.is_stopping)
            || self.effects.stops.iter().any(|(stopped, _)| *stopped == run)
    }

    /// Stops an attempt once this is on disk.
    pub(super) fn stop(&mut self, run: i64, stop: Stop) {
        self.effects.stops.push((run, stop));
    }

    /// Returns how far a job is planned.
    pub(super) fn planning(&self, index: usize) -> Planning {
        self.effects.planned.get(&index).copied().unwrap_or(self.job(index).planning)
    }

    /// When a job's occurrences are.
    pub(super) fn timetable(&self, index: usize) -> Timetable<'a> {
        self.job(index).timetable(self.planning(index).grid_at)
    }

    /// Returns the pauses in force.
    pub(super) fn pauses(&self) -> &Pauses {
        self.effects.pauses.as_ref().unwrap_or(&self.memory.pauses)
    }
}
