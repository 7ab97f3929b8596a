//! The context in which keys are read: their owner, their place, and where problems are reported.

use std::fmt::Display;

use super::Environment;
use super::problem::{Findings, Problem};
use super::text::Text;

/// The owner of keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner<'a> {
    /// The file.
    Top,
    /// `[defaults]`.
    Defaults,
    /// The job with this name.
    Job(&'a str),
}

/// The context that all values of a table share.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The file.
    pub(super) text: &'a Text,
    /// The owner.
    pub(super) owner: Owner<'a>,
    /// The environment for parsing.
    pub(super) env: &'a Environment<'a>,
    /// The seed that `H` is computed from, together with the job's name.
    pub(super) hash_seed: &'a str,
    /// Makes the hint for an unknown key.
    pub(super) hint_for_unknown: fn(&str, Vec<&'static str>) -> Option<String>,
    /// Collects the problems.
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

    /// Makes a problem at a byte of the text.
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

    /// Reports a problem at a byte of the text.
    pub(super) fn report(&self, offset: usize, message: impl Display, hint: Option<String>) {
        self.findings.problem(self.problem(offset, message, hint));
    }

    /// Adds a note at a byte of the text.
    pub(super) fn note(&self, offset: usize, message: impl Display, hint: Option<String>) {
        let Problem { place, job, message, hint } = self.problem(offset, message, hint);
        self.findings.note(Problem { place, job, message, hint });
    }
}
