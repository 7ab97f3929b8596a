//! Whose files a jobfile is read from (jobctl.toml(5), "Trust"): `run` refuses what others than
//! root could change, `check` warns of it, and every other command reads it as it is, but goes to
//! no state directory because of it, and writes in none that others lead it to.

use std::path::Path;

use crate::cmd::state_key::Named;
use crate::cmd::{Failure, InFile, Result};
use crate::facts::trust::problem;
use crate::jobfile::Problem;
use crate::os::trust::{self, Fault};

/// Refuses a jobfile that others than root could change, before anything is made because of it.
pub(super) fn refuse(path: &Path) -> Result<()> {
    // What cannot be opened is told by whoever reads it.
    let faults = trust::open(path).map_or_else(|_| Vec::new(), |opened| opened.faults);
    if faults.is_empty() {
        return Ok(());
    }
    let problems: Vec<_> = faults.iter().map(problem).collect();
    Err(failure_of(&problems))
}

/// Refuses a state directory to which others could lead root another way.
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

/// Why root does not go to the state directory that a jobfile names.
pub(super) fn misled(named: &Named) -> Failure {
    let faults: Vec<_> = named.faults.iter().map(Fault::to_string).collect();
    Failure::no(format!(
        "{}; root does not use the state directory that it names, {}",
        faults.join("\n"),
        named.dir.display()
    ))
    .hint("give --state-dir if that directory is right")
}

/// Why a jobfile is not to be trusted, for people.
pub(super) fn failure_of(problems: &[Problem]) -> Failure {
    let text: Vec<_> = problems.iter().map(Problem::to_string).collect();
    Failure::no(text.join("\n"))
}
