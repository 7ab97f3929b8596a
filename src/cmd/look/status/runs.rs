//! `jobctl status` for people: the running runs, the waiting ones and why they wait, and the
//! failures and what to do about them.

use unicode_width::UnicodeWidthStr;

use crate::cmd::look::runs::{self, style};
use crate::cmd::look::status::page::Page;
use crate::cmd::{Cell, Out, Result, Style, Table};
use crate::core::run::Reason;
use crate::facts::failures::Alike;
use crate::facts::overview::JobStatus;
use crate::facts::status::{List, Why};
use crate::store::RunRow;
use crate::wording::runs::waits_for;
use crate::wording::untold;

/// Prints the running, waiting and failed runs.
pub(super) fn print(page: &Page<'_>, out: &mut Out) -> Result<()> {
    let lists = &page.status.lists;
    let known = if page.status.supervisor.running { "" } else { " (last known)" };
    let title = format!("running{known}: {}", lists.running.count);
    if print_title(&title, &lists.running, out)? {
        runs::print(&lists.running.runs, page.viewer, out)?;
        print_more(page, lists.running.left_out(), "runs --state running", out)?;
    }
    let title = match lists.waiting.left_out() {
        0 => format!("waiting: {}", lists.waiting.count),
        _ => format!("{} waiting; next to start:", lists.waiting.count),
    };
    if print_title(&title, &lists.waiting, out)? {
        waiting(page, &lists.waiting.runs).print(out)?;
        print_more(page, lists.waiting.left_out(), "runs --state queued,retrying,scheduled", out)?;
    }
    print_failed(page, &lists.failed, None, out)
}

/// Prints the runs of a job's queue that start next.
pub(super) fn print_queue(
    page: &Page<'_>,
    queue: &List<(RunRow, Why)>,
    job: &str,
    out: &mut Out,
) -> Result<()> {
    if print_title("next to start:", queue, out)? {
        waiting(page, &queue.runs).print(out)?;
        print_more(page, queue.left_out(), &format!("runs {job} --state queued"), out)?;
    }
    Ok(())
}

/// Prints the command that resumes jobs with a pause of their own.
pub(super) fn print_resume(page: &Page<'_>, out: &mut Out) -> Result<()> {
    let is_paused = |job: &&JobStatus<'_>| job.own_pause(page.viewer.now).is_some();
    let paused: Vec<_> = page.status.jobs.iter().filter(is_paused).collect();
    let (name, whom) = match paused.as_slice() {
        [] => return Ok(()),
        [only] => (only.name, "it"),
        _ => ("JOB", "a paused job"),
    };
    print_words(&format!("`{} resume {name}` resumes {whom}", page.jobctl), out)
}

/// Prints that a list was cut, and the command that lists everything.
fn print_more(page: &Page<'_>, count: i64, command: &str, out: &mut Out) -> Result<()> {
    if count <= 0 {
        return Ok(());
    }
    let text = format!("{count} more: `{} {command}`", page.jobctl);
    out.line(out.styled(Style::Dim, &text))
}

/// Prints the failures of all jobs or of one, and what to do about them.
pub(super) fn print_failed(
    page: &Page<'_>,
    failed: &List<Alike>,
    job: Option<&str>,
    out: &mut Out,
) -> Result<()> {
    if !print_title(&format!("failed: {}", failed.count), failed, out)? {
        return Ok(());
    }
    runs::print(&failed.runs, page.viewer, out)?;
    let of_job = job.map(|job| format!(" --job {job}")).unwrap_or_default();
    print_more(page, failed.left_out(), &format!("runs --failed{of_job}"), out)?;
    let jobctl = &page.jobctl;
    let filter = format!("--failed{of_job}");
    for line in untold::lines(&page.status.untold) {
        out.line(out.styled(Style::Bad, &line))?;
    }
    let (id, others, them) = match failed.runs.as_slice() {
        [only] if failed.count == 1 => {
            let id = only.newest.id.to_string();
            (id.clone(), id, "it")
        }
        [only] => (only.newest.id.to_string(), filter, "them"),
        _ => ("ID".to_owned(), filter, "them"),
    };
    let look = match failed.runs.as_slice() {
        [only] if only.newest.reason == Some(Reason::Spawn) => {
            format!("`{jobctl} why {id}` says why")
        }
        _ => format!("`{jobctl} logs {id}` shows its output"),
    };
    let hint = format!(
        "{look}, `{jobctl} retry {others}` runs {} again, \
         `{jobctl} ack {others}` acknowledges {them}",
        retried(failed, job).unwrap_or(them)
    );
    print_words(&hint, out)
}

/// Returns what `retry` with a filter runs again, if that is not everything.
fn retried(failed: &List<Alike>, job: Option<&str>) -> Option<&'static str> {
    let is_occurrence = |alike: &&Alike| alike.newest.cause.is_occurrence();
    let of_occurrences: Vec<&Alike> = failed.runs.iter().filter(is_occurrence).collect();
    let mut jobs = std::collections::HashSet::new();
    let is_older = |alike: &&Alike| alike.count > 1 || !jobs.insert(alike.newest.job_id);
    of_occurrences.iter().copied().find(is_older)?;
    Some(match (of_occurrences.len() == failed.runs.len(), job) {
        (true, Some(_)) => "the newest",
        (true, None) => "the newest of each job",
        (false, _) => "them (of occurrences the newest of each job)",
    })
}

/// Prints a sentence in as many lines as the terminal needs for it.
fn print_words(text: &str, out: &mut Out) -> Result<()> {
    let lines = wrapped(text, out.width.unwrap_or(usize::MAX));
    lines.iter().try_for_each(|line| out.line(out.styled(Style::Dim, line)))
}

/// Wraps `text` at `width` columns; a command in backquotes stays on one line.
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

/// Prints the title of a list if it has runs; returns whether it has.
fn print_title<T>(title: &str, list: &List<T>, out: &mut Out) -> Result<bool> {
    if list.runs.is_empty() {
        return Ok(false);
    }
    out.line("")?;
    out.line(out.styled(Style::Bold, title))?;
    Ok(true)
}

/// Prints the waiting runs and what they wait for.
fn waiting<'a>(page: &Page<'_>, runs: &'a [(RunRow, Why)]) -> Table<'a, (RunRow, Why)> {
    let due = |run: &RunRow| run.due_at.map(|at| page.viewer.relative(at));
    Table::of(runs)
        .right("ID", |(run, _)| run.id.to_string().into())
        .names("JOB", |(run, _)| run.job.as_str().into())
        .left("STATE", |(run, _)| Cell::styled(style(run), run.state.as_str()))
        .left("DUE", |(run, _)| Cell::maybe(due(run)))
        .firm("WHY", |(run, why)| waits_for(run, why, page.viewer).into())
        .flexible("KEY", |(run, _)| Cell::maybe(run.key.as_ref()))
        .flexible("ARGS", |(run, _)| runs::arguments(&run.args).into())
}

#[cfg(test)]
mod tests {
    use super::{retried, wrapped};
    use crate::core::run::Cause;
    use crate::facts::failures::Alike;
    use crate::facts::run::tests::sample_run;
    use crate::facts::status::List;
    use crate::store::RunRow;

    #[test]
    fn of_occurrences_the_newest_of_each_job_is_said_to_run_again() {
        let row = |job_id, cause, count| Alike {
            newest: RunRow { job_id, cause, ..sample_run() },
            count,
            has_older: false,
            last_line: None,
        };
        let of = |runs: Vec<Alike>, job| retried(&List { count: 9, runs }, job);
        let (item, occurrence) = (Cause::Enqueue, Cause::Schedule);
        assert_eq!(of(vec![row(1, item, 3), row(2, occurrence, 1)], None), None);
        let each = Some("the newest of each job");
        assert_eq!(of(vec![row(1, occurrence, 3), row(2, occurrence, 1)], None), each);
        assert_eq!(of(vec![row(1, occurrence, 1), row(1, occurrence, 1)], None), each);
        assert_eq!(of(vec![row(1, occurrence, 3)], Some("a")), Some("the newest"));
        let mixed = Some("them (of occurrences the newest of each job)");
        assert_eq!(of(vec![row(1, item, 1), row(2, occurrence, 2)], None), mixed);
    }

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
