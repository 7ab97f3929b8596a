//! What the store takes and gives: rows as the rest of the crate sees them. No SQL here.

use serde::Serialize;

use super::cells::reads;
use crate::core::output;
use crate::core::pause::{Pause, PauseNote};
use crate::core::report::Report;
use crate::core::retry::{Budget, Next, Stopped};
use crate::core::run::{Cause, Outcome, OutcomeKind, Reason, State};
use crate::core::time::Wall;

/// A run with everything that is known of it (jobctl(1), "A run").
///
/// `started_at`, `outcome`, `exit_code`, `signal`, `error` and `duration_ms` are those of the
/// newest attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunRow {
    /// Its number, never used again.
    pub(crate) id: i64,
    /// The job's number in the store.
    pub(crate) job_id: i64,
    /// The job's name.
    pub(crate) job: String,
    /// Where it stands.
    pub(crate) state: State,
    /// Why it failed, was skipped or cancelled.
    pub(crate) reason: Option<Reason>,
    /// The run in its way, or that replaced or superseded it.
    pub(crate) by: Option<i64>,
    /// Where it came from.
    pub(crate) cause: Cause,
    /// The instant its schedule names; of a stretch the first one.
    pub(crate) scheduled_at: Option<Wall>,
    /// The last instant of a stretch of skipped occurrences.
    pub(crate) last_scheduled_at: Option<Wall>,
    /// How many occurrences it stands for.
    pub(crate) count: i64,
    /// When it may start; none while it waits for other runs.
    pub(crate) due_at: Option<Wall>,
    /// When it was put down.
    pub(crate) created_at: Wall,
    /// Start of the newest attempt.
    pub(crate) started_at: Option<Wall>,
    /// When it ended.
    pub(crate) ended_at: Option<Wall>,
    /// The newest attempt's number; 0 before the first.
    pub(crate) attempt: u32,
    /// How often it may still be tried.
    pub(crate) budget: Budget,
    /// How the newest attempt ended.
    pub(crate) outcome: Option<OutcomeKind>,
    /// Its exit code.
    pub(crate) exit_code: Option<u8>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// What went wrong, for people.
    pub(crate) error: Option<String>,
    /// How long the newest attempt took.
    pub(crate) duration_ms: Option<i64>,
    /// Arguments, as bytes: they need not be UTF-8.
    pub(crate) args: Vec<Vec<u8>>,
    /// What makes it unique.
    pub(crate) key: Option<String>,
    /// Higher is claimed first.
    pub(crate) priority: i8,
    /// The runs it was to wait for.
    pub(crate) after: Vec<i64>,
    /// Cancelled if not started before.
    pub(crate) expires_at: Option<Wall>,
    /// When a person took note of its failure.
    pub(crate) acked: Option<Wall>,
    /// Who asked it to stop, while it runs.
    pub(crate) stop: Option<Stopped>,
    /// The slot of its newest attempt.
    pub(crate) slot: Option<u32>,
    /// Which claim of the run its newest attempt is.
    pub(crate) claim: i64,
    /// How far its newest attempt was, as it said, from 0 to 100.
    pub(crate) progress: Option<u8>,
    /// What came of it, as it said.
    pub(crate) result: Option<String>,
    /// When its newest attempt had taken longer than was expected.
    pub(crate) late_at: Option<Wall>,
    /// Who added it: `user:alice`, `token:shop`; none of a schedule, a file or a finder.
    pub(crate) created_by: Option<String>,
}

reads!(RunRow:
    id job_id job state reason by cause scheduled_at last_scheduled_at count due_at created_at started_at
    ended_at attempt budget outcome exit_code signal error duration_ms args key priority after
    expires_at acked stop slot claim progress result late_at created_by
);

impl RunRow {
    /// Returns whether it stands for occurrences that were missed.
    pub(crate) fn is_missed(&self) -> bool {
        self.state == State::Skipped && self.reason == Some(Reason::Missed)
    }

    /// Which output of its newest attempt is missing, and why; none if all of it is kept.
    pub(crate) fn lost_output(&self) -> Option<&str> {
        let error = self.error.as_deref().filter(|_| self.reason != Some(Reason::Spawn));
        error.filter(|error| output::missing(error).is_some())
    }
}

/// An attempt of a run; in JSON the attempt object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AttemptRow {
    /// Counted from 1.
    pub(crate) attempt: u32,
    /// When it was started.
    pub(crate) started_at: Option<Wall>,
    /// When it ended; none while it runs.
    pub(crate) ended_at: Option<Wall>,
    /// How it ended.
    pub(crate) outcome: Option<OutcomeKind>,
    /// Its exit code.
    pub(crate) exit_code: Option<u8>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// What went wrong, for people.
    pub(crate) error: Option<String>,
    /// On the monotonic clock.
    pub(crate) duration_ms: Option<i64>,
    /// CPU time in user mode.
    pub(crate) user_ms: Option<i64>,
    /// CPU time in the kernel.
    pub(crate) system_ms: Option<i64>,
    /// Largest resident set.
    pub(crate) max_rss_kib: Option<i64>,
    /// Bytes it wrote, kept or not.
    pub(crate) output_bytes: Option<i64>,
    /// Its main process.
    pub(crate) pid: Option<i32>,
}

/// What is read of it, in its order.
pub(super) const ATTEMPT: &str = "attempt, started_at, started_at + duration_ms, outcome, exit_code, signal, error, duration_ms, user_ms, \
     system_ms, max_rss_kib, output_bytes, pid";

reads!(AttemptRow:
    attempt started_at ended_at outcome exit_code signal error duration_ms user_ms system_ms
    max_rss_kib output_bytes pid
);

/// A job as the store knows it, with its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobRow {
    /// Its number in the store.
    pub(crate) id: i64,
    /// Its name.
    pub(crate) name: String,
    /// Whether the jobfile last loaded has it.
    pub(crate) present: bool,
    /// Its own pause.
    pub(crate) pause: Option<Pause>,
    /// Where an `@every` grid begins.
    pub(crate) grid_at: Option<Wall>,
    /// All occurrences up to it are decided.
    pub(crate) watermark: Option<Wall>,
    /// Runs that are due later.
    pub(crate) scheduled: i64,
    /// Runs that wait.
    pub(crate) queued: i64,
    /// Runs that run.
    pub(crate) running: i64,
    /// Runs that will be tried again.
    pub(crate) retrying: i64,
    /// Failed runs that nobody has acknowledged.
    pub(crate) failed: i64,
    /// Runs that have ended and are still kept.
    pub(crate) ended: i64,
    /// The run that last started or ended.
    pub(crate) last_run: Option<i64>,
    /// When a run of it last succeeded.
    pub(crate) last_success_at: Option<Wall>,
    /// Since when it has had no success for longer than was expected.
    pub(crate) late_at: Option<Wall>,
    /// When a run of it last succeeded or found nothing to do.
    pub(crate) well_at: Option<Wall>,
    /// The occurrence that was missed and that nothing has made up for.
    pub(crate) missed_at: Option<Wall>,
    /// What its own pause says of itself.
    pub(crate) pause_note: PauseNote,
}

/// What is read of it, in its order.
pub(super) const JOB: &str = "id, name, present, paused_at, paused_until, grid_at, watermark, scheduled, queued, running, \
     retrying, failed, ended, last_run, last_success_at, late_at, well_at, missed_at, paused_by, paused_reason";

reads!(JobRow:
    id name present pause grid_at watermark scheduled queued running retrying failed ended last_run
    last_success_at late_at well_at missed_at pause_note
);

impl JobRow {
    /// Returns whether something of it has not ended, or nobody has acknowledged that it failed.
    pub(crate) fn has_rest(&self) -> bool {
        [self.scheduled, self.queued, self.running, self.retrying, self.failed]
            .iter()
            .any(|count| *count > 0)
    }

    /// Returns whether the job itself is paused at a time.
    pub(crate) fn is_paused(&self, at: Wall) -> bool {
        self.pause.is_some_and(|pause| pause.holds(at))
    }
}

/// The recorded facts about the supervisor. The store does not know whether it lives (see
/// `os::wake`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SupervisorRow {
    /// Its process.
    pub(crate) pid: Option<i32>,
    /// When it became ready.
    pub(crate) since: Option<Wall>,
    /// The jobfile it was given.
    pub(crate) jobfile: Option<String>,
    /// Why that is not the one in force.
    pub(crate) jobfile_error: Option<String>,
    /// The addresses that the door cannot listen on, one `ADDRESS: error` per line.
    pub(crate) door_error: Option<String>,
    /// Its version.
    pub(crate) version: Option<String>,
    /// Whether it only records what it would start.
    pub(crate) is_shadow: bool,
    /// Since when it has been stopping.
    pub(crate) stopping_at: Option<Wall>,
    /// The pause of everything.
    pub(crate) pause: Option<Pause>,
    /// What it says of itself.
    pub(crate) pause_note: PauseNote,
}

/// A time in which nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Downtime {
    /// From when.
    pub(crate) from: Wall,
    /// To when.
    pub(crate) to: Wall,
    /// A supervisor was there, but was stopping.
    pub(crate) is_stopping: bool,
}

impl SupervisorRow {
    /// Returns whether everything is paused at a time.
    pub(crate) fn is_paused(&self, at: Wall) -> bool {
        self.pause.is_some_and(|pause| pause.holds(at))
    }
}

/// The output of an attempt, as far as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// Bytes the command wrote.
    pub(crate) total: u64,
    /// The beginning.
    pub(crate) head: Vec<u8>,
    /// The end; what is missing between the two is `total - head.len() - tail.len()` bytes.
    pub(crate) tail: Vec<u8>,
}

impl Output {
    /// `max` bytes of it at the most, half of them from its beginning.
    pub(crate) fn ends(mut self, max: u64) -> Self {
        let kept = self.head.len() + self.tail.len();
        let half = usize::try_from(max / 2).unwrap_or(usize::MAX);
        if kept as u64 <= max {
            return self;
        }
        if self.total == kept as u64 {
            // The two are one text.
            self.head.append(&mut self.tail);
            self.tail = self.head.split_off(kept - half);
        }
        self.head.truncate(half);
        self.tail.drain(..self.tail.len().saturating_sub(half));
        self
    }

    /// Returns the kept output, with a line in place of the rest.
    pub(crate) fn text(&self) -> Vec<u8> {
        let kept = (self.head.len() + self.tail.len()) as u64;
        let mut text = self.head.clone();
        if self.total > kept {
            let gap = format!("\n[{} bytes left out]\n", self.total.saturating_sub(kept));
            text.extend_from_slice(gap.as_bytes());
        }
        text.extend_from_slice(&self.tail);
        text
    }
}

/// A set of runs (jobctl(1), "Filters"); all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Only these states; empty is all.
    pub(crate) states: Vec<State>,
    /// Only this job.
    pub(crate) job: Option<String>,
    /// Created at or after.
    pub(crate) since: Option<Wall>,
    /// Created before.
    pub(crate) until: Option<Wall>,
    /// Only this exit code.
    pub(crate) exit: Option<u8>,
    /// Only this key.
    pub(crate) key: Option<String>,
    /// Only failures that nobody has acknowledged.
    pub(crate) failed: bool,
    /// Only with a smaller number.
    pub(crate) before: Option<i64>,
    /// Only those that this one added by the job's `enqueue_by`.
    pub(crate) owner: Option<String>,
}

/// An item to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NewItem {
    /// Arguments.
    pub(crate) args: Vec<Vec<u8>>,
    /// What makes it unique.
    pub(crate) key: Option<String>,
    /// Standard input of its command; none: what the job says.
    pub(crate) input: Option<Vec<u8>>,
}

/// The treatment of an item whose key is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnConflict {
    /// It is not added; the holder stands for it.
    #[default]
    Ignore,
    /// A holder that waits is cancelled, a failed one acknowledged, and the item is added. One that
    /// runs is not to be replaced.
    Replace,
    /// Nothing at all is added.
    Error,
}

/// The one who adds items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Author<'a> {
    /// A schedule, a file or a finder.
    #[default]
    Nobody,
    /// Who is recorded.
    Named(&'a str),
    #[cfg_attr(not(feature = "door"), expect(dead_code, reason = "only the door has owners"))]
    /// Who is recorded and owns what is added; may wait for and replace only what is his own.
    Owner(&'a str),
}

/// Under which conditions items are added and started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions<'a> {
    /// Who adds them.
    pub(crate) author: Author<'a>,
    /// Cancelled if not started before.
    pub(crate) expires_at: Option<Wall>,
    /// Started when all of these have succeeded, cancelled when one ends otherwise.
    pub(crate) after: &'a [i64],
    /// What happens to an item whose key is held.
    pub(crate) on_conflict: OnConflict,
    /// A success that ended later holds its key still (`key_for`).
    pub(crate) key_held_since: Option<Wall>,
}

/// The facts that all items of one addition share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addition<'a> {
    /// The job's name.
    pub(crate) job: &'a str,
    /// When they may start; `created_at` for at once.
    pub(crate) due_at: Wall,
    /// Higher is claimed first.
    pub(crate) priority: i8,
    /// Attempts of a fresh budget; none is no limit.
    pub(crate) max_attempts: Option<u32>,
    /// Refused beyond this many waiting.
    pub(crate) backlog_max: Option<u32>,
    /// Where they come from.
    pub(crate) cause: Cause,
    /// The time of the call.
    pub(crate) created_at: Wall,
    /// What else is asked for.
    pub(crate) conditions: Conditions<'a>,
}

/// The id of an added item, or of the one that has its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Added {
    /// The run's id.
    pub(crate) id: i64,
    /// Whether it was there before.
    pub(crate) existing: bool,
}

/// The result of an addition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Enqueued {
    /// One for each item, in the order given.
    Added(Vec<Added>),
    /// Nothing was added: so many wait already.
    BacklogFull {
        /// How many wait.
        waiting: i64,
    },
    /// Nothing was added: the key of an item is held, and that was to be an error, or the holder
    /// runs and cannot be replaced.
    KeyHeld {
        /// The key.
        key: String,
        /// Who holds it.
        by: i64,
    },
    /// Nothing was added: there is no run of this number to wait for.
    NoSuchRun(i64),
}

/// The answer of a verb on one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done.
    Done,
    /// The run runs: it was asked to stop, the supervisor does it.
    Asked,
    /// There is no such run.
    NoSuchRun,
    /// Its state forbids it.
    Refused(Box<RunRow>),
    /// Another run holds its key.
    KeyHeld {
        /// That run.
        by: i64,
    },
    /// Another run of the same occurrence has not ended: after the clock was set back, an instant
    /// may have two.
    SameOccurrence {
        /// That run.
        by: i64,
    },
}

/// Whether `retry` may run a success again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    /// Refused.
    No,
    /// As asked with `--force`.
    Yes,
}

/// The jobs that are paused or resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    /// Everything.
    All,
    /// One job.
    Job(&'a str),
}

/// The number of the next claim. It grows, and begins with the time: one of another store, whose
/// slots may still be there, is no match.
pub(super) fn next_claim(former: i64, now: Wall) -> i64 {
    former.saturating_add(1).max(now.secs())
}

/// An occurrence that is to be executed.
#[derive(Clone, Debug)]
pub(crate) struct NewOccurrence {
    /// The job.
    pub(crate) job_id: i64,
    /// Schedule or catch-up.
    pub(crate) cause: Cause,
    /// The instant the schedule names.
    pub(crate) scheduled_at: Wall,
    /// The same with the job's jitter.
    pub(crate) due_at: Wall,
    /// The job's priority.
    pub(crate) priority: i8,
    /// The job's budget.
    pub(crate) max_attempts: Option<u32>,
    /// The time of the turn.
    pub(crate) now: Wall,
}

/// One occurrence or a stretch of them that is not executed.
#[derive(Clone, Debug)]
pub(crate) struct NewSkip {
    /// The job.
    pub(crate) job_id: i64,
    /// Schedule or catch-up.
    pub(crate) cause: Cause,
    /// The first instant.
    pub(crate) scheduled_at: Wall,
    /// The last one, where there are several.
    pub(crate) last_scheduled_at: Option<Wall>,
    /// How many.
    pub(crate) count: i64,
    /// Why.
    pub(crate) reason: Reason,
    /// The run in the way.
    pub(crate) by: Option<i64>,
    /// Since when the cause has been the same one: a row from before is another stretch. None:
    /// every call is one of its own.
    pub(crate) same_since: Option<Wall>,
    /// The time of the turn.
    pub(crate) now: Wall,
}

impl NewSkip {
    /// An occurrence that a supervisor in shadow mode would have started. It stands alone.
    pub(crate) fn shadow(job_id: i64, at: Wall, now: Wall) -> Self {
        Self {
            job_id,
            cause: Cause::Schedule,
            scheduled_at: at,
            last_scheduled_at: None,
            count: 1,
            reason: Reason::Shadow,
            by: None,
            same_since: None,
            now,
        }
    }
}

/// The resources that an attempt used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// On the monotonic clock.
    pub(crate) duration_ms: i64,
    /// CPU time in user mode.
    pub(crate) user_ms: i64,
    /// CPU time in the kernel.
    pub(crate) system_ms: i64,
    /// Largest resident set.
    pub(crate) max_rss_kib: i64,
    /// Bytes of output.
    pub(crate) output_bytes: i64,
}

/// The end of an attempt and what follows.
#[derive(Clone, Debug)]
pub(crate) struct Finish<'a> {
    /// The run as it was claimed.
    pub(crate) run: &'a RunRow,
    /// How it ended.
    pub(crate) outcome: &'a Outcome,
    /// What could not be ended or was left behind, for people.
    pub(crate) remark: Option<&'a str>,
    /// What the command said of itself.
    pub(crate) report: &'a Report,
    /// What follows.
    pub(crate) next: Next,
    /// The run's budget from then on.
    pub(crate) budget: Budget,
    /// When it started, as the keeper saw it.
    pub(crate) started_at: Option<Wall>,
    /// When it ended.
    pub(crate) ended_at: Wall,
    /// What it cost; none if that cannot be known.
    pub(crate) usage: Option<Usage>,
    /// Its main process.
    pub(crate) pid: Option<i32>,
}

/// A job's row as planning needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownJob {
    /// Its number in the store.
    pub(crate) id: i64,
    /// All occurrences up to here are decided.
    pub(crate) watermark: Option<Wall>,
    /// Where an `@every` grid begins.
    pub(crate) grid_at: Option<Wall>,
    /// What was expected of it (`Store::expect`).
    pub(crate) expect: Option<i64>,
    /// Rows of former names that are part of this one from now on.
    pub(crate) merged: Vec<i64>,
}

reads!(KnownJob: id watermark grid_at expect; merged);

/// A job that has left the jobfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoneJob {
    /// Its number in the store.
    pub(crate) id: i64,
    /// Its name.
    pub(crate) name: String,
    /// Its runs that have not ended.
    pub(crate) unfinished: i64,
}

reads!(GoneJob: id name unfinished);
