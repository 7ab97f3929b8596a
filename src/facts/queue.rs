//! How far a queue has come, and how long it still takes at its present pace. A queue is a job
//! without a schedule.

use std::time::Duration;

use super::overview::{JobStatus, Sources};
use crate::store::{Pace, StoreError};

/// How far back the pace is measured.
const PACE_WINDOW: Duration = Duration::from_secs(600);

/// A queue that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Runs that ended since the queue was last empty; none where the store does not know.
    pub(crate) done: Option<i64>,
    /// Runs that have not ended.
    pub(crate) left: i64,
    /// How fast it was lately; none if nothing ended lately, or nothing may start now.
    pub(crate) rate: Option<Rate>,
}

/// How fast runs of a queue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// So many.
    pub(crate) ended: i64,
    /// In so many milliseconds, at least one.
    pub(crate) in_ms: i64,
    /// How long those take at this rate that need not wait for a time, in milliseconds.
    pub(crate) left_ms: i64,
}

impl Progress {
    /// Reads it; none if the job is no queue, or if its queue is empty.
    pub(super) fn read(
        from: &Sources<'_>,
        status: &JobStatus<'_>,
    ) -> Result<Option<Self>, StoreError> {
        let (Some(store), Some(job), Some(row)) = (from.store, status.job, status.row) else {
            return Ok(None);
        };
        let startable = row.queued + row.running + row.retrying;
        let left = startable + row.scheduled;
        if left == 0 || !job.schedules.is_empty() {
            return Ok(None);
        }
        let may_start = from.overview.supervisor.starts() && !status.paused;
        let pace = match row.last_run.filter(|_| may_start) {
            Some(last_run) => store.pace(row.id, last_run, from.now - PACE_WINDOW)?,
            None => None,
        };
        let rate = pace.map(|Pace { ended, since }| {
            let in_ms = (from.now.ms() - since.ms()).max(1);
            Rate { ended, in_ms, left_ms: startable.saturating_mul(in_ms) / ended.max(1) }
        });
        Ok(Some(Self { done: store.ended_since_empty(row.id)?, left, rate }))
    }
}
