//! `jobctl runs`: the newest runs, one a line.

use std::collections::HashMap;

use crate::cli;
use crate::cmd::filter;
use crate::cmd::when;
use crate::cmd::{Cell, Context, Exit, Failure, Jobs, Out, Result, Style, Table, Viewer};
use crate::core::run::State;
use crate::facts::live;
use crate::facts::said;
use crate::store::{Filter, RunRow, Store};
pub(crate) use crate::wording::runs::{arguments, verdict};
use crate::wording::runs::{attempt, moment, took};

/// Answers `jobctl runs`.
pub(crate) fn answer(context: &Context, args: &cli::Runs, out: &mut Out) -> Result<Exit> {
    let viewer = context.viewer();
    let mut filter = filter::read(&args.filters, &viewer)?;
    filter.job = args.job.clone().or(filter.job);
    let store = context.open_read()?;
    if let Some(name) = &filter.job {
        check_job(context, store.as_ref(), name)?;
    }
    let limit = (args.count > 0).then_some(args.count);
    let store = store.as_ref();
    let mut runs = store.map(|store| store.runs(&filter, limit)).transpose()?.unwrap_or_default();
    live::fill_in(context.state_dir()?, &mut runs);
    if runs.is_empty() {
        return Ok(none_found(context, &filter));
    }
    let is_of_failures = filter.failed || filter.states == [State::Failed];
    out.answers(&runs, |out| match store.filter(|_| is_of_failures) {
        Some(store) => print_failed(&runs, &said::last_line_of_each(store, &runs), &viewer, out),
        None => print(&runs, &viewer, out),
    })
}

/// Prints failed runs, with the last line of output of each.
pub(crate) fn print_failed(
    runs: &[RunRow],
    lines: &HashMap<i64, String>,
    viewer: &Viewer,
    out: &mut Out,
) -> Result<()> {
    let said = |run: &RunRow| Cell::maybe(lines.get(&run.id));
    let table = |detail| table(runs, viewer, detail).flexible("LAST LINE", said);
    let full = table(Detail::Full);
    if full.fits(out.width) { full.print(out) } else { table(Detail::Brief).print(out) }
}

/// Prints runs as a table; where it would be too wide, without what matters least.
pub(crate) fn print(runs: &[RunRow], viewer: &Viewer, out: &mut Out) -> Result<()> {
    let full = table(runs, viewer, Detail::Full);
    if full.fits(out.width) {
        full.print(out)
    } else {
        table(runs, viewer, Detail::Brief).print(out)
    }
}

/// How much of a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    /// All of it.
    Full,
    /// How long ago in place of a date, and not where it comes from.
    Brief,
}

fn table<'a>(runs: &'a [RunRow], viewer: &Viewer, detail: Detail) -> Table<'a, RunRow> {
    let when = |run: &RunRow| match detail {
        Detail::Full => viewer.show(moment(run)),
        Detail::Brief => viewer.relative(moment(run)),
    };
    let cause = |run: &RunRow| match detail {
        Detail::Full => run.cause.as_str(),
        Detail::Brief => "",
    };
    Table::of(runs)
        .right("ID", |run| run.id.to_string().into())
        .names("JOB", |run| run.job.as_str().into())
        .firm("STATE", |run| Cell::styled(style(run), verdict(run)))
        .left("WHEN", |run| when(run).into())
        .right("TOOK", |run| Cell::maybe(took(run, viewer).map(when::span)))
        .left("ATTEMPT", |run| attempt(run).into())
        .left("CAUSE", |run| cause(run).into())
        .flexible("KEY", |run| Cell::maybe(run.key.as_ref()))
        .flexible("ARGS", |run| arguments(&run.args).into())
}

/// What became of a run, for who waited for it: `run 7 (backup): failed (exit 3)`.
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
