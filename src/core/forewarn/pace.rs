//! Attempts and retries that take longer than the time to the next occurrence.

use std::time::Duration;

use super::{About, Finding, Subject, count};
use crate::core::duration::show_duration;
use crate::core::job::{Job, OnNext, Overlap, Retry, RetryMax};
use crate::core::schedule::{Schedule, Zone};
use crate::core::time::Wall;

/// Occurrences of several schedules that are merged to find two that are close.
const MERGED: usize = 400;

/// A point to merge schedules from: 2027-01-01 in UTC.
const ANY_YEAR_SECS: i64 = 20_819 * 86_400;

/// Retries that are added up one by one; what goes on longer has a delay that no longer grows.
const RETRIES_ADDED: u32 = 1000;

/// Says what a timeout and retries that are too long for the schedule will lead to.
pub(super) fn look(subject: &Subject<'_>) -> Vec<Finding> {
    let job = subject.job;
    if !job.policy.enabled {
        return Vec::new();
    }
    let at = |key, (message, hint): super::Words| Finding {
        about: About::Key(subject.index, key),
        message,
        hint: Some(hint),
    };
    let by_timeout = timeout(job);
    let by_retry = retries(job, by_timeout.is_some());
    [by_timeout.map(|words| at("timeout", words)), by_retry.map(|words| at("retry", words))]
        .into_iter()
        .flatten()
        .collect()
}

fn timeout(job: &Job) -> Option<super::Words> {
    let timeout = job.policy.timeout?;
    let gap = gap_below(job, timeout)?;
    // With more places, occurrences start beside the attempt that takes so long.
    let places =
        if job.policy.overlap == Overlap::Allow { 1 } else { u64::from(job.policy.concurrency) };
    let meanwhile = u64::try_from((timeout.as_millis() - 1) / gap.as_millis().max(1)).ok()?;
    if meanwhile < places {
        return None;
    }
    let (held, each) = (show_duration(timeout), show_duration(gap));
    let due = match meanwhile {
        1 => "up to 1 occurrence falls due".to_owned(),
        many => format!("up to {many} occurrences fall due"),
    };
    let consequence = match job.policy.overlap {
        Overlap::Skip => format!(
            "{due} in that time, and those beyond `concurrency` are skipped \
                 (overlap)"
        ),
        Overlap::QueueOne => {
            format!("{due} in that time: one waits, the others are skipped (overlap)")
        }
        Overlap::QueueAll => {
            format!("{due} in that time and wait, so the queue may grow without limit")
        }
        Overlap::Replace => "the next occurrence replaces the run before it times out".to_owned(),
        Overlap::Allow => format!("up to {} may run at once", count(meanwhile + 1, "run")),
    };
    let message =
        format!("timeout {held} is longer than the {each} between two occurrences: {consequence}");
    Some((message, format!("write a timeout of at most {each}, or a wider schedule")))
}

fn retries(job: &Job, is_timeout_said: bool) -> Option<super::Words> {
    let retry = &job.policy.retry;
    if retry.max == RetryMax::Times(0) {
        return None;
    }
    let delays = total(retry, None);
    let attempts = job.policy.timeout.filter(|_| !is_timeout_said);
    let whole = total(retry, attempts);
    let gap = match whole {
        Some(whole) => gap_below(job, whole)?,
        None => gap_below(job, Duration::MAX)?,
    };
    let each = show_duration(gap);
    let takes = match (retry.max, whole) {
        (RetryMax::Unlimited, None) => "retries without a limit never end".to_owned(),
        (RetryMax::Unlimited, Some(whole)) => {
            format!("retries go on for up to {}", show_duration(whole))
        }
        (RetryMax::Times(times), whole) => format!(
            "{} take up to {}{}",
            retries_noun(times),
            whole.map_or_else(|| "years".to_owned(), show_duration),
            if delays.is_some_and(|delays| delays <= gap) {
                " with the timeout of each attempt"
            } else {
                ""
            }
        ),
    };
    let consequence = match retry.on_next {
        OnNext::Supersede => "it ends a run that is still retrying as failed (superseded)",
        OnNext::Keep => "runs of several occurrences are then retried side by side",
    };
    // The last attempt may begin as late as that, and then take its time.
    let limit = show_duration(gap.saturating_sub(attempts.unwrap_or(Duration::ZERO)));
    Some((
        format!("{takes}, while the next occurrence may come after {each}: {consequence}"),
        format!(
            "write `give_up_after = \"{limit}\"`, a smaller `max` or `max_delay`, or a wider \
                 schedule"
        ),
    ))
}

fn retries_noun(times: u32) -> String {
    if times == 1 { "1 retry may".to_owned() } else { format!("{times} retries") }
}

/// The longest that a run may take from its first start, as far as delays and timeouts say; none:
/// without end.
fn total(retry: &Retry, timeout: Option<Duration>) -> Option<Duration> {
    let attempt = timeout.unwrap_or(Duration::ZERO);
    let bound = retry.give_up_after.map(|limit| limit.saturating_add(attempt));
    let RetryMax::Times(times) = retry.max else {
        return bound;
    };
    let added = times.min(RETRIES_ADDED);
    let delays: Duration = (1..=added)
        .map(|nth| retry.delay_after(nth, 0))
        .fold(Duration::ZERO, Duration::saturating_add);
    let rest = retry.delay_after(added.max(1), 0).saturating_mul(times - added);
    let whole =
        delays.saturating_add(rest).saturating_add(attempt.saturating_mul(times.saturating_add(1)));
    Some(bound.map_or(whole, |bound| bound.min(whole)))
}

/// The shortest time between two occurrences of the job on an ordinary day, if it is shorter than
/// `limit`.
pub(super) fn gap_below(job: &Job, limit: Duration) -> Option<Duration> {
    let own = job.schedules.iter().filter_map(|(_, schedule)| match schedule {
        Schedule::Calendar(calendar) => calendar.gap_below(limit),
        Schedule::Every(period) => Some(*period).filter(|period| *period < limit),
        Schedule::Reboot => None,
    });
    let between = (job.schedules.len() > 1).then(|| merged_gap(job)).flatten();
    own.chain(between.filter(|gap| *gap < limit)).min()
}

/// The shortest time between occurrences of several schedules, over the first few hundred of a
/// year.
fn merged_gap(job: &Job) -> Option<Duration> {
    let zone = Zone { name: "UTC".into(), offset_first_secs: 0, transitions: Box::default() };
    let next = |after: Wall| {
        let schedules = super::calendars(job);
        let all = schedules.filter_map(|(_, _, calendar)| calendar.next(&zone, after));
        all.map(|occurrence| occurrence.at).min()
    };
    let mut before = next(Wall::from_secs(ANY_YEAR_SECS))?;
    let mut shortest = None;
    for _ in 0..MERGED {
        let Some(at) = next(before) else { break };
        let gap = at.since(before);
        shortest = Some(shortest.map_or(gap, |shortest: Duration| shortest.min(gap)));
        before = at;
    }
    shortest
}
