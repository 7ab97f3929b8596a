//! Decides what follows an attempt (spec.md section 6). Pure: no clock, no randomness, no I/O.
//!
//! The only place that turns an [`Outcome`] into a [`Verdict`].

use std::time::Duration;

use super::job::{Policy, Retry, RetryMax};
use super::run::{Outcome, Reason, Verdict};
use super::time::Wall;

/// A run whose keeper was lost more often than this is poison.
pub(crate) const LOST_MAX: u32 = 3;

/// What follows an attempt.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The run has ended.
    Finish(Verdict),
    /// Another attempt at this time.
    RetryAt(Wall),
    /// Another attempt as soon as it can be had; the one that ended is not charged.
    Requeue,
}

/// An attempt that has ended, and what its run has behind it.
#[derive(Clone, Debug)]
pub(crate) struct Ended<'a> {
    /// The run's id; with `attempt` it decides the jitter.
    pub(crate) run: i64,
    /// Counted from 1.
    pub(crate) attempt: u32,
    /// Attempts charged so far, this one included.
    pub(crate) charged: u32,
    /// Attempts that may be charged in all; none is no limit.
    pub(crate) attempts_max: Option<u32>,
    /// How often the run's keeper was lost, this attempt included.
    pub(crate) lost: u32,
    /// How it ended.
    pub(crate) outcome: &'a Outcome,
    /// When it ended.
    pub(crate) ended_at: Wall,
    /// When the run's first attempt (of this budget) started.
    pub(crate) first_started_at: Wall,
    /// Who ended it, if somebody did.
    pub(crate) stopped: Option<Stopped>,
}

/// Somebody's wish that ended an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// `jobctl cancel`.
    ByHand,
    /// A new occurrence under `overlap = "replace"`, or `--on-conflict replace`.
    Replaced,
    /// The supervisor stopped, or the machine went down.
    Shutdown,
}

impl Policy {
    /// Attempts in all that a fresh budget grants; none is no limit.
    pub(crate) fn attempts_max(&self) -> Option<u32> {
        match self.retry.max {
            RetryMax::Times(times) => Some(times.saturating_add(1)),
            RetryMax::Unlimited => None,
        }
    }

    /// What follows an attempt that has ended.
    ///
    /// The same attempt always gets the same answer, so a restarted supervisor keeps the time it promised.
    pub(crate) fn next(&self, ended: &Ended<'_>) -> Next {
        assert!(ended.attempt >= 1, "attempts are counted from 1");
        if let Some(verdict) = self.verdict_by_exit(ended.outcome) {
            return Next::Finish(verdict);
        }
        match ended.stopped {
            Some(Stopped::ByHand) => return Next::Finish(Verdict::Cancelled(Reason::ByHand)),
            Some(Stopped::Replaced) => return Next::Finish(Verdict::Cancelled(Reason::Replaced)),
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
        self.skip_exit
            .contains(code)
            .then_some(Verdict::Skipped(Reason::Exit))
    }

    fn next_after_failure(&self, ended: &Ended<'_>) -> Next {
        let reason = failure_reason(ended.outcome);
        if ended.lost > LOST_MAX {
            return Next::Finish(Verdict::Failed(Reason::Poison));
        }
        let is_final = ended
            .outcome
            .exit_code()
            .is_some_and(|code| self.no_retry_exit.contains(&code))
            || (*ended.outcome == Outcome::Lost && !self.retry.lost)
            || ended.attempts_max.is_some_and(|max| ended.charged >= max);
        if is_final {
            return Next::Finish(Verdict::Failed(reason));
        }
        let at = ended.ended_at
            + self
                .retry
                .delay_after(ended.charged, jitter_seed(ended.run, ended.attempt));
        match self.retry.give_up_after {
            Some(limit) if at > ended.first_started_at + limit => {
                Next::Finish(Verdict::Failed(Reason::GiveUpAfter))
            }
            _ => Next::RetryAt(at),
        }
    }
}

impl Retry {
    /// The delay after the `charged`th attempt: multiplied each time, capped, then shortened by up to `jitter`.
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
    /// How an attempt ended whose shell gave `code`: 127 and 126 are what a shell says of a command that is missing or not
    /// executable (POSIX, sh, "Exit Status for Commands"), unless the job gives these codes a meaning of its own.
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
        Outcome::Exited(code) => format!("exit {code}"),
        Outcome::Signaled(signal) => format!("signal {signal}"),
        Outcome::TimedOut { .. } => "timed out".to_owned(),
        Outcome::SpawnFailed { error, .. } => format!("not started: {error}"),
        Outcome::Lost => "lost".to_owned(),
    }
}
