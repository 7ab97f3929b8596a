//! The words of a run: its states, what ended its attempts, what became of it and why (jobctl(1),
//! "States of a run").

use super::words::words;

words! {
    /// Where a run stands.
    State {
        /// Due later, or waiting for another run.
        Scheduled = 1 "scheduled",
        /// Due, waiting for its place, lock, rate or `max_running`.
        Queued = 2 "queued",
        /// Claimed; on disk before the process exists.
        Running = 3 "running",
        /// An attempt failed and the policy grants another, later.
        Retrying = 4 "retrying",
        /// The last attempt's exit code is in `success_exit`.
        Succeeded = 5 "succeeded",
        /// Gave up.
        Failed = 6 "failed",
        /// Never executed, or the command said "nothing to do".
        Skipped = 7 "skipped",
        /// Not wanted any more.
        Cancelled = 8 "cancelled",
    }
}

impl State {
    /// Returns whether the run has ended: it does not change any more unless somebody asks for it.
    pub(crate) const fn is_ended(self) -> bool {
        match self {
            Self::Scheduled | Self::Queued | Self::Running | Self::Retrying => false,
            Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled => true,
        }
    }
}

words! {
    /// Why a run failed, was skipped or was cancelled.
    Reason {
        /// Failed: the last attempt's exit code is not in `success_exit`. Skipped: it is in
        /// `skip_exit`.
        Exit = 1 "exit",
        /// Failed: the last attempt was killed by a signal that nobody here sent.
        Signal = 2 "signal",
        /// Failed: the last attempt ran into its timeout.
        Timeout = 3 "timeout",
        /// Failed: the last attempt could not be started.
        Spawn = 4 "spawn",
        /// Failed: what became of the last attempt cannot be known.
        Lost = 5 "lost",
        /// Failed: a stop of the supervisor ended its attempt and the job has no retries.
        Shutdown = 6 "shutdown",
        /// Failed: the next retry would be later than `give_up_after`.
        GiveUpAfter = 7 "give_up_after",
        /// Failed: a new occurrence took its place while it was retrying.
        Superseded = 8 "superseded",
        /// Failed: its keeper was lost more than three times.
        Poison = 9 "poison",
        /// Skipped: another run of the job was in the way.
        Overlap = 10 "overlap",
        /// Skipped: its time was over before it could start.
        Missed = 11 "missed",
        /// Skipped: the job was paused.
        Paused = 12 "paused",
        /// Skipped: the job is gone from the jobfile.
        JobRemoved = 13 "job_removed",
        /// Skipped: the supervisor only watches.
        Shadow = 14 "shadow",
        /// Cancelled: somebody asked for it.
        ByHand = 15 "by_hand",
        /// Cancelled: `overlap = "replace"` or `--on-conflict replace`.
        Replaced = 16 "replaced",
        /// Cancelled: a run it waited for ended otherwise than succeeded.
        Dependency = 17 "dependency",
        /// Cancelled: not started before `--expires`.
        Expired = 18 "expired",
    }
}

words! {
    /// Where a run came from.
    Cause {
        /// An occurrence of the job's schedule.
        Schedule = 1 "schedule",
        /// An occurrence that was missed and is caught up.
        CatchUp = 2 "catch_up",
        /// By hand or from another program.
        Enqueue = 3 "enqueue",
        /// A line of another job's output.
        Feed = 4 "feed",
        /// A file in a watched path.
        Watch = 5 "watch",
        /// `jobctl exec`.
        Exec = 6 "exec",
    }
}

impl Cause {
    /// Returns whether the run is an occurrence of a schedule (as opposed to an item).
    pub(crate) const fn is_occurrence(self) -> bool {
        match self {
            Self::Schedule | Self::CatchUp => true,
            Self::Enqueue | Self::Feed | Self::Watch | Self::Exec => false,
        }
    }
}

words! {
    /// How an attempt ended, without the detail (which is in [`Outcome`]).
    OutcomeKind {
        /// The command ended by itself.
        Exited = 1 "exited",
        /// A signal ended the command.
        Signaled = 2 "signaled",
        /// The timeout of the job ended the command.
        TimedOut = 3 "timed_out",
        /// The command never ran.
        SpawnFailed = 4 "spawn_failed",
        /// The keeper is gone and left no word of the end.
        Lost = 5 "lost",
    }
}

impl OutcomeKind {
    /// Returns whether how long it took says something of the command.
    pub(crate) const fn has_duration(self) -> bool {
        match self {
            Self::Exited | Self::Signaled | Self::TimedOut => true,
            Self::SpawnFailed | Self::Lost => false,
        }
    }
}

/// The fact of how an attempt ended. What it means for the run is decided in `core::retry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The command ended by itself with this code.
    Exited(u8),
    /// This signal ended the command.
    Signaled(i32),
    /// The timeout ended it, whatever it answered to the stop sequence.
    TimedOut {
        /// Its exit code, if it still gave one.
        exit_code: Option<u8>,
        /// The signal that ended it, if one did.
        signal: Option<i32>,
    },
    /// It could not be started: 127 for a missing program, 126 for one that is not executable, none
    /// for anything else.
    SpawnFailed {
        /// 126, 127 or none.
        exit_code: Option<u8>,
        /// What could not be done and why, for people.
        error: String,
    },
    /// Not knowable: the keeper was killed or the machine went down.
    Lost,
}

impl Outcome {
    /// The word for it.
    pub(crate) const fn kind(&self) -> OutcomeKind {
        match self {
            Self::Exited(_) => OutcomeKind::Exited,
            Self::Signaled(_) => OutcomeKind::Signaled,
            Self::TimedOut { .. } => OutcomeKind::TimedOut,
            Self::SpawnFailed { .. } => OutcomeKind::SpawnFailed,
            Self::Lost => OutcomeKind::Lost,
        }
    }

    /// The exit code, where there is one.
    pub(crate) const fn exit_code(&self) -> Option<u8> {
        match self {
            Self::Exited(code) => Some(*code),
            Self::TimedOut { exit_code, .. } | Self::SpawnFailed { exit_code, .. } => *exit_code,
            Self::Signaled(_) | Self::Lost => None,
        }
    }

    /// Explains why the command could not be started, for people.
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::SpawnFailed { error, .. } => Some(error),
            Self::Exited(_) | Self::Signaled(_) | Self::TimedOut { .. } | Self::Lost => None,
        }
    }

    /// The signal that ended the command, where one did.
    pub(crate) const fn signal(&self) -> Option<i32> {
        match self {
            Self::Signaled(signal) => Some(*signal),
            Self::TimedOut { signal, .. } => *signal,
            Self::Exited(_) | Self::SpawnFailed { .. } | Self::Lost => None,
        }
    }
}

/// The final judgement of a run (its ended states).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The last attempt succeeded.
    Succeeded,
    /// Gave up, and why.
    Failed(Reason),
    /// Never executed, or nothing to do, and why.
    Skipped(Reason),
    /// Not wanted any more, and why.
    Cancelled(Reason),
}

impl Verdict {
    /// The state the run has from now on.
    pub(crate) const fn state(self) -> State {
        match self {
            Self::Succeeded => State::Succeeded,
            Self::Failed(_) => State::Failed,
            Self::Skipped(_) => State::Skipped,
            Self::Cancelled(_) => State::Cancelled,
        }
    }

    /// Returns the reason; none for a success.
    pub(crate) const fn reason(self) -> Option<Reason> {
        match self {
            Self::Succeeded => None,
            Self::Failed(reason) | Self::Skipped(reason) | Self::Cancelled(reason) => Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::words::Word;

    #[test]
    fn every_word_and_every_number_comes_back() {
        for &state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
            assert_eq!(State::from_code(state.code()), Some(state));
        }
        for &reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(State::parse("Running"), None);
        assert_eq!(State::from_code(0), None);
    }

    #[test]
    fn a_verdict_ends_its_run_and_gives_the_reason() {
        for verdict in [
            Verdict::Succeeded,
            Verdict::Failed(Reason::Exit),
            Verdict::Skipped(Reason::Missed),
            Verdict::Cancelled(Reason::ByHand),
        ] {
            assert!(verdict.state().is_ended(), "{verdict:?}");
        }
        let unfinished = State::ALL.iter().filter(|state| !state.is_ended());
        let expected = [State::Scheduled, State::Queued, State::Running, State::Retrying];
        assert!(unfinished.eq(&expected));
        assert_eq!(Verdict::Skipped(Reason::Missed).reason(), Some(Reason::Missed));
        assert_eq!(Verdict::Succeeded.reason(), None);
    }

    #[test]
    fn only_what_a_schedule_makes_is_an_occurrence() {
        let occurrences = Cause::ALL.iter().filter(|cause| cause.is_occurrence());
        assert!(occurrences.eq(&[Cause::Schedule, Cause::CatchUp]));
    }

    #[test]
    fn an_outcome_has_the_details_of_its_kind() {
        let error = || "not found".to_owned();
        let table = [
            (Outcome::Exited(3), Some(3), None, None, true),
            (Outcome::Signaled(9), None, Some(9), None, true),
            (Outcome::TimedOut { exit_code: Some(0), signal: None }, Some(0), None, None, true),
            (Outcome::TimedOut { exit_code: None, signal: Some(15) }, None, Some(15), None, true),
            (
                Outcome::SpawnFailed { exit_code: Some(127), error: error() },
                Some(127),
                None,
                Some("not found"),
                false,
            ),
            (Outcome::Lost, None, None, None, false),
        ];
        for (outcome, code, signal, error, has_duration) in table {
            assert_eq!(outcome.exit_code(), code, "{outcome:?}");
            assert_eq!(outcome.signal(), signal, "{outcome:?}");
            assert_eq!(outcome.error(), error, "{outcome:?}");
            assert_eq!(outcome.kind().has_duration(), has_duration, "{outcome:?}");
        }
    }
}
