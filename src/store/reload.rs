//! `jobctl reload`: a request that a command leaves in the table `meta`, and the answer of the supervisor. Requests are numbered;
//! an answer to one is an answer to all before it.

use rusqlite::OptionalExtension;

use super::cells::Cells;
use super::{Store, StoreError};

impl Store {
    /// Asks the supervisor to read its jobfile. The number of the request, which is on disk.
    pub(crate) fn ask_reload(&mut self) -> Result<i64, StoreError> {
        // A commit of its own: by itself, the statement would commit when it is reset, where a full disk is not told.
        self.together(|store| {
            store
                .conn
                .query_row(
                    "INSERT INTO meta(key, value) VALUES ('reload_asked', 1) \
                     ON CONFLICT(key) DO UPDATE SET value = value + 1 RETURNING value",
                    [],
                    |row| row.cell(0),
                )
                .map_err(|e| store.failed("ask for a reload", e))
        })
    }

    /// The newest request that has no answer.
    pub(crate) fn reload_asked(&self) -> Result<Option<i64>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT value FROM meta WHERE key = 'reload_asked' \
                 AND value > coalesce((SELECT value FROM meta WHERE key = 'reload_answered'), 0)",
            )
            .and_then(|mut query| query.query_row([], |row| row.cell(0)).optional())
            .map_err(|e| self.failed("read the store", e))
    }

    /// Answers all requests up to `number`.
    pub(crate) fn answer_reload(&mut self, number: i64, answer: &str) -> Result<(), StoreError> {
        self.together(|store| {
            store.set_meta("reload_answered", Some(&number))?;
            store.set_meta("reload_answer", Some(&answer))
        })
    }

    /// The answer to a request, or to a later one; none yet.
    pub(crate) fn reload_answer(&self, number: i64) -> Result<Option<String>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT value FROM meta WHERE key = 'reload_answer' \
                 AND ?1 <= (SELECT value FROM meta WHERE key = 'reload_answered')",
            )
            .and_then(|mut query| query.query_row([number], |row| row.cell(0)).optional())
            .map_err(|e| self.failed("read the store", e))
    }
}
