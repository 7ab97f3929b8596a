//! One way to wait: look again and again until a deadline, never a fixed pause.

use std::time::{Duration, Instant};

use nix::poll::ppoll;
use nix::sys::time::TimeSpec;

/// Nothing a test waits for takes longer on the slowest machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// Waits until `look` finds something; panics with `what` when the deadline is over.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match found_within(DEADLINE, look) {
        Some(found) => found,
        None => panic!("waited {DEADLINE:?} in vain for {what}"),
    }
}

/// What `look` finds within a time.
pub(crate) fn found_within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if begin.elapsed() >= limit {
            return None;
        }
        pass(LOOK_EVERY);
    }
}

/// Lets a moment pass between two looks at what is waited for.
pub(crate) fn pass(span: Duration) {
    // A signal may shorten it; whoever waits looks again anyway.
    let _ = ppoll(&mut [], Some(TimeSpec::from_duration(span)), None);
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a test has a clock of its own")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
