//! The clocks. The only place that asks them: everything else is told.

use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::core::time::{Mono, Now, Wall};

/// Reads the wall clock and the monotonic clock, one after the other.
///
/// # Panics
///
/// Where the kernel has no such clocks, which no Linux does.
pub(crate) fn now() -> Now {
    let wall = read(ClockId::CLOCK_REALTIME);
    let mono = read(ClockId::CLOCK_MONOTONIC);
    let wall_ms = wall
        .tv_sec()
        .saturating_mul(1000)
        .saturating_add(wall.tv_nsec() / 1_000_000);
    Now {
        wall: Wall::from_ms(wall_ms),
        mono: Mono::from_duration(Duration::from(mono)),
    }
}

fn read(clock: ClockId) -> TimeSpec {
    clock_gettime(clock).expect("Linux has a wall clock and a monotonic one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = now();
        let second = now();
        assert!(second.mono >= first.mono);
        assert!(first.wall > Wall::from_secs(1_700_000_000));
    }
}
