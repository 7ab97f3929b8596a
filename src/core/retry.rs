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

/// What follows an attempt.
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
    /// How often the run was put off uncharged since its budget is a fresh one.
    pub(crate) put_off: u32,
    /// How it ended.
    pub(crate) outcome: &'a Outcome,
    /// When it ended.
    pub(crate) ended_at: Wall,
    /// When the run's first attempt (of this budget) started.
    pub(crate) first_started_at: Wall,
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

    /// What follows an attempt that has ended.
    ///
    /// The same attempt always gets the same answer, so a restarted supervisor keeps the time it
    /// promised.
    pub(crate) fn next(&self, ended: &Ended<'_>) -> Next {
        assert!(ended.attempt >= 1, "attempts are counted from 1");
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
        if ended.lost > LOST_MAX {
            return Next::Finish(Verdict::Failed(Reason::Poison));
        }
        let is_spent = ended.attempts_max.is_some_and(|max| ended.charged >= max);
        if let (Outcome::Exited(_), Some(span)) = (ended.outcome, ended.retry_after) {
            let at = ended.ended_at + span.max(PUT_OFF_MIN);
            let next = match ended.put_off < PUT_OFF_FREE {
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
        let at = ended.ended_at
            + self.retry.delay_after(ended.charged, jitter_seed(ended.run, ended.attempt));
        self.unless_too_late(at, ended, Next::RetryAt(at))
    }

    fn unless_too_late(&self, at: Wall, ended: &Ended<'_>, next: Next) -> Next {
        match self.retry.give_up_after {
            Some(limit) if at > ended.first_started_at + limit => {
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
    /// Attempts charged so far.
    pub(crate) charged: u32,
    /// Attempts that may be charged in all; none is no limit.
    pub(crate) attempts_max: Option<u32>,
    /// When the next one is due.
    pub(crate) due_at: Wall,
    /// When the first attempt of the budget started.
    pub(crate) first_started_at: Wall,
}

impl Policy {
    /// The attempts that will follow, at most `limit`, and when at the earliest: as if each of them
    /// failed in the moment it started.
    pub(crate) fn plan(&self, waiting: &Waiting, limit: usize) -> Vec<(u32, Wall)> {
        let mut plan = Vec::new();
        let (mut attempt, mut charged, mut at) =
            (waiting.attempt.saturating_add(1), waiting.charged, waiting.due_at);
        while plan.len() < limit && waiting.attempts_max.is_none_or(|max| charged < max) {
            plan.push((attempt, at));
            charged = charged.saturating_add(1);
            at = at + self.retry.delay_after(charged, jitter_seed(waiting.run, attempt));
            attempt = attempt.saturating_add(1);
            let is_late = |limit| at > waiting.first_started_at + limit;
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
mod tests {
    use super::*;
    use crate::core::job::Policy;

    fn policy(max: u32) -> Policy {
        let retry = Retry { max: RetryMax::Times(max), jitter_milli: 0, ..Retry::default() };
        Policy {
            retry,
            skip_exit: Box::from([75]),
            no_retry_exit: Box::from([2]),
            ..Policy::default()
        }
    }

    #[test]
    fn the_plan_is_what_next_will_answer() {
        let policy = policy(3);
        let failed = Outcome::Exited(1);
        let first = ended(&failed, 1, Some(4));
        let Next::RetryAt(due_at) = policy.next(&first) else {
            panic!("it is retried");
        };
        let waiting = Waiting {
            run: first.run,
            attempt: first.attempt,
            charged: 1,
            attempts_max: Some(4),
            due_at,
            first_started_at: first.first_started_at,
        };
        let plan = policy.plan(&waiting, 10);
        assert_eq!(
            plan.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(),
            [first.attempt + 1, first.attempt + 2, first.attempt + 3]
        );
        for (nth, (attempt, at)) in (2..).zip(&plan[..2]) {
            let end = Ended { attempt: *attempt, ended_at: *at, ..ended(&failed, nth, Some(4)) };
            assert_eq!(policy.next(&end), Next::RetryAt(plan[nth as usize - 1].1));
        }
        assert_eq!(policy.plan(&waiting, 1).len(), 1);
        let impatient = Policy {
            retry: Retry {
                give_up_after: Some(due_at.since(first.first_started_at)),
                ..policy.retry.clone()
            },
            ..policy
        };
        assert_eq!(impatient.plan(&waiting, 10).len(), 1);
    }

    fn ended(outcome: &Outcome, charged: u32, attempts_max: Option<u32>) -> Ended<'_> {
        Ended {
            run: 1,
            attempt: charged,
            charged,
            attempts_max,
            lost: 0,
            put_off: 0,
            outcome,
            ended_at: Wall::from_secs(1000),
            first_started_at: Wall::from_secs(900),
            stopped: None,
            was_struck: false,
            retry_after: None,
            is_unfit: false,
        }
    }

    fn lost() -> Outcome {
        Outcome::Lost
    }

    #[test]
    fn an_outcome_decides_what_follows() {
        let timed_out = Outcome::TimedOut { exit_code: Some(0), signal: None };
        let not_found = Outcome::SpawnFailed { exit_code: Some(127), error: "x".into() };
        let retry = |secs: i64| Next::RetryAt(Wall::from_secs(1000 + secs));
        let failed = |reason| Next::Finish(Verdict::Failed(reason));
        let table = [
            (Outcome::Exited(0), 1, Some(3), Next::Finish(Verdict::Succeeded)),
            (Outcome::Exited(75), 1, Some(3), Next::Finish(Verdict::Skipped(Reason::Exit))),
            (Outcome::Exited(1), 1, Some(3), retry(10)),
            (Outcome::Exited(1), 2, Some(3), retry(20)),
            (Outcome::Exited(1), 3, Some(3), failed(Reason::Exit)),
            (Outcome::Exited(1), 9, None, retry(2560)),
            (Outcome::Exited(1), 40, None, retry(3600)),
            (Outcome::Exited(2), 1, Some(3), failed(Reason::Exit)),
            (Outcome::Signaled(11), 1, Some(3), retry(10)),
            (Outcome::Signaled(11), 1, Some(1), failed(Reason::Signal)),
            (timed_out.clone(), 1, Some(3), retry(10)),
            (timed_out, 1, Some(1), failed(Reason::Timeout)),
            (not_found.clone(), 1, Some(3), retry(10)),
            (not_found, 1, Some(1), failed(Reason::Spawn)),
            (lost(), 1, Some(3), retry(10)),
            (lost(), 1, Some(1), failed(Reason::Lost)),
        ];
        for (outcome, charged, max, expected) in table {
            assert_eq!(
                policy(2).next(&ended(&outcome, charged, max)),
                expected,
                "{outcome:?} {charged} {max:?}"
            );
        }
    }

    #[test]
    fn who_wanted_the_end_decides_unless_the_command_had_ended_by_itself() {
        let table = [
            (Stopped::ByHand, true, 0, Next::Finish(Verdict::Cancelled(Reason::ByHand))),
            (Stopped::ByHand, false, 0, Next::Finish(Verdict::Succeeded)),
            (Stopped::ByHand, false, 1, Next::Finish(Verdict::Cancelled(Reason::ByHand))),
            (Stopped::Replaced, true, 0, Next::Finish(Verdict::Cancelled(Reason::Replaced))),
            (Stopped::Shutdown, true, 0, Next::Requeue),
            (Stopped::Shutdown, true, 1, Next::Requeue),
            (Stopped::Shutdown, false, 0, Next::Finish(Verdict::Succeeded)),
            (Stopped::Shutdown, false, 1, Next::RetryAt(Wall::from_secs(1010))),
        ];
        for (stopped, was_struck, code, expected) in table {
            let outcome = Outcome::Exited(code);
            let ended = Ended { stopped: Some(stopped), was_struck, ..ended(&outcome, 1, Some(3)) };
            assert_eq!(policy(2).next(&ended), expected, "{stopped:?} {was_struck} {code}");
        }
        let outcome = Outcome::Signaled(15);
        let once = Ended {
            stopped: Some(Stopped::Shutdown),
            was_struck: true,
            ..ended(&outcome, 1, Some(1))
        };
        assert_eq!(policy(0).next(&once), Next::Finish(Verdict::Failed(Reason::Shutdown)));
    }

    #[test]
    fn no_retry_starts_after_give_up_after() {
        let mut policy = policy(9);
        policy.retry.give_up_after = Some(Duration::from_secs(110));
        assert_eq!(
            policy.next(&ended(&Outcome::Exited(1), 1, None)),
            Next::RetryAt(Wall::from_secs(1010))
        );
        policy.retry.give_up_after = Some(Duration::from_secs(109));
        let given_up = Next::Finish(Verdict::Failed(Reason::GiveUpAfter));
        assert_eq!(policy.next(&ended(&Outcome::Exited(1), 1, None)), given_up);
    }

    #[test]
    fn a_keeper_lost_too_often_is_poison_and_a_job_may_refuse_to_be_retried_after_it() {
        let outcome = lost();
        let often = Ended { lost: LOST_MAX + 1, ..ended(&outcome, 4, None) };
        assert_eq!(policy(9).next(&often), Next::Finish(Verdict::Failed(Reason::Poison)));
        let mut careful = policy(9);
        careful.retry.lost = false;
        assert_eq!(
            careful.next(&ended(&outcome, 1, None)),
            Next::Finish(Verdict::Failed(Reason::Lost))
        );
    }

    #[test]
    fn jitter_only_shortens_by_its_share_and_is_the_same_for_the_same_attempt() {
        let retry = Retry { jitter_milli: 250, ..Retry::default() };
        for attempt in 1..200 {
            let seed = jitter_seed(7, attempt);
            let delay = retry.delay_after(1, seed);
            assert!(
                delay > Duration::from_millis(7499) && delay <= Duration::from_secs(10),
                "{delay:?}"
            );
            assert_eq!(delay, retry.delay_after(1, seed));
        }
        let distinct: std::collections::HashSet<_> =
            (1..200).map(|n| retry.delay_after(1, jitter_seed(7, n))).collect();
        assert!(distinct.len() > 100);
    }

    #[test]
    fn a_shells_word_for_a_missing_command_is_a_failed_start_unless_the_job_gave_it_a_meaning() {
        let mut policy = policy(0);
        let said = policy.outcome_of_shell(127, Some("sh: 1: foo: not found".into()));
        assert_eq!(
            said,
            Outcome::SpawnFailed { exit_code: Some(127), error: "sh: 1: foo: not found".into() }
        );
        assert_eq!(policy.outcome_of_shell(1, None), Outcome::Exited(1));
        policy.success_exit = Box::from([0, 127]);
        assert_eq!(policy.outcome_of_shell(127, None), Outcome::Exited(127));
    }

    #[test]
    fn a_command_that_puts_itself_off_waits_a_second_and_pays_from_the_hundredth_time_on() {
        let asks = |put_off, charged, attempts_max| Ended {
            retry_after: Some(Duration::ZERO),
            put_off,
            ..ended(&Outcome::Exited(1), charged, attempts_max)
        };
        let at = Wall::from_secs(1001);
        let failed = Next::Finish(Verdict::Failed(Reason::Exit));
        for (ended, next) in [
            (asks(0, 1, Some(1)), Next::PutOffTo(at)),
            (asks(99, 100, Some(100)), Next::PutOffTo(at)),
            (asks(100, 101, Some(101)), failed),
            (asks(100, 101, Some(102)), Next::RetryAt(at)),
            (asks(100, 101, None), Next::RetryAt(at)),
        ] {
            assert_eq!(policy(0).next(&ended), next, "{ended:?}");
        }
    }

    #[test]
    fn a_command_may_put_itself_off_uncharged_and_within_its_time() {
        let asks = |outcome, secs| Ended {
            retry_after: Some(Duration::from_secs(secs)),
            ..ended(outcome, 1, Some(1))
        };
        let mut policy = policy(0);
        let at = Wall::from_secs(1030);
        assert_eq!(policy.next(&asks(&Outcome::Exited(1), 30)), Next::PutOffTo(at));
        assert_eq!(policy.next(&asks(&Outcome::Exited(0), 30)), Next::Finish(Verdict::Succeeded));
        let lost = Next::Finish(Verdict::Failed(Reason::Lost));
        assert_eq!(policy.next(&asks(&Outcome::Lost, 30)), lost);
        policy.retry.give_up_after = Some(Duration::from_secs(125));
        let given_up = Next::Finish(Verdict::Failed(Reason::GiveUpAfter));
        assert_eq!(policy.next(&asks(&Outcome::Exited(1), 30)), given_up);
        assert_eq!(
            policy.next(&asks(&Outcome::Exited(1), 20)),
            Next::PutOffTo(Wall::from_secs(1020))
        );
    }
}
