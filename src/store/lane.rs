//! Queued runs whose lock is taken, where each first argument has a lock of its own (`core::lane`).

use rusqlite::params;

use super::sql::{Ask, FIRST_QUEUED, QUEUED, sql};
use super::{Store, StoreError};

/// The progress of releasing a job's lanes, and how many more runs may be released.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LanesBegun<'a> {
    /// Lanes from here on, in the order of their names.
    pub(crate) from: &'a str,
    /// So many runs at the most, one at least.
    pub(crate) limit: u32,
}

/// The runs that were released from a job's lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LanesLeft {
    /// How many runs.
    pub(crate) freed: u32,
    /// Where it goes on; none: that was all.
    pub(crate) next: Option<String>,
}

impl Store {
    /// Lets a queued run be until its lane is free; it is at the head of its queue and its lane is
    /// taken.
    pub(crate) fn hold(&self, run: i64, lane: &str) -> Result<(), StoreError> {
        self.execute(
            "hold a run",
            sql!("UPDATE run SET held = 1, lane = ?2 WHERE id = ?1 AND state = {QUEUED}"),
            params![run, lane],
        )
    }

    /// Notes the lane of a run that is being claimed, so that its end lets the next one go.
    pub(crate) fn set_lane(&self, run: i64, lane: &str) -> Result<(), StoreError> {
        self.execute(
            "record a lane",
            "UPDATE run SET lane = ?2 WHERE id = ?1 AND lane IS NOT ?2",
            params![run, lane],
        )
    }

    /// Lets the first of a lane go that others had taken.
    pub(crate) fn free_lane(&self, job: i64, lane: &str) -> Result<(), StoreError> {
        self.free_first(job, lane).map(|_| ()).map_err(|e| self.failed("free a lane", e))
    }

    /// Jobs whose lanes were made with a template.
    pub(crate) fn laned_jobs(&self) -> Result<Vec<i64>, StoreError> {
        self.all("read the lanes", "SELECT id FROM job WHERE lane_template IS NOT NULL", [])
    }

    /// Lets the first of each lane of a job go, because nobody knows which are taken; all, if they
    /// were made with another template. At most `limit` runs; the template is noted with the last
    /// of them, so that whoever comes after a crash begins anew.
    pub(crate) fn begin_lanes(
        &self,
        job: i64,
        template: Option<&str>,
        progress: LanesBegun<'_>,
    ) -> Result<LanesLeft, StoreError> {
        let former: Option<String> =
            self.value("read the lanes", "SELECT lane_template FROM job WHERE id = ?1", [job])?;
        if former.as_deref() == template {
            return self
                .free_firsts(job, progress)
                .map_err(|e| self.failed("release the first run of each lane", e));
        }
        let freed = self.change(
            "release all lanes",
            sql! {"UPDATE run SET held = NULL WHERE id IN (SELECT id FROM run WHERE job = ?1 \
            AND state = {QUEUED} AND held = 1 LIMIT ?2)"},
            params![job, progress.limit],
        )?;
        let freed = u32::try_from(freed).unwrap_or(u32::MAX);
        if freed == progress.limit {
            return Ok(LanesLeft { freed, next: Some(String::new()) });
        }
        self.change(
            "record a lock template",
            "UPDATE job SET lane_template = ?2 WHERE id = ?1",
            params![job, template],
        )?;
        Ok(LanesLeft { freed, next: None })
    }

    fn free_firsts(&self, job: i64, progress: LanesBegun<'_>) -> rusqlite::Result<LanesLeft> {
        let mut from = progress.from.to_owned();
        for freed in 0..progress.limit {
            let lane: Option<String> = self.conn.value(
                sql! {"SELECT min(lane) FROM run WHERE job = ?1 AND state = {QUEUED} \
                AND held = 1 AND lane >= ?2"},
                params![job, from],
            )?;
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
        self.conn.run(
            sql! {"UPDATE run SET held = NULL WHERE id = (SELECT id FROM run WHERE job = ?1 \
            AND lane = ?2 AND state = {QUEUED} AND held = 1 {FIRST_QUEUED})"},
            params![job, lane],
        )
    }
}
