//! Notices: who is to be told of what, by hook or by mail; and jobs and attempts that are late.

use std::time::Duration;

use rusqlite::params;

use super::cells::reads;
use super::sql::{FAILURE, MAIL, Part, RECOVERY, sql};
use super::types::next_claim;
use super::{RunRow, Store, StoreError};
use crate::core::notice::{Event, Means, is_bounded, weight};
use crate::core::run::{Outcome, OutcomeKind, Reason, State};
use crate::core::time::Wall;

/// So many notices of one kind may wait for a job; more are counted.
const WAITING_MAX: i64 = 100;

/// So many may be under way of one job: hooks that hang leave a place to others.
const OF_JOB_MAX: i64 = 3;

/// A notice to be put down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewNotice {
    /// The job.
    pub(crate) job_id: i64,
    /// The run and its attempt; none: it is about the job.
    pub(crate) run: Option<(i64, u32)>,
    /// State and reason of the run from now on.
    pub(crate) state: Option<State>,
    /// Why.
    pub(crate) reason: Option<Reason>,
    /// The job's `hook_interval`.
    pub(crate) interval: Duration,
    /// When it happened.
    pub(crate) at: Wall,
}

/// A notice, told or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoticeRow {
    /// Its number.
    pub(crate) id: i64,
    /// The job.
    pub(crate) job_id: i64,
    /// The run.
    pub(crate) run: Option<i64>,
    /// Its attempt.
    pub(crate) attempt: Option<u32>,
    /// What happened.
    pub(crate) event: Event,
    /// How it is told.
    pub(crate) means: Means,
    /// When it happened.
    pub(crate) at: Wall,
    /// When it may be told.
    pub(crate) due_at: Wall,
    /// How many it stands for.
    pub(crate) count: i64,
    /// State of the run then.
    pub(crate) state: Option<State>,
    /// Why it was in that.
    pub(crate) reason: Option<Reason>,
    /// Whether it was told, or given up.
    pub(crate) is_done: bool,
    /// How often it was begun.
    pub(crate) tries: u32,
    /// Where it is being told.
    pub(crate) slot: Option<u32>,
    /// The claim of the newest try.
    pub(crate) claim: Option<i64>,
    /// When that was.
    pub(crate) started_at: Option<Wall>,
    /// When it ended.
    pub(crate) ended_at: Option<Wall>,
    /// How the command ended.
    pub(crate) outcome: Option<OutcomeKind>,
    /// Its exit code.
    pub(crate) exit_code: Option<u8>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// How long it took.
    pub(crate) duration_ms: Option<i64>,
    /// What went wrong, for people.
    pub(crate) error: Option<String>,
    /// The end of what it printed.
    pub(crate) output: Option<String>,
}

/// The result of a notice.
#[derive(Clone, Debug)]
pub(crate) struct Told<'a> {
    /// How the command ended.
    pub(crate) outcome: &'a Outcome,
    /// How long it took.
    pub(crate) duration_ms: Option<i64>,
    /// The end of what it printed.
    pub(crate) output: Option<&'a str>,
    /// When it ended.
    pub(crate) ended_at: Wall,
}

const COLUMNS: &str = "id, job, run, attempt, event, means, at, due_at, count, state, reason, is_done, tries, slot, claim, \
     started_at, ended_at, outcome, exit_code, signal, duration_ms, error, output";

/// Waits to be told, and for nothing else: for a job that has left the jobfile nobody knows whom to
/// tell, a recovery is told after the failure that it belongs to, and a job has only so many under
/// way.
const WAITS: Part = Part(|| {
    format!(
        "is_done = 0 AND slot IS NULL \
         AND EXISTS (SELECT 1 FROM job WHERE job.id = notice.job AND present = 1) \
         AND (SELECT count(*) FROM notice AS told WHERE told.slot IS NOT NULL \
         AND told.job = notice.job) < {OF_JOB_MAX} \
         AND NOT (event = {RECOVERY} AND EXISTS (SELECT 1 FROM notice AS failure \
         WHERE failure.job = notice.job AND failure.means = notice.means \
         AND failure.event = {FAILURE} AND failure.is_done = 0 AND failure.id < notice.id))"
    )
});

reads!(NoticeRow:
    id job_id run attempt event means at due_at count state reason is_done tries slot claim started_at
    ended_at outcome exit_code signal duration_ms error output
);

/// What of the notices that wait already a new one becomes part of, and when it may be told if it
/// stands alone.
struct Place {
    joins: Option<(i64, Event)>,
    due_at: Wall,
}

impl Store {
    /// Puts a notice down. Of a kind that is bounded at most one is due in the job's interval: the
    /// next one is due when that is over, and counts the others that come until then.
    pub(crate) fn add_notice(
        &self,
        new: &NewNotice,
        event: Event,
        means: Means,
    ) -> Result<(), StoreError> {
        let place = self.place_of(new, event, means)?;
        if event == Event::Failure {
            // A recovery that nobody has heard of is none any more.
            self.change(
                "withdraw a notice",
                "DELETE FROM notice WHERE job = ?1 AND means = ?2 AND due_at > ?3 \
                 AND event = ?4 AND is_done = 0 AND slot IS NULL",
                params![new.job_id, means, new.at, Event::Recovery],
            )?;
        }
        let (run, attempt) = new.run.unzip();
        if let Some((id, held)) = place.joins {
            let is_told = weight(event) >= weight(held);
            return self.execute(
                "count a notice",
                "UPDATE notice SET count = count + 1, at = ?2, run = CASE WHEN ?3 THEN ?4 \
                 ELSE run END, attempt = CASE WHEN ?3 THEN ?5 ELSE attempt END, event = CASE \
                 WHEN ?3 THEN ?6 ELSE event END, state = CASE WHEN ?3 THEN ?7 \
                 ELSE state END, reason = CASE WHEN ?3 THEN ?8 ELSE reason END WHERE id = ?1",
                params![id, new.at, is_told, run, attempt, event, new.state, new.reason],
            );
        }
        self.execute(
            "record a notice",
            "INSERT INTO notice(job, run, attempt, event, means, at, due_at, state, reason) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                new.job_id,
                run,
                attempt,
                event,
                means,
                new.at,
                place.due_at,
                new.state,
                new.reason
            ],
        )
    }

    fn place_of(&self, new: &NewNotice, event: Event, means: Means) -> Result<Place, StoreError> {
        let alone = |due_at| Place { joins: None, due_at };
        if is_bounded(event, means) && !new.interval.is_zero() {
            let Some(last) = self.newest_bounded(new.job_id, means)? else {
                return Ok(alone(new.at));
            };
            // One that was begun may have been heard of: it stays what it is.
            let is_untouched = !last.is_done && last.claim.is_none();
            let is_ahead = last.due_at > new.at;
            return Ok(if is_untouched && is_ahead {
                Place { joins: Some((last.id, last.event)), due_at: last.due_at }
            } else if last.is_done && is_ahead {
                // A clock that was set back must not hold it back for long.
                alone(new.at)
            } else {
                alone((last.due_at + new.interval).max(new.at))
            });
        }
        if event == Event::Recovery
            && let Some(failure) = self.newest_bounded(new.job_id, means)?
            && !failure.is_done
        {
            return Ok(alone(failure.due_at.max(new.at)));
        }
        let crowd = self.crowd(new.job_id, event, means)?;
        Ok(Place { joins: crowd.map(|id| (id, event)), due_at: new.at })
    }

    /// The newest notice of a job by these means that is bounded ([`is_bounded`]): all of them
    /// share the interval.
    fn newest_bounded(&self, job_id: i64, means: Means) -> Result<Option<NoticeRow>, StoreError> {
        let sql = sql!(
            "SELECT {COLUMNS} FROM notice WHERE job = ?1 AND means = ?2 AND (event = {FAILURE} \
             OR means = {MAIL}) ORDER BY due_at DESC, id DESC LIMIT 1"
        );
        self.one("read notices", sql, params![job_id, means])
    }

    /// The newest waiting notice of a kind, if too many of it wait.
    fn crowd(&self, job_id: i64, event: Event, means: Means) -> Result<Option<i64>, StoreError> {
        let (count, newest): (i64, Option<i64>) = self.value(
            "read notices",
            "SELECT count(*), max(id) FROM notice WHERE job = ?1 AND means = ?2 AND event = ?3 \
             AND is_done = 0 AND slot IS NULL",
            params![job_id, means, event],
        )?;
        Ok(newest.filter(|_| count >= WAITING_MAX))
    }

    /// So many notices that are due, oldest first.
    pub(crate) fn due_notices(&self, now: Wall, limit: u32) -> Result<Vec<NoticeRow>, StoreError> {
        let sql = sql!(
            "SELECT {COLUMNS} FROM notice WHERE {WAITS} AND due_at <= ?1 \
             ORDER BY due_at, id LIMIT ?2"
        );
        self.all("read notices", sql, params![now, limit])
    }

    /// When the next notice is due.
    pub(crate) fn next_notice_at(&self) -> Result<Option<Wall>, StoreError> {
        self.value(
            "read notices",
            sql!("SELECT due_at FROM notice WHERE {WAITS} ORDER BY due_at LIMIT 1"),
            [],
        )
    }

    /// The notices that a supervisor has begun to tell and not ended.
    pub(crate) fn notices_under_way(&self) -> Result<Vec<NoticeRow>, StoreError> {
        let sql = sql!("SELECT {COLUMNS} FROM notice WHERE slot IS NOT NULL ORDER BY id");
        self.all("read notices", sql, [])
    }

    /// The notice of a number.
    pub(crate) fn notice(&self, id: i64) -> Result<Option<NoticeRow>, StoreError> {
        self.one("read notices", sql!("SELECT {COLUMNS} FROM notice WHERE id = ?1"), [id])
    }

    /// The run that a notice is about, as it was then; none if it is gone, or the notice is about
    /// none.
    pub(crate) fn run_of_notice(&self, row: &NoticeRow) -> Result<Option<RunRow>, StoreError> {
        let run = row.run.map(|run| self.run(run)).transpose()?.flatten();
        let Some(mut run) = run else {
            return Ok(None);
        };
        let attempts = self.attempts(run.id)?;
        let attempt = attempts.into_iter().find(|attempt| Some(attempt.attempt) == row.attempt);
        if let Some(state) = row.state {
            (run.state, run.reason) = (state, row.reason);
        }
        if let Some(attempt) = attempt {
            run.attempt = attempt.attempt;
            run.started_at = attempt.started_at;
            let end = Some(attempt).filter(|_| run.state != State::Running);
            run.outcome = end.as_ref().and_then(|end| end.outcome);
            run.exit_code = end.as_ref().and_then(|end| end.exit_code);
            run.signal = end.as_ref().and_then(|end| end.signal);
            run.duration_ms = end.as_ref().and_then(|end| end.duration_ms);
            run.ended_at =
                end.as_ref().and_then(|end| end.ended_at).filter(|_| run.state.is_ended());
            run.error = end.and_then(|end| end.error);
        }
        Ok(Some(run))
    }

    /// The notices of a run, oldest first.
    pub(crate) fn notices_of_run(&self, run: i64) -> Result<Vec<NoticeRow>, StoreError> {
        let sql = sql!("SELECT {COLUMNS} FROM notice WHERE run = ?1 ORDER BY id");
        self.all("read notices", sql, [run])
    }

    /// Begins to tell a notice: where and under which number is on disk before anything starts.
    pub(crate) fn claim_notice(
        &self,
        row: &NoticeRow,
        slot: u32,
        now: Wall,
    ) -> Result<i64, StoreError> {
        let claim = next_claim(row.claim.unwrap_or(0), now);
        self.change(
            "claim a notice",
            "UPDATE notice SET slot = ?2, claim = ?3, tries = tries + 1, started_at = ?4 \
             WHERE id = ?1",
            params![row.id, slot, claim, now],
        )?;
        Ok(claim)
    }

    /// Lets a notice be begun again; `tries` are those that may have told somebody. The number of
    /// its claim stays taken.
    pub(crate) fn tell_again(&self, id: i64, tries: u32, due_at: Wall) -> Result<(), StoreError> {
        self.execute(
            "repeat a notice",
            "UPDATE notice SET slot = NULL, tries = ?2, due_at = max(due_at, ?3) WHERE id = ?1",
            params![id, tries, due_at],
        )
    }

    /// Writes down what came of a notice. False: it is not under way under this claim any more.
    pub(crate) fn finish_notice(
        &self,
        id: i64,
        claim: i64,
        told: &Told<'_>,
    ) -> Result<bool, StoreError> {
        self.change_one(
            "finish a notice",
            "UPDATE notice SET is_done = 1, slot = NULL, ended_at = ?3, outcome = ?4, exit_code = \
             ?5, signal = ?6, duration_ms = ?7, error = ?8, output = ?9 WHERE id = ?1 \
             AND claim = ?2 AND is_done = 0",
            params![
                id,
                claim,
                told.ended_at,
                told.outcome.kind(),
                told.outcome.exit_code(),
                told.outcome.signal(),
                told.duration_ms,
                told.outcome.error(),
                told.output
            ],
        )
    }

    /// What was to be told when the store was copied, or is of another machine, may have been told
    /// since, or is nobody's business here: it is not told any more, and `why` stands with it. How
    /// many.
    pub(crate) fn give_up_notices(&self, why: &str, now: Wall) -> Result<usize, StoreError> {
        self.change(
            "give up notices",
            "UPDATE notice SET is_done = 1, slot = NULL, ended_at = ?1, error = ?2 \
             WHERE is_done = 0",
            params![now, why],
        )
    }

    /// Removes told notices that are about no run and are older than `before`.
    pub(crate) fn prune_notices(&self, job_id: i64, before: Wall) -> Result<(), StoreError> {
        self.execute(
            "remove notices",
            "DELETE FROM notice WHERE job = ?1 AND run IS NULL AND is_done = 1 AND due_at < ?2",
            params![job_id, before],
        )
    }

    /// Notes that a run of a job gave up.
    pub(crate) fn set_failing(&self, job_id: i64) -> Result<(), StoreError> {
        self.execute(
            "record a failure",
            "UPDATE job SET failing = 1 WHERE id = ?1 AND failing = 0",
            [job_id],
        )
    }

    /// Returns whether a run of a job gave up since its last success; from now on it has not.
    pub(crate) fn take_failing(&self, job_id: i64) -> Result<bool, StoreError> {
        self.change(
            "record a recovery",
            "UPDATE job SET failing = 0 WHERE id = ?1 AND failing = 1",
            [job_id],
        )
        .map(|changed| changed == 1)
    }
}
