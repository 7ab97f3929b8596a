//! Jobs whose failure nobody would be told of.

use super::{About, Finding, count, names};
use crate::core::job::Job;

/// Returns one finding for all of them.
pub(super) fn look(jobs: &[Job]) -> Option<Finding> {
    let is_unheard = |job: &&Job| {
        let policy = &job.policy;
        policy.enabled && policy.hooks.on_failure.is_none() && policy.mailto.is_none()
    };
    let unheard: Vec<&Job> = jobs.iter().filter(is_unheard).collect();
    if unheard.is_empty() {
        return None;
    }
    let have = if unheard.len() == 1 { "has" } else { "have" };
    let message = format!(
        "no alert for failures of {}: {} {have} neither `on_failure` nor `mailto`",
        count(unheard.len() as u64, "job"),
        names(unheard.iter().copied()),
    );
    let hint = "write `on_failure` or `mailto` under [defaults], or let your monitoring run `jobctl \
         status --quiet` (exit code 1: unacknowledged failures, or late)";
    Some(Finding { about: About::File, message, hint: Some(hint.to_owned()) })
}
