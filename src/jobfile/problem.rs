//! Problems of a jobfile, which make it invalid, and notes for `check`, both with their places.
//!
//! Prints nothing; a [`Problem`] only knows its text.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The file, as named by the user.
    #[serde(serialize_with = "lossy")]
    pub(crate) file: PathBuf,
    /// The line, from 1; 0 means the whole file.
    #[serde(with = "null_for_0")]
    pub(crate) line: u32,
    /// The column in characters, from 1; 0 means the whole file.
    #[serde(with = "null_for_0")]
    pub(crate) column: u32,
}

fn lossy<S: Serializer>(file: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&file.to_string_lossy())
}

/// Represents 0 as null in JSON.
mod null_for_0 {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u32, to: S) -> Result<S::Ok, S::Error> {
        (*number > 0).then_some(*number).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        Option::deserialize(from).map(Option::unwrap_or_default)
    }
}

impl Place {
    /// Makes the place of a whole file.
    pub(crate) fn whole(file: &Path) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{line}:{}", self.file.display(), self.column),
        }
    }
}

/// A reason to refuse a jobfile, or a note about a valid one. Displayed as `FILE:LINE:COLUMN: job
/// `NAME`: what is wrong`, then a line `hint: ...` if there is a hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The place.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The name of the job that it is about.
    pub(crate) job: Option<String>,
    /// What is wrong: the object first, lower case.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) hint: Option<String>,
}

impl Problem {
    /// Returns the message with the job, without the place.
    pub(crate) fn sentence(&self) -> String {
        match &self.job {
            Some(job) => format!("job `{}`: {}", job.escape_debug(), self.message),
            None => self.message.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.sentence())?;
        self.hint.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))
    }
}

/// Collects problems and notes while jobfiles are read; shared by all readers, so that one error
/// does not hide another.
#[derive(Default)]
pub(super) struct Findings {
    problems: RefCell<Vec<Problem>>,
    notes: RefCell<Vec<Problem>>,
    syntax: RefCell<Vec<(Problem, u32)>>,
}

impl Findings {
    /// Adds a reason to refuse the jobfile.
    pub(super) fn problem(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Adds a syntax error. Other problems at its place, or from there to before `line_end`, follow
    /// from it and are dropped.
    pub(super) fn syntax_problem(&self, problem: Problem, line_end: u32) {
        self.syntax.borrow_mut().push((problem, line_end));
    }

    /// Returns whether no problem was found so far.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty() && self.syntax.borrow().is_empty()
    }

    /// Adds a note for `check`.
    pub(super) fn note(&self, note: Problem) {
        self.notes.borrow_mut().push(note);
    }

    /// Returns the problems, else the notes, ordered by `files` and then by place.
    pub(super) fn into_notes(self, files: &[&Path]) -> Result<Vec<Problem>, Vec<Problem>> {
        let order: HashMap<&Path, usize> =
            files.iter().enumerate().map(|(index, file)| (*file, index)).collect();
        let rank =
            |place: &Place| (order.get(place.file.as_path()).copied(), place.line, place.column);
        let syntax = self.syntax.into_inner();
        let mut problems = self.problems.into_inner();
        problems.retain(|problem| {
            !syntax.iter().any(|(error, line_end)| is_echo(problem, error, *line_end))
        });
        problems.extend(syntax.into_iter().map(|(error, _)| error));
        problems.sort_by_key(|problem| rank(&problem.place));
        problems.dedup();
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut notes = self.notes.into_inner();
        notes.sort_by_key(|note| rank(&note.place));
        Ok(notes)
    }
}

fn is_echo(problem: &Problem, error: &Problem, line_end: u32) -> bool {
    let (place, from) = (&problem.place, &error.place);
    place == from || (place.file == from.file && (from.line..line_end).contains(&place.line))
}
