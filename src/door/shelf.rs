//! What threads that read need: the jobs of the last valid jobfile, and connections to the store.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::core::job::{Job, Settings};
use crate::store::{Store, StoreError};

/// The number of store connections kept open for later reads.
const OPEN_MAX: usize = 4;

/// The state that any thread may use.
pub(super) struct Shelf {
    /// The directory of the store.
    pub(super) state_dir: PathBuf,
    /// The jobs, sorted by name.
    pub(super) jobs: Vec<Job>,
    /// The top-level keys of the jobfile.
    pub(super) settings: Settings,
    open: Mutex<Vec<Store>>,
}

impl Shelf {
    /// Takes a state directory and the contents of the last valid jobfile.
    pub(super) fn new(state_dir: PathBuf, jobs: Vec<Job>, settings: Settings) -> Self {
        Self { state_dir, jobs, settings, open: Mutex::default() }
    }

    /// Returns the job with this name.
    pub(super) fn job(&self, name: &str) -> Option<&Job> {
        let found = self.jobs.binary_search_by(|job| job.name.as_str().cmp(name));
        found.ok().map(|index| &self.jobs[index])
    }

    /// Returns the job that has this recorded name today, or took it over (`was`).
    pub(super) fn today(&self, name: &str) -> Option<&Job> {
        self.job(name).or_else(|| self.jobs.iter().find(|job| job.was(name)))
    }

    /// Reads the store over an open connection, or a new one.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let store = match open {
            Some(store) => store,
            None => Store::open_read(&self.state_dir)?,
        };
        let answer = read(&store)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() < OPEN_MAX {
            open.push(store);
        }
        Ok(answer)
    }
}
