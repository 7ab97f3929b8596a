//! Runs that wait for other runs (`--after`): queued when all of those have succeeded, cancelled
//! when one has ended otherwise.
//!
//! How a run ended is noted by the triggers of the schema, whichever verb ended it; here is what
//! follows from it. A trigger notes it with a bounded number of followers, and in `ending` that
//! there are more: those are told here, some at a time.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::sql::{Ask, CANCELLED, QUEUED, SCHEDULED, sql};
use super::types::Conditions;
use super::who;
use super::{Store, StoreError};
use crate::core::run::{Reason, State};
use crate::core::time::Wall;

/// Ends that are told to followers in one turn at the most, so that starting and reaping never wait
/// for long.
const RELEASED_AT_ONCE: u32 = 500;

/// The result of releasing followers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Released {
    /// Jobs that have more queued runs now.
    pub(crate) jobs: BTreeSet<i64>,
    /// Whether there is more of it, for the next turn.
    pub(crate) has_more: bool,
}

impl Store {
    /// Queues or cancels the runs that waited for what has ended since.
    pub(crate) fn release_followers(&self, now: Wall) -> Result<Released, StoreError> {
        release(&self.conn, now).map_err(|e| self.failed("release the followers of a run", e))
    }
}

/// Notes what a new run waits for. The first of `after` that is no run for its author, if there is
/// one.
pub(super) fn follow(
    tx: &Connection,
    run: i64,
    conditions: &Conditions<'_>,
) -> rusqlite::Result<Option<i64>> {
    for on in conditions.after {
        let found = tx.one::<Option<State>>("SELECT state FROM run WHERE id = ?1", [on])?;
        let Some(state) = found else {
            return Ok(Some(*on));
        };
        if !who::may_touch(tx, conditions.author, *on)? {
            return Ok(Some(*on));
        }
        let ended = state.filter(|state| state.is_ended());
        tx.run(
            "INSERT OR IGNORE INTO dependency(run, \"on\", ended) VALUES (?1, ?2, ?3)",
            params![run, on, ended],
        )?;
    }
    Ok(None)
}

/// A follower, what it waited for, and the state in which that ended.
type End = (i64, i64, State);

/// Goes through ends that followers have not been told of.
pub(super) fn release(tx: &Connection, now: Wall) -> rusqlite::Result<Released> {
    let mut ends = noted(tx, RELEASED_AT_ONCE)?;
    let room = RELEASED_AT_ONCE.saturating_sub(u32::try_from(ends.len()).unwrap_or(u32::MAX));
    if room > 0 {
        ends.extend(owed(tx, room)?);
    }
    let mut released = Released::default();
    for (run, on, ended) in &ends {
        if *ended == State::Succeeded {
            released.jobs.extend(one_less(tx, *run, *on, now)?);
        } else {
            cancel(tx, *run, *on, now)?;
        }
    }
    // What was cancelled just now may have followers of its own.
    released.has_more = tx.value(
        "SELECT EXISTS (SELECT 1 FROM dependency WHERE ended IS NOT NULL AND run > 0) \
         OR EXISTS (SELECT 1 FROM ending)",
        [],
    )?;
    Ok(released)
}

/// Ends that stand beside their followers.
fn noted(tx: &Connection, limit: u32) -> rusqlite::Result<Vec<End>> {
    tx.all(
        "SELECT run, \"on\", ended FROM dependency WHERE ended IS NOT NULL AND run > 0 \
         ORDER BY run LIMIT ?1",
        [limit],
    )
}

/// Followers that the trigger left out. An end that owes nothing any more is forgotten.
fn owed(tx: &Connection, limit: u32) -> rusqlite::Result<Vec<End>> {
    let next: Option<(i64, State)> = tx.one("SELECT run, state FROM ending LIMIT 1", [])?;
    let Some((on, state)) = next else {
        return Ok(Vec::new());
    };
    let ends: Vec<End> = tx.all(
        "SELECT run, \"on\", ?3 FROM dependency WHERE \"on\" = ?1 AND run > 0 \
         AND ended IS NULL ORDER BY run LIMIT ?2",
        params![on, limit, state],
    )?;
    if ends.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
        tx.run("DELETE FROM ending WHERE run = ?1", [on])?;
    }
    Ok(ends)
}

/// A run waits for one other less; the job whose queue it joins if that was the last.
fn one_less(tx: &Connection, run: i64, on: i64, now: Wall) -> rusqlite::Result<Option<i64>> {
    tx.run("DELETE FROM dependency WHERE run = ?1 AND \"on\" = ?2", [run, on])?;
    tx.one(
        sql! {"UPDATE run SET state = {QUEUED}, due_at = ?2 WHERE id = ?1 \
        AND state = {SCHEDULED} AND due_at IS NULL AND NOT EXISTS (SELECT 1 \
        FROM dependency WHERE run = ?1) RETURNING job"},
        params![run, now],
    )
}

fn cancel(tx: &Connection, run: i64, by: i64, now: Wall) -> rusqlite::Result<()> {
    tx.run(
        sql! {"UPDATE run SET state = {CANCELLED}, reason = ?3, \"by\" = ?2, ended_at = ?4 \
        WHERE id = ?1 AND state = {SCHEDULED} AND due_at IS NULL"},
        params![run, by, Reason::Dependency, now],
    )?;
    tx.done("DELETE FROM dependency WHERE run = ?1", [run])
}
