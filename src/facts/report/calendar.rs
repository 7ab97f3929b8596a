//! The results of a job's runs on each day of the last year, in the viewer's time zone.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveDate;
use serde::{Serialize, Serializer};

use crate::core::local::local;
use crate::core::run::State;
use crate::core::schedule::Zone;
use crate::core::time::Wall;
use crate::store::PastRun;

/// The number of days: 53 weeks.
const DAYS: u32 = 53 * 7;

/// A day on which runs ended.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Day {
    /// The date.
    #[serde(serialize_with = "as_text")]
    pub(crate) date: NaiveDate,
    /// Runs that succeeded.
    pub(crate) succeeded: i64,
    /// Runs that failed.
    pub(crate) failed: i64,
}

fn as_text<S: Serializer>(date: &NaiveDate, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(date)
}

/// Returns where the year begins.
pub(super) fn begin(now: Wall) -> Wall {
    now - Duration::from_secs(u64::from(DAYS) * 86_400)
}

/// Returns the days on which runs succeeded or failed, oldest first.
pub(super) fn days(runs: &[PastRun], zone: &Zone, now: Wall) -> Vec<Day> {
    let begin = begin(now);
    let mut found: BTreeMap<NaiveDate, (i64, i64)> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.ended_at >= begin) {
        let (succeeded, failed) = match run.state {
            State::Succeeded => (1, 0),
            State::Failed => (0, 1),
            State::Scheduled
            | State::Queued
            | State::Running
            | State::Retrying
            | State::Skipped
            | State::Cancelled => continue,
        };
        if let Some(time) = local(zone, run.ended_at) {
            let day = found.entry(time.date()).or_default();
            day.0 += succeeded;
            day.1 += failed;
        }
    }
    let day = |(date, (succeeded, failed))| Day { date, succeeded, failed };
    found.into_iter().map(day).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::ended;
    use super::*;

    #[test]
    fn a_day_is_one_of_the_viewers_clock() {
        let zone = crate::os::zone::load("Europe/Berlin").unwrap();
        // 2026-07-26T22:00:00Z is midnight in Berlin.
        let midnight = 1_785_103_200;
        let runs = [
            ended(State::Succeeded, midnight, 1),
            ended(State::Failed, midnight - 1, 1),
            ended(State::Succeeded, midnight - 2, 1),
            ended(State::Skipped, midnight + 86_400, 1),
        ];
        let days = days(&runs, &zone, Wall::from_secs(midnight + 90_000));
        let found: Vec<_> =
            days.iter().map(|day| (day.date.to_string(), day.succeeded, day.failed)).collect();
        assert_eq!(found, [("2026-07-26".into(), 1, 1), ("2026-07-27".into(), 1, 0)]);
    }
}
