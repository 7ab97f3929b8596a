//! The jobs as the supervisor holds them, and the first queued run of each: refreshing, undoing.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::spawner::Spawner;
use super::{Live, Steps, Supervisor};
use crate::core::job::Job;
use crate::core::pause::Pause;
use crate::core::plan::Timetable;
use crate::core::schedule::{Span, Zone};
use crate::core::time::{Mono, Wall};
use crate::store::{NewOccurrence, StoreError};

/// Where a run stands in the queue: by priority, then due time, then id.
pub(super) type HeadKey = (Reverse<i8>, Wall, i64);

/// A job with what is known of it now.
#[derive(Debug)]
pub(super) struct JobState {
    pub(super) job: Job,
    pub(super) id: i64,
    pub(super) zone: Arc<Zone>,
    pub(super) grid_at: Option<Wall>,
    /// All occurrences up to here are decided.
    pub(super) watermark: Wall,
    /// When it, or its schedule as it is, was first loaded, if that was in this process: what is before is no concern of it.
    pub(super) began: Option<Mono>,
    pub(super) next: Option<Wall>,
    pub(super) jitter: Duration,
    pub(super) pause: Option<Pause>,
    /// Its running runs with their places, oldest first.
    pub(super) running: Vec<(i64, u32)>,
    /// Its first queued run.
    pub(super) head: Option<HeadKey>,
    /// A stranger holds its place or lock: not tried again before.
    pub(super) try_at: Option<Mono>,
}

/// How a job was planned before a turn changed that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planning {
    pub(super) index: usize,
    pub(super) watermark: Wall,
    pub(super) next: Option<Wall>,
    pub(super) grid_at: Option<Wall>,
}

/// The pauses as they were before a turn read them anew.
#[derive(Clone, Debug)]
pub(super) struct Pauses {
    all: Option<Pause>,
    /// In the order of the jobs.
    jobs: Vec<Option<Pause>>,
}

impl Pauses {
    /// The jobs that were paused, and by what: their own pause before that of all.
    fn holding(&self) -> impl Iterator<Item = (usize, Pause)> {
        let jobs = self.jobs.iter().enumerate();
        jobs.filter_map(|(index, pause)| Some((index, pause.or(self.all)?)))
    }
}

/// What is to be known of a job's first queued run at every turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// The job.
    pub(super) index: usize,
    /// Since when it waits, if it is an occurrence that never started: then its start deadline counts.
    pub(super) unstarted_since: Option<Wall>,
}

impl JobState {
    /// When its next occurrence falls due: at its instant and the job's jitter.
    pub(super) fn planned_at(&self) -> Option<Wall> {
        self.next.map(|at| at + self.jitter)
    }

    /// Whether it is defined in the same way.
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

    pub(super) fn timetable(&self) -> Timetable<'_> {
        Timetable { job: &self.job, zone: &self.zone, grid_at: self.grid_at }
    }
}

impl<S: Spawner> Supervisor<S> {
    /// Reads anew what others may have written: queued runs, wishes to stop, pauses, due times.
    pub(super) fn refresh(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let queued = self.store.queued_jobs()?;
        for head in std::mem::take(&mut self.heads).into_values() {
            self.jobs[head.index].head = None;
        }
        for job_id in queued {
            self.load_head(job_id)?;
        }
        self.next_due_at = self.store.next_due_at()?;
        self.next_expiry_at = self.store.next_expiry_at()?;
        self.refresh_pauses(steps)?;
        self.refresh_execs()?;
        self.has_feeds = self.store.has_feeds()?;
        self.next_notice_at = self.store.next_notice_at()?;
        // `jobctl prune` writes it down, too.
        self.output_bytes = self.store.output_bytes()?;
        self.reload_asked = self.store.reload_asked()?;
        self.is_stale = false;
        Ok(())
    }

    fn refresh_pauses(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let former = Pauses {
            all: self.paused_all,
            jobs: self.jobs.iter_mut().map(|job| job.pause.take()).collect(),
        };
        let ended: Vec<(usize, Pause)> = former.holding().collect();
        steps.pauses = Some(former);
        for (job_id, since, until) in self.store.paused_jobs()? {
            if let Some(&index) = self.by_id.get(&job_id) {
                self.jobs[index].pause = Some(Pause { since, until });
            }
        }
        self.paused_all = self.store.supervisor()?.pause;
        ended.into_iter().try_for_each(|(index, pause)| self.end_pause(index, pause, steps))
    }

    /// A pause that `resume` has ended owes nothing, nor does what its jitter would still let fall due: the store says up to
    /// where.
    fn end_pause(
        &mut self,
        index: usize,
        pause: Pause,
        steps: &mut Steps,
    ) -> Result<(), StoreError> {
        let state = &self.jobs[index];
        if self.paused_all.is_some() || state.pause.is_some() {
            return Ok(());
        }
        let Some(resumed_at) = self.store.watermark(state.id)? else {
            return Ok(());
        };
        if resumed_at <= state.watermark {
            return Ok(());
        }
        let span = Span { after: state.watermark, until: resumed_at };
        let due = state.timetable().due(span, Duration::ZERO);
        self.skip_paused(index, &due, pause, steps.now)?;
        self.move_planning(index, resumed_at, steps);
        Ok(())
    }

    /// Whether a job may not start anything, and since when.
    pub(super) fn pause_of(&self, index: usize, now: Wall) -> Option<Pause> {
        [self.paused_all, self.jobs[index].pause]
            .into_iter()
            .flatten()
            .find(|pause| pause.holds(now))
    }

    /// The last pause that has ended by itself in the time that is still to be planned: it owes nothing.
    pub(super) fn pause_over(&self, index: usize, now: Wall) -> Option<Pause> {
        let state = &self.jobs[index];
        [self.paused_all, state.pause]
            .into_iter()
            .flatten()
            .filter(|pause| {
                !pause.holds(now) && pause.until.is_some_and(|until| until > state.watermark)
            })
            .max_by_key(|pause| pause.until)
    }

    /// When the first pause ends by itself.
    pub(super) fn next_resume_at(&self) -> Option<Wall> {
        if self.heads.is_empty() {
            return None;
        }
        let of_jobs = self.heads.values().filter_map(|head| self.jobs[head.index].pause);
        of_jobs
            .chain(self.paused_all)
            .filter_map(|pause| pause.until)
            .filter(|until| *until > self.last.wall)
            .min()
    }

    /// Reads the first queued run of a job again. What waits of a job that is not in the jobfile cannot start and is left alone.
    pub(super) fn load_head(&mut self, job_id: i64) -> Result<(), StoreError> {
        let Some(&index) = self.by_id.get(&job_id) else {
            return Ok(());
        };
        if let Some(key) = self.jobs[index].head.take() {
            self.heads.remove(&key);
        }
        if let Some(run) = self.store.queue_head(job_id)? {
            let due_at = run.due_at.unwrap_or(run.created_at);
            let is_unstarted = run.attempt == 0 && run.scheduled_at.is_some();
            let head = Head { index, unstarted_since: is_unstarted.then_some(due_at) };
            self.put_head((Reverse(run.priority), due_at, run.id), head);
        }
        Ok(())
    }

    /// Notes an occurrence that has just been queued, without asking the store what was just told to it.
    pub(super) fn add_head(
        &mut self,
        index: usize,
        run: i64,
        new: &NewOccurrence,
    ) -> Result<(), StoreError> {
        if self.jobs[index].head.is_some() {
            return self.load_head(new.job_id);
        }
        let head = Head { index, unstarted_since: Some(new.due_at) };
        self.put_head((Reverse(new.priority), new.due_at, run), head);
        Ok(())
    }

    fn put_head(&mut self, key: HeadKey, head: Head) {
        self.jobs[head.index].head = Some(key);
        self.heads.insert(key, head);
    }

    /// Puts back the pauses: whoever sees the end of one has to see it again.
    pub(super) fn undo_pauses(&mut self, pauses: Pauses) {
        self.paused_all = pauses.all;
        for (job, pause) in self.jobs.iter_mut().zip(pauses.jobs) {
            job.pause = pause;
        }
    }

    /// Puts back what a turn that failed had moved.
    pub(super) fn undo_jobs(&mut self, planned: &[Planning], gone: &[(i64, Live)]) {
        for before in planned.iter().rev() {
            let index = before.index;
            let state = &mut self.jobs[index];
            if let Some(at) = state.planned_at() {
                self.planned.remove(&(at, index));
            }
            state.watermark = before.watermark;
            state.next = before.next;
            state.grid_at = before.grid_at;
            if let Some(at) = state.planned_at() {
                self.planned.insert((at, index));
            }
        }
        for (run, live) in gone {
            if let Some(&index) = self.by_id.get(&live.job_id) {
                self.jobs[index].running.push((*run, live.place));
                self.jobs[index].running.sort_unstable();
            }
            self.live.insert(*run, live.clone());
        }
    }

    /// Forgets an attempt that has ended.
    pub(super) fn remove_live(&mut self, run: i64) -> Option<Live> {
        let live = self.live.remove(&run)?;
        if let Some(lock) = &live.lock {
            self.lock_is_free(lock);
        }
        if let Some(&index) = self.by_id.get(&live.job_id) {
            self.jobs[index].running.retain(|(id, _)| *id != run);
            self.jobs[index].try_at = None;
        }
        Some(live)
    }

    /// Counts an attempt as under way.
    pub(super) fn add_live(&mut self, run: i64, live: Live) {
        if let Some(&index) = self.by_id.get(&live.job_id) {
            let running = &mut self.jobs[index].running;
            running.push((run, live.place));
            running.sort_unstable();
        }
        self.live.insert(run, live);
    }
}
