//! `was`: what the store knows of a job under several names becomes one row, and no run is lost.

use rusqlite::{Connection, OptionalExtension, params};

use super::cells::Cells;

/// A row that has one of the names.
#[derive(Clone, Copy, Debug)]
struct Found {
    id: i64,
    /// It is of a job of the jobfile before: its watermark is in force.
    is_planned: bool,
}

/// Gives `name` to the row of the job and moves into it what stands in the rows of its other names, which are no more then.
/// Their ids.
///
/// The row that goes on is the one whose job is in force, so that its watermark decides what is past: the name's own, else the
/// first former one. Where none is, the name's own goes on, else the first former one.
pub(super) fn unite(conn: &Connection, name: &str, was: &[&str]) -> rusqlite::Result<Vec<i64>> {
    let found = find_all(conn, name, was)?;
    let Some(kept) = in_force(&found) else {
        return Ok(Vec::new());
    };
    let merged: Vec<i64> = found.iter().map(|row| row.id).filter(|id| *id != kept.id).collect();
    for &id in &merged {
        move_runs(conn, id, kept.id)?;
        move_job(conn, id, kept.id)?;
    }
    conn.prepare_cached("UPDATE job SET name = ?2 WHERE id = ?1 AND name <> ?2")?
        .execute(params![kept.id, name])?;
    Ok(merged)
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
    conn.prepare_cached("SELECT id, present AND watermark IS NOT NULL FROM job WHERE name = ?1")?
        .query_row([name], |row| Ok(Found { id: row.cell(0)?, is_planned: row.cell(1)? }))
        .optional()
}

/// Two runs may hold one key, or stand for one instant, as long as they are of two jobs. Then the one that moves gives it up: a
/// run without a key is better than none. An instant becomes the next free millisecond; schedules name whole seconds.
fn move_runs(conn: &Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE run SET key = NULL WHERE job = ?1 AND key IS NOT NULL AND (state < 5 OR (state = 6 AND acked IS NULL)) \
         AND EXISTS (SELECT 1 FROM run AS other WHERE other.job = ?2 AND other.key = run.key \
         AND (other.state < 5 OR (other.state = 6 AND other.acked IS NULL)))",
        [from, to],
    )?;
    conn.execute(
        "UPDATE run SET due_at = coalesce(due_at, scheduled_at), \
         scheduled_at = 1 + (SELECT max(other.scheduled_at) FROM run AS other WHERE other.job IN (?1, ?2) AND other.state < 5 \
             AND other.scheduled_at >= run.scheduled_at AND other.scheduled_at < run.scheduled_at + 1000) \
         WHERE job = ?1 AND state < 5 AND EXISTS (SELECT 1 FROM run AS other WHERE other.job = ?2 AND other.state < 5 \
         AND other.scheduled_at = run.scheduled_at)",
        [from, to],
    )?;
    conn.execute("UPDATE run SET job = ?2 WHERE job = ?1", [from, to]).map(|_| ())
}

/// The counters go along: their triggers see states change, not jobs. A pause goes along, too.
fn move_job(conn: &Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE job SET scheduled = job.scheduled + former.scheduled, queued = job.queued + former.queued, \
         running = job.running + former.running, retrying = job.retrying + former.retrying, \
         failed = job.failed + former.failed, ended = job.ended + former.ended, \
         last_run = nullif(max(coalesce(job.last_run, 0), coalesce(former.last_run, 0)), 0), \
         last_success_at = CASE WHEN job.last_success_at IS NULL THEN former.last_success_at \
             WHEN former.last_success_at IS NULL THEN job.last_success_at \
             ELSE max(job.last_success_at, former.last_success_at) END, \
         ended_succeeded = job.ended_succeeded + former.ended_succeeded, ended_failed = job.ended_failed + former.ended_failed, \
         ended_skipped = job.ended_skipped + former.ended_skipped, \
         ended_cancelled = job.ended_cancelled + former.ended_cancelled, \
         failing = max(job.failing, former.failing), late_at = coalesce(job.late_at, former.late_at), \
         unsuccessful = max(job.unsuccessful, former.unsuccessful), expect = coalesce(job.expect, former.expect), \
         expect_from = coalesce(job.expect_from, former.expect_from), \
         well_at = nullif(max(coalesce(job.well_at, 0), coalesce(former.well_at, 0)), 0), \
         paused_until = CASE WHEN job.paused_at IS NULL THEN former.paused_until ELSE job.paused_until END, \
         paused_at = coalesce(job.paused_at, former.paused_at) \
         FROM (SELECT * FROM job WHERE id = ?1) AS former WHERE job.id = ?2",
        [from, to],
    )?;
    conn.execute(
        "INSERT INTO tally(job, outcome, bucket, count, duration_ms) \
         SELECT ?2, outcome, bucket, count, duration_ms FROM tally WHERE job = ?1 \
         ON CONFLICT DO UPDATE SET count = count + excluded.count, duration_ms = duration_ms + excluded.duration_ms",
        [from, to],
    )?;
    conn.execute("DELETE FROM tally WHERE job = ?1", [from])?;
    conn.execute("UPDATE notice SET job = ?2 WHERE job = ?1", [from, to])?;
    conn.execute("UPDATE acknowledging SET job = ?2 WHERE job = ?1", [from, to])?;
    conn.execute("DELETE FROM job WHERE id = ?1", [from]).map(|_| ())
}
