//! `jobctl check`: what is wrong with the jobfile, what `run` would refuse, and what would surprise.
//!
//! Findings read as a compiler's, `FILE:LINE:COLUMN: ...`, on standard error; the verdict is on standard output.

use std::io::{self, IsTerminal, Write};

use serde_json::{Value, json};

use super::context::Context;
use super::escape;
use super::exit::Exit;
use super::failure::Failure;
use super::jobs::{self, with_environment};
use super::output::Out;
use crate::jobfile::{self, Jobfile, LoadError, Note, NoteKind, Place, Problem};
use crate::os::zone;

/// Answers `jobctl check`.
pub(crate) fn answer(context: &Context, out: &mut Out) -> Result<Exit, Failure> {
    let path = context.jobfile()?;
    let report = match with_environment(|env| jobfile::load(&path, env)) {
        Ok(jobfile) => Report::of(&jobfile),
        Err(LoadError::Problems(problems)) => Report::of_errors(problems),
        Err(error @ (LoadError::Missing(_) | LoadError::Unreadable(_))) => {
            return Err(jobs::failure_of(&error));
        }
    };
    if context.global.json {
        out.json(&report.json())?;
    } else {
        report.print(context, out)?;
    }
    Ok(report.exit())
}

/// All that is to be said about a jobfile.
#[derive(Debug, Default)]
pub(super) struct Report {
    jobs: usize,
    errors: Vec<Problem>,
    blockers: Vec<Problem>,
    warnings: Vec<Note>,
    not_in_effect: Vec<Note>,
}

impl Report {
    /// What is to be said about one that could be read.
    pub(super) fn of(jobfile: &Jobfile) -> Self {
        let blockers = jobfile::blockers(jobfile);
        let is_blocker = |note: &&Note| {
            let mut places = blockers.iter().map(|blocker| &blocker.place);
            places.any(|place| *place == note.place)
        };
        let notes = |kind| {
            let notes = jobfile.notes.iter().filter(move |note| note.kind == kind);
            notes.filter(|note| !is_blocker(note)).cloned().collect()
        };
        Self {
            jobs: jobfile.jobs.len(),
            errors: Vec::new(),
            warnings: notes(NoteKind::Warning),
            not_in_effect: notes(NoteKind::NotInEffect),
            blockers,
        }
    }

    fn exit(&self) -> Exit {
        if self.is_ok() { Exit::Done } else { Exit::No }
    }

    /// What is to be said about one that could not.
    pub(super) fn of_errors(errors: Vec<Problem>) -> Self {
        Self {
            errors,
            ..Self::default()
        }
    }

    /// Whether `run` takes it.
    pub(super) fn is_ok(&self) -> bool {
        self.errors.is_empty() && self.blockers.is_empty()
    }

    /// How many errors there are, of both kinds.
    pub(super) fn errors(&self) -> usize {
        self.errors.len() + self.blockers.len()
    }

    /// Says all findings, on standard error.
    pub(super) fn say(&self, context: &Context) {
        let problems = self.errors.iter().chain(&self.blockers);
        say(problems.map(Problem::to_string));
        if !context.global.quiet {
            let notes = self.warnings.iter().chain(&self.not_in_effect);
            say(notes.map(Note::to_string));
        }
    }

    fn print(&self, context: &Context, out: &mut Out) -> Result<(), Failure> {
        self.say(context);
        if context.global.verbose > 0 {
            say(std::iter::once(format!("time zones: {}", zone::source())));
        }
        match (self.errors.len(), self.blockers.len()) {
            (0, 0) => out.line(format!("OK, {}", count(self.jobs, "job"))),
            (0, blockers) => out.line(format!(
                "not OK: `jobctl run` refuses it for {}",
                count(blockers, "key")
            )),
            (errors, _) => out.line(format!("not OK: {}", count(errors, "error"))),
        }
    }

    fn json(&self) -> Value {
        let problems = self.errors.iter().chain(&self.blockers);
        let errors: Value = problems
            .map(|it| {
                finding(
                    &it.place,
                    it.job.as_deref(),
                    &it.message,
                    it.hint.as_deref(),
                )
            })
            .collect();
        json!({
            "ok": self.is_ok(),
            "jobs": self.jobs,
            "errors": errors,
            "warnings": notes(&self.warnings),
            "not_in_effect": notes(&self.not_in_effect),
            "time_zones": zone::source(),
        })
    }
}

fn notes(notes: &[Note]) -> Value {
    notes
        .iter()
        .map(|it| {
            finding(
                &it.place,
                it.job.as_deref(),
                &it.message,
                it.hint.as_deref(),
            )
        })
        .collect()
}

/// A finding as an object.
pub(super) fn finding(
    place: &Place,
    job: Option<&str>,
    message: &str,
    hint: Option<&str>,
) -> Value {
    // 0 is the file as a whole.
    let number = |number: u32| (number > 0).then_some(number);
    json!({
        "file": place.file.to_string_lossy(),
        "line": number(place.line),
        "column": number(place.column),
        "job": job,
        "message": message,
        "hint": hint,
    })
}

/// Writes findings to standard error as they are, so that editors can read them.
pub(super) fn say(findings: impl Iterator<Item = String>) {
    let mut stderr = io::stderr();
    let is_terminal = stderr.is_terminal();
    for finding in findings {
        let text = if is_terminal {
            escape::lines(&finding)
        } else {
            finding.as_str().into()
        };
        // If standard error is gone, there is nobody left to tell.
        let _ = writeln!(stderr, "{text}");
    }
}

/// A number with its noun.
pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobfile::Source;

    fn report(text: &str) -> Report {
        let source = Source {
            path: "jobs.toml".into(),
            text: text.to_owned(),
        };
        let loaded = with_environment(|env| jobfile::load_sources(&[source], env));
        match loaded {
            Ok(jobfile) => Report::of(&jobfile),
            Err(errors) => Report {
                errors,
                ..Report::default()
            },
        }
    }

    #[test]
    fn a_key_that_run_refuses_is_an_error_and_said_once() {
        let report = report("[jobs.a]\ncommand = 'true'\nrate = '1/min'\nmailto = 'x@y'\n");
        assert_eq!(report.exit(), Exit::No);
        let json = report.json();
        assert_eq!(json["errors"].as_array().map(Vec::len), Some(1));
        assert_eq!(json["errors"][0]["line"], 3);
        assert_eq!(json["not_in_effect"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn all_errors_are_reported_with_their_places() {
        let report = report("[jobs.a]\ncomand = 'true'\n[jobs.b]\ncommand = 3\n");
        assert!(report.errors.len() >= 2, "{report:?}");
        assert_eq!(report.json()["ok"], false);
        assert_eq!(report.exit(), Exit::No);
    }

    #[test]
    fn the_starter_is_in_order() {
        let report = report(jobfile::STARTER);
        assert_eq!(report.exit(), Exit::Done);
        assert!(report.jobs > 0);
    }
}
