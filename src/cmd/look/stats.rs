//! `jobctl stats`: how often jobs succeed and how long they take.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDateTime, NaiveTime, Timelike};
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::cli;
use crate::cmd::when;
use crate::cmd::{Cell, Context, Exit, Out, Result, Style, Table, Toward, Viewer};
use crate::core::run::State;
use crate::core::tally::percentile;
use crate::core::time::Wall;
use crate::store::{JobRow, PastRun, Store};

/// Newest runs of a job that are looked at; a job keeps no more unless it is told to.
const RUNS_MAX: u32 = 100_000;

/// How far it looks back where nothing is said.
const SINCE: &str = "7d";

/// Answers `jobctl stats`.
pub(crate) fn answer(context: &Context, args: &cli::Stats, out: &mut Out) -> Result<Exit> {
    let viewer = context.viewer();
    let since = viewer.parse(args.since.as_deref().unwrap_or(SINCE), Toward::Past)?;
    let store = context.open_read()?;
    if let Some(name) = &args.job {
        crate::cmd::look::runs::check_job(context, store.as_ref(), name)?;
    }
    let Some(store) = store else {
        context.say("there are no runs yet");
        return Ok(Exit::Done);
    };
    let lines = lines(&store, args, since, &viewer)?;
    if lines.is_empty() {
        context.say("no run has ended in that time");
        return Ok(Exit::Done);
    }
    out.answers(&lines, |out| print(&lines, args.by.is_some(), out))?;
    Ok(Exit::Done)
}

/// The numbers of a job, in a period or in all.
#[derive(Debug)]
struct Line {
    job: String,
    /// When the period begins, and how it is called.
    period: Option<(Wall, String)>,
    numbers: Numbers,
}

/// What is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Ended runs.
    pub(super) runs: i64,
    succeeded: i64,
    failed: i64,
    skipped: i64,
    cancelled: i64,
    retries: i64,
    /// Of the newest attempts, in milliseconds.
    durations: Vec<i64>,
}

impl Numbers {
    /// Counts a run.
    pub(super) fn add(&mut self, run: &PastRun) {
        self.runs += run.count;
        match run.state {
            State::Succeeded => self.succeeded += 1,
            State::Failed => self.failed += 1,
            State::Skipped => self.skipped += run.count,
            State::Cancelled => self.cancelled += 1,
            State::Scheduled | State::Queued | State::Running | State::Retrying => {}
        }
        self.retries += i64::from(run.attempt.saturating_sub(1));
        self.durations.extend(run.duration_ms.filter(|_| run.attempt > 0));
    }

    fn sorted(mut self) -> Self {
        self.durations.sort_unstable();
        self
    }

    /// Of a hundred runs that came to an end, how many succeeded, in tenths.
    fn permille(&self) -> Option<i64> {
        let all = self.succeeded + self.failed;
        (all > 0).then(|| self.succeeded * 1000 / all)
    }

    fn share(&self, percent: usize) -> Option<i64> {
        percentile(&self.durations, percent)
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let numbers = &self.numbers;
        let object = json!({
            "job": self.job,
            "from": self.period.as_ref().map(|(at, _)| *at),
            "runs": numbers.runs,
            "succeeded": numbers.succeeded,
            "failed": numbers.failed,
            "skipped": numbers.skipped,
            "cancelled": numbers.cancelled,
            "retries": numbers.retries,
            "success_rate": numbers.permille().map(|permille| permille as f64 / 1000.0),
            "p50_ms": numbers.share(50),
            "p95_ms": numbers.share(95),
            "max_ms": numbers.share(100),
        });
        object.serialize(to)
    }
}

fn lines(store: &Store, args: &cli::Stats, since: Wall, viewer: &Viewer) -> Result<Vec<Line>> {
    let is_asked = |row: &JobRow| args.job.as_ref().is_none_or(|name| *name == row.name);
    let mut lines = Vec::new();
    for row in store.jobs()?.into_iter().filter(is_asked) {
        let mut periods: BTreeMap<Option<Wall>, Numbers> = BTreeMap::new();
        for run in store.past_runs(row.id, since, RUNS_MAX)? {
            let period = args.by.map(|by| begin_of(by, run.ended_at, viewer));
            periods.entry(period).or_default().add(&run);
        }
        lines.extend(periods.into_iter().map(|(period, numbers)| Line {
            job: row.name.clone(),
            period: period.zip(args.by).map(|(at, by)| (at, name_of(by, at, viewer))),
            numbers: numbers.sorted(),
        }));
    }
    Ok(lines)
}

/// When the period begins that a time is in, by the viewer's clock.
fn begin_of(by: cli::Period, at: Wall, viewer: &Viewer) -> Wall {
    let Some(local) = viewer.local(at) else {
        return at;
    };
    let date = local.date();
    let begin: NaiveDateTime = match by {
        cli::Period::Hour => {
            let hour = NaiveTime::from_hms_opt(local.hour(), 0, 0).unwrap_or_default();
            // The hour that comes twice is one.
            date.and_time(hour)
        }
        cli::Period::Day => date.and_time(NaiveTime::MIN),
        cli::Period::Week => {
            let days = u64::from(date.weekday().num_days_from_monday());
            let monday = date.checked_sub_days(chrono::Days::new(days));
            monday.unwrap_or(date).and_time(NaiveTime::MIN)
        }
        cli::Period::Month => date.with_day(1).unwrap_or(date).and_time(NaiveTime::MIN),
    };
    viewer.at_local(begin)
}

fn name_of(by: cli::Period, at: Wall, viewer: &Viewer) -> String {
    let text = viewer.show(at);
    let len = match by {
        cli::Period::Hour => "2026-07-26 12:00".len(),
        cli::Period::Day | cli::Period::Week => "2026-07-26".len(),
        cli::Period::Month => "2026-07".len(),
    };
    text.get(..len).unwrap_or(&text).to_owned()
}

fn print(lines: &[Line], has_periods: bool, out: &mut Out) -> Result<()> {
    let number = |count: i64| Cell::maybe((count != 0).then_some(count));
    let period = |line: &Line| Some(line.period.as_ref().filter(|_| has_periods)?.1.clone());
    let rate = |line: &Line| {
        line.numbers.permille().map(|permille| format!("{}.{} %", permille / 10, permille % 10))
    };
    let span = |line: &Line, percent| Cell::maybe(line.numbers.share(percent).map(when::span));
    let bad = |count: i64| match count {
        0 => "".into(),
        count => Cell::styled(Style::Bad, count.to_string()),
    };
    let table = Table::of(lines)
        .flexible("JOB", |line| line.job.as_str().into())
        .firm("FROM", |line| Cell::maybe(period(line)))
        .right("RUNS", |line| line.numbers.runs.to_string().into())
        .right("OK", |line| number(line.numbers.succeeded))
        .right("FAILED", |line| bad(line.numbers.failed))
        .right("SKIPPED", |line| number(line.numbers.skipped))
        .right("CANCELLED", |line| number(line.numbers.cancelled))
        .right("SUCCESS", |line| Cell::maybe(rate(line)))
        .right("RETRIES", |line| number(line.numbers.retries))
        .right("P50", |line| span(line, 50))
        .right("P95", |line| span(line, 95))
        .right("MAX", |line| span(line, 100));
    table.print(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::Cause;

    fn viewer(zone: &str) -> Viewer {
        Viewer { zone: crate::os::zone::load(zone).unwrap(), now: Wall::from_secs(1_785_067_200) }
    }

    fn run(state: State, attempt: u32, duration_ms: Option<i64>) -> PastRun {
        PastRun {
            state,
            reason: None,
            cause: Cause::Schedule,
            count: if state == State::Skipped { 3 } else { 1 },
            ended_at: Wall::from_secs(0),
            attempt,
            duration_ms,
            has_timed_out: false,
        }
    }

    #[test]
    fn runs_are_counted_once_and_skipped_ones_do_not_lower_the_rate() {
        let mut numbers = Numbers::default();
        for run in [
            run(State::Succeeded, 1, Some(100)),
            run(State::Succeeded, 3, Some(300)),
            run(State::Failed, 2, Some(200)),
            run(State::Skipped, 0, None),
        ] {
            numbers.add(&run);
        }
        let numbers = numbers.sorted();
        assert_eq!((numbers.runs, numbers.retries), (6, 3));
        assert_eq!(numbers.permille(), Some(666));
        assert_eq!(
            (numbers.share(50), numbers.share(95), numbers.share(100)),
            (Some(200), Some(300), Some(300))
        );
        assert_eq!(Numbers::default().permille(), None);
    }

    #[test]
    fn a_period_begins_by_the_viewers_clock() {
        // Sunday, 2026-07-26 14:00 in Berlin.
        let at = Wall::from_secs(1_785_067_200);
        let viewer = viewer("Europe/Berlin");
        let name = |by| name_of(by, begin_of(by, at, &viewer), &viewer);
        assert_eq!(name(cli::Period::Hour), "2026-07-26 14:00");
        assert_eq!(name(cli::Period::Day), "2026-07-26");
        assert_eq!(name(cli::Period::Week), "2026-07-20");
        assert_eq!(name(cli::Period::Month), "2026-07");
    }
}
