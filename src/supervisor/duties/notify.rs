//! Hooks and mail: what happens to a run is put down as notices in the transaction of its state,
//! and told outside locks and places, a few at a time, each by a keeper of its own. What is on disk
//! is told at least once, whoever is killed in between.

use crate::core::job::Job;
use crate::core::notice::{self, AttemptEnd, Event, Means, told, told_of_end};
use crate::core::reason::plain;
use crate::core::retry::{self, Next};
use crate::core::run::{Outcome, Reason, State, Verdict};
use crate::core::time::Now;
use crate::keeper::order::Order;
use crate::store::{NewNotice, NoticeRow, Output, RunRow, StoreError, Told, json};
use crate::supervisor::claim::Claim;
use crate::supervisor::ending::{Attempt, Word};
use crate::supervisor::environment::{self, Subject, words_of};
use crate::supervisor::live::{Live, NOTIFY_JOB};
use crate::supervisor::log::LogEvent;
use crate::supervisor::memory::Memory;
use crate::supervisor::queue::Queue;
use crate::supervisor::spawner::{Kept, SlotEnd, Spawner};
use crate::supervisor::turn::Turn;
use crate::supervisor::when::{LOCK_AGAIN, When};
use crate::supervisor::work::Work;

/// Hooks and mails under way at once.
const TELLING_MAX: usize = 4;

/// A keeper that was lost may have told nothing: so often it is tried in all.
const TRIES_MAX: u32 = 3;

/// Longest end of what a hook printed that is kept.
const SAID_MAX: usize = 1024;

/// When somebody can be told something.
pub(in crate::supervisor) fn due(memory: &Memory, queue: &Queue, now: Now) -> Option<When> {
    let has_room = memory.live.of_job(NOTIFY_JOB).len() < TELLING_MAX && memory.may_tell(now);
    let at = queue.next_notice_at.filter(|_| has_room)?;
    let again = queue.tell_again_at.filter(|again| again.since(now.mono) > at.since(now.wall));
    Some(again.map_or(When::At(at), When::By))
}

impl<S: Spawner> Turn<'_, S> {
    /// Puts down who is to be told of the end of an attempt. Of what `jobctl exec` runs, whoever
    /// called it knows.
    pub(in crate::supervisor) fn note_end(
        &mut self,
        run: &RunRow,
        next: Next,
        has_output: bool,
    ) -> Result<(), StoreError> {
        let Some(index) = self.index(run.job_id) else {
            return Ok(());
        };
        if run.is_exec() {
            return Ok(());
        }
        let was_failing = match next {
            Next::Finish(Verdict::Succeeded) => self.store.take_failing(run.job_id)?,
            Next::Finish(Verdict::Failed(_)) => {
                self.store.set_failing(run.job_id)?;
                false
            }
            Next::Finish(Verdict::Skipped(_) | Verdict::Cancelled(_))
            | Next::RetryAt(_)
            | Next::PutOffTo(_)
            | Next::Requeue => false,
        };
        let (state, reason) = match next {
            Next::Finish(verdict) => (verdict.state(), verdict.reason()),
            Next::RetryAt(_) | Next::PutOffTo(_) => (State::Retrying, None),
            Next::Requeue => (State::Queued, None),
        };
        let end = AttemptEnd { next, was_failing, has_output };
        let policy = &self.job(index).job.policy;
        for (event, means) in told_of_end(policy, end) {
            let new = NewNotice {
                job_id: run.job_id,
                run: Some((run.id, run.attempt)),
                state: Some(state),
                reason,
                interval: policy.hook_interval,
                at: self.now.wall,
            };
            self.put_notice(&new, event, means)?;
        }
        Ok(())
    }

    /// A run gave up because a new occurrence took its place.
    pub(in crate::supervisor) fn note_superseded(
        &mut self,
        index: usize,
        run: (i64, u32),
    ) -> Result<(), StoreError> {
        self.store.set_failing(self.job(index).id)?;
        self.note(index, Some(run), Event::Failure)
    }

    /// Puts down who is to be told of something that is no end of an attempt.
    pub(in crate::supervisor) fn note(
        &mut self,
        index: usize,
        run: Option<(i64, u32)>,
        event: Event,
    ) -> Result<(), StoreError> {
        let row = run.map(|(id, _)| self.store.run(id)).transpose()?.flatten();
        let state = row.as_ref().map(|row| row.state);
        let superseded = (event == Event::Failure).then_some(Reason::Superseded);
        let reason = row.and_then(|row| row.reason).or(superseded);
        self.put_notices(index, event, |new| NewNotice { run, state, reason, ..new })
    }

    /// Puts down who is to be told that a job has been paused for long.
    pub(super) fn note_forgotten(&mut self, index: usize) -> Result<(), StoreError> {
        let reason = Some(Reason::Paused);
        self.put_notices(index, Event::Late, |new| NewNotice { reason, ..new })
    }

    fn put_notices(
        &mut self,
        index: usize,
        event: Event,
        with: impl Fn(NewNotice) -> NewNotice,
    ) -> Result<(), StoreError> {
        let job_id = self.job(index).id;
        let policy = &self.job(index).job.policy;
        let (interval, at) = (policy.hook_interval, self.now.wall);
        for (event, means) in told(policy, event) {
            let new = NewNotice { job_id, run: None, state: None, reason: None, interval, at };
            self.put_notice(&with(new), event, means)?;
        }
        Ok(())
    }

    fn put_notice(
        &mut self,
        new: &NewNotice,
        event: Event,
        means: Means,
    ) -> Result<(), StoreError> {
        self.queue.has_new_notices = true;
        self.store.add_notice(new, event, means).map(drop)
    }

    /// Claims what is due to be told, as far as there is room.
    pub(in crate::supervisor) fn tell(&mut self) -> Result<(), StoreError> {
        let now = self.now;
        if std::mem::take(&mut self.queue.has_new_notices) {
            self.queue.next_notice_at = self.store.next_notice_at()?;
        }
        let is_early = self.queue.tell_again_at.is_some_and(|at| at > now.mono);
        let is_due = self.queue.next_notice_at.is_some_and(|at| at <= now.wall);
        if is_early || !is_due || !self.memory.may_tell(now) {
            return Ok(());
        }
        self.queue.tell_again_at = None;
        for _ in self.running_len(NOTIFY_JOB)..TELLING_MAX {
            let Some(row) = self.store.due_notices(now.wall, 1)?.pop() else {
                break;
            };
            let slot = match self.free_slot() {
                Ok(slot) => slot,
                Err(error) => {
                    self.queue.tell_again_at = Some(now.mono + LOCK_AGAIN);
                    self.say(
                        LogEvent::CannotTell,
                        &[("notice", &row.id), ("error", &plain(&error))],
                    );
                    break;
                }
            };
            self.claim_notice(row, slot)?;
        }
        self.queue.next_notice_at = self.store.next_notice_at()?;
        Ok(())
    }

    fn claim_notice(&mut self, row: NoticeRow, slot: u32) -> Result<(), StoreError> {
        let order = self.order_of(&row)?;
        let claim = self.store.claim_notice(&row, slot, self.now.wall)?;
        let order = match order {
            Ok(order) => order,
            Err(outcome) => {
                self.give_back(slot);
                let untold = Attempt::unknown(outcome, self.now.wall);
                return self.finish_told(&row, claim, &untold, None);
            }
        };
        let run = Work::Notice(row.id).number();
        let order = Order {
            run,
            attempt: row.tries.saturating_add(1),
            claim,
            cgroup: self.spawner.cgroup_of(slot),
            ..order
        };
        self.begin(run, Live::of_notice(slot, claim));
        let (job, notice) = (self.name_of(row.job_id), Some(row.id));
        self.effects.claims.push(Claim { slot, job, notice, locks: Vec::new(), order });
        Ok(())
    }

    /// Writes down what came of a hook or mail. What may not have reached anybody is tried again.
    pub(in crate::supervisor) fn finish_notice(
        &mut self,
        id: i64,
        end: &SlotEnd,
        live: Option<&Live>,
    ) -> Result<(), StoreError> {
        let now = self.now.wall;
        self.queue.has_new_notices = true;
        self.queue.tell_again_at = None;
        let is_it = |row: &NoticeRow| !row.is_done && row.claim == Some(end.claim);
        let Some(row) = self.store.notice(id)?.filter(is_it) else {
            self.effects.bare.remove(&id);
            return Ok(());
        };
        let later = now + LOCK_AGAIN;
        let (attempt, said) = match Word::of(end, live, self.oversight, now) {
            Word::NeverStarted => {
                return self.store.tell_again(id, row.tries.saturating_sub(1), later);
            }
            Word::Missing(attempt) => (attempt, None),
            Word::Written(record, ending) => {
                (Attempt::of(record, ending, None, None), self.said(end))
            }
        };
        if is_of_surroundings(&attempt.outcome) && self.effects.bare.insert(id) {
            // What keeps the job from being started must not keep anybody from hearing of it.
            return self.store.tell_again(id, row.tries, now);
        }
        if attempt.outcome == Outcome::Lost && row.tries < TRIES_MAX {
            return self.store.tell_again(id, row.tries, later);
        }
        self.finish_told(&row, end.claim, &attempt, said.as_deref())
    }

    /// Writes down that a notice was told, or cannot be.
    fn finish_told(
        &mut self,
        row: &NoticeRow,
        claim: i64,
        attempt: &Attempt,
        said: Option<&str>,
    ) -> Result<(), StoreError> {
        let told = Told {
            outcome: &attempt.outcome,
            duration_ms: attempt.usage.map(|usage| usage.duration_ms),
            output: said,
            // It may have ended while nobody was there.
            ended_at: attempt.ended_at.min(self.now.wall),
        };
        self.store.finish_notice(row.id, claim, &told)?;
        self.effects.bare.remove(&row.id);
        self.log_told(row, &attempt.outcome, said);
        Ok(())
    }

    /// The end of what a hook or mail printed.
    fn said(&mut self, end: &SlotEnd) -> Option<String> {
        match self.spawner.output(end) {
            Ok(Kept::Inline(output)) => Some(tail_of(&output)),
            // It is not worth more than the word that is lost with it.
            Ok(Kept::Nothing | Kept::File { .. }) | Err(_) => None,
        }
    }

    fn name_of(&self, job_id: i64) -> String {
        self.memory.jobs.get(job_id).map_or_else(String::new, |state| state.job.name.to_string())
    }

    /// A hook or mail that fails is said once, until it does not any more.
    fn log_told(&mut self, row: &NoticeRow, outcome: &Outcome, said: Option<&str>) {
        let kind = (row.job_id, row.event, row.means);
        let has_failed = *outcome != Outcome::Exited(0);
        let had_failed = self.effects.unheard.insert(kind, has_failed);
        if had_failed.unwrap_or(self.memory.notify.unheard.contains(&kind)) == has_failed {
            return;
        }
        let event = match (row.means, has_failed) {
            (Means::Hook, true) => LogEvent::HookFailed,
            (Means::Mail, true) => LogEvent::MailFailed,
            (Means::Hook, false) => LogEvent::HookWorks,
            (Means::Mail, false) => LogEvent::MailWorks,
        };
        let job = self.name_of(row.job_id);
        let said = said.and_then(|said| said.trim_end().lines().last()).unwrap_or_default();
        let fields: [(&str, &dyn std::fmt::Display); 5] = [
            ("job", &job),
            ("run", &row.run.unwrap_or(0)),
            ("event", &row.event),
            ("outcome", &retry::describe(outcome)),
            ("said", &said),
        ];
        self.say(event, if has_failed { &fields } else { &fields[..3] });
    }

    /// The order for a notice, for the job as it is defined now.
    fn order_of(&self, row: &NoticeRow) -> Result<Result<Order, Outcome>, StoreError> {
        let Some(state) = self.memory.jobs.get(row.job_id) else {
            return Ok(Err(not_told("the job is no longer in the jobfile")));
        };
        let job = &state.job;
        let run = self.store.run_of_notice(row)?;
        let subject = match row.means {
            Means::Hook => hook_subject(job, row, run.as_ref()),
            Means::Mail => self.mail_subject(job, row, run.as_ref())?,
        };
        let Some(mut subject) = subject else {
            return Ok(Err(not_told("the jobfile no longer asks for it")));
        };
        let reason = row.reason.map_or("", Reason::as_str);
        subject.env = vec![
            ("JOBCTL_EVENT", row.event.to_string()),
            ("JOBCTL_COUNT", row.count.to_string()),
            ("JOBCTL_STATE", row.state.map_or("", State::as_str).to_owned()),
            ("JOBCTL_REASON", reason.to_owned()),
        ];
        if let Some(attempt) = row.attempt {
            subject.env.push(("JOBCTL_ATTEMPT", attempt.to_string()));
        }
        let order = self.memory.surroundings.notice_order(subject);
        Ok(Ok(match (self.effects.bare.contains(&row.id), row.means) {
            (false, _) => order,
            (true, Means::Hook) => environment::without_files(order),
            (true, Means::Mail) => self.memory.surroundings.as_own_user(order),
        }))
    }
}

fn hook_subject<'a>(job: &'a Job, row: &NoticeRow, run: Option<&'a RunRow>) -> Option<Subject<'a>> {
    let command = notice::hook(&job.policy.hooks, row.event)?;
    let value = run.map_or(serde_json::Value::Null, |run| json::run_fields(run).into());
    Some(Subject {
        job: Some(job),
        run,
        argv: words_of(&job.policy.shell, job.name.as_str(), command),
        stdin: format!("{value}\n").into_bytes(),
        ..Subject::default()
    })
}

/// Whether it may be the job's surroundings that kept a hook or mail from being started, not the
/// program: then there is no exit code.
fn is_of_surroundings(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::SpawnFailed { exit_code: None, .. })
}

fn not_told(why: &str) -> Outcome {
    Outcome::SpawnFailed { exit_code: None, error: why.to_owned() }
}

/// The end of what a hook printed, as text.
fn tail_of(output: &Output) -> String {
    let bytes = if output.tail.is_empty() { &output.head } else { &output.tail };
    let text = String::from_utf8_lossy(bytes);
    let skipped = text.chars().count().saturating_sub(SAID_MAX);
    text.chars().skip(skipped).collect()
}
