//! Typed readers of TOML values: each returns the value, or reports a problem with its place and
//! returns `None`.
//!
//! Knows types but no keys; `keys` and `compound` assign the types to keys.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::scope::Scope;
use super::units;
use crate::core::duration::parse_duration;
use crate::core::job::Name;
use crate::core::words::Word;

// The names of types in messages.
pub(super) const BOOL: &str = "true or false";
pub(super) const COMMAND: &str = "a string or an array of strings";
pub(super) const DURATION: &str = "a duration such as \"90s\"";
pub(super) const NUMBER: &str = "a whole number";
pub(super) const SIZE: &str = "a size such as \"1 MiB\"";
pub(super) const STRING: &str = "a string";
pub(super) const TABLE: &str = "a table";
pub(super) const EXIT_CODES: &str = "an array of exit codes";

/// The maximum number of characters of a value in messages.
const SHOWN_MAX: usize = 60;

/// A key that a table may have.
pub(super) struct Key<T> {
    /// Its name.
    pub(super) name: &'static str,
    /// The types it may have, for messages.
    pub(super) wants: &'static str,
    /// Reads its value into the result of the table.
    pub(super) read: fn(&mut T, &Value<'_>),
}

/// Makes an entry of a table of keys.
pub(super) const fn key<T>(
    name: &'static str,
    wants: &'static str,
    read: fn(&mut T, &Value<'_>),
) -> Key<T> {
    Key { name, wants, read }
}

/// A value of a jobfile, with its key and place.
pub(super) struct Value<'a> {
    /// The scope that it shares with its table.
    pub(super) scope: Scope<'a>,
    /// Its key in messages: `retry.max`.
    pub(super) name: String,
    /// The types it may have, for messages.
    pub(super) wants: &'static str,
    /// The value itself.
    pub(super) node: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    /// Returns the offset of the value's first byte.
    pub(super) fn offset(&self) -> usize {
        self.node.span().start
    }

    /// Reports a problem: the key, the value if it is a plain one, and the reason.
    pub(super) fn complain(&self, reason: impl Display, hint: Option<String>) {
        self.complain_at(self.offset(), reason, hint);
    }

    /// Reports a problem at another byte than the value's first.
    pub(super) fn complain_at(&self, offset: usize, reason: impl Display, hint: Option<String>) {
        let name = self.name.escape_debug();
        match show(self.node.get_ref()) {
            Some(shown) => {
                self.scope.report(offset, format_args!("{name} {shown}: {reason}"), hint)
            }
            None => self.scope.report(offset, format_args!("{name}: {reason}"), hint),
        }
    }

    /// Reports that the value has a type its key cannot have.
    pub(super) fn complain_of_type(&self, hint: Option<String>) {
        let got = match self.node.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        let name = self.name.escape_debug();
        self.scope.report(
            self.offset(),
            format_args!("{name}: expected {}, got {got}", self.wants),
            hint,
        );
    }

    /// Reads a string; refuses NUL, which no command, path, name or variable can contain.
    pub(super) fn text(&self) -> Option<&'a str> {
        let DeValue::String(text) = self.node.get_ref() else {
            let quoted =
                show(self.node.get_ref()).map(|shown| format!("write it in quotes: \"{shown}\""));
            self.complain_of_type(quoted);
            return None;
        };
        if text.contains('\0') {
            self.complain(
                "contains a NUL character",
                Some("remove it: no command can receive one".to_owned()),
            );
            return None;
        }
        Some(text)
    }

    /// Reads a string that is not blank.
    pub(super) fn words(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.complain("is empty", Some(format!("leave out `{}` to have none", self.name)));
            return None;
        }
        Some(text)
    }

    /// Reads an absolute path.
    pub(super) fn path(&self) -> Option<Box<str>> {
        let text = self.words()?;
        if !Path::new(text).is_absolute() {
            let hint = "write the whole path, from `/`; `~` and variables are not expanded";
            self.complain("is not an absolute path", Some(hint.to_owned()));
            return None;
        }
        Some(text.into())
    }

    /// Reads a boolean.
    pub(super) fn bool(&self) -> Option<bool> {
        match self.node.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            DeValue::String(text) if matches!(text.as_ref(), "true" | "false") => {
                self.complain_of_type(Some(format!("write {text} without quotes")));
                None
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.complain_of_type(None);
                None
            }
        }
    }

    /// Reads an integer within a range.
    pub(super) fn number<T: TryFrom<i64>>(&self, range: RangeInclusive<i64>) -> Option<T> {
        let DeValue::Integer(number) = self.node.get_ref() else {
            let is_quoted =
                matches!(self.node.get_ref(), DeValue::String(text) if text.parse::<i64>().is_ok());
            self.complain_of_type(is_quoted.then(|| "write it without quotes".to_owned()));
            return None;
        };
        let value = i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|value| range.contains(value));
        let value = value.and_then(|value| T::try_from(value).ok());
        if value.is_none() {
            self.complain(format_args!("must be {} to {}", range.start(), range.end()), None);
        }
        value
    }

    /// Reads a number within a range, in thousandths.
    pub(super) fn milli(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = match self.node.get_ref() {
            DeValue::Integer(number) => {
                number.as_str().parse::<f64>().ok().filter(|_| number.radix() == 10)
            }
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.complain_of_type(None);
                return None;
            }
        };
        let (low, high) = (f64::from(*range.start()), f64::from(*range.end()));
        match number.map(|number| (number * 1000.0).round()) {
            // The range is within u32, so the cast loses nothing.
            Some(milli) if (low..=high).contains(&milli) => Some(milli as u32),
            Some(_) | None => {
                self.complain(format_args!("must be {} to {}", low / 1000.0, high / 1000.0), None);
                None
            }
        }
    }

    /// Reads a duration that may be zero.
    pub(super) fn duration_or_zero(&self) -> Option<Duration> {
        let text = match self.node.get_ref() {
            DeValue::Integer(number) => {
                self.complain(
                    "a duration needs a unit",
                    Some(format!("write \"{number}s\" for seconds")),
                );
                return None;
            }
            DeValue::String(text) => text,
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.complain_of_type(None);
                return None;
            }
        };
        match parse_duration(text) {
            Ok(span) => Some(span),
            Err(error) => {
                self.complain(error.message, Some(error.hint));
                None
            }
        }
    }

    /// Reads a duration longer than zero.
    pub(super) fn duration(&self) -> Option<Duration> {
        let span = self.duration_or_zero()?;
        if span.is_zero() {
            self.complain("is zero", Some(format!("leave out `{}` to have none", self.name)));
            return None;
        }
        Some(span)
    }

    /// Reads a size in bytes, at least `least` and at most `most`.
    pub(super) fn size(&self, least: u64, most: u64) -> Option<u64> {
        let size = match self.node.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| "write a whole number of bytes, or \"1 MiB\""),
            DeValue::String(text) => units::parse_size(text),
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.complain_of_type(None);
                return None;
            }
        };
        match size {
            Ok(size) if (least..=most).contains(&size) => Some(size),
            Ok(_) => {
                self.complain(format_args!("must be {least} to {most} bytes"), None);
                None
            }
            Err(usage) => {
                self.complain("is not a size", Some(usage.to_owned()));
                None
            }
        }
    }

    /// Reads one of a set of words.
    pub(super) fn word<W: Word>(&self) -> Option<W> {
        let text = self.text()?;
        let found = W::parse(text);
        if found.is_none() {
            let words: Vec<_> = W::ALL.iter().map(|one| format!("`{}`", one.word())).collect();
            let hint = units::nearest(text, W::ALL.iter().map(|one| one.word()));
            self.complain(
                format_args!("is not one of {}", words.join(", ")),
                hint.map(did_you_mean),
            );
        }
        found
    }

    /// Reads the name of a job or lock.
    pub(super) fn job_name(&self) -> Option<Name> {
        match Name::parse(self.text()?) {
            Ok(name) => Some(name),
            Err(reason) => {
                self.complain(reason, None);
                None
            }
        }
    }

    /// Returns the elements of an array.
    pub(super) fn items(&self, wants: &'static str) -> Option<Vec<Value<'a>>> {
        let DeValue::Array(items) = self.node.get_ref() else {
            self.complain_of_type(None);
            return None;
        };
        let item = |node| Value { scope: self.scope, name: self.name.clone(), wants, node };
        Some(items.iter().map(item).collect())
    }

    /// Reads each element with `read`; returns `None` if any is wrong, after reading all of them.
    pub(super) fn each<T>(
        &self,
        wants: &'static str,
        read: impl Fn(&Value<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items: Vec<_> = self.items(wants)?.iter().map(read).collect();
        items.into_iter().collect()
    }

    /// Reads the keys of a table.
    pub(super) fn table<T>(&self, keys: &'static [Key<T>], into: &mut T) -> Option<()> {
        let DeValue::Table(table) = self.node.get_ref() else {
            self.complain_of_type(None);
            return None;
        };
        read(&self.scope, &self.name, table, keys, into);
        Some(())
    }
}

/// Reads all keys of a table into `into`; `prefix` precedes their names in messages.
pub(super) fn read<'a, T>(
    scope: &Scope<'a>,
    prefix: &str,
    table: &'a DeTable<'a>,
    keys: &'static [Key<T>],
    into: &mut T,
) {
    for (key, node) in table {
        let (name, offset) = (key.get_ref().as_ref(), key.span().start);
        let full = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match keys.iter().find(|row| row.name == name) {
            Some(row) => {
                (row.read)(into, &Value { scope: *scope, name: full, wants: row.wants, node });
            }
            None => {
                let hint =
                    (scope.hint_for_unknown)(name, keys.iter().map(|row| row.name).collect());
                scope.report(offset, format_args!("unknown key `{}`", full.escape_debug()), hint);
            }
        }
    }
}

/// Replaces the content of a slot if there is a value.
pub(super) fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

/// Fills an optional slot if there is a value.
pub(super) fn set_some<T>(slot: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *slot = value;
    }
}

/// Makes the hint for a misspelt word.
pub(super) fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// Returns a plain value as written, shortened if it is long.
fn show(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(match text.char_indices().nth(SHOWN_MAX) {
            Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
            None => format!("{text:?}"),
        }),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Datetime(value) => Some(value.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
