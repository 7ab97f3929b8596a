//! A stop of the supervisor: how it was asked for, and how long it may take.

use std::time::Duration;

use super::configuration::Configuration;
use super::live::Live;
use super::oversight;
use crate::core::job::OnStop;
use crate::core::time::{Mono, Now, Wall};

/// Before a stop is over, so that the ends of what gets KILL are written down within it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A stop under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopping {
    since: Mono,
    /// How often it was asked for: twice is "now", three times is KILL.
    asked: u32,
    on_stop: OnStop,
    timeout: Duration,
    /// When it began, by the wall clock, and whether the store says so.
    since_wall: Wall,
    is_noted: bool,
}

impl Stopping {
    /// Another one, at `now`.
    pub(super) fn ask(before: Option<Self>, configuration: &Configuration, now: Now) -> Self {
        let &Configuration { on_stop, stop_timeout: timeout, .. } = configuration;
        match before {
            Some(before) => Self { asked: before.asked + 1, on_stop, timeout, ..before },
            None => Self {
                since: now.mono,
                asked: 1,
                on_stop,
                timeout,
                since_wall: now.wall,
                is_noted: false,
            },
        }
    }

    /// Returns whether attempts have time to end.
    pub(super) fn finishes(&self) -> bool {
        self.on_stop == OnStop::Finish
    }

    /// When it began, if the store does not say so yet.
    pub(super) fn unnoted_since(&self) -> Option<Wall> {
        (!self.is_noted).then_some(self.since_wall)
    }

    /// The store says since when.
    pub(super) fn note(&mut self) {
        self.is_noted = true;
    }

    /// The jobfile was read anew.
    pub(super) fn configure(&mut self, configuration: &Configuration) {
        self.on_stop = configuration.on_stop;
        self.timeout = configuration.stop_timeout;
    }

    pub(super) fn asked(&self) -> u32 {
        self.asked
    }

    /// When it has had its time.
    pub(super) fn deadline(&self) -> Mono {
        self.since + self.timeout
    }

    /// When the supervisor leaves, whatever keepers have not ended that were killed for it.
    pub(super) fn leave_deadline(&self) -> Mono {
        self.deadline() + oversight::AFTER_A_STOP
    }

    /// Returns whether it has had its time.
    pub(super) fn is_over(&self, now: Now) -> bool {
        self.on_stop == OnStop::Detach || self.asked > 1 || self.deadline() <= now.mono
    }

    /// Returns whether it waits for these attempts.
    pub(super) fn waits_for_attempts(&self, now: Now) -> bool {
        self.finishes() && now.mono < self.leave_deadline()
    }

    pub(super) fn stop_at(&self, live: &Live) -> Mono {
        match self.asked {
            1 => self.since + self.timeout.saturating_sub(live.policy.stop_grace),
            _ => self.since,
        }
    }

    /// When an attempt gets KILL: by the third wish, or if its grace is longer than the stop may
    /// take. Those of others end in time by themselves.
    pub(super) fn kill_at(&self, live: &Live) -> Option<Mono> {
        if self.asked > 2 {
            return Some(self.since);
        }
        let is_short = live.policy.stop_grace > self.timeout;
        is_short.then(|| self.since + self.timeout.saturating_sub(LAST_WORDS))
    }

    /// When keepers get their last moment, which `oversight` looks after.
    pub(super) fn hurry_at(&self) -> Mono {
        if self.asked > 2 { self.since } else { self.deadline() }
    }
}
