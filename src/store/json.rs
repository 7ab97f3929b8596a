//! The run as JSON, one for all who read it: `--json` and hooks. Fields are only ever added.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{NoticeRow, RunRow};
use crate::core::time::Wall;

/// The run object (jobctl(1), "A run"): every field always there, absent values null.
pub(crate) fn run_fields(run: &RunRow) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("id", run.id.into());
    put("job", run.job.as_str().into());
    put("state", run.state.as_str().into());
    put("reason", run.reason.map(|reason| reason.as_str()).into());
    put("by", run.by.into());
    put("cause", run.cause.as_str().into());
    put("scheduled_at", time(run.scheduled_at));
    put("last_scheduled_at", time(run.last_scheduled_at));
    put("count", run.count.into());
    put("due_at", time(run.due_at));
    put("created_at", time(Some(run.created_at)));
    put("started_at", time(run.started_at));
    put("ended_at", time(run.ended_at));
    put("attempt", run.attempt.into());
    put("max_attempts", run.budget.max.into());
    put("outcome", run.outcome.map(|outcome| outcome.as_str()).into());
    put("exit_code", run.exit_code.into());
    put("signal", run.signal.into());
    put("error", run.error.as_deref().into());
    put("duration_ms", run.duration_ms.into());
    put("args", run.args.iter().map(|arg| String::from_utf8_lossy(arg)).collect());
    if run.args.iter().any(|arg| std::str::from_utf8(arg).is_err()) {
        put("args_base64", run.args.iter().map(|arg| STANDARD.encode(arg)).collect());
    }
    put("key", run.key.as_deref().into());
    put("priority", run.priority.into());
    put("progress", run.progress.into());
    put("result", run.result.as_deref().into());
    put("late", run.late_at.is_some().into());
    put("acked", time(run.acked));
    let after = (!run.after.is_empty()).then(|| run.after.clone());
    put("after", after.into());
    put("created_by", run.created_by.as_deref().into());
    fields
}

impl Serialize for RunRow {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        run_fields(self).serialize(to)
    }
}

/// As `show` has what was told of a run.
impl Serialize for NoticeRow {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let object = json!({
            "event": self.event,
            "means": self.means,
            "attempt": self.attempt,
            "count": self.count,
            "at": self.at,
            "due_at": self.due_at,
            "done": self.is_done,
            "tries": self.tries,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "outcome": self.outcome,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "error": self.error,
            "duration_ms": self.duration_ms,
            "output": self.output,
        });
        object.serialize(to)
    }
}

/// A time in UTC; none is null.
fn time(at: Option<Wall>) -> Value {
    at.map_or(Value::Null, |at| Value::String(at.rfc3339_ms()))
}
