//! What a success acknowledges: the earlier failed occurrences of its job, some in the transaction of its end, the others in later turns.

use rusqlite::{Connection, OptionalExtension, params};

use super::cells::Cells;
use super::types::Finish;
use super::{Store, StoreError};

/// Failures that are looked at in one turn, or in the end of one attempt, at the most.
const ACKNOWLEDGED_AT_ONCE: i64 = 500;

/// How far one has come that waits until its job stands in one row: nowhere, and what has failed since is none of its business.
pub(super) const LATER: i64 = -1;

/// A success, and how far it has come among the failures before it.
struct Success {
    job: i64,
    run: i64,
    /// When it ended: what fails later is none of its business.
    ended_at: i64,
    /// All up to this run are gone through.
    reached: i64,
}

impl Store {
    /// Acknowledges the first failed occurrences before a success, and notes it if there are more of them.
    pub(super) fn acknowledge_earlier(&self, finish: &Finish<'_>) -> Result<(), StoreError> {
        self.acknowledge_first(finish).map_err(|e| self.failed("acknowledge failures", e))
    }

    fn acknowledge_first(&self, finish: &Finish<'_>) -> rusqlite::Result<()> {
        let job = self
            .conn
            .prepare_cached("SELECT job FROM run WHERE id = ?1")?
            .query_row([finish.run], |row| row.cell(0))?;
        let success = Success { job, run: finish.run, ended_at: finish.ended_at.ms(), reached: 0 };
        let reached = match self.has_moving(job)? {
            true => Some(LATER),
            false => acknowledge(&self.conn, &success)?,
        };
        let Some(reached) = reached else {
            return Ok(());
        };
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO acknowledging(run, job, ended_at, reached) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute([success.run, success.job, success.ended_at, reached])
            .map(|_| ())
    }

    /// Acknowledges some of what successes have left. Whether there is more, for the next turn.
    pub(crate) fn acknowledge_owed(&self) -> Result<bool, StoreError> {
        self.acknowledge_next().map_err(|e| self.failed("acknowledge failures", e))
    }

    fn acknowledge_next(&self) -> rusqlite::Result<bool> {
        let success = self
            .conn
            .prepare_cached(
                "SELECT job, run, ended_at, reached FROM acknowledging \
                 WHERE NOT EXISTS (SELECT 1 FROM job WHERE moves_to = acknowledging.job) LIMIT 1",
            )?
            .query_row([], |row| {
                Ok(Success {
                    job: row.cell(0)?,
                    run: row.cell(1)?,
                    ended_at: row.cell(2)?,
                    reached: row.cell(3)?,
                })
            })
            .optional()?;
        let Some(success) = success else {
            return Ok(false);
        };
        match acknowledge(&self.conn, &success)? {
            Some(reached) => self
                .conn
                .prepare_cached("UPDATE acknowledging SET reached = ?2 WHERE run = ?1")?
                .execute([success.run, reached])?,
            None => self
                .conn
                .prepare_cached("DELETE FROM acknowledging WHERE run = ?1")?
                .execute([success.run])?,
        };
        Ok(true)
    }
}

/// Goes through some failures before a success. Up to where, if there may be more.
fn acknowledge(conn: &Connection, success: &Success) -> rusqlite::Result<Option<i64>> {
    let (count, last): (i64, Option<i64>) = conn
        .prepare_cached(
            "SELECT count(*), max(id) FROM (SELECT id FROM run \
             WHERE job = ?1 AND state = 6 AND acked IS NULL AND cause IN (1, 2) AND id > ?2 AND id < ?3 ORDER BY id LIMIT ?4)",
        )?
        .query_row(params![success.job, success.reached, success.run, ACKNOWLEDGED_AT_ONCE], |row| {
            Ok((row.cell(0)?, row.cell(1)?))
        })?;
    let Some(last) = last else {
        return Ok(None);
    };
    // At the first look all of them failed before the success, whatever the clock says of it.
    conn.prepare_cached(
        "UPDATE run SET acked = ?4 WHERE job = ?1 AND state = 6 AND acked IS NULL AND cause IN (1, 2) AND id > ?2 AND id <= ?3 AND (?2 = 0 OR ended_at <= ?4)",
    )?
    .execute([success.job, success.reached, last, success.ended_at])?;
    Ok((count == ACKNOWLEDGED_AT_ONCE).then_some(last))
}
