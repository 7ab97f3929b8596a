//! The only place that asks what time it is.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::core::time::{Mono, Now, Wall};

/// Reads both clocks.
pub(crate) fn now() -> Now {
    Now {
        wall: wall(),
        mono: Mono::from_duration(monotonic()),
    }
}

/// Reads `CLOCK_REALTIME`.
fn wall() -> Wall {
    let time = clock_gettime(ClockId::CLOCK_REALTIME).expect("Linux has CLOCK_REALTIME");
    Wall::from_ms(
        time.tv_sec()
            .saturating_mul(1000)
            .saturating_add(time.tv_nsec() / 1_000_000),
    )
}

/// Reads `CLOCK_MONOTONIC`, which never goes back and is never negative.
fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has CLOCK_MONOTONIC");
    let secs = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec()).unwrap_or(0);
    Duration::new(secs, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let earlier = now();
        assert!(now().mono >= earlier.mono);
        assert!(earlier.wall > Wall::from_secs(1_600_000_000));
    }
}
