//! How far the store was committed, beside it: a log (`-wal`) that is cut or removed while nobody
//! has the store open makes an older store of it, and SQLite opens that without a word.
//!
//! Each commit raises a counter in `meta`; after it, the counter is written into the file `mark`,
//! without a sync. So the mark is never ahead of what was committed. It counts for this boot of the
//! machine and this file only: a power cut may lose it, and another file has a counter of its own.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use rusqlite::Connection;

use super::files::{identity_of, remove_if_there, with};
use super::sql::Ask;
use super::{Store, StoreError};

/// The file in the state directory.
const FILE_NAME: &str = "mark";

/// Bytes of the file: one line, the rest blanks.
const LEN: usize = 128;

/// An open mark, and what it has to begin with to be this store's.
#[derive(Debug)]
pub(super) struct Commits {
    file: File,
    prefix: String,
}

/// A store that has less than was committed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Commits that are not in it.
    pub(crate) lost: i64,
}

impl Commits {
    /// Opens the mark beside a store, makes it where there is none. None where that cannot be: the
    /// store is used without one then.
    pub(super) fn beside(store: &Path) -> Option<Self> {
        let (device, inode) = identity_of(store)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path_beside(store))
            .ok()?;
        Some(Self { file, prefix: format!("{} {device} {inode} ", boot.trim()) })
    }

    /// The commits that it has seen of this store in this boot.
    fn seen(&self) -> Option<i64> {
        let mut bytes = [0; LEN];
        let len = self.file.read_at(&mut bytes, 0).ok()?;
        let text = std::str::from_utf8(bytes.get(..len)?).ok()?;
        text.strip_prefix(&self.prefix)?.trim_end().parse().ok()
    }

    /// Writes down how many commits there are, unless more are known: another process may have been
    /// faster.
    fn raise(&self, commits: i64) {
        if self.seen().is_none_or(|seen| seen < commits) {
            self.set(commits);
        }
    }

    fn set(&self, commits: i64) {
        let text = format!("{}{commits}", self.prefix);
        // A mark that cannot be written says less than it could, and nothing wrong.
        let _ = self.file.write_all_at(format!("{text:<LEN$}").as_bytes(), 0);
    }
}

/// Where the mark of a store stands.
fn path_beside(store: &Path) -> PathBuf {
    store.with_file_name(FILE_NAME)
}

/// Removes the mark of a store that is made anew, or made older on purpose.
pub(super) fn forget(store: &Path) -> io::Result<()> {
    remove_if_there(&path_beside(store))
}

/// Gives a whole store the name `path` if nothing has it. False: something has. What a store before
/// it left of log and index is removed first, for SQLite would take a log for this one's. One
/// process at a time, so that nobody removes the log of a store that was put there a moment ago.
pub(super) fn take_name(draft: &Path, path: &Path) -> Result<bool, StoreError> {
    let failed = |error| StoreError::Unreadable(path.to_path_buf(), error);
    let dir = File::open(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    dir.lock().map_err(failed)?;
    if fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    for suffix in ["-wal", "-shm"] {
        remove_if_there(&with(path, suffix)).map_err(failed)?;
    }
    forget(path).map_err(failed)?;
    fs::hard_link(draft, path).map_err(failed)?;
    dir.sync_all().map_err(failed)?;
    Ok(true)
}

/// Counts a commit that is about to be made; how many there are with it.
pub(super) fn count(conn: &Connection) -> rusqlite::Result<i64> {
    conn.value(
        "INSERT INTO meta(key, value) VALUES ('commits', 1) ON CONFLICT(key) DO UPDATE \
         SET value = value + 1 RETURNING value",
        [],
    )
}

impl Store {
    /// Writes down that a commit is made.
    pub(super) fn note_commits(&self, count: i64) {
        if let Some(commits) = &self.commits {
            commits.raise(count);
        }
    }

    /// Returns whether the store has less than was committed to it. It is told once: from now on
    /// the mark is what the store has.
    pub(crate) fn take_behind(&self) -> Result<Option<Behind>, StoreError> {
        let Some((mark, seen)) = self.commits.as_ref().and_then(|mark| Some((mark, mark.seen()?)))
        else {
            return Ok(None);
        };
        let commits = self.stamp()?;
        if seen <= commits {
            return Ok(None);
        }
        mark.set(commits);
        Ok(Some(Behind { lost: seen.saturating_sub(commits) }))
    }
}
