//! Locks with `{1}` in them: one run at a time for each first argument, and none in the way of
//! another.
//!
//! A run at the head of its queue whose lane is taken is held, which takes it out of the way at the
//! cost of one row; when a run of the lane ends, the store lets the next one of it go. What
//! somebody else has taken gives no sign: it is looked at again a second later.

use crate::core::lane;
use crate::store::{LanesBegun, StoreError};
use crate::supervisor::queue::Queue;
use crate::supervisor::spawner::Spawner;
use crate::supervisor::turn::Turn;
use crate::supervisor::when::{LOCK_AGAIN, When};

/// Runs that are let go in one turn at the most, because it is not known which lanes are taken. Few
/// in tests, so that they see the portions.
const RUNS_AT_ONCE: u32 = if cfg!(test) { 3 } else { 1000 };

/// When a lane is looked at again.
pub(super) fn due(queue: &Queue) -> Option<When> {
    match queue.owes_lanes || !queue.lanes_left.is_empty() {
        true => Some(When::Soon),
        false => queue.next_lane_at().map(When::By),
    }
}

impl<S: Spawner> Turn<'_, S> {
    /// Returns whether it is known that the lane of a job's run is taken.
    pub(super) fn is_taken(&self, index: usize, lock: &str) -> bool {
        let state = self.job(index);
        let is_blocked = || {
            let at = self.queue.blocked.get(&(state.id, lock.into()));
            at.is_some_and(|at| *at > self.now.mono)
        };
        lane::is_template(&state.job.policy) && (self.holds_lock(lock) || is_blocked())
    }

    /// Takes a run out of the way of others until its lane is free.
    pub(super) fn hold(&mut self, run: i64, index: usize, lock: &str) -> Result<(), StoreError> {
        let job = self.job(index).id;
        self.store.hold(run, lock)?;
        let mut live = self.all_live();
        let is_own = live.any(|(_, live)| live.job_id == job && live.lock.as_deref() == Some(lock));
        drop(live);
        if !is_own {
            let again = self.now.mono + LOCK_AGAIN;
            self.queue.blocked.entry((job, lock.into())).or_insert(again);
        }
        self.load_head(job)
    }

    /// Lets the first run of each lane go that somebody else had taken a while ago, or that nobody
    /// knows anything of.
    pub(super) fn free_lanes(&mut self) -> Result<(), StoreError> {
        if self.queue.owes_lanes {
            self.note_lanes()?;
        }
        self.begin_lanes()?;
        let due = self.queue.blocked.iter().filter(|(_, at)| **at <= self.now.mono);
        let due: Vec<(i64, Box<str>)> = due.map(|(lane, _)| lane.clone()).collect();
        for (job, lock) in due {
            self.store.free_lane(job, &lock)?;
            self.load_head(job)?;
            self.queue.blocked.remove(&(job, lock));
        }
        Ok(())
    }

    /// Says that the lanes of all jobs are to be let go. Until those of a job are, nothing of it
    /// starts: what was held may come first.
    fn note_lanes(&mut self) -> Result<(), StoreError> {
        self.queue.blocked.clear();
        let jobs = self.memory.jobs.all.iter();
        let laned = jobs.filter(|state| lane::is_template(&state.job.policy));
        let jobs = laned.map(|state| state.id).chain(self.store.laned_jobs()?);
        self.queue.lanes_left = jobs.map(|job| (job, String::new())).collect();
        self.queue.owes_lanes = false;
        Ok(())
    }

    /// Lets lanes of jobs go, as many as one turn may.
    fn begin_lanes(&mut self) -> Result<(), StoreError> {
        let jobs = &self.memory.jobs;
        let mut room = RUNS_AT_ONCE;
        while let Some((&job, from)) = self.queue.lanes_left.first_key_value() {
            let policy = jobs.get(job).map(|state| &state.job.policy);
            let template = policy.filter(|policy| lane::is_template(policy));
            let template = template.and_then(|policy| policy.lock.as_deref());
            let left = self.store.begin_lanes(job, template, LanesBegun { from, limit: room })?;
            if let Some(next) = left.next {
                self.queue.lanes_left.insert(job, next);
                return Ok(());
            }
            self.queue.lanes_left.remove(&job);
            self.load_head(job)?;
            // One at least for each job: they are many, too.
            room = room.saturating_sub(left.freed.max(1));
            if room == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}
