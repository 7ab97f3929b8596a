//! `jobctl status` for people: what runs, what waits and why, what failed and what to do about it.

use unicode_width::UnicodeWidthStr;

use crate::cmd::look::runs::{self, style};
use crate::cmd::look::status::page::Page;
use crate::cmd::look::status::untold;
use crate::cmd::{Cell, Out, Result, Style, Table};
use crate::core::ended::HowItEnded;
use crate::core::run::Reason;
use crate::facts::status::{List, Why};
use crate::facts::traffic::{Holder, Obstacle};
use crate::store::RunRow;

/// Prints what runs, waits and failed.
pub(super) fn print(page: &Page<'_>, out: &mut Out) -> Result<()> {
    let lists = &page.status.lists;
    let known = if page.status.supervisor.running { "" } else { " (last known)" };
    if print_title(&format!("running{known}"), &lists.running, out)? {
        runs::print(&lists.running.runs, page.viewer, out)?;
    }
    if lists.waiting.count > i64::try_from(lists.waiting.runs.len()).unwrap_or(i64::MAX) {
        let title = format!("{} waiting; next to start:", lists.waiting.count);
        out.line("")?;
        out.line(out.styled(Style::Bold, &title))?;
        waiting(page, &lists.waiting.runs).print(out)?;
    } else if print_title("waiting", &lists.waiting, out)? {
        waiting(page, &lists.waiting.runs).print(out)?;
    }
    print_failed(page, &lists.failed, out)
}

/// The failures, and what to do about them.
fn print_failed(page: &Page<'_>, failed: &List<RunRow>, out: &mut Out) -> Result<()> {
    let are_all = failed.is_whole();
    let title = if are_all { "failed" } else { "failed, the newest of each job" };
    if !print_title(title, failed, out)? {
        return Ok(());
    }
    runs::print_failed(&failed.runs, &page.status.lists.last_lines, page.viewer, out)?;
    for line in untold::lines(&page.status.untold) {
        out.line(out.styled(Style::Bad, &line))?;
    }
    let (id, others) = match failed.runs.as_slice() {
        [only] if are_all => (only.id.to_string(), only.id.to_string()),
        _ => ("ID".to_owned(), "--failed".to_owned()),
    };
    let jobctl = &page.jobctl;
    let all = match are_all {
        true => String::new(),
        false => format!("`{jobctl} runs --failed` lists all, "),
    };
    let look = match failed.runs.as_slice() {
        [only] if are_all && only.reason == Some(Reason::Spawn) => {
            format!("`{jobctl} why {id}` says why")
        }
        _ => format!("`{jobctl} logs {id}` shows its output"),
    };
    let hint = format!(
        "{all}{look}, `{jobctl} retry {others}` runs it again, \
         `{jobctl} ack {others}` acknowledges it"
    );
    print_words(&hint, out)
}

/// Prints a sentence in as many lines as the terminal needs for it.
fn print_words(text: &str, out: &mut Out) -> Result<()> {
    let lines = wrapped(text, out.width.unwrap_or(usize::MAX));
    lines.iter().try_for_each(|line| out.line(out.styled(Style::Dim, line)))
}

/// `text` in lines of at most `width` columns; a command in backquotes stays in one line.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut is_command = false;
    let ends_word = |c: char| {
        is_command ^= c == '`';
        c == ' ' && !is_command
    };
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(ends_word) {
        let line = lines.last_mut().expect("a text has at least one line");
        if !line.is_empty() && line.width() + word.trim_end().width() > width {
            lines.push(word.to_owned());
        } else {
            line.push_str(word);
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Prints the title of a list, if it has runs. Whether it has.
fn print_title<T>(title: &str, list: &List<T>, out: &mut Out) -> Result<bool> {
    let shown = i64::try_from(list.runs.len()).unwrap_or(i64::MAX);
    if shown == 0 {
        return Ok(false);
    }
    let newest = match list.count > shown && !title.contains("newest") {
        true => format!(" (the newest {shown})"),
        false => String::new(),
    };
    out.line("")?;
    out.line(out.styled(Style::Bold, &format!("{title}: {}{newest}", list.count)))?;
    Ok(true)
}

/// The runs that wait, and for what.
fn waiting<'a>(page: &Page<'_>, runs: &'a [(RunRow, Why)]) -> Table<'a, (RunRow, Why)> {
    let due = |run: &RunRow| run.due_at.map(|at| page.viewer.relative(at));
    Table::of(runs)
        .right("ID", |(run, _)| run.id.to_string().into())
        .names("JOB", |(run, _)| run.job.as_str().into())
        .left("STATE", |(run, _)| Cell::styled(style(run), run.state.as_str()))
        .left("DUE", |(run, _)| Cell::maybe(due(run)))
        .firm("WHY", |(run, why)| words(page, run, why).into())
        .flexible("KEY", |(run, _)| Cell::maybe(run.key.as_ref()))
        .flexible("ARGS", |(run, _)| runs::arguments(&run.args).into())
}

/// Why a run waits, in a few words.
fn words(page: &Page<'_>, run: &RunRow, why: &Why) -> String {
    match why {
        Why::Unsaid => String::new(),
        Why::After(runs) => {
            let ids: Vec<String> = runs.iter().map(i64::to_string).collect();
            format!("after {}", ids.join(", "))
        }
        Why::Attempt => attempt_words(run),
        Why::NoSupervisor => "no supervisor".to_owned(),
        Why::Stopping => "supervisor stopping".to_owned(),
        Why::NotInJobfile => "not in the jobfile".to_owned(),
        Why::Paused => "paused".to_owned(),
        Why::Obstacle(Obstacle::Place(holders)) => format!("{} its place", has(holders)),
        Why::Obstacle(Obstacle::Lock { name, holders, .. }) => {
            format!("{} lock {name}", has(holders))
        }
        Why::Obstacle(Obstacle::MaxRunning(_)) => "max_running".to_owned(),
        Why::Obstacle(Obstacle::Rate(at)) => format!("rate: {}", page.viewer.relative(*at)),
    }
}

/// `run 7 has`, `run 7 and 2 more have`.
fn has(holders: &[Holder]) -> String {
    match holders {
        [] => "another process has".to_owned(),
        [one] => format!("run {} has", one.run),
        [first, rest @ ..] => format!("run {} and {} more have", first.run, rest.len()),
    }
}

/// How far a run that is retrying has come, and what its last attempt did: `attempt 1 of 3: exit
/// 4`.
fn attempt_words(run: &RunRow) -> String {
    let max = run.budget.max.map(|max| format!(" of {}", max.max(run.attempt)));
    let how = HowItEnded::of(run.outcome, run.exit_code, run.signal).code();
    format!("attempt {}{}: {how}", run.attempt, max.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn a_hint_wraps_between_words_and_never_inside_a_command() {
        let hint = "`jobctl --jobfile /srv/x.toml logs 4` shows its output, `jobctl retry 4` runs it again";
        let lines = [
            "`jobctl --jobfile /srv/x.toml logs 4`",
            "shows its output, `jobctl retry 4` runs",
            "it again",
        ];
        assert_eq!(wrapped(hint, 40), lines);
        assert_eq!(wrapped(hint, usize::MAX), [hint]);
    }
}
