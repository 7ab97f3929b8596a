//! What a success acknowledges: the earlier failed occurrences of its job, some in the transaction
//! of its end, the others in later turns.

use rusqlite::params;

use super::cells::reads;
use super::sql::{FAILED, IS_OCCURRENCE, sql};
use super::types::Finish;
use super::{Store, StoreError};

/// Failures that are looked at in one turn, or in the end of one attempt, at the most.
const ACKNOWLEDGED_AT_ONCE: i64 = 500;

/// How far one has come that waits until its job stands in one row: nowhere, and what has failed
/// since is none of its business.
pub(super) const LATER: i64 = -1;

/// What is said where it fails.
const ACTION: &str = "acknowledge failures";

/// A success, and how far it has come among the failures before it.
struct Success {
    job: i64,
    run: i64,
    /// When it ended: what fails later is none of its business.
    ended_at: i64,
    /// All up to this run are gone through.
    reached: i64,
}

reads!(Success: job run ended_at reached);

impl Store {
    /// Acknowledges the first failed occurrences before a success, and notes it if there are more
    /// of them.
    pub(super) fn acknowledge_earlier(&self, finish: &Finish<'_>) -> Result<(), StoreError> {
        let job = self.value(ACTION, "SELECT job FROM run WHERE id = ?1", [finish.run.id])?;
        let success =
            Success { job, run: finish.run.id, ended_at: finish.ended_at.ms(), reached: 0 };
        let has_moving = self.has_moving(job).map_err(|e| self.failed(ACTION, e))?;
        let reached = match has_moving {
            true => Some(LATER),
            false => self.acknowledge(&success)?,
        };
        let Some(reached) = reached else {
            return Ok(());
        };
        self.execute(
            ACTION,
            "INSERT OR REPLACE INTO acknowledging(run, job, ended_at, reached) \
             VALUES (?1, ?2, ?3, ?4)",
            [success.run, success.job, success.ended_at, reached],
        )
    }

    /// Acknowledges some of what successes have left. Whether there is more, for the next turn.
    pub(crate) fn acknowledge_owed(&self) -> Result<bool, StoreError> {
        let success =
            self.one(ACTION, "SELECT job, run, ended_at, reached FROM acknowledging WHERE NOT EXISTS (SELECT 1 FROM job WHERE moves_to = acknowledging.job) LIMIT 1", [])?;
        let Some(success) = success else {
            return Ok(false);
        };
        match self.acknowledge(&success)? {
            Some(reached) => self.execute(
                ACTION,
                "UPDATE acknowledging SET reached = ?2 WHERE run = ?1",
                [success.run, reached],
            )?,
            None => {
                self.execute(ACTION, "DELETE FROM acknowledging WHERE run = ?1", [success.run])?
            }
        };
        Ok(true)
    }

    /// Goes through some failures before a success. Up to where, if there may be more.
    fn acknowledge(&self, success: &Success) -> Result<Option<i64>, StoreError> {
        let (count, last): (i64, Option<i64>) = self.value(
            ACTION,
            sql! {"SELECT count(*), max(id) FROM (SELECT id FROM run WHERE job = ?1 \
            AND state = {FAILED} AND acked IS NULL AND {IS_OCCURRENCE} AND id > ?2 \
            AND id < ?3 ORDER BY id LIMIT ?4)"},
            params![success.job, success.reached, success.run, ACKNOWLEDGED_AT_ONCE],
        )?;
        let Some(last) = last else {
            return Ok(None);
        };
        // At the first look all of them failed before the success, whatever the clock says of it.
        self.execute(
            ACTION,
            sql! {"UPDATE run SET acked = ?4 WHERE job = ?1 AND state = {FAILED} \
            AND acked IS NULL AND {IS_OCCURRENCE} AND id > ?2 AND id <= ?3 AND (?2 = 0 \
            OR ended_at <= ?4)"},
            [success.job, success.reached, last, success.ended_at],
        )?;
        Ok((count == ACKNOWLEDGED_AT_ONCE).then_some(last))
    }
}
