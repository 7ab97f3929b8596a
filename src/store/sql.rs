//! How statements are asked, and the names of what they say in numbers.

use std::fmt;

use rusqlite::{Connection, Params};

use super::cells::{Columns, Read};
use super::hold::Unstopped;
use super::{Store, StoreError};
use crate::core::notice::{Event, Means};
use crate::core::run::{Cause, OutcomeKind, Reason, State};

/// A statement with the names of this file in braces. It is made once.
macro_rules! sql {
    ($text:literal) => {{
        static SQL: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| format!($text));
        SQL.as_str()
    }};
}

pub(super) use sql;

/// The names of numbers. A trigger and a view have them, too (`schema.sql`).
macro_rules! names {
    ($($name:ident = $of:expr;)+) => {
        $(pub(super) const $name: i64 = $of.code();)+
    };
}

/// What finders and batches have put down and nobody counts yet; no state of its own for anybody
/// else.
pub(super) const STAGED: i64 = 0;

names! {
    SCHEDULED = State::Scheduled;
    QUEUED = State::Queued;
    RUNNING = State::Running;
    RETRYING = State::Retrying;
    SUCCEEDED = State::Succeeded;
    FAILED = State::Failed;
    SKIPPED = State::Skipped;
    CANCELLED = State::Cancelled;
    SCHEDULE = Cause::Schedule;
    CATCH_UP = Cause::CatchUp;
    EXEC = Cause::Exec;
    EXIT = Reason::Exit;
    OVERLAP = Reason::Overlap;
    MISSED = Reason::Missed;
    TIMED_OUT = OutcomeKind::TimedOut;
    FAILURE = Event::Failure;
    RECOVERY = Event::Recovery;
    ATTEMPT_FAILURE = Event::AttemptFailure;
    MAIL = Means::Mail;
}

/// A part of statements that has names in it.
pub(super) struct Part(pub(super) fn() -> String);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0())
    }
}

/// The run is an occurrence of a schedule, as opposed to an item.
pub(super) const IS_OCCURRENCE: Part = Part(|| format!("cause IN ({SCHEDULE}, {CATCH_UP})"));

/// The run runs: in words that the index of unfinished runs answers.
pub(super) const IS_RUNNING: Part =
    Part(|| format!("run.state < {SUCCEEDED} AND run.state = {RUNNING}"));

/// The run has not ended, or has failed and nobody has acknowledged that: its key is held.
pub(super) const HOLDS_KEY: Part =
    Part(|| format!("(state < {SUCCEEDED} OR (state = {FAILED} AND acked IS NULL))"));

/// After `run.job`: the job ?1, and those whose runs move to it.
pub(super) const OF_JOB: &str =
    "IN (SELECT ?1 UNION ALL SELECT job.id FROM job WHERE job.moves_to = ?1)";

/// The name of the row in which the runs of `job` go on.
pub(super) const HEIR_NAME: &str =
    "coalesce((SELECT heir.name FROM job AS heir WHERE heir.id = job.moves_to), job.name)";

/// In what order the queued runs of a job are claimed.
pub(super) const FIRST_QUEUED: &str = "ORDER BY run.priority DESC, run.due_at, run.id LIMIT 1";

/// Where a run stands; what is put down and in sight waits.
pub(super) const SEEN_STATE: Part = Part(|| {
    format!(
        "CASE WHEN run.state > {STAGED} THEN run.state \
         WHEN run.due_at IS NULL OR run.due_at > run.created_at THEN {SCHEDULED} ELSE {QUEUED} END"
    )
});

/// The number of the newest attempt: what runs has been claimed, whatever another hand has written
/// there.
const COUNTED_ATTEMPT: Part = Part(|| {
    format!(
        "iif(typeof(run.attempt) = 'integer', max(run.attempt, run.state = {RUNNING}), \
         run.state = {RUNNING})"
    )
});

/// Runs with their jobs and their newest attempts.
pub(super) const RUNS: &str = "run JOIN job ON job.id = run.job \
     LEFT JOIN attempt ON attempt.run = run.id AND attempt.attempt = run.attempt";

/// What is read of a [`RunRow`](super::RunRow), in its order; from [`RUNS`]. A run that has yet to
/// move to another row is shown as one of that.
pub(super) const RUN: Part = Part(|| {
    format!(
        "run.id, coalesce(job.moves_to, job.id), {HEIR_NAME}, {SEEN_STATE}, run.reason, iif(run.state > {STAGED}, run.\"by\", NULL), run.cause, \
         run.scheduled_at, run.last_scheduled_at, coalesce(run.count, 1), run.due_at, run.created_at, attempt.started_at, \
         iif(run.state > {RETRYING}, run.ended_at, NULL), {COUNTED_ATTEMPT}, run.charged, \
         run.max_attempts, run.lost, run.put_off, run.began_at, run.budget_from, attempt.outcome, attempt.exit_code, attempt.signal, \
         attempt.error, attempt.duration_ms, run.args, \
         coalesce(run.key, run.staged_key), run.priority, run.\"after\", run.expires_at, run.acked, run.stop, attempt.slot, \
         run.claim, attempt.progress, attempt.result, attempt.late_at, \
         (SELECT who.name FROM who WHERE who.id = run.created_by)"
    )
});

/// What keeps runs out of sight that a finder has fed and not finished; what it has finished is
/// queued.
pub(super) const IN_SIGHT: Part = Part(|| {
    format!("(run.state > {STAGED} OR run.feed IN (SELECT feed.id FROM feed WHERE feed.is_done))")
});

/// Asks prepared statements, which stay prepared.
pub(super) trait Ask {
    /// The first row, if there is one.
    fn one<T: Read>(&self, sql: &str, params: impl Params) -> rusqlite::Result<Option<T>>;

    /// All rows.
    fn all<T: Read, C: FromIterator<T>>(
        &self,
        sql: &str,
        params: impl Params,
    ) -> rusqlite::Result<C>;

    /// The first row of a statement that has one; what is none is zero.
    fn value<T: Read + Default>(&self, sql: &str, params: impl Params) -> rusqlite::Result<T> {
        self.one(sql, params).map(Option::unwrap_or_default)
    }

    /// The same for whom it does not matter how many rows it changed.
    fn done(&self, sql: &str, params: impl Params) -> rusqlite::Result<()> {
        self.run(sql, params).map(|_| ())
    }

    /// How many rows it changed.
    fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize>;
}

impl Ask for Connection {
    fn one<T: Read>(&self, sql: &str, params: impl Params) -> rusqlite::Result<Option<T>> {
        debug_assert!(!sql.contains('{'), "{sql}: a name without `sql!`");
        let mut statement = self.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(|row| T::read(&mut Columns::of(row))).transpose()
    }

    fn all<T: Read, C: FromIterator<T>>(
        &self,
        sql: &str,
        params: impl Params,
    ) -> rusqlite::Result<C> {
        let mut statement = self.prepare_cached(sql)?;
        statement.query_map(params, |row| T::read(&mut Columns::of(row)))?.collect()
    }

    fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.prepare_cached(sql)?.execute(params)
    }
}

/// The same for verbs, which say what they wanted to do where it fails.
impl Store {
    pub(super) fn one<T: Read>(
        &self,
        action: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<Option<T>, StoreError> {
        self.conn.one(sql, params).map_err(|e| self.failed(action, e))
    }

    pub(super) fn all<T: Read, C: FromIterator<T>>(
        &self,
        action: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<C, StoreError> {
        self.conn.all(sql, params).map_err(|e| self.failed(action, e))
    }

    pub(super) fn value<T: Read + Default>(
        &self,
        action: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<T, StoreError> {
        self.conn.value(sql, params).map_err(|e| self.failed(action, e))
    }

    pub(super) fn change(
        &self,
        action: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<usize, StoreError> {
        // Alone, it is a transaction of its own.
        let _unstopped = self.conn.is_autocommit().then(Unstopped::begin);
        self.conn.run(sql, params).map_err(|e| self.failed(action, e))
    }

    /// Returns whether it changed the one row that it is about.
    pub(super) fn change_one(
        &self,
        action: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<bool, StoreError> {
        self.change(action, sql, params).map(|changed| changed == 1)
    }

    pub(super) fn execute(
        &self,
        action: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<(), StoreError> {
        self.change(action, sql, params).map(|_| ())
    }
}
