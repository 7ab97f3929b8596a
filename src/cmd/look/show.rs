//! `jobctl show`: all facts about one run and its attempts.

use crate::cli;
use crate::cmd::fields::Fields;
use crate::cmd::look::runs::{arguments, style, verdict};
use crate::cmd::when;
use crate::cmd::{Cell, Context, Exit, Failure, Out, Result, Style, Table, Viewer};
use crate::core::ended::HowItEnded;
use crate::core::noun::size;
use crate::core::run::State;
use crate::core::time::Wall;
use crate::facts;
use crate::store::{AttemptRow, NoticeRow, RunRow};
use crate::wording::untold::said;

/// Answers `jobctl show`.
pub(crate) fn answer(context: &Context, args: &cli::Show, out: &mut Out) -> Result<Exit> {
    let missing = || Failure::no_such_run(args.id);
    let store = context.open_read()?.ok_or_else(missing)?;
    let facts = facts::run::read(&store, context.state_dir()?, args.id)?.ok_or_else(missing)?;
    out.answer(&facts, |out| {
        let viewer = context.viewer();
        let known =
            if context.is_supervised()? { "" } else { " (last known: no supervisor is running)" };
        print_run(&facts.run, known, &viewer, out)?;
        if !facts.attempts.is_empty() {
            out.line("")?;
            attempts(&facts.attempts, &viewer).print(out)?;
        }
        if !facts.hooks.is_empty() {
            out.line("")?;
            notices(&facts.hooks, &viewer).print(out)?;
        }
        Ok(())
    })
}

fn print_run(run: &RunRow, known: &str, viewer: &Viewer, out: &mut Out) -> Result<()> {
    let mut fields = Fields::default();
    let time = |at: Option<Wall>| at.map(|at| viewer.both(at));
    let known = if run.state == State::Running { known } else { "" };
    fields.put("run", Some(run.id.to_string()));
    fields.put("job", Some(run.job.clone()));
    fields.put_styled("state", style(run), Some(format!("{}{known}", verdict(run))));
    fields.put("error", run.error.clone());
    fields.put("result", run.result.clone());
    fields.put("cause", Some(run.cause.to_string()));
    fields.put("args", (!run.args.is_empty()).then(|| arguments(&run.args)));
    fields.put("key", run.key.clone());
    fields.put("priority", (run.priority != 0).then(|| run.priority.to_string()));
    fields.put("scheduled", time(run.scheduled_at));
    fields.put("last scheduled", time(run.last_scheduled_at));
    fields.put("created", time(Some(run.created_at)));
    fields.put("created by", run.created_by.clone());
    fields.put("due", time(run.due_at.filter(|_| !run.state.is_ended())));
    fields.put("started", time(run.started_at));
    fields.put("ended", time(run.ended_at));
    fields.put("took", run.duration_ms.map(when::span));
    let is_attempted = run.attempt > 0 || !run.state.is_ended();
    fields.put("attempt", is_attempted.then(|| attempts_of(run)));
    fields.put("acknowledged", time(run.acked));
    fields.put_styled(
        "late",
        Style::Warn,
        run.late_at.map(|at| format!("since {}", viewer.show(at))),
    );
    fields.put("stop asked", run.stop.map(|_| "yes".to_owned()));
    fields.print(out)
}

fn attempts_of(run: &RunRow) -> String {
    match run.budget.max {
        Some(max) => format!("{} of {}", run.attempt, max.max(run.attempt)),
        None => format!("{} (no limit)", run.attempt),
    }
}

fn attempts<'a>(attempts: &'a [AttemptRow], viewer: &Viewer) -> Table<'a, AttemptRow> {
    let time = |at: Option<Wall>| Cell::maybe(at.map(|at| viewer.show(at)));
    let span = |ms: Option<i64>| Cell::maybe(ms.map(when::span));
    let cpu = |row: &AttemptRow| Some(row.user_ms?.saturating_add(row.system_ms?));
    let memory = |row: &AttemptRow| row.max_rss_kib.map(|kib| size(kib.saturating_mul(1024)));
    let ended = |row: &AttemptRow| HowItEnded::of(row.outcome, row.exit_code, row.signal).word();
    Table::of(attempts)
        .right("ATTEMPT", |row| row.attempt.to_string().into())
        .left("STARTED", |row| time(row.started_at))
        .left("ENDED", |row| time(row.ended_at))
        .spare()
        .left("OUTCOME", |row| ended(row).into())
        .right("TOOK", |row| span(row.duration_ms))
        .right("CPU", |row| span(cpu(row)))
        .spare()
        .right("MEMORY", |row| Cell::maybe(memory(row)))
        .spare()
        .right("OUTPUT", |row| Cell::maybe(row.output_bytes.map(size)))
        .right("PID", |row| Cell::maybe(row.pid))
        .spare()
        .flexible("ERROR", |row| Cell::styled(Style::Bad, row.error.as_deref().unwrap_or_default()))
}

/// Prints the run's hooks and mails, sent or pending.
fn notices<'a>(notices: &'a [NoticeRow], viewer: &Viewer) -> Table<'a, NoticeRow> {
    let when = |row: &NoticeRow| row.ended_at.or(row.started_at).unwrap_or(row.due_at);
    let outcome = |row: &NoticeRow| match (row.is_done, row.slot) {
        (true, _) => HowItEnded::of(row.outcome, row.exit_code, row.signal).word(),
        (false, Some(_)) => "under way".to_owned(),
        (false, None) => "waits".to_owned(),
    };
    let style = |row: &NoticeRow| match row.is_done && row.exit_code != Some(0) {
        true => Style::Bad,
        false => Style::Plain,
    };
    Table::of(notices)
        .left("TOLD", |row| row.event.as_str().into())
        .left("BY", |row| row.means.as_str().into())
        .right("ATTEMPT", |row| Cell::maybe(row.attempt))
        .right("COUNT", |row| row.count.to_string().into())
        .left("WHEN", |row| viewer.show(when(row)).into())
        .left("OUTCOME", |row| Cell::styled(style(row), outcome(row)))
        .flexible("SAID", |row| Cell::maybe(said(&row.error, &row.output)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::output::capture;
    use crate::facts::run::tests::sample_run;

    #[test]
    fn what_is_not_known_takes_no_line() {
        let viewer = Viewer {
            zone: crate::os::zone::load("UTC").unwrap(),
            now: Wall::from_secs(1_785_067_300),
        };
        let text = capture(None, |out| print_run(&sample_run(), "", &viewer, out));
        assert!(
            text.starts_with("run         412\njob         backup\nstate       succeeded\n"),
            "{text}"
        );
        assert!(text.contains("started     2026-07-26 12:00:00 (1m 39s ago)\n"), "{text}");
        assert!(text.contains("created by  user:alice\n"), "{text}");
        assert!(!text.contains("key") && !text.contains("due"), "{text}");
        let skipped = RunRow { state: State::Skipped, attempt: 0, ..sample_run() };
        let text = capture(None, |out| print_run(&skipped, "", &viewer, out));
        assert!(!text.contains("attempt"), "{text}");
    }
}
