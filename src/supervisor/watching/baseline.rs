//! The baseline of a place: files that are there when a job begins to watch it count as taken.
//!
//! They are written to the store some in a transaction, so that no other process waits long for its
//! lock. Until the last one is written the store names no watch for the job: after a crash in
//! between, the next supervisor begins the baseline anew.

use std::collections::VecDeque;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::TAKEN_AT_ONCE;
use crate::store::{Mark, Store, StoreError};

/// A baseline that is not wholly in the store.
#[derive(Debug)]
pub(super) struct Baseline {
    /// Files that are still to be written.
    files: VecDeque<(PathBuf, Mark)>,
    /// No files of a former watch are left in the store.
    is_cleared: bool,
}

impl Baseline {
    pub(super) fn new(files: Vec<(PathBuf, Mark)>) -> Self {
        Self { files: files.into(), is_cleared: false }
    }

    /// Writes some of it: removes and adds `TAKEN_AT_ONCE` rows at the most. Answers whether all of
    /// it is in the store now, where `watch` is noted for the job then.
    pub(super) fn write(
        &mut self,
        store: &Store,
        job: i64,
        watch: &str,
    ) -> Result<bool, StoreError> {
        let mut room = TAKEN_AT_ONCE;
        store.begin()?;
        if !self.is_cleared {
            room = room.saturating_sub(store.begin_watch(job, room)?);
        }
        // Without room there may be more to remove.
        let is_cleared = room > 0;
        let some = room.min(self.files.len());
        for (path, mark) in self.files.iter().take(some) {
            store.remember(job, path.as_os_str().as_bytes(), *mark)?;
        }
        let is_whole = is_cleared && some == self.files.len();
        if is_whole {
            store.note_watch(job, watch)?;
        }
        store.commit()?;
        self.is_cleared = is_cleared;
        self.files.drain(..some);
        Ok(is_whole)
    }
}
