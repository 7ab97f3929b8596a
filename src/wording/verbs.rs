//! What verbs have done with a run, in a sentence.

use crate::store::RunRow;

/// It waited.
pub(crate) fn cancelled(run: &RunRow) -> String {
    format!("run {} ({}) is cancelled", run.id, run.job)
}

/// It runs, and the supervisor stops it.
pub(crate) fn stopping(run: &RunRow) -> String {
    format!("stopping run {} ({})", run.id, run.job)
}

/// It failed, and somebody knows.
pub(crate) fn acknowledged(run: &RunRow) -> String {
    format!("run {} ({}) is acknowledged", run.id, run.job)
}

/// It runs again.
pub(crate) fn queued_again(run: &RunRow) -> String {
    format!("run {} ({}) is queued again", run.id, run.job)
}
