//! Keys: who holds one, who gives it up, and the items that come with one.
//!
//! A key is held by a run of the job that has not ended, or failed and nobody has acknowledged
//! that; for a time also by a success. What a batch has put down out of sight holds its key only
//! against other batches.

use rusqlite::{Connection, params};

use super::cells::{encode_args, encode_ids};
use super::sql::{
    Ask, CANCELLED, FAILED, HOLDS_KEY, OF_JOB, QUEUED, RETRYING, SCHEDULED, STAGED, SUCCEEDED, sql,
};
use super::types::{Addition, NewItem};
use super::who;
use crate::core::run::{Reason, State};
use crate::core::time::Wall;

/// Stands in `by` of an item of a batch whose key somebody has taken, until the batch has looked it
/// up again.
pub(super) const STOLEN: i64 = -1;

/// The run in sight that holds a key of a job.
pub(super) fn holder_of(tx: &Connection, job: i64, key: &str) -> rusqlite::Result<Option<i64>> {
    tx.one(
        sql! {"SELECT id FROM run WHERE job {OF_JOB} AND key = ?2 AND key IS NOT NULL \
        AND {HOLDS_KEY} AND (state > {STAGED} OR feed IN (SELECT id FROM feed \
        WHERE is_done))"},
        params![job, key],
    )
}

/// Returns whether a run is running.
pub(super) fn is_running(tx: &Connection, id: i64) -> rusqlite::Result<bool> {
    state_of(tx, id).map(|state| state == Some(State::Running))
}

/// Returns whether a run waits.
pub(super) fn is_waiting(tx: &Connection, id: i64) -> rusqlite::Result<bool> {
    state_of(tx, id).map(|state| state.is_none_or(|state| !state.is_ended()))
}

/// The state of a run; none of one that is not counted yet.
fn state_of(tx: &Connection, id: i64) -> rusqlite::Result<Option<State>> {
    tx.value("SELECT state FROM run WHERE id = ?1", [id])
}

/// The success that holds a key still, because it ended after `since`. One that ended after now is
/// of a clock that was set back since, and holds nothing: it would for as long as that clock was
/// ahead.
fn succeeded_holder(
    tx: &Connection,
    job: i64,
    key: &str,
    [since, now]: [Wall; 2],
) -> rusqlite::Result<Option<i64>> {
    tx.one(
        sql! {"SELECT id FROM run WHERE job {OF_JOB} AND key = ?2 AND key IS NOT NULL \
        AND state = {SUCCEEDED} AND ended_at > ?3 AND ended_at <= ?4 \
        ORDER BY ended_at DESC LIMIT 1"},
        params![job, key, since, now],
    )
}

/// Cancels a run that waits, acknowledges one that failed: then its key is free. False: it runs.
pub(super) fn give_up_key(tx: &Connection, id: i64, now: Wall) -> rusqlite::Result<bool> {
    let cancelled = tx.run(
        sql! {"UPDATE run SET state = {CANCELLED}, reason = ?2, ended_at = ?3 WHERE id = ?1 \
        AND state IN ({STAGED}, {SCHEDULED}, {QUEUED}, {RETRYING})"},
        params![id, Reason::Replaced, now],
    )?;
    let acknowledged = tx.run(
        sql!("UPDATE run SET acked = ?2 WHERE id = ?1 AND state = {FAILED} AND acked IS NULL"),
        params![id, now],
    )?;
    Ok(cancelled + acknowledged == 1)
}

/// Frees a key that an item in no batch is to have: one that a batch has put down and not brought
/// into sight does without until it has looked it up again.
pub(super) fn take_from_staged(tx: &Connection, job: i64, key: &str) -> rusqlite::Result<()> {
    tx.done(
        sql! {"UPDATE run SET staged_key = key, key = NULL, \"by\" = ?3 WHERE job {OF_JOB} \
        AND key = ?2 AND key IS NOT NULL AND state < {SUCCEEDED} AND state = {STAGED} \
        AND feed NOT IN (SELECT id FROM feed WHERE is_done)"},
        params![job, key, STOLEN],
    )
}

/// The holder of a key: a run, else the success that holds it within a span.
pub(super) struct Held {
    /// A run that has not ended, or a failure that nobody has acknowledged.
    pub(super) holder: Option<i64>,
    /// A success; none where there is a holder.
    pub(super) succeeded: Option<i64>,
}

/// Looks who has a key.
pub(super) fn held(
    tx: &Connection,
    job: i64,
    key: &str,
    span: Option<[Wall; 2]>,
) -> rusqlite::Result<Held> {
    let holder = holder_of(tx, job, key)?;
    let succeeded = match (holder, span) {
        (None, Some(span)) => succeeded_holder(tx, job, key, span)?,
        (Some(_), _) | (None, None) => None,
    };
    Ok(Held { holder, succeeded })
}

/// An item as it is recorded.
pub(super) struct Standing<'a> {
    /// Its job.
    pub(super) job: i64,
    /// The number of its state.
    pub(super) state: i64,
    /// Its key; none also if it is to get it later.
    pub(super) key: Option<&'a str>,
    /// The batch it is a part of.
    pub(super) feed: Option<i64>,
}

/// Puts an item down. Its number.
pub(super) fn put_down(
    tx: &Connection,
    standing: &Standing<'_>,
    addition: &Addition<'_>,
    item: &NewItem,
) -> rusqlite::Result<i64> {
    let Standing { job, state, key, feed } = *standing;
    let conditions = &addition.conditions;
    tx.run(
        "INSERT INTO run(job, state, cause, created_at, due_at, priority, max_attempts, args, key, \
         expires_at, \"after\", feed, created_by) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            job,
            state,
            addition.cause,
            addition.created_at,
            conditions.after.is_empty().then_some(addition.due_at),
            addition.priority,
            addition.max_attempts,
            encode_args(&item.args),
            key,
            conditions.expires_at,
            encode_ids(conditions.after),
            feed,
            who::number(tx, conditions.author)?,
        ],
    )?;
    let id = tx.last_insert_rowid();
    if let Some(bytes) = &item.input {
        tx.run("INSERT INTO input(run, bytes) VALUES (?1, ?2)", params![id, bytes])?;
    }
    Ok(id)
}
