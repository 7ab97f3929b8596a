//! The baseline of a place: files that are there when a job begins to watch it count as taken.
//!
//! They are written to the store some in a transaction, so that no other process waits long for its
//! lock. Until the last one is written the store names no watch for the job: after a crash in
//! between, the next supervisor begins the baseline anew.

use std::collections::VecDeque;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::place::Place;
use super::{Spawner, Supervisor, TAKEN_AT_ONCE};
use crate::store::{Mark, StoreError};

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
}

impl<S: Spawner> Supervisor<S> {
    /// Writes some of a place's baseline: it removes and adds `TAKEN_AT_ONCE` rows at the most.
    pub(super) fn write_baseline(&mut self, place: &mut Place) -> Result<(), StoreError> {
        let Some(baseline) = &mut place.baseline else {
            return Ok(());
        };
        let mut room = TAKEN_AT_ONCE;
        self.store.begin()?;
        if !baseline.is_cleared {
            room = room.saturating_sub(self.store.begin_watch(place.job, room)?);
        }
        // Without room there may be more to remove.
        let is_cleared = room > 0;
        let some = room.min(baseline.files.len());
        for (path, mark) in baseline.files.iter().take(some) {
            let path = path.as_os_str().as_bytes();
            self.store.remember(place.job, path, *mark)?;
        }
        let is_whole = is_cleared && some == baseline.files.len();
        if is_whole {
            self.store.note_watch(place.job, &place.watch)?;
        }
        self.store.commit()?;
        baseline.is_cleared = is_cleared;
        baseline.files.drain(..some);
        if is_whole {
            place.baseline = None;
        }
        Ok(())
    }
}
