//! Removes ended runs that are older than their job keeps them, a few at a time.

use super::spawner::Spawner;
use super::{LOOK_EVERY, Supervisor};
use crate::core::time::Now;
use crate::store::{PruneLimits, StoreError};

/// Jobs that are looked at in one turn: ten thousand take three hours, and no turn takes long.
const JOBS_A_TURN: usize = 50;

impl<S: Spawner> Supervisor<S> {
    /// Whether it is time to look for old runs again.
    pub(super) fn prune_is_due(&self, now: Now) -> bool {
        now.mono.since(self.last_prune) >= LOOK_EVERY
    }

    /// Removes a batch of old runs, going round the jobs.
    pub(super) fn prune_a_batch(&mut self, now: Now) -> Result<(), StoreError> {
        if !self.prune_is_due(now) {
            return Ok(());
        }
        self.last_prune = now.mono;
        for _ in 0..JOBS_A_TURN.min(self.jobs.len()) {
            let (index, cursor) = self.prune_at;
            let Some(state) = self.jobs.get(index) else {
                self.prune_at = (0, 0);
                continue;
            };
            let keep = &state.job.policy.keep;
            let limits = PruneLimits {
                succeeded_before: now.wall - keep.succeeded,
                failed_before: now.wall - keep.failed,
                runs_max: i64::try_from(keep.runs).unwrap_or(i64::MAX),
            };
            if let Some(cursor) = self.store.prune(state.id, cursor, &limits)? {
                // The job has more: it goes on with the next look.
                self.prune_at = (index, cursor);
                return Ok(());
            }
            self.prune_at = (index + 1, 0);
        }
        Ok(())
    }
}
