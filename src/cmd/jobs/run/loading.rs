//! Loads the jobs of `jobctl run`: the jobfile or its copy, and the zones that it names.

use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use crate::cmd::jobset;
use crate::cmd::{Failure, Result};
use crate::core::door::Brief;
use crate::core::job::Settings;
use crate::core::schedule::Zone;
use crate::facts::trust;
use crate::jobfile::{Jobfile, LoadError};
use crate::os::zone;
use crate::store::Store;
use crate::supervisor::door::Charge;

/// A jobfile with everything that its jobs need from other files.
#[derive(Debug)]
pub(super) struct Read {
    /// The jobs.
    pub(super) jobfile: Jobfile,
    /// The zones of their schedules.
    pub(super) zones: Zones,
}

impl Read {
    fn of(jobfile: Jobfile) -> Self {
        Self { zones: Zones::of(&jobfile), jobfile }
    }
}

/// The first jobfile, and why it is not the one on disk.
pub(super) struct Loaded {
    /// The jobfile.
    pub(super) read: Read,
    /// `None` if it is.
    pub(super) error: Option<String>,
}

/// Reads the jobfile on disk, unless users other than root can change it.
pub(super) fn read(path: &Path) -> Result<Read, LoadError> {
    trust::load(path).map(Read::of)
}

/// Returns the jobfile on disk, else the store's last valid one; without either the supervisor
/// does not start.
pub(super) fn load(store: &Store, path: &Path) -> Result<Loaded> {
    let error = match read(path) {
        Ok(read) => return Ok(Loaded { read, error: None }),
        // The copy must not be a way around.
        Err(error @ LoadError::Untrusted(_)) => return Err(jobset::failure_of(&error)),
        Err(error) => error,
    };
    match jobset::copy_of(store)? {
        Some(jobfile) => Ok(Loaded { read: Read::of(jobfile), error: Some(error.to_string()) }),
        None if !path.exists() => Err(jobset::failure_of(&LoadError::Missing(path.to_path_buf()))),
        None => Err(match error {
            LoadError::Unreadable(_) | LoadError::Untrusted(_) => jobset::failure_of(&error),
            LoadError::Missing(_) | LoadError::Problems(_) => Failure::no(error.to_string()),
        }),
    }
}

/// Makes the door's charge; `None` if the jobfile has no door.
pub(super) fn charge(
    settings: &Settings,
    sources: &[(PathBuf, String)],
    state_dir: &Path,
) -> io::Result<Option<Rc<Charge>>> {
    let Some(door) = &settings.door else {
        return Ok(None);
    };
    let sources = sources.iter().map(|(path, text)| (path.to_string_lossy().into(), text.clone()));
    let brief =
        Brief { state_dir: state_dir.as_os_str().as_bytes().to_vec(), sources: sources.collect() };
    let text = serde_json::to_vec(&brief)?;
    Charge::new((**door).clone(), &text).map(Rc::new).map(Some)
}

/// The zones of a jobfile's jobs by name; `None` stands for the jobfile's, else the system's.
#[derive(Debug)]
pub(super) struct Zones {
    default: Option<Arc<str>>,
    read: HashMap<Option<String>, Arc<Zone>>,
}

impl Zones {
    fn of(jobfile: &Jobfile) -> Self {
        let default = jobfile.settings.timezone.clone();
        let mut read = HashMap::new();
        for job in &jobfile.jobs {
            let name = job.timezone.as_ref().or(default.as_ref());
            read.entry(name.map(|name| name.to_string())).or_insert_with(|| {
                // The jobfile was refused if its zones cannot be read; one that vanished since then
                // is the system's.
                let named = name.and_then(|name| zone::load(name).ok());
                Arc::new(named.unwrap_or_else(zone::system))
            });
        }
        Self { default, read }
    }

    /// Returns the zone with this name, which a job must have.
    pub(super) fn get(&self, name: Option<&str>) -> Arc<Zone> {
        let name = name.or(self.default.as_deref()).map(str::to_owned);
        self.read.get(&name).expect("the zones of all jobs were read").clone()
    }
}
