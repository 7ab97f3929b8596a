//! `jobctl metrics`: the store's metrics as Prometheus text.

use std::collections::HashMap;

use crate::cmd::{Context, Exit, Failure, Jobs, Out, Result};
use crate::metrics::{self, Outside};

/// Answers `jobctl metrics`.
pub(crate) fn answer(context: &Context, out: &mut Out) -> Result<Exit> {
    if out.is_json {
        return Err(Failure::usage("metrics: the output is Prometheus text, not JSON")
            .hint("use `jobctl stats --json` or `jobctl status --json`"));
    }
    let is_up = context.is_supervised()?;
    let Some(store) = context.open_read()? else {
        out.text(&metrics::text_without_store(is_up))?;
        return Ok(Exit::Done);
    };
    let mut outside = Outside { is_up, now: context.now.wall, next: HashMap::new() };
    // If the jobfile cannot be loaded, only the next runs are missing; the other metrics are then
    // even more important.
    if let Ok(jobs) = Jobs::load(context, Some(&store)) {
        outside.next = jobs.all_coming(&store.jobs()?, context.now.wall);
    }
    out.text(&metrics::text(&store, &outside)?)?;
    Ok(Exit::Done)
}
