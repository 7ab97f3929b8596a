//! Removes ended runs that are older than their job keeps them, and output that is too much in all,
//! a few at a time.

use std::path::PathBuf;
use std::time::Duration;

use crate::core::job::Keep;
use crate::core::time::Mono;
use crate::store::{Expendable, PruneLimits, StoreError, Trimmed};
use crate::supervisor::memory::Memory;
use crate::supervisor::spawner::Spawner;
use crate::supervisor::turn::Turn;
use crate::supervisor::when::LOOK_EVERY;

/// Jobs that are looked at in one turn: ten thousand take three hours, and no turn takes long.
const JOBS_A_TURN: usize = 50;

/// Runs that are looked at in one turn, of all these jobs together.
const RUNS_A_TURN: u32 = 500;

/// Stored answers of the door that one turn looks at.
const ANSWERS_A_TURN: u32 = 500;

/// Batches of output that are removed in one turn.
const TRIMS_A_TURN: usize = 8;

/// A job that has more to be removed than a batch goes on after this.
const NEXT_BATCH: Duration = Duration::from_secs(1);

/// When it is time to look for old runs again.
pub(super) fn due_at(memory: &Memory) -> Mono {
    let (_, cursor) = memory.pruning.at;
    let is_over = memory.output_bytes > memory.configuration.output_total_max;
    memory.pruning.last + if cursor > 0 || is_over { NEXT_BATCH } else { LOOK_EVERY }
}

impl<S: Spawner> Turn<'_, S> {
    /// Removes a batch of old runs, and output that is too much.
    pub(super) fn prune(&mut self) -> Result<(), StoreError> {
        if due_at(self.memory) <= self.now.mono {
            self.effects.pruning.last = self.now.mono;
            self.prune_a_batch()?;
            if !self.memory.clock.holds_age(self.now) {
                self.store.forget_answers(self.now.wall, ANSWERS_A_TURN)?;
            }
        }
        self.bound_output()
    }

    /// Goes round the jobs, those that are gone from the jobfile included.
    fn prune_a_batch(&mut self) -> Result<(), StoreError> {
        let jobs = &self.memory.jobs.all;
        // They come and go with the jobfile only, so a number counts the same ones from turn to
        // turn.
        let absent = self.store.absent_jobs()?;
        let mut left = RUNS_A_TURN;
        for _ in 0..JOBS_A_TURN {
            let (index, cursor) = self.effects.pruning.at;
            let (job_id, keep) = match jobs.get(index) {
                Some(state) => (state.id, state.job.policy.keep.clone()),
                // Its runs are kept as those of a job that says nothing.
                None => match absent.get(index - jobs.len()) {
                    Some(job_id) => (*job_id, Keep::default()),
                    None => {
                        self.effects.pruning.at = (0, 0);
                        return Ok(());
                    }
                },
            };
            let limits = match self.memory.clock.holds_age(self.now) {
                true => PruneLimits::by_number(&keep, self.now.wall),
                false => PruneLimits::of(&keep, self.now.wall),
            };
            let pruned = self.store.prune(job_id, cursor, left, &limits)?;
            left -= pruned.looked_at.min(left);
            self.drop_output(pruned.output_bytes, pruned.files);
            self.store.prune_notices(job_id, limits.failed_before)?;
            if let Some(cursor) = pruned.cursor {
                self.effects.pruning.at = (index, cursor);
                return Ok(());
            }
            self.effects.pruning.at = (index + 1, 0);
        }
        Ok(())
    }

    /// Output of so many bytes is not kept any more.
    fn drop_output(&mut self, bytes: i64, files: Vec<PathBuf>) {
        self.effects.output_change = self.effects.output_change.saturating_sub(bytes);
        self.effects.files.extend(files);
    }

    /// Bytes of output that are kept.
    fn output_bytes(&self) -> i64 {
        let before = self.effects.output_bytes.unwrap_or(self.memory.output_bytes);
        before.saturating_add(self.effects.output_change)
    }

    /// Removes the oldest output until all of it is within `output_total_max` again, and writes
    /// down how much there is.
    fn bound_output(&mut self) -> Result<(), StoreError> {
        for _ in 0..TRIMS_A_TURN {
            let max = self.memory.configuration.output_total_max;
            let surplus = self.output_bytes().saturating_sub(max);
            if surplus <= 0 {
                break;
            }
            let trimmed = self.trim_oldest(surplus)?;
            if trimmed.last.is_none() {
                break;
            }
            self.drop_output(trimmed.bytes, trimmed.files);
        }
        if self.effects.output_change != 0 {
            self.store.set_meta("output_bytes", Some(&self.output_bytes()))?;
        }
        Ok(())
    }

    /// Goes on where the last batch ended: before that are failures that nobody has acknowledged
    /// and runs that have not ended. Failures go when there is nothing else.
    fn trim_oldest(&mut self, surplus: i64) -> Result<Trimmed, StoreError> {
        for (whose, after) in [
            (Expendable::Settled, self.effects.pruning.trimmed_to),
            (Expendable::Settled, 0),
            (Expendable::Ended, 0),
        ] {
            let trimmed = self.store.trim_output(whose, after, surplus)?;
            if let Some(last) = trimmed.last {
                self.effects.pruning.trimmed_to = match whose {
                    Expendable::Settled => last,
                    Expendable::Ended => 0,
                };
                return Ok(trimmed);
            }
        }
        Ok(Trimmed::default())
    }
}
