//! `rate`: so many starts in a time, as a bucket of that size that is filled again evenly.
//!
//! One number tells its state: the instant at which it is full, if nothing more is taken (the
//! "theoretical arrival time" of the generic cell rate algorithm, ITU-T I.371). It is in
//! microseconds since 1970, so that many starts a second add up.

use std::time::Duration;

use super::job::Rate;
use super::time::Wall;

/// Returns how long the next start has to wait; none if it may be now.
pub(crate) fn wait(rate: Rate, full_at: Option<i64>, now: Wall) -> Option<Duration> {
    let all_but_one = interval(rate).saturating_mul(i64::from(rate.burst.saturating_sub(1)));
    let wait = full_at?.saturating_sub(all_but_one).saturating_sub(micros(now));
    let wait = u64::try_from(wait).ok().filter(|wait| *wait > 0)?;
    Some(Duration::from_micros(wait))
}

/// When the bucket is full after one more start.
pub(crate) fn after_start(rate: Rate, full_at: Option<i64>, now: Wall) -> i64 {
    let now = micros(now);
    full_at.unwrap_or(now).max(now).saturating_add(interval(rate))
}

/// From one start to the next, once the bucket is empty; rounded up, so that the rate is never
/// exceeded.
fn interval(rate: Rate) -> i64 {
    let interval = rate.per.as_micros().div_ceil(u128::from(rate.burst.max(1)));
    i64::try_from(interval).unwrap_or(i64::MAX)
}

fn micros(at: Wall) -> i64 {
    at.ms().saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN_A_MINUTE: Rate = Rate { burst: 10, per: Duration::from_secs(60) };

    #[test]
    fn a_full_bucket_gives_all_at_once_and_then_one_at_a_time() {
        let now = Wall::from_secs(1_000_000);
        let mut full_at = None;
        for _ in 0..10 {
            assert_eq!(wait(TEN_A_MINUTE, full_at, now), None);
            full_at = Some(after_start(TEN_A_MINUTE, full_at, now));
        }
        assert_eq!(wait(TEN_A_MINUTE, full_at, now), Some(Duration::from_secs(6)));
        let later = now + Duration::from_secs(6);
        assert_eq!(wait(TEN_A_MINUTE, full_at, later), None);
        full_at = Some(after_start(TEN_A_MINUTE, full_at, later));
        assert_eq!(wait(TEN_A_MINUTE, full_at, later), Some(Duration::from_secs(6)));
        // After a minute without starts it is full again, and no more than that.
        let rested = later + Duration::from_secs(3600);
        for _ in 0..10 {
            assert_eq!(wait(TEN_A_MINUTE, full_at, rested), None);
            full_at = Some(after_start(TEN_A_MINUTE, full_at, rested));
        }
        assert!(wait(TEN_A_MINUTE, full_at, rested).is_some());
    }

    proptest! {
        #[test]
        fn starts_in_any_time_are_the_bucket_and_what_flows_in(
            burst in 1_u32..50,
            per_ms in 1_u64..100_000,
            gaps in proptest::collection::vec(0_u64..5_000, 1..200),
        ) {
            let rate = Rate { burst, per: Duration::from_millis(per_ms) };
            let begin = Wall::from_secs(1_000_000);
            let (mut now, mut full_at, mut started) = (begin, None, 0_u64);
            for gap in gaps {
                now = now + Duration::from_millis(gap);
                if wait(rate, full_at, now).is_none() {
                    full_at = Some(after_start(rate, full_at, now));
                    started += 1;
                }
            }
            let elapsed = u64::try_from(now.since(begin).as_millis()).unwrap();
            let most = u64::from(burst) + elapsed * u64::from(burst) / per_ms;
            prop_assert!(started <= most, "{started} started, {most} at the most");
        }
    }
}
