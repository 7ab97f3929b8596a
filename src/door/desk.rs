//! The state that all requests share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::accounts::Accounts;
use super::body::Bodies;
use super::control::Control;
use super::problem::{Kind, Problem, Result};
use super::waits::Waits;
use super::writer::Writer;
use crate::core::door::Door;
use crate::core::job::{Job, Settings};
use crate::core::schedule::Zone;
use crate::store::{Store, StoreError};

/// The number of store connections kept open for later reads.
const OPEN_MAX: usize = 4;

/// The jobs, the permissions, and access to the store.
pub(super) struct Desk {
    /// The table `[door]`.
    pub(super) rules: Door,
    /// The known callers.
    pub(super) accounts: Accounts,
    /// The zone of times that are given without one.
    pub(super) zone: Zone,
    /// The memory for bodies.
    pub(super) bodies: Bodies,
    /// The writing thread.
    pub(super) writer: Writer,
    /// The requests that wait for the end of a run.
    pub(super) waits: Waits,
    /// The socket to the supervisor.
    pub(super) control: Control,
    /// The part that reading threads use.
    pub(super) shelf: Arc<Shelf>,
}

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

impl Desk {
    /// Reads the store on another thread, so that a slow disk delays only this request.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store, &Shelf) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        let shelf = Arc::clone(&self.shelf);
        let work = move || shelf.read(|store| read(store, &shelf));
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Problem::new(Kind::Busy, "the store was not read").retry_after(1)),
        }
    }
}
