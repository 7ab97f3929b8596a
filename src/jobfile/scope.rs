//! Whose keys are read, where they stand, and how what is wrong with them is said.

use std::fmt::Display;

use super::Environment;
use super::problem::{Findings, Problem};
use super::text::Text;

/// Whose keys are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'a> {
    /// The file's.
    Top,
    /// Those of `[defaults]`.
    Defaults,
    /// Those of a job, by the name it was given.
    Job(&'a str),
}

/// What all values of a table have in common.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// Where they stand.
    pub(super) text: &'a Text,
    /// Whose they are.
    pub(super) owner: Owner<'a>,
    /// What parsing needs from outside.
    pub(super) env: &'a Environment<'a>,
    /// What `H` is computed from, beside the job's name.
    pub(super) hash_seed: &'a str,
    /// What may have been meant by a key that is none of a table's.
    pub(super) hint_for_unknown: fn(&str, Vec<&'static str>) -> Option<String>,
    /// Where errors go.
    pub(super) findings: &'a Findings,
}

impl<'a> Scope<'a> {
    fn job(&self) -> Option<String> {
        match self.owner {
            Owner::Top | Owner::Defaults => None,
            Owner::Job(name) => Some(name.to_owned()),
        }
    }

    fn message(&self, message: impl Display) -> String {
        match self.owner {
            Owner::Top | Owner::Job(_) => message.to_string(),
            Owner::Defaults => format!("defaults: {message}"),
        }
    }

    /// Describes what is wrong at a byte of the text.
    pub(super) fn problem(
        &self,
        offset: usize,
        message: impl Display,
        hint: Option<String>,
    ) -> Problem {
        Problem {
            place: self.text.place(offset),
            job: self.job(),
            message: self.message(message),
            hint,
        }
    }

    /// Reports what is wrong at a byte of the text.
    pub(super) fn report(&self, offset: usize, message: impl Display, hint: Option<String>) {
        self.findings.problem(self.problem(offset, message, hint));
    }

    /// Notes something at a byte of the text.
    pub(super) fn note(&self, offset: usize, message: impl Display, hint: Option<String>) {
        let Problem { place, job, message, hint } = self.problem(offset, message, hint);
        self.findings.note(Problem { place, job, message, hint });
    }
}
