//! The files that watched jobs have taken.

use std::collections::BTreeMap;

use rusqlite::params;

use super::cells::reads;
use super::{Store, StoreError};

/// The identity of a file when it was taken: another file has other numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Its inode.
    pub(crate) inode: i64,
    /// Its size in bytes.
    pub(crate) size: i64,
    /// When its content was last changed (`mtime`), in nanoseconds since 1970; as near as can be
    /// where that is beyond 2262.
    pub(crate) changed_ns: i64,
    /// When it was made, where that is kept.
    pub(crate) born_ns: Option<i64>,
    /// When anything of it was last changed (`ctime`): content, name, mode, owner, links.
    pub(crate) status_ns: Option<i64>,
}

reads!(Mark: inode size changed_ns born_ns status_ns);

impl Mark {
    /// Returns whether it is the same file with the same content, as far as inode, size and times
    /// say. Its mode, owner and links do not matter.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        self.inode == other.inode
            && self.size == other.size
            && self.changed_ns == other.changed_ns
            && is_equal_if_known(self.born_ns, other.born_ns)
    }

    /// Returns whether besides nothing was done to it at all.
    pub(crate) fn is_untouched(&self, other: &Self) -> bool {
        self.is_same_file(other) && is_equal_if_known(self.status_ns, other.status_ns)
    }
}

fn is_equal_if_known(one: Option<i64>, other: Option<i64>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}

impl Store {
    /// The watch whose baseline is whole; none: the job has none yet.
    pub(crate) fn watch_of(&self, job: i64) -> Result<Option<String>, StoreError> {
        self.value("read watched paths", "SELECT watch FROM job WHERE id = ?1", [job])
    }

    /// Begins to remember the files of a job anew: it has no watch until `note_watch`. Forgets
    /// `files_max` files at the most; how many there were. With as many as that there may be more.
    pub(crate) fn begin_watch(&self, job: i64, files_max: usize) -> Result<usize, StoreError> {
        self.change("record a watched path", "UPDATE job SET watch = NULL WHERE id = ?1", [job])?;
        self.change(
            "forget files",
            "DELETE FROM watched WHERE job = ?1 AND path IN (SELECT path FROM watched \
             WHERE job = ?1 LIMIT ?2)",
            params![job, i64::try_from(files_max).unwrap_or(i64::MAX)],
        )
    }

    /// Notes that the files of a watch are remembered from now on: all that were there first are.
    pub(crate) fn note_watch(&self, job: i64, watch: &str) -> Result<(), StoreError> {
        self.execute(
            "record a watched path",
            "UPDATE job SET watch = ?2 WHERE id = ?1",
            params![job, watch],
        )
    }

    /// The files that a job has taken.
    pub(crate) fn marks(&self, job: i64) -> Result<BTreeMap<Vec<u8>, Mark>, StoreError> {
        self.all(
            "read taken files",
            "SELECT path, inode, size, changed_ns, born_ns, status_ns FROM watched WHERE job = ?1",
            [job],
        )
    }

    /// The mark of a file that a job has taken.
    pub(crate) fn mark_of(&self, job: i64, path: &[u8]) -> Result<Option<Mark>, StoreError> {
        self.one(
            "read taken files",
            "SELECT inode, size, changed_ns, born_ns, status_ns FROM watched WHERE job = ?1 \
             AND path = ?2",
            params![job, path],
        )
    }

    /// Remembers that a file was taken.
    pub(crate) fn remember(&self, job: i64, path: &[u8], mark: Mark) -> Result<(), StoreError> {
        self.execute(
            "remember a file",
            "INSERT OR REPLACE INTO watched(job, path, inode, size, changed_ns, born_ns, \
             status_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                job,
                path,
                mark.inode,
                mark.size,
                mark.changed_ns,
                mark.born_ns,
                mark.status_ns
            ],
        )
    }

    /// Forgets a file that is not there any more.
    pub(crate) fn forget(&self, job: i64, path: &[u8]) -> Result<(), StoreError> {
        self.execute(
            "forget a file",
            "DELETE FROM watched WHERE job = ?1 AND path = ?2",
            params![job, path],
        )
    }
}
