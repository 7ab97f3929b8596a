//! `jobctl reload`: a request that a command leaves in the table `meta`, and the answer of the
//! supervisor. Requests are numbered; an answer to one is an answer to all before it.

use super::{Store, StoreError};

impl Store {
    /// Asks the supervisor to read its jobfile. The number of the request, which is on disk.
    pub(crate) fn ask_reload(&mut self) -> Result<i64, StoreError> {
        // A commit of its own: by itself, the statement would commit when it is reset, where a full
        // disk is not told.
        self.together(|store| {
            store.value(
                "ask for a reload",
                "INSERT INTO meta(key, value) VALUES ('reload_asked', 1) \
                 ON CONFLICT(key) DO UPDATE SET value = value + 1 RETURNING value",
                [],
            )
        })
    }

    /// The newest request that has no answer.
    pub(crate) fn reload_asked(&self) -> Result<Option<i64>, StoreError> {
        self.one(
            "read the store",
            "SELECT value FROM meta WHERE key = 'reload_asked' \
             AND value > coalesce((SELECT value FROM meta WHERE key = 'reload_answered'), 0)",
            [],
        )
    }

    /// Answers all requests up to `number`.
    pub(crate) fn answer_reload(&mut self, number: i64, answer: &str) -> Result<(), StoreError> {
        self.together(|store| {
            store.set_meta("reload_answered", number)?;
            store.set_meta("reload_answer", answer)
        })
    }

    /// The answer to a request, or to a later one; none yet.
    pub(crate) fn reload_answer(&self, number: i64) -> Result<Option<String>, StoreError> {
        self.one(
            "read the store",
            "SELECT value FROM meta WHERE key = 'reload_answer' AND ?1 <= (SELECT value \
             FROM meta WHERE key = 'reload_answered')",
            [number],
        )
    }
}
