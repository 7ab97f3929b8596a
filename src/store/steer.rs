//! The verbs of the command line: add, retry, cancel, acknowledge, pause. Each is one transaction.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::rows::{self, RUN_COLUMNS};
use super::types::{
    Added, Addition, Answer, Enqueued, Force, NewItem, RunRow, Scope, stopped_code,
};
use super::{Store, StoreError};
use crate::core::retry::Stopped;
use crate::core::run::{Reason, State};
use crate::core::time::Wall;

/// Stands in `first_started_at` of a run that was given a fresh budget: the next claim begins it.
pub(super) const FRESH_BUDGET: i64 = -1;

impl Store {
    /// Adds items, all or none. One whose key is held by an unfinished run or an unacknowledged failure of the job is not added;
    /// the id of that one is given instead. When this returns, what was added is on disk.
    pub(crate) fn enqueue(
        &mut self,
        addition: &Addition<'_>,
        items: impl IntoIterator<Item = NewItem>,
    ) -> Result<Enqueued, StoreError> {
        self.transaction("add items", |tx| {
            let job = job_id(tx, addition.job)?;
            let mut added = Vec::new();
            for item in items {
                added.push(insert_item(tx, job, addition, &item)?);
            }
            let waiting = waiting(tx, job)?;
            if addition
                .backlog_max
                .is_some_and(|max| waiting > i64::from(max))
            {
                let new = added.iter().filter(|added| !added.existing).count();
                let waiting = waiting - i64::try_from(new).unwrap_or(i64::MAX);
                return Ok(Verb::Undo(Enqueued::BacklogFull { waiting }));
            }
            Ok(Verb::Keep(Enqueued::Added(added)))
        })
    }

    /// Queues an ended run again, or starts a retrying one now. `fresh` is the number of attempts of a new budget; none is no limit.
    pub(crate) fn retry_if_ended(
        &mut self,
        id: i64,
        fresh: Option<u32>,
        now: Wall,
        force: Force,
    ) -> Result<Answer, StoreError> {
        self.transaction("retry a run", |tx| {
            let Some(run) = find(tx, id)? else {
                return Ok(Verb::Undo(Answer::NoSuchRun));
            };
            match run.state {
                State::Scheduled | State::Queued | State::Running => {
                    Ok(Verb::Undo(Answer::Refused(Box::new(run))))
                }
                State::Succeeded if force == Force::No => {
                    Ok(Verb::Undo(Answer::Refused(Box::new(run))))
                }
                State::Retrying => queue_retrying(tx, id, now),
                State::Succeeded | State::Failed | State::Skipped | State::Cancelled => {
                    queue_ended(tx, &run, fresh, now)
                }
            }
        })
    }

    /// Cancels a run that waits, asks a running one to stop.
    pub(crate) fn cancel_if_unfinished(
        &mut self,
        id: i64,
        now: Wall,
    ) -> Result<Answer, StoreError> {
        self.transaction("cancel a run", |tx| {
            let Some(run) = find(tx, id)? else { return Ok(Verb::Undo(Answer::NoSuchRun)) };
            match run.state {
                State::Scheduled | State::Queued | State::Retrying => {
                    tx.prepare_cached("UPDATE run SET state = ?2, reason = ?3, ended_at = ?4 WHERE id = ?1 AND state < 5")?
                        .execute(params![id, State::Cancelled.code(), Reason::ByHand.code(), now.ms()])?;
                    Ok(Verb::Keep(Answer::Done))
                }
                State::Running => {
                    tx.prepare_cached("UPDATE run SET stop = ?2 WHERE id = ?1 AND state = 3")?
                        .execute(params![id, stopped_code(Stopped::ByHand)])?;
                    Ok(Verb::Keep(Answer::Asked))
                }
                State::Succeeded | State::Failed | State::Skipped | State::Cancelled => {
                    Ok(Verb::Undo(Answer::Refused(Box::new(run))))
                }
            }
        })
    }

    /// Acknowledges a failure.
    pub(crate) fn ack_if_failed(&mut self, id: i64, now: Wall) -> Result<Answer, StoreError> {
        self.transaction("acknowledge a run", |tx| {
            let Some(run) = find(tx, id)? else {
                return Ok(Verb::Undo(Answer::NoSuchRun));
            };
            if run.state != State::Failed || run.acked.is_some() {
                return Ok(Verb::Undo(Answer::Refused(Box::new(run))));
            }
            tx.prepare_cached(
                "UPDATE run SET acked = ?2 WHERE id = ?1 AND state = 6 AND acked IS NULL",
            )?
            .execute(params![id, now.ms()])?;
            Ok(Verb::Keep(Answer::Done))
        })
    }

    /// Pauses a job or everything, until a time or until `resume`. False: the store does not know the job.
    pub(crate) fn pause(
        &mut self,
        scope: Scope<'_>,
        until: Option<Wall>,
        now: Wall,
    ) -> Result<bool, StoreError> {
        self.transaction("pause", |tx| {
            set_pause(tx, scope, Some(now), until).map(Verb::Keep)
        })
    }

    /// Ends a pause; what fell due in it is owed to nobody. False: the store does not know the job.
    pub(crate) fn resume(&mut self, scope: Scope<'_>, now: Wall) -> Result<bool, StoreError> {
        self.transaction("resume", |tx| {
            owe_nothing(tx, scope, now)?;
            set_pause(tx, scope, None, None).map(Verb::Keep)
        })
    }

    /// Makes sure that the store has a row for a job, so that it can be paused or given items before the supervisor saw it.
    pub(crate) fn know_job(&mut self, name: &str) -> Result<(), StoreError> {
        self.transaction("add a job", |tx| job_id(tx, name).map(|_| Verb::Keep(())))
    }

    fn transaction<T>(
        &mut self,
        action: &'static str,
        verb: impl FnOnce(&Connection) -> rusqlite::Result<Verb<T>>,
    ) -> Result<T, StoreError> {
        let is_alone = self.conn.is_autocommit();
        let answer = if is_alone {
            self.own_transaction(verb)
        } else {
            self.part(verb)
        };
        answer.map_err(|e| self.failed(action, e))
    }

    fn own_transaction<T>(
        &mut self,
        verb: impl FnOnce(&Connection) -> rusqlite::Result<Verb<T>>,
    ) -> rusqlite::Result<T> {
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        match verb(&tx)? {
            Verb::Keep(answer) => tx.commit().map(|()| answer),
            Verb::Undo(answer) => tx.rollback().map(|()| answer),
        }
    }

    fn part<T>(
        &mut self,
        verb: impl FnOnce(&Connection) -> rusqlite::Result<Verb<T>>,
    ) -> rusqlite::Result<T> {
        let savepoint = self.conn.savepoint()?;
        match verb(&savepoint)? {
            Verb::Keep(answer) => savepoint.commit().map(|()| answer),
            Verb::Undo(answer) => savepoint.finish().map(|()| answer),
        }
    }

    /// Does several verbs in one transaction: all are on disk when this returns, or, if it errs, none.
    pub(crate) fn together<T, E: From<StoreError>>(
        &mut self,
        verbs: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin()?;
        match verbs(self) {
            Ok(answer) => {
                self.commit()?;
                Ok(answer)
            }
            Err(error) => {
                self.rollback();
                Err(error)
            }
        }
    }
}

/// What a verb leaves behind.
enum Verb<T> {
    Keep(T),
    Undo(T),
}

fn find(tx: &Connection, id: i64) -> rusqlite::Result<Option<RunRow>> {
    let sql =
        format!("SELECT {RUN_COLUMNS} FROM run JOIN job ON job.id = run.job WHERE run.id = ?1");
    tx.prepare_cached(&sql)?
        .query_row([id], rows::run)
        .optional()
}

fn job_id(tx: &Connection, name: &str) -> rusqlite::Result<i64> {
    let found = tx
        .prepare_cached("SELECT id FROM job WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    match found {
        Some(id) => Ok(id),
        None => {
            tx.execute("INSERT INTO job(name) VALUES (?1)", [name])?;
            Ok(tx.last_insert_rowid())
        }
    }
}

fn waiting(tx: &Connection, job: i64) -> rusqlite::Result<i64> {
    tx.prepare_cached("SELECT scheduled + queued + retrying FROM job WHERE id = ?1")?
        .query_row([job], |row| row.get(0))
}

fn holder_of(tx: &Connection, job: i64, key: &str) -> rusqlite::Result<Option<i64>> {
    tx.prepare_cached(
        "SELECT id FROM run WHERE job = ?1 AND key = ?2 AND key IS NOT NULL \
         AND (state < 5 OR (state = 6 AND acked IS NULL))",
    )?
    .query_row(params![job, key], |row| row.get(0))
    .optional()
}

fn insert_item(
    tx: &Connection,
    job: i64,
    addition: &Addition<'_>,
    item: &NewItem,
) -> rusqlite::Result<Added> {
    if let Some(key) = &item.key
        && let Some(id) = holder_of(tx, job, key)?
    {
        return Ok(Added { id, existing: true });
    }
    let state = if addition.due_at > addition.created_at {
        State::Scheduled
    } else {
        State::Queued
    };
    tx.prepare_cached(
        "INSERT INTO run(job, state, cause, created_at, due_at, priority, max_attempts, args, key) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        job,
        state.code(),
        addition.cause.code(),
        addition.created_at.ms(),
        addition.due_at.ms(),
        addition.priority,
        addition.max_attempts,
        rows::encode_args(&item.args),
        item.key,
    ])?;
    Ok(Added {
        id: tx.last_insert_rowid(),
        existing: false,
    })
}

fn queue_retrying(tx: &Connection, id: i64, now: Wall) -> rusqlite::Result<Verb<Answer>> {
    tx.prepare_cached("UPDATE run SET state = 2, due_at = ?2 WHERE id = ?1 AND state = 4")?
        .execute(params![id, now.ms()])?;
    Ok(Verb::Keep(Answer::Done))
}

fn queue_ended(
    tx: &Connection,
    run: &RunRow,
    fresh: Option<u32>,
    now: Wall,
) -> rusqlite::Result<Verb<Answer>> {
    if let Some(key) = &run.key
        && let Some(by) = holder_of(tx, run.job_id, key)?
        && by != run.id
    {
        return Ok(Verb::Undo(Answer::KeyHeld { by }));
    }
    let max_attempts = fresh.map(|fresh| run.charged.saturating_add(fresh));
    tx.prepare_cached(
        "UPDATE run SET state = 2, due_at = ?2, reason = NULL, \"by\" = NULL, ended_at = NULL, acked = NULL, stop = NULL, \
         lost = NULL, max_attempts = ?3, first_started_at = ?4 WHERE id = ?1 AND state > 4",
    )?
    .execute(params![run.id, now.ms(), max_attempts, FRESH_BUDGET])?;
    Ok(Verb::Keep(Answer::Done))
}

/// What fell due in a pause that ends now is decided, also if no supervisor was there to skip it.
fn owe_nothing(tx: &Connection, scope: Scope<'_>, now: Wall) -> rusqlite::Result<()> {
    match scope {
        Scope::Job(name) => tx.execute(
            "UPDATE job SET watermark = max(watermark, min(coalesce(paused_until, ?2), ?2)) \
             WHERE name = ?1 AND paused_at IS NOT NULL",
            params![name, now.ms()],
        ),
        Scope::All => tx.execute(
            "UPDATE job SET watermark = max(watermark, \
                 min(coalesce((SELECT value FROM meta WHERE key = 'paused_until'), ?1), ?1)) \
             WHERE (SELECT value FROM meta WHERE key = 'paused_at') IS NOT NULL",
            [now.ms()],
        ),
    }
    .map(|_| ())
}

fn set_pause(
    tx: &Connection,
    scope: Scope<'_>,
    at: Option<Wall>,
    until: Option<Wall>,
) -> rusqlite::Result<bool> {
    let (at, until) = (at.map(Wall::ms), until.map(Wall::ms));
    match scope {
        Scope::Job(name) => {
            let changed = tx.execute(
                "UPDATE job SET paused_at = ?2, paused_until = ?3 WHERE name = ?1",
                params![name, at, until],
            )?;
            Ok(changed == 1)
        }
        Scope::All => {
            let mut set = tx.prepare("INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)")?;
            set.execute(params!["paused_at", at])?;
            set.execute(params!["paused_until", until])?;
            Ok(true)
        }
    }
}
