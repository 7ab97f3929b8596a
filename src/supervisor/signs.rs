//! Signs for those outside that the supervisor lives and what it does: to systemd (sd_notify(3)),
//! the metrics file, the heartbeat.
//!
//! All of them are begun by the loop itself, after a turn: one that is stuck gives none. None of
//! them ever waits for anybody: files are written by errands.

mod heartbeat;
mod manager;
mod metrics_file;

use std::time::Duration;

use super::errand::Errands;
use super::log::Log;
use super::memory::Memory;
use super::queue::Queue;
use crate::core::time::{Mono, Now};
use crate::store::Store;

pub(super) use heartbeat::{Heartbeat, Starter};
pub(super) use manager::Manager;
pub(super) use metrics_file::MetricsFile;

/// Which state of the store something was made of.
type Version = Option<(u64, Option<i64>)>;

/// The signs that are given.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// Before the supervisor is ready it gives none.
    pub(super) is_ready: bool,
    pub(super) manager: Manager,
    pub(super) metrics: MetricsFile,
    pub(super) heartbeat: Heartbeat,
}

/// A supervisor, as its signs show it.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) store: &'a Store,
    pub(super) memory: &'a Memory,
    pub(super) queue: &'a Queue,
    /// Its store does not fail.
    pub(super) is_well: bool,
    pub(super) now: Now,
}

impl Sight<'_> {
    fn version(&self) -> Version {
        Some((self.store.changes(), self.queue.data_version()))
    }

    /// When something is due that was done at `at`: at once if it never was.
    fn after(&self, at: Option<Mono>, span: Duration) -> Mono {
        at.map_or(self.now.mono, |at| at + span)
    }
}

/// What it takes to write a file, and to tell that it cannot be.
pub(super) struct Hands<'a> {
    pub(super) errands: &'a mut Errands,
    pub(super) log: &'a mut Log,
}

impl Signs {
    /// Gives the signs that are due.
    pub(super) fn give<S: super::Spawner>(
        &mut self,
        sight: Sight<'_>,
        hands: &mut Hands<'_>,
        starter: Starter<'_, S>,
    ) {
        if self.is_ready {
            self.manager.give(sight, hands.log);
            self.metrics.give(sight, hands);
            self.heartbeat.give(sight, hands, starter);
        }
    }

    /// Returns how long no sign is due.
    pub(super) fn next_wait(&self, sight: Sight<'_>) -> Option<Duration> {
        if !self.is_ready {
            return None;
        }
        let files = [self.metrics.next_wait(sight), self.heartbeat.next_wait(sight)];
        files.into_iter().flatten().chain(self.manager.next_wait(sight)).min()
    }
}
