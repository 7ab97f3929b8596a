//! `POST /v1/runs/ID/cancel`, `/ack` and `/retry`; `POST /v1/jobs/JOB/pause` and `/resume`, `POST
//! /v1/pause` and `/resume`: the same as the verbs of the command line.

use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;

use super::{no_such_job, permit, whose};
use crate::core::admission::{Act, Caller, Whose};
use crate::core::pause::PauseNote;
use crate::core::time::Wall;
use crate::door::answer::{self, Answer as Reply};
use crate::door::desk::Desk;
use crate::door::problem::{Kind, Problem, Result};
use crate::door::shelf::Shelf;
use crate::os::clock;
use crate::store::{Answer, Force, RunRow, Scope, Store, StoreError};
use crate::wording::verbs;

/// A change of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Removes it from the queue, or asks the supervisor to stop it.
    Cancel,
    /// Acknowledges its failure.
    Ack,
    /// Runs it again.
    Retry,
}

/// The result of a change, with the members of the verbs' `--json`.
#[derive(Serialize)]
struct Step {
    id: i64,
    answer: &'static str,
    job: String,
    message: String,
    hint: Option<String>,
}

impl Verb {
    fn act(self, whose: Whose) -> Act<'static> {
        match self {
            Self::Cancel => Act::Cancel(whose),
            Self::Ack | Self::Retry => Act::Change(whose),
        }
    }

    fn apply(
        self,
        (store, shelf): (&mut Store, &Shelf),
        run: &RunRow,
        now: Wall,
    ) -> Result<Answer, StoreError> {
        match self {
            Self::Cancel => store.cancel_if_unfinished(run.id, now),
            Self::Ack => store.ack_if_failed(run.id, now),
            Self::Retry => {
                let Some(job) = shelf.today(&run.job) else {
                    return Ok(Answer::Refused(Box::new(run.clone())));
                };
                store.retry_if_ended(run.id, job.policy.attempts_max(), now, Force::No)
            }
        }
    }

    fn message(self, run: &RunRow, answer: &Answer) -> String {
        match (self, answer) {
            (Self::Cancel, Answer::Asked) => verbs::stopping(run),
            (Self::Cancel, _) => verbs::cancelled(run),
            (Self::Ack, _) => verbs::acknowledged(run),
            (Self::Retry, _) => verbs::queued_again(run),
        }
    }
}

/// Applies a verb to a run.
pub(super) async fn run(desk: &Desk, caller: &Caller, id: i64, verb: Verb) -> Result<Reply> {
    let hidden = || Problem::no_such_run(id);
    let owner = desk.read(move |store, _| store.owner(id)).await?;
    permit(desk, caller, verb.act(whose(caller, owner.as_deref())), hidden)?;
    let (shelf, now) = (Arc::clone(&desk.shelf), clock::now().wall);
    let done = desk.writer.write(move |store| {
        let Some(run) = store.run(id)? else {
            return Ok(None);
        };
        let answer = verb.apply((store, &shelf), &run, now)?;
        Ok(Some((run, answer)))
    });
    let (run, answer) = done.await?.ok_or_else(hidden)?;
    let refused = |detail: String| Err(Problem::new(Kind::WrongState, detail));
    let word = match answer {
        Answer::Done => "done",
        Answer::Asked => "asked",
        Answer::NoSuchRun => return Err(hidden()),
        Answer::Refused(run) => return refused(refusal(desk, &run, verb)),
        Answer::KeyHeld { by } => {
            let key = run.key.unwrap_or_default();
            let detail = format!("run {id}: its key `{key}` is held by run {by}");
            return Err(Problem::new(Kind::KeyHeld, detail));
        }
        Answer::SameOccurrence { by } => {
            return refused(format!("run {id}: run {by} of the same occurrence has not ended"));
        }
    };
    let message = verb.message(&run, &answer);
    let step = Step { id, answer: word, job: run.job, message, hint: None };
    Ok(answer::json(StatusCode::OK, &step))
}

/// Explains why a run was not changed.
fn refusal(desk: &Desk, run: &RunRow, verb: Verb) -> String {
    let RunRow { id, job, state, .. } = run;
    match verb {
        Verb::Retry if desk.shelf.today(job).is_none() => {
            format!("run {id}: its job `{job}` is not in the jobfile")
        }
        Verb::Ack if run.acked.is_some() => format!("run {id} is already acknowledged"),
        Verb::Retry if run.count > 1 => {
            format!("run {id} stands for {} skipped occurrences", run.count)
        }
        Verb::Cancel | Verb::Ack | Verb::Retry => format!("run {id} is {state}"),
    }
}

/// A change of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steer {
    /// Stops starting runs.
    Pause,
    /// Starts runs again.
    Resume,
}

/// A pause, with the members of `pause --json`.
#[derive(Serialize)]
struct Paused {
    job: Option<String>,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

/// Pauses or resumes one job, or all jobs.
pub(super) async fn steer(
    desk: &Desk,
    caller: &Caller,
    job: Option<&str>,
    steer: Steer,
) -> Result<Reply> {
    let unknown = || no_such_job(job.unwrap_or_default());
    permit(desk, caller, Act::Steer, unknown)?;
    let is_known = job.is_none_or(|job| desk.shelf.job(job).is_some());
    let (job, now) = (job.map(str::to_owned), clock::now().wall);
    let by = caller.name().filter(|_| steer == Steer::Pause);
    let (name, note) = (job.clone(), PauseNote { by: by.clone(), reason: None });
    let done = desk.writer.write(move |store| {
        let scope = name.as_deref().map_or(Scope::All, Scope::Job);
        if let Scope::Job(name) = scope
            && store.job(name)?.is_none()
        {
            if !is_known {
                return Ok(false);
            }
            store.know_job(name)?;
        }
        match steer {
            Steer::Pause => {
                store.pause(scope, None, now)?;
                store.note_pause(scope, &note)?;
            }
            Steer::Resume => drop(store.resume(scope, now)?),
        }
        Ok(true)
    });
    if !done.await? {
        return Err(no_such_job(job.as_deref().unwrap_or_default()));
    }
    Ok(answer::json(StatusCode::OK, &Paused { job, paused: steer == Steer::Pause, by }))
}
