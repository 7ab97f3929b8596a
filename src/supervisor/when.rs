//! When a duty, or a look at something, is due.

use std::time::Duration;

use crate::core::time::{Mono, Now, Wall};

/// No wait is longer: the wall clock may have been set, a ring may have been lost.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A lock that a stranger holds gives no sign when it is free.
pub(super) const LOCK_AGAIN: Duration = Duration::from_secs(1);

/// The longest wait after something that failed.
pub(super) const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// Between two turns of which the first one left something for the second: others that write have
/// the store then.
const GAP: Duration = Duration::from_millis(3);

/// When a duty has something to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// Now, after others that write had the store.
    Soon,
    /// At a time of the wall clock.
    At(Wall),
    /// At a time of the monotonic clock.
    By(Mono),
}

impl When {
    /// Returns whether that has come.
    pub(super) fn is_due(self, now: Now) -> bool {
        match self {
            Self::Soon => true,
            Self::At(at) => at <= now.wall,
            Self::By(at) => at <= now.mono,
        }
    }

    /// Returns how long until then.
    pub(super) fn wait(self, now: Now) -> Duration {
        match self {
            Self::Soon => GAP,
            Self::At(at) => at.since(now.wall),
            Self::By(at) => at.since(now.mono),
        }
    }

    /// Soon, or not at all.
    pub(super) fn soon_if(is_due: bool) -> Option<Self> {
        is_due.then_some(Self::Soon)
    }

    /// The first of several.
    pub(super) fn first(all: impl IntoIterator<Item = Option<Self>>, now: Now) -> Option<Self> {
        all.into_iter().flatten().min_by_key(|when| when.wait(now))
    }
}
