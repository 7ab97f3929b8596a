//! The files that watched jobs have taken.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};

/// What a file was when it was taken: another one has other numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Its inode.
    pub(crate) inode: i64,
    /// Its size in bytes.
    pub(crate) size: i64,
    /// When it was last changed, in nanoseconds since 1970.
    pub(crate) changed_ns: i64,
}

impl Store {
    /// What a job watched when its files were last gone through; none if they never were.
    pub(crate) fn watch_of(&self, job: i64) -> Result<Option<String>, StoreError> {
        self.conn
            .prepare_cached("SELECT watch FROM job WHERE id = ?1")
            .and_then(|mut query| query.query_row([job], |row| row.get(0)).optional())
            .map(Option::flatten)
            .map_err(|e| self.failed("read what is watched", e))
    }

    /// Begins to remember the files of a job anew.
    pub(crate) fn begin_watch(&self, job: i64, watch: &str) -> Result<(), StoreError> {
        self.change("forget files", "DELETE FROM watched WHERE job = ?1", [job])?;
        self.change(
            "note what is watched",
            "UPDATE job SET watch = ?2 WHERE id = ?1",
            params![job, watch],
        )
        .map(|_| ())
    }

    /// The files that a job has taken.
    pub(crate) fn marks(&self, job: i64) -> Result<HashMap<Vec<u8>, Mark>, StoreError> {
        self.conn
            .prepare_cached("SELECT path, inode, size, changed_ns FROM watched WHERE job = ?1")
            .and_then(|mut query| {
                query
                    .query_map([job], |row| {
                        let mark = Mark {
                            inode: row.get(1)?,
                            size: row.get(2)?,
                            changed_ns: row.get(3)?,
                        };
                        Ok((row.get(0)?, mark))
                    })?
                    .collect()
            })
            .map_err(|e| self.failed("read the files that were taken", e))
    }

    /// The mark of a file that a job has taken.
    pub(crate) fn mark_of(&self, job: i64, path: &[u8]) -> Result<Option<Mark>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT inode, size, changed_ns FROM watched WHERE job = ?1 AND path = ?2",
            )
            .and_then(|mut query| {
                query
                    .query_row(params![job, path], |row| {
                        Ok(Mark {
                            inode: row.get(0)?,
                            size: row.get(1)?,
                            changed_ns: row.get(2)?,
                        })
                    })
                    .optional()
            })
            .map_err(|e| self.failed("read the files that were taken", e))
    }

    /// Remembers that a file was taken.
    pub(crate) fn remember(&self, job: i64, path: &[u8], mark: Mark) -> Result<(), StoreError> {
        self.change(
            "remember a file",
            "INSERT OR REPLACE INTO watched(job, path, inode, size, changed_ns) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![job, path, mark.inode, mark.size, mark.changed_ns],
        )
        .map(|_| ())
    }

    /// Forgets a file that is not there any more.
    pub(crate) fn forget(&self, job: i64, path: &[u8]) -> Result<(), StoreError> {
        self.change(
            "forget a file",
            "DELETE FROM watched WHERE job = ?1 AND path = ?2",
            params![job, path],
        )
        .map(|_| ())
    }
}
