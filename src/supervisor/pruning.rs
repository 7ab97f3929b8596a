//! How far the removal of old runs and output has come.

use crate::core::time::{Mono, Now};

/// The progress of pruning old runs and output.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pruning {
    /// When old runs were looked for last.
    pub(super) last: Mono,
    /// The job, and where in its runs.
    pub(super) at: (usize, i64),
    /// Where the last removal of output ended.
    pub(super) trimmed_to: i64,
}

impl Pruning {
    /// Begins a while after `now`.
    pub(super) fn from(now: Now) -> Self {
        Self { last: now.mono, at: (0, 0), trimmed_to: 0 }
    }

    /// Something before the last removal may have become removable.
    pub(super) fn forget_trimmed(&mut self) {
        self.trimmed_to = 0;
    }
}
