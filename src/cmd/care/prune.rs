//! `jobctl prune`: removes immediately what the supervisor removes gradually.

use serde_json::json;

use crate::cmd::{Context, Exit, Jobs, Out, Result};
use crate::core::job::Keep;
use crate::core::noun::{count, size};
use crate::os::wake;
use crate::store::{PruneLimits, Pruned, Store, StoreError};
use crate::verbs::portions::PORTIONS;

/// Rows that one step looks at: few milliseconds, however much output they have.
const PRUNED_AT_ONCE: u32 = 50;

/// Answers `jobctl prune`.
pub(crate) fn answer(context: &Context, out: &mut Out) -> Result<Exit> {
    let state_dir = context.state_dir_to_write()?;
    let mut store = match Store::open_write(state_dir) {
        Ok(store) => store,
        Err(StoreError::Missing(_)) => {
            return say(context, &Removed::default(), out);
        }
        Err(error) => return Err(error.into()),
    };
    let jobs = Jobs::load(context, Some(&store))?;
    let limits = store.jobs()?.into_iter().map(|row| {
        // Removed jobs have the default retention.
        let keep = jobs.today(&row.name).map_or_else(Keep::default, |job| job.policy.keep.clone());
        (row.id, PruneLimits::of(&keep, context.now.wall))
    });
    let mut removed = Removed::default();
    let pruned = prune_jobs(&mut store, limits.collect(), &mut removed);
    let _ = wake::ring(state_dir);
    let done = u32::try_from(removed.runs).unwrap_or(u32::MAX);
    pruned.map_err(|failure| failure.after(done))?;
    say(context, &removed, out)
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default)]
struct Removed {
    runs: u64,
    output_bytes: i64,
}

impl Removed {
    fn add(&mut self, pruned: &Pruned) {
        self.runs += pruned.runs;
        self.output_bytes += pruned.output_bytes;
    }
}

/// Removes expired runs of some jobs.
fn prune_jobs(
    store: &mut Store,
    jobs: Vec<(i64, PruneLimits)>,
    removed: &mut Removed,
) -> Result<()> {
    let mut jobs = jobs.into_iter();
    let mut under_way = jobs.next().map(|job| (job, 0));
    let step = |store: &mut Store| {
        let Some(((job_id, limits), cursor)) = under_way.take() else {
            return Ok(None);
        };
        let pruned = store.prune(job_id, cursor, PRUNED_AT_ONCE, &limits)?;
        if pruned.output_bytes != 0 {
            let bytes = store.output_bytes()? - pruned.output_bytes;
            store.set_meta("output_bytes", Some(&bytes))?;
        }
        under_way = match pruned.cursor {
            Some(cursor) => Some(((job_id, limits), cursor)),
            None => jobs.next().map(|job| (job, 0)),
        };
        Ok(Some((pruned, 0)))
    };
    PORTIONS.each(store, step, |pruned| {
        for file in &pruned.files {
            // A file that cannot be removed only takes up space.
            let _ = std::fs::remove_file(file);
        }
        removed.add(&pruned);
        Ok(())
    })
}

fn say(context: &Context, removed: &Removed, out: &mut Out) -> Result<Exit> {
    let Removed { runs, output_bytes } = *removed;
    out.answer(&json!({ "removed": runs, "output_bytes": output_bytes }), |out| {
        let (runs, size) = (count(runs, "run"), size(output_bytes));
        match context.global.quiet {
            true => Ok(()),
            false => out.line(format!("{runs} removed, with {size} of output")),
        }
    })
}
