//! What all requests share.

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

/// Stores that stay open for the next one who reads.
const OPEN_MAX: usize = 4;

/// The jobs, the rules, and the ways to the store.
pub(super) struct Desk {
    /// The rules of the jobfile.
    pub(super) rules: Door,
    /// Who calls.
    pub(super) accounts: Accounts,
    /// The zone of times without one.
    pub(super) zone: Zone,
    /// The memory of bodies.
    pub(super) bodies: Bodies,
    /// The way to what is written.
    pub(super) writer: Writer,
    /// Those who wait for the end of a run.
    pub(super) waits: Waits,
    /// The supervisor.
    pub(super) control: Control,
    /// What is read from other threads.
    pub(super) shelf: Arc<Shelf>,
}

/// What may be used on any thread.
pub(super) struct Shelf {
    /// Where the store is.
    pub(super) state_dir: PathBuf,
    /// The jobs, sorted by name.
    pub(super) jobs: Vec<Job>,
    /// The top-level keys of the same jobfile.
    pub(super) settings: Settings,
    open: Mutex<Vec<Store>>,
}

impl Shelf {
    /// Of a state directory and the jobs of the last good jobfile.
    pub(super) fn new(state_dir: PathBuf, jobs: Vec<Job>, settings: Settings) -> Self {
        Self { state_dir, jobs, settings, open: Mutex::default() }
    }

    /// The job of a name.
    pub(super) fn job(&self, name: &str) -> Option<&Job> {
        let found = self.jobs.binary_search_by(|job| job.name.as_str().cmp(name));
        found.ok().map(|index| &self.jobs[index])
    }

    /// The job that a recorded name means today.
    pub(super) fn today(&self, name: &str) -> Option<&Job> {
        self.job(name).or_else(|| self.jobs.iter().find(|job| job.was(name)))
    }

    /// Reads the store with one that is open, or with a new one.
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
    /// Reads the store on another thread: a disk that is slow holds up nobody else.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store, &Shelf) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T> {
        let shelf = Arc::clone(&self.shelf);
        let work = move || shelf.read(|store| read(store, &shelf));
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Problem::new(Kind::Busy, "it was not read").retry_after(1)),
        }
    }
}
