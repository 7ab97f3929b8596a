//! `jobctl prune`: removes now what the supervisor removes little by little.

use serde_json::json;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::jobs::Jobs;
use super::output::Out;
use crate::core::job::Keep;
use crate::core::noun::count;
use crate::os::wake;
use crate::store::{JobRow, PruneLimits, Store, StoreError};

/// Answers `jobctl prune`.
pub(crate) fn answer(context: &Context, out: &mut Out) -> Result<Exit, Failure> {
    let state_dir = context.state_dir()?;
    let mut store = match Store::open_write(state_dir) {
        Ok(store) => store,
        Err(StoreError::Missing(_)) => {
            return say(context, &Removed::default(), out);
        }
        Err(error) => return Err(error.into()),
    };
    let jobs = Jobs::load(context, Some(&store))?;
    let mut removed = Removed::default();
    for row in store.jobs()? {
        // Jobs that are gone keep theirs as those that say nothing.
        let keep = jobs
            .today(&row.name)
            .map_or_else(Keep::default, |job| job.policy.keep.clone());
        let limits = PruneLimits::of(&keep, context.now.wall);
        removed.add(prune_job(&mut store, &row, &limits)?);
    }
    let _ = wake::ring(state_dir);
    say(context, &removed, out)
}

/// What went.
#[derive(Clone, Copy, Debug, Default)]
struct Removed {
    runs: u64,
    output_bytes: i64,
}

impl Removed {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.output_bytes += other.output_bytes;
    }
}

/// Batch by batch, so that a supervisor beside this never waits for long.
fn prune_job(store: &mut Store, row: &JobRow, limits: &PruneLimits) -> Result<Removed, Failure> {
    let mut removed = Removed::default();
    let mut cursor = 0;
    loop {
        let pruned = store.together(|store| {
            let pruned = store.prune(row.id, cursor, limits)?;
            let bytes = store.output_bytes()? - pruned.output_bytes;
            if pruned.output_bytes != 0 {
                store.set_meta("output_bytes", Some(&bytes))?;
            }
            Ok::<_, StoreError>(pruned)
        })?;
        for file in &pruned.files {
            // One that cannot go costs its room and nothing else.
            let _ = std::fs::remove_file(file);
        }
        removed.add(Removed {
            runs: pruned.runs,
            output_bytes: pruned.output_bytes,
        });
        match pruned.cursor {
            Some(next) => cursor = next,
            None => return Ok(removed),
        }
    }
}

fn say(context: &Context, removed: &Removed, out: &mut Out) -> Result<Exit, Failure> {
    let Removed { runs, output_bytes } = *removed;
    if context.global.json {
        out.json(&json!({ "removed": runs, "output_bytes": output_bytes }))?;
    } else if !context.global.quiet {
        out.line(format!(
            "{} removed, with {} of output",
            count(runs, "run"),
            super::show::size(output_bytes)
        ))?;
    }
    Ok(Exit::Done)
}
