//! Attempts that have ended: what that means for their runs, what is kept of their output.

use std::io;

use super::feed::Found;
use crate::core::lane;
use crate::core::output::NOT_KEPT;
use crate::core::reason::plain;
use crate::core::retry::{self, Budget, Ended, Next, Stopped};
use crate::core::run::{Outcome, Reason, State};
use crate::core::time::Mono;
use crate::keeper::record::Record;
use crate::store::{Finish, Output, RunRow, StoreError};
use crate::supervisor::ending::{Attempt, Word, joined, told_by_this_clock};
use crate::supervisor::live::Live;
use crate::supervisor::log::LogEvent;
use crate::supervisor::spawner::{Kept, Report, SlotEnd, Spawner};
use crate::supervisor::turn::Turn;
use crate::supervisor::when::BACK_OFF_MAX;
use crate::supervisor::work::Work;

/// Longest last line of output that is shown as the reason of a failure.
const LAST_LINE_MAX: usize = 300;

impl<S: Spawner> Turn<'_, S> {
    /// Writes down every end that was told.
    pub(in crate::supervisor) fn finish_ended(&mut self) -> Result<(), StoreError> {
        let memory = self.memory;
        memory.ended.iter().try_for_each(|end| self.finish_one(end))
    }

    fn finish_one(&mut self, end: &SlotEnd) -> Result<(), StoreError> {
        let found = self.take_found(end)?;
        if let Found::More = found {
            self.effects.deferred.push((end.run, end.claim));
            return Ok(());
        }
        self.effects.released.push(end.slot);
        let live = self.live(end.run).cloned();
        self.end(end.run);
        if let Work::Notice(id) = Work::of(end.run) {
            return self.finish_notice(id, end, live.as_ref());
        }
        let is_it = |run: &RunRow| run.state == State::Running && run.claim == end.claim;
        let Some(run) = self.store.run(end.run)?.filter(is_it) else {
            return Ok(());
        };
        let Some(mut attempt) = self.attempt_of(end, &run, live.as_ref())? else {
            return self.take_back(&run);
        };
        if let Found::Unfit(reason) = &found {
            attempt.is_unfit = true;
            attempt.remark = joined(Some(reason.clone()), attempt.remark);
        }
        let next = self.finish_attempt(&run, live.as_ref(), &attempt)?;
        if let Found::All(feed) = found {
            self.store.finish_feed(feed)?;
        }
        // What was put down and is not to be is taken away.
        self.queue.has_feeds |= !matches!(found, Found::Nothing);
        if live.is_some_and(|live| lane::is_template(&live.policy)) {
            // The store has let the next run of its lane go.
            self.load_head(run.job_id)?;
        }
        match next {
            Next::Requeue => self.load_head(run.job_id),
            Next::RetryAt(_) | Next::PutOffTo(_) | Next::Finish(_) => Ok(()),
        }
    }

    /// What the end of an attempt says of it, its output put where it is kept; none: it never
    /// began.
    fn attempt_of(
        &mut self,
        end: &SlotEnd,
        run: &RunRow,
        live: Option<&Live>,
    ) -> Result<Option<Attempt>, StoreError> {
        let (record, ending) = match Word::of(end, live, self.oversight, self.now.wall) {
            Word::NeverStarted => return Ok(None),
            Word::Missing(attempt) => {
                self.effects.files.extend(self.memory.surroundings.report_of(run.id, run.attempt));
                return Ok(Some(attempt));
            }
            Word::Written(record, ending) => (record, ending),
        };
        let unkept = self.is_disk_full || is_unkept(record, live);
        let kept = if unkept && record.output_total > 0 {
            self.leave_output_out(record)
        } else {
            self.keep_output(end, run)?
        };
        if record.feeds.is_some() {
            self.effects.files.extend(self.spawner.spool_path(end.slot));
        }
        let mut attempt = Attempt::of(record, ending, live, kept.last_line);
        attempt.remark = joined(attempt.remark, kept.remark);
        Ok(Some(attempt))
    }

    /// Takes a claim back that never became a process. Whoever did not want the run any more is
    /// heard all the same; else it is tried again, but not at once: what was in the way may still
    /// be there.
    fn take_back(&mut self, run: &RunRow) -> Result<(), StoreError> {
        let now = self.now;
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
        if self.index(run.job_id).is_none() {
            self.store.skip_removed(run.job_id, now.wall)?;
        }
        let wait = self.memory.wait_after_refusal(run.id);
        self.put_off(run.job_id, now.mono + wait);
        self.say(LogEvent::NotStarted, &[("job", &run.job), ("run", &run.id)]);
        self.load_head(run.job_id)
    }

    /// Starts nothing of a job before `at`.
    fn put_off(&mut self, job_id: i64, at: Mono) {
        if let Some(index) = self.index(job_id) {
            self.queue.set_try_at(index, Some(at));
        }
    }

    /// Leaves the output of an attempt out: there is no room for it.
    fn leave_output_out(&mut self, record: &Record) -> KeptOutput {
        // A turn that failed may have moved it there.
        self.effects.files.push(self.store.output_file(record.run, record.attempt));
        KeptOutput {
            last_line: None,
            remark: Some(not_kept(record.output_total, &io::ErrorKind::StorageFull.into())),
        }
    }

    /// Moves the output of an attempt where it is kept.
    fn keep_output(&mut self, end: &SlotEnd, run: &RunRow) -> Result<KeptOutput, StoreError> {
        match self.spawner.output(end) {
            Ok(Kept::Nothing) => Ok(KeptOutput::default()),
            Ok(Kept::Inline(output)) => {
                self.store.save_output(run.id, run.attempt, &output)?;
                let bytes = output.head.len() + output.tail.len();
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                self.effects.output_change = self.effects.output_change.saturating_add(bytes);
                Ok(KeptOutput { last_line: last_line(&output), remark: None })
            }
            Ok(Kept::File { total, layout }) => {
                self.store.save_output_file(run.id, run.attempt, total, layout)?;
                let bytes = total - layout.dropped(total);
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                self.effects.output_change = self.effects.output_change.saturating_add(bytes);
                Ok(KeptOutput::default())
            }
            Err(error) => {
                let total = match &end.report {
                    Report::Ended(record) => record.output_total,
                    Report::Lost | Report::NeverStarted | Report::Refused(_) => 0,
                };
                let remark = Some(not_kept(total, &error));
                self.say(LogEvent::OutputNotKept, &[("run", &run.id), ("error", &plain(&error))]);
                Ok(KeptOutput { last_line: None, remark })
            }
        }
    }

    fn finish_attempt(
        &mut self,
        run: &RunRow,
        live: Option<&Live>,
        attempt: &Attempt,
    ) -> Result<Next, StoreError> {
        let now = self.now.wall;
        let told = |at| told_by_this_clock(at, run.started_at, now);
        let (next, budget) = self.what_follows(run, live, attempt);
        if next == Next::Requeue {
            // Nobody here sent that signal: a command that kills its keeper must not do so without
            // end at once.
            self.put_off(run.job_id, self.now.mono + BACK_OFF_MAX);
        }
        self.store.finish_if_running(&Finish {
            run,
            outcome: &attempt.outcome,
            remark: attempt.remark.as_deref(),
            report: &attempt.report,
            next,
            budget,
            started_at: attempt.started_at.filter(|at| told(*at) == *at),
            ended_at: told(attempt.ended_at),
            usage: attempt.usage,
            pid: attempt.pid,
        })?;
        let has_output = attempt.usage.is_some_and(|usage| usage.output_bytes > 0);
        self.note_end(run, next, has_output)?;
        if let Next::RetryAt(at) | Next::PutOffTo(at) = next {
            let before = self.queue.next_due_at;
            self.queue.next_due_at = Some(before.map_or(at, |before| before.min(at)));
        }
        self.log_end(run, &attempt.outcome, next);
        Ok(next)
    }

    /// Returns the next step after an attempt of a run, and its budget then. An item waits for its
    /// job where an occurrence does not.
    pub(super) fn what_follows(
        &self,
        run: &RunRow,
        live: Option<&Live>,
        attempt: &Attempt,
    ) -> (Next, Budget) {
        let policy = live.map(|live| live.policy.clone()).unwrap_or_default();
        let is_removed = self.index(run.job_id).is_none() && run.cause.is_occurrence();
        policy.after(&Ended { is_removed, ..attempt.ended(run, self.now.wall) })
    }

    fn log_end(&mut self, run: &RunRow, outcome: &Outcome, next: Next) {
        let (event, follows) = match next {
            Next::Finish(verdict) => {
                let is_failed = verdict.state() == State::Failed;
                let event = if is_failed { LogEvent::EndFailed } else { LogEvent::End };
                let reason = verdict.reason().map(|reason| format!(" ({reason})"));
                (event, format!("{}{}", verdict.state(), reason.unwrap_or_default()))
            }
            Next::RetryAt(at) => (LogEvent::EndRetried, format!("retry at {}", at.rfc3339())),
            Next::PutOffTo(at) => (LogEvent::End, format!("put off to {}", at.rfc3339())),
            Next::Requeue => (LogEvent::End, "queued again".to_owned()),
        };
        let fields: [(&str, &dyn std::fmt::Display); 5] = [
            ("job", &run.job),
            ("run", &run.id),
            ("attempt", &run.attempt),
            ("outcome", &retry::describe(outcome)),
            ("next", &follows),
        ];
        self.say(event, &fields);
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

/// The last line with something in it, bounded.
fn last_line(output: &Output) -> Option<String> {
    let bytes = if output.tail.is_empty() { &output.head } else { &output.tail };
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().take(LAST_LINE_MAX).collect())
}
