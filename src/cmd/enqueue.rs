//! `jobctl enqueue`: adds items, all in one transaction or none.
//!
//! Everything that can be wrong is found before the first item is written; what was printed is on disk.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use super::context::Context;
use super::exit::Exit;
use super::failure::{Failure, plain};
use super::items::{self, Separator};
use super::jobs::Jobs;
use super::output::Out;
use super::steer;
use super::wait::{self, is_paused};
use super::when::Toward;
use crate::cli;
use crate::core::job::Job;
use crate::core::run::Cause;
use crate::store::{Added, Addition, Enqueued, NewItem, Store};
use crate::supervisor::daemon;

/// Answers `jobctl enqueue`.
pub(crate) fn answer(
    context: &Context,
    args: &cli::Enqueue,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let (name, arguments) = split(args)?;
    let jobs = Jobs::load(context, context.open_read()?.as_ref())?;
    let job = find(&jobs, name)?;
    refuse_missing_key(job, args)?;
    let addition = addition(context, args, job)?;
    if args.wait && !context.is_supervised()? {
        return Err(Failure::no_supervisor(
            "no supervisor is running: nothing was added, because it could not be waited for",
        ));
    }
    let added = match separator(args) {
        None => {
            items::check_arguments(arguments)?;
            let item = NewItem {
                args: arguments
                    .iter()
                    .map(|arg| arg.as_bytes().to_vec())
                    .collect(),
                key: args.key.clone(),
            };
            add(context, &addition, [item])?
        }
        Some(separator) => {
            let text = items::read(std::io::stdin().lock())?;
            items::check(&text, separator)?;
            add(context, &addition, items::each(&text, separator))?
        }
    };
    match added.as_slice() {
        [] => {}
        [_] => steer::ring(context, "it will run when one is")?,
        _ => steer::ring(context, "they will run when one is")?,
    }
    let printed = print(context, &added, out).and_then(|()| out.flush());
    tell(context, args, job, &added);
    if !args.wait {
        return printed.map(|()| Exit::Done);
    }
    let exit = wait_for(context, &added)?;
    match printed {
        // A reader of the ids that went away says nothing about the runs.
        Err(failure) if failure.code != Exit::Done => Err(failure),
        Ok(()) | Err(_) => Ok(exit),
    }
}

/// The job's name and the arguments behind it.
fn split(args: &cli::Enqueue) -> Result<(&OsStr, &[OsString]), Failure> {
    let Some((name, arguments)) = args.words.split_first() else {
        return Err(Failure::usage("enqueue: no job is named"));
    };
    if separator(args).is_some() && !arguments.is_empty() {
        return Err(Failure::usage(format!(
            "enqueue: `{}` stands behind the job, but the arguments come from standard input",
            arguments[0].display()
        ))
        .hint("options stand before the job"));
    }
    if args.key.as_deref() == Some("") {
        return Err(Failure::usage("enqueue: the key is empty"));
    }
    Ok((name, arguments))
}

fn separator(args: &cli::Enqueue) -> Option<Separator> {
    match (args.null, args.lines) {
        (true, _) => Some(Separator::Null),
        (false, true) => Some(Separator::Newline),
        (false, false) => None,
    }
}

fn find<'a>(jobs: &'a Jobs, name: &OsStr) -> Result<&'a Job, Failure> {
    match name.to_str() {
        Some(name) => jobs.find(name),
        None => Err(jobs.no_such_job(&name.to_string_lossy())),
    }
}

/// A job that makes keys from arguments must not get items without one: they could be in the queue twice.
fn refuse_missing_key(job: &Job, args: &cli::Enqueue) -> Result<(), Failure> {
    if job.policy.key.is_none() || args.key.is_some() {
        return Ok(());
    }
    let name = &job.name;
    Err(Failure::no(format!(
        "job `{name}`: its `key` is not in effect yet, and without it an item could be in the queue twice"
    ))
    .hint("give each item its key with --key"))
}

fn addition<'a>(
    context: &Context,
    args: &cli::Enqueue,
    job: &'a Job,
) -> Result<Addition<'a>, Failure> {
    let (now, viewer) = (context.now.wall, context.viewer());
    let due_at = match (&args.after, &args.at) {
        (Some(span), _) => now + viewer.parse_span(span)?,
        (None, Some(at)) => viewer.parse(at, Toward::Future)?.max(now),
        (None, None) => now,
    };
    Ok(Addition {
        job: job.name.as_str(),
        due_at,
        priority: args.priority.unwrap_or(job.policy.priority),
        max_attempts: job.policy.attempts_max(),
        backlog_max: job.policy.backlog_max,
        cause: Cause::Enqueue,
        created_at: now,
    })
}

/// Adds the items, in a new store if there is none.
fn add(
    context: &Context,
    addition: &Addition<'_>,
    items: impl IntoIterator<Item = NewItem>,
) -> Result<Vec<Added>, Failure> {
    let mut items = items.into_iter().peekable();
    if items.peek().is_none() {
        context.say("standard input is empty: nothing was added");
        return Ok(Vec::new());
    }
    let state_dir = context.state_dir()?;
    daemon::make_state_dir(state_dir)
        .map_err(|error| Failure::system(format!("state directory {}", plain(&error))))?;
    match Store::create(state_dir)?.enqueue(addition, items)? {
        Enqueued::Added(added) => Ok(added),
        Enqueued::BacklogFull { waiting } => Err(backlog_full(addition, waiting)),
    }
}

fn backlog_full(addition: &Addition<'_>, waiting: i64) -> Failure {
    let (job, max) = (addition.job, addition.backlog_max.unwrap_or_default());
    Failure::not_now(format!(
        "job `{job}`: nothing was added: {waiting} runs wait already (backlog_max is {max})"
    ))
    .hint("try again later, or raise `backlog_max` in the jobfile")
}

/// Says what a person would not expect. By now the items are on disk, so nothing here is an error.
fn tell(context: &Context, args: &cli::Enqueue, job: &Job, added: &[Added]) {
    if added.is_empty() {
        return;
    }
    if let (Some(key), [Added { id, existing: true }]) = (&args.key, added) {
        context.say(&format!("nothing was added: run {id} has the key `{key}`"));
    }
    if !job.policy.enabled {
        let name = &job.name;
        context.say(&format!(
            "job `{name}` is not enabled: it is not planned, but what is added by hand runs"
        ));
    }
    if let Ok(Some(text)) = pause_of(context, job.name.as_str()) {
        context.say(&text);
    }
}

/// What keeps the job's runs waiting, if it is a pause or a shadow.
fn pause_of(context: &Context, name: &str) -> Result<Option<String>, Failure> {
    let Some(store) = context.open_read()? else {
        return Ok(None);
    };
    let (now, everything) = (context.now.wall, store.supervisor()?);
    if is_paused(everything.paused_at, everything.paused_until, now) {
        let text = "everything is paused: it waits until `jobctl resume --all`";
        return Ok(Some(text.to_owned()));
    }
    if everything.is_shadow && context.is_supervised()? {
        let text = "the supervisor is a shadow: it waits until one runs without --shadow";
        return Ok(Some(text.to_owned()));
    }
    let job = store.job(name)?;
    let is_paused = job.is_some_and(|job| is_paused(job.paused_at, job.paused_until, now));
    Ok(is_paused.then(|| format!("job `{name}` is paused: it waits until `jobctl resume {name}`")))
}

fn wait_for(context: &Context, added: &[Added]) -> Result<Exit, Failure> {
    let ids: Vec<i64> = added.iter().map(|added| added.id).collect();
    let store = Store::open_read(context.state_dir()?)?;
    wait::until_ended(context, &store, &ids, |_| Ok(()))
}

fn print(context: &Context, added: &[Added], out: &mut Out) -> Result<(), Failure> {
    for &Added { id, existing } in added {
        if context.global.json {
            out.json(&json!({ "id": id, "existing": existing }))?;
        } else {
            out.line(id.to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::cmd::jobs::tests::jobs;
    use crate::core::time::Wall;

    fn args_of(line: &[&str]) -> cli::Enqueue {
        let line = ["jobctl", "enqueue"].iter().chain(line);
        let Command::Enqueue(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command")
        };
        args
    }

    #[test]
    fn what_stands_behind_the_job_is_an_argument_whatever_it_looks_like() {
        let args = args_of(&["--priority", "-5", "resize", "--key", "-v", "--", "--lines"]);
        let (name, arguments) = split(&args).unwrap();
        assert_eq!(name, "resize");
        assert_eq!(arguments, ["--key", "-v", "--", "--lines"]);
        assert_eq!((args.priority, args.key), (Some(-5), None));
    }

    #[test]
    fn lines_and_arguments_exclude_each_other() {
        let failure = split(&args_of(&["--lines", "resize", "x"])).unwrap_err();
        assert_eq!(failure.code, Exit::Usage);
    }

    #[test]
    fn a_job_that_makes_keys_wants_one_by_hand() {
        let jobs = jobs("[jobs.resize]\ncommand = 'true'\nkey = '{1}'\n");
        let job = jobs.get("resize").unwrap();
        assert_eq!(
            refuse_missing_key(job, &args_of(&["--key", "x", "resize", "x"])),
            Ok(())
        );
        let failure = refuse_missing_key(job, &args_of(&["resize", "x"])).unwrap_err();
        assert_eq!(failure.code, Exit::No);
    }

    #[test]
    fn a_full_backlog_says_how_many_wait() {
        let addition = Addition {
            job: "resize",
            due_at: Wall::from_secs(0),
            priority: 0,
            max_attempts: None,
            backlog_max: Some(10),
            cause: Cause::Enqueue,
            created_at: Wall::from_secs(0),
        };
        let failure = backlog_full(&addition, 10);
        assert_eq!(failure.code, Exit::NotNow);
        assert_eq!(
            failure.message,
            "job `resize`: nothing was added: 10 runs wait already (backlog_max is 10)"
        );
    }
}
