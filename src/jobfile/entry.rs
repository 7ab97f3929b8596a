//! A job in a file: its name, its table, and the values read so far.

use toml::de::DeTable;

use super::keys::Draft;
use super::scope::Scope;
use super::value::Value;
use crate::core::job::Name;

/// A job and its place in the file.
pub(super) struct Entry<'a> {
    /// Its name.
    pub(super) name: Name,
    /// Its table.
    pub(super) table: Table<'a>,
    /// The offset of its name.
    pub(super) offset: usize,
    /// Its values, on top of the defaults.
    pub(super) draft: Draft,
}

/// A table with keys of a job.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    /// The scope of its values.
    pub(super) scope: Scope<'a>,
    /// Its keys.
    pub(super) keys: &'a DeTable<'a>,
    /// Whether a problem in it was reported.
    pub(super) is_broken: bool,
}

impl<'a> Table<'a> {
    /// Returns the offset of a key's value, if this table has the key.
    pub(super) fn offset(&self, key: &str) -> Option<usize> {
        self.keys.get(key).map(|node| node.span().start)
    }

    /// Returns whether it has a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Returns the value of a key, if this table has it.
    pub(super) fn value(&self, key: &str) -> Option<Value<'a>> {
        let node = self.keys.get(key)?;
        Some(Value { scope: self.scope, name: key.to_owned(), wants: "", node })
    }
}
