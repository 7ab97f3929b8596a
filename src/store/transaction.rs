//! The transaction of a turn, and what belongs to it: the log that it is written to, and statements that are part of one.

use std::fs;

use super::cells::Cells;
use super::copies::with;
use super::hold::Unstopped;
use super::mark;
use super::{Store, StoreError};

impl Store {
    /// Begins the turn's transaction.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        let unstopped = Unstopped::begin();
        self.changed.set(self.conn.total_changes());
        self.batch("begin a turn", "BEGIN IMMEDIATE")?;
        *self.unstopped.borrow_mut() = unstopped;
        Ok(())
    }

    /// Puts the turn on disk; when this returns it is there.
    pub(crate) fn commit(&self) -> Result<(), StoreError> {
        let commits = match self.has_changes() {
            true => Some(mark::count(&self.conn).map_err(|e| self.failed("commit a turn", e))?),
            // Nothing is to be synced, which an idle supervisor would do each minute.
            false => None,
        };
        self.batch("commit a turn", "COMMIT")?;
        if let Some(commits) = commits {
            self.mark(commits);
        }
        self.unstopped.take();
        Ok(())
    }

    /// Whether the turn has changed anything so far.
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

    /// How large the log is and how much of it nobody needs any more, in bytes, after what can be moved into the file was.
    pub(crate) fn log_bytes(&self) -> Option<(i64, i64)> {
        const PAGE: i64 = 4096;
        self.conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                let (written, moved): (i64, i64) = (row.cell(1)?, row.cell(2)?);
                Ok((written * PAGE, moved * PAGE))
            })
            .ok()
    }

    /// Moves what stands in the log into the file, as far as no reader needs it and without waiting for one: then the log is
    /// written anew from its beginning, in the room that it has.
    pub(crate) fn begin_log_anew(&self) {
        // It is tried again by SQLite itself, too, and a log that goes on is no damage.
        let _ = self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }

    fn batch(&self, action: &'static str, sql: &str) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(|_| ())
            .map_err(|e| self.failed(action, e))
    }

    pub(super) fn change(
        &self,
        action: &'static str,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<usize, StoreError> {
        // Alone, it is a transaction of its own.
        let _unstopped = self.conn.is_autocommit().then(Unstopped::begin);
        self.conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map_err(|e| self.failed(action, e))
    }
}
