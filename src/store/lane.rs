//! Queued runs whose lock is taken, where each first argument has a lock of its own (`core::lane`).

use rusqlite::{OptionalExtension, params};

use super::cells::Cells;
use super::{Store, StoreError};

/// How far the lanes of a job are let go, and how many runs more may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LanesBegun<'a> {
    /// Lanes from here on, in the order of their names.
    pub(crate) from: &'a str,
    /// So many runs at the most, one at least.
    pub(crate) limit: u32,
}

/// What was let go of a job's lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LanesLeft {
    /// How many runs.
    pub(crate) freed: u32,
    /// Where it goes on; none: that was all.
    pub(crate) next: Option<String>,
}

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
        self.free_first(job, lane).map(|_| ()).map_err(|e| self.failed("free a lane", e))
    }

    /// Jobs whose lanes were made with a template.
    pub(crate) fn laned_jobs(&self) -> Result<Vec<i64>, StoreError> {
        self.conn
            .prepare_cached("SELECT id FROM job WHERE lane_template IS NOT NULL")
            .and_then(|mut query| query.query_map([], |row| row.cell(0))?.collect())
            .map_err(|e| self.failed("read the lanes", e))
    }

    /// Lets the first of each lane of a job go, because nobody knows which are taken; all, if they were made with another template.
    /// At most `limit` runs; the template is noted with the last of them, so that whoever comes after a crash begins anew.
    pub(crate) fn begin_lanes(
        &self,
        job: i64,
        template: Option<&str>,
        progress: LanesBegun<'_>,
    ) -> Result<LanesLeft, StoreError> {
        let former: Option<String> = self
            .conn
            .prepare_cached("SELECT lane_template FROM job WHERE id = ?1")
            .and_then(|mut query| query.query_row([job], |row| row.cell(0)).optional())
            .map(Option::flatten)
            .map_err(|e| self.failed("read the lanes", e))?;
        if former.as_deref() == template {
            return self
                .free_firsts(job, progress)
                .map_err(|e| self.failed("let the first of each lane go", e));
        }
        let freed = self.change(
            "let all lanes go",
            "UPDATE run SET held = NULL WHERE id IN (SELECT id FROM run WHERE job = ?1 AND state = 2 AND held = 1 LIMIT ?2)",
            params![job, progress.limit],
        )?;
        let freed = u32::try_from(freed).unwrap_or(u32::MAX);
        if freed == progress.limit {
            return Ok(LanesLeft { freed, next: Some(String::new()) });
        }
        self.change(
            "note a template",
            "UPDATE job SET lane_template = ?2 WHERE id = ?1",
            params![job, template],
        )?;
        Ok(LanesLeft { freed, next: None })
    }

    fn free_firsts(&self, job: i64, progress: LanesBegun<'_>) -> rusqlite::Result<LanesLeft> {
        let mut next_lane = self.conn.prepare_cached(
            "SELECT min(lane) FROM run WHERE job = ?1 AND state = 2 AND held = 1 AND lane >= ?2",
        )?;
        let mut from = progress.from.to_owned();
        for freed in 0..progress.limit {
            let lane: Option<String> =
                next_lane.query_row(params![job, from], |row| row.cell(0))?;
            let Some(lane) = lane else {
                return Ok(LanesLeft { freed, next: None });
            };
            self.free_first(job, &lane)?;
            // What comes behind a text begins with it and has one character more.
            from = lane + "\0";
        }
        Ok(LanesLeft { freed: progress.limit, next: Some(from) })
    }

    fn free_first(&self, job: i64, lane: &str) -> rusqlite::Result<usize> {
        self.conn
            .prepare_cached(
                "UPDATE run SET held = NULL WHERE id = (SELECT id FROM run WHERE job = ?1 AND lane = ?2 AND state = 2 AND held = 1 \
                 ORDER BY priority DESC, due_at, id LIMIT 1)",
            )?
            .execute(params![job, lane])
    }
}
