//! What `jobctl exec` puts down, and what a supervisor beside it has to know of that.

use super::cells::reads;
use super::keys::{Standing, put_down};
use super::rename;
use super::sql::{EXEC, IS_RUNNING, QUEUED, RUNS, sql};
use super::types::{Addition, Conditions, NewItem, RunRow};
use super::{Store, StoreError};
use crate::core::run::Cause;
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

reads!(RunningExec: run job_id slot claim);

impl Store {
    /// The row of a job, under its name or a former one: a supervisor may not have read the new
    /// name yet. It is made where there is none.
    pub(crate) fn row_of(&self, name: &str, was: &[&str]) -> Result<i64, StoreError> {
        let found =
            rename::row_of(&self.conn, name, was).map_err(|e| self.failed("find a job", e))?;
        if let Some(id) = found {
            return Ok(id);
        }
        self.change("add a job", "INSERT INTO job(name) VALUES (?1)", [name])?;
        Ok(self.conn.last_insert_rowid())
    }

    /// The slots of what runs of a job, under its name or a former one.
    pub(crate) fn slots_of_job(&self, name: &str, was: &[&str]) -> Result<Vec<u32>, StoreError> {
        let mut slots = Vec::new();
        for name in std::iter::once(&name).chain(was) {
            let of_name: Vec<u32> = self.all(
                "read running runs",
                sql! {"SELECT slot FROM {RUNS} WHERE job.name = ?1 AND {IS_RUNNING} \
                AND slot IS NOT NULL"},
                [name],
            )?;
            slots.extend(of_name);
        }
        Ok(slots)
    }

    /// Puts down a run that the claim in the same transaction turns to running, so that nobody sees
    /// it queued. It has one attempt.
    pub(crate) fn insert_exec(
        &self,
        job_id: i64,
        item: &NewItem,
        priority: i8,
        now: Wall,
    ) -> Result<RunRow, StoreError> {
        let addition = Addition {
            job: "",
            due_at: now,
            priority,
            max_attempts: Some(1),
            backlog_max: None,
            cause: Cause::Exec,
            created_at: now,
            conditions: Conditions::default(),
        };
        let standing = Standing { job: job_id, state: QUEUED, key: None, feed: None };
        let id = put_down(&self.conn, &standing, &addition, item)
            .map_err(|e| self.failed("record a run", e))?;
        self.run(id)?.ok_or(StoreError::Missing(self.path.clone()))
    }

    /// The slots of all runs that are running, and of all notices that are being told.
    pub(crate) fn running_slots(&self) -> Result<Vec<u32>, StoreError> {
        self.all(
            "read the slots",
            sql! {"SELECT slot FROM {RUNS} WHERE {IS_RUNNING} AND slot IS NOT NULL \
            UNION SELECT slot FROM notice WHERE slot IS NOT NULL"},
            [],
        )
    }

    /// Runs that `jobctl exec` has started and nobody has finished.
    pub(crate) fn running_execs(&self) -> Result<Vec<RunningExec>, StoreError> {
        self.all(
            "read runs of exec",
            sql! {"SELECT run.id, run.job, slot, claim FROM {RUNS} WHERE {IS_RUNNING} \
            AND cause = {EXEC} AND run.attempt = 1 AND slot IS NOT NULL"},
            [],
        )
    }
}
