//! The transaction of a turn, and what belongs to it: the log that it is written to, and statements
//! that are part of one.

use std::fs;

use rusqlite::{Connection, TransactionBehavior};

use super::commits;
use super::files::with;
use super::hold::Unstopped;
use super::sql::Ask;
use super::{Store, StoreError};

/// The result of a verb.
pub(super) enum Verb<T> {
    /// Its changes, and this answer.
    Keep(T),
    /// This answer, and nothing else.
    Undo(T),
}

impl Store {
    /// Does a verb of a command in a transaction, or as a part of the one that is open.
    pub(super) fn transaction<T>(
        &mut self,
        action: &'static str,
        verb: impl FnOnce(&Connection) -> rusqlite::Result<Verb<T>>,
    ) -> Result<T, StoreError> {
        let is_alone = self.conn.is_autocommit();
        let answer = if is_alone {
            self.own_transaction(verb)
        } else {
            self.part(verb).map(|answer| (answer, None))
        };
        let (answer, commits) = answer.map_err(|e| self.failed(action, e))?;
        if let Some(commits) = commits {
            self.note_commits(commits);
        }
        Ok(answer)
    }

    fn own_transaction<T>(
        &mut self,
        verb: impl FnOnce(&Connection) -> rusqlite::Result<Verb<T>>,
    ) -> rusqlite::Result<(T, Option<i64>)> {
        let _unstopped = Unstopped::begin();
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match verb(&tx)? {
            Verb::Keep(answer) => {
                let commits = commits::count(&tx)?;
                tx.commit().map(|()| (answer, Some(commits)))
            }
            Verb::Undo(answer) => tx.rollback().map(|()| (answer, None)),
        }
    }

    fn part<T>(
        &mut self,
        verb: impl FnOnce(&Connection) -> rusqlite::Result<Verb<T>>,
    ) -> rusqlite::Result<T> {
        let savepoint = self.conn.savepoint()?;
        match verb(&savepoint)? {
            Verb::Keep(answer) => savepoint.commit().map(|()| answer),
            Verb::Undo(answer) => savepoint.finish().map(|()| answer),
        }
    }

    /// Does several verbs in one transaction: all are on disk when this returns, or, if it errs,
    /// none.
    pub(crate) fn together<T, E: From<StoreError>>(
        &mut self,
        verbs: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin()?;
        match verbs(self) {
            Ok(answer) => {
                self.commit()?;
                Ok(answer)
            }
            Err(error) => {
                self.rollback();
                Err(error)
            }
        }
    }

    /// Begins the turn's transaction.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        let unstopped = Unstopped::begin();
        self.changed.set(self.conn.total_changes());
        self.conn.run("BEGIN IMMEDIATE", []).map_err(|e| self.failed("begin a turn", e))?;
        *self.unstopped.borrow_mut() = unstopped;
        Ok(())
    }

    /// Puts the turn on disk; when this returns it is there.
    pub(crate) fn commit(&self) -> Result<(), StoreError> {
        let commits = match self.has_changes() {
            true => Some(commits::count(&self.conn).map_err(|e| self.failed("commit a turn", e))?),
            // Nothing is to be synced, which an idle supervisor would do each minute.
            false => None,
        };
        self.conn.run("COMMIT", []).map_err(|e| self.failed("commit a turn", e))?;
        if let Some(commits) = commits {
            self.note_commits(commits);
        }
        self.unstopped.take();
        Ok(())
    }

    /// Returns whether the turn has changed anything so far.
    pub(crate) fn has_changes(&self) -> bool {
        self.conn.total_changes() != self.changed.get()
    }

    /// Undoes the turn. Harmless where none was begun.
    pub(crate) fn rollback(&self) {
        if !self.conn.is_autocommit() {
            // A failed ROLLBACK leaves a transaction that SQLite itself has undone already.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        self.unstopped.take();
    }

    /// Gives the memory of prepared statements back: those of a start are not asked again.
    pub(crate) fn forget_statements(&self) {
        self.conn.flush_prepared_statement_cache();
        // It is only memory that stays where this fails.
        let _ = self.conn.execute_batch("PRAGMA shrink_memory");
    }

    /// The length of the log's file, used or not.
    pub(crate) fn log_len(&self) -> u64 {
        fs::metadata(with(&self.path, "-wal")).map_or(0, |meta| meta.len())
    }

    /// How large the log is and how much of it nobody needs any more, in bytes, after what can be
    /// moved into the file was.
    pub(crate) fn log_bytes(&self) -> Option<(i64, i64)> {
        const PAGE: i64 = 4096;
        let pages = self.conn.one::<(i64, i64, i64)>("PRAGMA wal_checkpoint(PASSIVE)", []);
        pages.ok().flatten().map(|(_, written, moved)| (written * PAGE, moved * PAGE))
    }

    /// Moves what stands in the log into the file, as far as no reader needs it and without waiting
    /// for one: then the log is written anew from its beginning, in the room that it has.
    pub(crate) fn begin_log_anew(&self) {
        // It is tried again by SQLite itself, too, and a log that goes on is no damage.
        let _ = self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}
