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

    /// Removes a batch of old runs, going round the jobs, those that are gone from the jobfile included.
    pub(super) fn prune_a_batch(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        if !self.prune_is_due(now) {
            return Ok(());
        }
        self.last_prune = now.mono;
        // They come and go with the jobfile only, so a number counts the same ones from turn to turn.
        let absent = self.store.absent_jobs()?;
        for _ in 0..JOBS_A_TURN {
            let (index, cursor) = self.prune_at;
            let (job_id, keep) = match self.jobs.get(index) {
                Some(state) => (state.id, state.job.policy.keep.clone()),
                // Its runs are kept as those of a job that says nothing.
                None => match absent.get(index - self.jobs.len()) {
                    Some(job_id) => (*job_id, Keep::default()),
                    None => {
                        self.prune_at = (0, 0);
                        return Ok(());
                    }
                },
            };
            let pruned = self.store.prune(job_id, cursor, &limits_of(&keep, now))?;
            steps.files.extend(pruned.files);
            if let Some(cursor) = pruned.cursor {
                self.prune_at = (index, cursor);
                return Ok(());
            }
            self.prune_at = (index + 1, 0);
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
