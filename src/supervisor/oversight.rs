//! Deadlines over keepers: a keeper keeps the timeout and the stop of its command, and this keeps
//! the keeper. One that is stopped is woken; one that does not end its attempt then is killed, and
//! its command with it.
//!
//! Time is counted here as the supervisor turns: while it is stopped itself, or its machine, no
//! keeper becomes late.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::time::Duration;

use super::log::{Log, LogEvent};
use super::spawner::{Sent, SlotEnd, Spawner, Stop};
use crate::core::run::Outcome;
use crate::core::time::{Mono, Now};
use crate::keeper::START_MAX;
use crate::keeper::order::Order;

/// A keeper may be so much later than what it is told says.
const KEEPER_MAX: Duration = Duration::from_secs(5);

/// A keeper that is told to kill at once for the last time, or whose supervisor should have left,
/// has this long.
const LAST_MAX: Duration = Duration::from_secs(1);

/// After a stop has had its time, and that of the keepers that are killed for it, the supervisor
/// leaves.
pub(super) const AFTER_A_STOP: Duration =
    Duration::from_secs(LAST_MAX.as_secs() + KEEPER_MAX.as_secs());

/// A keeper that has not begun to end its attempt so long after the timeout is woken.
const WAKE_BEHIND: Duration = Duration::from_secs(1);

/// A wait may be so much longer than it was planned before it is taken for a stop of this process.
const LATE_MAX: Duration = Duration::from_secs(1);

/// Waits are no longer while a keeper is late: it shall have had the time that is counted.
const LOOK: Duration = Duration::from_secs(1);

/// Why a keeper was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It had not ended its attempt after the timeout.
    Timeout,
    /// It had not started its command.
    Start,
    /// It had not ended its attempt after it was told to.
    Told,
}

/// One attempt, hook, mail or heartbeat, on the clock of [`Oversight`].
#[derive(Clone, Copy, Debug)]
struct Watched {
    slot: u32,
    claim: i64,
    grace: Duration,
    /// Until then its command has to be started; none: it is.
    start_deadline: Option<Mono>,
    /// When its timeout is over; none: it has none.
    timeout_at: Option<Mono>,
    /// It was woken after that.
    is_woken: bool,
    /// When it has to have ended because it was told to.
    told_deadline: Option<Mono>,
    /// When it is tried again to signal a keeper that could not be reached.
    try_at: Option<Mono>,
    killed: Option<Cause>,
}

impl Watched {
    fn wake_deadline(&self) -> Option<Mono> {
        let at = self.timeout_at.filter(|_| !self.is_woken)?;
        Some(self.not_before_try(at + WAKE_BEHIND))
    }

    fn not_before_try(&self, at: Mono) -> Mono {
        self.try_at.map_or(at, |try_at| try_at.max(at))
    }

    fn kill_deadline(&self) -> Option<Mono> {
        let late = self.timeout_at.map(|at| at + self.grace + KEEPER_MAX);
        let all = [late, self.start_deadline, self.told_deadline];
        let first = all.into_iter().flatten().min()?;
        Some(self.not_before_try(first))
    }

    /// Why it is to be killed at `now`; none: it is not.
    fn kill_cause(&self, now: Mono) -> Option<Cause> {
        let is_over = |at: Option<Mono>| at.is_some_and(|at| at <= now);
        if !is_over(self.kill_deadline()) {
            None
        } else if is_over(self.timeout_at) {
            Some(Cause::Timeout)
        } else if is_over(self.told_deadline) {
            Some(Cause::Told)
        } else {
            Some(Cause::Start)
        }
    }
}

/// All keepers that work on something.
#[derive(Debug)]
pub(super) struct Oversight {
    /// How long this process has turned.
    now: Mono,
    last: Mono,
    /// How long the last wait was to be.
    planned: Option<Duration>,
    /// By run, as its keeper knows it.
    watched: HashMap<i64, Watched>,
}

impl Oversight {
    /// Begins at `now` with nothing to look after.
    pub(super) fn at(now: Now) -> Self {
        Self {
            now: Mono::from_duration(Duration::ZERO),
            last: now.mono,
            planned: None,
            watched: HashMap::new(),
        }
    }

    /// Time has passed.
    fn advance(&mut self, now: Now) {
        let passed = now.mono.since(self.last);
        let counted = self.planned.map_or(passed, |planned| passed.min(planned + LATE_MAX));
        self.now = self.now + counted;
        self.last = now.mono;
    }

    /// Returns how long nothing is to be done, unless something happens. Attempts in `ended` need
    /// nothing more, although their ends are not on disk yet.
    pub(super) fn next_wait(&self, ended: &[SlotEnd]) -> Option<Duration> {
        let ended: HashSet<i64> = ended.iter().map(|end| end.run).collect();
        let watched = self.watched.iter().filter(|(run, _)| !ended.contains(run));
        let waits = watched.map(|(_, one)| one).filter(|one| one.killed.is_none());
        let waits = waits.filter_map(|one| {
            let is_late = one.told_deadline.is_some() || one.is_woken;
            let kill = one.kill_deadline()?;
            let next = one.wake_deadline().map_or(kill, |wake| wake.min(kill));
            let wait = next.since(self.now).max(Duration::from_millis(1));
            Some(if is_late { wait.min(LOOK) } else { wait })
        });
        waits.min()
    }

    /// Hands an order to the keeper of a slot, which has to keep its times from now on.
    pub(super) fn start<S: Spawner>(
        &mut self,
        spawner: &mut S,
        slot: u32,
        order: &Order,
        locks: Vec<File>,
    ) -> io::Result<()> {
        spawner.start(slot, order, locks)?;
        self.oversee((order.run, order.claim), slot, (order.timeout, order.stop_grace));
        Ok(())
    }

    /// From now on the keeper of a slot has to keep these times. How much of them is over for what
    /// a former supervisor began is its keeper's to know.
    pub(super) fn oversee(
        &mut self,
        (run, claim): (i64, i64),
        slot: u32,
        (timeout, grace): (Option<Duration>, Duration),
    ) {
        let now = self.now;
        let watched = Watched {
            slot,
            claim,
            grace,
            start_deadline: Some(now + START_MAX + KEEPER_MAX),
            timeout_at: timeout.map(|timeout| now + timeout),
            is_woken: false,
            told_deadline: None,
            try_at: None,
            killed: None,
        };
        self.watched.insert(run, watched);
    }

    /// The keeper of a run was told to stop.
    pub(super) fn note_told(&mut self, run: i64, stop: Stop) {
        let now = self.now;
        if let Some(one) = self.watched.get_mut(&run) {
            let time = match stop {
                Stop::Gently => one.grace + KEEPER_MAX,
                Stop::AtOnce => KEEPER_MAX,
            };
            one.told_deadline = Some(one.told_deadline.map_or(now + time, |at| at.min(now + time)));
        }
    }

    /// Everything is to be over now.
    pub(super) fn hurry(&mut self, run: i64) {
        let at = self.now + LAST_MAX;
        if let Some(one) = self.watched.get_mut(&run) {
            one.told_deadline = Some(one.told_deadline.map_or(at, |told| told.min(at)));
        }
    }

    /// Forgets an attempt that has ended.
    pub(super) fn forget(&mut self, run: i64, claim: i64) {
        let is_it = |one: &Watched| one.claim == claim;
        if self.watched.get(&run).is_some_and(is_it) {
            self.watched.remove(&run);
        }
    }

    /// Wakes and kills keepers that are late. After the ends that they have told were heard.
    pub(super) fn look_at_keepers<S: Spawner>(
        &mut self,
        ended: &[SlotEnd],
        (spawner, log): (&mut S, &mut Log),
        now: Now,
    ) {
        self.advance(now);
        let clock = self.now;
        let ended: HashSet<i64> = ended.iter().map(|end| end.run).collect();
        let mut killed = Vec::new();
        for (run, one) in &mut self.watched {
            if one.killed.is_some() || ended.contains(run) {
                continue;
            }
            if one.wake_deadline().is_some_and(|at| at <= clock) {
                match spawner.wake(one.slot) {
                    Sent::Sent => one.is_woken = true,
                    Sent::Unsent => one.try_at = Some(clock + LOOK),
                }
            }
            let Some(cause) = one.kill_cause(clock) else {
                continue;
            };
            if cause == Cause::Start && spawner.is_started(one.slot, *run, one.claim) {
                one.start_deadline = None;
                continue;
            }
            match spawner.kill_keeper(one.slot) {
                Sent::Sent => {
                    one.killed = Some(cause);
                    killed.push((*run, cause));
                }
                Sent::Unsent => one.try_at = Some(clock + LOOK),
            }
        }
        for (run, cause) in killed {
            let why = match cause {
                Cause::Timeout => "did not end its attempt at the timeout",
                Cause::Start => "did not start its command",
                Cause::Told => "did not end its attempt when asked to",
            };
            log.event(now.wall, LogEvent::KeeperKilled, &[("run", &run), ("why", &why)]);
        }
    }

    /// Notes how long this process is to wait at most.
    pub(super) fn note_wait(&mut self, wait: Duration) {
        self.planned = Some(wait);
    }

    /// How an attempt ended whose keeper is gone without a word: what the keeper was killed for is
    /// known.
    pub(super) fn outcome_of_lost(&self, run: i64, claim: i64) -> Outcome {
        let one = self.watched.get(&run);
        let killed = one.filter(|one| one.claim == claim).and_then(|one| one.killed);
        match killed {
            Some(Cause::Timeout) => Outcome::TimedOut { exit_code: None, signal: None },
            // That its record names no command does not prove that none was executed.
            Some(Cause::Start | Cause::Told) | None => Outcome::Lost,
        }
    }

    /// Returns whether the keeper of an attempt was killed because it did not end that when it was
    /// told to: then the attempt was stopped.
    pub(super) fn was_told(&self, run: i64, claim: i64) -> bool {
        let one = self.watched.get(&run);
        one.is_some_and(|one| one.claim == claim && one.killed == Some(Cause::Told))
    }
}
