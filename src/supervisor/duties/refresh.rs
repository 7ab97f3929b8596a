//! Reading anew what others may have written: queued runs, wishes to stop, pauses, due times.

use std::collections::HashMap;
use std::time::Duration;

use crate::core::pause::Pause;
use crate::core::schedule::Span;
use crate::core::time::Wall;
use crate::store::{NewOccurrence, StoreError};
use crate::supervisor::jobs::{Pauses, Planning};
use crate::supervisor::spawner::{Spawner, Stop};
use crate::supervisor::turn::Turn;

impl<S: Spawner> Turn<'_, S> {
    /// Reads it if somebody else has written.
    pub(super) fn refresh_if_stale(&mut self) -> Result<(), StoreError> {
        if !self.queue.is_stale {
            return Ok(());
        }
        // Somebody may have acknowledged a failure.
        self.effects.pruning.forget_trimmed();
        self.refresh()?;
        self.tell_stops()
    }

    /// Reads it.
    pub(super) fn refresh(&mut self) -> Result<(), StoreError> {
        let queued = self.store.queued_jobs()?;
        self.queue.clear_heads();
        self.load_heads(queued)?;
        self.refresh_pauses()?;
        self.refresh_forgotten()?;
        self.refresh_execs()?;
        let (store, queue) = (self.store, &mut *self.queue);
        queue.next_due_at = store.next_due_at()?;
        queue.next_expiry_at = store.next_expiry_at()?;
        queue.has_feeds = store.has_feeds()?;
        queue.next_notice_at = store.next_notice_at()?;
        queue.reload_asked = store.reload_asked()?;
        queue.is_stale = false;
        // `jobctl prune` writes it down, too.
        self.effects.output_bytes = Some(store.output_bytes()?);
        Ok(())
    }

    fn refresh_pauses(&mut self) -> Result<(), StoreError> {
        let paused = self.store.paused_jobs()?.into_iter();
        let paused = paused.map(|(job_id, since, until)| (job_id, Pause { since, until }));
        let jobs: HashMap<i64, Pause> = paused.collect();
        let former = self.pauses().clone();
        self.effects.pauses = Some(Pauses { all: self.store.supervisor()?.pause, jobs });
        if former.all.is_none() && former.jobs.is_empty() {
            return Ok(());
        }
        for index in 0..self.memory.jobs.all.len() {
            let id = self.job(index).id;
            if let Some(pause) = former.jobs.get(&id).copied().or(former.all) {
                self.end_pause(index, pause)?;
            }
        }
        Ok(())
    }

    /// A pause that `resume` has ended owes nothing, nor does what its jitter would still let fall
    /// due: the store says up to where.
    fn end_pause(&mut self, index: usize, pause: Pause) -> Result<(), StoreError> {
        let state = self.job(index);
        if self.pauses().all.is_some() || self.pauses().jobs.contains_key(&state.id) {
            return Ok(());
        }
        let Some(resumed_at) = self.store.watermark(state.id)? else {
            return Ok(());
        };
        let after = self.planning(index).watermark;
        if resumed_at <= after {
            return Ok(());
        }
        let span = Span { after, until: resumed_at };
        let due = self.timetable(index).due(span, Duration::ZERO);
        self.skip_paused(index, &due, pause)?;
        self.move_planning(index, resumed_at);
        Ok(())
    }

    /// Tells the slots of attempts that somebody asked to stop.
    fn tell_stops(&mut self) -> Result<(), StoreError> {
        for (run, claim) in self.store.stops_asked()? {
            let is_it = self.live(run).is_some_and(|live| live.claim == claim);
            if is_it && !self.is_stopping(run) {
                self.stop(run, Stop::Gently);
            }
        }
        Ok(())
    }

    /// Reads anew which runs other processes look after.
    fn refresh_execs(&mut self) -> Result<(), StoreError> {
        let mut execs = self.store.running_execs()?;
        execs.retain(|exec| self.live(exec.run).is_none());
        self.spawner.set_aside(execs.iter().map(|exec| exec.slot).collect());
        self.effects.execs = Some(execs);
        Ok(())
    }

    /// Reads the first queued run of each of these jobs again.
    pub(super) fn load_heads(
        &mut self,
        jobs: impl IntoIterator<Item = i64>,
    ) -> Result<(), StoreError> {
        jobs.into_iter().try_for_each(|job_id| self.load_head(job_id))
    }

    /// The same for one. What waits of a job that is not in the jobfile cannot start and is left
    /// alone.
    pub(super) fn load_head(&mut self, job_id: i64) -> Result<(), StoreError> {
        if let Some(index) = self.index(job_id) {
            let run = self.store.queue_head(job_id)?;
            let deadline = self.job(index).job.policy.start_deadline;
            self.queue.set_head(index, run.as_ref(), deadline);
        }
        Ok(())
    }

    /// Notes an occurrence that has just been queued, without asking the store what was just told
    /// to it.
    pub(super) fn add_head(
        &mut self,
        index: usize,
        run: i64,
        new: &NewOccurrence,
    ) -> Result<(), StoreError> {
        if self.queue.head_of(index).is_some() {
            return self.load_head(new.job_id);
        }
        self.queue.add(index, run, new, self.job(index).job.policy.start_deadline);
        Ok(())
    }

    /// All occurrences of a job up to here are decided.
    pub(super) fn move_planning(&mut self, index: usize, watermark: Wall) {
        let next = self.timetable(index).next(watermark);
        let planning = Planning { watermark, next, ..self.planning(index) };
        self.effects.planned.insert(index, planning);
    }
}
