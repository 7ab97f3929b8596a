//! `jobctl enqueue`: adds items, all or none.
//!
//! All errors are found before the first item is written; printed ids are on disk.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use serde::Serialize;

use crate::cli;
use crate::cmd::control::items::{self, Separator};
use crate::cmd::control::selection;
use crate::cmd::control::wait;
use crate::cmd::{Context, Exit, Failure, Jobs, Out, Progress, Result, Toward};
use crate::core::item;
use crate::core::job::Job;
use crate::core::noun::count;
use crate::core::time::Mono;
use crate::facts::run::Run;
use crate::os::user;
use crate::store::{Added, Addition, Author, Enqueued, NewItem, OnConflict, Store, StoreError};
use crate::verbs::batch::{self, Aim};
use crate::verbs::enqueue::{self, ExpiresTooSoon, Wish};

/// Answers `jobctl enqueue`.
pub(crate) fn answer(context: &Context, args: &cli::Enqueue, out: &mut Out) -> Result<Exit> {
    let (name, arguments) = split(args)?;
    if std::io::stderr().is_terminal()
        && let Some(option) = option_among(arguments)
    {
        context.say(&format!(
            "`{option}` is an argument of the command; options of `jobctl enqueue` stand before the job"
        ));
    }
    let jobs = Jobs::load(context, context.open_if_there()?.as_ref())?;
    let job = jobs.find(&name.to_string_lossy())?;
    let author = user::author();
    let addition = addition(context, args, (job, &author))?;
    if args.wait && !context.is_supervised()? {
        return Err(Failure::no_supervisor(
            "no supervisor is running: nothing was added, because --wait would not end",
        ));
    }
    let deadline = wait::deadline(context, args.timeout.as_deref())?;
    let added = match separator(args) {
        None => add(context, args, &addition, [one(args, job, arguments)?])?,
        Some(separator) => add_each(context, args, &addition, (job, separator))?,
    };
    if args.dry_run {
        return rehearsed(job, &added, out);
    }
    match added.iter().filter(|added| !added.existing).count() {
        0 => {}
        1 => selection::ring(context, "the run will start when one does")?,
        _ => selection::ring(context, "the runs will start when one does")?,
    }
    let ids = |out: &mut Out| match out.is_terminal() && added.len() > 1 {
        true => out.line(ids_words(&added)),
        false => added.iter().try_for_each(|added| out.line(added.id.to_string())),
    };
    let mut printed = out.answers(&added, ids).and_then(|_| out.flush());
    tell(context, job, &added);
    if !args.wait {
        return printed.map(|()| Exit::Done);
    }
    let exit = wait_for(context, &added, deadline, |run| {
        if printed.is_ok() {
            printed = out.answer(run, |_| Ok(())).and_then(|_| out.flush());
        }
    })?;
    match printed {
        // A reader that has gone away does not affect the runs.
        Err(failure) if failure.code != Exit::Done => Err(failure),
        Ok(()) | Err(_) => Ok(exit),
    }
}

/// Adds an item for each line of standard input, once the key of every line is known to be good.
fn add_each(
    context: &Context,
    args: &cli::Enqueue,
    addition: &Addition<'_>,
    (job, separator): (&Job, Separator),
) -> Result<Vec<Added>> {
    let text = items::read(std::io::stdin().lock())?;
    let count = items::check(&text, separator)?;
    let given = args.key.as_deref();
    for one in items::each(&text, separator, |_| None) {
        item::key_of(job, given, &one.args)?;
    }
    let key = |arguments: &[Vec<u8>]| item::key_of(job, given, arguments).ok().flatten();
    let mut progress = Progress::of(context);
    let items = items::each(&text, separator, key).enumerate().map(|(before, item)| {
        progress.tick(|| format!("adding items: {before} of {count}"));
        item
    });
    add(context, args, addition, items)
}

/// The item of a call that does not read lines.
fn one(args: &cli::Enqueue, job: &Job, arguments: &[OsString]) -> Result<NewItem> {
    let arguments: Vec<Vec<u8>> = arguments.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    item::check_arguments(&arguments)?;
    let input = args.stdin.then(|| items::read_input(std::io::stdin().lock())).transpose()?;
    Ok(NewItem { key: item::key_of(job, args.key.as_deref(), &arguments)?, args: arguments, input })
}

/// The job's name and the arguments behind it.
fn split(args: &cli::Enqueue) -> Result<(&OsStr, &[OsString])> {
    let Some((name, arguments)) = args.words.split_first() else {
        return Err(Failure::usage("enqueue: no job given"));
    };
    if separator(args).is_some() && !arguments.is_empty() {
        return Err(Failure::usage(format!(
            "enqueue: unexpected `{}` after the job: the arguments come from standard input",
            arguments[0].display()
        ))
        .hint("write options before the job"));
    }
    if args.key.as_deref() == Some("") {
        return Err(Failure::usage("enqueue: the key is empty"));
    }
    Ok((name, arguments))
}

/// The first argument that is an option of this command, in the wrong place perhaps.
fn option_among(arguments: &[OsString]) -> Option<&str> {
    let command = cli::Enqueue::augment_args(clap::Command::new("enqueue"));
    let is_own = |word: &&str| {
        let long = word.strip_prefix("--").map(|long| long.split('=').next().unwrap_or(long));
        command.get_arguments().any(|arg| long.is_some() && arg.get_long() == long)
    };
    let words = arguments.iter().filter_map(|word| word.to_str());
    words.take_while(|word| *word != "--").find(is_own)
}

fn separator(args: &cli::Enqueue) -> Option<Separator> {
    match (args.null, args.lines) {
        (true, _) => Some(Separator::Null),
        (false, true) => Some(Separator::Newline),
        (false, false) => None,
    }
}

fn addition<'a>(
    context: &Context,
    args: &'a cli::Enqueue,
    (job, author): (&'a Job, &'a str),
) -> Result<Addition<'a>> {
    let (now, viewer) = (context.now.wall, context.viewer());
    let due_at = match (&args.delay, &args.at) {
        (Some(span), _) => Some(now + viewer.parse_span(span)?),
        (None, Some(at)) => Some(viewer.parse(at, Toward::Future)?),
        (None, None) => None,
    };
    let expires_at =
        args.expires.as_ref().map(|text| viewer.parse(text, Toward::Future)).transpose()?;
    let wish = Wish {
        author: Author::Named(author),
        due_at,
        expires_at,
        priority: args.priority,
        after: &args.after,
        on_conflict: match args.on_conflict {
            cli::OnConflict::Ignore => OnConflict::Ignore,
            cli::OnConflict::Replace => OnConflict::Replace,
            cli::OnConflict::Error => OnConflict::Error,
        },
    };
    enqueue::addition(job, &wish, now).map_err(|ExpiresTooSoon| {
        let text = args.expires.as_deref().unwrap_or_default();
        Failure::usage(format!("`--expires {text}`: not later than the earliest start"))
    })
}

/// Adds the items, in a new store if there is none; a dry run leaves nothing behind.
fn add(
    context: &Context,
    args: &cli::Enqueue,
    addition: &Addition<'_>,
    items: impl IntoIterator<Item = NewItem>,
) -> Result<Vec<Added>> {
    let mut items = items.into_iter().peekable();
    if items.peek().is_none() {
        context.say("standard input is empty: nothing was added");
        return Ok(Vec::new());
    }
    let (state_dir, aim) = match args.dry_run {
        true => (context.state_dir_to_write()?, Aim::Rehearse),
        false => (context.made_state_dir()?, Aim::Add),
    };
    let opened = match aim {
        Aim::Rehearse => Store::open_write(state_dir),
        Aim::Add => Store::create(state_dir),
    };
    let enqueued = match opened {
        Ok(mut store) => batch::add(&mut store, state_dir, addition, items, aim)?,
        Err(StoreError::Missing(_)) if args.dry_run => added_to_none(addition, items),
        Err(error) => return Err(error.into()),
    };
    match enqueued {
        Enqueued::Added(added) => Ok(added),
        Enqueued::BacklogFull { waiting } => Err(backlog_full(addition, waiting)),
        Enqueued::KeyHeld { key, by } => Err(key_held(addition, &key, by)),
        Enqueued::NoSuchRun(id) => Err(Failure::no_such_run(id)),
    }
}

/// Returns what would be added if there is no store: everything.
fn added_to_none(addition: &Addition<'_>, items: impl Iterator<Item = NewItem>) -> Enqueued {
    let new = items.map(|_| Added { id: 0, existing: false });
    match addition.conditions.after.first() {
        Some(&id) => Enqueued::NoSuchRun(id),
        None => Enqueued::Added(new.collect()),
    }
}

/// An item of a dry run: only the run that holds its key has an id.
#[derive(Serialize)]
struct Rehearsed {
    id: Option<i64>,
    existing: bool,
}

/// Reports the result of a dry run.
fn rehearsed(job: &Job, added: &[Added], out: &mut Out) -> Result<Exit> {
    let rehearsed = added
        .iter()
        .map(|&Added { id, existing }| Rehearsed { id: Some(id).filter(|_| existing), existing });
    out.answers(&rehearsed.collect::<Vec<_>>(), |out| {
        let existing = added.iter().filter(|added| added.existing).count();
        let (new, name) = (count(added.len() - existing, "run"), &job.name);
        out.line(match existing {
            0 => format!("would add {new} of {name}"),
            _ => format!("would add {new} of {name}; {existing} more have keys in use"),
        })
    })
}

fn key_held(addition: &Addition<'_>, key: &str, by: i64) -> Failure {
    let job = addition.job;
    let text = format!("job `{job}`: nothing was added: run {by} has the key `{key}`");
    match addition.conditions.on_conflict {
        OnConflict::Replace => Failure::no(format!("{text} and is running"))
            .hint(format!("stop it first with `jobctl cancel {by}`")),
        OnConflict::Ignore | OnConflict::Error => {
            Failure::no(text).hint(format!("see `jobctl show {by}`"))
        }
    }
}

fn backlog_full(addition: &Addition<'_>, waiting: i64) -> Failure {
    let (job, max) = (addition.job, addition.backlog_max.unwrap_or_default());
    Failure::not_now(format!(
        "job `{job}`: nothing was added: {waiting} runs wait already (backlog_max is {max})"
    ))
    .hint("try again later, or raise `backlog_max` in the jobfile")
}

/// Warns about what a person would not expect. The items are on disk, so none of it is an error.
fn tell(context: &Context, job: &Job, added: &[Added]) {
    if added.is_empty() {
        return;
    }
    match added.iter().filter(|added| added.existing).count() {
        0 => {}
        1 if added.len() == 1 => {
            let id = added[0].id;
            context.say(&format!("nothing was added: run {id} has the key"));
        }
        existing => {
            let (new, total) = (added.len() - existing, count(added.len(), "item"));
            context.say(&format!("{new} of {total} were added; the keys of the others are in use"));
        }
    }
    if !job.policy.enabled {
        let name = &job.name;
        context
            .say(&format!("job `{name}` is not enabled: its schedule is off, but this run starts"));
    }
    if let Ok(Some(text)) = pause_of(context, job.name.as_str()) {
        context.say(&text);
    }
}

/// The runs of many items in one line: `900 runs, 101 to 1000`.
fn ids_words(added: &[Added]) -> String {
    let ids = || added.iter().map(|added| added.id);
    let (first, last) = (ids().min().unwrap_or_default(), ids().max().unwrap_or_default());
    format!("{}, {first} to {last}", count(added.len(), "run"))
}

/// Describes the pause, shadow mode or stop that keeps the job's runs waiting.
fn pause_of(context: &Context, name: &str) -> Result<Option<String>> {
    let Some(store) = context.open_if_there()? else {
        return Ok(None);
    };
    let (now, everything) = (context.now.wall, store.supervisor()?);
    if everything.is_paused(now) {
        let text = "everything is paused; it waits until `jobctl resume --all`";
        return Ok(Some(text.to_owned()));
    }
    if everything.is_shadow && context.is_supervised()? {
        let text = "the supervisor runs with --shadow; it waits until one runs without";
        return Ok(Some(text.to_owned()));
    }
    if everything.stopping_at.is_some() && context.is_supervised()? {
        return Ok(Some("the supervisor is stopping; the run starts with the next one".to_owned()));
    }
    let job = store.job(name)?;
    let is_paused = job.is_some_and(|job| job.is_paused(now));
    Ok(is_paused.then(|| format!("job `{name}` is paused; it waits until `jobctl resume {name}`")))
}

fn wait_for(
    context: &Context,
    added: &[Added],
    deadline: Option<Mono>,
    mut ended: impl FnMut(&Run),
) -> Result<Exit> {
    let ids: Vec<i64> = added.iter().map(|added| added.id).collect();
    let store = Store::open_read(context.state_dir()?)?;
    wait::until_ended(context, (&store, deadline), &ids, |run| {
        ended(run);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::core::run::Cause;
    use crate::core::time::Wall;
    use crate::facts::jobs::tests::jobs;
    use crate::store::Conditions;

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
    fn an_option_behind_the_job_is_noticed_unless_it_is_meant() {
        for (line, option) in [
            (&["resize", "a", "--wait"][..], Some("--wait")),
            (&["resize", "--key=k"], Some("--key=k")),
            (&["resize", "--", "--wait"], None),
            (&["resize", "--verbose", "-v", "wait"], None),
        ] {
            let args = args_of(line);
            let (_, arguments) = split(&args).unwrap();
            assert_eq!(option_among(arguments), option, "{line:?}");
        }
    }

    #[test]
    fn lines_and_arguments_exclude_each_other() {
        let failure = split(&args_of(&["--lines", "resize", "x"])).unwrap_err();
        assert_eq!(failure.code, Exit::Usage);
    }

    #[test]
    fn a_key_is_made_from_arguments_unless_one_is_given() {
        let jobs = jobs("[jobs.resize]\ncommand = 'true'\nkey = 'f-{1}'\n");
        let job = jobs.get("resize").unwrap();
        let key = |line: &[&str]| {
            let args = args_of(line);
            let (_, arguments) = split(&args).unwrap();
            one(&args, job, arguments).map(|item| item.key)
        };
        assert_eq!(key(&["resize", "x"]), Ok(Some("f-x".to_owned())));
        assert_eq!(key(&["--key", "k", "resize"]), Ok(Some("k".to_owned())));
        let failure = key(&["resize"]).unwrap_err();
        assert_eq!(failure.code, Exit::Usage);
        assert!(failure.message.contains("argument 1"), "{failure:?}");
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
            conditions: Conditions::default(),
        };
        let failure = backlog_full(&addition, 10);
        assert_eq!(failure.code, Exit::NotNow);
        assert_eq!(
            failure.message,
            "job `resize`: nothing was added: 10 runs wait already (backlog_max is 10)"
        );
    }
}
