//! Queued runs whose lock is taken, where each first argument has a lock of its own (`core::lane`).

use rusqlite::{OptionalExtension, params};

use super::cells::Cells;
use super::{Store, StoreError};

impl Store {
    /// Lets a queued run be until its lane is free; it is at the head of its queue and its lane is taken.
    pub(crate) fn hold(&self, run: i64, lane: &str) -> Result<(), StoreError> {
        self.change(
            "hold a run",
            "UPDATE run SET held = 1, lane = ?2 WHERE id = ?1 AND state = 2",
            params![run, lane],
        )
        .map(|_| ())
    }

    /// Notes the lane of a run that is being claimed, so that its end lets the next one go.
    pub(crate) fn set_lane(&self, run: i64, lane: &str) -> Result<(), StoreError> {
        self.change(
            "note a lane",
            "UPDATE run SET lane = ?2 WHERE id = ?1 AND lane IS NOT ?2",
            params![run, lane],
        )
        .map(|_| ())
    }

    /// Lets the first of a lane go that others had taken.
    pub(crate) fn free_lane(&self, job: i64, lane: &str) -> Result<(), StoreError> {
        self.change(
            "free a lane",
            "UPDATE run SET held = NULL WHERE id = (SELECT id FROM run WHERE job = ?1 AND lane = ?2 AND state = 2 AND held = 1 \
             ORDER BY priority DESC, due_at, id LIMIT 1)",
            params![job, lane],
        )
        .map(|_| ())
    }

    /// Jobs whose lanes were made with a template.
    pub(crate) fn laned_jobs(&self) -> Result<Vec<i64>, StoreError> {
        self.conn
            .prepare_cached("SELECT id FROM job WHERE lane_template IS NOT NULL")
            .and_then(|mut query| query.query_map([], |row| row.cell(0))?.collect())
            .map_err(|e| self.failed("read the lanes", e))
    }

    /// Lets the first of each lane of a job go, because nobody knows which are taken; all, if they were made with another template.
    pub(crate) fn begin_lanes(&self, job: i64, template: Option<&str>) -> Result<(), StoreError> {
        let former: Option<String> = self
            .conn
            .prepare_cached("SELECT lane_template FROM job WHERE id = ?1")
            .and_then(|mut query| query.query_row([job], |row| row.cell(0)).optional())
            .map(Option::flatten)
            .map_err(|e| self.failed("read the lanes", e))?;
        if former.as_deref() == template {
            return self
                .change(
                    "let the first of each lane go",
                    "WITH RECURSIVE lanes(lane) AS ( \
                         SELECT min(lane) FROM run WHERE job = ?1 AND state = 2 AND held = 1 \
                         UNION ALL SELECT (SELECT min(lane) FROM run WHERE job = ?1 AND state = 2 AND held = 1 \
                             AND run.lane > lanes.lane) FROM lanes WHERE lanes.lane IS NOT NULL) \
                     UPDATE run SET held = NULL WHERE id IN (SELECT (SELECT id FROM run WHERE job = ?1 AND state = 2 \
                         AND held = 1 AND run.lane = lanes.lane ORDER BY priority DESC, due_at, id LIMIT 1) \
                         FROM lanes WHERE lane IS NOT NULL)",
                    [job],
                )
                .map(|_| ());
        }
        self.change(
            "let all lanes go",
            "UPDATE run SET held = NULL WHERE job = ?1 AND state = 2 AND held = 1",
            [job],
        )?;
        self.change(
            "note a template",
            "UPDATE job SET lane_template = ?2 WHERE id = ?1",
            params![job, template],
        )
        .map(|_| ())
    }
}
