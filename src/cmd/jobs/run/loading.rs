//! What `jobctl run` reads to have jobs: the jobfile or its copy, and the zones that it names.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::cmd::failure::Failure;
use crate::cmd::{jobset, trust};
use crate::core::schedule::Zone;
use crate::jobfile::{self, Environment, Jobfile, LoadError, Source};
use crate::os::zone;
use crate::store::Store;

/// A jobfile to begin with, and why it is not the one on disk.
pub(super) struct Loaded {
    /// The jobs.
    pub(super) jobfile: Jobfile,
    /// None: it is.
    pub(super) error: Option<String>,
}

/// The jobfile on disk, else the last good one of the store; without one the supervisor does not begin.
pub(super) fn load(store: &Store, path: &Path) -> Result<Loaded, Failure> {
    let error = match trust::load(path) {
        Ok(jobfile) => {
            return Ok(Loaded { jobfile, error: None });
        }
        // The copy must not be a way around.
        Err(error @ LoadError::Untrusted(_)) => return Err(jobset::failure_of(&error)),
        Err(error) => error,
    };
    let sources: Vec<Source> =
        store.jobfile_copy()?.into_iter().map(|(path, text)| Source { path, text }).collect();
    let copy = |env: &Environment<'_>| jobfile::load_sources(&sources, env).ok();
    match (!sources.is_empty()).then(|| jobset::with_environment(copy)).flatten() {
        Some(jobfile) => Ok(Loaded { jobfile, error: Some(error.to_string()) }),
        None if !path.exists() => Err(jobset::failure_of(&LoadError::Missing(path.to_path_buf()))),
        None => Err(match error {
            LoadError::Unreadable(_) | LoadError::Untrusted(_) => jobset::failure_of(&error),
            LoadError::Missing(_) | LoadError::Problems(_) => Failure::no(error.to_string()),
        }),
    }
}

/// Zones by name, each read once; none is the jobfile's, else the system's.
pub(super) struct Zones {
    default: Option<Arc<str>>,
    read: HashMap<Option<String>, Arc<Zone>>,
}

impl Zones {
    /// Zones of a jobfile; none is read yet.
    pub(super) fn new(default: Option<Arc<str>>) -> Self {
        Self { default, read: HashMap::new() }
    }

    /// The zone of this name.
    pub(super) fn get(&mut self, name: Option<&str>) -> Arc<Zone> {
        let name = name.or(self.default.as_deref()).map(str::to_owned);
        let zone = self.read.entry(name.clone()).or_insert_with(|| {
            // The jobfile was refused if its zones cannot be read; one that vanished since then is the system's.
            Arc::new(name.and_then(|name| zone::load(&name).ok()).unwrap_or_else(zone::system))
        });
        zone.clone()
    }
}
