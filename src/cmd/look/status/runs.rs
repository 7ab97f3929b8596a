//! `jobctl status` for people: what runs, what waits and why, what failed and what to do about it.

use unicode_width::UnicodeWidthStr;

use crate::cli;
use crate::cmd::look::in_the_way::{Obstacle, Traffic};
use crate::cmd::look::live;
use crate::cmd::look::runs::{self, style};
use crate::cmd::look::status::text::Page;
use crate::cmd::look::status::untold;
use crate::cmd::{Cell, Column, Out, Result, Style, Table};
use crate::core::run::State;
use crate::store::{Filter, RunRow, Store};

/// Runs shown of each kind.
const RUNS_MAX: u32 = 10;

/// How many runs there are that are worth a list, over the jobs on the page.
pub(super) struct Counts<'a> {
    /// Running.
    pub(super) running: i64,
    /// Queued, retrying or due later.
    pub(super) waiting: i64,
    /// Failed and not acknowledged.
    pub(super) failed: i64,
    /// The jobs of those.
    pub(super) failing: Vec<&'a str>,
}

/// What runs, waits and failed; asks for runs only where the counters say there are any.
pub(super) fn print(
    page: &Page<'_>,
    counts: &Counts<'_>,
    args: &cli::Status,
    out: &mut Out,
) -> Result<()> {
    let Some(store) = page.store else {
        return Ok(());
    };
    if !args.failed {
        let known = if page.supervisor.is_running { "" } else { " (last known)" };
        let running = newest_in(store, &[State::Running], counts.running)?;
        let title = format!("running{known}");
        let running = print_title(page, (&title, counts.running), running, out)?;
        if !running.is_empty() {
            runs::print(&running, page.viewer, out)?;
        }
        let states = [State::Queued, State::Retrying, State::Scheduled];
        let waiting = newest_in(store, &states, counts.waiting)?;
        let waiting = print_title(page, ("waiting", counts.waiting), waiting, out)?;
        if !waiting.is_empty() {
            print_waiting(page, &waiting, out)?;
        }
    }
    print_failed(page, store, counts, out)
}

/// The newest runs in these states, if there are any.
fn newest_in(store: &Store, states: &[State], count: i64) -> Result<Vec<RunRow>> {
    let mut runs = Vec::new();
    if count == 0 {
        return Ok(runs);
    }
    for state in states {
        // State by state: only within one of them the index has the runs in their order.
        let filter = Filter { states: vec![*state], ..Filter::default() };
        runs.extend(store.runs(&filter, Some(RUNS_MAX))?);
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    runs.truncate(RUNS_MAX as usize);
    Ok(runs)
}

/// All failures, or of many the newest of each job, so that a noisy job hides no other; and what to do about them.
fn print_failed(page: &Page<'_>, store: &Store, counts: &Counts<'_>, out: &mut Out) -> Result<()> {
    if counts.failed == 0 {
        return Ok(());
    }
    let failed = |job: Option<&str>| Filter {
        failed: true,
        job: job.map(str::to_owned),
        ..Filter::default()
    };
    let are_all = counts.failed <= i64::from(RUNS_MAX);
    let runs = if are_all {
        store.runs(&failed(None), Some(RUNS_MAX))?
    } else {
        let mut newest = Vec::new();
        for job in counts.failing.iter().take(RUNS_MAX as usize) {
            newest.extend(store.runs(&failed(Some(job)), Some(1))?);
        }
        newest
    };
    let title = if are_all { "failed" } else { "failed, the newest of each job" };
    let runs = print_title(page, (title, counts.failed), runs, out)?;
    let Some(newest) = runs.first() else {
        return Ok(());
    };
    runs::print(&runs, page.viewer, out)?;
    untold::print(store, out)?;
    let (id, others) = match runs.as_slice() {
        [_] if are_all => (newest.id.to_string(), newest.id.to_string()),
        _ => ("ID".to_owned(), "--failed".to_owned()),
    };
    let all = if are_all { "" } else { "`jobctl runs --failed` lists all, " };
    let hint = format!(
        "{all}`jobctl logs {id}` says why, `jobctl retry {others}` runs it again, `jobctl ack {others}` takes note"
    );
    print_words(&hint, out)
}

/// A sentence of several parts in as many lines as the terminal needs for it.
fn print_words(text: &str, out: &mut Out) -> Result<()> {
    let mut line = String::new();
    for part in text.split_inclusive(", ") {
        let is_full = out.width.is_some_and(|width| line.width() + part.trim_end().width() > width);
        if is_full && !line.is_empty() {
            out.line(out.styled(Style::Dim, line.trim_end()))?;
            line.clear();
        }
        line.push_str(part);
    }
    out.line(out.styled(Style::Dim, &line))
}

/// Prints the title of a list that has runs, and says how far those have come.
fn print_title(
    page: &Page<'_>,
    (title, count): (&str, i64),
    mut runs: Vec<RunRow>,
    out: &mut Out,
) -> Result<Vec<RunRow>> {
    if runs.is_empty() {
        return Ok(runs);
    }
    live::fill_in(page.state_dir, &mut runs);
    let shown = i64::try_from(runs.len()).unwrap_or(i64::MAX);
    let newest = if count > shown && !title.contains("newest") {
        format!(" (the newest {shown})")
    } else {
        String::new()
    };
    out.line("")?;
    out.line(out.styled(Style::Bold, &format!("{title}: {count}{newest}")))?;
    Ok(runs)
}

/// The runs that wait, and for what.
fn print_waiting(page: &Page<'_>, runs: &[RunRow], out: &mut Out) -> Result<()> {
    let reasons = Reasons::read(page)?;
    let mut table = Table::new(&[
        Column::right("ID"),
        Column::flexible("JOB"),
        Column::left("STATE"),
        Column::left("DUE"),
        Column::firm("WHY"),
        Column::flexible("KEY"),
        Column::flexible("ARGS"),
    ]);
    for run in runs {
        table.push(vec![
            run.id.to_string().into(),
            run.job.as_str().into(),
            Cell::styled(style(run), run.state.as_str()),
            run.due_at.map(|at| page.viewer.relative(at)).unwrap_or_default().into(),
            reasons.of_run(run)?.into(),
            run.key.as_deref().unwrap_or_default().into(),
            runs::arguments(&run.args).into(),
        ]);
    }
    table.print(out)
}

/// Why runs wait, in a few words; `jobctl why ID` has more.
struct Reasons<'a> {
    page: &'a Page<'a>,
    traffic: Option<Traffic<'a>>,
}

impl<'a> Reasons<'a> {
    fn read(page: &'a Page<'a>) -> Result<Self> {
        let read = |store| Traffic::read(store, page.jobs, page.viewer.now);
        Ok(Self { page, traffic: page.store.map(read).transpose()? })
    }

    fn of_run(&self, run: &RunRow) -> Result<String> {
        Ok(match run.state {
            State::Retrying => attempt_words(run),
            State::Scheduled if !run.after.is_empty() && run.due_at.is_none() => {
                let ids: Vec<String> = run.after.iter().map(i64::to_string).collect();
                format!("after {}", ids.join(", "))
            }
            State::Queued => self.of_queued(run)?,
            State::Scheduled
            | State::Running
            | State::Succeeded
            | State::Failed
            | State::Skipped
            | State::Cancelled => String::new(),
        })
    }

    fn of_queued(&self, run: &RunRow) -> Result<String> {
        let (page, now) = (self.page, self.page.viewer.now);
        if !page.supervisor.is_running {
            return Ok("no supervisor".to_owned());
        }
        if page.jobs.get(&run.job).is_none() {
            return Ok("not in the jobfile".to_owned());
        }
        let row = page.store.map(|store| store.job(&run.job)).transpose()?;
        let is_paused = row.flatten().is_some_and(|row| row.is_paused(now));
        if is_paused || page.supervisor.row.is_paused(now) {
            return Ok("paused".to_owned());
        }
        let Some(traffic) = &self.traffic else {
            return Ok(String::new());
        };
        Ok(match traffic.obstacles(run)?.first() {
            Some(Obstacle::Place(holders)) => format!("{} its place", has(holders)),
            Some(Obstacle::Lock { name, holders, .. }) => format!("{} lock {name}", has(holders)),
            Some(Obstacle::MaxRunning(_)) => "max_running".to_owned(),
            Some(Obstacle::Rate(at)) => format!("rate: {}", page.viewer.relative(*at)),
            None => String::new(),
        })
    }
}

/// `run 7 has`, `run 7 and 2 more have`.
fn has(holders: &[&RunRow]) -> String {
    match holders {
        [] => "somebody has".to_owned(),
        [one] => format!("run {} has", one.id),
        [first, rest @ ..] => format!("run {} and {} more have", first.id, rest.len()),
    }
}

/// How far a run that is retrying has come, and what its last attempt did: `attempt 1 of 3: exit 4`.
fn attempt_words(run: &RunRow) -> String {
    let max = run.max_attempts.map(|max| format!(" of {}", max.max(run.attempt)));
    let how = match (run.exit_code, run.signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => run.outcome.map(|outcome| outcome.to_string()).unwrap_or_default(),
    };
    format!("attempt {}{}: {how}", run.attempt, max.unwrap_or_default())
}
