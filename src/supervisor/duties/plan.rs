//! Occurrences that fall due: planned, skipped or replaced.

use std::time::Duration;

use crate::core::job::OnNext;
use crate::core::pause::Pause;
use crate::core::plan::{self, Busy, Decision, Due, Missed};
use crate::core::retry::Stopped;
use crate::core::run::{Cause, Reason};
use crate::core::schedule::Span;
use crate::core::time::Wall;
use crate::store::{NewOccurrence, NewSkip, StoreError};
use crate::supervisor::configuration::Mode;
use crate::supervisor::log::LogEvent;
use crate::supervisor::memory::Memory;
use crate::supervisor::spawner::{Spawner, Stop};
use crate::supervisor::turn::Turn;
use crate::supervisor::when::When;

/// When the next occurrence falls due.
pub(super) fn due(memory: &Memory) -> Option<When> {
    memory.jobs.planned.first().map(|(at, _)| When::At(*at))
}

impl<S: Spawner> Turn<'_, S> {
    /// Plans every occurrence that has fallen due.
    pub(super) fn plan_due(&mut self) -> Result<(), StoreError> {
        let memory = self.memory;
        // What a clock that was set back or the end of a pause has moved in this turn stands beside
        // what is remembered.
        let moved = self.effects.planned.iter();
        let moved = moved
            .filter_map(|(index, planning)| Some((self.job(*index).due_at(*planning)?, *index)));
        let planned = memory.jobs.planned.iter().copied();
        let planned = planned.take_while(|(at, _)| *at <= self.now.wall);
        let is_moved = |index: &usize| self.effects.planned.contains_key(index);
        let mut due: Vec<(Wall, usize)> =
            planned.filter(|(_, index)| !is_moved(index)).chain(moved).collect();
        due.retain(|(at, _)| *at <= self.now.wall);
        due.sort_unstable();
        due.into_iter().try_for_each(|(_, index)| self.plan_job(index))
    }

    fn plan_job(&mut self, index: usize) -> Result<(), StoreError> {
        let now = self.now.wall;
        let state = self.job(index);
        // An occurrence falls due when its jitter is over, so planning looks that far back.
        let until = now - state.jitter;
        let mut after = self.planning(index).watermark;
        let timetable = self.timetable(index);
        if let Some(pause) = self.pauses().over(state.id, after, now) {
            let paused_until = pause.until.unwrap_or(until).min(until);
            let paused = timetable.due(Span { after, until: paused_until }, Duration::ZERO);
            self.skip_paused(index, &paused, pause)?;
            after = after.max(paused_until);
        }
        let step = self.memory.clock.jump.map_or(Duration::ZERO, |jump| jump.forward);
        let due = timetable.due(Span { after, until }, step);
        match (self.pauses().holding(state.id, now), self.memory.configuration.mode) {
            (Some(pause), _) => self.skip_paused(index, &due, pause)?,
            (None, Mode::Live) => self.plan_occurrences(index, &due)?,
            (None, Mode::Shadow) => self.shadow_occurrences(index, &due)?,
        }
        self.store.move_watermark(state.id, until)?;
        self.move_planning(index, until);
        Ok(())
    }

    /// Puts down as skipped what fell due in a pause.
    pub(super) fn skip_paused(
        &mut self,
        index: usize,
        due: &Due,
        pause: Pause,
    ) -> Result<(), StoreError> {
        let now = self.now;
        let count = due.missed.map_or(0, |missed| missed.count)
            + u64::try_from(due.in_time.len()).unwrap_or(0);
        let first = due.missed.map(|missed| missed.first).or(due.in_time.first().copied());
        let last = due.in_time.last().copied().or(due.missed.map(|missed| missed.last));
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(());
        };
        self.store
            .record_skip(&NewSkip {
                job_id: self.job(index).id,
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

    fn plan_occurrences(&mut self, index: usize, due: &Due) -> Result<(), StoreError> {
        let now = self.now;
        let state = self.job(index);
        // An occurrence falls due when its jitter is over, and its start deadline counts from then.
        let startable_from = match state.job.policy.start_deadline {
            Some(deadline) => now.wall - deadline - state.jitter,
            None => Wall::from_ms(i64::MIN),
        };
        let caught_up = due.caught_up(&self.timetable(index), startable_from);
        if let Some(missed) = due.missed {
            let run = self.record_missed(index, missed, &caught_up)?;
            if let Some(run) = run.filter(|_| caught_up.is_empty() && due.in_time.is_empty()) {
                self.note_missed(index, run, missed.last)?;
            }
        }
        for &at in &caught_up {
            self.insert_run(index, at, Cause::CatchUp)?;
        }
        for &at in &due.in_time {
            if caught_up.is_empty() {
                self.plan_one(index, at)?;
            } else {
                // It waits behind those that are older: they are not what `overlap` means by being
                // in the way.
                self.insert_run(index, at, Cause::Schedule)?;
            }
        }
        Ok(())
    }

    /// Puts down what would have started, a row for each occurrence: each is to be compared with
    /// what cron started.
    fn shadow_occurrences(&mut self, index: usize, due: &Due) -> Result<(), StoreError> {
        if let Some(missed) = due.missed {
            self.record_missed(index, missed, &[])?;
        }
        for &at in &due.in_time {
            let state = self.job(index);
            let skip = NewSkip::shadow(state.id, at, self.now.wall);
            let run = self.store.record_skip(&skip)?;
            let (name, scheduled_at) = (&state.job.name, at.rfc3339());
            let reason = Reason::Shadow;
            self.say(
                LogEvent::Skipped,
                &[
                    ("job", name),
                    ("run", &run),
                    ("reason", &reason),
                    ("scheduled_at", &scheduled_at),
                ],
            );
        }
        Ok(())
    }

    /// Records what was missed and is not caught up: a stretch that begins with the first one. The
    /// newest row, if there is one.
    fn record_missed(
        &mut self,
        index: usize,
        missed: Missed,
        caught_up: &[Wall],
    ) -> Result<Option<i64>, StoreError> {
        let now = self.now;
        let count = missed.count.saturating_sub(u64::try_from(caught_up.len()).unwrap_or(0));
        let first = missed.first;
        if count == 0 || caught_up.first() == Some(&first) {
            return Ok(None);
        }
        let state = self.job(index);
        let last = match caught_up.first() {
            Some(from) => self.timetable(index).latest_before(*from, first).unwrap_or(first),
            None => missed.last,
        };
        let job_id = state.id;
        let mut newest = None;
        for part in self.apart(index, Missed { first, last, count })? {
            let run = self.store.record_skip(&NewSkip {
                job_id,
                cause: Cause::Schedule,
                scheduled_at: part.first,
                last_scheduled_at: (part.last > part.first).then_some(part.last),
                count: i64::try_from(part.count).unwrap_or(i64::MAX),
                reason: Reason::Missed,
                by: None,
                same_since: None,
                now: now.wall,
            })?;
            newest = Some(run);
        }
        let state = self.job(index);
        self.say(LogEvent::Missed, &[("job", &state.job.name), ("count", &count)]);
        Ok(newest)
    }

    /// A stretch by what it was missed for: no supervisor was there, or it was stopping, or neither.
    fn apart(&self, index: usize, missed: Missed) -> Result<Vec<Missed>, StoreError> {
        let borders = self.store.downtime_borders(missed.first, missed.last)?;
        if borders.is_empty() {
            return Ok(vec![missed]);
        }
        let timetable = self.timetable(index);
        let mut after = missed.first.just_before();
        let ends = borders.iter().map(|border| border.just_before()).chain([missed.last]);
        let parts = ends.filter_map(|until| {
            let part = timetable.stretch(Span { after, until });
            after = until;
            part
        });
        Ok(parts.collect())
    }

    /// Judges one occurrence against what its job is busy with.
    fn plan_one(&mut self, index: usize, at: Wall) -> Result<(), StoreError> {
        let busy = self.busy(index)?;
        match plan::judge(&self.job(index).job.policy, &busy) {
            Decision::Run => self.insert_run(index, at, Cause::Schedule).map(|_| ()),
            Decision::Skip { by } => self.skip_overlap(index, at, by),
            Decision::ReplaceRunning(run) => {
                if let Some(by) = self.insert_run(index, at, Cause::Schedule)? {
                    self.store.ask_stop(run, Stopped::Replaced, Some(by))?;
                    self.stop(run, Stop::Gently);
                }
                Ok(())
            }
            Decision::ReplaceQueued(run) => {
                if let Some(by) = self.insert_run(index, at, Cause::Schedule)? {
                    self.store.cancel_if_queued(run, Reason::Replaced, Some(by), self.now.wall)?;
                    self.load_head(self.job(index).id)?;
                }
                Ok(())
            }
        }
    }

    fn busy(&self, index: usize) -> Result<Busy, StoreError> {
        let state = self.job(index);
        let first_queued = self.queue.head_of(index).map(|key| key.2);
        let queued = if first_queued.is_some() { self.store.queued_count(state.id)? } else { 0 };
        let running = self.running_of(state.id).map(|(run, _)| run);
        Ok(Busy {
            running: self.running_len(state.id),
            oldest_running: running.filter(|run| !self.is_stopping(*run)).min(),
            queued: usize::try_from(queued).unwrap_or(0),
            first_queued,
        })
    }

    fn skip_overlap(&mut self, index: usize, at: Wall, by: i64) -> Result<(), StoreError> {
        let now = self.now;
        let state = self.job(index);
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
        let (name, reason) = (&state.job.name, Reason::Overlap);
        self.say(
            LogEvent::Skipped,
            &[("job", name), ("run", &run), ("reason", &reason), ("by", &by)],
        );
        Ok(())
    }

    /// Puts an occurrence down as a run. None: it is there already.
    fn insert_run(
        &mut self,
        index: usize,
        at: Wall,
        cause: Cause,
    ) -> Result<Option<i64>, StoreError> {
        let state = self.job(index);
        let policy = &state.job.policy;
        let new = NewOccurrence {
            job_id: state.id,
            cause,
            scheduled_at: at,
            due_at: at + state.jitter,
            priority: policy.priority,
            max_attempts: policy.attempts_max(),
            now: self.now.wall,
        };
        let Some(run) = self.store.insert_occurrence(&new)? else {
            return Ok(None);
        };
        if policy.retry.on_next == OnNext::Supersede {
            for superseded in self.store.supersede_retrying(state.id, run, new.now)? {
                self.note_superseded(index, superseded)?;
            }
        }
        self.add_head(index, run, &new)?;
        Ok(Some(run))
    }

    /// Skips occurrences that could not start within their start deadline.
    pub(super) fn skip_overdue(&mut self) -> Result<(), StoreError> {
        let overdue = self.queue.overdue(self.now.wall);
        overdue.into_iter().try_for_each(|index| self.skip_overdue_of(index))
    }

    /// Skips the occurrences of a job that could not start within its start deadline.
    pub(super) fn skip_overdue_of(&mut self, index: usize) -> Result<(), StoreError> {
        let now = self.now.wall;
        let state = self.job(index);
        let Some(deadline) = state.job.policy.start_deadline else {
            return Ok(());
        };
        let count = self.store.skip_overdue(state.id, now - deadline, now)?;
        let (name, reason) = (&state.job.name, Reason::Missed);
        self.say(LogEvent::Skipped, &[("job", name), ("reason", &reason), ("count", &count)]);
        self.load_head(state.id)
    }
}
