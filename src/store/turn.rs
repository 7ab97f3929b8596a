//! The verbs of the supervisor. All of one turn of its loop are one transaction: `begin`, verbs,
//! `commit` or `rollback`.
//!
//! A turn in which a verb fails is undone as a whole, so the statements of every run say `OR
//! ROLLBACK`: SQLite then keeps no copy of what each of them changes, which was a third of their
//! cost.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{ToSql, params};

use super::sql::{
    CANCELLED, FAILED, FAILURE, IS_OCCURRENCE, MAIL, OF_JOB, QUEUED, RETRYING, RUNNING, SCHEDULED,
    SKIPPED, STAGED, SUCCEEDED, sql,
};
use super::types::{Finish, NewOccurrence, NewSkip, RunRow, next_claim};
use super::{Store, StoreError};
use crate::core::retry::{Budget, Next, Stopped};
use crate::core::run::{Reason, State, Verdict};
use crate::core::tally;
use crate::core::terms::Terms;
use crate::core::time::Wall;

/// Runs that fall due in one turn at the most: more are a turn of their own, so that starting and
/// reaping never wait for long.
const QUEUED_AT_ONCE: u32 = 2000;

impl Store {
    /// Puts down an occurrence that is to be executed. Its id; none if it is there already and
    /// unfinished.
    pub(crate) fn insert_occurrence(&self, new: &NewOccurrence) -> Result<Option<i64>, StoreError> {
        let state = if new.due_at > new.now { State::Scheduled } else { State::Queued };
        let inserted = self.change(
            "plan an occurrence",
            "INSERT OR ROLLBACK INTO run(job, state, cause, created_at, scheduled_at, due_at, \
             priority, max_attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT DO NOTHING",
            params![
                new.job_id,
                state,
                new.cause,
                new.now,
                new.scheduled_at,
                new.due_at,
                new.priority,
                new.max_attempts
            ],
        )?;
        Ok((inserted == 1).then(|| self.conn.last_insert_rowid()))
    }

    /// Puts down occurrences that are not executed, as one row: a former row of the same cause is
    /// extended if it is still the job's newest run.
    pub(crate) fn record_skip(&self, skip: &NewSkip) -> Result<i64, StoreError> {
        let last = skip.last_scheduled_at.unwrap_or(skip.scheduled_at);
        let since = skip.same_since.map_or(i64::MAX, Wall::ms);
        let extended: Option<i64> = self.one(
            "record a skip",
            sql! {"UPDATE run SET count = coalesce(count, 1) + ?5, last_scheduled_at = ?4 \
            WHERE id = (SELECT max(id) FROM run WHERE job = ?1) AND state = {SKIPPED} \
            AND reason = ?2 AND \"by\" IS ?3 AND scheduled_at IS NOT NULL \
            AND created_at >= ?6 AND coalesce(last_scheduled_at, scheduled_at) < ?4 \
            RETURNING id"},
            params![skip.job_id, skip.reason, skip.by, last, skip.count, since],
        )?;
        if let Some(id) = extended {
            return Ok(id);
        }
        let count = (skip.count > 1).then_some(skip.count);
        self.change(
            "record a skip",
            sql! {"INSERT INTO run(job, state, cause, created_at, scheduled_at, ended_at, reason, \
            \"by\", count, last_scheduled_at) VALUES (?1, {SKIPPED}, ?2, ?3, ?4, ?3, ?5, ?6, \
            ?7, ?8)"},
            params![
                skip.job_id,
                skip.cause,
                skip.now,
                skip.scheduled_at,
                skip.reason,
                skip.by,
                count,
                skip.last_scheduled_at
            ],
        )?;
        Ok(self.conn.last_insert_rowid())
    }

    /// When the bucket of a job's rate is full (`core::rate`); none if nothing was ever taken from
    /// it.
    pub(crate) fn rate_at(&self, job_id: i64) -> Result<Option<i64>, StoreError> {
        self.value("read a rate", "SELECT rate_at FROM job WHERE id = ?1", [job_id])
    }

    /// Writes down that something was taken from it.
    pub(crate) fn set_rate_at(&self, job_id: i64, full_at: i64) -> Result<(), StoreError> {
        self.execute(
            "write a rate",
            "UPDATE job SET rate_at = ?2 WHERE id = ?1",
            params![job_id, full_at],
        )
    }

    /// Says that all occurrences of a job up to `at` are decided. The caller decides whether it may
    /// move back.
    pub(crate) fn move_watermark(&self, job_id: i64, at: Wall) -> Result<(), StoreError> {
        self.execute(
            "move a watermark",
            "UPDATE job SET watermark = ?2 WHERE id = ?1",
            params![job_id, at],
        )
    }

    /// Up to where the occurrences of a job are decided.
    pub(crate) fn watermark(&self, job_id: i64) -> Result<Option<Wall>, StoreError> {
        self.value("read a watermark", "SELECT watermark FROM job WHERE id = ?1", [job_id])
    }

    /// Lets the `@every` grid of a job begin at `at`.
    pub(crate) fn move_grid(&self, job_id: i64, at: Wall) -> Result<(), StoreError> {
        self.execute(
            "move a grid",
            "UPDATE job SET grid_at = ?2 WHERE id = ?1",
            params![job_id, at],
        )
    }

    /// After the clock was set back to `now`: what was promised by the clock as it was is told from
    /// now on. Retries keep their delay, pauses their length and what expires its span, what is
    /// queued is due, and the time of `give_up_after` begins again. What is `scheduled` for a time
    /// stays where somebody put it.
    pub(crate) fn bring_back_to(&self, now: Wall) -> Result<(), StoreError> {
        for sql in [
            sql! {"UPDATE run SET due_at = ?1 + max(due_at - ended_at, 0) \
            WHERE state IN ({SCHEDULED}, {RETRYING}) AND state = {RETRYING} \
            AND due_at > ?1 AND ended_at > ?1"},
            sql! {"UPDATE run SET due_at = ?1 WHERE state < {SUCCEEDED} AND state = {QUEUED} \
            AND due_at > ?1"},
            // It counts as added now from then on, or another step back would take what is left for
            // the span.
            sql! {"UPDATE run SET expires_at = ?1 + max(expires_at - created_at, 0), created_at = \
            ?1 WHERE expires_at IS NOT NULL AND state < {RUNNING} AND attempt = 0 \
            AND (state = {QUEUED} OR (state = {SCHEDULED} AND due_at IS NULL)) \
            AND created_at > ?1"},
            sql! {"UPDATE run SET began_at = ?1 WHERE state < {SUCCEEDED} \
            AND state IN ({QUEUED}, {RUNNING}, {RETRYING}) AND attempt > 0 AND began_at > ?1"},
            "UPDATE job SET rate_at = ?1 * 1000 WHERE rate_at > ?1 * 1000",
            "UPDATE job SET paused_until = ?1 + (paused_until - paused_at), paused_at = ?1 \
             WHERE paused_at > ?1",
            "UPDATE meta SET value = ?1 + (value - (SELECT value FROM meta \
             WHERE key = 'paused_at')) WHERE key = 'paused_until' AND value IS NOT NULL \
             AND (SELECT value FROM meta WHERE key = 'paused_at') > ?1",
            "UPDATE meta SET value = ?1 WHERE key = 'paused_at' AND value > ?1",
            "UPDATE notice SET due_at = ?1 + max(due_at - at, 0), at = ?1 WHERE is_done = 0 \
             AND at > ?1",
            sql! {"UPDATE notice SET due_at = ?1 WHERE is_done = 1 AND due_at > ?1 \
            AND (event = {FAILURE} OR means = {MAIL})"},
            "UPDATE job SET expect_from = min(expect_from, ?1), well_at = min(well_at, ?1) \
             WHERE expect > 0",
        ] {
            self.change("follow a clock that was set back", sql, [now.ms()])?;
        }
        Ok(())
    }

    /// Queues what was due later and is due now, a bounded number of runs at a time. The jobs
    /// concerned.
    pub(crate) fn queue_due(&self, now: Wall) -> Result<BTreeSet<i64>, StoreError> {
        self.all(
            "queue due runs",
            sql! {"UPDATE run SET state = {QUEUED}, \
            due_at = min(coalesce(first_due_at, due_at), due_at) WHERE id IN (SELECT id FROM run \
            WHERE state IN ({SCHEDULED}, {RETRYING}) AND due_at <= ?1 ORDER BY due_at \
            LIMIT ?2) RETURNING job"},
            params![now, QUEUED_AT_ONCE],
        )
    }

    /// Cancels what was to be started before `now` and was not, a bounded number of runs at a time.
    /// The jobs concerned.
    pub(crate) fn expire_due(&self, now: Wall) -> Result<BTreeSet<i64>, StoreError> {
        self.all(
            "cancel expired runs",
            sql! {"UPDATE run SET state = {CANCELLED}, reason = ?2, ended_at = ?1 \
            WHERE id IN (SELECT id FROM run WHERE expires_at IS NOT NULL \
            AND state < {RUNNING} AND state > {STAGED} AND attempt = 0 \
            AND expires_at <= ?1 LIMIT ?3) RETURNING job"},
            params![now, Reason::Expired, QUEUED_AT_ONCE],
        )
    }

    /// When the next run expires that has not been started.
    pub(crate) fn next_expiry_at(&self) -> Result<Option<Wall>, StoreError> {
        self.value(
            "read expiring runs",
            sql! {"SELECT min(expires_at) FROM run WHERE expires_at IS NOT NULL \
            AND state < {RUNNING} AND state > {STAGED} AND attempt = 0"},
            [],
        )
    }

    /// When the next run that is due later falls due.
    pub(crate) fn next_due_at(&self) -> Result<Option<Wall>, StoreError> {
        self.value(
            "read due runs",
            sql!("SELECT min(due_at) FROM run WHERE state IN ({SCHEDULED}, {RETRYING})"),
            [],
        )
    }

    /// Jobs that have queued runs.
    pub(crate) fn queued_jobs(&self) -> Result<Vec<i64>, StoreError> {
        self.all("read the queue", "SELECT id FROM job WHERE queued > 0", [])
    }

    /// Jobs that are paused: since when, until when.
    pub(crate) fn paused_jobs(&self) -> Result<Vec<(i64, Wall, Option<Wall>)>, StoreError> {
        self.all(
            "read pauses",
            "SELECT id, paused_at, paused_until FROM job WHERE paused_at IS NOT NULL",
            [],
        )
    }

    /// Returns how many runs of a job are queued.
    pub(crate) fn queued_count(&self, job_id: i64) -> Result<i64, StoreError> {
        self.value("read the queue", "SELECT queued FROM job WHERE id = ?1", [job_id])
    }

    /// Claims a queued run for a slot: its next attempt is on record, with what will judge its end,
    /// before a process exists. The run as it is then, but for what is known of the attempt before;
    /// none if it is not queued any more.
    pub(crate) fn claim_if_queued(
        &self,
        run: &RunRow,
        slot: u32,
        terms: &Terms,
        now: Wall,
    ) -> Result<Option<RunRow>, StoreError> {
        let claim = next_claim(run.claim, now);
        let attempt = run.attempt.saturating_add(1);
        let budget = run.budget.at_claim(attempt, now);
        let is_claimed = self.change_one(
            "claim a run",
            sql! {"UPDATE OR ROLLBACK run SET state = {RUNNING}, claim = ?2, attempt = ?3, began_at \
            = ?4, ended_at = NULL, stop = NULL WHERE id = ?1 AND state = {QUEUED}"},
            params![run.id, claim, attempt, budget.began_at],
        )?;
        if !is_claimed {
            return Ok(None);
        }
        self.execute(
            "claim a run",
            "INSERT OR REPLACE INTO attempt(run, attempt, policy, slot, started_at) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![run.id, attempt, self.intern(terms)?, slot, now],
        )?;
        Ok(Some(RunRow { attempt, claim, budget, slot: Some(slot), ..run.clone() }))
    }

    /// Takes a claim back that never became a process: the run is queued again and the attempt
    /// never was.
    pub(crate) fn unclaim_if_running(&self, run: i64, claim: i64) -> Result<bool, StoreError> {
        let is_queued = self.change_one(
            "take back a claim",
            sql! {"UPDATE run SET state = {QUEUED}, attempt = attempt - 1, stop = NULL, \"by\" = \
            NULL WHERE id = ?1 AND state = {RUNNING} AND claim = ?2"},
            params![run, claim],
        )?;
        if is_queued {
            self.execute(
                "take back a claim",
                "DELETE FROM attempt WHERE run = ?1 \
                 AND attempt > (SELECT attempt FROM run WHERE id = ?1)",
                [run],
            )?;
        }
        Ok(is_queued)
    }

    /// Writes down the end of an attempt and what follows. False: the run is not running under this
    /// claim any more.
    pub(crate) fn finish_if_running(&self, finish: &Finish<'_>) -> Result<bool, StoreError> {
        let (state, reason, due_at) = match finish.next {
            Next::Finish(verdict) => (verdict.state(), verdict.reason(), None),
            Next::RetryAt(at) | Next::PutOffTo(at) => (State::Retrying, None, Some(at)),
            Next::Requeue => (State::Queued, None, None),
        };
        let Budget { charged, max, lost, put_off, began_at, .. } = finish.budget;
        let is_finished = self.change_one(
            "finish an attempt",
            sql! {"UPDATE OR ROLLBACK run SET state = ?3, reason = ?4, due_at = coalesce(?5, \
            due_at), first_due_at = coalesce(first_due_at, iif(?5 IS NULL, NULL, due_at)), \
            charged = ?6, max_attempts = ?7, lost = ?8, put_off = ?9, began_at = ?10, \
            ended_at = ?11, stop = NULL WHERE id = ?1 AND state = {RUNNING} AND claim = ?2"},
            params![
                finish.run.id,
                finish.run.claim,
                state,
                reason,
                due_at,
                charged,
                max,
                lost,
                put_off,
                began_at,
                finish.ended_at,
            ],
        )?;
        if is_finished {
            self.end_attempt(finish)?;
            self.count_attempt(finish)?;
            let is_success = finish.next == Next::Finish(Verdict::Succeeded);
            if is_success && finish.run.cause.is_occurrence() {
                self.acknowledge_earlier(finish)?;
            }
        }
        Ok(is_finished)
    }

    fn end_attempt(&self, finish: &Finish<'_>) -> Result<(), StoreError> {
        let usage = finish.usage;
        self.execute(
            "finish an attempt",
            "UPDATE OR ROLLBACK attempt SET slot = NULL, started_at = coalesce(?3, started_at), \
             outcome = ?4, exit_code = ?5, signal = ?6, error = ?7, duration_ms = ?8, user_ms = ?9, \
             system_ms = ?10, max_rss_kib = ?11, output_bytes = ?12, pid = ?13, progress = ?14, \
             result = ?15 WHERE run = ?1 AND attempt = ?2",
            params![
                finish.run.id,
                finish.run.attempt,
                finish.started_at,
                finish.outcome.kind(),
                finish.outcome.exit_code(),
                finish.outcome.signal(),
                finish.outcome.error().or(finish.remark),
                usage.map(|usage| usage.duration_ms),
                usage.map(|usage| usage.user_ms),
                usage.map(|usage| usage.system_ms),
                usage.map(|usage| usage.max_rss_kib),
                usage.map(|usage| usage.output_bytes),
                finish.pid,
                finish.report.progress,
                finish.report.result,
            ],
        )
    }

    fn count_attempt(&self, finish: &Finish<'_>) -> Result<(), StoreError> {
        let ms = finish.usage.map_or(0, |usage| usage.duration_ms);
        let duration = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        self.execute(
            "count an attempt",
            "INSERT INTO tally(job, outcome, bucket, count, duration_ms) VALUES ((SELECT job \
             FROM run WHERE id = ?1), ?2, ?3, 1, ?4) ON CONFLICT DO UPDATE \
             SET count = count + 1, duration_ms = duration_ms + excluded.duration_ms",
            params![finish.run.id, finish.outcome.kind(), tally::bucket(duration), ms],
        )
    }

    /// Ends the occurrences of a job that are retrying: a new one, `by`, takes their place. Those
    /// runs and their attempts.
    pub(crate) fn supersede_retrying(
        &self,
        job_id: i64,
        by: i64,
        now: Wall,
    ) -> Result<Vec<(i64, u32)>, StoreError> {
        // Asked at every occurrence, nearly always for nothing: the counter answers at a tenth of
        // the cost of an empty UPDATE.
        let retrying: i64 =
            self.value("read retrying runs", "SELECT retrying FROM job WHERE id = ?1", [job_id])?;
        if retrying == 0 {
            return Ok(Vec::new());
        }
        self.all(
            "supersede a run",
            sql! {"UPDATE run SET state = {FAILED}, reason = ?3, \"by\" = ?2, ended_at = ?4 \
            WHERE state = {RETRYING} AND job {OF_JOB} AND {IS_OCCURRENCE} \
            AND id <> ?2 RETURNING id, attempt"},
            params![job_id, by, Reason::Superseded, now],
        )
    }

    /// Skips occurrences of a job that are queued for longer than their start deadline allows. How
    /// many.
    pub(crate) fn skip_overdue(
        &self,
        job_id: i64,
        due_before: Wall,
        now: Wall,
    ) -> Result<usize, StoreError> {
        self.change(
            "skip overdue occurrences",
            sql! {"UPDATE run SET state = {SKIPPED}, reason = ?3, ended_at = ?4 WHERE job = ?1 \
            AND state < {SUCCEEDED} AND state = {QUEUED} AND due_at < ?2 \
            AND scheduled_at IS NOT NULL AND {IS_OCCURRENCE} AND attempt = 0"},
            params![job_id, due_before, Reason::Missed, now],
        )
    }

    /// Ends the waiting occurrences of a job that is gone from the jobfile; its items stay. How
    /// many.
    pub(crate) fn skip_removed(&self, job_id: i64, now: Wall) -> Result<usize, StoreError> {
        self.change(
            "skip the occurrences of a removed job",
            sql! {"UPDATE run SET state = {SKIPPED}, reason = ?2, ended_at = ?3 \
            WHERE state < {SUCCEEDED} AND state IN ({SCHEDULED}, {QUEUED}, {RETRYING}) \
            AND job {OF_JOB} AND {IS_OCCURRENCE}"},
            params![job_id, Reason::JobRemoved, now],
        )
    }

    /// Ends a run that waits and is not wanted any more; `by` is the run that takes its place, if
    /// one does.
    pub(crate) fn cancel_if_queued(
        &self,
        run: i64,
        reason: Reason,
        by: Option<i64>,
        now: Wall,
    ) -> Result<bool, StoreError> {
        self.change_one(
            "cancel a run",
            sql! {"UPDATE run SET state = {CANCELLED}, reason = ?2, \"by\" = ?3, ended_at = ?4 \
            WHERE id = ?1 AND state = {QUEUED}"},
            params![run, reason, by, now],
        )
    }

    /// Writes down who wants a running attempt to end; `by` is the run that takes its place.
    pub(crate) fn ask_stop(
        &self,
        run: i64,
        stopped: Stopped,
        by: Option<i64>,
    ) -> Result<bool, StoreError> {
        self.change_one(
            "ask a run to stop",
            sql! {"UPDATE run SET stop = ?2, \"by\" = ?3 WHERE id = ?1 AND state = {RUNNING} \
            AND stop IS NULL"},
            params![run, stopped, by],
        )
    }

    /// Running runs that somebody wants to end: run and claim.
    pub(crate) fn stops_asked(&self) -> Result<Vec<(i64, i64)>, StoreError> {
        self.all(
            "read runs to stop",
            sql!("SELECT id, claim FROM run WHERE state = {RUNNING} AND stop IS NOT NULL"),
            [],
        )
    }

    /// Sets a value of the table `meta`, or none.
    pub(crate) fn set_meta(&self, key: &str, value: impl ToSql) -> Result<(), StoreError> {
        self.execute(
            "write the store",
            "INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)",
            params![key, value],
        )
    }
}
