//! Work on what is outside the state directory: a disk that answers nobody (NFS, FUSE, a device)
//! must not hold up the loop.
//!
//! Each source has an errand, and at most one of it is under way, on a thread of its own. The loop
//! hears its end through a descriptor and never waits for it. One that is overdue is said once;
//! nothing more of its source is begun until it has returned, unless its owner gives it up for a
//! new one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::Duration;

use crate::core::time::{Mono, Now};
use crate::os::aside::{self, Bell};

/// How long an errand may take before that is said.
pub(crate) const ERRAND_MAX: Duration = Duration::from_secs(10);

/// What an errand that is overdue is said to be.
pub(crate) const OVERDUE: &str = "the file system did not answer for 10s";

/// The bell that errands ring when they have ended.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    bell: Option<Bell>,
}

impl Errands {
    /// Becomes readable when one has ended; none: none was begun.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.bell.as_ref().map(AsFd::as_fd)
    }

    /// Forgets all rings so far.
    pub(crate) fn drain(&self) {
        if let Some(bell) = &self.bell {
            bell.drain();
        }
    }

    fn bell(&mut self) -> io::Result<Bell> {
        let bell = match self.bell.take() {
            Some(bell) => bell,
            None => Bell::new()?,
        };
        Ok(self.bell.insert(bell).clone())
    }
}

/// The errand of one source, which answers with a `T`.
#[derive(Debug)]
pub(crate) struct Errand<T> {
    under_way: Option<UnderWay<T>>,
    /// The last one took too long, and that was said.
    is_slow: bool,
}

#[derive(Debug)]
struct UnderWay<T> {
    answer: Receiver<T>,
    deadline: Mono,
}

impl<T> Default for Errand<T> {
    fn default() -> Self {
        Self { under_way: None, is_slow: false }
    }
}

impl<T: Send + 'static> Errand<T> {
    /// Returns whether it has not returned.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Returns whether it is under way, and not known to be overdue.
    pub(crate) fn is_in_time(&self) -> bool {
        self.under_way.is_some() && !self.is_slow
    }

    /// Begins it. Errs where there is no thread to be had.
    pub(crate) fn begin(
        &mut self,
        errands: &mut Errands,
        now: Now,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<()> {
        assert!(self.under_way.is_none(), "a source has one errand at a time");
        let bell = errands.bell()?;
        let (sender, answer) = sync_channel(1);
        aside::start(move || {
            // Nobody may want to hear it any more.
            let _ = sender.send(work());
            bell.ring();
        })?;
        self.under_way = Some(UnderWay { answer, deadline: now.mono + ERRAND_MAX });
        Ok(())
    }

    /// Returns its result, once it has returned.
    pub(crate) fn take(&mut self, now: Now) -> Option<T> {
        let UnderWay { answer, deadline } = self.under_way.as_ref()?;
        let brought = match answer.try_recv() {
            Ok(brought) => Some(brought),
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => None,
        };
        if now.mono < *deadline {
            self.is_slow = false;
        }
        self.under_way = None;
        brought
    }

    /// Waits for it, `limit` at most. What it brought; after the limit it is still under way.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<T> {
        let UnderWay { answer, .. } = self.under_way.as_ref()?;
        let brought = match answer.recv_timeout(limit) {
            Ok(brought) => Some(brought),
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => None,
        };
        self.under_way = None;
        brought
    }

    /// Returns whether it is overdue and that is to be said: once, until one has returned in time.
    pub(crate) fn is_newly_overdue(&mut self, now: Now) -> bool {
        let is_overdue = self.deadline().is_some_and(|deadline| deadline <= now.mono);
        is_overdue && !std::mem::replace(&mut self.is_slow, true)
    }

    /// Returns how long until it is to be asked whether it is overdue.
    pub(crate) fn next_wait(&self, now: Now) -> Option<Duration> {
        let deadline = self.deadline().filter(|_| !self.is_slow)?;
        Some(deadline.since(now.mono))
    }

    fn deadline(&self) -> Option<Mono> {
        self.under_way.as_ref().map(|errand| errand.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Wall;
    use crate::os::poll;

    fn at(secs: u64) -> Now {
        Now { wall: Wall::from_secs(0), mono: Mono::from_duration(Duration::from_secs(secs)) }
    }

    fn hear(errands: &Errands) {
        let bell = errands.descriptor().unwrap();
        poll::wait(&mut [poll::readable(bell)], None).unwrap();
        errands.drain();
    }

    #[test]
    fn an_errand_that_hangs_is_overdue_once_and_its_answer_is_taken_all_the_same() {
        let mut errands = Errands::default();
        let mut errand = Errand::default();
        for (is_said, answer) in [(true, "first"), (false, "second")] {
            let (let_go, held) = sync_channel::<()>(0);
            let work = move || {
                let _ = held.recv();
                answer
            };
            errand.begin(&mut errands, at(0), work).unwrap();
            assert_eq!(errand.take(at(1)), None);
            assert!(!errand.is_newly_overdue(at(9)));
            assert_eq!(errand.is_newly_overdue(at(10)), is_said);
            assert!(!errand.is_newly_overdue(at(11)), "it was said");
            assert_eq!(errand.next_wait(at(11)), None);
            assert_eq!(errand.wait(Duration::ZERO), None);
            assert!(errand.is_under_way());
            drop(let_go);
            hear(&errands);
            assert_eq!(errand.take(at(12)), Some(answer));
        }
        for (begun, wait) in [(20, None), (22, Some(Duration::from_secs(9)))] {
            errand.begin(&mut errands, at(begun), || "in time").unwrap();
            assert_eq!(errand.next_wait(at(begun + 1)), wait);
            hear(&errands);
            assert_eq!(errand.take(at(begun + 1)), Some("in time"));
        }
        errand.begin(&mut errands, at(30), || "again").unwrap();
        assert!(errand.is_newly_overdue(at(40)), "it was well in between");
        assert_eq!(errand.wait(Duration::from_secs(30)), Some("again"));
    }
}
