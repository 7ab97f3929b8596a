//! A job as it stands in a file: its name, its table, and what was read of it.

use toml::de::DeTable;

use super::keys::Draft;
use super::scope::Scope;
use super::value::Value;
use crate::core::job::Name;

/// A job, and where it stands in its file.
pub(super) struct Entry<'a> {
    /// Its name.
    pub(super) name: Name,
    /// Its table and all that its values have in common.
    pub(super) table: Table<'a>,
    /// The byte where its name stands.
    pub(super) offset: usize,
    /// What was read of it, over the defaults.
    pub(super) draft: Draft,
}

/// A table of keys of a job.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    /// What its values have in common.
    pub(super) scope: Scope<'a>,
    /// Its keys.
    pub(super) keys: &'a DeTable<'a>,
    /// Some of it is wrong, and was reported.
    pub(super) is_broken: bool,
}

impl<'a> Table<'a> {
    /// Where the value of a key begins, if it is in this table.
    pub(super) fn offset(&self, key: &str) -> Option<usize> {
        self.keys.get(key).map(|node| node.span().start)
    }

    /// Whether it has a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The value of a key, if it is in this table.
    pub(super) fn value(&self, key: &str) -> Option<Value<'a>> {
        let node = self.keys.get(key)?;
        Some(Value { scope: self.scope, name: key.to_owned(), wants: "", node })
    }
}
