//! The verbs of the command line: add, retry, cancel, acknowledge, pause. Each is one transaction.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::batch::take_from_staged;
use super::cells::Cells;
use super::feed;
use super::followers;
use super::former::OF_JOB;
use super::hold::Unstopped;
use super::mark;
use super::rows::{self, RUN_COLUMNS};
use super::types::{
    Added, Addition, Answer, Enqueued, Force, NewItem, OnConflict, RunRow, Scope, stopped_code,
};
use super::{Store, StoreError};
use crate::core::retry::Stopped;
use crate::core::run::{Reason, State};
use crate::core::time::Wall;

/// Stands in `first_started_at` of a run that was given a fresh budget: the next claim begins it.
pub(super) const FRESH_BUDGET: i64 = -1;

impl Store {
    /// Adds items, all or none. One whose key is held by an unfinished run or an unacknowledged failure of the job is not added, unless
    /// the conditions say otherwise; the id of that one is given instead. When this returns, what was added is on disk.
    pub(crate) fn enqueue(
        &mut self,
        addition: &Addition<'_>,
        items: impl IntoIterator<Item = NewItem>,
    ) -> Result<Enqueued, StoreError> {
        self.transaction("add items", |tx| {
            let job = job_id(tx, addition.job)?;
            let before = match addition.backlog_max {
                Some(_) => feed::waiting(tx, job)?,
                None => 0,
            };
            let mut added = Vec::new();
            for item in items {
                match insert_item(tx, job, addition, &item)? {
                    Insertion::Done(one) => added.push(one),
                    Insertion::Refused(refused) => return Ok(Verb::Undo(refused)),
                }
            }
            if let Some(max) = addition.backlog_max
                && feed::waiting(tx, job)? > i64::from(max)
            {
                return Ok(Verb::Undo(Enqueued::BacklogFull { waiting: before }));
            }
            if !addition.conditions.after.is_empty() {
                // What it is to wait for may have ended already. More than that is the supervisor's.
                followers::release(tx, addition.created_at)?;
            }
            Ok(Verb::Keep(Enqueued::Added(added)))
        })
    }

    /// Standard input that a run brings itself.
    pub(crate) fn input(&self, run: i64) -> Result<Option<Vec<u8>>, StoreError> {
        self.conn
            .prepare_cached("SELECT bytes FROM input WHERE run = ?1")
            .and_then(|mut query| query.query_row([run], |row| row.cell(0)).optional())
            .map_err(|e| self.failed("read the input of a run", e))
    }

    /// The run that holds a key of a job: an unfinished one, or a failure that nobody has acknowledged.
    pub(crate) fn key_holder(&self, job_id: i64, key: &str) -> Result<Option<i64>, StoreError> {
        holder_of(&self.conn, job_id, key).map_err(|e| self.failed("read a key", e))
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

    /// Lets a queued run wait until `due_at`. False: it is not queued.
    pub(crate) fn put_off_if_queued(&mut self, id: i64, due_at: Wall) -> Result<bool, StoreError> {
        self.transaction("put off a run", |tx| {
            let changed = tx
                .prepare_cached(
                    "UPDATE run SET state = 1, due_at = ?2 WHERE id = ?1 AND state = 2",
                )?
                .execute(params![id, due_at.ms()])?;
            Ok(Verb::Keep(changed == 1))
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
                    tx.prepare_cached("UPDATE run SET state = ?2, reason = ?3, ended_at = ?4, \"by\" = NULL WHERE id = ?1 AND state < 5")?
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
        self.transaction("pause", |tx| set_pause(tx, scope, Some(now), until).map(Verb::Keep))
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
            self.part(verb).map(|answer| (answer, None))
        };
        let (answer, commits) = answer.map_err(|e| self.failed(action, e))?;
        if let Some(commits) = commits {
            self.mark(commits);
        }
        Ok(answer)
    }

    fn own_transaction<T>(
        &mut self,
        verb: impl FnOnce(&Connection) -> rusqlite::Result<Verb<T>>,
    ) -> rusqlite::Result<(T, Option<i64>)> {
        let _unstopped = Unstopped::begin();
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match verb(&tx)? {
            Verb::Keep(answer) => {
                let commits = mark::count(&tx)?;
                tx.commit().map(|()| (answer, Some(commits)))
            }
            Verb::Undo(answer) => tx.rollback().map(|()| (answer, None)),
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
    tx.prepare_cached(&sql)?.query_row([id], rows::run).optional()
}

fn job_id(tx: &Connection, name: &str) -> rusqlite::Result<i64> {
    let found = tx
        .prepare_cached("SELECT id FROM job WHERE name = ?1")?
        .query_row([name], |row| row.cell(0))
        .optional()?;
    match found {
        Some(id) => Ok(id),
        None => {
            tx.execute("INSERT INTO job(name) VALUES (?1)", [name])?;
            Ok(tx.last_insert_rowid())
        }
    }
}

/// The run in sight that holds a key of a job.
pub(super) fn holder_of(tx: &Connection, job: i64, key: &str) -> rusqlite::Result<Option<i64>> {
    tx.prepare_cached(&format!(
        "SELECT id FROM run WHERE job {OF_JOB} AND key = ?2 AND key IS NOT NULL AND (state < 5 OR (state = 6 AND acked IS NULL)) \
         AND (state > 0 OR feed IN (SELECT id FROM feed WHERE is_done))"
    ))?
    .query_row(params![job, key], |row| row.cell(0))
    .optional()
}

/// Whether a run is running.
pub(super) fn is_running(tx: &Connection, id: i64) -> rusqlite::Result<bool> {
    state_of(tx, id).map(|state| state == Some(State::Running))
}

/// Whether a run waits.
pub(super) fn is_waiting(tx: &Connection, id: i64) -> rusqlite::Result<bool> {
    state_of(tx, id).map(|state| state.is_none_or(|state| !state.is_ended()))
}

/// The state of a run; none of one that is not counted yet.
fn state_of(tx: &Connection, id: i64) -> rusqlite::Result<Option<State>> {
    let code: Option<i64> = tx
        .prepare_cached("SELECT state FROM run WHERE id = ?1")?
        .query_row([id], |row| row.cell(0))
        .optional()?;
    Ok(code.and_then(State::from_code))
}

/// What became of one item.
enum Insertion {
    Done(Added),
    Refused(Enqueued),
}

/// The success that holds a key still, because it ended after `since`. One that ended after now is of a clock that was set back
/// since, and holds nothing: it would for as long as that clock was ahead.
pub(super) fn succeeded_holder(
    tx: &Connection,
    job: i64,
    key: &str,
    [since, now]: [Wall; 2],
) -> rusqlite::Result<Option<i64>> {
    tx.prepare_cached(&format!(
        "SELECT id FROM run WHERE job {OF_JOB} AND key = ?2 AND key IS NOT NULL AND state = 5 AND ended_at > ?3 AND ended_at <= ?4 \
         ORDER BY ended_at DESC LIMIT 1"
    ))?
    .query_row(params![job, key, since.ms(), now.ms()], |row| row.cell(0))
    .optional()
}

/// What a held key makes of an item; none: it is to be added.
fn conflict(
    tx: &Connection,
    job: i64,
    addition: &Addition<'_>,
    key: &str,
) -> rusqlite::Result<Option<Insertion>> {
    let conditions = &addition.conditions;
    let holder = holder_of(tx, job, key)?;
    let succeeded = match (holder, conditions.key_held_since) {
        (None, Some(since)) => succeeded_holder(tx, job, key, [since, addition.created_at])?,
        (Some(_), _) | (None, None) => None,
    };
    let Some(by) = holder.or(succeeded) else {
        return Ok(None);
    };
    let refused = || {
        let key = key.to_owned();
        Some(Insertion::Refused(Enqueued::KeyHeld { key, by }))
    };
    match conditions.on_conflict {
        OnConflict::Ignore => Ok(Some(Insertion::Done(Added { id: by, existing: true }))),
        OnConflict::Error => Ok(refused()),
        OnConflict::Replace => {
            let is_free = holder.is_none() || give_up_key(tx, by, addition.created_at)?;
            Ok(if is_free { None } else { refused() })
        }
    }
}

/// Cancels a run that waits, acknowledges one that failed: then its key is free. False: it runs.
pub(super) fn give_up_key(tx: &Connection, id: i64, now: Wall) -> rusqlite::Result<bool> {
    let cancelled = tx
        .prepare_cached(
            "UPDATE run SET state = 8, reason = ?2, ended_at = ?3 WHERE id = ?1 AND state IN (0, 1, 2, 4)",
        )?
        .execute(params![id, Reason::Replaced.code(), now.ms()])?;
    let acknowledged = tx
        .prepare_cached("UPDATE run SET acked = ?2 WHERE id = ?1 AND state = 6 AND acked IS NULL")?
        .execute(params![id, now.ms()])?;
    Ok(cancelled + acknowledged == 1)
}

fn insert_item(
    tx: &Connection,
    job: i64,
    addition: &Addition<'_>,
    item: &NewItem,
) -> rusqlite::Result<Insertion> {
    let conditions = &addition.conditions;
    let mut replaced = None;
    if let Some(key) = &item.key {
        if conditions.on_conflict == OnConflict::Replace {
            replaced = holder_of(tx, job, key)?;
        }
        if let Some(insertion) = conflict(tx, job, addition, key)? {
            return Ok(insertion);
        }
        take_from_staged(tx, job, key)?;
    }
    let follows = !conditions.after.is_empty();
    let state = if follows || addition.due_at > addition.created_at {
        State::Scheduled
    } else {
        State::Queued
    };
    tx.prepare_cached(
        "INSERT INTO run(job, state, cause, created_at, due_at, priority, max_attempts, args, key, expires_at, \"after\") \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        job,
        state.code(),
        addition.cause.code(),
        addition.created_at.ms(),
        (!follows).then_some(addition.due_at.ms()),
        addition.priority,
        addition.max_attempts,
        rows::encode_args(&item.args),
        item.key,
        conditions.expires_at.map(Wall::ms),
        rows::encode_ids(conditions.after),
    ])?;
    let id = tx.last_insert_rowid();
    if let Some(missing) = followers::follow(tx, id, conditions.after)? {
        return Ok(Insertion::Refused(Enqueued::NoSuchRun(missing)));
    }
    if let Some(bytes) = &item.input {
        tx.execute("INSERT INTO input(run, bytes) VALUES (?1, ?2)", params![id, bytes])?;
    }
    if let Some(replaced) = replaced {
        tx.execute("UPDATE run SET \"by\" = ?2 WHERE id = ?1 AND state = 8", [replaced, id])?;
    }
    Ok(Insertion::Done(Added { id, existing: false }))
}

fn queue_retrying(tx: &Connection, id: i64, now: Wall) -> rusqlite::Result<Verb<Answer>> {
    tx.prepare_cached("UPDATE run SET state = 2, due_at = ?2 WHERE id = ?1 AND state = 4")?
        .execute(params![id, now.ms()])?;
    Ok(Verb::Keep(Answer::Done))
}

/// The run of an occurrence that has not ended: after the clock was set back, an instant may have two.
fn unfinished_occurrence(tx: &Connection, job: i64, at: Wall) -> rusqlite::Result<Option<i64>> {
    tx.prepare_cached(
        "SELECT id FROM run WHERE job = ?1 AND scheduled_at = ?2 AND scheduled_at IS NOT NULL AND state < 5",
    )?
    .query_row(params![job, at.ms()], |row| row.cell(0))
    .optional()
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
    if let Some(key) = &run.key {
        take_from_staged(tx, run.job_id, key)?;
    }
    if let Some(at) = run.scheduled_at
        && let Some(by) = unfinished_occurrence(tx, run.job_id, at)?
    {
        return Ok(Verb::Undo(Answer::SameOccurrence { by }));
    }
    let max_attempts = fresh.map(|fresh| run.charged.saturating_add(fresh));
    tx.prepare_cached(
        "UPDATE run SET state = 2, due_at = ?2, reason = NULL, \"by\" = NULL, ended_at = NULL, acked = NULL, stop = NULL, \
         lost = NULL, put_off = NULL, expires_at = NULL, max_attempts = ?3, first_started_at = ?4 WHERE id = ?1 AND state > 4",
    )?
    .execute(params![run.id, now.ms(), max_attempts, FRESH_BUDGET])?;
    Ok(Verb::Keep(Answer::Done))
}

/// What fell due in a pause that ends now is decided, also if no supervisor was there to skip it.
fn owe_nothing(tx: &Connection, scope: Scope<'_>, now: Wall) -> rusqlite::Result<()> {
    match scope {
        Scope::Job(name) => tx.execute(
            "UPDATE job SET watermark = max(watermark, min(coalesce(paused_until, ?2), ?2)), expect_from = ?2 \
             WHERE name = ?1 AND paused_at IS NOT NULL",
            params![name, now.ms()],
        ),
        Scope::All => tx.execute(
            "UPDATE job SET watermark = max(watermark, \
                 min(coalesce((SELECT value FROM meta WHERE key = 'paused_until'), ?1), ?1)), expect_from = ?1 \
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
