//! Removes ended runs that are older than their job keeps them, a few at a time.

use std::time::Duration;

use super::spawner::Spawner;
use super::{LOOK_EVERY, Steps, Supervisor};
use crate::core::job::Keep;
use crate::core::time::{Mono, Now};
use crate::store::{PruneLimits, StoreError};

/// Jobs that are looked at in one turn: ten thousand take three hours, and no turn takes long.
const JOBS_A_TURN: usize = 50;

/// A job that has more to be removed than a batch goes on after this.
const NEXT_BATCH: Duration = Duration::from_secs(1);

impl<S: Spawner> Supervisor<S> {
    /// Whether it is time to look for old runs again.
    pub(super) fn prune_is_due(&self, now: Now) -> bool {
        self.next_prune_at() <= now.mono
    }

    /// When it is.
    pub(super) fn next_prune_at(&self) -> Mono {
        let (_, cursor) = self.prune_at;
        self.last_prune + if cursor > 0 { NEXT_BATCH } else { LOOK_EVERY }
    }

    /// Removes a batch of old runs, going round the jobs.
    pub(super) fn prune_a_batch(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        if !self.prune_is_due(now) {
            return Ok(());
        }
        self.last_prune = now.mono;
        for _ in 0..JOBS_A_TURN {
            let (index, cursor) = self.prune_at;
            let Some(state) = self.jobs.get(index) else {
                self.prune_at = (0, 0);
                return self.prune_absent(steps);
            };
            let pruned =
                self.store
                    .prune(state.id, cursor, &limits_of(&state.job.policy.keep, now))?;
            steps.files.extend(pruned.files);
            if let Some(cursor) = pruned.cursor {
                self.prune_at = (index, cursor);
                return Ok(());
            }
            self.prune_at = (index + 1, 0);
        }
        Ok(())
    }

    /// The runs of jobs that are gone from the jobfile are kept as those of a job that says nothing.
    fn prune_absent(&self, steps: &mut Steps) -> Result<(), StoreError> {
        let limits = limits_of(&Keep::default(), steps.now);
        for job_id in self.store.absent_jobs()?.into_iter().take(JOBS_A_TURN) {
            steps
                .files
                .extend(self.store.prune(job_id, 0, &limits)?.files);
        }
        Ok(())
    }
}

fn limits_of(keep: &Keep, now: Now) -> PruneLimits {
    PruneLimits {
        succeeded_before: now.wall - keep.succeeded,
        failed_before: now.wall - keep.failed,
        runs_max: i64::try_from(keep.runs).unwrap_or(i64::MAX),
        now: now.wall,
    }
}
