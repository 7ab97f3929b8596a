//! `jobctl __complete`: words for a shell's completion, one per line. Reports no errors, because
//! the user is typing.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::{self, Global, Words};
use crate::cmd::{Context, Exit, Out, Result};
use crate::core::run::State;
use crate::facts::jobs::with_environment;
use crate::jobfile;
use crate::store::{Filter, Store};

/// The number of runs that are offered.
const RUNS_MAX: u32 = 50;

/// Answers `jobctl __complete`.
pub(crate) fn answer(context: &Context, args: &cli::Complete, out: &mut Out) -> Result<Exit> {
    let line = Line::read(&args.line, context);
    let context = &Context::of_process(line.global);
    let store = context.open_if_there().ok().flatten();
    let words = match args.what {
        Words::Jobs => jobs(context, store.as_ref()),
        Words::Runs => runs(store.as_ref(), &of_verb(&line.verb)),
    };
    for word in words {
        out.line(word)?;
    }
    Ok(Exit::Done)
}

/// The parsed words before the cursor.
struct Line {
    /// Of those of this process, those that the line names.
    global: Global,
    /// The command, if it stands there already.
    verb: String,
}

impl Line {
    /// Reads the words, the first of which is the program. They are as they were typed; bash has
    /// split `--option=value` in three.
    fn read(words: &[OsString], context: &Context) -> Self {
        let mut line = Self { global: context.global.clone(), verb: String::new() };
        let words = words.iter().skip(1).map(|word| word.to_string_lossy());
        let mut words = words.filter(|word| word != "=");
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (&*word, None),
            };
            let mut value = || value.clone().or_else(|| words.next().map(|word| word.into_owned()));
            match name {
                "--jobfile" => line.global.jobfile = value().map(|word| path(&word, context)),
                "--state-dir" => line.global.state_dir = value().map(|word| path(&word, context)),
                "--color" => drop(value()),
                verb if line.verb.is_empty() && !verb.starts_with('-') => {
                    verb.clone_into(&mut line.verb);
                }
                _ => {}
            }
        }
        line
    }
}

/// The path that a shell makes of a word without variables.
fn path(word: &str, context: &Context) -> PathBuf {
    let mut text = String::new();
    let mut chars = word.chars();
    while let Some(char) = chars.next() {
        match char {
            '\'' | '"' => {}
            '\\' => text.extend(chars.next()),
            char => text.push(char),
        }
    }
    match (text.strip_prefix("~/"), &context.caller.home) {
        (Some(rest), Some(home)) => home.join(rest),
        (Some(_) | None, _) => PathBuf::from(text),
    }
}

/// Returns the runs that a command applies to.
fn of_verb(verb: &str) -> Filter {
    let states = match verb {
        "retry" => vec![State::Retrying, State::Failed, State::Skipped, State::Cancelled],
        "cancel" | "stop" => {
            vec![State::Scheduled, State::Queued, State::Running, State::Retrying]
        }
        _ => Vec::new(),
    };
    Filter { states, failed: verb == "ack", ..Filter::default() }
}

/// Returns the names of jobs in the jobfile, else those in the store.
fn jobs(context: &Context, store: Option<&Store>) -> Vec<String> {
    let path = context.jobfile().ok();
    let loaded = path.and_then(|path| with_environment(|env| jobfile::load(&path, env)).ok());
    match (loaded, store) {
        (Some(jobs), _) => jobs.jobs.iter().map(|job| job.name.to_string()).collect(),
        (None, Some(store)) => {
            let jobs = store.jobs().unwrap_or_default();
            jobs.into_iter().map(|job| job.name).collect()
        }
        (None, None) => Vec::new(),
    }
}

/// Ids of the newest runs.
fn runs(store: Option<&Store>, filter: &Filter) -> Vec<String> {
    let newest = |store: &Store| store.runs(filter, Some(RUNS_MAX)).ok();
    let runs = store.and_then(newest).unwrap_or_default();
    runs.iter().map(|run| run.id.to_string()).collect()
}
