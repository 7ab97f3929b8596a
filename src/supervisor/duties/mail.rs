//! Mails: what stands in one, and the order that hands it to `sendmail -t`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::core::ended::HowItEnded;
use crate::core::job::Job;
use crate::core::notice::{self, Event, Mail, Message};
use crate::core::run::{Reason, State};
use crate::core::time::Wall;
use crate::os::machine;
use crate::store::{NoticeRow, RunRow, StoreError};
use crate::supervisor::environment::{MAILERS_PATH, Subject};
use crate::supervisor::spawner::Spawner;
use crate::supervisor::turn::Turn;

/// So much of the output stands in a mail, half of it from its beginning: mail servers refuse large
/// ones.
const OUTPUT_MAX: u64 = 64 * 1024;

impl<S: Spawner> Turn<'_, S> {
    /// Returns the command for a mail; none if the job no longer wants it.
    pub(super) fn mail_subject<'a>(
        &self,
        job: &'a Job,
        row: &NoticeRow,
        run: Option<&'a RunRow>,
    ) -> Result<Option<Subject<'a>>, StoreError> {
        let Some(to) = &job.policy.mailto else {
            return Ok(None);
        };
        let output = match (run, row.attempt) {
            (Some(run), Some(attempt)) if row.event != Event::Late => {
                // Output that cannot be read is no reason to send nothing.
                self.store.output_ends(run.id, attempt, OUTPUT_MAX).unwrap_or_default()
            }
            (Some(_) | None, _) => None,
        };
        let user = job.policy.user.as_deref().unwrap_or(&self.memory.surroundings.user.name);
        let place = format!("{user}@{}", machine::host_name());
        let outcome = run.and_then(outcome_words);
        let summary = match row.event {
            Event::Late if row.reason == Some(Reason::Paused) => self.pause_words(job, row)?,
            Event::Late => late_words(row, run),
            Event::Failure
            | Event::Output
            | Event::Recovery
            | Event::Success
            | Event::AttemptFailure => notice::summary(row.reason, outcome.as_deref()),
        };
        let facts = facts_of(row, run);
        let bytes = output.map(|output| output.text()).unwrap_or_default();
        let mail = Mail {
            to,
            from: job.policy.mail_from.as_deref(),
            job: job.name.as_str(),
            place: &place,
            event: row.event,
            count: row.count,
            summary: &summary,
            facts: &facts,
            output: &bytes,
        };
        Ok(Some(Subject {
            job: Some(job),
            run,
            // `-i`: a line with nothing but a dot does not end it.
            argv: ["sendmail", "-i", "-t"].map(|word| word.as_bytes().to_vec()).to_vec(),
            stdin: encoded(&mail.message()),
            path_end: MAILERS_PATH,
            ..Subject::default()
        }))
    }

    /// `paused since 2026-11-29T02:30:00Z, by ann: new disk`; who has resumed it meanwhile knows.
    fn pause_words(&self, job: &Job, row: &NoticeRow) -> Result<String, StoreError> {
        let Some((pause, is_of_all)) = self.pauses().endless(row.job_id) else {
            return Ok("was paused for more than a day".to_owned());
        };
        let name = (!is_of_all).then_some(job.name.as_str());
        let what = if is_of_all { "everything is paused" } else { "paused" };
        let note = self.store.note_of_pause(name)?.text();
        let note = if note.is_empty() { note } else { format!(", {note}") };
        Ok(format!("{what} since {}{note}", pause.since.rfc3339()))
    }
}

/// Longest line of a mail (RFC 5322, section 2.1.1).
const LINE_MAX: usize = 998;

/// Bytes of a body that make a line of 76 in base64 (RFC 2045, section 6.8).
const BASE64_LINE: usize = 57;

/// A message as it is sent: as it is, where its lines are short enough, else in base64.
fn encoded(message: &Message) -> Vec<u8> {
    let Message { head, body } = message;
    if body.lines().all(|line| line.len() <= LINE_MAX) {
        return format!("{head}Content-Transfer-Encoding: 8bit\n\n{body}").into_bytes();
    }
    let lines = body.as_bytes().chunks(BASE64_LINE);
    let lines: String = lines.map(|line| STANDARD.encode(line) + "\n").collect();
    format!("{head}Content-Transfer-Encoding: base64\n\n{lines}").into_bytes()
}

/// How the newest attempt of a run ended, in a few words.
fn outcome_words(run: &RunRow) -> Option<String> {
    run.outcome?;
    Some(HowItEnded::of(run.outcome, run.exit_code, run.signal).phrase())
}

fn late_words(row: &NoticeRow, run: Option<&RunRow>) -> String {
    match run {
        Some(run) if row.state == Some(State::Running) => {
            format!("run {} takes longer than expected", run.id)
        }
        Some(run) if run.is_missed() => "missed, without a success since".to_owned(),
        Some(_) | None => "no success for longer than expected".to_owned(),
    }
}

fn facts_of(row: &NoticeRow, run: Option<&RunRow>) -> Vec<(&'static str, String)> {
    let mut facts = vec![("at", row.at.rfc3339())];
    let Some(run) = run else {
        return facts;
    };
    let mut put = |name, value: Option<String>| {
        if let Some(value) = value {
            facts.push((name, value));
        }
    };
    put("run", Some(run.id.to_string()));
    let reason = row.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    put("state", row.state.map(|state| format!("{state}{reason}")));
    put("attempt", row.attempt.map(|attempt| attempt.to_string()));
    if run.exit_code.is_none() {
        put("outcome", outcome_words(run));
    }
    put("exit status", run.exit_code.map(|code| code.to_string()));
    put("error", run.error.clone());
    put("scheduled", run.scheduled_at.map(Wall::rfc3339));
    put("started", run.started_at.map(Wall::rfc3339));
    put("took", run.duration_ms.map(|ms| format!("{}.{:03} s", ms / 1000, ms % 1000)));
    put("commands", Some(format!("`jobctl show {0}`, `jobctl logs {0}`", run.id)));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_sent_in_base64_and_mean_the_same() {
        let message = |body: String| Message { head: "To: ops\n".into(), body };
        let short = encoded(&message("a\nb\n".into()));
        assert_eq!(short, b"To: ops\nContent-Transfer-Encoding: 8bit\n\na\nb\n");
        let body = "x".repeat(2000) + "\n";
        let long = String::from_utf8(encoded(&message(body.clone()))).unwrap();
        let (head, lines) = long.split_once("\n\n").unwrap();
        assert!(head.ends_with("\nContent-Transfer-Encoding: base64"));
        assert!(lines.lines().all(|line| line.len() <= 76));
        let decoded = STANDARD.decode(lines.replace('\n', "")).unwrap();
        assert_eq!(decoded, body.as_bytes());
    }
}
