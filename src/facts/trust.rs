//! Whose files a jobfile is read from (jobctl.toml(5), "Trust"): what others than root could change
//! is refused, or noted.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use super::jobs::with_files;
use crate::core::job::{EnvValue, Job};
use crate::jobfile::{self, Jobfile, LoadError, Place, Problem, Snapshot};
use crate::os::trust::{self, Fault, Opened};

/// Reads a jobfile; one that others than root could change is refused, whatever else is wrong with
/// it.
pub(crate) fn load(path: &Path) -> Result<Jobfile, LoadError> {
    let faults = RefCell::default();
    let open = |path: &Path| {
        let opened = open_and_note(path, &faults)?;
        match opened.faults.into_iter().next() {
            Some(fault) => Err(io::Error::new(io::ErrorKind::PermissionDenied, fault)),
            None => Ok(opened.file),
        }
    };
    let loaded = with_files(&open, |env| jobfile::load(path, env));
    match faults.into_inner() {
        faults if faults.is_empty() => loaded,
        faults => Err(LoadError::Untrusted(faults.iter().map(problem).collect())),
    }
}

/// Reads a jobfile as [`load`] does, but says of what others could change instead of refusing it.
pub(crate) fn load_with_notes(path: &Path) -> (Result<Jobfile, LoadError>, Vec<Problem>) {
    let faults = RefCell::default();
    let open = |path: &Path| open_and_note(path, &faults).map(|opened| opened.file);
    let loaded = with_files(&open, |env| jobfile::load(path, env));
    (loaded, faults.into_inner().iter().map(note).collect())
}

/// What a jobfile's texts are now; what others could change is not read.
pub(crate) fn snapshot(path: &Path, before: Option<&Snapshot>) -> Snapshot {
    Snapshot::take(path, &trust::open_trusted, before)
}

/// A file that a job's environment is read from, and what is to be said about it.
pub(crate) struct Remark {
    /// The key that names it.
    pub(crate) key: &'static str,
    /// What is wrong, as it stands in a warning.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

/// What is to be said about the files of a job's environment, as far as they are there.
pub(crate) fn remarks(job: &Job) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if let Some(path) = &job.policy.env_file {
        let untrusted = open(path).into_iter().flat_map(|opened| opened.faults);
        remarks.extend(untrusted.map(|fault| remark("env_file", &fault)));
    }
    for (_, value) in &job.policy.env {
        let EnvValue::File(path) = value else {
            continue;
        };
        let Some(opened) = open(path) else {
            continue;
        };
        remarks.extend(opened.faults.iter().map(|fault| remark("env", fault)));
        if opened.is_open_to_all {
            remarks.push(Remark {
                key: "env",
                message: format!("{path}: every user of this machine can read it"),
                hint: format!("run `chmod o-r {path}` if it is a secret"),
            });
        }
    }
    remarks
}

fn open(path: &str) -> Option<Opened> {
    trust::open(Path::new(path)).ok()
}

fn remark(key: &'static str, fault: &Fault) -> Remark {
    Remark { key, message: format!("{fault}: attempts fail (spawn_failed)"), hint: fault.hint() }
}

fn open_and_note(path: &Path, faults: &RefCell<Vec<Fault>>) -> io::Result<Opened> {
    let opened = trust::open(path)?;
    let mut noted = faults.borrow_mut();
    for fault in &opened.faults {
        if !noted.contains(fault) {
            noted.push(fault.clone());
        }
    }
    Ok(opened)
}

/// What is wrong with the file of a fault, as the jobfile's reader says it.
pub(crate) fn problem(fault: &Fault) -> Problem {
    Problem {
        place: Place::whole(&fault.path),
        job: None,
        message: fault.reason(),
        hint: Some(fault.hint()),
    }
}

fn note(fault: &Fault) -> Problem {
    Problem { message: format!("{}: `jobctl run` refuses it", fault.reason()), ..problem(fault) }
}
