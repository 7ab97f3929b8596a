//! `was`: what the store knows of a job under several names becomes one row, and no run is lost.
//!
//! The rows of the other names are absorbed: what runs, counters and pauses at once, all else in
//! the turns that follow. Until then `job.moves_to` names the row in which an absorbed one goes on,
//! and it has given up its name.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::acknowledge::LATER;
use super::cells::reads;
use super::sql::{Ask, FAILED, Part, QUEUED, RUNNING, SUCCEEDED, sql};
use super::{Store, StoreError};

/// Runs that move in one turn at the most. Few in tests, so that they see the portions.
const MOVED_AT_ONCE: usize = if cfg!(test) { 3 } else { 500 };

/// Whether runs that are queued have yet to leave a row of `job`.
const HAS_QUEUED: Part = Part(|| {
    format!(
        "(EXISTS (SELECT 1 FROM run INDEXED BY run_queue WHERE run.job = job.id AND state = {QUEUED} \
         AND held IS NULL) OR EXISTS (SELECT 1 FROM run INDEXED BY run_held \
         WHERE run.job = job.id AND state = {QUEUED} AND held = 1))"
    )
});

/// The name that a row had before it was absorbed, or has.
pub(super) fn name_of(name: &str) -> &str {
    match name.split_once('/') {
        Some((id, former)) if id.parse::<u64>().is_ok() => former,
        Some(_) | None => name,
    }
}

/// The progress of emptying the rows of former names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Jobs that have got some; none: nothing is left.
    pub(crate) heirs: BTreeSet<i64>,
    /// Jobs of which nothing may start yet: what is queued elsewhere may come first.
    pub(crate) withheld: BTreeSet<i64>,
}

impl Store {
    /// Moves some runs of absorbed rows.
    pub(crate) fn move_former(&self) -> Result<Moved, StoreError> {
        move_next(&self.conn).map_err(|e| self.failed("merge jobs", e))
    }

    /// Returns whether runs of other rows have yet to move to a job.
    pub(super) fn has_moving(&self, job: i64) -> rusqlite::Result<bool> {
        self.conn.value("SELECT EXISTS (SELECT 1 FROM job WHERE moves_to = ?1)", [job])
    }
}

/// A row that has one of the names.
#[derive(Clone, Copy, Debug)]
struct Found {
    id: i64,
    /// It is of a job of the jobfile before: its watermark is in force.
    is_planned: bool,
}

reads!(Found: id is_planned);

/// Gives `name` to the row of the job, and lets the rows of its other names be absorbed by it.
/// Their ids.
///
/// The row that goes on is the one whose job is in force, so that its watermark decides what is
/// past: the name's own, else the first former one. Where none is, the name's own goes on, else the
/// first former one.
pub(super) fn unite(conn: &Connection, name: &str, was: &[&str]) -> rusqlite::Result<Vec<i64>> {
    let found = find_all(conn, name, was)?;
    let Some(kept) = in_force(&found) else {
        return Ok(Vec::new());
    };
    let absorbed: Vec<i64> = found.iter().map(|row| row.id).filter(|id| *id != kept.id).collect();
    for &id in &absorbed {
        absorb(conn, id, kept.id)?;
    }
    conn.run("UPDATE job SET name = ?2 WHERE id = ?1 AND name <> ?2", params![kept.id, name])?;
    Ok(absorbed)
}

/// The row in which runs of the job go on, whether its jobfile was read already or not.
pub(super) fn row_of(conn: &Connection, name: &str, was: &[&str]) -> rusqlite::Result<Option<i64>> {
    Ok(in_force(&find_all(conn, name, was)?).map(|row| row.id))
}

fn in_force(found: &[Found]) -> Option<Found> {
    let planned = found.iter().find(|row| row.is_planned);
    planned.or(found.first()).copied()
}

fn find_all(conn: &Connection, name: &str, was: &[&str]) -> rusqlite::Result<Vec<Found>> {
    let mut found = Vec::new();
    for name in std::iter::once(&name).chain(was) {
        found.extend(find(conn, name)?);
    }
    Ok(found)
}

fn find(conn: &Connection, name: &str) -> rusqlite::Result<Option<Found>> {
    // A row that `enqueue` made for a name that was not loaded yet has no watermark.
    conn.one("SELECT id, present AND watermark IS NOT NULL FROM job WHERE name = ?1", [name])
}

/// Lets a row go on in another one. It costs the same however many runs it has: who claims counts
/// what runs, so that moves at once.
fn absorb(conn: &Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    let running: Vec<i64> = conn.all(
        sql!("SELECT id FROM run WHERE state < {SUCCEEDED} AND state = {RUNNING} AND job = ?1"),
        [from],
    )?;
    for run in running {
        move_run(conn, run, to)?;
    }
    for sql in [
        "UPDATE job SET name = id || '/' || name, moves_to = ?2, present = 0, schedule = NULL, \
         lane_template = NULL WHERE id = ?1",
        "UPDATE job SET moves_to = ?2 WHERE moves_to = ?1",
    ] {
        conn.run(sql, [from, to])?;
    }
    // What failed before a success stands in two rows for a while, and is gone through anew when it
    // stands in one.
    conn.run(
        "UPDATE acknowledging SET job = ?2, reached = ?3 WHERE job IN (?1, ?2)",
        [from, to, LATER],
    )?;
    move_job(conn, from, to)
}

fn move_next(conn: &Connection) -> rusqlite::Result<Moved> {
    let rows: Vec<(i64, i64)> = conn.all(
        sql! {"SELECT job.id, moves_to FROM job WHERE moves_to IS NOT NULL \
        AND (SELECT heir.moves_to IS NULL FROM job AS heir \
        WHERE heir.id = job.moves_to) ORDER BY {HAS_QUEUED} DESC, job.id LIMIT ?1"},
        [count(MOVED_AT_ONCE)],
    )?;
    let mut moved = Moved::default();
    let mut room = MOVED_AT_ONCE;
    for (from, to) in rows {
        moved.heirs.insert(to);
        // One at least for each row: they are many, too.
        room = room.saturating_sub(move_portion(conn, from, to, room)?.max(1));
        if room == 0 {
            break;
        }
    }
    moved.withheld =
        conn.all(sql!("SELECT moves_to FROM job WHERE moves_to IS NOT NULL AND {HAS_QUEUED}"), [])?;
    Ok(moved)
}

/// Moves some of a row, the runs first that are queued, then the newest. With the last of it the
/// row goes. How many.
fn move_portion(conn: &Connection, from: i64, to: i64, limit: usize) -> rusqlite::Result<usize> {
    let runs: Vec<i64> = conn.all(
        sql! {"SELECT id FROM (SELECT id FROM run INDEXED BY run_queue WHERE job = ?1 AND state = {QUEUED} \
        AND held IS NULL LIMIT ?2) UNION ALL SELECT id FROM (SELECT id FROM run INDEXED BY run_held \
        WHERE job = ?1 AND state = {QUEUED} AND held = 1 LIMIT ?2) UNION ALL SELECT id \
        FROM (SELECT id FROM run WHERE job = ?1 ORDER BY id DESC LIMIT ?2) LIMIT ?2"},
        [from, count(limit)],
    )?;
    for &run in &runs {
        move_run(conn, run, to)?;
    }
    move_job(conn, from, to)?;
    let mut moved = runs.len();
    for sql in [
        "UPDATE notice SET job = ?2 WHERE id IN (SELECT id FROM notice WHERE job = ?1 \
         AND run IS NULL LIMIT ?3)",
        "DELETE FROM watched WHERE job = ?1 AND path IN (SELECT path FROM watched \
         WHERE job = ?1 LIMIT ?3)",
    ] {
        moved += conn.run(sql, [from, to, count(limit.saturating_sub(moved))])?;
    }
    if moved < limit {
        conn.run("DELETE FROM job WHERE id = ?1", [from])?;
    }
    Ok(moved)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Two runs may hold one key, or stand for one instant, as long as they are of two jobs. Then the
/// one that moves gives it up: a run without a key is better than none. An instant becomes the next
/// free millisecond; schedules name whole seconds.
fn move_run(conn: &Connection, run: i64, to: i64) -> rusqlite::Result<()> {
    for sql in [
        sql! {"UPDATE run SET key = NULL WHERE id = ?1 AND key IS NOT NULL \
        AND (state < {SUCCEEDED} OR (state = {FAILED} AND acked IS NULL)) \
        AND EXISTS (SELECT 1 FROM run AS other WHERE other.job = ?2 \
        AND other.key = run.key AND other.id <> ?1 AND (other.state < {SUCCEEDED} \
        OR (other.state = {FAILED} AND other.acked IS NULL)))"},
        sql! {"UPDATE run SET due_at = coalesce(due_at, scheduled_at), scheduled_at = 1 + (SELECT \
        max(other.scheduled_at) FROM run AS other WHERE other.job IN (run.job, ?2) \
        AND other.state < {SUCCEEDED} AND other.scheduled_at >= run.scheduled_at \
        AND other.scheduled_at < run.scheduled_at + 1000) WHERE id = ?1 \
        AND state < {SUCCEEDED} AND scheduled_at IS NOT NULL AND EXISTS (SELECT 1 \
        FROM run AS other WHERE other.job = ?2 AND other.state < {SUCCEEDED} \
        AND other.scheduled_at = run.scheduled_at AND other.id <> ?1)"},
        // What its lane waits for is known in the row that it leaves.
        "UPDATE run SET job = ?2, held = NULL WHERE id = ?1",
        "UPDATE notice SET job = ?2 WHERE run = ?1",
    ] {
        conn.run(sql, [run, to])?;
    }
    Ok(())
}

/// What is known of the job as a whole goes along, and what has come to its counters since: their
/// triggers see states change, not jobs. A pause goes along, too.
fn move_job(conn: &Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    conn.run("UPDATE job SET scheduled = job.scheduled + former.scheduled, queued = job.queued + former.queued, \
         running = job.running + former.running, retrying = job.retrying + former.retrying, \
         failed = job.failed + former.failed, ended = job.ended + former.ended, \
         last_run = nullif(max(coalesce(job.last_run, 0), coalesce(former.last_run, 0)), 0), \
         last_success_at = CASE WHEN job.last_success_at IS NULL THEN former.last_success_at \
             WHEN former.last_success_at IS NULL THEN job.last_success_at \
             ELSE max(job.last_success_at, former.last_success_at) END, \
         ended_succeeded = job.ended_succeeded + former.ended_succeeded, ended_failed = job.ended_failed + former.ended_failed, \
         ended_skipped = job.ended_skipped + former.ended_skipped, \
         ended_cancelled = job.ended_cancelled + former.ended_cancelled, \
         failing = max(job.failing, former.failing), late_at = coalesce(job.late_at, former.late_at), missed_at = coalesce(job.missed_at, former.missed_at), \
         unsuccessful = max(job.unsuccessful, former.unsuccessful), expect = coalesce(job.expect, former.expect), \
         expect_from = coalesce(job.expect_from, former.expect_from), \
         well_at = nullif(max(coalesce(job.well_at, 0), coalesce(former.well_at, 0)), 0), \
         paused_until = CASE WHEN job.paused_at IS NULL THEN former.paused_until ELSE job.paused_until END, \
         paused_by = CASE WHEN job.paused_at IS NULL THEN former.paused_by ELSE job.paused_by END, \
         paused_reason = CASE WHEN job.paused_at IS NULL THEN former.paused_reason ELSE job.paused_reason END, \
         paused_at = coalesce(job.paused_at, former.paused_at) \
         FROM (SELECT * FROM job WHERE id = ?1) AS former WHERE job.id = ?2", [from, to])?;
    conn.run("INSERT INTO tally(job, outcome, bucket, count, duration_ms) \
         SELECT ?2, outcome, bucket, count, duration_ms FROM tally WHERE job = ?1 \
         ON CONFLICT DO UPDATE SET count = count + excluded.count, duration_ms = duration_ms + excluded.duration_ms", [from, to])?;
    // The ends of both are one number from now on.
    conn.run(
        "DELETE FROM meta WHERE key IN ('ended_when_empty_' || ?1, 'ended_when_empty_' || ?2)",
        [from, to],
    )?;
    for sql in [
        "DELETE FROM tally WHERE job = ?1",
        "UPDATE job SET scheduled = 0, queued = 0, running = 0, retrying = 0, failed = 0, ended = \
         0, last_run = NULL, last_success_at = NULL, ended_succeeded = 0, ended_failed = 0, \
         ended_skipped = 0, ended_cancelled = 0, failing = 0, late_at = NULL, unsuccessful = 0, \
         expect = NULL, expect_from = NULL, well_at = NULL, missed_at = NULL, paused_until = NULL, paused_at = NULL, \
         paused_by = NULL, paused_reason = NULL \
         WHERE id = ?1",
    ] {
        conn.run(sql, [from])?;
    }
    Ok(())
}
