//! The verbs of the supervisor. All of one turn of its loop are one transaction: `begin`, verbs, `commit` or `rollback`.
//!
//! A turn in which a verb fails is undone as a whole, so the statements of every run say `OR ROLLBACK`: SQLite then keeps no copy
//! of what each of them changes, which was a third of their cost.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::cells::Cells;
use super::former::OF_JOB;
use super::rows::{self, RUN_COLUMNS};
use super::steer::FRESH_BUDGET;
use super::types::{Finish, NewOccurrence, NewSkip, RunRow, stopped_code};
use super::{Store, StoreError};
use crate::core::retry::{Next, Stopped};
use crate::core::run::{Outcome, Reason, State, Verdict};
use crate::core::tally;
use crate::core::time::Wall;

/// Runs that fall due in one turn at the most: more are a turn of their own, so that starting and reaping never wait for long.
const QUEUED_AT_ONCE: u32 = 2000;

impl Store {
    /// Puts down an occurrence that is to be executed. Its id; none if it is there already and unfinished.
    pub(crate) fn insert_occurrence(&self, new: &NewOccurrence) -> Result<Option<i64>, StoreError> {
        let state = if new.due_at > new.now { State::Scheduled } else { State::Queued };
        let inserted = self.change(
            "plan an occurrence",
            "INSERT OR ROLLBACK INTO run(job, state, cause, created_at, scheduled_at, due_at, priority, max_attempts) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            params![
                new.job_id,
                state.code(),
                new.cause.code(),
                new.now.ms(),
                new.scheduled_at.ms(),
                new.due_at.ms(),
                new.priority,
                new.max_attempts
            ],
        )?;
        Ok((inserted == 1).then(|| self.conn.last_insert_rowid()))
    }

    /// Puts down occurrences that are not executed, as one row: a former row of the same cause is extended if it is still the
    /// job's newest run.
    pub(crate) fn record_skip(&self, skip: &NewSkip) -> Result<i64, StoreError> {
        let last = skip.last_scheduled_at.map_or(skip.scheduled_at.ms(), Wall::ms);
        let extended: Option<i64> = self
            .conn
            .prepare_cached(
                "UPDATE run SET count = coalesce(count, 1) + ?5, last_scheduled_at = ?4 \
                 WHERE id = (SELECT max(id) FROM run WHERE job = ?1) AND state = 7 AND reason = ?2 AND \"by\" IS ?3 \
                 AND scheduled_at IS NOT NULL AND created_at >= ?6 AND coalesce(last_scheduled_at, scheduled_at) < ?4 RETURNING id",
            )
            .and_then(|mut update| {
                let since = skip.same_since.map_or(i64::MAX, Wall::ms);
                update
                    .query_row(params![skip.job_id, skip.reason.code(), skip.by, last, skip.count, since], |row| row.cell(0))
                    .optional()
            })
            .map_err(|e| self.failed("record a skip", e))?;
        if let Some(id) = extended {
            return Ok(id);
        }
        let count = (skip.count > 1).then_some(skip.count);
        self.change(
            "record a skip",
            "INSERT INTO run(job, state, cause, created_at, scheduled_at, ended_at, reason, \"by\", count, last_scheduled_at) \
             VALUES (?1, 7, ?2, ?3, ?4, ?3, ?5, ?6, ?7, ?8)",
            params![
                skip.job_id,
                skip.cause.code(),
                skip.now.ms(),
                skip.scheduled_at.ms(),
                skip.reason.code(),
                skip.by,
                count,
                skip.last_scheduled_at.map(Wall::ms)
            ],
        )?;
        Ok(self.conn.last_insert_rowid())
    }

    /// When the bucket of a job's rate is full (`core::rate`); none if nothing was ever taken from it.
    pub(crate) fn rate_at(&self, job_id: i64) -> Result<Option<i64>, StoreError> {
        self.conn
            .prepare_cached("SELECT rate_at FROM job WHERE id = ?1")
            .and_then(|mut query| query.query_row([job_id], |row| row.cell(0)))
            .map_err(|e| self.failed("read a rate", e))
    }

    /// Writes down that something was taken from it.
    pub(crate) fn set_rate_at(&self, job_id: i64, full_at: i64) -> Result<(), StoreError> {
        self.change(
            "write a rate",
            "UPDATE job SET rate_at = ?2 WHERE id = ?1",
            params![job_id, full_at],
        )
        .map(|_| ())
    }

    /// Says that all occurrences of a job up to `at` are decided. The caller decides whether it may move back.
    pub(crate) fn move_watermark(&self, job_id: i64, at: Wall) -> Result<(), StoreError> {
        self.change(
            "move a watermark",
            "UPDATE job SET watermark = ?2 WHERE id = ?1",
            params![job_id, at.ms()],
        )
        .map(|_| ())
    }

    /// Up to where the occurrences of a job are decided.
    pub(crate) fn watermark(&self, job_id: i64) -> Result<Option<Wall>, StoreError> {
        self.conn
            .prepare_cached("SELECT watermark FROM job WHERE id = ?1")
            .and_then(|mut query| query.query_row([job_id], |row| rows::wall(row, 0)))
            .map_err(|e| self.failed("read a watermark", e))
    }

    /// Lets the `@every` grid of a job begin at `at`.
    pub(crate) fn move_grid(&self, job_id: i64, at: Wall) -> Result<(), StoreError> {
        self.change(
            "move a grid",
            "UPDATE job SET grid_at = ?2 WHERE id = ?1",
            params![job_id, at.ms()],
        )
        .map(|_| ())
    }

    /// After the clock was set back to `now`: what was promised by the clock as it was is told from now on. Retries keep their
    /// delay, pauses their length and what expires its span, what is queued is due, and the time of `give_up_after` begins again. What is
    /// `scheduled` for a time stays where somebody put it.
    pub(crate) fn bring_back_to(&self, now: Wall) -> Result<(), StoreError> {
        for sql in [
            "UPDATE run SET due_at = ?1 + max(due_at - ended_at, 0) WHERE state IN (1, 4) AND state = 4 \
             AND due_at > ?1 AND ended_at > ?1",
            "UPDATE run SET due_at = ?1 WHERE state < 5 AND state = 2 AND due_at > ?1",
            // It counts as added now from then on, or another step back would take what is left for the span.
            "UPDATE run SET expires_at = ?1 + max(expires_at - created_at, 0), created_at = ?1 WHERE expires_at IS NOT NULL \
             AND state < 3 AND attempt = 0 AND (state = 2 OR (state = 1 AND due_at IS NULL)) AND created_at > ?1",
            "UPDATE run SET first_started_at = ?1 WHERE state < 5 AND state IN (2, 3, 4) AND attempt > 0 \
             AND coalesce(first_started_at, started_at) > ?1",
            "UPDATE job SET rate_at = ?1 * 1000 WHERE rate_at > ?1 * 1000",
            "UPDATE job SET paused_until = ?1 + (paused_until - paused_at), paused_at = ?1 WHERE paused_at > ?1",
            "UPDATE meta SET value = ?1 + (value - (SELECT value FROM meta WHERE key = 'paused_at')) \
             WHERE key = 'paused_until' AND value IS NOT NULL AND (SELECT value FROM meta WHERE key = 'paused_at') > ?1",
            "UPDATE meta SET value = ?1 WHERE key = 'paused_at' AND value > ?1",
            "UPDATE notice SET due_at = ?1 + max(due_at - at, 0), at = ?1 WHERE is_done = 0 AND at > ?1",
            "UPDATE notice SET due_at = ?1 WHERE is_done = 1 AND due_at > ?1 AND (event = 1 OR means = 2)",
            "UPDATE job SET expect_from = min(expect_from, ?1), well_at = min(well_at, ?1) WHERE expect > 0",
        ] {
            self.change("follow the clock back", sql, [now.ms()])?;
        }
        Ok(())
    }

    /// Queues what was due later and is due now, a bounded number of runs at a time. The jobs concerned.
    pub(crate) fn queue_due(&self, now: Wall) -> Result<BTreeSet<i64>, StoreError> {
        self.conn
            .prepare_cached(
                "UPDATE run SET state = 2 WHERE id IN (SELECT id FROM run WHERE state IN (1, 4) AND due_at <= ?1 \
                 ORDER BY due_at LIMIT ?2) RETURNING job",
            )
            .and_then(|mut update| update.query_map(params![now.ms(), QUEUED_AT_ONCE], |row| row.cell(0))?.collect())
            .map_err(|e| self.failed("queue what is due", e))
    }

    /// Cancels what was to be started before `now` and was not, a bounded number of runs at a time. The jobs concerned.
    pub(crate) fn expire_due(&self, now: Wall) -> Result<BTreeSet<i64>, StoreError> {
        self.conn
            .prepare_cached(
                "UPDATE run SET state = 8, reason = ?2, ended_at = ?1 WHERE id IN (SELECT id FROM run \
                 WHERE expires_at IS NOT NULL AND state < 3 AND state > 0 AND attempt = 0 AND expires_at <= ?1 LIMIT ?3) RETURNING job",
            )
            .and_then(|mut update| {
                let values = params![now.ms(), Reason::Expired.code(), QUEUED_AT_ONCE];
                update.query_map(values, |row| row.cell(0))?.collect()
            })
            .map_err(|e| self.failed("cancel what has expired", e))
    }

    /// When the next run expires that has not been started.
    pub(crate) fn next_expiry_at(&self) -> Result<Option<Wall>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT min(expires_at) FROM run WHERE expires_at IS NOT NULL AND state < 3 AND state > 0 AND attempt = 0",
            )
            .and_then(|mut query| query.query_row([], |row| rows::wall(row, 0)))
            .map_err(|e| self.failed("read what expires", e))
    }

    /// When the next run that is due later falls due.
    pub(crate) fn next_due_at(&self) -> Result<Option<Wall>, StoreError> {
        self.conn
            .prepare_cached("SELECT min(due_at) FROM run WHERE state IN (1, 4)")
            .and_then(|mut query| query.query_row([], |row| rows::wall(row, 0)))
            .map_err(|e| self.failed("read what is due", e))
    }

    /// Jobs that have queued runs.
    pub(crate) fn queued_jobs(&self) -> Result<Vec<i64>, StoreError> {
        self.conn
            .prepare_cached("SELECT id FROM job WHERE queued > 0")
            .and_then(|mut query| query.query_map([], |row| row.cell(0))?.collect())
            .map_err(|e| self.failed("read the queue", e))
    }

    /// The first queued run of a job: by priority, then due time, then id.
    pub(crate) fn queue_head(&self, job_id: i64) -> Result<Option<RunRow>, StoreError> {
        let sql = format!(
            "SELECT {RUN_COLUMNS} FROM run JOIN job ON job.id = run.job WHERE run.job = ?1 AND run.state = 2 AND run.held IS NULL \
             ORDER BY run.priority DESC, run.due_at, run.id LIMIT 1"
        );
        self.conn
            .prepare_cached(&sql)
            .and_then(|mut query| query.query_row([job_id], rows::run).optional())
            .map_err(|e| self.failed("read the queue", e))
    }

    /// Jobs that are paused: since when, until when.
    pub(crate) fn paused_jobs(&self) -> Result<Vec<(i64, Wall, Option<Wall>)>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT id, paused_at, paused_until FROM job WHERE paused_at IS NOT NULL",
            )
            .and_then(|mut query| {
                query
                    .query_map([], |row| {
                        Ok((row.cell(0)?, Wall::from_ms(row.cell(1)?), rows::wall(row, 2)?))
                    })?
                    .collect()
            })
            .map_err(|e| self.failed("read pauses", e))
    }

    /// How many runs of a job are queued.
    pub(crate) fn queued_count(&self, job_id: i64) -> Result<i64, StoreError> {
        self.conn
            .prepare_cached("SELECT queued FROM job WHERE id = ?1")
            .and_then(|mut query| query.query_row([job_id], |row| row.cell(0)))
            .map_err(|e| self.failed("read the queue", e))
    }

    /// Claims a queued run for a slot: its next attempt is on record before a process exists. The run as it is then, but for
    /// what is known of the attempt before; none if it is not queued any more.
    ///
    /// The claim's number grows, and begins with the time: one of another store, whose slots may still be there, is no match.
    pub(crate) fn claim_if_queued(
        &self,
        run: &RunRow,
        slot: u32,
        now: Wall,
    ) -> Result<Option<RunRow>, StoreError> {
        let claim = run.claim.saturating_add(1).max(now.secs());
        if run.attempt > 0 {
            self.keep_attempt(run.id)?;
        }
        let changed = self.change(
            "claim a run",
            "UPDATE OR ROLLBACK run SET state = 3, slot = ?2, claim = ?5, attempt = attempt + 1, started_at = ?3, ended_at = NULL, \
             first_started_at = CASE WHEN attempt = 0 THEN NULL WHEN first_started_at = ?4 THEN ?3 \
                 ELSE coalesce(first_started_at, started_at) END, \
             outcome = NULL, exit_code = NULL, signal = NULL, error = NULL, duration_ms = NULL, user_ms = NULL, \
             system_ms = NULL, max_rss_kib = NULL, output_bytes = NULL, pid = NULL, progress = NULL, result = NULL, stop = NULL, late_at = NULL \
             WHERE id = ?1 AND state = 2",
            params![run.id, slot, now.ms(), FRESH_BUDGET, claim],
        )?;
        let claimed = RunRow {
            attempt: run.attempt.saturating_add(1),
            claim,
            slot: Some(slot),
            ..run.clone()
        };
        Ok((changed == 1).then_some(claimed))
    }

    fn keep_attempt(&self, run: i64) -> Result<(), StoreError> {
        self.change(
            "keep an attempt",
            "INSERT OR REPLACE INTO attempt(run, attempt, started_at, ended_at, outcome, exit_code, signal, duration_ms, user_ms, \
             system_ms, max_rss_kib, output_bytes, pid, error) \
             SELECT id, attempt, started_at, started_at + duration_ms, outcome, exit_code, signal, duration_ms, user_ms, \
             system_ms, max_rss_kib, output_bytes, pid, error FROM run WHERE id = ?1 AND state = 2",
            [run],
        )
        .map(|_| ())
    }

    /// Takes a claim back that never became a process: the run is queued again and the attempt never was.
    pub(crate) fn unclaim_if_running(&self, run: i64, claim: i64) -> Result<bool, StoreError> {
        let changed = self.change(
            "take back a claim",
            "UPDATE run SET state = 2, attempt = attempt - 1, stop = NULL, \"by\" = NULL, \
             (started_at, ended_at, outcome, exit_code, signal, duration_ms, user_ms, system_ms, max_rss_kib, output_bytes, pid, \
              error) = (SELECT started_at, ended_at, outcome, exit_code, signal, duration_ms, user_ms, system_ms, max_rss_kib, \
              output_bytes, pid, error FROM attempt WHERE attempt.run = run.id AND attempt.attempt = run.attempt - 1) \
             WHERE id = ?1 AND state = 3 AND claim = ?2",
            params![run, claim],
        )?;
        self.change(
            "take back a claim",
            "DELETE FROM attempt WHERE run = ?1 AND attempt = (SELECT attempt FROM run WHERE id = ?1 AND state = 2)",
            [run],
        )?;
        Ok(changed == 1)
    }

    /// Writes down the end of an attempt and what follows. False: the run is not running under this claim any more.
    pub(crate) fn finish_if_running(&self, finish: &Finish<'_>) -> Result<bool, StoreError> {
        let (state, reason, due_at) = match finish.next {
            Next::Finish(verdict) => (verdict.state(), verdict.reason(), None),
            Next::RetryAt(at) | Next::PutOffTo(at) => (State::Retrying, None, Some(at)),
            Next::Requeue => (State::Queued, None, Some(finish.ended_at)),
        };
        // What is not charged is granted once more: the count of attempts goes on.
        let (granted, put_off) = match finish.next {
            Next::Finish(_) | Next::RetryAt(_) => (0, None),
            Next::Requeue => (1, None),
            Next::PutOffTo(_) => (1, Some(1)),
        };
        let error = match finish.outcome {
            Outcome::SpawnFailed { error, .. } => Some(error.as_str()),
            Outcome::Exited(_)
            | Outcome::Signaled(_)
            | Outcome::TimedOut { .. }
            | Outcome::Lost => finish.remark,
        };
        let is_lost = *finish.outcome == Outcome::Lost;
        let usage = finish.usage;
        let changed = self.change(
            "finish an attempt",
            "UPDATE OR ROLLBACK run SET state = ?3, reason = ?4, due_at = coalesce(?5, due_at), charged = charged + 1, max_attempts = max_attempts + ?6, \
             lost = CASE WHEN ?7 THEN coalesce(lost, 0) + 1 ELSE lost END, ended_at = ?8, outcome = ?9, exit_code = ?10, \
             signal = ?11, error = ?12, duration_ms = ?13, user_ms = ?14, system_ms = ?15, max_rss_kib = ?16, \
             output_bytes = ?17, pid = ?18, started_at = coalesce(?19, started_at), progress = ?20, \
             result = ?21, stop = NULL, slot = NULL, put_off = CASE WHEN ?22 THEN coalesce(put_off, 0) + 1 ELSE put_off END \
             WHERE id = ?1 AND state = 3 AND claim = ?2",
            params![
                finish.run,
                finish.claim,
                state.code(),
                reason.map(Reason::code),
                due_at.map(Wall::ms),
                granted,
                is_lost,
                finish.ended_at.ms(),
                finish.outcome.kind().code(),
                finish.outcome.exit_code(),
                finish.outcome.signal(),
                error,
                usage.map(|usage| usage.duration_ms),
                usage.map(|usage| usage.user_ms),
                usage.map(|usage| usage.system_ms),
                usage.map(|usage| usage.max_rss_kib),
                usage.map(|usage| usage.output_bytes),
                finish.pid,
                finish.started_at.map(Wall::ms),
                finish.report.progress,
                finish.report.result,
                put_off,
            ],
        )?;
        if changed == 1 {
            self.count_attempt(finish)?;
        }
        if changed == 1 && finish.next == Next::Finish(Verdict::Succeeded) && finish.is_occurrence {
            self.acknowledge_earlier(finish)?;
        }
        Ok(changed == 1)
    }

    fn count_attempt(&self, finish: &Finish<'_>) -> Result<(), StoreError> {
        let ms = finish.usage.map_or(0, |usage| usage.duration_ms);
        let duration = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        self.change(
            "count an attempt",
            "INSERT INTO tally(job, outcome, bucket, count, duration_ms) \
             VALUES ((SELECT job FROM run WHERE id = ?1), ?2, ?3, 1, ?4) \
             ON CONFLICT DO UPDATE SET count = count + 1, duration_ms = duration_ms + excluded.duration_ms",
            params![
                finish.run,
                finish.outcome.kind().code(),
                tally::bucket(duration),
                ms
            ],
        )
        .map(|_| ())
    }

    /// Ends the occurrences of a job that are retrying: a new one, `by`, takes their place. Those runs and their attempts.
    pub(crate) fn supersede_retrying(
        &self,
        job_id: i64,
        by: i64,
        now: Wall,
    ) -> Result<Vec<(i64, u32)>, StoreError> {
        // Asked at every occurrence, nearly always for nothing: the counter answers at a tenth of the cost of an empty UPDATE.
        let retrying: i64 = self
            .conn
            .prepare_cached("SELECT retrying FROM job WHERE id = ?1")
            .and_then(|mut query| query.query_row([job_id], |row| row.cell(0)))
            .map_err(|e| self.failed("read who is retrying", e))?;
        if retrying == 0 {
            return Ok(Vec::new());
        }
        self.conn
            .prepare_cached(&format!(
                "UPDATE run SET state = 6, reason = ?3, \"by\" = ?2, ended_at = ?4 \
                 WHERE state = 4 AND job {OF_JOB} AND cause IN (1, 2) AND id <> ?2 RETURNING id, attempt",
            ))
            .and_then(|mut update| {
                let values = params![job_id, by, Reason::Superseded.code(), now.ms()];
                update
                    .query_map(values, |row| Ok((row.cell(0)?, row.cell(1)?)))?
                    .collect()
            })
            .map_err(|e| self.failed("supersede a run", e))
    }

    /// Skips occurrences of a job that are queued for longer than their start deadline allows. How many.
    pub(crate) fn skip_overdue(
        &self,
        job_id: i64,
        due_before: Wall,
        now: Wall,
    ) -> Result<usize, StoreError> {
        self.change(
            "skip overdue occurrences",
            "UPDATE run SET state = 7, reason = ?3, ended_at = ?4 \
             WHERE job = ?1 AND state < 5 AND state = 2 AND due_at < ?2 AND scheduled_at IS NOT NULL AND cause IN (1, 2) AND attempt = 0",
            params![job_id, due_before.ms(), Reason::Missed.code(), now.ms()],
        )
    }

    /// Ends the waiting occurrences of a job that is gone from the jobfile; its items stay. How many.
    pub(crate) fn skip_removed(&self, job_id: i64, now: Wall) -> Result<usize, StoreError> {
        self.change(
            "skip the occurrences of a removed job",
            &format!(
                "UPDATE run SET state = 7, reason = ?2, ended_at = ?3 WHERE state < 5 AND state IN (1, 2, 4) AND job {OF_JOB} \
                 AND cause IN (1, 2)"
            ),
            params![job_id, Reason::JobRemoved.code(), now.ms()],
        )
    }

    /// Ends a run that waits and is not wanted any more; `by` is the run that takes its place, if one does.
    pub(crate) fn cancel_if_queued(
        &self,
        run: i64,
        reason: Reason,
        by: Option<i64>,
        now: Wall,
    ) -> Result<bool, StoreError> {
        let changed = self.change(
            "cancel a run",
            "UPDATE run SET state = 8, reason = ?2, \"by\" = ?3, ended_at = ?4 WHERE id = ?1 AND state = 2",
            params![run, reason.code(), by, now.ms()],
        )?;
        Ok(changed == 1)
    }

    /// Writes down who wants a running attempt to end; `by` is the run that takes its place.
    pub(crate) fn ask_stop(
        &self,
        run: i64,
        stopped: Stopped,
        by: Option<i64>,
    ) -> Result<bool, StoreError> {
        let changed = self.change(
            "ask a run to stop",
            "UPDATE run SET stop = ?2, \"by\" = ?3 WHERE id = ?1 AND state = 3 AND stop IS NULL",
            params![run, stopped_code(stopped), by],
        )?;
        Ok(changed == 1)
    }

    /// Running runs that somebody wants to end: run and claim.
    pub(crate) fn stops_asked(&self) -> Result<Vec<(i64, i64)>, StoreError> {
        self.conn
            .prepare_cached("SELECT id, claim FROM run WHERE state = 3 AND stop IS NOT NULL")
            .and_then(|mut query| {
                query.query_map([], |row| Ok((row.cell(0)?, row.cell(1)?)))?.collect()
            })
            .map_err(|e| self.failed("read who is to stop", e))
    }

    /// Writes down that no supervisor was there.
    pub(crate) fn record_downtime(&self, from: Wall, to: Wall) -> Result<(), StoreError> {
        self.change(
            "record downtime",
            "INSERT INTO downtime(from_at, to_at) VALUES (?1, ?2)",
            params![from.ms(), to.ms()],
        )
        .map(|_| ())
    }

    /// Sets or clears a value of the table `meta`.
    pub(crate) fn set_meta(
        &self,
        key: &str,
        value: Option<&dyn rusqlite::ToSql>,
    ) -> Result<(), StoreError> {
        match value {
            Some(value) => self.change(
                "write the store",
                "INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)",
                params![key, value],
            ),
            None => self.change("write the store", "DELETE FROM meta WHERE key = ?1", [key]),
        }
        .map(|_| ())
    }
}
