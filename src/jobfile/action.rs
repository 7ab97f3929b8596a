//! Readers of commands, schedules and time zones.

use std::sync::Arc;

use toml::de::DeValue;

use super::scope::Owner;
use super::value::{Value, did_you_mean};
use crate::core::job::{CommandLine, Schedules};
use crate::core::schedule::{HashSeed, Schedule};

/// The limit of a program's argument in the kernel, in bytes.
const ARGUMENT_MAX: usize = 131_071;

impl<'a> Value<'a> {
    /// Reads a command: text for a shell, or a program and its arguments.
    pub(super) fn command(&self) -> Option<CommandLine> {
        if matches!(self.node.get_ref(), DeValue::Array(_)) {
            return self.program().map(CommandLine::Exec);
        }
        let text = self.words()?;
        self.fits_argument(text)?;
        Some(CommandLine::Shell(text.into()))
    }

    /// Reads a program and its arguments.
    pub(super) fn program(&self) -> Option<Box<[Box<str>]>> {
        let words =
            self.each("a string", |item| item.text().and_then(|word| item.fits_argument(word)))?;
        if words.first().is_none_or(|program| program.trim().is_empty()) {
            self.complain(
                "names no program",
                Some("write the program first, then its arguments".to_owned()),
            );
            return None;
        }
        Some(words.into_iter().map(Box::from).collect())
    }

    /// Checks that the kernel can pass a text to a program.
    pub(super) fn fits_argument(&self, text: &'a str) -> Option<&'a str> {
        if text.len() > ARGUMENT_MAX {
            let hint = "put it into a script and call the script".to_owned();
            self.complain(
                format_args!("{} bytes, more than {ARGUMENT_MAX}", text.len()),
                Some(hint),
            );
            return None;
        }
        Some(text)
    }

    /// Reads the name of a time zone.
    pub(super) fn timezone(&self) -> Option<Arc<str>> {
        let text = self.words()?;
        match (self.scope.env.zones)(text) {
            Ok(()) => Some(text.into()),
            Err((message, suggestion)) => {
                self.complain(message, suggestion.as_deref().map(did_you_mean));
                None
            }
        }
    }

    /// Reads schedules, with their text.
    pub(super) fn schedules(&self) -> Option<Schedules> {
        if !matches!(self.node.get_ref(), DeValue::Array(_)) {
            return self.schedule().map(|schedule| Box::from([schedule]));
        }
        let schedules = self.each("a string", Value::schedule)?;
        if schedules.is_empty() {
            self.complain(
                "is empty",
                Some("leave out `schedule` for a job that runs only from its queue".to_owned()),
            );
            return None;
        }
        Some(schedules.into())
    }

    fn schedule(&self) -> Option<(Box<str>, Schedule)> {
        let text = self.text()?;
        let job = match self.scope.owner {
            Owner::Job(name) => name,
            Owner::Top | Owner::Defaults => "",
        };
        match Schedule::parse(text, HashSeed { seed: self.scope.hash_seed, job }) {
            Ok(schedule) => Some((text.into(), schedule)),
            Err(error) => {
                self.complain_at(
                    self.offset_inside(text, error.position),
                    error.message,
                    error.hint,
                );
                None
            }
        }
    }

    /// Returns the place in the file of a byte of a string's value; if the string has escapes, its
    /// beginning.
    fn offset_inside(&self, text: &str, position: usize) -> usize {
        let span = self.node.span();
        let raw = self.scope.text.as_str().get(span.clone()).unwrap_or_default();
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| raw.starts_with(quote));
        let Some(body) = quote.and_then(|quote| raw.strip_prefix(quote)) else {
            return span.start;
        };
        let body = if quote.is_some_and(|quote| quote.len() == 3) {
            body.trim_start_matches(['\r', '\n'])
        } else {
            body
        };
        let has_no_escapes = body.starts_with(text) && text.is_char_boundary(position);
        if has_no_escapes { span.start + (raw.len() - body.len()) + position } else { span.start }
    }
}
