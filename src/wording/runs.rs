//! Texts about runs: their results, what they wait for, and their arguments.

use super::when::Viewer;
use crate::core::ended::HowItEnded;
use crate::core::run::State;
use crate::core::time::Wall;
use crate::core::{escape, output, shell};
use crate::facts::status::Why;
use crate::facts::traffic::{Holder, Obstacle};
use crate::store::RunRow;

/// Returns how long its newest attempt took, or has taken so far, in milliseconds.
pub(crate) fn took(run: &RunRow, viewer: &Viewer) -> Option<i64> {
    match run.state {
        State::Running => Some(viewer.now.ms().saturating_sub(run.started_at?.ms())),
        State::Scheduled
        | State::Queued
        | State::Retrying
        | State::Succeeded
        | State::Failed
        | State::Skipped
        | State::Cancelled => run.duration_ms,
    }
}

/// Formats the state and its cause: `failed (exit 3)`, `skipped (overlap by 411)`, `retrying`.
pub(crate) fn verdict(run: &RunRow) -> String {
    let output = run.lost_output().and_then(output::missing).map(str::to_owned);
    with(run, &details(run).into_iter().chain(output).collect::<Vec<_>>())
}

/// Formats the same without missing output.
pub(crate) fn brief_verdict(run: &RunRow) -> String {
    with(run, &details(run))
}

fn with(run: &RunRow, details: &[String]) -> String {
    match details.is_empty() {
        true => run.state.to_string(),
        false => format!("{} ({})", run.state, details.join(", ")),
    }
}

/// Returns the causes of the state.
fn details(run: &RunRow) -> Vec<String> {
    let detail = run.reason.map(|reason| match (reason.as_str(), run.exit_code, run.signal) {
        (word @ "exit", Some(code), _) => format!("{word} {code}"),
        (word @ "signal", _, Some(signal)) => format!("{word} {signal}"),
        (word, _, _) => word.to_owned(),
    });
    let progress =
        run.progress.filter(|_| run.state == State::Running).map(|progress| format!("{progress}%"));
    let by = run.by.map(|by| format!("by {by}"));
    let count = (run.count > 1).then(|| format!("{} times", run.count));
    let acked = run.acked.filter(|_| run.state == State::Failed).map(|_| "acknowledged".to_owned());
    [detail, progress, by, count, acked].into_iter().flatten().collect()
}

/// Formats the cause of a failure where the state is evident: `exit 3`. Missing output is left out
/// to leave room for the last line.
pub(crate) fn how_failed(run: &RunRow) -> String {
    let details = details(run);
    if details.is_empty() { run.state.to_string() } else { details.join(", ") }
}

/// Formats arguments in one line, quoted if they are empty or contain blanks.
pub(crate) fn arguments(args: &[Vec<u8>]) -> String {
    let quoted = |arg: &Vec<u8>| {
        let text = escape::bytes(arg);
        shell::quote(&text, |c| !matches!(c, ' ' | '\'' | '"'))
    };
    args.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Returns the most relevant time of a run: its start, else its end, else when it is due.
pub(crate) fn moment(run: &RunRow) -> Wall {
    match run.state {
        State::Scheduled | State::Queued | State::Retrying => run.due_at.unwrap_or(run.created_at),
        State::Running | State::Succeeded | State::Failed | State::Skipped | State::Cancelled => {
            run.started_at.or(run.scheduled_at).or(run.ended_at).unwrap_or(run.created_at)
        }
    }
}

/// `2 of 4`; nothing for a run that needed only one.
pub(crate) fn attempt(run: &RunRow) -> String {
    match (run.attempt, run.budget.max) {
        (0 | 1, Some(1)) | (0, _) => String::new(),
        (1, _) if run.state == State::Succeeded => String::new(),
        (attempt, Some(max)) => format!("{attempt} of {}", max.max(attempt)),
        (attempt, None) => attempt.to_string(),
    }
}

/// Explains in a few words why a run waits.
pub(crate) fn waits_for(run: &RunRow, why: &Why, viewer: &Viewer) -> String {
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
        Why::Obstacle(Obstacle::Place(holders)) => format!("concurrency: {}", held_by(holders)),
        Why::Obstacle(Obstacle::Lock { name, holders, .. }) => {
            format!("lock {name}: {}", held_by(holders))
        }
        Why::Obstacle(Obstacle::MaxRunning(_)) => "max_running".to_owned(),
        Why::Obstacle(Obstacle::Rate(at)) => format!("rate: {}", viewer.relative(*at)),
    }
}

/// `run 7`, `run 7 and 2 more`.
fn held_by(holders: &[Holder]) -> String {
    match holders {
        [] => "another process".to_owned(),
        [one] => format!("run {}", one.run),
        [first, rest @ ..] => format!("run {} and {} more", first.run, rest.len()),
    }
}

/// Formats the progress of a retrying run and the result of its last attempt: `attempt 1 of 3: exit
/// 4`.
fn attempt_words(run: &RunRow) -> String {
    let max = run.budget.max.map(|max| format!(" of {}", max.max(run.attempt)));
    let how = HowItEnded::of(run.outcome, run.exit_code, run.signal).code();
    format!("attempt {}{}: {how}", run.attempt, max.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::Reason;
    use crate::facts::run::tests::sample_run;

    #[test]
    fn a_verdict_says_what_made_it() {
        let failed = RunRow {
            state: State::Failed,
            reason: Some(Reason::Exit),
            exit_code: Some(3),
            ..sample_run()
        };
        assert_eq!(verdict(&failed), "failed (exit 3)");
        assert_eq!(how_failed(&failed), "exit 3");
        let error = Some(format!("{}: no space left", output::NOT_WRITTEN));
        let lost = RunRow { error, ..failed.clone() };
        assert_eq!(verdict(&lost), "failed (exit 3, output not written)");
        assert_eq!(brief_verdict(&lost), "failed (exit 3)");
        assert_eq!(how_failed(&lost), "exit 3");
        assert_eq!(
            verdict(&RunRow { acked: Some(Wall::from_secs(0)), ..failed }),
            "failed (exit 3, acknowledged)"
        );
        let skipped = RunRow {
            state: State::Skipped,
            reason: Some(Reason::Overlap),
            by: Some(411),
            count: 3,
            ..sample_run()
        };
        assert_eq!(verdict(&skipped), "skipped (overlap, by 411, 3 times)");
        assert_eq!(verdict(&sample_run()), "succeeded");
    }

    #[test]
    fn arguments_can_be_told_apart() {
        let args = [
            b"plain".to_vec(),
            b"a b".to_vec(),
            b"".to_vec(),
            b"it's".to_vec(),
            b"\xff\n".to_vec(),
        ];
        assert_eq!(arguments(&args), "plain 'a b' '' 'it'\\''s' \\xff\\n");
    }
}
