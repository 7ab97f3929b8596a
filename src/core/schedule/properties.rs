//! What holds for every text that is taken for a schedule: asserted by the fuzz target and by tests
//! over generated texts.

use super::{HashSeed, Schedule, Span, Transition, Zone};
use crate::core::time::Wall;

/// Occurrences that are gone through.
const STEPS: usize = 20;

/// Fires within so many seconds: 40 years.
const NEVER_SECS: i64 = 40 * 366 * 86_400;

/// A span whose occurrences are counted: one around both changes of the clock.
const SPAN_SECS: i64 = 40 * 86_400;

/// Asserts all of it for a text, from a point in time on.
///
/// # Panics
///
/// Where one of the properties does not hold.
pub(crate) fn assert_all(text: &str, after: Wall) {
    let seed = HashSeed { seed: "seed", job: "job" };
    let schedule = match Schedule::parse(text, seed) {
        Ok(schedule) => schedule,
        Err(error) => {
            assert!(error.position <= text.len(), "{text:?}: {error:?}");
            assert!(text.is_char_boundary(error.position), "{text:?}: {error:?}");
            return;
        }
    };
    let zone = zone(after);
    assert_steps(&schedule, &zone, after);
    if let Schedule::Calendar(_) = schedule {
        let first = schedule.next_after(&zone, after, None);
        let is_near = |at: Wall| at.secs() - after.secs() <= NEVER_SECS;
        assert!(first.is_some_and(|first| is_near(first.at)), "{text:?}");
        assert_resolved(text, seed, &schedule);
    }
}

/// Strictly increasing, the same when asked again, and in agreement with the count and the latest.
fn assert_steps(schedule: &Schedule, zone: &Zone, after: Wall) {
    let grid_at = Some(after);
    let until = Wall::from_secs(after.secs() + SPAN_SECS);
    let mut at = after;
    let mut within = 0;
    for _ in 0..STEPS {
        let Some(next) = schedule.next_after(zone, at, grid_at) else {
            break;
        };
        assert!(next.at > at, "{schedule:?} goes back from {at:?}");
        assert_eq!(schedule.next_after(zone, at, grid_at), Some(next.clone()));
        let just_before = Wall::from_ms(next.at.ms() - 1);
        let again = schedule.next_after(zone, just_before, grid_at);
        assert_eq!(again.map(|again| again.at), Some(next.at));
        at = next.at;
        within += u64::from(at <= until);
    }
    let span = Span { after, until: until.min(at) };
    assert_eq!(schedule.count_between(zone, span, grid_at), within);
    let latest = schedule.latest_between(zone, span, grid_at);
    assert_eq!(latest.is_some(), within > 0, "{schedule:?} in {span:?}");
    assert!(latest.is_none_or(|latest| latest > span.after && latest <= span.until));
}

/// What stands for `H` means the same as `H` did.
fn assert_resolved(text: &str, seed: HashSeed<'_>, schedule: &Schedule) {
    if let Some(resolved) = super::resolve(text, seed) {
        let again = Schedule::parse(&resolved, seed);
        assert_eq!(again.as_ref(), Ok(schedule), "{text:?} as {resolved:?}");
    }
}

/// A zone whose clocks go forward a day after a point in time, and back half a month after.
fn zone(after: Wall) -> Zone {
    let at = |days: i64, offset_secs| Transition {
        at_secs: (after.secs().div_euclid(86_400) + days) * 86_400 + 3600,
        offset_secs,
    };
    Zone {
        name: "Test/Zone".into(),
        offset_first_secs: 3600,
        transitions: Box::new([at(1, 7200), at(16, 3600)]),
    }
}
