//! Records of version 1, a line a field: what a keeper that was started before an upgrade has left.

use serde_json::{Map, Value, json};

/// The lines of a record of version 1 as the JSON of this version.
pub(super) fn value(lines: &str) -> Value {
    let (mut record, mut ending, mut report) = (Map::new(), Map::new(), Map::new());
    for (key, text) in lines.lines().filter_map(|line| line.split_once(' ')) {
        let number = || text.parse().map_or(Value::Null, Value::Number);
        let nanos = || span(text).unwrap_or_default();
        let (fields, key, value) = match key {
            "started_at_ms" => (&mut record, "started_at", number()),
            "started_mono_ns" => (&mut record, "started_mono", nanos()),
            "keeper" | "command" => (&mut record, key, pair(text, ["pid", "start_ticks"])),
            "layout" => (&mut record, key, pair(text, ["head_max", "tail_max"])),
            "boot_id" | "cgroup" | "feeds" | "report" => (&mut record, key, unescaped(text)),
            "stopped" => (&mut record, key, text.into()),
            "exited" | "signaled" => (&mut ending, "end", json!({ key: number() })),
            "spawn_failed" => (&mut ending, "end", json!({ key: { "error": unescaped(text) } })),
            "ended_at_ms" => (&mut ending, "ended_at", number()),
            "duration_ns" => (&mut ending, "duration", nanos()),
            "user_ns" => (&mut ending, "user", nanos()),
            "system_ns" => (&mut ending, "system", nanos()),
            "remark" => (&mut ending, key, unescaped(text)),
            "exit_code" | "max_rss_kib" => (&mut ending, key, number()),
            "spooled" => (&mut ending, key, json!({ "bytes": number() })),
            "spool_failed_by" => (&mut ending, key, unescaped(text)),
            "progress" => (&mut report, key, number()),
            "result" | "error" => (&mut report, key, unescaped(text)),
            "retry_after_ns" => (&mut report, "retry_after", nanos()),
            _ => (&mut record, key, number()),
        };
        fields.insert(key.to_owned(), value);
    }
    if let (Some(code), Some(failed)) = (ending.remove("exit_code"), ending.get_mut("end")) {
        failed["spawn_failed"]["exit_code"] = code;
    }
    if let (Some(failure), Some(spooled)) =
        (ending.remove("spool_failed_by"), ending.get_mut("spooled"))
    {
        spooled["failure"] = failure;
    }
    if ending.contains_key("end") {
        ending.insert("report".to_owned(), report.into());
        record.insert("ending".to_owned(), ending.into());
    }
    record.into()
}

fn pair(text: &str, keys: [&str; 2]) -> Value {
    let numbers = text.split(' ').filter_map(|number| number.parse().ok()).map(Value::Number);
    keys.into_iter().map(str::to_owned).zip(numbers).collect()
}

fn span(nanos: &str) -> Option<Value> {
    let nanos: u64 = nanos.parse().ok()?;
    Some(json!({ "secs": nanos / 1_000_000_000, "nanos": nanos % 1_000_000_000 }))
}

/// Control characters and backslashes stood as `\u{...}`.
fn unescaped(text: &str) -> Value {
    let mut parts = text.split("\\u{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (digits, rest) in parts.filter_map(|part| part.split_once('}')) {
        out.extend(u32::from_str_radix(digits, 16).ok().and_then(char::from_u32));
        out.push_str(rest);
    }
    out.into()
}
