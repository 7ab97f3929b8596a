//! Diagnoses the installation and suggests fixes.

mod machine;
pub(crate) mod unit;

use std::path::Path;

use serde::{Serialize, Serializer};

pub(crate) use machine::somebody_elses;

use super::jobs::Jobs;
use crate::os::paths::Caller;
use crate::store::{Store, StoreError};

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Nothing to do.
    Good,
    /// Worth attention.
    Warning,
    /// Something does not or will not work.
    Bad,
}

impl Level {
    /// Returns the word in JSON and text.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "error",
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The name of the check.
    pub(crate) check: &'static str,
    /// The severity.
    pub(crate) level: Level,
    /// What was found.
    pub(crate) message: String,
    /// The command that fixes it.
    pub(crate) remedy: Option<String>,
}

impl Finding {
    fn good(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, level: Level::Good, message: message.into(), remedy: None }
    }

    fn warning(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, message: message.into(), remedy: Some(remedy.into()) }
    }

    /// Makes a finding of the worst level.
    pub(crate) fn bad(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { level: Level::Bad, ..Self::warning(check, message, remedy) }
    }
}

/// The installation to check.
pub(crate) struct Patient<'a> {
    /// The state directory.
    pub(crate) state_dir: &'a Path,
    /// The calling user.
    pub(crate) caller: &'a Caller,
    /// Whether a supervisor runs.
    pub(crate) is_supervised: bool,
    /// The store.
    pub(crate) store: Option<Store>,
    /// Why an existing store could not be opened.
    pub(crate) store_error: Option<StoreError>,
    /// The jobfile.
    pub(crate) jobs: Option<Jobs>,
    /// The active crontab lines.
    pub(crate) cron_lines: Vec<CronLine>,
}

/// An active crontab line, with the command that an imported job would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CronLine {
    /// The crontab: a path, or `crontab of NAME`.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: u32,
    /// The command.
    pub(crate) command: String,
    /// The shell command that disables the line.
    pub(crate) off: Option<String>,
}

/// Runs all checks.
pub(crate) fn examine(patient: &Patient<'_>) -> Result<Vec<Finding>, StoreError> {
    let mut findings = unit::supervisor(patient)?;
    findings.extend(unit::unit(patient));
    findings.extend(machine::look(patient)?);
    Ok(findings)
}
