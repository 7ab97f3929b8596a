//! The only wait: until a descriptor is ready, a span of the monotonic clock is over, or the wall
//! clock is set.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// A span among the descriptors of a [`wait`], which it ends to the point: the timeout of poll(2)
/// may be late by a thousandth of itself, sixty milliseconds in a minute.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: TimerFd,
}

impl Alarm {
    /// Makes an alarm that is not set.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self { timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)? })
    }

    /// Makes it readable `after` this span, and unreadable until then.
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

/// No clock gets there (the year 2255); the kernel's own clocks end in 2262.
const NEVER_SECS: i64 = 9_000_000_000;

/// Becomes readable when the wall clock is set or the machine wakes up: a timer that is never over,
/// and that the kernel cancels then (timerfd_create(2), `TFD_TIMER_CANCEL_ON_SET`).
#[derive(Debug)]
pub(crate) struct ClockWatch {
    timer: TimerFd,
}

impl ClockWatch {
    /// Watches from now on.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
        let never = Expiration::OneShot(TimeSpec::new(NEVER_SECS, 0));
        let flags =
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        timer.set(never, flags)?;
        Ok(Self { timer })
    }

    /// Returns whether the clock was set since the last call, and goes on watching.
    pub(crate) fn was_set(&self) -> bool {
        self.timer.wait() == Err(Errno::ECANCELED)
    }
}

impl AsFd for ClockWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

/// Watches for room to write; a reader that is gone counts as such.
pub(crate) fn writable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLOUT)
}

/// Watches for something to read; the end of the stream, a hang-up and an error count as such.
pub(crate) fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}

/// Watches only for the other end going away.
pub(crate) fn hang_up(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::empty())
}

/// Returns whether the other end of a descriptor is closed.
pub(crate) fn has_hung_up(fd: BorrowedFd<'_>) -> bool {
    wait(&mut [hang_up(fd)], Some(Duration::ZERO)).is_ok_and(|ready| ready > 0)
}

/// Whether a pipe, terminal or file would take up to 4,096 bytes without waiting (pipe(7),
/// `PIPE_BUF`). One whose reader is gone is: writing to it tells.
pub(crate) fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    wait(&mut fds, Some(Duration::ZERO)).is_ok_and(|ready| ready > 0)
}

/// Returns whether the last [`wait`] found this one ready.
pub(crate) fn is_ready(fd: &PollFd<'_>) -> bool {
    fd.revents().is_none_or(|events| !events.is_empty())
}

/// Waits until one of `fds` is ready, `timeout` is over, or a signal was handled; without a
/// timeout, as long as it takes.
///
/// Answers how many are ready: none after the timeout and after a signal, so the caller asks the
/// clock either way.
pub(crate) fn wait(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    match ppoll(fds, timeout.map(TimeSpec::from_duration), None) {
        Ok(ready) => Ok(usize::try_from(ready).unwrap_or(0)),
        // The kernel has then answered "nothing" for each of them (do_sys_poll writes before it
        // looks at signals).
        Err(Errno::EINTR) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_nobody_sets_ends_no_wait_and_the_alarm_does() {
        let (watch, alarm) = (ClockWatch::new().unwrap(), Alarm::new().unwrap());
        assert!(!watch.was_set());
        alarm.set(Duration::from_millis(1)).unwrap();
        let mut fds = [readable(watch.as_fd()), readable(alarm.as_fd())];
        assert_eq!(wait(&mut fds, None).unwrap(), 1);
        assert!(!is_ready(&fds[0]) && is_ready(&fds[1]));
    }
}
