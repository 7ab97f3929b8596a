//! Attempts that have ended: what that means for their runs, what is kept of their output.

use std::io;

use super::feeds::Found;
use super::notices;
use super::recover::believed;
use super::signs;
use super::spawner::{Kept, Report, SlotEnd, Spawner, Stop};
use super::{Live, Steps, Supervisor};
use crate::core::lane;
use crate::core::output::NOT_KEPT;
use crate::core::reason::plain;
use crate::core::report::Report as CommandReport;
use crate::core::retry::{self, Ended, Next, Stopped};
use crate::core::run::{Outcome, Reason, State, Verdict};
use crate::core::time::{Mono, Wall};
use crate::keeper::record::{End, Ending, Record, StopCause};
use crate::store::{Finish, Output, RunRow, StoreError, Usage};

/// Longest last line of output that is shown as the reason of a failure.
const LAST_LINE_MAX: usize = 300;

impl<S: Spawner> Supervisor<S> {
    /// Writes down every end that was told.
    pub(super) fn finish_ended(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let ended = std::mem::take(&mut self.ended);
        let written = ended.iter().try_for_each(|end| self.finish_one(end, steps));
        self.ended = ended;
        written
    }

    fn finish_one(&mut self, end: &SlotEnd, steps: &mut Steps) -> Result<(), StoreError> {
        if signs::is_heartbeat(end) {
            self.finish_beat(end, steps);
            return Ok(());
        }
        if let Some(notice) = notices::notice_of(end) {
            return self.finish_notice(notice, end, steps);
        }
        let found = self.take_found(end, steps)?;
        if let Found::More = found {
            steps.deferred.push((end.run, end.claim));
            return Ok(());
        }
        steps.released.push(end.slot);
        let live = self.live_of(end);
        if let Some(live) = self.remove_live(end.run) {
            steps.gone.push((end.run, live));
        }
        let Some(run) = self
            .store
            .run(end.run)?
            .filter(|run| run.state == State::Running && run.claim == end.claim)
        else {
            return Ok(());
        };
        let now = steps.now.wall;
        let is_doubted = live.as_ref().is_none_or(|live| live.is_doubted);
        let attempt = match believed(&end.report, is_doubted) {
            Report::NeverStarted => return self.take_back(&run, steps),
            Report::Lost => {
                steps.files.extend(self.surroundings.report_of(run.id, run.attempt));
                let stopped = self.was_told(run.id, end.claim);
                Attempt {
                    stopped: stopped.then_some(StopCause::Signal),
                    ..Attempt::unknown(self.outcome_of_lost(run.id, end.claim), now)
                }
            }
            Report::Refused(outcome) => Attempt::unknown(outcome.clone(), now),
            Report::Ended(record) => match &record.ending {
                Some(ending) => {
                    let unkept = self.is_short_of_room() || is_unkept(record, live.as_ref());
                    let kept = if unkept && record.output_total > 0 {
                        self.drop_output(record, steps)
                    } else {
                        self.keep_output(end, &run, steps)?
                    };
                    let mut attempt = Attempt::of(record, ending, live.as_ref(), kept.last_line);
                    attempt.remark = joined(attempt.remark, kept.remark);
                    if let Found::Unfit(reason) = &found {
                        attempt.is_unfit = true;
                        attempt.remark = joined(Some(reason.clone()), attempt.remark);
                    }
                    if record.feeds.is_some() {
                        steps.files.extend(self.spawner.spool_path(end.slot));
                    }
                    attempt
                }
                None => Attempt::unknown(Outcome::Lost, now),
            },
        };
        let next = self.finish_attempt(&run, live.as_ref(), &attempt, steps)?;
        if let Found::All(feed) = found {
            self.store.finish_feed(feed)?;
        }
        // What was put down and is not to be is taken away.
        self.has_feeds |= !matches!(found, Found::Nothing);
        if live.is_some_and(|live| lane::is_template(&live.policy)) {
            // The store has let the next run of its lane go.
            self.load_head(run.job_id)?;
        }
        match next {
            Next::Requeue => self.load_head(run.job_id),
            Next::RetryAt(_) | Next::PutOffTo(_) | Next::Finish(_) => Ok(()),
        }
    }

    /// Takes a claim back that never became a process. Whoever did not want the run any more is heard all the same; else it is
    /// tried again, but not at once: what was in the way may still be there.
    fn take_back(&mut self, run: &RunRow, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        self.store.unclaim_if_running(run.id, run.claim)?;
        match run.stop {
            Some(Stopped::ByHand) => {
                self.store.cancel_if_queued(run.id, Reason::ByHand, None, now.wall)?
            }
            Some(Stopped::Replaced) => {
                self.store.cancel_if_queued(run.id, Reason::Replaced, run.by, now.wall)?
            }
            Some(Stopped::Shutdown) | None => false,
        };
        if !self.by_id.contains_key(&run.job_id) {
            self.store.skip_removed(run.job_id, now.wall)?;
        }
        let wait = self.wait_after_refusal(run.id);
        self.put_off(run.job_id, now.mono + wait);
        let (job, id) = (run.job.clone(), run.id);
        steps.log.push(Box::new(move |log, at| {
            log.event(at, "not_started", &[("job", &job), ("run", &id)])
        }));
        self.load_head(run.job_id)
    }

    /// Starts nothing of a job before `at`.
    fn put_off(&mut self, job_id: i64, at: Mono) {
        if let Some(&index) = self.by_id.get(&job_id) {
            self.jobs[index].try_at = Some(at);
        }
    }

    /// Leaves the output of an attempt out: there is no room for it.
    fn drop_output(&self, record: &Record, steps: &mut Steps) -> KeptOutput {
        // A turn that failed may have moved it there.
        steps.files.push(self.store.output_file(record.run, record.attempt));
        KeptOutput {
            last_line: None,
            remark: Some(not_kept(record.output_total, &io::ErrorKind::StorageFull.into())),
        }
    }

    /// Moves the output of an attempt where it is kept.
    fn keep_output(
        &mut self,
        end: &SlotEnd,
        run: &RunRow,
        steps: &mut Steps,
    ) -> Result<KeptOutput, StoreError> {
        match self.spawner.output(end) {
            Ok(Kept::Nothing) => Ok(KeptOutput::default()),
            Ok(Kept::Inline(output)) => {
                self.store.save_output(run.id, run.attempt, &output)?;
                let bytes = output.head.len() + output.tail.len();
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                steps.output_change = steps.output_change.saturating_add(bytes);
                Ok(KeptOutput { last_line: last_line(&output), remark: None })
            }
            Ok(Kept::File { total, layout }) => {
                self.store.save_output_file(run.id, run.attempt, total, layout)?;
                let bytes = total - layout.dropped(total);
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                steps.output_change = steps.output_change.saturating_add(bytes);
                Ok(KeptOutput::default())
            }
            Err(error) => {
                let total = match &end.report {
                    Report::Ended(record) => record.output_total,
                    Report::Lost | Report::NeverStarted | Report::Refused(_) => 0,
                };
                let remark = Some(not_kept(total, &error));
                let (id, error) = (run.id, plain(&error));
                steps.log.push(Box::new(move |log, at| {
                    log.event(at, "output_not_kept", &[("run", &id), ("error", &error)]);
                }));
                Ok(KeptOutput { last_line: None, remark })
            }
        }
    }

    /// The attempt as it was counted, judged by what it was started with.
    pub(super) fn live_of(&self, end: &SlotEnd) -> Option<Live> {
        let live = self.live.get(&end.run)?.clone();
        if !live.is_guessed {
            return Some(live);
        }
        Some(live.judged_by(self.spawner.terms(end.slot, end.run, end.claim)))
    }

    /// What follows an attempt of a run.
    pub(super) fn next_of(
        &self,
        run: &RunRow,
        live: Option<&Live>,
        attempt: &Attempt,
        steps: &Steps,
    ) -> Next {
        let policy = live.map(|live| live.policy.clone()).unwrap_or_default();
        // A keeper that was told to stop by nobody here got its TERM from a machine that goes down.
        let by_machine = (attempt.stopped == Some(StopCause::Signal)).then_some(Stopped::Shutdown);
        let is_lost = attempt.outcome == Outcome::Lost;
        let told = |at| told_by_this_clock(at, run.started_at, steps.now.wall);
        let ended_at = told(attempt.ended_at);
        policy.next(&Ended {
            run: run.id,
            attempt: run.attempt,
            charged: run.charged.saturating_add(1),
            attempts_max: run.max_attempts,
            lost: run.lost.saturating_add(u32::from(is_lost)),
            outcome: &attempt.outcome,
            ended_at,
            first_started_at: run.first_started_at.or(run.started_at).unwrap_or(ended_at),
            put_off: run.put_off,
            stopped: run.stop.or(by_machine),
            was_struck: attempt.stopped == Some(StopCause::Signal),
            is_unfit: attempt.is_unfit,
            retry_after: attempt.report.retry_after.filter(|_| !run.is_exec()),
        })
    }

    fn finish_attempt(
        &mut self,
        run: &RunRow,
        live: Option<&Live>,
        attempt: &Attempt,
        steps: &mut Steps,
    ) -> Result<Next, StoreError> {
        let next = self.next_of(run, live, attempt, steps);
        let told = |at| told_by_this_clock(at, run.started_at, steps.now.wall);
        let ended_at = told(attempt.ended_at);
        let next = self.unless_removed(run, next);
        if next == Next::Requeue {
            // Nobody here sent that signal: a command that kills its keeper must not do so without end at once.
            self.put_off(run.job_id, steps.now.mono + super::BACK_OFF_MAX);
        }
        self.store.finish_if_running(&Finish {
            run: run.id,
            claim: run.claim,
            is_occurrence: run.cause.is_occurrence(),
            outcome: &attempt.outcome,
            remark: attempt.remark.as_deref(),
            report: &attempt.report,
            next,
            started_at: attempt.started_at.filter(|at| told(*at) == *at),
            ended_at,
            usage: attempt.usage,
            pid: attempt.pid,
        })?;
        let has_output = attempt.usage.is_some_and(|usage| usage.output_bytes > 0);
        self.note_end(run, next, has_output, steps)?;
        if let Next::RetryAt(at) | Next::PutOffTo(at) = next {
            self.next_due_at = Some(self.next_due_at.map_or(at, |due| due.min(at)));
        }
        log_end(run, &attempt.outcome, next, steps);
        Ok(next)
    }

    /// An occurrence of a job that is gone from the jobfile is not tried again; an item waits for its job.
    fn unless_removed(&self, run: &RunRow, next: Next) -> Next {
        let is_removed = !self.by_id.contains_key(&run.job_id) && run.cause.is_occurrence();
        match next {
            Next::RetryAt(_) | Next::PutOffTo(_) | Next::Requeue if is_removed => {
                Next::Finish(Verdict::Skipped(Reason::JobRemoved))
            }
            Next::RetryAt(_) | Next::PutOffTo(_) | Next::Requeue | Next::Finish(_) => next,
        }
    }

    /// Tells the slots of attempts that somebody asked to stop.
    pub(super) fn tell_stops(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        for (run, claim) in self.store.stops_asked()? {
            if let Some(live) =
                self.live.get_mut(&run).filter(|live| live.claim == claim && !live.is_stopping)
            {
                live.is_stopping = true;
                steps.stops.push((run, Stop::Gently));
            }
        }
        Ok(())
    }

    /// Notes that a running attempt was asked to stop.
    pub(super) fn mark_stopping(&mut self, run: i64) {
        if let Some(live) = self.live.get_mut(&run) {
            live.is_stopping = true;
        }
    }
}

/// What came of keeping the output of an attempt.
#[derive(Default)]
struct KeptOutput {
    /// The last line of it.
    last_line: Option<String>,
    /// What was not kept, for people.
    remark: Option<String>,
}

/// Whether the attempt was started on a full disk, and so told to keep nothing.
fn is_unkept(record: &Record, live: Option<&Live>) -> bool {
    let is_wanted = live.is_some_and(|live| live.policy.output_max > 0);
    is_wanted && record.layout.head_max + record.layout.tail_max == 0
}

fn not_kept(bytes: u64, error: &io::Error) -> String {
    let why = if error.kind() == io::ErrorKind::StorageFull {
        "no space left on device".to_owned()
    } else {
        plain(error)
    };
    format!("{bytes} {NOT_KEPT}: {why}")
}

fn joined(one: Option<String>, other: Option<String>) -> Option<String> {
    let both = [one, other].into_iter().flatten();
    both.reduce(|one, other| format!("{one}; {other}"))
}

/// What is known of an attempt's end.
pub(super) struct Attempt {
    outcome: Outcome,
    stopped: Option<StopCause>,
    remark: Option<String>,
    report: CommandReport,
    /// No runs can be made of what it has found.
    is_unfit: bool,
    started_at: Option<Wall>,
    ended_at: Wall,
    usage: Option<Usage>,
    pid: Option<i32>,
}

impl Attempt {
    /// As its keeper wrote it down; `last_line` is that of its output.
    pub(super) fn of(
        record: &Record,
        ending: &Ending,
        live: Option<&Live>,
        last_line: Option<String>,
    ) -> Self {
        let outcome = outcome_of(record, ending, live, last_line);
        Self {
            outcome,
            stopped: record.stopped,
            remark: joined(ending.report.error.clone(), ending.remark.clone()),
            report: ending.report.clone(),
            is_unfit: false,
            started_at: Some(record.started_at),
            ended_at: ending.ended_at,
            usage: Some(Usage {
                duration_ms: i64::try_from(ending.duration.as_millis()).unwrap_or(i64::MAX),
                user_ms: i64::try_from(ending.user.as_millis()).unwrap_or(i64::MAX),
                system_ms: i64::try_from(ending.system.as_millis()).unwrap_or(i64::MAX),
                max_rss_kib: ending.max_rss_kib.cast_signed(),
                output_bytes: record.output_total.cast_signed(),
            }),
            pid: record.command.map(|command| command.pid),
        }
    }

    fn unknown(outcome: Outcome, ended_at: Wall) -> Self {
        Self {
            outcome,
            stopped: None,
            remark: None,
            report: CommandReport::default(),
            is_unfit: false,
            started_at: None,
            ended_at,
            usage: None,
            pid: None,
        }
    }
}

/// A point that a keeper wrote down. One before its claim or after now is of a clock that has been set since, or of another
/// clock (libfaketime may begin one for each process): then it is now.
fn told_by_this_clock(at: Wall, claimed_at: Option<Wall>, now: Wall) -> Wall {
    let is_of_it = at <= now && claimed_at.is_none_or(|claimed_at| claimed_at <= at);
    if is_of_it { at } else { now }
}

/// How an attempt ended, from what its keeper wrote down.
pub(super) fn outcome_of(
    record: &Record,
    ending: &Ending,
    live: Option<&Live>,
    last_line: Option<String>,
) -> Outcome {
    let is_timeout = record.stopped == Some(StopCause::Timeout);
    match &ending.end {
        End::Exited(code) if is_timeout => {
            Outcome::TimedOut { exit_code: Some(*code), signal: None }
        }
        End::Signaled(signal) if is_timeout => {
            Outcome::TimedOut { exit_code: None, signal: Some(*signal) }
        }
        End::Exited(code) => match live {
            Some(live) if live.is_shell => live.policy.outcome_of_shell(*code, last_line),
            Some(_) | None => Outcome::Exited(*code),
        },
        End::Signaled(signal) => Outcome::Signaled(*signal),
        End::SpawnFailed { exit_code, error } => {
            Outcome::SpawnFailed { exit_code: *exit_code, error: error.clone() }
        }
    }
}

fn log_end(run: &RunRow, outcome: &Outcome, next: Next, steps: &mut Steps) {
    let (job, id, attempt) = (run.job.clone(), run.id, run.attempt);
    let how = retry::describe(outcome);
    let follows = match next {
        Next::Finish(verdict) => match verdict.reason() {
            Some(reason) => format!("{} ({reason})", verdict.state()),
            None => verdict.state().to_string(),
        },
        Next::RetryAt(at) => {
            format!("retry at {}", at.rfc3339())
        }
        Next::PutOffTo(at) => format!("put off to {}", at.rfc3339()),
        Next::Requeue => "queued again".to_owned(),
    };
    steps.log.push(Box::new(move |log, at| {
        log.event(
            at,
            "end",
            &[
                ("job", &job),
                ("run", &id),
                ("attempt", &attempt),
                ("outcome", &how),
                ("next", &follows),
            ],
        );
    }));
}

/// The last line with something in it, bounded.
fn last_line(output: &Output) -> Option<String> {
    let bytes = if output.tail.is_empty() { &output.head } else { &output.tail };
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().take(LAST_LINE_MAX).collect())
}
