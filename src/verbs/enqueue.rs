//! Builds an addition from the caller's options and the policy of the job.

use crate::core::job::Job;
use crate::core::run::Cause;
use crate::core::time::Wall;
use crate::store::{Addition, Author, Conditions, OnConflict};

/// The options of whoever adds items.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish<'a> {
    /// Who adds the items.
    pub(crate) author: Author<'a>,
    /// The earliest start; `None` or a time in the past means immediately.
    pub(crate) due_at: Option<Wall>,
    /// When the runs are cancelled if they have not started.
    pub(crate) expires_at: Option<Wall>,
    /// Overrides the job's priority.
    pub(crate) priority: Option<i8>,
    /// The ids of the runs that have to succeed first.
    pub(crate) after: &'a [i64],
    /// What to do with an item whose key another run holds.
    pub(crate) on_conflict: OnConflict,
}

/// The error of items that would expire before their earliest start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpiresTooSoon;

/// Makes the addition.
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
