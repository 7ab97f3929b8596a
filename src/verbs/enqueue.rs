//! What an addition is, by the wish of who adds and the policy of the job.

use crate::core::job::Job;
use crate::core::run::Cause;
use crate::core::time::Wall;
use crate::store::{Addition, Author, Conditions, OnConflict};

/// What somebody who adds items may ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish<'a> {
    /// Who adds them.
    pub(crate) author: Author<'a>,
    /// When they may start; none, and what is past: at once.
    pub(crate) due_at: Option<Wall>,
    /// Cancelled if not started before.
    pub(crate) expires_at: Option<Wall>,
    /// Instead of the job's priority.
    pub(crate) priority: Option<i8>,
    /// The runs they wait for.
    pub(crate) after: &'a [i64],
    /// What happens to an item whose key is held.
    pub(crate) on_conflict: OnConflict,
}

/// They would have to be started before they may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpiresTooSoon;

/// The addition that is meant.
pub(crate) fn addition<'a>(
    job: &'a Job,
    wish: &Wish<'a>,
    now: Wall,
) -> Result<Addition<'a>, ExpiresTooSoon> {
    let due_at = wish.due_at.map_or(now, |at| at.max(now));
    if wish.expires_at.is_some_and(|at| at <= due_at) {
        return Err(ExpiresTooSoon);
    }
    Ok(Addition {
        job: job.name.as_str(),
        due_at,
        priority: wish.priority.unwrap_or(job.policy.priority),
        max_attempts: job.policy.attempts_max(),
        backlog_max: job.policy.backlog_max,
        cause: Cause::Enqueue,
        created_at: now,
        conditions: Conditions {
            author: wish.author,
            expires_at: wish.expires_at,
            after: wish.after,
            on_conflict: wish.on_conflict,
            key_held_since: job.policy.key_held_since(now),
        },
    })
}
