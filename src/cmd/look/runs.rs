//! `jobctl runs`: the newest runs, one per line.

use crate::cli;
use crate::cmd::filter;
use crate::cmd::when;
use crate::cmd::{Cell, Context, Exit, Failure, Jobs, Out, Result, Style, Table, Viewer};
use crate::core::run::State;
use crate::facts::failures;
use crate::facts::live;
use crate::facts::status::Row;
use crate::store::{Filter, RunRow, Store};
pub(crate) use crate::wording::runs::{arguments, verdict};
use crate::wording::runs::{attempt, brief_verdict, how_failed, moment, took};

/// A terminal with fewer columns counts as narrow.
const NARROW: usize = 80;

/// Answers `jobctl runs`.
pub(crate) fn answer(context: &Context, args: &cli::Runs, out: &mut Out) -> Result<Exit> {
    let viewer = context.viewer();
    let mut filter = filter::read(&args.filters, &viewer)?;
    filter.job = args.job.clone().or(filter.job);
    let store = context.open_read()?;
    if let Some(name) = &filter.job {
        check_job(context, store.as_ref(), name)?;
    }
    let is_of_failures = filter.failed || filter.states == [State::Failed];
    let is_compared = is_of_failures && !out.is_json;
    let rows_max = (args.count > 0).then_some(args.count);
    // One run more than is shown tells whether there are more.
    let least = if is_compared { failures::COMPARED_MAX } else { 0 };
    let limit = rows_max.map(|max| max.saturating_add(1).max(least));
    let mut runs = match &store {
        Some(store) => store.runs(&filter, limit)?,
        None => Vec::new(),
    };
    live::fill_in(context.state_dir()?, &mut runs);
    let Some(store) = store.filter(|_| !runs.is_empty()) else {
        return Ok(none_found(context, &filter));
    };
    let rows_max = rows_max.map_or(usize::MAX, |max| max as usize);
    let is_cut = runs.len() > rows_max;
    if !is_compared {
        runs.truncate(rows_max);
    }
    out.answers(&runs, |out| {
        if is_compared {
            let failed = failures::of_filter(&store, &filter, &runs, rows_max)?;
            print(&failed.runs, &viewer, out)?;
            return print_more(Some(failed.left_out()), out);
        }
        print(&runs, &viewer, out)?;
        print_more((!is_cut).then_some(0), out)
    })
}

/// Tells a person that a list was cut, and how many are missing if that is known.
fn print_more(count: Option<i64>, out: &mut Out) -> Result<()> {
    let text = match count {
        Some(0) => return Ok(()),
        Some(count) => format!("{count} more: `-n 0` lists all"),
        None => "there are more: `-n 0` lists all".to_owned(),
    };
    if !out.is_terminal() {
        return Ok(());
    }
    out.line(out.styled(Style::Dim, &text))
}

/// Prints runs as a table; if it is too wide, without the least important columns.
pub(crate) fn print<R: Row>(runs: &[R], viewer: &Viewer, out: &mut Out) -> Result<()> {
    let is_narrow = out.width.is_some_and(|width| width < NARROW);
    let table = |detail| table(runs, viewer, detail);
    let details = [Detail::Full, Detail::Brief];
    let fits = |detail: &Detail| table(*detail).fits(out.width);
    let least = if is_narrow { Detail::Narrow } else { Detail::Brief };
    table(details.into_iter().find(fits).unwrap_or(least)).print(out)
}

/// How much of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    /// Everything.
    Full,
    /// How long ago in place of a date, and not where it comes from.
    Brief,
    /// Neither durations, attempts and keys; of failures only how they failed and their last lines.
    Narrow,
}

fn table<'a, R: Row>(rows: &'a [R], viewer: &Viewer, detail: Detail) -> Table<'a, R> {
    let is_narrow = detail == Detail::Narrow;
    let when = |run: &RunRow| match detail {
        Detail::Full => viewer.show(moment(run)),
        Detail::Brief => viewer.relative(moment(run)),
        Detail::Narrow => viewer.roughly(moment(run)),
    };
    let state = |run: &RunRow| match (detail, R::ARE_FAILURES) {
        (Detail::Narrow, true) => Cell::styled(style(run), how_failed(run)),
        (Detail::Brief, true) => Cell::styled(style(run), brief_verdict(run)),
        (Detail::Full, _) | (_, false) => Cell::styled(style(run), verdict(run)),
    };
    let times = |row: &R| match (row.times(), row.is_at_least()) {
        (1, _) => String::new(),
        (times, false) => times.to_string(),
        (times, true) => format!("{times}+"),
    };
    let took = |run: &RunRow| took(run, viewer).filter(|_| !is_narrow).map(when::span);
    let cause = |run: &RunRow| Some(run.cause).filter(|_| detail == Detail::Full);
    let args = |run: &RunRow| match is_narrow && R::ARE_FAILURES {
        true => String::new(),
        false => arguments(&run.args),
    };
    Table::of(rows)
        .right("ID", |row| row.run().id.to_string().into())
        .names("JOB", |row| row.run().job.as_str().into())
        .firm("STATE", |row| state(row.run()))
        .right("TIMES", |row| times(row).into())
        .left("WHEN", |row| when(row.run()).into())
        .right("TOOK", |row| Cell::maybe(took(row.run())))
        .left("ATTEMPT", |row| Cell::maybe(Some(attempt(row.run())).filter(|_| !is_narrow)))
        .left("CAUSE", |row| Cell::maybe(cause(row.run())))
        .flexible("KEY", |row| Cell::maybe(row.run().key.as_ref().filter(|_| !is_narrow)))
        .flexible("ARGS", |row| args(row.run()).into())
        .flexible("LAST LINE", |row| Cell::maybe(row.last_line()))
}

/// Describes the result of a run to a user who waited for it: `run 7 (backup): failed (exit 3)`.
pub(crate) fn sentence(run: &RunRow) -> String {
    format!("run {} ({}): {}", run.id, run.job, verdict(run))
}

/// How a run's state is coloured.
pub(crate) fn style(run: &RunRow) -> Style {
    match run.state {
        State::Succeeded => Style::Good,
        State::Failed if run.acked.is_none() => Style::Bad,
        State::Retrying => Style::Warn,
        State::Running => Style::Bold,
        State::Skipped | State::Cancelled | State::Failed => Style::Dim,
        State::Scheduled | State::Queued => Style::Plain,
    }
}

/// Errs if neither the store nor the jobfile knows the job.
pub(crate) fn check_job(context: &Context, store: Option<&Store>, name: &str) -> Result<()> {
    if let Some(store) = store
        && store.job(name)?.is_some()
    {
        return Ok(());
    }
    match Jobs::load(context, store) {
        Ok(jobs) => jobs.find(name).map(|_| ()),
        Err(_) => Err(Failure::not_found(format!("job `{name}`: no such job"))),
    }
}

/// A store without runs is in order; a filter that matches nothing is an answer: no.
fn none_found(context: &Context, filter: &Filter) -> Exit {
    if *filter == Filter::default() {
        context.say("no runs yet");
        return Exit::Done;
    }
    context.say("no run matches");
    Exit::No
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::output::capture;
    use crate::core::time::Wall;
    use crate::facts::run::tests::sample_run;

    #[test]
    fn a_run_is_a_line() {
        let viewer = Viewer {
            zone: crate::os::zone::load("UTC").unwrap(),
            now: Wall::from_secs(1_785_067_300),
        };
        let text = capture(None, |out| print(&[sample_run()], &viewer, out));
        assert_eq!(
            text,
            " ID  JOB     STATE      WHEN                 TOOK  CAUSE    ARGS\n\
             412  backup  succeeded  2026-07-26 12:00:00  3.2s  enqueue  'a b'\n"
        );
    }
}
