//! Requests of `jobctl reload`, from their arrival until their answer is known.
//!
//! Only a reading that begins after a request serves it. Numbers increase, and an answer to one
//! request also answers all earlier ones.

use std::time::Duration;

use crate::core::time::{Mono, Now};
use crate::supervisor::errand::ERRAND_MAX;

/// Requests that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The newest request.
    heard: Option<i64>,
    /// The newest that no reading serves yet, and until when the oldest of them may go without one.
    waiting: Option<(i64, Mono)>,
    /// The newest request that the current reading serves.
    served: Option<i64>,
}

impl Requests {
    /// Takes the newest request, which may be known already.
    pub(super) fn hear(&mut self, number: i64, now: Now) {
        if self.heard.is_some_and(|heard| heard >= number) {
            return;
        }
        self.heard = Some(number);
        let deadline = self.waiting.map_or(now.mono + ERRAND_MAX, |(_, deadline)| deadline);
        self.waiting = Some((number, deadline));
    }

    /// Returns whether to begin a reading.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Records that a reading begins, which serves all waiting requests.
    pub(super) fn begin(&mut self) {
        self.served = self.waiting.take().map(|(number, _)| number);
    }

    /// Returns the request that the finished reading answers.
    pub(super) fn take_served(&mut self) -> Option<i64> {
        self.served.take()
    }

    /// Returns the request for which no reading could begin in time.
    pub(super) fn take_overdue(&mut self, now: Now) -> Option<i64> {
        let (number, _) = self.waiting.take_if(|(_, deadline)| *deadline <= now.mono)?;
        Some(number)
    }

    /// Returns how long until a request becomes overdue.
    pub(super) fn next_wait(&self, now: Now) -> Option<Duration> {
        self.waiting.map(|(_, deadline)| deadline.since(now.mono))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Wall;

    fn at(secs: u64) -> Now {
        Now { wall: Wall::from_secs(0), mono: Mono::from_duration(Duration::from_secs(secs)) }
    }

    #[test]
    fn a_request_while_a_reading_is_under_way_waits_for_the_next_one() {
        let mut requests = Requests::default();
        requests.hear(1, at(0));
        requests.begin();
        requests.hear(2, at(1));
        assert!(requests.is_waiting());
        assert_eq!(requests.take_served(), Some(1));
        assert_eq!(requests.take_served(), None);
        requests.begin();
        requests.hear(2, at(2));
        assert!(!requests.is_waiting(), "it is known");
        assert_eq!(requests.take_served(), Some(2));
    }

    #[test]
    fn a_request_that_no_reading_serves_is_overdue_with_the_oldest_that_waits() {
        let mut requests = Requests::default();
        requests.hear(1, at(0));
        requests.hear(2, at(9));
        assert_eq!(requests.next_wait(at(9)), Some(Duration::from_secs(1)));
        assert_eq!(requests.take_overdue(at(9)), None);
        assert_eq!(requests.take_overdue(at(10)), Some(2));
        assert!(!requests.is_waiting());
        requests.hear(3, at(11));
        assert_eq!(requests.take_overdue(at(20)), None);
        requests.begin();
        assert_eq!((requests.take_overdue(at(60)), requests.take_served()), (None, Some(3)));
    }
}
