//! Claims what is due and can start, and after the commit hands it to the slots.

use std::io::ErrorKind;
use std::ops::Bound;
use std::time::Duration;

use nix::libc;

use crate::core::job::Job;
use crate::core::lane;
use crate::core::rate;
use crate::core::reason::plain;
use crate::core::run::Outcome;
use crate::core::time::Now;
use crate::store::{RunRow, StoreError};
use crate::supervisor::claim::Claim;
use crate::supervisor::live::Live;
use crate::supervisor::log::LogEvent;
use crate::supervisor::memory::Memory;
use crate::supervisor::places::{Busy, Taken};
use crate::supervisor::queue::{HeadKey, Queue};
use crate::supervisor::spawner::{Report, Spawner};
use crate::supervisor::turn::Turn;
use crate::supervisor::when::{LOCK_AGAIN, When};

/// How often a keeper is tried to be started for a run: after 1, 2, 4, 8 and 16 seconds, so for
/// half a minute.
const REFUSALS_MAX: u32 = 6;

/// Whether the system had too few processes, descriptors or too little memory: that may pass, and
/// may be the job's own doing.
fn is_shortage(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE))
}

/// Heads of a job whose lane is taken, and that are passed over for that, in one turn at the most.
const HELD_AT_ONCE: u32 = 1000;

/// What became of the head of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    /// It is gone from there, or the job waits for a time of its own.
    Done,
    /// The job is to be tried again a little later.
    NotNow,
    /// Its lane is taken: the next one may start.
    Held,
}

/// When something that waits may start, as far as time decides.
pub(in crate::supervisor) fn due(_: &Memory, queue: &Queue, now: Now) -> Option<When> {
    if queue.has_more_heads {
        return Some(When::Soon);
    }
    When::first([queue.next_resume_at.map(When::At), queue.next_try_at.map(When::By)], now)
}

impl<S: Spawner> Turn<'_, S> {
    /// Claims by priority, then due time, then id. A job that cannot start is passed over; it never
    /// blocks another.
    pub(in crate::supervisor) fn claim_what_can_start(&mut self) -> Result<(), StoreError> {
        if self.queue.start_again_at.is_none_or(|at| at <= self.now.mono) {
            self.queue.start_again_at = None;
            self.effects.is_idle = self.queue.heads.is_empty();
            self.claim_in_order()?;
        }
        self.queue.note_next_try(self.now);
        self.note_next_resume();
        Ok(())
    }

    fn claim_in_order(&mut self) -> Result<(), StoreError> {
        let mut behind = Bound::Unbounded;
        let mut held = 0;
        while self.live_len() < self.memory.configuration.running_max && held < HELD_AT_ONCE {
            let Some((key, index)) = self.next_startable(behind) else {
                break;
            };
            match self.claim_head(key, index)? {
                Tried::Done => {}
                Tried::NotNow => self.queue.set_try_at(index, Some(self.now.mono + LOCK_AGAIN)),
                Tried::Held => held += 1,
            }
            behind = Bound::Excluded(key);
        }
        self.queue.has_more_heads = held == HELD_AT_ONCE;
        Ok(())
    }

    /// When the first pause ends by itself that keeps something from starting.
    fn note_next_resume(&mut self) {
        let is_waiting =
            |job: &i64| self.index(*job).is_some_and(|index| self.queue.head_of(index).is_some());
        let pauses = self.pauses();
        let of_jobs = pauses.jobs.iter().filter(|(job, _)| is_waiting(job)).map(|(_, pause)| pause);
        let of_all = pauses.all.iter().filter(|_| !self.queue.heads.is_empty());
        let ends = of_jobs.chain(of_all).filter_map(|pause| pause.until);
        self.queue.next_resume_at = ends.filter(|until| *until > self.now.wall).min();
    }

    fn next_startable(&self, behind: Bound<HeadKey>) -> Option<(HeadKey, usize)> {
        let mut heads = self.queue.heads.range((behind, Bound::Unbounded));
        let (key, head) = heads.find(|(_, head)| self.can_start(head.index))?;
        Some((*key, head.index))
    }

    /// Whether nothing that is known here keeps a job from starting a run.
    fn can_start(&self, index: usize) -> bool {
        let state = self.job(index);
        let policy = &state.job.policy;
        let has_place = policy.running_max().is_none_or(|max| {
            let running = self.running_len(state.id) + self.execs_of(state.id);
            running < usize::try_from(max).unwrap_or(usize::MAX)
        });
        has_place
            && !self.queue.withheld.contains(&state.id)
            && !self.queue.uniting.contains(&state.id)
            && !self.queue.lanes_left.contains_key(&state.id)
            && self.queue.try_at(index).is_none_or(|at| at <= self.now.mono)
            && self.pauses().holding(state.id, self.now.wall).is_none()
            && policy.lock.as_deref().is_none_or(|lock| !self.holds_lock(lock))
    }

    /// How many runs of a job other processes look after: they hold a place of it, perhaps under a
    /// former name.
    fn execs_of(&self, job_id: i64) -> usize {
        let execs = self.effects.execs.as_ref().unwrap_or(&self.memory.execs.all);
        execs.iter().filter(|exec| exec.job_id == job_id).count()
    }

    pub(in crate::supervisor) fn holds_lock(&self, lock: &str) -> bool {
        self.all_live().any(|(_, live)| live.lock.as_deref() == Some(lock))
    }

    /// Claims the first queued run of a job.
    fn claim_head(&mut self, key: HeadKey, index: usize) -> Result<Tried, StoreError> {
        let overdue_at = self.queue.heads.get(&key).and_then(|head| head.overdue_at);
        if overdue_at.is_some_and(|at| at <= self.now.wall) {
            self.skip_overdue_of(index)?;
            return Ok(Tried::Done);
        }
        let job = &self.job(index).job;
        let Some(run) = self.store.run(key.2)? else {
            self.load_head(self.job(index).id)?;
            return Ok(Tried::Done);
        };
        let lock = lane::lock_of(&job.policy, &run.args);
        if let Some(lock) = lock.as_deref().filter(|lock| self.is_taken(index, lock)) {
            self.hold(key.2, index, lock)?;
            return Ok(Tried::Held);
        }
        if let Some(wait) = self.wait_of_rate(index)? {
            self.queue.set_try_at(index, Some(self.now.mono + wait));
            return Ok(Tried::Done);
        }
        let used: Vec<u32> = self.running_of(run.job_id).map(|(_, place)| place).collect();
        let taken = match self.memory.places.take(job, &used, lock.as_deref()) {
            Ok(Ok(taken)) => taken,
            Ok(Err(Busy::Lock)) if lane::is_template(&job.policy) => {
                self.hold(key.2, index, &lock.unwrap_or_default())?;
                return Ok(Tried::Held);
            }
            Ok(Err(Busy::Lock | Busy::Place)) => return Ok(Tried::NotNow),
            Err(error) => return Ok(self.cannot_start(index, &error)),
        };
        let slot = match self.free_slot() {
            Ok(slot) => slot,
            Err(error) => {
                self.queue.start_again_at = Some(self.now.mono + LOCK_AGAIN);
                return Ok(self.cannot_start(index, &error));
            }
        };
        self.claim(index, &run, (slot, taken))?;
        self.load_head(self.job(index).id)?;
        Ok(Tried::Done)
    }

    /// Claims a run of a job for a slot, unless it is not queued any more.
    fn claim(
        &mut self,
        index: usize,
        run: &RunRow,
        (slot, taken): (u32, Taken),
    ) -> Result<(), StoreError> {
        let job = &self.job(index).job;
        let Some(run) = self.store.claim_if_queued(run, slot, &job.terms(), self.now.wall)? else {
            self.give_back(slot);
            return Ok(());
        };
        if lane::is_template(&job.policy) {
            let lock = lane::lock_of(&job.policy, &run.args);
            self.store.set_lane(run.id, lock.as_deref().unwrap_or_default())?;
        }
        let input = self.store.input(run.id)?;
        let (live, mut claim) = self.claim_of(job, &run, slot, taken);
        if let Some(input) = input {
            claim.order.stdin = input;
        }
        let fields =
            [("job", &run.job as _), ("run", &run.id as _), ("attempt", &run.attempt as _)];
        self.say(LogEvent::Start, &fields);
        self.begin(run.id, live);
        self.effects.claims.push(claim);
        self.take_of_rate(index)
    }

    /// How long the job's `rate` lets the next start wait.
    fn wait_of_rate(&self, index: usize) -> Result<Option<Duration>, StoreError> {
        let state = self.job(index);
        let Some(rate) = state.job.policy.rate else {
            return Ok(None);
        };
        let full_at = self.store.rate_at(state.id)?;
        Ok(rate::wait(rate, full_at, self.now.wall))
    }

    /// Counts a start against the job's `rate`.
    fn take_of_rate(&self, index: usize) -> Result<(), StoreError> {
        let state = self.job(index);
        let Some(rate) = state.job.policy.rate else {
            return Ok(());
        };
        let full_at = self.store.rate_at(state.id)?;
        self.store.set_rate_at(state.id, rate::after_start(rate, full_at, self.now.wall))
    }

    /// A claimed run as it is counted, and as it is started after the commit.
    pub(in crate::supervisor) fn claim_of(
        &self,
        job: &Job,
        run: &RunRow,
        slot: u32,
        taken: Taken,
    ) -> (Live, Claim) {
        let live = Live {
            job_id: run.job_id,
            slot,
            claim: run.claim,
            place: taken.place,
            policy: job.policy.clone(),
            is_shell: job.is_shell(),
            is_doubted: false,
            lock: lane::lock_of(&job.policy, &run.args),
            is_stopping: false,
            is_killed: false,
            is_hurried: false,
            late_at: job.policy.expect_within.map(|within| self.now.mono + within),
        };
        let mut order = self.memory.surroundings.order(job, run);
        order.cgroup = self.spawner.cgroup_of(slot);
        if let Some(fed) = &job.policy.feeds {
            order.feeds = Some(fed.to_string());
            order.spool = self
                .spawner
                .spool_path(slot)
                .and_then(|path| path.into_os_string().into_string().ok());
        }
        if self.is_disk_full {
            order.output_max = 0;
        }
        let locks = taken.files;
        (live, Claim { slot, job: run.job.clone(), notice: None, locks, order })
    }

    /// Locks or slots cannot be used now: said once a second, tried again.
    fn cannot_start(&mut self, index: usize, error: &std::io::Error) -> Tried {
        self.effects.wants_room |= error.kind() == ErrorKind::StorageFull;
        let name = &self.job(index).job.name;
        self.say(LogEvent::CannotStart, &[("job", name), ("error", &plain(error))]);
        Tried::NotNow
    }
}

impl Memory {
    /// A keeper could not be started. Where the system has too few of something and it was tried
    /// for long enough, that is the end of the attempt: the retry policy goes on from there.
    pub(in crate::supervisor) fn refused(&mut self, run: i64, error: &std::io::Error) -> Report {
        let count = self.refusals.entry(run).or_default();
        *count += 1;
        if !is_shortage(error) || *count < REFUSALS_MAX {
            return Report::NeverStarted;
        }
        self.refusals.remove(&run);
        Report::Refused(Outcome::SpawnFailed {
            exit_code: None,
            error: format!("new keeper: {}", plain(error)),
        })
    }

    /// Returns how long a run whose start was refused waits before it is tried again.
    pub(in crate::supervisor) fn wait_after_refusal(&self, run: i64) -> Duration {
        let count = self.refusals.get(&run).copied().unwrap_or(1);
        LOCK_AGAIN * 2_u32.saturating_pow(count.clamp(1, REFUSALS_MAX - 1) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_want_of_processes_memory_or_descriptors_may_pass() {
        let of = |code| is_shortage(&std::io::Error::from_raw_os_error(code));
        assert!([libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE].into_iter().all(of));
        assert!(![libc::EACCES, libc::ENOENT, libc::ENOSPC].into_iter().any(of));
    }
}
