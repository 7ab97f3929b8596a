//! Removes ended runs that are older than their job keeps them, and output that is too much in all, a few at a time.

use std::time::Duration;

use super::spawner::Spawner;
use super::{LOOK_EVERY, Steps, Supervisor};
use crate::core::job::Keep;
use crate::core::time::{Mono, Now};
use crate::store::{Expendable, PruneLimits, StoreError, Trimmed};

/// Jobs that are looked at in one turn: ten thousand take three hours, and no turn takes long.
const JOBS_A_TURN: usize = 50;

/// Runs that are looked at in one turn, of all these jobs together.
const RUNS_A_TURN: u32 = 500;

/// Batches of output that are removed in one turn.
const TRIMS_A_TURN: usize = 8;

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
        let is_over = self.output_bytes > self.configuration.output_total_max;
        self.last_prune + if cursor > 0 || is_over { NEXT_BATCH } else { LOOK_EVERY }
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
        let mut left = RUNS_A_TURN;
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
            let limits = if self.holds_age(now) {
                PruneLimits::by_number(&keep, now.wall)
            } else {
                PruneLimits::of(&keep, now.wall)
            };
            let pruned = self.store.prune(job_id, cursor, left, &limits)?;
            left -= pruned.looked_at.min(left);
            steps.output_change = steps.output_change.saturating_sub(pruned.output_bytes);
            steps.files.extend(pruned.files);
            self.store.prune_notices(job_id, limits.failed_before)?;
            if let Some(cursor) = pruned.cursor {
                self.prune_at = (index, cursor);
                return Ok(());
            }
            self.prune_at = (index + 1, 0);
        }
        Ok(())
    }

    /// Removes the oldest output until all of it is within `output_total_max` again, and writes down how much there is.
    pub(super) fn bound_output(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        for _ in 0..TRIMS_A_TURN {
            let kept = self.output_bytes.saturating_add(steps.output_change);
            let surplus = kept.saturating_sub(self.configuration.output_total_max);
            if surplus <= 0 {
                break;
            }
            let trimmed = self.trim_oldest(surplus)?;
            if trimmed.last.is_none() {
                break;
            }
            steps.output_change = steps.output_change.saturating_sub(trimmed.bytes);
            steps.files.extend(trimmed.files);
        }
        if steps.output_change != 0 {
            let bytes = self.output_bytes.saturating_add(steps.output_change);
            self.store.set_meta("output_bytes", Some(&bytes))?;
        }
        Ok(())
    }

    /// Goes on where the last batch ended: before that are failures that nobody has acknowledged and runs that have not ended.
    /// Failures go when there is nothing else.
    fn trim_oldest(&mut self, surplus: i64) -> Result<Trimmed, StoreError> {
        for (whose, after) in [
            (Expendable::Settled, self.trimmed_to),
            (Expendable::Settled, 0),
            (Expendable::Ended, 0),
        ] {
            let trimmed = self.store.trim_output(whose, after, surplus)?;
            if let Some(last) = trimmed.last {
                self.trimmed_to = match whose {
                    Expendable::Settled => last,
                    Expendable::Ended => 0,
                };
                return Ok(trimmed);
            }
        }
        Ok(Trimmed::default())
    }
}
