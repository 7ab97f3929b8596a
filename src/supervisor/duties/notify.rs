//! Hooks and mail: what happens to a run is put down as notices in the transaction of its state,
//! and told outside locks and places, a few at a time, each by a keeper of its own. What is on disk
//! is told at least once, whoever is killed in between.

use super::When;
use crate::core::job::Job;
use crate::core::notice::{self, AttemptEnd, Event, Means, told, told_of_end};
use crate::core::reason::plain;
use crate::core::retry::{self, Next};
use crate::core::run::{Outcome, Reason, State, Verdict};
use crate::core::time::{Now, Wall};
use crate::keeper::order::Order;
use crate::store::{NewNotice, NoticeRow, Output, RunRow, StoreError, Told, json};
use crate::supervisor::ending::{believed, outcome_of};
use crate::supervisor::environment::{self, Subject, words_of};
use crate::supervisor::spawner::Kept;
use crate::supervisor::{LOCK_AGAIN, Memory, Queue, Report, SlotEnd, Spawner, Turn};

/// Hooks and mails under way at once.
const TELLING_MAX: usize = 4;

/// Of these so many for one job: hooks that hang leave a place to others.
const TELLING_OF_JOB_MAX: usize = 3;

/// A keeper that was lost may have told nothing: so often it is tried in all.
const TRIES_MAX: u32 = 3;

/// Longest end of what a hook printed that is kept.
const SAID_MAX: usize = 1024;

/// A hook or mail under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::supervisor) struct Telling {
    pub(in crate::supervisor) id: i64,
    pub(in crate::supervisor) job_id: i64,
    pub(in crate::supervisor) claim: i64,
    /// It was adopted from another boot or store: that its record says nothing proves nothing.
    pub(in crate::supervisor) is_doubted: bool,
}

/// One that was claimed in this turn.
pub(in crate::supervisor) struct Claimed {
    pub(in crate::supervisor) slot: u32,
    pub(in crate::supervisor) telling: Telling,
    pub(in crate::supervisor) order: Result<Order, Outcome>,
}

/// What came of the command of a hook or mail.
struct Ending {
    outcome: Outcome,
    ended_at: Option<Wall>,
    duration_ms: Option<i64>,
    /// The end of what it printed.
    said: Option<String>,
}

/// Whose hook or mail, of what, and how.
pub(in crate::supervisor) type Kind = (i64, Event, Means);

/// The notice whose end this is; none: it is that of an attempt. A keeper knows a notice as the run
/// of its negative number.
pub(in crate::supervisor) fn notice_of(end: &SlotEnd) -> Option<i64> {
    (end.run < 0).then(|| -end.run)
}

/// When somebody can be told something.
pub(in crate::supervisor) fn due(memory: &Memory, queue: &Queue, now: Now) -> Option<When> {
    let has_room = memory.notify.telling.len() < TELLING_MAX && memory.may_tell(now);
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
        let job_id = self.job(index).id;
        let policy = &self.job(index).job.policy;
        let is_failure = event == Event::Failure;
        let row = run.map(|(id, _)| self.store.run(id)).transpose()?.flatten();
        for (event, means) in told(policy, event) {
            let new = NewNotice {
                job_id,
                run,
                state: row.as_ref().map(|row| row.state),
                reason: row
                    .as_ref()
                    .and_then(|row| row.reason)
                    .or(is_failure.then_some(Reason::Superseded)),
                interval: policy.hook_interval,
                at: self.now.wall,
            };
            self.put_notice(&new, event, means)?;
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
        while self.effects.telling.len() < TELLING_MAX {
            let crowd = self.crowd();
            let Some(row) = self.store.due_notices(now.wall, crowd, 1)?.pop() else {
                // What that job still has to tell is looked at again when there is a place.
                self.queue.tell_again_at = crowd.map(|_| now.mono + LOCK_AGAIN);
                break;
            };
            let slot = match self.free_slot() {
                Ok(slot) => slot,
                Err(error) => {
                    self.queue.tell_again_at = Some(now.mono + LOCK_AGAIN);
                    self.say("cannot_tell", &[("notice", &row.id), ("error", &plain(&error))]);
                    break;
                }
            };
            let order = self.order_of(&row)?;
            let claim = self.store.claim_notice(&row, slot, now.wall)?;
            let order = order.map(|order| Order {
                run: -row.id,
                attempt: row.tries.saturating_add(1),
                claim,
                cgroup: self.spawner.cgroup_of(slot),
                ..order
            });
            let telling = Telling { id: row.id, job_id: row.job_id, claim, is_doubted: false };
            self.effects.telling.push(telling);
            self.effects.notices.push(Claimed { slot, telling, order });
        }
        self.queue.next_notice_at = self.store.next_notice_at()?;
        Ok(())
    }

    /// The job, if there is one, that has as many hooks and mails under way as one may have.
    fn crowd(&self) -> Option<i64> {
        let jobs = || self.effects.telling.iter().map(|telling| telling.job_id);
        let count = |job: i64| jobs().filter(|other| *other == job).count();
        jobs().find(|job| count(*job) >= TELLING_OF_JOB_MAX)
    }

    /// Writes down what came of a hook or mail. What may not have reached anybody is tried again.
    pub(in crate::supervisor) fn finish_notice(
        &mut self,
        id: i64,
        end: &SlotEnd,
    ) -> Result<(), StoreError> {
        let now = self.now.wall;
        self.effects.released.push(end.slot);
        self.queue.has_new_notices = true;
        let is_it = |telling: &Telling| (telling.id, telling.claim) == (id, end.claim);
        let mut is_doubted = true;
        if let Some(at) = self.effects.telling.iter().position(is_it) {
            is_doubted = self.effects.telling.swap_remove(at).is_doubted;
            self.queue.tell_again_at = None;
        }
        let Some(row) = self.row_under_way(id, end.claim)? else {
            return Ok(());
        };
        let Some(ending) = self.ending_of(end, is_doubted) else {
            return self.store.unclaim_notice(id, now + LOCK_AGAIN).map(drop);
        };
        let was_tried = !matches!(end.report, Report::Refused(_));
        if was_tried && is_of_surroundings(&ending.outcome) && self.effects.bare.insert(id) {
            // What keeps the job from being started must not keep anybody from hearing of it.
            return self.store.tell_again(id, now).map(drop);
        }
        if ending.outcome == Outcome::Lost && row.tries < TRIES_MAX {
            return self.store.tell_again(id, now + LOCK_AGAIN).map(drop);
        }
        let Ending { outcome, ended_at, duration_ms, said } = ending;
        let told = Told {
            outcome: &outcome,
            duration_ms,
            output: said.as_deref(),
            // It may have ended while nobody was there.
            ended_at: ended_at.map_or(now, |at| at.min(now)),
        };
        self.store.finish_notice(id, end.claim, &told)?;
        self.effects.bare.remove(&id);
        self.log_told(&row, &outcome, said.as_deref());
        Ok(())
    }

    /// The row of a hook or mail that is under way under this claim. One that vanished leaves
    /// nothing behind.
    fn row_under_way(&mut self, id: i64, claim: i64) -> Result<Option<NoticeRow>, StoreError> {
        let row = self.store.notice(id)?.filter(|row| !row.is_done);
        if row.is_none() {
            self.effects.bare.remove(&id);
        }
        Ok(row.filter(|row| row.claim == Some(claim)))
    }

    /// How the command of a hook or mail ended; none: no process was started for it.
    fn ending_of(&mut self, end: &SlotEnd, is_doubted: bool) -> Option<Ending> {
        let without_record =
            |outcome| Ending { outcome, ended_at: None, duration_ms: None, said: None };
        let record = match believed(&end.report, is_doubted) {
            Report::NeverStarted => return None,
            Report::Lost => {
                let outcome = self.oversight.outcome_of_lost(end.run, end.claim);
                return Some(without_record(outcome));
            }
            Report::Refused(outcome) => return Some(without_record(outcome.clone())),
            Report::Ended(record) => record,
        };
        let Some(ending) = &record.ending else {
            return Some(without_record(Outcome::Lost));
        };
        let said = match self.spawner.output(end) {
            Ok(Kept::Inline(output)) => Some(tail_of(&output)),
            // It is not worth more than the word that is lost with it.
            Ok(Kept::Nothing | Kept::File { .. }) | Err(_) => None,
        };
        Some(Ending {
            outcome: outcome_of(record, ending),
            ended_at: Some(ending.ended_at),
            duration_ms: Some(i64::try_from(ending.duration.as_millis()).unwrap_or(i64::MAX)),
            said,
        })
    }

    /// A hook or mail that fails is said once, until it does not any more.
    fn log_told(&mut self, row: &NoticeRow, outcome: &Outcome, said: Option<&str>) {
        let kind = (row.job_id, row.event, row.means);
        let has_failed = *outcome != Outcome::Exited(0);
        let had_failed = self.effects.unheard.insert(kind, has_failed);
        if had_failed.unwrap_or(self.memory.notify.unheard.contains(&kind)) == has_failed {
            return;
        }
        let name = match (row.means, has_failed) {
            (Means::Hook, true) => "hook_failed",
            (Means::Mail, true) => "mail_failed",
            (Means::Hook, false) => "hook_works",
            (Means::Mail, false) => "mail_works",
        };
        let job = self.memory.jobs.get(row.job_id).map_or("", |state| state.job.name.as_str());
        let said = said.and_then(|said| said.trim_end().lines().last()).unwrap_or_default();
        let fields: [(&str, &dyn std::fmt::Display); 5] = [
            ("job", &job),
            ("run", &row.run.unwrap_or(0)),
            ("event", &row.event),
            ("outcome", &retry::describe(outcome)),
            ("said", &said),
        ];
        self.say(name, if has_failed { &fields } else { &fields[..3] });
    }

    /// The order for a notice, for the job as it is defined now.
    fn order_of(&self, row: &NoticeRow) -> Result<Result<Order, Outcome>, StoreError> {
        let Some(state) = self.memory.jobs.get(row.job_id) else {
            return Ok(Err(not_told("the job is gone from the jobfile")));
        };
        let job = &state.job;
        let run = self.store.run_of_notice(row)?;
        let subject = match row.means {
            Means::Hook => hook_subject(job, row, run.as_ref()),
            Means::Mail => self.mail_subject(job, row, run.as_ref())?,
        };
        let Some(mut subject) = subject else {
            return Ok(Err(not_told("the jobfile does not ask for it any more")));
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
        argv: words_of(job, command),
        stdin: format!("{value}\n").into_bytes(),
        env: Vec::new(),
        path_end: b"",
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
