//! `jobctl stats`: success rates and durations of jobs.

use chrono::{Datelike, NaiveDateTime, NaiveTime, Timelike};

use crate::cli;
use crate::cmd::when;
use crate::cmd::{Cell, Context, Exit, Out, Result, Style, Table, Toward, Viewer};
use crate::core::time::Wall;
use crate::facts::stats::{self, Line};

/// How far it looks back by default.
pub(crate) const SINCE: &str = "7d";

/// Answers `jobctl stats`.
pub(crate) fn answer(context: &Context, args: &cli::Stats, out: &mut Out) -> Result<Exit> {
    let viewer = context.viewer();
    let since = viewer.parse(args.since.as_deref().unwrap_or(SINCE), Toward::Past)?;
    let store = context.open_read()?;
    if let Some(name) = &args.job {
        crate::cmd::look::runs::check_job(context, store.as_ref(), name)?;
    }
    let Some(store) = store else {
        context.say("no runs yet");
        return Ok(Exit::Done);
    };
    let period = |at| args.by.map(|by| begin_of(by, at, &viewer));
    let lines = stats::gather(&store, args.job.as_deref(), since, period)?;
    if lines.is_empty() {
        context.say("no run ended in that time");
        return Ok(Exit::Done);
    }
    out.answers(&lines, |out| print(&lines, args.by, &viewer, out))
}

/// Returns when the period that contains a time begins, in the viewer's time zone.
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

fn print(lines: &[Line], by: Option<cli::Period>, viewer: &Viewer, out: &mut Out) -> Result<()> {
    let number = |count: i64| Cell::maybe((count != 0).then_some(count));
    let period = |line: &Line| Some(name_of(by?, line.from?, viewer));
    let rate = |line: &Line| {
        line.permille().map(|permille| format!("{}.{}%", permille / 10, permille % 10))
    };
    let span = |ms: Option<i64>| Cell::maybe(ms.map(when::span));
    let bad = |count: i64| match count {
        0 => "".into(),
        count => Cell::styled(Style::Bad, count.to_string()),
    };
    let table = Table::of(lines)
        .names("JOB", |line| line.job.as_str().into())
        .firm("FROM", |line| Cell::maybe(period(line)))
        .right("RUNS", |line| line.runs.to_string().into())
        .right("OK", |line| number(line.succeeded))
        .spare()
        .right("FAILED", |line| bad(line.failed))
        .right("SKIPPED", |line| number(line.skipped))
        .spare()
        .right("CANCELLED", |line| number(line.cancelled))
        .spare()
        .right("SUCCESS", |line| Cell::maybe(rate(line)))
        .spare()
        .right("RETRIES", |line| number(line.retries))
        .spare()
        .right("P50", |line| span(line.p50_ms))
        .right("P95", |line| span(line.p95_ms))
        .spare()
        .right("MAX", |line| span(line.max_ms));
    table.print(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(zone: &str) -> Viewer {
        Viewer { zone: crate::os::zone::load(zone).unwrap(), now: Wall::from_secs(1_785_067_200) }
    }

    #[test]
    fn a_line_fits_on_a_narrow_terminal() {
        let mut line = Line::default();
        line.job = "backup-database-nightly".to_owned();
        line.from = Some(Wall::from_secs(1_785_067_200));
        (line.runs, line.succeeded, line.failed) = (100_000, 99_000, 999);
        (line.skipped, line.cancelled, line.retries) = (9_999, 999, 99_999);
        let longest = Some(59_999_000);
        (line.p50_ms, line.p95_ms, line.max_ms) = (longest, longest, longest);
        let print = |width, by| {
            let print = |out: &mut Out| print(&[line.clone()], by, &viewer("UTC"), out);
            crate::cmd::output::capture(Some(width), print)
        };
        for width in [60, 80, 120] {
            for by in [None, Some(cli::Period::Hour)] {
                let text = print(width, by);
                assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
                assert!(text.contains(" FAILED ") && text.contains(" MAX\n"), "{text}");
            }
        }
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
