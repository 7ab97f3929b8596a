//! `jobctl pause`: stops starting runs of one or all jobs, until a time or until `jobctl resume`.

use serde_json::json;

use crate::cli;
use crate::cmd::control::selection;
use crate::cmd::{Context, Exit, Failure, Jobs, Out, Result};
use crate::core::pause::PauseNote;
use crate::core::time::Wall;
use crate::os::user;
use crate::store::{Scope, Store};

/// The maximum number of characters of a reason, which is shown in one line.
const REASON_MAX: usize = 200;

/// Answers `jobctl pause`.
pub(crate) fn answer(context: &Context, args: &cli::Pause, out: &mut Out) -> Result<Exit> {
    refuse_long(args.reason.as_deref())?;
    let until = until(context, args.span.as_deref())?;
    let scope = scope(args.job.as_deref());
    let mut store = context.open_write()?;
    know(context, &mut store, scope)?;
    let note = PauseNote { by: Some(user::author()), reason: args.reason.clone() };
    store.pause(scope, until, context.now.wall)?;
    store.note_pause(scope, &note)?;
    // The pause applies immediately, even without a supervisor.
    selection::ring(context, "the next one keeps the pause")?;
    let facts = json!({ "job": args.job, "paused": true, "until": until, "by": note.by, "reason": note.reason });
    context.tell(&facts, &words(context, scope, until), out)
}

fn refuse_long(reason: Option<&str>) -> Result<()> {
    match reason.map_or(0, |text| text.chars().count()) {
        0..=REASON_MAX => Ok(()),
        len => Err(Failure::usage(format!(
            "pause --reason: {len} characters are too many; at most {REASON_MAX}"
        ))),
    }
}

/// Returns the scope: a job, else all jobs.
pub(super) fn scope(job: Option<&str>) -> Scope<'_> {
    job.map_or(Scope::All, Scope::Job)
}

/// Makes sure that the store knows a job of the jobfile. One that only the store knows may be
/// paused as well: items of it may wait.
pub(super) fn know(context: &Context, store: &mut Store, scope: Scope<'_>) -> Result<()> {
    let Scope::Job(name) = scope else {
        return Ok(());
    };
    if store.job(name)?.is_some() {
        return Ok(());
    }
    Jobs::load(context, Some(store))?.find(name)?;
    Ok(store.know_job(name)?)
}

fn until(context: &Context, span: Option<&str>) -> Result<Option<Wall>> {
    let Some(text) = span else {
        return Ok(None);
    };
    let span = context.viewer().parse_span(text)?;
    if span.is_zero() {
        return Err(Failure::usage("`--for` must be longer than 0"));
    }
    Ok(Some(context.now.wall + span))
}

fn words(context: &Context, scope: Scope<'_>, until: Option<Wall>) -> String {
    let (what, resume) = match scope {
        Scope::All => ("everything".to_owned(), "--all"),
        Scope::Job(name) => (format!("job `{name}`"), name),
    };
    match until {
        Some(until) => {
            let until = selection::briefly(&context.viewer(), until);
            format!("{what} is paused until {until}")
        }
        None => format!("{what} is paused until `jobctl resume {resume}`"),
    }
}
