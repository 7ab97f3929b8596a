//! Checks who can change the files of a jobfile (jobctl.toml(5), "Trust"): those that users other
//! than root can change are refused or noted.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use super::jobs::with_files;
use crate::core::job::{EnvValue, Job};
use crate::jobfile::{self, Jobfile, LoadError, Place, Problem, Snapshot};
use crate::os::trust::{self, Fault, Opened};

/// Reads a jobfile; refuses one that users other than root can change, before any other error.
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

/// Reads a jobfile like [`load`], but notes untrusted files instead of refusing them.
pub(crate) fn load_with_notes(path: &Path) -> (Result<Jobfile, LoadError>, Vec<Problem>) {
    let faults = RefCell::default();
    let open = |path: &Path| open_and_note(path, &faults).map(|opened| opened.file);
    let loaded = with_files(&open, |env| jobfile::load(path, env));
    (loaded, faults.into_inner().iter().map(note).collect())
}

/// Takes a snapshot of a jobfile's texts, without reading untrusted files.
pub(crate) fn snapshot(path: &Path, before: Option<&Snapshot>) -> Snapshot {
    Snapshot::take(path, &trust::open_trusted, before)
}

/// A problem with a file of a job's environment.
pub(crate) struct Remark {
    /// The key that names the file.
    pub(crate) key: &'static str,
    /// What is wrong, as text of a warning.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

/// Returns the problems with the existing files of a job's environment.
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

/// Turns a fault into a problem of the jobfile.
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
