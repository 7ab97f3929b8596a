//! How an attempt, a hook or a mail ended, in words: one place for all who say it.

use super::run::{Outcome, OutcomeKind};

/// The known facts of an attempt's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HowItEnded {
    outcome: Option<OutcomeKind>,
    exit_code: Option<u8>,
    signal: Option<i32>,
}

impl From<&Outcome> for HowItEnded {
    fn from(outcome: &Outcome) -> Self {
        Self::of(Some(outcome.kind()), outcome.exit_code(), outcome.signal())
    }
}

impl HowItEnded {
    /// Takes what rows say; without an outcome nothing has ended yet.
    pub(crate) const fn of(
        outcome: Option<OutcomeKind>,
        exit_code: Option<u8>,
        signal: Option<i32>,
    ) -> Self {
        Self { outcome, exit_code, signal }
    }

    /// Returns the form for tables: `exited 0`, `signaled 9`, `lost`; nothing for what still runs.
    pub(crate) fn word(self) -> String {
        let outcome = self.outcome.map_or("", OutcomeKind::as_str);
        match (self.outcome, self.exit_code, self.signal) {
            (Some(_), Some(code), _) => format!("{outcome} {code}"),
            (Some(_), None, Some(signal)) => format!("{outcome} {signal}"),
            (Some(_), None, None) | (None, ..) => outcome.to_owned(),
        }
    }

    /// Returns the shortest form: `exit 4`, `signal 9`, else the outcome.
    pub(crate) fn code(self) -> String {
        match (self.exit_code, self.signal) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => self.outcome.map_or("", OutcomeKind::as_str).to_owned(),
        }
    }

    /// Returns the form for sentences: `exit 1`, `signal 9`, `timed out`, `not started`, `lost`.
    pub(crate) fn phrase(self) -> String {
        match self.outcome {
            Some(OutcomeKind::Exited | OutcomeKind::Signaled) => self.code(),
            Some(OutcomeKind::TimedOut) => "timed out".to_owned(),
            Some(OutcomeKind::SpawnFailed) => "not started".to_owned(),
            Some(OutcomeKind::Lost) => "lost".to_owned(),
            None => "still running".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_worded_as_tables_lists_and_sentences_have_it() {
        let of = |outcome, code, signal| {
            let ended = HowItEnded::of(outcome, code, signal);
            [ended.word(), ended.code(), ended.phrase()]
        };
        assert_eq!(of(Some(OutcomeKind::Exited), Some(3), None), ["exited 3", "exit 3", "exit 3"]);
        assert_eq!(
            of(Some(OutcomeKind::Signaled), None, Some(9)),
            ["signaled 9", "signal 9", "signal 9"]
        );
        assert_eq!(
            of(Some(OutcomeKind::TimedOut), None, Some(15)),
            ["timed_out 15", "signal 15", "timed out"]
        );
        assert_eq!(
            of(Some(OutcomeKind::SpawnFailed), None, None),
            ["spawn_failed", "spawn_failed", "not started"]
        );
        assert_eq!(of(Some(OutcomeKind::Lost), None, None), ["lost", "lost", "lost"]);
        assert_eq!(of(None, None, None), ["", "", "still running"]);
    }
}
