//! Claims what is due and can start, and after the commit hands it to the slots.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Bound;
use std::time::Duration;

use nix::libc;

use super::jobs::HeadKey;
use super::places::{Busy, Taken};
use super::spawner::{Report, SlotEnd, Spawner};
use super::{LOCK_AGAIN, Live, Steps, Supervisor};
use crate::core::job::{CommandLine, Job};
use crate::core::lane;
use crate::core::rate;
use crate::core::reason::plain;
use crate::core::run::Outcome;
use crate::core::time::{Mono, Now};
use crate::keeper::order::Order;
use crate::store::{RunRow, StoreError};

/// How often a keeper is tried to be started for a run: after 1, 2, 4, 8 and 16 seconds, so for half a minute.
const REFUSALS_MAX: u32 = 6;

/// Whether the system had too few processes, descriptors or too little memory: that may pass, and may be the job's own doing.
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

/// Standard input that a run brings itself.
type Input = Option<Vec<u8>>;

/// A run that was claimed in this turn.
pub(super) struct Claim {
    pub(super) slot: u32,
    /// As it stands after the claim, but for `outcome`, which is still that of the attempt before.
    run: RunRow,
    pub(super) locks: Vec<File>,
    pub(super) order: Order,
}

impl Claim {
    /// The run that was claimed.
    pub(super) fn run(&self) -> i64 {
        self.run.id
    }
}

impl<S: Spawner> Supervisor<S> {
    /// Claims by priority, then due time, then id. A job that cannot start is passed over; it never blocks another.
    pub(super) fn claim_what_can_start(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        if self.start_again_at.is_some_and(|at| at > now.mono) {
            return Ok(());
        }
        self.start_again_at = None;
        if self.heads.is_empty() {
            self.refusals.clear();
        }
        let mut behind = Bound::Unbounded;
        let mut held = 0;
        self.has_more_heads = false;
        while self.live.len() < self.configuration.running_max {
            let Some((key, index)) = self.next_startable(behind, now) else {
                break;
            };
            match self.claim_head(key, index, steps)? {
                Tried::Done => {}
                Tried::NotNow => self.jobs[index].try_at = Some(now.mono + LOCK_AGAIN),
                Tried::Held => held += 1,
            }
            if held == HELD_AT_ONCE {
                self.has_more_heads = true;
                break;
            }
            behind = Bound::Excluded(key);
        }
        Ok(())
    }

    fn next_startable(&self, behind: Bound<HeadKey>, now: Now) -> Option<(HeadKey, usize)> {
        self.heads
            .range((behind, Bound::Unbounded))
            .map(|(key, head)| (*key, head.index))
            .find(|&(_, index)| self.can_start(index, now))
    }

    /// Whether nothing that is known here keeps a job from starting a run.
    fn can_start(&self, index: usize, now: Now) -> bool {
        let state = &self.jobs[index];
        let policy = &state.job.policy;
        let running = state.running.len() + self.execs_of(state.id);
        let has_place = policy
            .running_max()
            .is_none_or(|max| running < usize::try_from(max).unwrap_or(usize::MAX));
        has_place
            && !self.withheld.contains(&state.id)
            && !self.uniting.contains(&state.id)
            && !self.lanes_left.contains_key(&state.id)
            && state.try_at.is_none_or(|at| at <= now.mono)
            && self.pause_of(index, now.wall).is_none()
            && policy.lock.as_deref().is_none_or(|lock| !self.holds_lock(lock))
    }

    pub(super) fn holds_lock(&self, lock: &str) -> bool {
        self.live.values().any(|live| live.lock.as_deref() == Some(lock))
    }

    /// Claims the first queued run of a job.
    fn claim_head(
        &mut self,
        key: HeadKey,
        index: usize,
        steps: &mut Steps,
    ) -> Result<Tried, StoreError> {
        let now = steps.now;
        if self
            .heads
            .get(&key)
            .and_then(|head| self.overdue_at(head))
            .is_some_and(|at| at <= now.wall)
        {
            self.skip_overdue_of(index, steps)?;
            return Ok(Tried::Done);
        }
        let lock = self.lock_of_head(key.2, index)?;
        if let Some(lock) = lock.as_deref().filter(|lock| self.is_taken(index, lock, now)) {
            self.hold(key.2, index, lock, now)?;
            return Ok(Tried::Held);
        }
        if let Some(wait) = self.wait_of_rate(index, now)? {
            self.jobs[index].try_at = Some(now.mono + wait);
            return Ok(Tried::Done);
        }
        let used: Vec<u32> = self.jobs[index].running.iter().map(|(_, place)| *place).collect();
        let job = &self.jobs[index].job;
        let taken = match self.places.take(job, &used, lock.as_deref()) {
            Ok(Ok(taken)) => taken,
            Ok(Err(Busy::Lock)) if lane::is_template(&job.policy) => {
                let lock = lock.unwrap_or_default();
                self.hold(key.2, index, &lock, now)?;
                return Ok(Tried::Held);
            }
            Ok(Err(Busy::Lock | Busy::Place)) => return Ok(Tried::NotNow),
            Err(error) => return Ok(self.cannot_start(index, &error, steps)),
        };
        let slot = match self.spawner.free_slot() {
            Ok(slot) => slot,
            Err(error) => {
                self.start_again_at = Some(now.mono + LOCK_AGAIN);
                return Ok(self.cannot_start(index, &error, steps));
            }
        };
        match self.claimed(key.2, slot, now) {
            Ok(Some((run, input))) => {
                if lane::is_template(&self.jobs[index].job.policy) {
                    self.store.set_lane(run.id, lock.as_deref().unwrap_or_default())?;
                }
                let (live, mut claim) =
                    self.claim_of(&self.jobs[index].job, run, slot, (taken, now));
                if let Some(input) = input {
                    claim.order.stdin = input;
                }
                self.add_live(claim.run(), live);
                steps.claims.push(claim);
                self.take_of_rate(index, now)?;
            }
            Ok(None) => self.spawner.give_back(slot),
            Err(error) => {
                self.spawner.give_back(slot);
                return Err(error);
            }
        }
        self.load_head(self.jobs[index].id)?;
        Ok(Tried::Done)
    }

    /// How long the job's `rate` lets the next start wait.
    fn wait_of_rate(&self, index: usize, now: Now) -> Result<Option<Duration>, StoreError> {
        let state = &self.jobs[index];
        let Some(rate) = state.job.policy.rate else {
            return Ok(None);
        };
        let full_at = self.store.rate_at(state.id)?;
        Ok(rate::wait(rate, full_at, now.wall))
    }

    /// Counts a start against the job's `rate`.
    fn take_of_rate(&self, index: usize, now: Now) -> Result<(), StoreError> {
        let state = &self.jobs[index];
        let Some(rate) = state.job.policy.rate else {
            return Ok(());
        };
        let full_at = self.store.rate_at(state.id)?;
        self.store.set_rate_at(state.id, rate::after_start(rate, full_at, now.wall))
    }

    /// The run as it was claimed, and the standard input it brings; none if it is not queued any more.
    fn claimed(
        &self,
        run: i64,
        slot: u32,
        now: Now,
    ) -> Result<Option<(RunRow, Input)>, StoreError> {
        let Some(run) = self.store.run(run)? else {
            return Ok(None);
        };
        let Some(run) = self.store.claim_if_queued(&run, slot, now.wall)? else {
            return Ok(None);
        };
        let input = self.store.input(run.id)?;
        Ok(Some((run, input)))
    }

    /// A claimed run as it is counted, and as it is started after the commit.
    pub(super) fn claim_of(
        &self,
        job: &Job,
        run: RunRow,
        slot: u32,
        (taken, now): (Taken, Now),
    ) -> (Live, Claim) {
        let live = Live {
            job_id: run.job_id,
            slot,
            claim: run.claim,
            place: taken.place,
            policy: job.policy.clone(),
            is_shell: matches!(job.command, CommandLine::Shell(_)),
            is_guessed: false,
            is_doubted: false,
            lock: lane::lock_of(&job.policy, &run.args),
            is_stopping: false,
            is_killed: false,
            late_at: job.policy.expect_within.map(|within| now.mono + within),
        };
        let mut order = self.surroundings.order(job, &run);
        order.cgroup = self.spawner.cgroup_of(slot);
        if let Some(fed) = &job.policy.feeds {
            order.feeds = Some(fed.to_string());
            order.spool = self
                .spawner
                .spool_path(slot)
                .and_then(|path| path.into_os_string().into_string().ok());
        }
        if self.is_short_of_room() {
            order.output_max = 0;
        }
        let locks = taken.files;
        (live, Claim { slot, run, locks, order })
    }

    /// Locks or slots cannot be used now: said once a second, tried again.
    fn cannot_start(&mut self, index: usize, error: &std::io::Error, steps: &mut Steps) -> Tried {
        self.wants_room |= error.kind() == ErrorKind::StorageFull;
        let (name, error) = (self.jobs[index].job.name.clone(), plain(error));
        steps.log.push(Box::new(move |log, at| {
            log.event(at, "cannot_start", &[("job", &name), ("error", &error)])
        }));
        Tried::NotNow
    }

    /// The claims are on disk: now, and not before, the orders go out.
    pub(super) fn start_claimed(&mut self, claims: Vec<Claim>, now: Now) {
        for claim in claims {
            let Claim { slot, run, locks, order } = claim;
            self.log.event(
                now.wall,
                "start",
                &[("job", &run.job), ("run", &run.id), ("attempt", &run.attempt)],
            );
            let report = match self.spawner.start(slot, &order, locks) {
                Ok(()) => {
                    self.oversee((run.id, run.claim), slot, &order);
                    self.refusals.remove(&run.id);
                    continue;
                }
                Err(error) => {
                    self.wants_room |= error.kind() == ErrorKind::StorageFull;
                    self.log.event(
                        now.wall,
                        "cannot_start",
                        &[("job", &run.job), ("run", &run.id), ("error", &plain(&error))],
                    );
                    self.start_again_at = Some(now.mono + LOCK_AGAIN);
                    self.refused(run.id, &error)
                }
            };
            self.ended.push(SlotEnd { slot, run: run.id, claim: run.claim, report });
        }
    }

    /// A keeper could not be started. Where the system has too few of something and it was tried for long enough, that is the end
    /// of the attempt: the retry policy goes on from there.
    fn refused(&mut self, run: i64, error: &std::io::Error) -> Report {
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

    /// How long a run whose start was refused waits before it is tried again.
    pub(super) fn wait_after_refusal(&self, run: i64) -> Duration {
        let count = self.refusals.get(&run).copied().unwrap_or(1);
        LOCK_AGAIN * 2_u32.saturating_pow(count.clamp(1, REFUSALS_MAX - 1) - 1)
    }

    /// When a job that waits for a stranger's lock, or a start that failed, is tried again. What is over keeps nothing from
    /// starting: then it is something else that does, which has a sign of its own.
    pub(super) fn next_try_at(&self) -> Option<Mono> {
        let is_stuck = !self.heads.is_empty();
        self.heads
            .values()
            .filter_map(|head| self.jobs[head.index].try_at)
            .chain(self.start_again_at.filter(|_| is_stuck))
            .chain(self.next_lane_at())
            .filter(|at| *at > self.last.mono)
            .min()
    }
}
