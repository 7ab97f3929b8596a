//! What is known of an attempt that has ended, and what follows from it.

use super::live::Live;
use super::oversight::Oversight;
use super::spawner::{Report, SlotEnd};
use crate::core::report::Report as CommandReport;
use crate::core::retry::{Ended, Stopped};
use crate::core::run::Outcome;
use crate::core::time::Wall;
use crate::keeper::record::{End, Ending, Record, StopCause};
use crate::store::{RunRow, Usage};

/// The known end of an attempt, a hook, a mail or the heartbeat.
pub(super) struct Attempt {
    pub(super) outcome: Outcome,
    pub(super) stopped: Option<StopCause>,
    pub(super) remark: Option<String>,
    pub(super) report: CommandReport,
    /// No runs can be made of what it has found.
    pub(super) is_unfit: bool,
    pub(super) started_at: Option<Wall>,
    pub(super) ended_at: Wall,
    pub(super) usage: Option<Usage>,
    pub(super) pid: Option<i32>,
}

impl Attempt {
    /// As its keeper wrote it down; `last_line` is that of its output.
    pub(super) fn of(
        record: &Record,
        ending: &Ending,
        live: Option<&Live>,
        last_line: Option<String>,
    ) -> Self {
        let outcome = match (outcome_of(record, ending), live) {
            (Outcome::Exited(code), Some(live)) if live.is_shell => {
                live.policy.outcome_of_shell(code, last_line)
            }
            (outcome, _) => outcome,
        };
        Self {
            outcome,
            stopped: record.stopped,
            remark: joined(ending.report.error.clone(), ending.remark.clone()),
            report: ending.report.clone(),
            is_unfit: false,
            started_at: Some(record.started_at),
            ended_at: ending.ended_at,
            usage: Some(Usage {
                duration_ms: i64::try_from(ending.duration.as_millis()).unwrap_or(i64::MAX),
                user_ms: i64::try_from(ending.user.as_millis()).unwrap_or(i64::MAX),
                system_ms: i64::try_from(ending.system.as_millis()).unwrap_or(i64::MAX),
                max_rss_kib: ending.max_rss_kib.cast_signed(),
                output_bytes: record.output_total.cast_signed(),
            }),
            pid: record.command.map(|command| command.pid),
        }
    }

    /// Nothing but how it ended.
    pub(super) fn unknown(outcome: Outcome, ended_at: Wall) -> Self {
        Self {
            outcome,
            stopped: None,
            remark: None,
            report: CommandReport::default(),
            is_unfit: false,
            started_at: None,
            ended_at,
            usage: None,
            pid: None,
        }
    }
}

/// What there is to be known of an end.
pub(super) enum Word<'a> {
    /// No process was started.
    NeverStarted,
    /// What the keeper wrote down.
    Written(&'a Record, &'a Ending),
    /// The keeper wrote nothing down: this is all.
    Missing(Attempt),
}

impl<'a> Word<'a> {
    /// What an end says of what was `live`.
    ///
    /// A record that says nothing of a claim proves that nothing was started only on the boot and in
    /// the store of the claim (`is_doubted` is false then): it is not synced, so that an older one
    /// may stand there after a power cut, and after a restore it may be that of a later claim.
    pub(super) fn of(
        end: &'a SlotEnd,
        live: Option<&Live>,
        oversight: &Oversight,
        now: Wall,
    ) -> Self {
        let is_doubted = live.is_none_or(|live| live.is_doubted);
        match &end.report {
            Report::NeverStarted if !is_doubted => Self::NeverStarted,
            Report::NeverStarted | Report::Lost => {
                let stopped = oversight.was_told(end.run, end.claim);
                Self::Missing(Attempt {
                    stopped: stopped.then_some(StopCause::Signal),
                    ..Attempt::unknown(oversight.outcome_of_lost(end.run, end.claim), now)
                })
            }
            Report::Refused(outcome) => Self::Missing(Attempt::unknown(outcome.clone(), now)),
            Report::Ended(record) => match &record.ending {
                Some(ending) => Self::Written(record, ending),
                None => Self::Missing(Attempt::unknown(Outcome::Lost, now)),
            },
        }
    }
}

/// A point that a keeper wrote down. One before its claim or after now is of a clock that has been
/// set since, or of another clock (libfaketime may begin one for each process): then it is now.
pub(super) fn told_by_this_clock(at: Wall, claimed_at: Option<Wall>, now: Wall) -> Wall {
    let is_of_it = at <= now && claimed_at.is_none_or(|claimed_at| claimed_at <= at);
    if is_of_it { at } else { now }
}

/// How an attempt ended, from what its keeper wrote down.
fn outcome_of(record: &Record, ending: &Ending) -> Outcome {
    let is_timeout = record.stopped == Some(StopCause::Timeout);
    match &ending.end {
        End::Exited(code) if is_timeout => {
            Outcome::TimedOut { exit_code: Some(*code), signal: None }
        }
        End::Signaled(signal) if is_timeout => {
            Outcome::TimedOut { exit_code: None, signal: Some(*signal) }
        }
        End::Exited(code) => Outcome::Exited(*code),
        End::Signaled(signal) => Outcome::Signaled(*signal),
        End::SpawnFailed { exit_code, error } => {
            Outcome::SpawnFailed { exit_code: *exit_code, error: error.clone() }
        }
    }
}

impl Attempt {
    /// As it is judged, as an attempt of this run.
    pub(super) fn ended<'a>(&'a self, run: &RunRow, now: Wall) -> Ended<'a> {
        // A keeper that was told to stop by nobody here got its TERM from a machine that goes down.
        let by_machine = (self.stopped == Some(StopCause::Signal)).then_some(Stopped::Shutdown);
        Ended {
            run: run.id,
            attempt: run.attempt,
            budget: run.budget,
            outcome: &self.outcome,
            ended_at: told_by_this_clock(self.ended_at, run.started_at, now),
            stopped: run.stop.or(by_machine),
            was_struck: self.stopped == Some(StopCause::Signal),
            is_unfit: self.is_unfit,
            is_removed: false,
            retry_after: self.report.retry_after.filter(|_| !run.is_exec()),
        }
    }
}

/// Two remarks in one.
pub(super) fn joined(one: Option<String>, other: Option<String>) -> Option<String> {
    let both = [one, other].into_iter().flatten();
    both.reduce(|one, other| format!("{one}; {other}"))
}
