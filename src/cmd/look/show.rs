//! `jobctl show`: all that is known of one run, and its attempts.

use crate::cli;
use crate::cmd::fields::Fields;
use crate::cmd::json;
use crate::cmd::look::live::{self, Live};
use crate::cmd::look::runs::{arguments, style, verdict};
use crate::cmd::when;
use crate::cmd::{Cell, Column, Context, Exit, Failure, Out, Result, Style, Table, Viewer};
use crate::core::run::{OutcomeKind, State};
use crate::core::time::Wall;
use crate::store::{AttemptRow, NoticeRow, RunRow};

/// Answers `jobctl show`.
pub(crate) fn answer(context: &Context, args: &cli::Show, out: &mut Out) -> Result<Exit> {
    let store = context.open_read()?.ok_or_else(|| Failure::no_such_run(args.id))?;
    let mut run = store.run(args.id)?.ok_or_else(|| Failure::no_such_run(args.id))?;
    live::fill_in(context.state_dir()?, std::slice::from_mut(&mut run));
    let mut attempts = store.attempts(args.id)?;
    // The store learns of the process when it has ended; until then its keeper's record has it.
    if run.state == State::Running
        && let Some(newest) = attempts.last_mut()
    {
        newest.pid = Live::open(context.state_dir()?, &run).and_then(|live| live.pid());
    }
    let notices = store.notices_of_run(args.id)?;
    out.answer(&json::run_with_attempts(&run, &attempts, &notices), |out| {
        let viewer = context.viewer();
        let known =
            if context.is_supervised()? { "" } else { " (last known: no supervisor is running)" };
        print_run(&run, known, &viewer, out)?;
        if !attempts.is_empty() {
            out.line("")?;
            print_attempts(&attempts, &viewer, out)?;
        }
        if !notices.is_empty() {
            out.line("")?;
            print_notices(&notices, &viewer, out)?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

fn print_run(run: &RunRow, known: &str, viewer: &Viewer, out: &mut Out) -> Result<()> {
    let mut fields = Fields::default();
    let time =
        |at: Option<Wall>| at.map(|at| format!("{} ({})", viewer.show(at), viewer.relative(at)));
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
    fields.put("due", time(run.due_at.filter(|_| !run.state.is_ended())));
    fields.put("started", time(run.started_at));
    fields.put("ended", time(run.ended_at));
    fields.put("took", run.duration_ms.map(when::span));
    fields.put("attempt", Some(attempts_of(run)));
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
    match run.max_attempts {
        Some(max) => format!("{} of {}", run.attempt, max.max(run.attempt)),
        None => format!("{} of any number", run.attempt),
    }
}

fn print_attempts(attempts: &[AttemptRow], viewer: &Viewer, out: &mut Out) -> Result<()> {
    let mut table = Table::new(&[
        Column::right("ATTEMPT"),
        Column::left("STARTED"),
        Column::left("ENDED"),
        Column::left("OUTCOME"),
        Column::right("TOOK"),
        Column::right("CPU"),
        Column::right("MEMORY"),
        Column::right("OUTPUT"),
        Column::right("PID"),
        Column::flexible("ERROR"),
    ]);
    let time = |at: Option<Wall>| Cell::from(at.map(|at| viewer.show(at)).unwrap_or_default());
    for row in attempts {
        let cpu = row
            .user_ms
            .zip(row.system_ms)
            .map(|(user, system)| when::span(user.saturating_add(system)));
        table.push(vec![
            row.attempt.to_string().into(),
            time(row.started_at),
            time(row.ended_at),
            outcome_text(row.outcome, row.exit_code, row.signal).into(),
            row.duration_ms.map(when::span).unwrap_or_default().into(),
            cpu.unwrap_or_default().into(),
            row.max_rss_kib.map(|kib| size(kib.saturating_mul(1024))).unwrap_or_default().into(),
            row.output_bytes.map(size).unwrap_or_default().into(),
            row.pid.map(|pid| pid.to_string()).unwrap_or_default().into(),
            Cell::styled(Style::Bad, row.error.as_deref().unwrap_or_default()),
        ]);
    }
    table.print(out)
}

/// Who was told of the run, or is to be.
fn print_notices(notices: &[NoticeRow], viewer: &Viewer, out: &mut Out) -> Result<()> {
    let mut table = Table::new(&[
        Column::left("TOLD"),
        Column::left("BY"),
        Column::right("ATTEMPT"),
        Column::right("COUNT"),
        Column::left("WHEN"),
        Column::left("OUTCOME"),
        Column::flexible("SAID"),
    ]);
    for row in notices {
        let when = row.ended_at.or(row.started_at).unwrap_or(row.due_at);
        let outcome = match (row.is_done, row.slot) {
            (true, _) => outcome_text(row.outcome, row.exit_code, row.signal),
            (false, Some(_)) => "under way".to_owned(),
            (false, None) => "waits".to_owned(),
        };
        let is_bad = row.is_done && row.exit_code != Some(0);
        let last_line = |text: &str| text.trim_end().lines().last().unwrap_or("").to_owned();
        let output = row.output.as_deref().map(last_line);
        let said = row.error.as_deref().or(output.as_deref());
        table.push(vec![
            row.event.as_str().into(),
            row.means.as_str().into(),
            row.attempt.map(|attempt| attempt.to_string()).unwrap_or_default().into(),
            row.count.to_string().into(),
            viewer.show(when).into(),
            Cell::styled(if is_bad { Style::Bad } else { Style::Plain }, outcome),
            said.map(str::trim_end).unwrap_or_default().into(),
        ]);
    }
    table.print(out)
}

/// `exited 0`, `signaled 9`, `lost`; nothing for one that runs.
pub(super) fn outcome_text(
    kind: Option<OutcomeKind>,
    exit_code: Option<u8>,
    signal: Option<i32>,
) -> String {
    let Some(outcome) = kind else {
        return String::new();
    };
    match (exit_code, signal) {
        (Some(code), _) => format!("{outcome} {code}"),
        (None, Some(signal)) => format!("{outcome} {signal}"),
        (None, None) => outcome.to_string(),
    }
}

/// A size for people: `512 B`, `1.5 KiB`, `12 MiB`.
pub(crate) fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes.max(0), 0);
    let mut tenths = 0;
    while value >= 1024 && unit + 1 < UNITS.len() {
        tenths = value % 1024 * 10 / 1024;
        value /= 1024;
        unit += 1;
    }
    match (tenths, value) {
        (1.., ..10) => format!("{value}.{tenths} {}", UNITS[unit]),
        _ => format!("{value} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::json::sample_run;
    use crate::cmd::output::capture;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (13_000_000, "12 MiB"),
            (-1, "0 B"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn what_is_not_known_takes_no_line() {
        let viewer = Viewer {
            zone: crate::os::zone::load("UTC").unwrap(),
            now: Wall::from_secs(1_785_067_300),
        };
        let text = capture(None, |out| print_run(&sample_run(), "", &viewer, out));
        assert!(text.starts_with("run      412\njob      backup\nstate    succeeded\n"), "{text}");
        assert!(text.contains("started  2026-07-26 12:00:00 (1m 39s ago)\n"), "{text}");
        assert!(!text.contains("key") && !text.contains("due"), "{text}");
    }
}
