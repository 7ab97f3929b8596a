//! Why a run ended as it did.

use super::Case;
use crate::cmd::when;
use crate::cmd::{Failure, Result};
use crate::core::ended::HowItEnded;
use crate::core::run::{Reason, State};
use crate::facts::said;
use crate::store::{AttemptRow, RunRow};

/// Lines of output that are shown.
const LINES_MAX: usize = 3;

impl Case<'_> {
    /// What made an ended run what it is.
    pub(super) fn ended(&self, run: &RunRow) -> Result<String> {
        let ended = run.ended_at.map(|at| format!(", {}", self.time(at))).unwrap_or_default();
        let text = match run.reason {
            None => format!("{}{ended}: {}", run.state, self.attempts_text(run)?),
            Some(reason) => self.judged(run, reason)?,
        };
        let acked = run
            .acked
            .filter(|_| run.state == State::Failed)
            .map(|at| format!("; acknowledged {}", self.time(at)))
            .unwrap_or_default();
        let times = if run.count > 1 {
            let last = run.last_scheduled_at.map(|at| self.viewer.show(at));
            format!(" ({} times, last at {})", run.count, last.unwrap_or_default())
        } else {
            String::new()
        };
        Ok(format!("{text}{times}{acked}"))
    }

    fn judged(&self, run: &RunRow, reason: Reason) -> Result<String> {
        let by = run.by.map_or_else(|| "another run".to_owned(), |by| format!("run {by}"));
        let gave_up = |why: &str| {
            let attempts = self.attempts_text(run)?;
            let line = self.last_lines(run)?;
            Ok::<_, Failure>(format!("gave up{why} {attempts}{line}"))
        };
        Ok(match reason {
            Reason::Exit if run.state == State::Skipped => format!(
                "skipped: its command had nothing to do (exit {}, in `skip_exit`)",
                run.exit_code.unwrap_or_default()
            ),
            Reason::Exit | Reason::Signal | Reason::Timeout | Reason::Spawn | Reason::Lost => {
                gave_up("")?
            }
            Reason::Shutdown => {
                "failed: the supervisor stopped while it ran, and its job has no retries".to_owned()
            }
            Reason::GiveUpAfter => gave_up(" because `give_up_after` would have passed,")?,
            Reason::Superseded => gave_up(&format!(" in favour of {by}, a newer occurrence,"))?,
            Reason::Poison => gave_up(" because its keeper was lost too often,")?,
            Reason::Overlap => format!("skipped: {by} of the same job was still unfinished"),
            Reason::Missed => self.missed(run)?,
            Reason::Paused => "skipped: the job, or everything, was paused".to_owned(),
            Reason::JobRemoved => "skipped: its job was removed from the jobfile".to_owned(),
            Reason::Shadow => "skipped: the supervisor ran with --shadow".to_owned(),
            Reason::ByHand => "cancelled: by hand".to_owned(),
            Reason::Replaced => format!("cancelled: replaced by {by}"),
            Reason::Dependency => {
                format!("cancelled: it waited for {by}, which did not succeed")
            }
            Reason::Expired => {
                let at = run.expires_at.map(|at| self.viewer.show(at));
                format!("cancelled: not started by {}", at.unwrap_or_default())
            }
        })
    }

    fn missed(&self, run: &RunRow) -> Result<String> {
        let at = run.scheduled_at.unwrap_or(run.created_at);
        Ok(match self.downtime(at)? {
            Some(down) => format!("skipped: missed, {down}"),
            None => "skipped: missed, it did not start in time".to_owned(),
        })
    }

    /// `after 4 attempts in 12m: exit 1 three times, then timed out`.
    pub(super) fn attempts_text(&self, run: &RunRow) -> Result<String> {
        let attempts: Vec<AttemptRow> = self
            .store
            .attempts(run.id)?
            .into_iter()
            .filter(|attempt| attempt.outcome.is_some())
            .collect();
        let count = match attempts.len() {
            0 => return Ok("without an attempt".to_owned()),
            1 => "1 attempt".to_owned(),
            count => format!("{count} attempts"),
        };
        let first = attempts.first().and_then(|attempt| attempt.started_at);
        let last = attempts.last().and_then(|attempt| attempt.ended_at);
        let took = first
            .zip(last)
            .map(|(first, last)| {
                format!(" in {}", when::span(last.ms().saturating_sub(first.ms())))
            })
            .unwrap_or_default();
        let error = run.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
        Ok(format!("after {count}{took}: {}{error}", story(&attempts)))
    }

    /// The last lines that the newest attempt wrote.
    fn last_lines(&self, run: &RunRow) -> Result<String> {
        let lines = said::last_lines(self.store, run, LINES_MAX)?;
        Ok(match lines.as_slice() {
            [] => String::new(),
            [only] => format!("; last line of output: {only}"),
            several => format!("; last lines of output: {}", several.join(" / ")),
        })
    }
}

/// `exit 1 three times, then timed out`.
fn story(attempts: &[AttemptRow]) -> String {
    let phrase = |it: &AttemptRow| HowItEnded::of(it.outcome, it.exit_code, it.signal).phrase();
    let words: Vec<String> = attempts.iter().map(phrase).collect();
    words
        .chunk_by(|one, other| one == other)
        .map(|same| match same.len() {
            1 => same[0].clone(),
            2 => format!("{} twice", same[0]),
            3 => format!("{} three times", same[0]),
            count => format!("{} {count} times", same[0]),
        })
        .collect::<Vec<_>>()
        .join(", then ")
}
