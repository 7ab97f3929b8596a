//! Late: jobs without a success and attempts for longer than is expected of them.

use rusqlite::{Row, params};

use super::cells::Cells;
use super::rows;
use super::{Store, StoreError};
use crate::core::time::Wall;

/// A job that has become late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LateJob {
    /// The job.
    pub(crate) id: i64,
    /// The run that last started or ended.
    pub(crate) last_run: Option<i64>,
    /// The last sign that all was well.
    pub(crate) well_at: Option<Wall>,
}

impl Store {
    /// Notes what is expected of a job: nothing, a success in three occurrences (0), or one in so many milliseconds.
    pub(crate) fn expect(
        &self,
        job_id: i64,
        expect: Option<i64>,
        now: Wall,
    ) -> Result<(), StoreError> {
        self.change(
            "note what is expected",
            "UPDATE job SET expect = ?2, expect_from = CASE WHEN expect IS NULL OR expect_from IS NULL THEN ?3 ELSE expect_from END, \
             late_at = NULL, unsuccessful = CASE WHEN expect IS NULL OR ?2 IS NULL THEN 0 ELSE unsuccessful END WHERE id = ?1 AND expect IS NOT ?2",
            params![job_id, expect, now.ms()],
        )
        .map(|_| ())
    }

    /// Marks the jobs that are late from now on. A job that is paused is not, nor one whose next occurrence is under way already:
    /// after a downtime it may make up for what was missed. Nothing was
    /// expected of any before `floor`.
    pub(crate) fn mark_late_jobs(
        &self,
        now: Wall,
        floor: Wall,
    ) -> Result<Vec<LateJob>, StoreError> {
        let mut late = Vec::new();
        for sql in [
            "UPDATE job SET late_at = ?1 WHERE unsuccessful > 2 AND late_at IS NULL AND expect = 0 AND present = 1 AND ?2 <= ?1 \
             AND (paused_at IS NULL OR paused_until <= ?1) \
             AND NOT EXISTS (SELECT 1 FROM run WHERE run.id = (SELECT max(newest.id) FROM run AS newest WHERE newest.job = job.id) \
             AND state IN (2, 3) AND cause < 3) \
             RETURNING id, last_run, well_at",
            "UPDATE job SET late_at = ?1 WHERE expect > 0 AND late_at IS NULL AND present = 1 \
             AND (paused_at IS NULL OR paused_until <= ?1) \
             AND max(coalesce(well_at, 0), coalesce(expect_from, 0), coalesce(paused_until, 0), ?2) + expect <= ?1 \
             RETURNING id, last_run, well_at",
        ] {
            let found: rusqlite::Result<Vec<LateJob>> =
                self.conn.prepare_cached(sql).and_then(|mut update| {
                    let read = |row: &Row<'_>| {
                        Ok(LateJob {
                            id: row.cell(0)?,
                            last_run: row.cell(1)?,
                            well_at: rows::wall(row, 2)?,
                        })
                    };
                    update.query_map(params![now.ms(), floor.ms()], read)?.collect()
                });
            late.extend(found.map_err(|e| self.failed("look for late jobs", e))?);
        }
        Ok(late)
    }

    /// When the next job is late that must succeed once in a time of its own.
    pub(crate) fn next_late_at(&self, now: Wall, floor: Wall) -> Result<Option<Wall>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT min(max(coalesce(well_at, 0), coalesce(expect_from, 0), coalesce(paused_until, 0), ?2) + expect) FROM job \
                 WHERE expect > 0 AND late_at IS NULL AND present = 1 AND (paused_at IS NULL OR paused_until <= ?1)",
            )
            .and_then(|mut query| query.query_row(params![now.ms(), floor.ms()], |row| rows::wall(row, 0)))
            .map_err(|e| self.failed("look for late jobs", e))
    }

    /// Marks a running attempt as late. False: it is already, or does not run under this claim.
    pub(crate) fn mark_late_if_running(
        &self,
        run: i64,
        claim: i64,
        now: Wall,
    ) -> Result<bool, StoreError> {
        self.change(
            "mark a run as late",
            "UPDATE run SET late_at = ?3 WHERE id = ?1 AND state = 3 AND claim = ?2 AND late_at IS NULL",
            params![run, claim, now.ms()],
        )
        .map(|changed| changed == 1)
    }

    /// Jobs with a running attempt that is late.
    pub(crate) fn jobs_with_late_runs(&self) -> Result<Vec<i64>, StoreError> {
        self.conn
            .prepare_cached("SELECT DISTINCT job FROM run WHERE state = 3 AND late_at IS NOT NULL")
            .and_then(|mut query| query.query_map([], |row| row.cell(0))?.collect())
            .map_err(|e| self.failed("read who is late", e))
    }
}
