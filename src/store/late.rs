//! Late: jobs without a success and attempts for longer than is expected of them.

use rusqlite::params;

use super::cells::reads;
use super::sql::{IS_OCCURRENCE, IS_RUNNING, QUEUED, RUNNING, RUNS, sql};
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

reads!(LateJob: id last_run well_at);

impl Store {
    /// Notes what is expected of a job: nothing, a success in three occurrences (0), or one in so
    /// many milliseconds.
    pub(crate) fn expect(
        &self,
        job_id: i64,
        expect: Option<i64>,
        now: Wall,
    ) -> Result<(), StoreError> {
        self.execute(
            "record an expectation",
            "UPDATE job SET expect = ?2, expect_from = CASE WHEN expect IS NULL \
             OR expect_from IS NULL THEN ?3 ELSE expect_from END, late_at = NULL, unsuccessful = \
             CASE WHEN expect IS NULL OR ?2 IS NULL THEN 0 ELSE unsuccessful END WHERE id = ?1 \
             AND expect IS NOT ?2",
            params![job_id, expect, now],
        )
    }

    /// Marks the jobs that are late from now on. A job that is paused is not, nor one whose next
    /// occurrence is under way already: after a downtime it may make up for what was missed.
    /// Nothing was expected of any before `floor`.
    pub(crate) fn mark_late_jobs(
        &self,
        now: Wall,
        floor: Wall,
    ) -> Result<Vec<LateJob>, StoreError> {
        let mut late = Vec::new();
        for sql in [
            sql! {"UPDATE job SET late_at = ?1 WHERE unsuccessful > 2 AND late_at IS NULL \
            AND expect = 0 AND present = 1 AND ?2 <= ?1 AND (paused_at IS NULL \
            OR paused_until <= ?1) AND NOT EXISTS (SELECT 1 FROM run \
            WHERE run.id = (SELECT max(newest.id) FROM run AS newest \
            WHERE newest.job = job.id) AND state IN ({QUEUED}, {RUNNING}) \
            AND {IS_OCCURRENCE}) RETURNING id, last_run, well_at"},
            "UPDATE job SET late_at = ?1 WHERE expect > 0 AND late_at IS NULL AND present = 1 \
             AND (paused_at IS NULL OR paused_until <= ?1) AND max(coalesce(well_at, 0), \
             coalesce(expect_from, 0), coalesce(paused_until, 0), ?2) + expect <= ?1 \
             RETURNING id, last_run, well_at",
        ] {
            let found: Vec<LateJob> = self.all("find late jobs", sql, [now, floor])?;
            late.extend(found);
        }
        Ok(late)
    }

    /// When the next job is late that must succeed once in a time of its own.
    pub(crate) fn next_late_at(&self, now: Wall, floor: Wall) -> Result<Option<Wall>, StoreError> {
        self.value(
            "find late jobs",
            "SELECT min(max(coalesce(well_at, 0), coalesce(expect_from, 0), coalesce(paused_until, \
             0), ?2) + expect) FROM job WHERE expect > 0 AND late_at IS NULL AND present = 1 \
             AND (paused_at IS NULL OR paused_until <= ?1)",
            params![now, floor],
        )
    }

    /// Marks a running attempt as late. False: it is already, or does not run under this claim.
    pub(crate) fn mark_late_if_running(
        &self,
        run: i64,
        claim: i64,
        now: Wall,
    ) -> Result<bool, StoreError> {
        self.change_one(
            "mark a run as late",
            sql! {"UPDATE attempt SET late_at = ?3 WHERE run = ?1 AND late_at IS NULL \
            AND attempt = (SELECT attempt FROM run WHERE id = ?1 AND state = {RUNNING} \
            AND claim = ?2)"},
            params![run, claim, now],
        )
    }

    /// Notes an occurrence that was missed, until the next success.
    pub(crate) fn note_missed(&self, job_id: i64, at: Wall) -> Result<(), StoreError> {
        self.execute(
            "record a missed occurrence",
            "UPDATE job SET missed_at = ?2 WHERE id = ?1",
            params![job_id, at],
        )
    }

    /// Jobs with a running attempt that is late.
    pub(crate) fn jobs_with_late_runs(&self) -> Result<Vec<i64>, StoreError> {
        self.all(
            "read late jobs",
            sql! {"SELECT DISTINCT run.job FROM {RUNS} WHERE {IS_RUNNING} \
            AND attempt.late_at IS NOT NULL"},
            [],
        )
    }
}
