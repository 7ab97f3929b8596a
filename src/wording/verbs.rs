//! Sentences about what a verb has done to a run.

use crate::store::RunRow;

/// Cancelled a waiting run.
pub(crate) fn cancelled(run: &RunRow) -> String {
    format!("run {} ({}) is cancelled", run.id, run.job)
}

/// Asked the supervisor to stop a running run.
pub(crate) fn stopping(run: &RunRow) -> String {
    format!("stopping run {} ({})", run.id, run.job)
}

/// Acknowledged a failed run.
pub(crate) fn acknowledged(run: &RunRow) -> String {
    format!("run {} ({}) is acknowledged", run.id, run.job)
}

/// Scheduled a run again.
pub(crate) fn scheduled_again(run: &RunRow, at: &str) -> String {
    format!("run {} ({}) is scheduled for {at}", run.id, run.job)
}

/// Queued a run again.
pub(crate) fn queued_again(run: &RunRow) -> String {
    format!("run {} ({}) is queued again", run.id, run.job)
}
