//! A store that fails: when it is tried again, and how often that is said.

use std::time::Duration;

use super::log::{Log, LogEvent};
use super::when::BACK_OFF_MAX;
use crate::core::time::{Mono, Now};
use crate::store::StoreError;

/// The first wait; doubled up to [`BACK_OFF_MAX`].
const BACK_OFF_MIN: Duration = Duration::from_millis(100);

/// A store that another process has locked is free again soon.
const LOCKED_AGAIN: Duration = Duration::from_millis(50);

/// The result of the last turn.
#[derive(Debug)]
pub(super) struct Weather {
    /// It failed: when another one is tried.
    again_at: Option<Mono>,
    /// When a store that goes on failing is told of again.
    say_again_at: Option<Mono>,
    back_off: Duration,
}

impl Default for Weather {
    fn default() -> Self {
        Self { again_at: None, say_again_at: None, back_off: BACK_OFF_MIN }
    }
}

impl Weather {
    /// Returns whether the store can be written, as far as is known.
    pub(super) fn is_fine(&self) -> bool {
        self.again_at.is_none()
    }

    pub(super) fn again_at(&self) -> Option<Mono> {
        self.again_at
    }

    pub(super) fn allows_a_turn(&self, now: Now) -> bool {
        self.again_at.is_none_or(|at| at <= now.mono)
    }

    /// A turn is on disk.
    pub(super) fn cleared(&mut self) {
        *self = Self::default();
    }

    /// Lets the next turn begin at once, because the obstacle may be gone.
    pub(super) fn try_at_once(&mut self, now: Now) {
        self.again_at = Some(now.mono);
        self.back_off = BACK_OFF_MIN;
    }

    /// The store is asked again ever later while it fails, but soon where another process only has
    /// it. Either is told ever more rarely.
    pub(super) fn failed(&mut self, error: &StoreError, log: &mut Log, now: Now) {
        let wait = if error.is_lock() { LOCKED_AGAIN } else { self.back_off };
        self.again_at = Some(now.mono + wait);
        if self.say_again_at.is_some_and(|at| now.mono < at) {
            return;
        }
        let fields: [(&str, &dyn std::fmt::Display); 2] =
            [("error", error), ("again_in_ms", &wait.as_millis())];
        log.event(now.wall, LogEvent::StoreFailed, &fields);
        self.say_again_at = Some(now.mono + self.back_off);
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
    }
}
