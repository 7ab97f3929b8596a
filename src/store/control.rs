//! The verbs of the command line: add, retry, cancel, acknowledge, pause. Each is one transaction.

use rusqlite::{Connection, params};

use super::feed;
use super::followers;
use super::keys::{Held, Standing, give_up_key, held, holder_of, put_down, take_from_staged};
use super::sql::{Ask, CANCELLED, QUEUED, RETRYING, RUN, RUNNING, RUNS, SCHEDULED, SUCCEEDED, sql};
use super::transaction::Verb;
use super::types::{Added, Addition, Answer, Enqueued, Force, NewItem, OnConflict, RunRow, Scope};
use super::who;
use super::{Store, StoreError};
use crate::core::retry::{Budget, Stopped};
use crate::core::run::{Reason, State};
use crate::core::time::Wall;

impl Store {
    /// Adds items, all or none. One whose key is held by an unfinished run or an unacknowledged
    /// failure of the job is not added, unless the conditions say otherwise; the id of that one is
    /// given instead. When this returns, what was added is on disk.
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
                // What it is to wait for may have ended already. More than that is the
                // supervisor's.
                followers::release(tx, addition.created_at)?;
            }
            Ok(Verb::Keep(Enqueued::Added(added)))
        })
    }

    /// Standard input that a run brings itself.
    pub(crate) fn input(&self, run: i64) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("read the input of a run", "SELECT bytes FROM input WHERE run = ?1", [run])
    }

    /// The run that holds a key of a job: an unfinished one, or a failure that nobody has
    /// acknowledged.
    pub(crate) fn key_holder(&self, job_id: i64, key: &str) -> Result<Option<i64>, StoreError> {
        holder_of(&self.conn, job_id, key).map_err(|e| self.failed("read a key", e))
    }

    /// Queues an ended run again, or starts a retrying one now. `fresh` is the number of attempts
    /// of a new budget; none is no limit.
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
                State::Scheduled | State::Queued | State::Running => refused(run),
                State::Succeeded if force == Force::No => refused(run),
                State::Retrying => queue_retrying(tx, id, now),
                // It would report all its occurrences as what becomes of one.
                State::Skipped if run.count > 1 => refused(run),
                State::Succeeded | State::Failed | State::Skipped | State::Cancelled => {
                    queue_ended(tx, &run, fresh, now)
                }
            }
        })
    }

    /// Lets a queued run wait until `due_at`. False: it is not queued.
    pub(crate) fn put_off_if_queued(&mut self, id: i64, due_at: Wall) -> Result<bool, StoreError> {
        self.transaction("put off a run", |tx| {
            let changed = tx.run(
                sql! {"UPDATE run SET state = {SCHEDULED}, due_at = ?2 WHERE id = ?1 \
                AND state = {QUEUED}"},
                params![id, due_at],
            )?;
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
                    tx.run(
                        sql! {"UPDATE run SET state = ?2, reason = ?3, ended_at = ?4, \"by\" = \
                        NULL WHERE id = ?1 AND state < {SUCCEEDED}"},
                        params![id, State::Cancelled, Reason::ByHand, now],
                    )?;
                    Ok(Verb::Keep(Answer::Done))
                }
                State::Running => {
                    tx.run(
                        sql!("UPDATE run SET stop = ?2 WHERE id = ?1 AND state = {RUNNING}"),
                        params![id, Stopped::ByHand],
                    )?;
                    Ok(Verb::Keep(Answer::Asked))
                }
                State::Succeeded | State::Failed | State::Skipped | State::Cancelled => {
                    refused(run)
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
            if run.acked.is_some() || !(run.state == State::Failed || run.is_missed()) {
                return refused(run);
            }
            // Where the run is not the one that the job shows as missed, this changes nothing.
            tx.run(
                "UPDATE job SET missed_at = NULL WHERE id = (SELECT job FROM run WHERE id = ?1) \
                 AND missed_at = (SELECT coalesce(last_scheduled_at, scheduled_at) FROM run \
                 WHERE id = ?1)",
                [id],
            )?;
            tx.run("UPDATE run SET acked = ?2 WHERE id = ?1 AND acked IS NULL", params![id, now])?;
            Ok(Verb::Keep(Answer::Done))
        })
    }

    /// Pauses a job or everything, until a time or until `resume`. False: the store does not know
    /// the job.
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

    /// Makes sure that the store has a row for a job, so that it can be paused or given items
    /// before the supervisor saw it.
    pub(crate) fn know_job(&mut self, name: &str) -> Result<(), StoreError> {
        self.transaction("add a job", |tx| job_id(tx, name).map(|_| Verb::Keep(())))
    }
}

fn refused(run: RunRow) -> rusqlite::Result<Verb<Answer>> {
    Ok(Verb::Undo(Answer::Refused(Box::new(run))))
}

fn find(tx: &Connection, id: i64) -> rusqlite::Result<Option<RunRow>> {
    tx.one(sql!("SELECT {RUN} FROM {RUNS} WHERE run.id = ?1"), [id])
}

fn job_id(tx: &Connection, name: &str) -> rusqlite::Result<i64> {
    let found = tx.one("SELECT id FROM job WHERE name = ?1", [name])?;
    match found {
        Some(id) => Ok(id),
        None => {
            tx.run("INSERT INTO job(name) VALUES (?1)", [name])?;
            Ok(tx.last_insert_rowid())
        }
    }
}

/// What became of one item.
enum Insertion {
    Done(Added),
    Refused(Enqueued),
}

/// What a held key makes of an item; none: it is to be added.
fn conflict(
    tx: &Connection,
    job: i64,
    addition: &Addition<'_>,
    key: &str,
) -> rusqlite::Result<Option<Insertion>> {
    let conditions = &addition.conditions;
    let span = conditions.key_held_since.map(|since| [since, addition.created_at]);
    let Held { holder, succeeded } = held(tx, job, key, span)?;
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
            let is_free = holder.is_none()
                || (who::may_touch(tx, conditions.author, by)?
                    && give_up_key(tx, by, addition.created_at)?);
            Ok(if is_free { None } else { refused() })
        }
    }
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
    let key = item.key.as_deref();
    let standing = Standing { job, state: state.code(), key, feed: None };
    let id = put_down(tx, &standing, addition, item)?;
    if let Some(missing) = followers::follow(tx, id, conditions)? {
        return Ok(Insertion::Refused(Enqueued::NoSuchRun(missing)));
    }
    if let Some(replaced) = replaced {
        tx.run(
            sql!("UPDATE run SET \"by\" = ?2 WHERE id = ?1 AND state = {CANCELLED}"),
            [replaced, id],
        )?;
    }
    Ok(Insertion::Done(Added { id, existing: false }))
}

fn queue_retrying(tx: &Connection, id: i64, now: Wall) -> rusqlite::Result<Verb<Answer>> {
    tx.run(
        sql!(
            "UPDATE run SET state = {QUEUED}, due_at = min(coalesce(first_due_at, ?2), ?2) \
            WHERE id = ?1 AND state = {RETRYING}"
        ),
        params![id, now],
    )?;
    Ok(Verb::Keep(Answer::Done))
}

/// The run of an occurrence that has not ended: after the clock was set back, an instant may have
/// two.
fn unfinished_occurrence(tx: &Connection, job: i64, at: Wall) -> rusqlite::Result<Option<i64>> {
    tx.one(
        sql! {"SELECT id FROM run WHERE job = ?1 AND scheduled_at = ?2 \
        AND scheduled_at IS NOT NULL AND state < {SUCCEEDED}"},
        params![job, at],
    )
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
    let Budget { charged, max, lost, put_off, began_at, before } = run.budget.renewed(fresh);
    tx.run(
        sql! {"UPDATE run SET state = {QUEUED}, due_at = ?2, reason = NULL, \"by\" = NULL, \
        ended_at = NULL, acked = NULL, stop = NULL, expires_at = NULL, charged = ?3, \
        max_attempts = ?4, lost = ?5, put_off = ?6, began_at = ?7, first_due_at = NULL, \
        budget_from = ?8 WHERE id = ?1 \
        AND state > {RETRYING}"},
        params![run.id, now, charged, max, lost, put_off, began_at, before],
    )?;
    Ok(Verb::Keep(Answer::Done))
}

/// What fell due in a pause that ends now is decided, also if no supervisor was there to skip it.
fn owe_nothing(tx: &Connection, scope: Scope<'_>, now: Wall) -> rusqlite::Result<()> {
    match scope {
        Scope::Job(name) => tx.run(
            "UPDATE job SET watermark = max(watermark, min(coalesce(paused_until, ?2), ?2)), \
             expect_from = ?2 WHERE name = ?1 AND paused_at IS NOT NULL",
            params![name, now],
        ),
        Scope::All => tx.run(
            "UPDATE job SET watermark = max(watermark, min(coalesce((SELECT value FROM meta \
             WHERE key = 'paused_until'), ?1), ?1)), expect_from = ?1 WHERE (SELECT value \
             FROM meta WHERE key = 'paused_at') IS NOT NULL",
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
    match scope {
        Scope::Job(name) => {
            let changed = tx.run(
                "UPDATE job SET paused_at = ?2, paused_until = ?3, paused_by = NULL, \
                 paused_reason = NULL WHERE name = ?1",
                params![name, at, until],
            )?;
            Ok(changed == 1)
        }
        Scope::All => {
            let forgotten = [("paused_by", None), ("paused_reason", None)];
            for (key, value) in
                [("paused_at", at), ("paused_until", until)].into_iter().chain(forgotten)
            {
                tx.run(
                    "INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)",
                    params![key, value],
                )?;
            }
            Ok(true)
        }
    }
}
