//! What the store says waits, and until when. A copy, which is read anew when somebody else has
//! written and after a turn that failed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::core::time::{Mono, Now, Wall};
use crate::store::{NewOccurrence, RunRow, Store, StoreError};

/// The position of a run in the queue: by priority, then due time, then id.
pub(super) type HeadKey = (Reverse<i8>, Wall, i64);

/// The facts about a job's first queued run that every turn needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// The job.
    pub(super) index: usize,
    /// When it is over its start deadline, if it is an occurrence that never started.
    pub(super) overdue_at: Option<Wall>,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// It was read from the store as this was.
    data_version: Option<i64>,
    pub(super) is_stale: bool,
    /// The first queued run of each job that has one.
    pub(super) heads: BTreeMap<HeadKey, Head>,
    of_job: HashMap<usize, HeadKey>,
    overdue: BTreeSet<(Wall, usize)>,
    /// A stranger holds a place or lock of these jobs: not tried again before.
    try_at: HashMap<usize, Mono>,
    /// Heads of queues were held, as many as one turn may; there may be more.
    pub(super) has_more_heads: bool,
    /// Lanes of jobs that somebody else has taken, and when they are looked at again.
    pub(super) blocked: HashMap<(i64, Box<str>), Mono>,
    /// Which lanes are taken is not known any more, or never was.
    pub(super) owes_lanes: bool,
    /// Jobs whose lanes are being let go, and from which lane on. Nothing of them starts meanwhile.
    pub(super) lanes_left: BTreeMap<i64, String>,
    /// Nothing could be started a moment ago.
    pub(super) start_again_at: Option<Mono>,
    /// When a head can be started that could not when this was last tried, as far as time decides.
    pub(super) next_try_at: Option<Mono>,
    pub(super) next_resume_at: Option<Wall>,
    pub(super) next_due_at: Option<Wall>,
    pub(super) next_expiry_at: Option<Wall>,
    /// Runs wait for others that have ended, more than one turn goes through.
    pub(super) has_followers: bool,
    /// Successes have more failures before them than one turn acknowledges.
    pub(super) owes_acknowledgements: bool,
    /// Runs of former names of jobs have yet to move (`was`).
    pub(super) owes_moves: bool,
    /// Jobs of which nothing starts until those that are queued have.
    pub(super) uniting: BTreeSet<i64>,
    /// Finders have found what is not queued yet.
    pub(super) has_feeds: bool,
    /// Jobs of which nothing starts until batches in sight have replaced what they are to replace.
    pub(super) withheld: BTreeSet<i64>,
    /// Hooks and mails were put down, or have ended, since it was read when the next one is due.
    pub(super) has_new_notices: bool,
    /// When the next hook or mail is due.
    pub(super) next_notice_at: Option<Wall>,
    /// None could be started a moment ago.
    pub(super) tell_again_at: Option<Mono>,
    /// When the next job is late.
    pub(super) next_late_at: Option<Wall>,
    /// When the next pause is forgotten.
    pub(super) next_forgotten_at: Option<Wall>,
    /// The newest `jobctl reload` that has no answer.
    pub(super) reload_asked: Option<i64>,
}

impl Queue {
    /// Returns a queue that was never read.
    pub(super) fn unread() -> Self {
        Self { is_stale: true, owes_lanes: true, owes_moves: true, ..Self::default() }
    }

    /// Nothing that was read in a turn that failed holds.
    pub(super) fn forget(&mut self) {
        self.is_stale = true;
        self.owes_lanes = true;
        self.owes_moves = true;
    }

    /// Forgets which jobs there are.
    pub(super) fn begin_anew(&mut self) {
        self.clear_heads();
        self.try_at.clear();
        self.forget();
    }

    pub(super) fn clear_heads(&mut self) {
        self.heads.clear();
        self.of_job.clear();
        self.overdue.clear();
    }

    /// Sees whether somebody else has written into the store.
    pub(super) fn look_at_version(&mut self, store: &Store) -> Result<(), StoreError> {
        let version = Some(store.data_version()?);
        self.is_stale |= version != std::mem::replace(&mut self.data_version, version);
        Ok(())
    }

    /// Returns which state of the store this is, as far as others write it.
    pub(super) fn data_version(&self) -> Option<i64> {
        self.data_version
    }

    pub(super) fn head_of(&self, index: usize) -> Option<HeadKey> {
        self.of_job.get(&index).copied()
    }

    /// The first queued run of a job, whose occurrences are to start within `start_deadline`.
    pub(super) fn set_head(
        &mut self,
        index: usize,
        run: Option<&RunRow>,
        start_deadline: Option<Duration>,
    ) {
        let former = self.of_job.remove(&index).and_then(|key| self.heads.remove(&key));
        if let Some(at) = former.and_then(|head| head.overdue_at) {
            self.overdue.remove(&(at, index));
        }
        if let Some(run) = run {
            let due_at = run.due_at.unwrap_or(run.created_at);
            let is_unstarted = run.attempt == 0 && run.scheduled_at.is_some();
            let deadline = start_deadline.filter(|_| is_unstarted);
            self.put((Reverse(run.priority), due_at, run.id), index, deadline);
        }
    }

    /// Notes an occurrence that has just been queued for a job without a head.
    pub(super) fn add(
        &mut self,
        index: usize,
        run: i64,
        new: &NewOccurrence,
        start_deadline: Option<Duration>,
    ) {
        self.put((Reverse(new.priority), new.due_at, run), index, start_deadline);
    }

    fn put(&mut self, key: HeadKey, index: usize, deadline: Option<Duration>) {
        let overdue_at = deadline.map(|deadline| key.1 + deadline + Duration::from_millis(1));
        self.overdue.extend(overdue_at.map(|at| (at, index)));
        self.of_job.insert(index, key);
        self.heads.insert(key, Head { index, overdue_at });
    }

    /// When the first waiting occurrence is over its start deadline.
    pub(super) fn next_overdue_at(&self) -> Option<Wall> {
        self.overdue.first().map(|(at, _)| *at)
    }

    /// Jobs whose first queued occurrence is over its start deadline.
    pub(super) fn overdue(&self, now: Wall) -> Vec<usize> {
        self.overdue.iter().take_while(|(at, _)| *at <= now).map(|(_, index)| *index).collect()
    }

    pub(super) fn try_at(&self, index: usize) -> Option<Mono> {
        self.try_at.get(&index).copied()
    }

    /// Starts nothing of a job before `at`.
    pub(super) fn set_try_at(&mut self, index: usize, at: Option<Mono>) {
        match at {
            Some(at) => self.try_at.insert(index, at),
            None => self.try_at.remove(&index),
        };
    }

    /// When a job that waits for a stranger's lock, or a start that failed, is tried again. What is
    /// over at `now` keeps nothing from starting: then it is something else that does, which has a
    /// sign of its own.
    pub(super) fn note_next_try(&mut self, now: Now) {
        let is_stuck = !self.heads.is_empty();
        let jobs = self.heads.values().filter_map(|head| self.try_at(head.index));
        let all = jobs.chain(self.start_again_at.filter(|_| is_stuck)).chain(self.next_lane_at());
        self.next_try_at = all.filter(|at| *at > now.mono).min();
    }

    /// When the next lane is looked at that somebody else had taken.
    pub(super) fn next_lane_at(&self) -> Option<Mono> {
        self.blocked.values().copied().min()
    }

    /// A run that had a lock has ended: who waits for it in another job's lane may go.
    pub(super) fn lock_is_free(&mut self, lock: &str, now: Mono) {
        for ((_, lane), at) in &mut self.blocked {
            if **lane == *lock {
                *at = now;
            }
        }
    }
}
