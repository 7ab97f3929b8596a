//! The stop sequence of an attempt: a signal, a span of grace, KILL, and KILL again as long as
//! something is left.
//!
//! Says what to do and when to ask next; knows no process.

use std::time::Duration;

use super::time::Mono;

/// How long after a KILL it is sent again to what is still there.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// The progress of an attempt from running to being killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    state: State,
    grace: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running { timeout_deadline: Option<Mono> },
    Grace { kill_deadline: Mono },
    Killing { again_deadline: Mono },
}

/// The next action of the stop sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the stop signal, then CONT, to the process group.
    Signal,
    /// Send KILL to everything.
    Kill,
}

impl Stop {
    /// An attempt that begins at `started`.
    pub(crate) fn new(started: Mono, timeout: Option<Duration>, grace: Duration) -> Self {
        Self {
            state: State::Running { timeout_deadline: timeout.map(|timeout| started + timeout) },
            grace,
        }
    }

    /// Begins the sequence; none if it has begun already.
    pub(crate) fn ask(&mut self, now: Mono) -> Option<Action> {
        match self.state {
            State::Running { .. } => {
                self.state = State::Grace { kill_deadline: now + self.grace };
                Some(Action::Signal)
            }
            State::Grace { .. } | State::Killing { .. } => None,
        }
    }

    /// Skips to the kill.
    pub(crate) fn kill(&mut self, now: Mono) -> Action {
        self.state = State::Killing { again_deadline: now + KILL_AGAIN };
        Action::Kill
    }

    /// Time has passed; none: it is not yet time for anything.
    pub(crate) fn expire(&mut self, now: Mono) -> Option<Action> {
        if self.next_deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        match self.state {
            State::Running { .. } => self.ask(now),
            State::Grace { .. } | State::Killing { .. } => Some(self.kill(now)),
        }
    }

    /// When [`Stop::expire`] has something to say.
    pub(crate) fn next_deadline(&self) -> Option<Mono> {
        match self.state {
            State::Running { timeout_deadline } => timeout_deadline,
            State::Grace { kill_deadline: deadline }
            | State::Killing { again_deadline: deadline } => Some(deadline),
        }
    }

    /// Returns whether the sequence has begun.
    pub(crate) fn has_begun(&self) -> bool {
        match self.state {
            State::Running { .. } => false,
            State::Grace { .. } | State::Killing { .. } => true,
        }
    }

    /// Returns whether the signal was sent and the grace is not over.
    pub(crate) fn is_in_grace(&self) -> bool {
        match self.state {
            State::Grace { .. } => true,
            State::Running { .. } | State::Killing { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Mono {
        Mono::from_duration(Duration::from_secs(secs))
    }

    fn stop(timeout: Option<u64>) -> Stop {
        Stop::new(at(100), timeout.map(Duration::from_secs), Duration::from_secs(10))
    }

    #[test]
    fn an_attempt_without_a_timeout_has_no_deadline() {
        let mut stop = stop(None);
        assert_eq!(stop.next_deadline(), None);
        assert_eq!(stop.expire(at(u64::MAX)), None);
        assert!(!stop.has_begun());
    }

    #[test]
    fn a_timeout_signals_then_kills_after_the_grace_and_again_each_second() {
        let mut stop = stop(Some(5));
        assert_eq!(stop.expire(at(104)), None);
        assert_eq!(stop.expire(at(105)), Some(Action::Signal));
        assert!(stop.is_in_grace());
        assert_eq!(stop.expire(at(114)), None);
        assert_eq!(stop.expire(at(115)), Some(Action::Kill));
        assert!(!stop.is_in_grace());
        assert_eq!(stop.expire(at(115)), None);
        assert_eq!(stop.expire(at(116)), Some(Action::Kill));
    }

    #[test]
    fn a_second_request_does_not_prolong_the_grace() {
        let mut stop = stop(Some(50));
        assert_eq!(stop.ask(at(110)), Some(Action::Signal));
        assert_eq!(stop.ask(at(115)), None);
        assert_eq!(stop.next_deadline(), Some(at(120)));
    }

    #[test]
    fn a_kill_needs_no_signal_before_it() {
        let mut stop = stop(None);
        assert_eq!(stop.kill(at(101)), Action::Kill);
        assert!(stop.has_begun());
        assert_eq!(stop.ask(at(101)), None);
    }

    #[test]
    fn a_late_look_at_the_clock_gives_the_whole_grace_all_the_same() {
        let mut stop = stop(Some(5));
        assert_eq!(stop.expire(at(500)), Some(Action::Signal));
        assert_eq!(stop.next_deadline(), Some(at(510)));
    }
}
