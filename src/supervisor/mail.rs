//! Mails: what stands in one, and the order that hands it to `sendmail -t`.

use super::Supervisor;
use super::environment::Subject;
use super::spawner::Spawner;
use crate::core::job::Job;
use crate::core::notice::{self, Event, Mail};
use crate::core::run::{OutcomeKind, State};
use crate::core::time::Wall;
use crate::os::machine;
use crate::store::{NoticeRow, RunRow, StoreError};

/// So much of the output stands in a mail, half of it from its beginning: mail servers refuse large ones.
const OUTPUT_MAX: u64 = 64 * 1024;

impl<S: Spawner> Supervisor<S> {
    /// What is executed for a mail; none if the job wants none any more.
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
                self.store
                    .output_ends(run.id, attempt, OUTPUT_MAX)
                    .unwrap_or_default()
            }
            (Some(_) | None, _) => None,
        };
        let user = job
            .policy
            .user
            .as_deref()
            .unwrap_or(&self.surroundings.user.name);
        let place = format!("{user}@{}", machine::host_name());
        let outcome = run.and_then(outcome_words);
        let summary = match row.event {
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
            argv: ["sendmail", "-i", "-t"]
                .map(|word| word.as_bytes().to_vec())
                .to_vec(),
            stdin: mail.message(),
            env: Vec::new(),
        }))
    }
}

/// How the newest attempt of a run ended, in a few words.
fn outcome_words(run: &RunRow) -> Option<String> {
    let outcome = run.outcome?;
    Some(match (outcome, run.exit_code, run.signal) {
        (OutcomeKind::Exited, Some(code), _) => format!("exit {code}"),
        (OutcomeKind::Signaled, _, Some(signal)) => format!("signal {signal}"),
        (OutcomeKind::TimedOut, ..) => "timed out".to_owned(),
        (OutcomeKind::SpawnFailed, ..) => "not started".to_owned(),
        (OutcomeKind::Exited | OutcomeKind::Signaled | OutcomeKind::Lost, ..) => {
            outcome.to_string()
        }
    })
}

fn late_words(row: &NoticeRow, run: Option<&RunRow>) -> String {
    match run {
        Some(run) if row.state == Some(State::Running) => {
            format!("run {} takes longer than expected", run.id)
        }
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
    let reason = row
        .reason
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    put("state", row.state.map(|state| format!("{state}{reason}")));
    put("attempt", row.attempt.map(|attempt| attempt.to_string()));
    put("outcome", outcome_words(run));
    put("exit status", run.exit_code.map(|code| code.to_string()));
    put("error", run.error.clone());
    put("scheduled", run.scheduled_at.map(Wall::rfc3339));
    put("started", run.started_at.map(Wall::rfc3339));
    put(
        "took",
        run.duration_ms
            .map(|ms| format!("{}.{:03} s", ms / 1000, ms % 1000)),
    );
    put(
        "commands",
        Some(format!("`jobctl show {0}`, `jobctl logs {0}`", run.id)),
    );
    facts
}
