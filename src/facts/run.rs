//! The facts about one run: its attempts and its notifications.

use std::path::Path;

use serde::Serialize;

use super::live::{self, Live};
use crate::core::run::State;
use crate::store::{AttemptRow, NoticeRow, RunRow, Store, StoreError};

/// A run with its attempts and notifications.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    /// The run.
    #[serde(flatten)]
    pub(crate) run: RunRow,
    /// Its attempts, oldest first.
    pub(crate) attempts: Vec<AttemptRow>,
    /// Its hooks and mails, sent or pending.
    pub(crate) hooks: Vec<NoticeRow>,
}

/// Reads a run; `None` if it does not exist.
pub(crate) fn read(store: &Store, state_dir: &Path, id: i64) -> Result<Option<Run>, StoreError> {
    let Some(mut run) = store.run(id)? else {
        return Ok(None);
    };
    live::fill_in(state_dir, std::slice::from_mut(&mut run));
    let mut attempts = store.attempts(id)?;
    // The store gets the process id when the attempt has ended; until then the keeper's record
    // has it.
    if run.state == State::Running
        && let Some(newest) = attempts.last_mut()
    {
        newest.pid = Live::open(state_dir, &run).and_then(|live| live.pid());
    }
    Ok(Some(Run { run, attempts, hooks: store.notices_of_run(id)? }))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::core::time::Wall;

    /// A run that succeeded at once, by hand.
    pub(crate) fn sample_run() -> RunRow {
        use crate::core::retry::Budget;
        use crate::core::run::{Cause, OutcomeKind, State};
        RunRow {
            id: 412,
            job_id: 1,
            job: "backup".to_owned(),
            state: State::Succeeded,
            reason: None,
            by: None,
            cause: Cause::Enqueue,
            scheduled_at: None,
            last_scheduled_at: None,
            count: 1,
            due_at: Some(Wall::from_secs(1_785_067_200)),
            created_at: Wall::from_secs(1_785_067_200),
            started_at: Some(Wall::from_ms(1_785_067_200_250)),
            ended_at: Some(Wall::from_ms(1_785_067_203_500)),
            attempt: 1,
            budget: Budget { charged: 1, max: Some(4), ..Budget::default() },
            outcome: Some(OutcomeKind::Exited),
            exit_code: Some(0),
            signal: None,
            error: None,
            duration_ms: Some(3250),
            args: vec![b"a b".to_vec()],
            key: None,
            priority: 0,
            after: Vec::new(),
            expires_at: None,
            progress: None,
            result: None,
            acked: None,
            stop: None,
            slot: None,
            claim: 9,
            late_at: None,
            created_by: Some("user:alice".to_owned()),
        }
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = json!({ "a": "\u{9b}2J\u{202e}\u{7f}\u{e0041}\x1b\n漢" });
        let text = value.to_string();
        let safe = crate::core::escape::json(&text);
        assert!(safe.is_ascii() || !safe.contains(['\u{9b}', '\u{202e}', '\u{7f}', '\u{e0041}']));
        assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), value);
    }

    #[test]
    fn a_run_has_all_fields_in_the_order_of_the_contract() {
        let value = json!(sample_run());
        let names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let contract = "id job state reason by cause scheduled_at last_scheduled_at count due_at created_at started_at \
                        ended_at attempt max_attempts outcome exit_code signal error duration_ms args key priority \
                        progress result late acked after created_by";
        assert_eq!(names, contract.split_whitespace().collect::<Vec<_>>());
        assert_eq!(value["started_at"], "2026-07-26T12:00:00.250Z");
        assert_eq!(value["reason"], Value::Null);
        assert_eq!(value["args"], json!(["a b"]));
    }

    #[test]
    fn arguments_that_are_no_text_stand_there_twice() {
        let mut row = sample_run();
        row.args.push(vec![b'x', 0xff]);
        let value = json!(row);
        assert_eq!(value["args"], json!(["a b", "x\u{fffd}"]));
        assert_eq!(value["args_base64"], json!(["YSBi", "eP8="]));
    }
}
