//! Occurrences that fall due: planned, skipped or replaced; runs that were due later; clocks that jump.

use std::time::Duration;

use super::spawner::{Spawner, Stop};
use super::{Pause, Steps, Supervisor};
use crate::core::job::OnNext;
use crate::core::plan::{self, Busy, Decision, Due, Missed};
use crate::core::retry::Stopped;
use crate::core::run::{Cause, Reason};
use crate::core::schedule::Span;
use crate::core::time::{Now, Wall};
use crate::store::{NewOccurrence, NewSkip, StoreError};

/// A difference between the clocks that is no jump but a correction (NTP slews, a busy machine).
const JUMP_MIN: Duration = Duration::from_secs(60);

/// What the wall clock did, measured by the monotonic one: it was set, or the machine slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Jump {
    /// It went forward by this much more than time did.
    Forward(Duration),
    /// It went back.
    Back(Duration),
}

impl<S: Spawner> Supervisor<S> {
    /// Compares the clocks with the last look at them. What is found stays to be dealt with until a turn is on disk.
    pub(super) fn look_at_clock(&mut self, now: Now) {
        let expected = self.last.wall + now.mono.since(self.last.mono);
        let (forward, back) = (now.wall.since(expected), expected.since(now.wall));
        self.last = now;
        if forward >= JUMP_MIN {
            self.jump = Some(Jump::Forward(forward));
        } else if back >= JUMP_MIN {
            self.jump = Some(Jump::Back(back));
        }
    }

    /// Says that the clock jumped, and after a step back lets planning go on from where the rule says.
    pub(super) fn notice_jump(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let Some(jump) = self.jump else { return Ok(()) };
        let (name, by_s) = match jump {
            Jump::Forward(by) => ("clock_forward", by.as_secs()),
            Jump::Back(by) => ("clock_back", by.as_secs()),
        };
        steps.log.push(Box::new(move |log, at| {
            log.event(at, name, &[("by_s", &by_s)])
        }));
        if let Jump::Back(_) = jump {
            for index in 0..self.jobs.len() {
                self.step_job_back(index, steps)?;
            }
        }
        Ok(())
    }

    fn step_job_back(&mut self, index: usize, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        let state = &self.jobs[index];
        if state.watermark <= now.wall {
            return Ok(());
        }
        let watermark =
            plan::watermark_after_step_back(&state.timetable(), state.watermark, now.wall);
        self.store.move_watermark(state.id, watermark)?;
        self.move_planning(index, watermark, steps);
        Ok(())
    }

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

    /// Plans every occurrence that has fallen due.
    pub(super) fn plan_due(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        let step = match self.jump {
            Some(Jump::Forward(by)) => by,
            Some(Jump::Back(_)) | None => Duration::ZERO,
        };
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
        let span = Span {
            after: state.watermark,
            until: now.wall,
        };
        let due = state.timetable().due(span, step);
        match self.pause_of(index, now.wall) {
            Some(pause) => self.skip_paused(index, &due, pause, now)?,
            None => self.plan_occurrences(index, &due, steps)?,
        }
        self.store.move_watermark(self.jobs[index].id, now.wall)?;
        self.move_planning(index, now.wall, steps);
        Ok(())
    }

    fn move_planning(&mut self, index: usize, watermark: Wall, steps: &mut Steps) {
        let state = &mut self.jobs[index];
        steps.planned.push((index, state.watermark, state.next));
        if let Some(at) = state.next {
            self.planned.remove(&(at, index));
        }
        state.watermark = watermark;
        state.next = state.timetable().next(watermark);
        if let Some(at) = state.next {
            self.planned.insert((at, index));
        }
    }

    fn skip_paused(
        &mut self,
        index: usize,
        due: &Due,
        pause: Pause,
        now: Now,
    ) -> Result<(), StoreError> {
        let count = due.missed.map_or(0, |missed| missed.count)
            + u64::try_from(due.in_time.len()).unwrap_or(0);
        let first = due
            .missed
            .map(|missed| missed.first)
            .or(due.in_time.first().copied());
        let last = due
            .in_time
            .last()
            .copied()
            .or(due.missed.map(|missed| missed.last));
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
        let caught_up = due.caught_up(&self.jobs[index].timetable());
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

    /// Records what was missed and is not caught up: a stretch that begins with the first one.
    fn record_missed(
        &mut self,
        index: usize,
        missed: Missed,
        caught_up: &[Wall],
        steps: &mut Steps,
    ) -> Result<(), StoreError> {
        let now = steps.now;
        let count = missed
            .count
            .saturating_sub(u64::try_from(caught_up.len()).unwrap_or(0));
        let first = missed.first;
        if count == 0 || caught_up.first() == Some(&first) {
            return Ok(());
        }
        let state = &self.jobs[index];
        let last = match caught_up.first() {
            Some(from) => state
                .timetable()
                .latest_before(*from, first)
                .unwrap_or(first),
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
                    self.store.replace_if_queued(run, by, now.wall)?;
                    self.load_head(self.jobs[index].id)?;
                }
                Ok(())
            }
        }
    }

    fn busy(&self, index: usize) -> Result<Busy, StoreError> {
        let state = &self.jobs[index];
        let first_queued = state.head.map(|key| key.2);
        let queued = if first_queued.is_some() {
            self.store.queued_count(state.id)?
        } else {
            0
        };
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
                &[
                    ("job", &name),
                    ("run", &run),
                    ("reason", &Reason::Overlap),
                    ("by", &by),
                ],
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
        let due_at = if cause == Cause::Schedule {
            at + state.jitter
        } else {
            now.wall
        };
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
            self.store.supersede_retrying(job_id, run, now.wall)?;
        }
        if due_at > now.wall {
            self.next_due_at = Some(self.next_due_at.map_or(due_at, |next| next.min(due_at)));
        } else {
            self.add_head(index, run, &new)?;
        }
        Ok(Some(run))
    }

    /// Skips occurrences that could not start within their start deadline.
    pub(super) fn skip_overdue(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        if self.next_overdue_at().is_none_or(|at| at > now.wall) {
            return Ok(());
        }
        let waiting: Vec<usize> = self.heads.values().map(|head| head.index).collect();
        for index in waiting {
            let job_id = self.jobs[index].id;
            let Some(deadline) = self.jobs[index].job.policy.start_deadline else {
                continue;
            };
            let skipped = self
                .store
                .skip_overdue(job_id, now.wall - deadline, now.wall)?;
            if skipped > 0 {
                let name = self.jobs[index].job.name.clone();
                steps.log.push(Box::new(move |log, at| {
                    log.event(
                        at,
                        "skipped",
                        &[
                            ("job", &name),
                            ("reason", &Reason::Missed),
                            ("count", &skipped),
                        ],
                    );
                }));
                self.load_head(job_id)?;
            }
        }
        Ok(())
    }

    /// When the first waiting occurrence is over its start deadline.
    pub(super) fn next_overdue_at(&self) -> Option<Wall> {
        self.heads
            .values()
            .filter_map(|head| {
                let deadline = self.jobs[head.index].job.policy.start_deadline?;
                Some(head.unstarted_since? + deadline + Duration::from_millis(1))
            })
            .min()
    }
}
