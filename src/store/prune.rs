//! Removing runs that are too old to be kept.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::params;

use super::cells::reads;
use super::output::KEPT_BYTES;
use super::sql::sql;
use super::{Store, StoreError};
use crate::core::job::Keep;
use crate::core::run::State;
use crate::core::time::Wall;

/// How long a repeated request with an `Idempotency-Key` gets the first answer. An answer from
/// further ahead comes from a clock that was set back since.
pub(super) const ANSWERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The ages beyond which runs are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PruneLimits {
    /// Succeeded, skipped and cancelled runs that ended before.
    pub(crate) succeeded_before: Wall,
    /// Acknowledged failures that ended before.
    pub(crate) failed_before: Wall,
    /// Ended runs beyond this number.
    pub(crate) runs_max: i64,
    /// What was put down later is of a clock that was set back since, and says nothing of what is
    /// behind it.
    pub(crate) now: Wall,
}

impl PruneLimits {
    /// The same as far as it counts runs and asks no clock.
    pub(crate) fn by_number(keep: &Keep, now: Wall) -> Self {
        Self {
            succeeded_before: Wall::from_ms(i64::MIN),
            failed_before: Wall::from_ms(i64::MIN),
            ..Self::of(keep, now)
        }
    }

    /// Returns the limits that `keep` sets now.
    pub(crate) fn of(keep: &Keep, now: Wall) -> Self {
        Self {
            succeeded_before: now - keep.succeeded,
            failed_before: now - keep.failed,
            runs_max: i64::try_from(keep.runs).unwrap_or(i64::MAX),
            now,
        }
    }
}

/// The result of a batch of pruning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pruned {
    /// Where the next batch begins; none if this was the last.
    pub(crate) cursor: Option<i64>,
    /// Files of large output that belong to nobody once this is on disk.
    pub(crate) files: Vec<PathBuf>,
    /// Bytes of output that go with them.
    pub(crate) output_bytes: i64,
    /// How many runs went.
    pub(crate) runs: u64,
    /// How many it looked at.
    pub(crate) looked_at: u32,
}

impl Store {
    /// Removes ended runs of a job that are older than their limits, looking at `batch` runs that
    /// come behind `cursor`. Never an unacknowledged failure, nor the newest run of the job.
    pub(crate) fn prune(
        &self,
        job_id: i64,
        cursor: i64,
        batch: u32,
        limits: &PruneLimits,
    ) -> Result<Pruned, StoreError> {
        // The counter knows runs that are not here yet, and may be newer ones.
        if self.has_moving(job_id).map_err(|e| self.failed("remove old runs", e))? {
            return Ok(Pruned::default());
        }
        let (ended, last, newest): (i64, Option<i64>, Option<i64>) = self.value(
            "remove old runs",
            "SELECT ended, last_run, (SELECT max(id) FROM run WHERE job = ?1) FROM job \
             WHERE id = ?1",
            [job_id],
        )?;
        let mut surplus = ended.saturating_sub(limits.runs_max);
        let mut pruned = Pruned::default();
        let candidates: Vec<Candidate> = self.all(
            "remove old runs",
            "SELECT id, state, created_at, ended_at, acked, EXISTS (SELECT 1 FROM notice \
             JOIN job ON job.id = notice.job WHERE notice.run = run.id AND is_done = 0 \
             AND present = 1) FROM run WHERE job = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
            params![job_id, cursor, batch],
        )?;
        for candidate in &candidates {
            // Ids grow with time: what was put down within the limits, and all behind it, ended
            // within them.
            if surplus <= 0
                && candidate.created_at >= limits.succeeded_before.max(limits.failed_before)
                && candidate.created_at <= limits.now
            {
                return Ok(pruned);
            }
            pruned.cursor = Some(candidate.id);
            pruned.looked_at += 1;
            let is_needed = Some(candidate.id) == last || Some(candidate.id) == newest;
            if !is_needed && candidate.may_go(limits, surplus) {
                self.delete_run(candidate.id, &mut pruned)?;
                pruned.runs += 1;
                surplus -= 1;
            }
        }
        if pruned.looked_at < batch {
            pruned.cursor = None;
        }
        Ok(pruned)
    }

    /// Removes expired answers among the oldest `count`.
    pub(crate) fn forget_answers(&self, now: Wall, count: u32) -> Result<(), StoreError> {
        self.execute(
            "remove old answers",
            "DELETE FROM answered WHERE id IN (SELECT id FROM answered ORDER BY id LIMIT ?3) \
             AND NOT (at > ?1 AND at < ?2)",
            params![now - ANSWERED_FOR, now + ANSWERED_FOR, count],
        )
    }

    /// Jobs that are gone from the jobfile and have runs still.
    pub(crate) fn absent_jobs(&self) -> Result<Vec<i64>, StoreError> {
        self.all(
            "read jobs",
            "SELECT id FROM job WHERE present = 0 AND ended > 0 AND moves_to IS NULL ORDER BY id",
            [],
        )
    }

    fn delete_run(&self, id: i64, pruned: &mut Pruned) -> Result<(), StoreError> {
        let outputs: Vec<(u32, bool, i64)> = self.all(
            "remove old runs",
            sql!("SELECT attempt, head IS NULL, {KEPT_BYTES} FROM output WHERE run = ?1"),
            [id],
        )?;
        for (attempt, is_file, bytes) in outputs {
            pruned.output_bytes = pruned.output_bytes.saturating_add(bytes);
            if is_file {
                pruned.files.push(self.output_file(id, attempt));
            }
        }
        for sql in ["DELETE FROM output WHERE run = ?1", "DELETE FROM run WHERE id = ?1"] {
            self.execute("remove old runs", sql, [id])?;
        }
        Ok(())
    }
}

/// A run that may be old enough to be removed.
struct Candidate {
    id: i64,
    state: State,
    created_at: Wall,
    ended_at: Option<Wall>,
    acked: Option<Wall>,
    /// A hook or mail about it waits, or is under way.
    is_to_be_told: bool,
}

reads!(Candidate: id state created_at ended_at acked is_to_be_told);

impl Candidate {
    fn may_go(&self, limits: &PruneLimits, surplus: i64) -> bool {
        let is_failed = self.state == State::Failed;
        let Some(ended_at) = self.ended_at.filter(|_| self.state.is_ended()) else {
            return false;
        };
        if self.is_to_be_told || is_failed && self.acked.is_none() {
            return false;
        }
        let limit = if is_failed { limits.failed_before } else { limits.succeeded_before };
        ended_at < limit || surplus > 0
    }
}
