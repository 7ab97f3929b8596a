//! Locks with `{1}` in them: one run at a time for each first argument, and none in the way of another.
//!
//! A run at the head of its queue whose lane is taken is held, which takes it out of the way at the cost of one row; when a run of the lane ends,
//! the store lets the next one of it go. What somebody else has taken gives no sign: it is looked at again a second later.

use super::spawner::Spawner;
use super::{LOCK_AGAIN, Supervisor};
use crate::core::lane;
use crate::core::time::{Mono, Now};
use crate::store::{LanesBegun, StoreError};

/// Runs that are let go in one turn at the most, because it is not known which lanes are taken. Few in tests, so that they see the portions.
const RUNS_AT_ONCE: u32 = if cfg!(test) { 3 } else { 1000 };

impl<S: Spawner> Supervisor<S> {
    /// The lock that the run at the head of a job's queue needs.
    pub(super) fn lock_of_head(
        &self,
        run: i64,
        index: usize,
    ) -> Result<Option<Box<str>>, StoreError> {
        let policy = &self.jobs[index].job.policy;
        if !lane::is_template(policy) {
            return Ok(policy.lock.clone());
        }
        let args = self.store.run(run)?.map(|run| run.args).unwrap_or_default();
        Ok(lane::lock_of(policy, &args))
    }

    /// Whether it is known that the lane of a job's run is taken.
    pub(super) fn is_taken(&self, index: usize, lock: &str, now: Now) -> bool {
        let state = &self.jobs[index];
        let is_blocked = || {
            let at = self.blocked.get(&(state.id, lock.into()));
            at.is_some_and(|at| *at > now.mono)
        };
        lane::is_template(&state.job.policy) && (self.holds_lock(lock) || is_blocked())
    }

    /// Takes a run out of the way of others until its lane is free.
    pub(super) fn hold(
        &mut self,
        run: i64,
        index: usize,
        lock: &str,
        now: Now,
    ) -> Result<(), StoreError> {
        let job = self.jobs[index].id;
        self.store.hold(run, lock)?;
        let mut live = self.live.values();
        let is_own = live.any(|live| live.job_id == job && live.lock.as_deref() == Some(lock));
        if !is_own {
            let again = now.mono + LOCK_AGAIN;
            self.blocked.entry((job, lock.into())).or_insert(again);
        }
        self.load_head(job)
    }

    /// Lets the first run of each lane go that somebody else had taken a while ago, or that nobody knows anything of.
    pub(super) fn free_lanes(&mut self, now: Now) -> Result<(), StoreError> {
        if self.owes_lanes {
            self.note_lanes()?;
        }
        self.begin_lanes()?;
        let due = self.blocked.iter().filter(|(_, at)| **at <= now.mono);
        let due: Vec<(i64, Box<str>)> = due.map(|(lane, _)| lane.clone()).collect();
        for (job, lock) in due {
            self.store.free_lane(job, &lock)?;
            self.load_head(job)?;
            self.blocked.remove(&(job, lock));
        }
        Ok(())
    }

    /// Says that the lanes of all jobs are to be let go. Until those of a job are, nothing of it starts: what was held may come first.
    fn note_lanes(&mut self) -> Result<(), StoreError> {
        self.blocked.clear();
        let known = self.store.laned_jobs()?;
        let laned = self.jobs.iter().filter(|state| lane::is_template(&state.job.policy));
        let jobs = laned.map(|state| state.id).chain(known);
        self.lanes_left = jobs.map(|job| (job, String::new())).collect();
        self.owes_lanes = false;
        Ok(())
    }

    /// Lets lanes of jobs go, as many as one turn may.
    fn begin_lanes(&mut self) -> Result<(), StoreError> {
        let mut room = RUNS_AT_ONCE;
        while let Some((&job, from)) = self.lanes_left.first_key_value() {
            let index = self.by_id.get(&job);
            let policy = index.map(|index| self.jobs[*index].job.policy.clone());
            let template = policy.as_ref().filter(|policy| lane::is_template(policy));
            let template = template.and_then(|policy| policy.lock.as_deref());
            let left = self.store.begin_lanes(job, template, LanesBegun { from, limit: room })?;
            if let Some(next) = left.next {
                self.lanes_left.insert(job, next);
                return Ok(());
            }
            self.lanes_left.remove(&job);
            self.load_head(job)?;
            // One at least for each job: they are many, too.
            room = room.saturating_sub(left.freed.max(1));
            if room == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A run that had a lock has ended: who waits for it in another job's lane may go.
    pub(super) fn lock_is_free(&mut self, lock: &str) {
        let now = self.last.mono;
        for ((_, lane), at) in &mut self.blocked {
            if **lane == *lock {
                *at = now;
            }
        }
    }

    /// When the next lane is looked at that somebody else had taken.
    pub(super) fn next_lane_at(&self) -> Option<Mono> {
        self.blocked.values().copied().min()
    }
}
