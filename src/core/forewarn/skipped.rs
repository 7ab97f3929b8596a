//! Jobs that run once a day or less, and of which a downtime takes a run.

use std::time::Duration;

use super::{About, Finding, names, pace};
use crate::core::job::{CatchUp, ExpectEvery, Job};

/// Occurrences that are closer make up for each other.
const FAR: Duration = Duration::from_secs(20 * 3600);

/// Returns one finding for all of them.
pub(super) fn look(jobs: &[Job]) -> Option<Finding> {
    let is_rare = |job: &&Job| {
        let policy = &job.policy;
        policy.enabled
            && policy.catch_up == CatchUp::None
            && policy.expect_every == ExpectEvery::Auto
            && super::calendars(job).count() == job.schedules.len()
            && !job.schedules.is_empty()
            && pace::gap_below(job, FAR).is_none()
    };
    let rare: Vec<&Job> = jobs.iter().filter(is_rare).collect();
    if rare.is_empty() {
        return None;
    }
    let message = format!(
        "a run that falls into a downtime is skipped, and the next is a day or more later: {}",
        names(rare.iter().copied()),
    );
    let hint = "write `catch_up = \"last\"` to run it after the downtime, or `expect_every` to be \
         alerted";
    Some(Finding { about: About::File, message, hint: Some(hint.to_owned()) })
}
