//! What `jobctl exec` puts down, and what a supervisor beside it has to know of that.

use rusqlite::params;

use super::cells::Cells;
use super::former;
use super::rows;
use super::types::{NewItem, RunRow};
use super::{Store, StoreError};
use crate::core::run::{Cause, State};
use crate::core::time::Wall;

/// A run that `jobctl exec` has started and nobody has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunningExec {
    /// The run.
    pub(crate) run: i64,
    /// Its job.
    pub(crate) job_id: i64,
    /// Where it is under way.
    pub(crate) slot: u32,
    /// Its claim.
    pub(crate) claim: i64,
}

impl Store {
    /// The row of a job, under its name or a former one: a supervisor may not have read the new name yet. It is made where there is
    /// none.
    pub(crate) fn row_of(&self, name: &str, was: &[&str]) -> Result<i64, StoreError> {
        let found =
            former::row_of(&self.conn, name, was).map_err(|e| self.failed("find a job", e))?;
        if let Some(id) = found {
            return Ok(id);
        }
        self.change("add a job", "INSERT INTO job(name) VALUES (?1)", [name])?;
        Ok(self.conn.last_insert_rowid())
    }

    /// The slots of what runs of a job, under its name or a former one.
    pub(crate) fn slots_of_job(&self, name: &str, was: &[&str]) -> Result<Vec<u32>, StoreError> {
        let read = || -> rusqlite::Result<Vec<u32>> {
            let mut query = self.conn.prepare_cached(
                "SELECT slot FROM run WHERE job = (SELECT id FROM job WHERE name = ?1) AND state < 5 AND state = 3 AND slot IS NOT NULL",
            )?;
            let mut slots = Vec::new();
            for name in std::iter::once(&name).chain(was) {
                for slot in query.query_map([name], |row| row.cell(0))? {
                    slots.push(slot?);
                }
            }
            Ok(slots)
        };
        read().map_err(|e| self.failed("read what runs", e))
    }

    /// Puts down a run that the claim in the same transaction turns to running, so that nobody sees it queued. It has one attempt.
    pub(crate) fn insert_exec(
        &self,
        job_id: i64,
        item: &NewItem,
        priority: i8,
        now: Wall,
    ) -> Result<RunRow, StoreError> {
        self.change(
            "put down a run",
            "INSERT INTO run(job, state, cause, created_at, due_at, priority, max_attempts, args) \
             VALUES (?1, ?2, ?3, ?4, ?4, ?5, 1, ?6)",
            params![
                job_id,
                State::Queued.code(),
                Cause::Exec.code(),
                now.ms(),
                priority,
                rows::encode_args(&item.args),
            ],
        )?;
        let id = self.conn.last_insert_rowid();
        if let Some(input) = &item.input {
            self.change(
                "put down the input of a run",
                "INSERT INTO input(run, bytes) VALUES (?1, ?2)",
                params![id, input],
            )?;
        }
        self.run(id)?.ok_or(StoreError::Missing(self.path.clone()))
    }

    /// The slots of all runs that are running, and of all notices that are being told.
    pub(crate) fn running_slots(&self) -> Result<Vec<u32>, StoreError> {
        self.conn
            .prepare_cached("SELECT slot FROM run WHERE state < 5 AND state = 3 AND slot IS NOT NULL UNION SELECT slot FROM notice WHERE slot IS NOT NULL")
            .and_then(|mut query| query.query_map([], |row| row.cell(0))?.collect())
            .map_err(|e| self.failed("read the slots", e))
    }

    /// Runs that `jobctl exec` has started and nobody has finished.
    pub(crate) fn running_execs(&self) -> Result<Vec<RunningExec>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT id, job, slot, claim FROM run WHERE state < 5 AND state = 3 AND cause = 6 AND attempt = 1 AND slot IS NOT NULL",
            )
            .and_then(|mut query| {
                query
                    .query_map([], |row| {
                        Ok(RunningExec {
                            run: row.cell(0)?,
                            job_id: row.cell(1)?,
                            slot: row.cell(2)?,
                            claim: row.cell(3)?,
                        })
                    })?
                    .collect()
            })
            .map_err(|e| self.failed("read what exec runs", e))
    }
}
