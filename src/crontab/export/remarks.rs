//! The keys of a job that a crontab cannot express.

use super::{Remarks, mails_output};
use crate::core::job::{ExpectEvery, Job, Leftovers, Overlap, Policy, RetryMax};
use crate::core::schedule::Schedule;

/// Lists the differences from cron.
pub(super) fn policy(job: &Job, remarks: &mut Remarks<'_>) {
    let policy = &*job.policy;
    if !policy.enabled {
        remarks.add("enabled", "false: the line is a comment");
    }
    overlap(job, remarks);
    let default = Policy::default();
    if policy.retry.max != RetryMax::Times(0) {
        remarks.add("retry", "cron does not retry");
    }
    if policy.timeout.is_some() {
        remarks.add("timeout", "cron has no timeout; use timeout(1)");
    }
    if policy.env_file.is_some() {
        remarks.refuse("env_file", "cron cannot read variables from a file");
    }
    if policy.group.is_some() {
        remarks.refuse("group", "cron uses the user's group");
    }
    if policy.mailto.is_some() && !mails_output(job) {
        remarks.add("mail_on", "cron mails all output, not only failures");
    }
    if policy.output_file.is_some() && policy.mailto.is_some() && mails_output(job) {
        remarks.add("output_file", "cron mails no output that goes to a file");
    }
    let differs = places(policy, &default)
        .into_iter()
        .chain(ends(policy, &default))
        .chain(surroundings(policy, &default));
    for (key, _, text) in differs.filter(|(_, differs, _)| *differs) {
        remarks.add(key, text);
    }
    if policy.expect_every != ExpectEvery::Auto {
        remarks.add("expect_every", "cron does not monitor jobs");
    }
    for (key, _) in policy.hooks.given() {
        remarks.add(key, "cron has no hooks, only mail");
    }
}

/// A key, whether it differs from cron, and what cron does.
type Difference = (&'static str, bool, &'static str);

/// The keys about concurrency and order.
fn places(policy: &Policy, default: &Policy) -> [Difference; 6] {
    [
        ("lock", policy.lock != default.lock, "cron has no locks; use flock(1)"),
        ("concurrency", policy.concurrency != 1, "cron has no limit"),
        ("priority", policy.priority != 0, "cron has no priorities"),
        ("rate", policy.rate.is_some(), "cron has no limit"),
        ("backlog_max", policy.backlog_max.is_some(), "cron has no queue"),
        ("enqueue_by", !policy.enqueue_by.is_empty(), "cron has no queue"),
    ]
}

/// The keys about stopping a command and the meaning of its end.
fn ends(policy: &Policy, default: &Policy) -> [Difference; 6] {
    [
        ("stop_signal", policy.stop_signal != default.stop_signal, "cron does not stop commands"),
        ("stop_grace", policy.stop_grace != default.stop_grace, "cron does not stop commands"),
        ("leftovers", policy.leftovers == Leftovers::Kill, "cron leaves them running"),
        ("success_exit", policy.success_exit != default.success_exit, "cron ignores exit codes"),
        ("skip_exit", policy.skip_exit != default.skip_exit, "cron ignores exit codes"),
        ("no_retry_exit", policy.no_retry_exit != default.no_retry_exit, "cron ignores exit codes"),
    ]
}

/// The keys about other starts, inputs and sources of items.
fn surroundings(policy: &Policy, default: &Policy) -> [Difference; 9] {
    [
        (
            "catch_up",
            policy.catch_up != default.catch_up,
            "cron does not catch up; anacron(8) does",
        ),
        ("start_deadline", policy.start_deadline.is_some(), "cron starts on time or not at all"),
        ("jitter", policy.jitter != default.jitter, "cron adds no delay; cronie has RANDOM_DELAY"),
        ("inherit_env", policy.inherit_env == Some(true), "cron does not pass on its environment"),
        (
            "limits",
            policy.limits != default.limits,
            "cron sets no limits; use ulimit or prlimit(1)",
        ),
        ("feeds", policy.feeds.is_some(), "cron has no queue"),
        ("watch", policy.watch.is_some(), "cron does not watch files"),
        ("key", policy.key.is_some(), "cron has no queue"),
        ("expect_within", policy.expect_within.is_some(), "cron does not monitor jobs"),
    ]
}

fn overlap(job: &Job, remarks: &mut Remarks<'_>) {
    let is_repeated = job.schedules.iter().any(|(_, schedule)| *schedule != Schedule::Reboot);
    let text = match job.policy.overlap {
        Overlap::Allow => return,
        Overlap::Skip => {
            "skip: cron starts the command even if it is still running; put `flock -n FILE` \
                 before it"
        }
        Overlap::QueueOne | Overlap::QueueAll => {
            "cron starts the command even if it is still running; put `flock FILE` before it \
                 to make it wait"
        }
        Overlap::Replace => "replace: cron does not stop the earlier one",
    };
    if is_repeated {
        remarks.add("overlap", text);
    }
}
