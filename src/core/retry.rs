//! Decides what follows an attempt (jobctl.toml(5), "Retries"). Pure: no clock, no randomness, no
//! I/O.
//!
//! The only place that turns an [`Outcome`] into a [`Verdict`].

use std::time::Duration;

use super::ended::HowItEnded;
use super::job::{Policy, Retry, RetryMax};
use super::run::{Outcome, Reason, Verdict};
use super::time::Wall;
use super::words::words;

/// A run whose keeper was lost more often than this is poison.
pub(crate) const LOST_MAX: u32 = 3;

/// A command that asks to be tried again sooner than this is tried again then.
const PUT_OFF_MIN: Duration = Duration::from_secs(1);

/// So often a run may put itself off uncharged.
const PUT_OFF_FREE: u32 = 100;

/// The next step after an attempt.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The run has ended.
    Finish(Verdict),
    /// Another attempt at this time.
    RetryAt(Wall),
    /// Another attempt at this time, because the command asked for it; the one that ended is not
    /// charged.
    PutOffTo(Wall),
    /// Another attempt as soon as it can be had; the one that ended is not charged.
    Requeue,
}

/// The attempts that a run may have, and those it has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Attempts that have ended.
    pub(crate) charged: u32,
    /// Attempts that may end before the budget is spent; none is no limit.
    pub(crate) max: Option<u32>,
    /// How often its keeper was lost.
    pub(crate) lost: u32,
    /// How often its command put it off uncharged.
    pub(crate) put_off: u32,
    /// When its first attempt was claimed; none before that, and after the run's end.
    pub(crate) began_at: Option<Wall>,
    /// Attempts that were charged to the budgets before this one.
    pub(crate) before: u32,
}

impl Budget {
    /// A fresh one for the same run, with so many attempts; none is no limit.
    pub(crate) fn renewed(self, attempts: Option<u32>) -> Self {
        let max = attempts.map(|attempts| self.charged.saturating_add(attempts));
        Self { charged: self.charged, max, before: self.charged, ..Self::default() }
    }

    /// The same when the attempt of this number is claimed.
    pub(crate) fn at_claim(self, attempt: u32, now: Wall) -> Self {
        // Before the first attempt, a claim that was taken back has begun nothing.
        let began_at = self.began_at.filter(|_| attempt > 1);
        Self { began_at: began_at.or(Some(now)), ..self }
    }

    /// The same with the end of an attempt: each is charged.
    fn charged_for(self, outcome: &Outcome) -> Self {
        let lost = self.lost.saturating_add(u32::from(*outcome == Outcome::Lost));
        Self { charged: self.charged.saturating_add(1), lost, ..self }
    }

    /// The same with what follows. For an end that is free one more attempt is granted, since the
    /// count of attempts goes on.
    fn with(self, next: Next) -> Self {
        let granted = Self { max: self.max.map(|max| max.saturating_add(1)), ..self };
        match next {
            Next::Finish(_) => Self { began_at: None, ..self },
            Next::RetryAt(_) => self,
            Next::Requeue => granted,
            Next::PutOffTo(_) => Self { put_off: self.put_off.saturating_add(1), ..granted },
        }
    }
}

/// An attempt that has ended, and what its run has behind it.
#[derive(Clone, Debug)]
pub(crate) struct Ended<'a> {
    /// The run's id; with `attempt` it decides the jitter.
    pub(crate) run: i64,
    /// Counted from 1.
    pub(crate) attempt: u32,
    /// The run's budget before this end.
    pub(crate) budget: Budget,
    /// How it ended.
    pub(crate) outcome: &'a Outcome,
    /// When it ended.
    pub(crate) ended_at: Wall,
    /// Who wanted it to end, if somebody did.
    pub(crate) stopped: Option<Stopped>,
    /// Whether the stop sequence had begun when it ended: what it answered to that is no exit code
    /// of its own.
    pub(crate) was_struck: bool,
    /// How long after its end the command wants to be tried again, if it has failed by an exit
    /// code.
    pub(crate) retry_after: Option<Duration>,
    /// Its output is not what it was executed for, so that a success is none.
    pub(crate) is_unfit: bool,
    /// An occurrence whose job has left the jobfile: it is not tried again.
    pub(crate) is_removed: bool,
}

words! {
    /// Somebody's wish that ended an attempt.
    Stopped {
        /// `jobctl cancel`.
        ByHand = 1 "by_hand",
        /// A new occurrence under `overlap = "replace"`, or `--on-conflict replace`.
        Replaced = 2 "replaced",
        /// The supervisor stopped, or the machine went down.
        Shutdown = 3 "shutdown",
    }
}

impl Policy {
    /// Attempts in all that a fresh budget grants; none is no limit.
    pub(crate) fn attempts_max(&self) -> Option<u32> {
        match self.retry.max {
            RetryMax::Times(times) => Some(times.saturating_add(1)),
            RetryMax::Unlimited => None,
        }
    }

    /// Returns the next step after an attempt, and the run's budget from then on.
    ///
    /// The same attempt always gets the same answer, so a restarted supervisor keeps the time it
    /// promised.
    pub(crate) fn after(&self, ended: &Ended<'_>) -> (Next, Budget) {
        assert!(ended.attempt >= 1, "attempts are counted from 1");
        let budget = ended.budget.charged_for(ended.outcome);
        let mut next = self.next(&Ended { budget, ..ended.clone() });
        if ended.is_removed && !matches!(next, Next::Finish(_)) {
            next = Next::Finish(Verdict::Skipped(Reason::JobRemoved));
        }
        (next, budget.with(next))
    }

    /// The same of one that is charged already.
    fn next(&self, ended: &Ended<'_>) -> Next {
        let is_its_own = ended.stopped.is_none() || !ended.was_struck;
        let by_exit = self.verdict_by_exit(ended.outcome).filter(|verdict| {
            let is_unfit = ended.is_unfit && *verdict == Verdict::Succeeded;
            is_its_own && !is_unfit
        });
        if let Some(verdict) = by_exit {
            return Next::Finish(verdict);
        }
        match ended.stopped {
            Some(Stopped::ByHand) => return Next::Finish(Verdict::Cancelled(Reason::ByHand)),
            Some(Stopped::Replaced) => return Next::Finish(Verdict::Cancelled(Reason::Replaced)),
            Some(Stopped::Shutdown) if is_its_own => {}
            Some(Stopped::Shutdown) if self.retry.max == RetryMax::Times(0) => {
                return Next::Finish(Verdict::Failed(Reason::Shutdown));
            }
            Some(Stopped::Shutdown) => return Next::Requeue,
            None => {}
        }
        self.next_after_failure(ended)
    }

    /// The verdict that an exit code gives by itself.
    fn verdict_by_exit(&self, outcome: &Outcome) -> Option<Verdict> {
        let Outcome::Exited(code) = outcome else {
            return None;
        };
        if self.success_exit.contains(code) {
            return Some(Verdict::Succeeded);
        }
        self.skip_exit.contains(code).then_some(Verdict::Skipped(Reason::Exit))
    }

    fn next_after_failure(&self, ended: &Ended<'_>) -> Next {
        let reason = failure_reason(ended.outcome);
        let budget = &ended.budget;
        if budget.lost > LOST_MAX {
            return Next::Finish(Verdict::Failed(Reason::Poison));
        }
        let is_spent = budget.max.is_some_and(|max| budget.charged >= max);
        if let (Outcome::Exited(_), Some(span)) = (ended.outcome, ended.retry_after) {
            let at = ended.ended_at + span.max(PUT_OFF_MIN);
            let next = match budget.put_off < PUT_OFF_FREE {
                true => Next::PutOffTo(at),
                false if is_spent => return Next::Finish(Verdict::Failed(reason)),
                false => Next::RetryAt(at),
            };
            return self.unless_too_late(at, ended, next);
        }
        let is_final =
            ended.outcome.exit_code().is_some_and(|code| self.no_retry_exit.contains(&code))
                || (*ended.outcome == Outcome::Lost && !self.retry.lost)
                || is_spent;
        if is_final {
            return Next::Finish(Verdict::Failed(reason));
        }
        let seed = jitter_seed(ended.run, ended.attempt);
        let at = ended.ended_at
            + self.retry.delay_after(budget.charged.saturating_sub(budget.before), seed);
        self.unless_too_late(at, ended, Next::RetryAt(at))
    }

    fn unless_too_late(&self, at: Wall, ended: &Ended<'_>, next: Next) -> Next {
        let began_at = ended.budget.began_at.unwrap_or(ended.ended_at);
        match self.retry.give_up_after {
            Some(limit) if at > began_at + limit => {
                Next::Finish(Verdict::Failed(Reason::GiveUpAfter))
            }
            _ => next,
        }
    }
}

/// A run that waits for another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The run's id.
    pub(crate) run: i64,
    /// The attempt that has ended.
    pub(crate) attempt: u32,
    /// The run's budget.
    pub(crate) budget: Budget,
    /// When the next one is due.
    pub(crate) due_at: Wall,
}

impl Policy {
    /// The attempts that will follow, at most `limit`, and when at the earliest: as if each of them
    /// failed in the moment it started.
    pub(crate) fn plan(&self, waiting: &Waiting, limit: usize) -> Vec<(u32, Wall)> {
        let mut plan = Vec::new();
        let Budget { mut charged, max, began_at, before, .. } = waiting.budget;
        let began_at = began_at.unwrap_or(waiting.due_at);
        let (mut attempt, mut at) = (waiting.attempt.saturating_add(1), waiting.due_at);
        while plan.len() < limit && max.is_none_or(|max| charged < max) {
            plan.push((attempt, at));
            charged = charged.saturating_add(1);
            at = at
                + self
                    .retry
                    .delay_after(charged.saturating_sub(before), jitter_seed(waiting.run, attempt));
            attempt = attempt.saturating_add(1);
            let is_late = |limit| at > began_at + limit;
            if self.retry.give_up_after.is_some_and(is_late) {
                break;
            }
        }
        plan
    }
}

impl Retry {
    /// The delay after the `charged`th attempt: multiplied each time, capped, then shortened by up
    /// to `jitter`.
    pub(crate) fn delay_after(&self, charged: u32, seed: u64) -> Duration {
        let mut delay_ms = self.delay.as_millis();
        let max_ms = self.max_delay.as_millis();
        for _ in 1..charged {
            let next_ms = delay_ms.saturating_mul(u128::from(self.factor_milli)) / 1000;
            if delay_ms >= max_ms || next_ms == delay_ms {
                break;
            }
            delay_ms = next_ms;
        }
        let delay_ms = delay_ms.min(max_ms);
        let shorter_ms =
            delay_ms * u128::from(self.jitter_milli) / 1000 * u128::from(seed % 1000) / 1000;
        Duration::from_millis(u64::try_from(delay_ms - shorter_ms).unwrap_or(u64::MAX))
    }
}

/// The reason a run fails with when its last attempt ended so.
fn failure_reason(outcome: &Outcome) -> Reason {
    match outcome {
        Outcome::Exited(_) => Reason::Exit,
        Outcome::Signaled(_) => Reason::Signal,
        Outcome::TimedOut { .. } => Reason::Timeout,
        Outcome::SpawnFailed { .. } => Reason::Spawn,
        Outcome::Lost => Reason::Lost,
    }
}

/// Mixes run and attempt into a number without pattern (the finalizer of `SplitMix64`).
fn jitter_seed(run: i64, attempt: u32) -> u64 {
    let mut z = run.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ u64::from(attempt).wrapping_mul(0xD1B5_4A32_D192_ED03);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Policy {
    /// How an attempt ended whose shell gave `code`: 127 and 126 are what a shell says of a command
    /// that is missing or not executable (POSIX, sh, "Exit Status for Commands"), unless the job
    /// gives these codes a meaning of its own.
    pub(crate) fn outcome_of_shell(&self, code: u8, last_line: Option<String>) -> Outcome {
        let error = match code {
            127 => "command not found (the shell's exit code 127)",
            126 => "command not executable (the shell's exit code 126)",
            _ => return Outcome::Exited(code),
        };
        if self.success_exit.contains(&code) || self.skip_exit.contains(&code) {
            return Outcome::Exited(code);
        }
        Outcome::SpawnFailed {
            exit_code: Some(code),
            error: last_line.unwrap_or_else(|| error.to_owned()),
        }
    }
}

/// An outcome in a few words, for logs and messages.
pub(crate) fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::SpawnFailed { error, .. } => format!("not started: {error}"),
        Outcome::Exited(_) | Outcome::Signaled(_) | Outcome::TimedOut { .. } | Outcome::Lost => {
            HowItEnded::from(outcome).phrase()
        }
    }
}

#[cfg(test)]
mod tests;
