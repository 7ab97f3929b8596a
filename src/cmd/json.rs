//! JSON as jobctl(1) lays it down: every field always there, absent values null, times in UTC with milliseconds.
//!
//! Fields are only ever added.

use serde_json::{Value, json};

use crate::cmd::when;
use crate::core::time::Wall;
use crate::store::json::run_fields;
use crate::store::{AttemptRow, NoticeRow, RunRow, SupervisorRow};

/// The run object with its attempts and what was told of it, as `show` has it.
pub(crate) fn run_with_attempts(
    run: &RunRow,
    attempts: &[AttemptRow],
    notices: &[NoticeRow],
) -> Value {
    let mut fields = run_fields(run);
    fields.insert("attempts".to_owned(), attempts.iter().map(|attempt| json!(attempt)).collect());
    fields.insert("hooks".to_owned(), notices.iter().map(notice).collect());
    Value::Object(fields)
}

/// The supervisor object; `is_running` is whether it lives now.
pub(crate) fn supervisor(row: &SupervisorRow, is_running: bool) -> Value {
    json!({
        "running": is_running,
        "pid": row.pid.filter(|_| is_running),
        "since": time(row.since.filter(|_| is_running)),
        "jobfile": row.jobfile,
        "jobfile_error": row.jobfile_error,
        "version": row.version,
        "shadow": row.is_shadow && is_running,
    })
}

/// A time; none is null.
pub(crate) fn time(at: Option<Wall>) -> Value {
    at.map_or(Value::Null, |at| Value::String(when::utc(at)))
}

fn notice(row: &NoticeRow) -> Value {
    json!({
        "event": row.event.as_str(),
        "means": row.means.as_str(),
        "attempt": row.attempt,
        "count": row.count,
        "at": time(Some(row.at)),
        "due_at": time(Some(row.due_at)),
        "done": row.is_done,
        "tries": row.tries,
        "started_at": time(row.started_at),
        "ended_at": time(row.ended_at),
        "outcome": row.outcome.map(|outcome| outcome.as_str()),
        "exit_code": row.exit_code,
        "signal": row.signal,
        "error": row.error,
        "duration_ms": row.duration_ms,
        "output": row.output,
    })
}

/// A run for tests of commands: succeeded at once, by hand.
/// A span in whole milliseconds.
pub(crate) fn ms(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) fn sample_run() -> RunRow {
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
        max_attempts: Some(4),
        charged: 1,
        lost: 0,
        put_off: 0,
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
        first_started_at: None,
        late_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                        progress result late acked after";
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

    #[test]
    fn a_supervisor_that_is_gone_has_no_pid() {
        let row = SupervisorRow {
            pid: Some(7),
            since: Some(Wall::from_secs(0)),
            ..SupervisorRow::default()
        };
        assert_eq!(supervisor(&row, false)["pid"], Value::Null);
        assert_eq!(supervisor(&row, true)["since"], "1970-01-01T00:00:00.000Z");
    }
}
