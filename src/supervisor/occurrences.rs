//! Occurrences that fall due: planned, skipped or replaced; runs that were due later.

use std::time::Duration;

use super::jobs::Head;
use super::spawner::{Spawner, Stop};
use super::{Mode, Steps, Supervisor};
use crate::core::job::OnNext;
use crate::core::pause::Pause;
use crate::core::plan::{self, Busy, Decision, Due, Missed};
use crate::core::retry::Stopped;
use crate::core::run::{Cause, Reason};
use crate::core::schedule::Span;
use crate::core::time::{Now, Wall};
use crate::store::{NewOccurrence, NewSkip, StoreError};

impl<S: Spawner> Supervisor<S> {
    /// Queues what was due later and is due now.
    pub(super) fn queue_due(&mut self, now: Now) -> Result<(), StoreError> {
        if self.next_due_at.is_some_and(|at| at <= now.wall) {
            for job_id in self.store.queue_due(now.wall)? {
                self.load_head(job_id)?;
            }
            self.next_due_at = self.store.next_due_at()?;
        }
        Ok(())
    }

    /// Queues or cancels what waited for runs that have ended.
    pub(super) fn release_followers(&mut self, now: Now) -> Result<(), StoreError> {
        let released = self.store.release_followers(now.wall)?;
        self.has_followers = released.has_more;
        released.jobs.into_iter().try_for_each(|job_id| self.load_head(job_id))
    }

    /// Cancels what was to be started by now and was not.
    pub(super) fn expire_due(&mut self, now: Now) -> Result<(), StoreError> {
        if self.next_expiry_at.is_some_and(|at| at <= now.wall) {
            for job_id in self.store.expire_due(now.wall)? {
                self.load_head(job_id)?;
            }
            self.next_expiry_at = self.store.next_expiry_at()?;
        }
        Ok(())
    }

    /// Plans every occurrence that has fallen due.
    pub(super) fn plan_due(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        let step = self.jump.map_or(Duration::ZERO, |jump| jump.forward);
        while let Some(&(at, index)) = self.planned.first() {
            if at > now.wall {
                break;
            }
            self.plan_job(index, now, step, steps)?;
        }
        Ok(())
    }

    fn plan_job(
        &mut self,
        index: usize,
        now: Now,
        step: Duration,
        steps: &mut Steps,
    ) -> Result<(), StoreError> {
        let state = &self.jobs[index];
        // An occurrence falls due when its jitter is over, so planning looks that far back.
        let until = now.wall - state.jitter;
        let mut after = state.watermark;
        if let Some(pause) = self.pause_over(index, now.wall) {
            let paused_until = pause.until.unwrap_or(until).min(until);
            let paused = self.jobs[index]
                .timetable()
                .due(Span { after, until: paused_until }, Duration::ZERO);
            self.skip_paused(index, &paused, pause, now)?;
            after = after.max(paused_until);
        }
        let due = self.jobs[index].timetable().due(Span { after, until }, step);
        match (self.pause_of(index, now.wall), self.configuration.mode) {
            (Some(pause), _) => self.skip_paused(index, &due, pause, now)?,
            (None, Mode::Live) => self.plan_occurrences(index, &due, steps)?,
            (None, Mode::Shadow) => self.shadow_occurrences(index, &due, steps)?,
        }
        self.store.move_watermark(self.jobs[index].id, until)?;
        self.move_planning(index, until, steps);
        Ok(())
    }

    /// Says in memory that all occurrences of a job up to here are decided.
    pub(super) fn move_planning(&mut self, index: usize, watermark: Wall, steps: &mut Steps) {
        steps.note_planning(index, &self.jobs[index]);
        let state = &mut self.jobs[index];
        if let Some(at) = state.planned_at() {
            self.planned.remove(&(at, index));
        }
        state.watermark = watermark;
        state.next = state.timetable().next(watermark);
        if let Some(at) = state.planned_at() {
            self.planned.insert((at, index));
        }
    }

    /// Puts down as skipped what fell due in a pause.
    pub(super) fn skip_paused(
        &mut self,
        index: usize,
        due: &Due,
        pause: Pause,
        now: Now,
    ) -> Result<(), StoreError> {
        let count = due.missed.map_or(0, |missed| missed.count)
            + u64::try_from(due.in_time.len()).unwrap_or(0);
        let first = due.missed.map(|missed| missed.first).or(due.in_time.first().copied());
        let last = due.in_time.last().copied().or(due.missed.map(|missed| missed.last));
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(());
        };
        self.store
            .record_skip(&NewSkip {
                job_id: self.jobs[index].id,
                cause: Cause::Schedule,
                scheduled_at: first,
                last_scheduled_at: (last > first).then_some(last),
                count: i64::try_from(count).unwrap_or(i64::MAX),
                reason: Reason::Paused,
                by: None,
                same_since: Some(pause.since),
                now: now.wall,
            })
            .map(|_| ())
    }

    fn plan_occurrences(
        &mut self,
        index: usize,
        due: &Due,
        steps: &mut Steps,
    ) -> Result<(), StoreError> {
        let now = steps.now;
        let state = &self.jobs[index];
        // An occurrence falls due when its jitter is over, and its start deadline counts from then.
        let startable_from = match state.job.policy.start_deadline {
            Some(deadline) => now.wall - deadline - state.jitter,
            None => Wall::from_ms(i64::MIN),
        };
        let caught_up = due.caught_up(&state.timetable(), startable_from);
        if let Some(missed) = due.missed {
            self.record_missed(index, missed, &caught_up, steps)?;
        }
        for &at in &caught_up {
            self.insert_run(index, at, Cause::CatchUp, now)?;
        }
        for &at in &due.in_time {
            if caught_up.is_empty() {
                self.plan_one(index, at, steps)?;
            } else {
                // It waits behind those that are older: they are not what `overlap` means by being in the way.
                self.insert_run(index, at, Cause::Schedule, now)?;
            }
        }
        Ok(())
    }

    /// Puts down what would have started, a row for each occurrence: each is to be compared with what cron started.
    fn shadow_occurrences(
        &mut self,
        index: usize,
        due: &Due,
        steps: &mut Steps,
    ) -> Result<(), StoreError> {
        if let Some(missed) = due.missed {
            self.record_missed(index, missed, &[], steps)?;
        }
        for &at in &due.in_time {
            let state = &self.jobs[index];
            let skip = NewSkip::shadow(state.id, at, steps.now.wall);
            let run = self.store.record_skip(&skip)?;
            let name = state.job.name.clone();
            steps.log.push(Box::new(move |log, now| {
                let scheduled_at = at.rfc3339();
                let fields: [(&str, &dyn std::fmt::Display); 4] = [
                    ("job", &name),
                    ("run", &run),
                    ("reason", &Reason::Shadow),
                    ("scheduled_at", &scheduled_at),
                ];
                log.event(now, "skipped", &fields);
            }));
        }
        Ok(())
    }

    /// Records what was missed and is not caught up: a stretch that begins with the first one.
    fn record_missed(
        &mut self,
        index: usize,
        missed: Missed,
        caught_up: &[Wall],
        steps: &mut Steps,
    ) -> Result<(), StoreError> {
        let now = steps.now;
        let count = missed.count.saturating_sub(u64::try_from(caught_up.len()).unwrap_or(0));
        let first = missed.first;
        if count == 0 || caught_up.first() == Some(&first) {
            return Ok(());
        }
        let state = &self.jobs[index];
        let last = match caught_up.first() {
            Some(from) => state.timetable().latest_before(*from, first).unwrap_or(first),
            None => missed.last,
        };
        self.store.record_skip(&NewSkip {
            job_id: state.id,
            cause: Cause::Schedule,
            scheduled_at: first,
            last_scheduled_at: (last > first).then_some(last),
            count: i64::try_from(count).unwrap_or(i64::MAX),
            reason: Reason::Missed,
            by: None,
            same_since: None,
            now: now.wall,
        })?;
        let name = state.job.name.clone();
        steps.log.push(Box::new(move |log, at| {
            log.event(at, "missed", &[("job", &name), ("count", &count)])
        }));
        Ok(())
    }

    /// Judges one occurrence against what its job is busy with.
    fn plan_one(&mut self, index: usize, at: Wall, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        let busy = self.busy(index)?;
        match plan::judge(&self.jobs[index].job.policy, &busy) {
            Decision::Run => self.insert_run(index, at, Cause::Schedule, now).map(|_| ()),
            Decision::Skip { by } => self.skip_overlap(index, at, by, steps),
            Decision::ReplaceRunning(run) => {
                if let Some(by) = self.insert_run(index, at, Cause::Schedule, now)? {
                    self.store.ask_stop(run, Stopped::Replaced, Some(by))?;
                    self.mark_stopping(run);
                    steps.stops.push((run, Stop::Gently));
                }
                Ok(())
            }
            Decision::ReplaceQueued(run) => {
                if let Some(by) = self.insert_run(index, at, Cause::Schedule, now)? {
                    self.store.cancel_if_queued(run, Reason::Replaced, Some(by), now.wall)?;
                    self.load_head(self.jobs[index].id)?;
                }
                Ok(())
            }
        }
    }

    fn busy(&self, index: usize) -> Result<Busy, StoreError> {
        let state = &self.jobs[index];
        let first_queued = state.head.map(|key| key.2);
        let queued = if first_queued.is_some() { self.store.queued_count(state.id)? } else { 0 };
        let is_staying = |run: &i64| self.live.get(run).is_some_and(|live| !live.is_stopping);
        Ok(Busy {
            running: state.running.len(),
            oldest_running: state.running.iter().map(|(run, _)| *run).find(is_staying),
            queued: usize::try_from(queued).unwrap_or(0),
            first_queued,
        })
    }

    fn skip_overlap(
        &mut self,
        index: usize,
        at: Wall,
        by: i64,
        steps: &mut Steps,
    ) -> Result<(), StoreError> {
        let now = steps.now;
        let state = &self.jobs[index];
        let run = self.store.record_skip(&NewSkip {
            job_id: state.id,
            cause: Cause::Schedule,
            scheduled_at: at,
            last_scheduled_at: None,
            count: 1,
            reason: Reason::Overlap,
            by: Some(by),
            same_since: Some(Wall::from_ms(i64::MIN)),
            now: now.wall,
        })?;
        let name = state.job.name.clone();
        steps.log.push(Box::new(move |log, at| {
            log.event(
                at,
                "skipped",
                &[("job", &name), ("run", &run), ("reason", &Reason::Overlap), ("by", &by)],
            );
        }));
        Ok(())
    }

    /// Puts an occurrence down as a run. None: it is there already.
    fn insert_run(
        &mut self,
        index: usize,
        at: Wall,
        cause: Cause,
        now: Now,
    ) -> Result<Option<i64>, StoreError> {
        let state = &self.jobs[index];
        let due_at = at + state.jitter;
        let policy = state.job.policy.clone();
        let job_id = state.id;
        let new = NewOccurrence {
            job_id,
            cause,
            scheduled_at: at,
            due_at,
            priority: policy.priority,
            max_attempts: policy.attempts_max(),
            now: now.wall,
        };
        let Some(run) = self.store.insert_occurrence(&new)? else {
            return Ok(None);
        };
        if policy.retry.on_next == OnNext::Supersede {
            for superseded in self.store.supersede_retrying(job_id, run, now.wall)? {
                self.note_superseded(index, superseded, now)?;
            }
        }
        self.add_head(index, run, &new)?;
        Ok(Some(run))
    }

    /// Skips occurrences that could not start within their start deadline.
    pub(super) fn skip_overdue(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        let is_over = |at: Option<Wall>| at.is_some_and(|at| at <= now.wall);
        let overdue: Vec<usize> = self
            .heads
            .values()
            .filter(|head| is_over(self.overdue_at(head)))
            .map(|head| head.index)
            .collect();
        overdue.into_iter().try_for_each(|index| self.skip_overdue_of(index, steps))
    }

    /// Skips the occurrences of a job that could not start within its start deadline.
    pub(super) fn skip_overdue_of(
        &mut self,
        index: usize,
        steps: &mut Steps,
    ) -> Result<(), StoreError> {
        let now = steps.now;
        let state = &self.jobs[index];
        let Some(deadline) = state.job.policy.start_deadline else {
            return Ok(());
        };
        let (job_id, name) = (state.id, state.job.name.clone());
        let skipped = self.store.skip_overdue(job_id, now.wall - deadline, now.wall)?;
        steps.log.push(Box::new(move |log, at| {
            let fields: [(&str, &dyn std::fmt::Display); 3] =
                [("job", &name), ("reason", &Reason::Missed), ("count", &skipped)];
            log.event(at, "skipped", &fields);
        }));
        self.load_head(job_id)
    }

    /// When the first waiting occurrence is over its start deadline.
    pub(super) fn next_overdue_at(&self) -> Option<Wall> {
        self.heads.values().filter_map(|head| self.overdue_at(head)).min()
    }

    /// When a waiting occurrence is over its start deadline; none for what has none.
    pub(super) fn overdue_at(&self, head: &Head) -> Option<Wall> {
        let deadline = self.jobs[head.index].job.policy.start_deadline?;
        Some(head.unstarted_since? + deadline + Duration::from_millis(1))
    }
}
