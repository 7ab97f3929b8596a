//! The progress of a queue and the time left at its present rate. A queue is a job without a
//! schedule.

use std::time::Duration;

use super::overview::{JobStatus, Sources};
use crate::store::{Pace, StoreError};

/// The time over which the rate is measured.
const PACE_WINDOW: Duration = Duration::from_secs(600);

/// The progress of a queue that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Runs that ended since the queue was last empty; `None` if the store does not know.
    pub(crate) done: Option<i64>,
    /// Runs that have not ended.
    pub(crate) left: i64,
    /// The recent rate; `None` if no run ended recently or none may start now.
    pub(crate) rate: Option<Rate>,
}

/// The rate at which runs of a queue end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// The number of runs that ended.
    pub(crate) ended: i64,
    /// The measured time in milliseconds, at least one.
    pub(crate) in_ms: i64,
    /// The time left, in milliseconds, for the runs that do not wait for a later start.
    pub(crate) left_ms: i64,
}

impl Progress {
    /// Reads the progress; `None` if the job is not a queue or its queue is empty.
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
        let may_start = startable > 0 && from.overview.supervisor.starts() && !status.paused;
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
