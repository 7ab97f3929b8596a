//! Whether all around the supervisor is well, and the command that mends what is not.

mod machine;
pub(crate) mod unit;

use std::path::Path;

use serde::{Serialize, Serializer};

pub(crate) use machine::somebody_elses;

use super::jobs::Jobs;
use crate::os::paths::Caller;
use crate::store::{Store, StoreError};

/// How it stands with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Something will not work, or does not.
    Bad,
}

impl Level {
    /// The word, as in JSON and text.
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

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at, in one word.
    pub(crate) check: &'static str,
    /// How it stands.
    pub(crate) level: Level,
    /// What was found.
    pub(crate) message: String,
    /// The command that mends it.
    pub(crate) remedy: Option<String>,
}

impl Finding {
    fn good(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, level: Level::Good, message: message.into(), remedy: None }
    }

    fn warning(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, message: message.into(), remedy: Some(remedy.into()) }
    }

    /// Something will not work.
    pub(crate) fn bad(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { level: Level::Bad, ..Self::warning(check, message, remedy) }
    }
}

/// What the checks look at.
pub(crate) struct Patient<'a> {
    /// Where its files are.
    pub(crate) state_dir: &'a Path,
    /// Who asks.
    pub(crate) caller: &'a Caller,
    /// Whether a supervisor lives.
    pub(crate) is_supervised: bool,
    /// The store.
    pub(crate) store: Option<Store>,
    /// Why there is none though there is a file.
    pub(crate) store_error: Option<StoreError>,
    /// The jobfile.
    pub(crate) jobs: Option<Jobs>,
    /// What cron starts.
    pub(crate) cron_lines: Vec<CronLine>,
}

/// A line that cron starts now, with the command that the same job would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CronLine {
    /// The crontab: a path, or `crontab of NAME`.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u32,
    /// The command.
    pub(crate) command: String,
    /// The shell command that switches it off.
    pub(crate) off: Option<String>,
}

/// Looks at all of it.
pub(crate) fn examine(patient: &Patient<'_>) -> Result<Vec<Finding>, StoreError> {
    let mut findings = unit::supervisor(patient)?;
    findings.extend(unit::unit(patient));
    findings.extend(machine::look(patient)?);
    Ok(findings)
}
