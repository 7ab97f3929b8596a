//! `jobctl __complete`: words for a shell's completion, one a line. Whatever is wrong, it stays
//! silent: somebody is typing.

use crate::cli::{self, Words};
use crate::cmd::{Context, Exit, Out, Result};
use crate::facts::jobs::with_environment;
use crate::jobfile;
use crate::store::{Filter, Store};

/// So many runs are offered.
const RUNS_MAX: u32 = 50;

/// Answers `jobctl __complete`.
pub(crate) fn answer(context: &Context, args: &cli::Complete, out: &mut Out) -> Result<Exit> {
    let store = context.open_read().ok().flatten();
    let words = match args.what {
        Words::Jobs => jobs(context, store.as_ref()),
        Words::Runs => runs(store.as_ref()),
    };
    for word in words {
        out.line(word)?;
    }
    Ok(Exit::Done)
}

/// Names of the jobfile, else those the store knows.
fn jobs(context: &Context, store: Option<&Store>) -> Vec<String> {
    let path = context.jobfile().ok();
    let loaded = path.and_then(|path| with_environment(|env| jobfile::load(&path, env)).ok());
    match (loaded, store) {
        (Some(jobs), _) => jobs.jobs.iter().map(|job| job.name.to_string()).collect(),
        (None, Some(store)) => {
            let jobs = store.jobs().unwrap_or_default();
            jobs.into_iter().map(|job| job.name).collect()
        }
        (None, None) => Vec::new(),
    }
}

/// Ids of the newest runs.
fn runs(store: Option<&Store>) -> Vec<String> {
    let newest = |store: &Store| store.runs(&Filter::default(), Some(RUNS_MAX)).ok();
    let runs = store.and_then(newest).unwrap_or_default();
    runs.iter().map(|run| run.id.to_string()).collect()
}
