//! `jobctl reload`: asks the supervisor to read the jobfile now, waits for its answer and prints
//! it.
//!
//! Request and answer are in the store. While waiting it checks that the supervisor is still
//! running.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::findings::{self, Label};
use crate::cmd::control::wait;
use crate::cmd::{Context, Exit, Failure, Out, Result, plain};
use crate::core::noun::{count, listed};
use crate::core::time::Mono;
use crate::jobfile::{LoadError, Place, Problem};
use crate::os::clock;
use crate::os::wake::{self, Rung};
use crate::store::{Store, StoreError};
use crate::supervisor::Changes;

/// When to explain the wait to a person, and when to give up.
const WORD_AFTER: Duration = Duration::from_secs(5);
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// The number of names printed per kind of change.
const NAMES_MAX: usize = 12;

/// The supervisor's answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Whether the jobfile is in force.
    pub(super) ok: bool,
    /// The number of jobs now.
    pub(super) jobs: usize,
    /// New jobs.
    pub(super) added: Vec<String>,
    /// Changed jobs.
    pub(super) changed: Vec<String>,
    /// Removed jobs.
    pub(super) removed: Vec<String>,
    /// Renamed jobs.
    pub(super) renamed: Vec<Renamed>,
    /// Why it was not loaded; empty if it was.
    errors: Vec<Problem>,
    /// Whether the door has other settings; not part of `--json`.
    #[serde(skip_serializing, default)]
    is_door_changed: bool,
}

/// A renamed job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Renamed {
    from: String,
    to: String,
}

/// Answers `jobctl reload`.
pub(crate) fn answer(context: &Context, out: &mut Out) -> Result<Exit> {
    let answer = ask(context)?;
    out.answer(&answer, |out| answer.print(context, out))?;
    Ok(answer.exit())
}

/// Asks the supervisor, which must be running, and waits for its answer.
pub(super) fn ask(context: &Context) -> Result<Answer> {
    let state_dir = context.state_dir()?;
    if !context.is_supervised()? {
        return Err(Failure::no_supervisor(format!(
            "no supervisor is running in {}",
            state_dir.display()
        )));
    }
    let mut store = match Store::open_write(context.state_dir_to_write()?) {
        // It listens, but its store was deleted.
        Err(error @ StoreError::Missing(_)) => return Err(Failure::system(error.to_string())),
        store => store?,
    };
    let number = store.ask_reload()?;
    let asked_at = clock::now().mono;
    ring(state_dir)?;
    let mut is_told = false;
    let answered = wait::until_answered(
        &store,
        || Ok(store.reload_answer(number)?),
        || look_after(context, asked_at, &mut is_told),
    );
    match answered {
        Ok(text) => Answer::read(&text),
        // It may have answered and left between the two looks.
        Err(failure) => match store.reload_answer(number)? {
            Some(text) => Answer::read(&text),
            None => Err(failure),
        },
    }
}

fn ring(state_dir: &Path) -> Result<()> {
    match wake::ring(state_dir) {
        Ok(Rung::Heard) => Ok(()),
        Ok(Rung::NobodyListens) => Err(gone()),
        Err(error) => Err(Failure::of_file(&state_dir.join("wake"), &error)),
    }
}

fn gone() -> Failure {
    Failure::no_supervisor("the supervisor ended without an answer")
}

/// Explains why it takes long, and finally gives up.
fn look_after(context: &Context, asked_at: Mono, is_told: &mut bool) -> Result<()> {
    if !context.is_supervised()? {
        return Err(gone());
    }
    let waited = clock::now().mono.since(asked_at);
    if waited >= GIVE_UP_AFTER {
        return Err(Failure::system("the supervisor is running but does not answer")
            .hint("look in its log for a full disk, a locked store or an older version"));
    }
    if waited >= WORD_AFTER && !*is_told {
        *is_told = true;
        context.say("the supervisor has not answered yet: waiting up to a minute");
    }
    Ok(())
}

impl Answer {
    /// The jobfile was loaded.
    pub(super) fn of_changes(changes: &Changes) -> Self {
        let Changes { jobs, added, changed, removed, renamed, is_door_changed } = changes.clone();
        let renamed = renamed.into_iter().map(|(from, to)| Renamed { from, to }).collect();
        Self {
            ok: true,
            jobs,
            added,
            changed,
            removed,
            renamed,
            is_door_changed,
            ..Self::default()
        }
    }

    /// The jobfile is invalid.
    pub(super) fn of_error(path: &Path, error: &LoadError) -> Self {
        match error {
            LoadError::Problems(problems) | LoadError::Untrusted(problems) => {
                Self { errors: problems.clone(), ..Self::default() }
            }
            LoadError::Missing(_) => Self::of_failure(path, "no such file"),
            LoadError::Unreadable(error) => Self::of_failure(path, &plain(error)),
        }
    }

    /// The jobfile could not be loaded.
    pub(super) fn of_failure(path: &Path, message: &str) -> Self {
        let (place, message) = (Place::whole(path), message.to_owned());
        let error = Problem { place, job: None, message, hint: None };
        Self { errors: vec![error], ..Self::default() }
    }

    /// Returns whether the jobfile is in force.
    pub(super) fn exit(&self) -> Exit {
        if self.ok { Exit::Done } else { Exit::No }
    }

    /// Parses the answer in the store.
    pub(super) fn text(&self) -> String {
        let mut all = json!(self);
        all["is_door_changed"] = json!(self.is_door_changed);
        all.to_string()
    }

    fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|_| {
            Failure::system("the supervisor's answer cannot be read")
                .hint("restart it: it is of another version")
        })
    }

    /// Prints it for people: one line, or all errors.
    pub(super) fn print(&self, context: &Context, out: &mut Out) -> Result<()> {
        if self.ok {
            return out.line(self.line());
        }
        findings::say(context, Label::Error, &self.errors, None);
        Err(Failure::no(format!(
            "the jobfile is not in force: {}; the previous one stays",
            count(self.errors.len(), "error")
        )))
    }

    fn line(&self) -> String {
        let renamed: Vec<String> =
            self.renamed.iter().map(|it| format!("{} to {}", it.from, it.to)).collect();
        let mut parts = vec![format!("in force, {}", count(self.jobs, "job"))];
        for (word, names) in [
            ("added", &self.added),
            ("changed", &self.changed),
            ("removed", &self.removed),
            ("renamed", &renamed),
        ] {
            if !names.is_empty() {
                parts.push(format!("{word} {}", listed(names, NAMES_MAX)));
            }
        }
        if self.is_door_changed {
            parts.push("changed [door]".to_owned());
        }
        if parts.len() == 1 {
            parts.push("nothing changed".to_owned());
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let taken = Answer {
            ok: true,
            jobs: 3,
            added: vec!["a".into()],
            renamed: vec![Renamed { from: "b".into(), to: "c".into() }],
            is_door_changed: true,
            ..Answer::default()
        };
        let read = Answer::read(&taken.text()).unwrap();
        assert_eq!(read.line(), "in force, 3 jobs; added a; renamed b to c; changed [door]");
        assert_eq!(json!(read)["is_door_changed"], json!(null), "it is not in the contract");
        let bad = Answer::of_failure(Path::new("/j"), "no");
        let read = Answer::read(&bad.text()).unwrap();
        assert_eq!(read.exit(), Exit::No);
        assert_eq!(json!(read)["errors"][0]["message"], "no");
        assert!(Answer::read("{}").is_err());
    }

    #[test]
    fn many_names_are_counted() {
        let names: Vec<String> = (0..14).map(|number| format!("j{number}")).collect();
        assert!(listed(&names, NAMES_MAX).ends_with("j11 and 2 more"));
        assert_eq!(Answer::default().line(), "in force, 0 jobs; nothing changed");
    }
}
