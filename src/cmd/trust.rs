//! Trust in a jobfile's files (jobctl.toml(5), "Trust"): `run` refuses files that users other than
//! root can change, and `check` warns about them. Every other command reads them, but ignores their
//! `state_dir` and does not write to a directory to which other users could redirect it.

use std::path::Path;

use crate::cmd::state_key::Named;
use crate::cmd::{Failure, InFile, Result};
use crate::facts::trust::problem;
use crate::jobfile::Problem;
use crate::os::trust::{self, Fault};

/// Refuses a jobfile that users other than root can change, before creating anything for it.
pub(super) fn refuse(path: &Path) -> Result<()> {
    // The reader of the file reports that it cannot be opened.
    let faults = trust::open(path).map_or_else(|_| Vec::new(), |opened| opened.faults);
    if faults.is_empty() {
        return Ok(());
    }
    let problems: Vec<_> = faults.iter().map(problem).collect();
    Err(failure_of(&problems))
}

/// Refuses a state directory whose path other users could redirect.
pub(super) fn refuse_way(state_dir: &Path) -> Result<()> {
    let faults = trust::way_to(state_dir).in_file(state_dir)?;
    match faults.first() {
        Some(fault) => {
            Err(Failure::no(format!("state directory {}: {fault}", state_dir.display()))
                .hint(fault.hint()))
        }
        None => Ok(()),
    }
}

/// Explains why root does not use the state directory that a jobfile names.
pub(super) fn misled(named: &Named) -> Failure {
    let faults: Vec<_> = named.faults.iter().map(Fault::to_string).collect();
    Failure::no(format!(
        "{}; root does not use the state directory that it names, {}",
        faults.join("\n"),
        named.dir.display()
    ))
    .hint("give --state-dir if that directory is right")
}

/// Explains to people why a jobfile is not trusted.
pub(super) fn failure_of(problems: &[Problem]) -> Failure {
    let text: Vec<_> = problems.iter().map(Problem::to_string).collect();
    Failure::no(text.join("\n"))
}
