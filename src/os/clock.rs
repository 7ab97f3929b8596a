//! The clocks. Only this file reads them; all other code gets the time as an argument.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::core::time::{Mono, Now, Wall};

/// If the two readings are further apart than this, they do not describe the same instant.
const APART_MAX: Duration = Duration::from_secs(10);

/// Reads the wall clock and the monotonic clock at one instant: a process that was stopped between
/// the two readings would otherwise mistake the pause for a clock set back.
///
/// # Panics
///
/// If the kernel lacks one of these clocks; every Linux has them.
pub(crate) fn now() -> Now {
    let before = mono();
    let now = wall_and_mono();
    if now.mono.since(before) <= APART_MAX {
        return now;
    }
    wall_and_mono()
}

fn wall_and_mono() -> Now {
    let wall = read(ClockId::CLOCK_REALTIME);
    let wall_ms = wall.tv_sec().saturating_mul(1000).saturating_add(wall.tv_nsec() / 1_000_000);
    Now { wall: Wall::from_ms(wall_ms), mono: mono() }
}

fn mono() -> Mono {
    let clock = read(ClockId::CLOCK_MONOTONIC);
    Mono::from_duration(STEADY.read(Duration::from(clock)))
}

/// The kernel's monotonic clock never goes back; one that a library fakes together with the wall
/// clock does (libfaketime). Deadlines would then lie years ahead, so what it goes back by is added
/// from then on.
struct Steady {
    last_ns: AtomicU64,
    lost_ns: AtomicU64,
}

static STEADY: Steady = Steady { last_ns: AtomicU64::new(0), lost_ns: AtomicU64::new(0) };

/// Returns whether the kernel's wall clock is synchronized (adjtimex(2)); none if that cannot be
/// read.
#[expect(unsafe_code, reason = "nix has no adjtimex(2)")]
pub(crate) fn is_synchronised() -> Option<bool> {
    // SAFETY: all of it is numbers, for which zero is a value; no mode set means that nothing is
    // changed.
    let mut state: nix::libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes into a living local.
    let answer = unsafe { nix::libc::adjtimex(&raw mut state) };
    (answer >= 0)
        .then_some(answer != nix::libc::TIME_ERROR && state.status & nix::libc::STA_UNSYNC == 0)
}

/// Threads that read one after the other may note what they read the other way round.
const DISORDER_MAX: Duration = Duration::from_secs(1);

impl Steady {
    fn read(&self, clock: Duration) -> Duration {
        let last = Duration::from_nanos(self.last_ns.swap(nanos(clock), Ordering::Relaxed));
        let back = last.saturating_sub(clock);
        if back > DISORDER_MAX {
            self.lost_ns.fetch_add(nanos(back), Ordering::Relaxed);
        }
        clock + Duration::from_nanos(self.lost_ns.load(Ordering::Relaxed))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn read(clock: ClockId) -> TimeSpec {
    clock_gettime(clock).expect("Linux has a wall clock and a monotonic one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monotonic_clock_that_is_faked_back_goes_on() {
        let steady = Steady { last_ns: AtomicU64::new(0), lost_ns: AtomicU64::new(0) };
        let read = |secs| steady.read(Duration::from_secs(secs)).as_secs();
        assert_eq!([read(5000), read(5010), read(100), read(130)], [5000, 5010, 5010, 5040]);
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = now();
        let second = now();
        assert!(second.mono >= first.mono);
        assert!(first.wall > Wall::from_secs(1_700_000_000));
    }
}
