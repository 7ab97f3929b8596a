//! Rows of SQL to rows of ours and back: columns, numbers of words, encoded arguments.

use rusqlite::Row;

use super::cells::Cells;
use super::types::{AttemptRow, JobRow, RunRow};
use crate::core::pause::Pause;
use crate::core::run::{Cause, OutcomeKind, Reason, State};
use crate::core::time::Wall;

/// What [`run`] reads, in its order; from `run JOIN job ON job.id = run.job`. A run that has yet to move to another row is shown as
/// one of that.
pub(super) const RUN_COLUMNS: &str = "run.id, coalesce(job.moves_to, job.id), coalesce((SELECT heir.name FROM job AS heir WHERE heir.id = job.moves_to), job.name), CASE WHEN run.state > 0 THEN run.state WHEN run.due_at IS NULL OR run.due_at > run.created_at THEN 1 ELSE 2 END, \
     run.reason, iif(run.state > 0, run.\"by\", NULL), run.cause, run.scheduled_at, \
     run.last_scheduled_at, run.count, run.due_at, run.created_at, run.started_at, run.ended_at, run.attempt, run.max_attempts, \
     run.charged, run.lost, run.outcome, run.exit_code, run.signal, run.error, run.duration_ms, run.args, coalesce(run.key, run.staged_key), run.priority, \
     run.acked, run.stop, run.slot, run.claim, run.first_started_at, run.\"after\", run.expires_at, run.progress, \
     run.result, run.late_at, run.put_off";

/// What keeps runs out of sight that a finder has fed and not finished; what it has finished is queued.
pub(super) const IN_SIGHT: &str =
    "(run.state > 0 OR run.feed IN (SELECT feed.id FROM feed WHERE feed.is_done))";

/// Reads a run from [`RUN_COLUMNS`].
pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let state = word(row, 3, State::from_code, State::Cancelled)?;
    let attempt: u32 = row.cell(14)?;
    let ended_at = wall(row, 13)?;
    Ok(RunRow {
        id: row.cell(0)?,
        job_id: row.cell(1)?,
        job: row.cell(2)?,
        state,
        reason: word_or_none(row, 4, Reason::from_code)?,
        by: row.cell(5)?,
        cause: word(row, 6, Cause::from_code, Cause::Enqueue)?,
        scheduled_at: wall(row, 7)?,
        last_scheduled_at: wall(row, 8)?,
        count: row.cell::<Option<i64>>(9)?.unwrap_or(1),
        due_at: wall(row, 10)?,
        created_at: Wall::from_ms(row.cell(11)?),
        started_at: wall(row, 12)?,
        ended_at: if state.is_ended() { ended_at } else { None },
        // What runs has been claimed.
        attempt: attempt.max(u32::from(state == State::Running)),
        max_attempts: row.cell(15)?,
        charged: row.cell(16)?,
        lost: row.cell::<Option<u32>>(17)?.unwrap_or(0),
        outcome: word_or_none(row, 18, OutcomeKind::from_code)?,
        exit_code: row.cell(19)?,
        signal: row.cell(20)?,
        error: row.cell(21)?,
        duration_ms: row.cell(22)?,
        args: row.cell::<Option<Vec<u8>>>(23)?.map(|blob| decode_args(&blob)).unwrap_or_default(),
        key: row.cell(24)?,
        priority: row.cell(25)?,
        acked: wall(row, 26)?,
        stop: word_or_none(row, 27, super::types::stopped_from_code)?,
        slot: row.cell(28)?,
        claim: row.cell(29)?,
        first_started_at: wall(row, 30)?,
        after: row.cell::<Option<String>>(31)?.map(|text| decode_ids(&text)).unwrap_or_default(),
        expires_at: wall(row, 32)?,
        progress: row.cell(33)?,
        result: row.cell(34)?,
        late_at: wall(row, 35)?,
        put_off: row.cell::<Option<u32>>(36)?.unwrap_or(0),
    })
}

/// What [`attempt`] reads, in its order; from the view `attempts` or either of its tables.
pub(super) const ATTEMPT_COLUMNS: &str = "attempt, started_at, ended_at, outcome, exit_code, signal, error, duration_ms, user_ms, \
     system_ms, max_rss_kib, output_bytes, pid";

/// Reads an attempt from [`ATTEMPT_COLUMNS`].
pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        attempt: row.cell(0)?,
        started_at: wall(row, 1)?,
        ended_at: wall(row, 2)?,
        outcome: word_or_none(row, 3, OutcomeKind::from_code)?,
        exit_code: row.cell(4)?,
        signal: row.cell(5)?,
        error: row.cell(6)?,
        duration_ms: row.cell(7)?,
        user_ms: row.cell(8)?,
        system_ms: row.cell(9)?,
        max_rss_kib: row.cell(10)?,
        output_bytes: row.cell(11)?,
        pid: row.cell(12)?,
    })
}

/// What [`job`] reads, in its order; from `job`.
pub(super) const JOB_COLUMNS: &str = "id, name, present, paused_at, paused_until, grid_at, scheduled, queued, running, retrying, \
     failed, ended, last_run, last_success_at, watermark, late_at, well_at";

/// Reads a job from [`JOB_COLUMNS`].
pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: row.cell(0)?,
        name: row.cell(1)?,
        present: row.cell(2)?,
        pause: pause(row, 3, 4)?,
        grid_at: wall(row, 5)?,
        scheduled: row.cell(6)?,
        queued: row.cell(7)?,
        running: row.cell(8)?,
        retrying: row.cell(9)?,
        failed: row.cell(10)?,
        ended: row.cell(11)?,
        last_run: row.cell(12)?,
        last_success_at: wall(row, 13)?,
        watermark: wall(row, 14)?,
        late_at: wall(row, 15)?,
        well_at: wall(row, 16)?,
    })
}

/// A pause, from when it began and when it ends.
fn pause(row: &Row<'_>, since: usize, until: usize) -> rusqlite::Result<Option<Pause>> {
    let until = wall(row, until)?;
    Ok(wall(row, since)?.map(|since| Pause { since, until }))
}

/// Ids as one text, with a comma between them; none if there are none.
pub(super) fn encode_ids(ids: &[i64]) -> Option<String> {
    let texts: Vec<String> = ids.iter().map(i64::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

fn decode_ids(text: &str) -> Vec<i64> {
    text.split(',').filter_map(|id| id.parse().ok()).collect()
}

/// Arguments as one blob, each ended by a NUL (which no argument can hold); none if there are none.
pub(super) fn encode_args(args: &[Vec<u8>]) -> Option<Vec<u8>> {
    if args.is_empty() {
        return None;
    }
    let mut blob = Vec::with_capacity(args.iter().map(|arg| arg.len() + 1).sum());
    for arg in args {
        blob.extend_from_slice(arg);
        blob.push(0);
    }
    Some(blob)
}

pub(super) fn decode_args(blob: &[u8]) -> Vec<Vec<u8>> {
    let mut args: Vec<Vec<u8>> = blob.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    args.pop();
    args
}

/// A point in time from a column that may be null.
pub(super) fn wall(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Wall>> {
    Ok(row.cell::<Option<i64>>(column)?.map(Wall::from_ms))
}

/// A word by its number; one that is not known here is `otherwise`.
pub(super) fn word<T>(
    row: &Row<'_>,
    column: usize,
    from_code: fn(i64) -> Option<T>,
    otherwise: T,
) -> rusqlite::Result<T> {
    Ok(from_code(row.cell(column)?).unwrap_or(otherwise))
}

pub(super) fn word_or_none<T>(
    row: &Row<'_>,
    column: usize,
    from_code: fn(i64) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    let code: Option<i64> = row.cell(column)?;
    Ok(code.and_then(from_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_back_as_they_were() {
        for args in [vec![], vec![b"".to_vec()], vec![b"a".to_vec(), vec![], vec![0xFF, b'\n']]] {
            assert_eq!(encode_args(&args).map(|blob| decode_args(&blob)).unwrap_or_default(), args);
        }
    }
}
