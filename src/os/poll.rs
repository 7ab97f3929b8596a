//! The one wait: until a descriptor is ready or a span of the monotonic clock is over.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// A span among the descriptors of a [`wait`], which it ends to the point: the timeout of poll(2) may be late by a thousandth of
/// itself, sixty milliseconds in a minute.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: TimerFd,
}

impl Alarm {
    /// Makes one that is not set.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self {
            timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?,
        })
    }

    /// Makes it readable `after` this span, and not readable before, whatever it was.
    pub(crate) fn set(&self, after: Duration) -> io::Result<()> {
        // Nothing at all would turn it off.
        let after = after.max(Duration::from_nanos(1));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(after));
        Ok(self.timer.set(expiration, TimerSetTimeFlags::empty())?)
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

/// Watches for something to read; the end of the stream, a hang-up and an error count as such.
pub(crate) fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}

/// Watches only for the other end going away.
pub(crate) fn hang_up(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::empty())
}

/// Whether the last [`wait`] found this one ready.
pub(crate) fn is_ready(fd: &PollFd<'_>) -> bool {
    fd.revents().is_none_or(|events| !events.is_empty())
}

/// Waits until one of `fds` is ready, `timeout` is over, or a signal was handled; without a timeout, as long as it takes.
///
/// Answers how many are ready: none after the timeout and after a signal, so the caller asks the clock either way.
pub(crate) fn wait(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    match ppoll(fds, timeout.map(TimeSpec::from_duration), None) {
        Ok(ready) => Ok(usize::try_from(ready).unwrap_or(0)),
        // The kernel has then answered "nothing" for each of them (do_sys_poll writes before it looks at signals).
        Err(Errno::EINTR) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}
