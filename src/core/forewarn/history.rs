//! What the last weeks say about a timeout and about the room between occurrences.

use std::time::Duration;

use super::pace::gap_below;
use super::{About, Finding};
use crate::core::duration::show_duration;
use crate::core::job::{Job, Overlap};
use crate::core::noun::count;
use crate::core::tally::percentile;

/// Fewer attempts say nothing.
const ATTEMPTS_MIN: usize = 5;

/// The history of a job.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// How long the attempts of runs that succeeded took, sorted.
    pub(crate) successes: Vec<Duration>,
    /// Runs whose newest attempt ran into its timeout.
    pub(crate) timeouts: u64,
    /// Occurrences that were skipped because another run was in the way.
    pub(crate) overlaps: u64,
}

/// Says where history shows a timeout or a schedule to be too tight. `index` is that of the job.
pub(crate) fn look(index: usize, job: &Job, history: &History) -> Vec<Finding> {
    let about = |key| About::Key(index, key);
    let timeout = timeout(job, history).map(|(message, hint)| (about("timeout"), message, hint));
    let overlap =
        overlap(job, history).map(|(message, hint)| (About::Schedule(index, 0), message, hint));
    [timeout, overlap]
        .into_iter()
        .flatten()
        .map(|(about, message, hint)| Finding { about, message, hint: Some(hint) })
        .collect()
}

fn timeout(job: &Job, history: &History) -> Option<(String, String)> {
    let timeout = job.policy.timeout?;
    let longest = *history.successes.last()?;
    let limit = show_duration(timeout);
    let double = longest * 2;
    let double = Duration::from_secs(double.as_secs() + u64::from(double.subsec_nanos() > 0));
    let hint = if double > timeout {
        format!("write `timeout = \"{}\"`, twice the longest success", show_duration(double))
    } else {
        format!("see what they were doing: `jobctl runs --failed {}`", job.name)
    };
    if history.timeouts > 0 {
        let times = count(history.timeouts, "run");
        return Some((
            format!("{times} timed out (limit {limit}); successes take up to {}", show(longest)),
            hint,
        ));
    }
    // A tenth of the time is less than two runs differ by.
    let is_tight = history.successes.len() >= ATTEMPTS_MIN && longest * 10 > timeout * 9;
    is_tight.then(|| {
        (format!("timeout {limit} is tight: successes take up to {}", show(longest)), hint)
    })
}

fn overlap(job: &Job, history: &History) -> Option<(String, String)> {
    let is_skipping = matches!(job.policy.overlap, Overlap::Skip | Overlap::QueueOne);
    if !job.policy.enabled || job.schedules.is_empty() || !is_skipping {
        return None;
    }
    let ms: Vec<i64> = history
        .successes
        .iter()
        .map(|span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
        .collect();
    let slow = percentile(&ms, 95).filter(|_| ms.len() >= ATTEMPTS_MIN)?;
    let slow = Duration::from_millis(u64::try_from(slow).unwrap_or(0));
    let gap = gap_below(job, slow)?;
    let skipped = match history.overlaps {
        0 => String::new(),
        number => format!(", and {} skipped (overlap)", count(number, "occurrence")),
    };
    Some((
        format!(
            "5% of recent attempts took {} or more, longer than the {} between two \
                 occurrences{skipped}",
            show(slow),
            show_duration(gap)
        ),
        "write a wider schedule, or `overlap = \"queue-one\"` if one may wait".to_owned(),
    ))
}

/// Whole seconds, where there are any.
fn show(span: Duration) -> String {
    if span >= Duration::from_secs(10) {
        show_duration(Duration::from_secs(span.as_secs()))
    } else {
        show_duration(Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::job::{CommandLine, Name, Policy};

    #[test]
    fn a_longer_timeout_is_proposed_only_where_it_would_be_longer() {
        for (timeout, longest, message, hint) in [
            (
                8,
                2007,
                "1 run timed out (limit 8s); successes take up to 2s 7ms",
                "see what they were doing: `jobctl runs --failed work`",
            ),
            (
                8,
                7200,
                "1 run timed out (limit 8s); successes take up to 7s 200ms",
                "write `timeout = \"15s\"`, twice the longest success",
            ),
        ] {
            let policy =
                Policy { timeout: Some(Duration::from_secs(timeout)), ..Policy::default() };
            let job = Job {
                name: Name::parse("work").unwrap(),
                command: CommandLine::Shell("true".into()),
                schedules: Box::default(),
                timezone: None,
                policy: policy.into(),
            };
            let successes = vec![Duration::from_millis(longest)];
            let history = History { successes, timeouts: 1, ..History::default() };
            let found = look(0, &job, &history);
            assert_eq!(found[0].message, message);
            assert_eq!(found[0].hint.as_deref(), Some(hint));
        }
    }
}
