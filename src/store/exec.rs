//! What `jobctl exec` puts down, and what a supervisor beside it has to know of that.

use rusqlite::params;

use super::rows;
use super::types::{NewItem, RunRow};
use super::{Store, StoreError};
use crate::core::run::{Cause, State};
use crate::core::time::Wall;

impl Store {
    /// Puts down a run that the claim in the same transaction turns to running, so that nobody sees it queued. It has one attempt.
    pub(crate) fn insert_exec(
        &self,
        job: &str,
        item: &NewItem,
        priority: i8,
        now: Wall,
    ) -> Result<RunRow, StoreError> {
        self.change(
            "put down a run",
            "INSERT INTO run(job, state, cause, created_at, due_at, priority, max_attempts, args) \
             SELECT id, ?2, ?3, ?4, ?4, ?5, 1, ?6 FROM job WHERE name = ?1",
            params![
                job,
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
            .prepare_cached("SELECT slot FROM run WHERE state = 3 AND slot IS NOT NULL UNION SELECT slot FROM notice WHERE slot IS NOT NULL")
            .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
            .map_err(|e| self.failed("read the slots", e))
    }

    /// Runs that `jobctl exec` has started and nobody has finished: run, slot, claim.
    pub(crate) fn running_execs(&self) -> Result<Vec<(i64, u32, i64)>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT id, slot, claim FROM run WHERE state = 3 AND cause = 6 AND attempt = 1 AND slot IS NOT NULL",
            )
            .and_then(|mut query| {
                query
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                    .collect()
            })
            .map_err(|e| self.failed("read what exec runs", e))
    }
}
