//! Numbers for monitoring and statistics: what counters and tallies say, and how long attempts
//! took.

use rusqlite::params;

use super::cells::reads;
use super::sql::{QUEUED, RETRYING, RUNS, SUCCEEDED, TIMED_OUT, sql};
use super::{Store, StoreError};
use crate::core::run::{Cause, OutcomeKind, Reason, State};
use crate::core::time::Wall;

/// The runs of a queue that its pace is measured by.
const PACE_RUNS: u32 = 200;

/// The numbers of a job that are no row of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobNumbers {
    /// The job.
    pub(crate) id: i64,
    /// Runs that ever ended, in the order of `State::ALL` behind `retrying`.
    pub(crate) ended: [i64; 4],
    /// When the run that waits longest fell due.
    pub(crate) oldest_due_at: Option<Wall>,
}

/// The number of attempts of a job with an outcome and a duration within a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The job.
    pub(crate) job_id: i64,
    /// How they ended.
    pub(crate) outcome: OutcomeKind,
    /// How long they took (`core::tally`).
    pub(crate) bucket: i64,
    /// How many.
    pub(crate) count: i64,
    /// How long all of them took.
    pub(crate) duration_ms: i64,
}

/// A run that has ended, as statistics see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PastRun {
    /// What became of it.
    pub(crate) state: State,
    /// Why.
    pub(crate) reason: Option<Reason>,
    /// Where it came from.
    pub(crate) cause: Cause,
    /// How many occurrences it stands for.
    pub(crate) count: i64,
    /// When it ended.
    pub(crate) ended_at: Wall,
    /// Attempts.
    pub(crate) attempt: u32,
    /// How long its newest attempt took.
    pub(crate) duration_ms: Option<i64>,
    /// Whether that ran into its timeout.
    pub(crate) has_timed_out: bool,
    /// When its newest attempt was due.
    pub(crate) due_at: Option<Wall>,
}

/// A run that has ended, as a glance sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecentRun {
    /// Its number.
    pub(crate) id: i64,
    /// What became of it.
    pub(crate) state: State,
    /// Attempts.
    pub(crate) attempt: u32,
    /// How long its newest attempt took.
    pub(crate) duration_ms: Option<i64>,
}

/// How fast a queue was lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// So many runs ended.
    pub(crate) ended: i64,
    /// The first of them started then.
    pub(crate) since: Wall,
}

reads!(Tally: job_id outcome bucket count duration_ms);
reads!(PastRun: state reason cause count ended_at attempt duration_ms has_timed_out due_at);
reads!(RecentRun: id state attempt duration_ms);
reads!(Pace: ended since);

impl Store {
    /// Changes of rows by this connection so far.
    pub(crate) fn changes(&self) -> u64 {
        self.conn.total_changes()
    }

    /// A number that is another one when something was committed since: of the file, as one reader
    /// after the other sees it.
    pub(crate) fn stamp(&self) -> Result<i64, StoreError> {
        Ok(self.meta("commits")?.unwrap_or(0))
    }

    /// The numbers of all jobs.
    pub(crate) fn job_numbers(&self) -> Result<Vec<JobNumbers>, StoreError> {
        let jobs: Vec<(i64, [i64; 4], bool)> = self.all(
            "read jobs",
            "SELECT id, ended_succeeded, ended_failed, ended_skipped, ended_cancelled, queued > 0 \
             FROM job WHERE moves_to IS NULL ORDER BY name",
            [],
        )?;
        let numbers = jobs.into_iter().map(|(id, ended, has_queued)| {
            let oldest_due_at = if has_queued { self.oldest_due_at(id)? } else { None };
            Ok(JobNumbers { id, ended, oldest_due_at })
        });
        numbers.collect()
    }

    /// When the queued run of a job that waits longest fell due: the first of each priority, by the
    /// index, whatever the number of runs.
    fn oldest_due_at(&self, job_id: i64) -> Result<Option<Wall>, StoreError> {
        let mut oldest: Option<Wall> = None;
        let mut below = i64::MAX;
        loop {
            let head: Option<(i64, Option<Wall>)> = self.one(
                "read the queue",
                sql! {"SELECT priority, due_at FROM run WHERE job = ?1 AND state = {QUEUED} \
                AND held IS NULL AND priority < ?2 ORDER BY priority DESC, due_at LIMIT 1"},
                [job_id, below],
            )?;
            let Some((priority, due_at)) = head else {
                let held = self.oldest_held_at(job_id)?;
                return Ok(oldest.into_iter().chain(held).min());
            };
            oldest = oldest.into_iter().chain(due_at).min();
            below = priority;
        }
    }

    /// The same of those that wait in a lane, of which there may be many.
    fn oldest_held_at(&self, job_id: i64) -> Result<Option<Wall>, StoreError> {
        self.value(
            "read the queue",
            sql!("SELECT min(due_at) FROM run WHERE job = ?1 AND state = {QUEUED} AND held = 1"),
            [job_id],
        )
    }

    /// Returns outcomes and durations of attempts, by job.
    pub(crate) fn tallies(&self) -> Result<Vec<Tally>, StoreError> {
        self.all(
            "read tallies",
            "SELECT job, outcome, bucket, count, duration_ms FROM tally \
             ORDER BY job, outcome, bucket",
            [],
        )
    }

    /// The sums of running, queued (also due later), retrying and failed runs over all jobs.
    pub(crate) fn totals(&self) -> Result<[i64; 4], StoreError> {
        self.value(
            "read jobs",
            "SELECT coalesce(sum(running), 0), coalesce(sum(queued + scheduled), 0), \
             coalesce(sum(retrying), 0), coalesce(sum(failed), 0) FROM job",
            [],
        )
    }

    /// The ended runs of a job since `since`, newest first, at most `limit`.
    pub(crate) fn past_runs(
        &self,
        job_id: i64,
        since: Wall,
        limit: u32,
    ) -> Result<Vec<PastRun>, StoreError> {
        self.all(
            "read runs",
            sql! {"SELECT state, reason, cause, coalesce(count, 1), ended_at, run.attempt, \
            duration_ms, outcome IS {TIMED_OUT}, run.due_at FROM {RUNS} WHERE run.job = ?1 \
            AND state > {RETRYING} AND ended_at >= ?2 ORDER BY run.id DESC LIMIT ?3"},
            params![job_id, since, limit],
        )
    }

    /// The newest ended runs of a job, newest first, `limit` at the most. Only a few of its newest
    /// runs are looked at, and of those that were put down before `last_run`: a long queue in front
    /// of them costs nothing.
    pub(crate) fn recent_runs(
        &self,
        job_id: i64,
        last_run: i64,
        limit: usize,
    ) -> Result<Vec<RecentRun>, StoreError> {
        let mut recent = self.recent_runs_until(job_id, i64::MAX, limit)?;
        let oldest = recent.last().map_or(i64::MAX, |run| run.id);
        if recent.len() < limit && oldest > 1 {
            let older = self.recent_runs_until(job_id, last_run.min(oldest - 1), limit)?;
            recent.extend(older);
            recent.truncate(limit);
        }
        Ok(recent)
    }

    fn recent_runs_until(
        &self,
        job_id: i64,
        until: i64,
        limit: usize,
    ) -> Result<Vec<RecentRun>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all(
            "read runs",
            sql! {"SELECT id, state, attempt, duration_ms FROM (SELECT run.id, state, run.attempt, \
            duration_ms FROM {RUNS} WHERE run.job = ?1 AND run.id <= ?2 ORDER BY run.id DESC \
            LIMIT ?3 + 4) WHERE state > {RETRYING} LIMIT ?3"},
            params![job_id, until, limit],
        )
    }

    /// How fast the newest runs of a job ended, of those that ended at or after `since`; none if
    /// there are none. Only some runs up to `last_run` are looked at.
    pub(crate) fn pace(
        &self,
        job_id: i64,
        last_run: i64,
        since: Wall,
    ) -> Result<Option<Pace>, StoreError> {
        self.one(
            "read runs",
            sql! {"SELECT count(*), min(started_at) FROM (SELECT run.state, run.ended_at, \
            attempt.started_at FROM {RUNS} WHERE run.job = ?1 AND run.id <= ?2 \
            ORDER BY run.id DESC LIMIT {PACE_RUNS}) WHERE state > {RETRYING} AND ended_at >= ?3 \
            AND started_at IS NOT NULL HAVING count(*) > 0"},
            params![job_id, last_run, since],
        )
    }

    /// How many runs of a job without a schedule have ended since its queue was last empty; none
    /// if a store does not know.
    pub(crate) fn ended_since_empty(&self, job_id: i64) -> Result<Option<i64>, StoreError> {
        self.value(
            "read jobs",
            "SELECT ended_succeeded + ended_failed + ended_skipped + ended_cancelled - (SELECT value \
             FROM meta WHERE key = 'ended_when_empty_' || job.id) FROM job WHERE id = ?1",
            [job_id],
        )
    }

    /// The queued runs by job and by the stretch of `step_ms` from `begin` on in which they fell
    /// due; those from before are in stretch -1. Of a very long queue only the first ones count.
    pub(crate) fn queued_by_due(
        &self,
        begin: Wall,
        step_ms: i64,
    ) -> Result<Vec<(i64, i64, i64)>, StoreError> {
        self.all(
            "read the queue",
            sql! {"SELECT job, CASE WHEN due_at < ?1 THEN -1 ELSE (due_at - ?1) / ?2 END AS nth, \
            count(*) FROM (SELECT job, due_at FROM run WHERE state < {SUCCEEDED} AND state = {QUEUED} \
            LIMIT 100000) GROUP BY job, nth"},
            params![begin, step_ms],
        )
    }

    /// Bytes of the store: its file and its log.
    pub(crate) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |meta| meta.len()) + self.log_len()
    }

    /// Returns how long the longest turn of the supervisor's loop took in the last minute in which
    /// something happened.
    pub(crate) fn loop_lag_ms(&self) -> Result<Option<i64>, StoreError> {
        self.meta("loop_lag_ms")
    }

    /// The result of SQLite's own check: what is wrong, at most ten words; empty if nothing is.
    pub(crate) fn integrity(&self) -> Result<Vec<String>, StoreError> {
        let found: Vec<String> = self.all("check the store", "PRAGMA quick_check(10)", [])?;
        Ok(found.into_iter().filter(|word| word != "ok").collect())
    }
}
