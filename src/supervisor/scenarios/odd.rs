//! A store with values that no jobctl writes: nothing read from it may panic, and a job that has
//! none of them goes on.

use super::*;
use crate::store::PruneLimits;

const JOBFILE: &str = "timezone = 'UTC'\n\
    [jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\nretry = 3\non_failure = 'tell'\nkey = '{1}'\nkey_for = '1h'\nrate = '100/s'\n\
    lock = 'db-{1}'\nexpect_every = '1h'\nstart_deadline = '1h'\nconcurrency = 3\noverlap = 'queue-all'\nkeep = { succeeded = '1h', failed = '1h', runs = 5 }\n\
    [jobs.b]\ncommand = 'x'\n";

/// What stands in a column instead, as SQL.
const VALUES: [&str; 11] = [
    "NULL",
    "-1",
    "0",
    "1",
    "99",
    "70000",
    "9223372036854775807",
    "-9223372036854775808",
    "1e300",
    "'x'",
    "x'ff00'",
];

/// A table, a column of it, and which rows.
type Place = (String, String, String);

/// A store with runs of `a` in every state, attempts, outputs, a notice under way, and all else
/// that a table can hold.
fn full() -> Scenario {
    let mut day = Scenario::new(JOBFILE, "2026-06-01T00:00:30Z");
    let long = || (100_000, End::Exited(0));
    day.acts("a", &[(1, End::Exited(1)), long(), long(), (1, End::Exited(0))]);
    day.acts("a failure", &[long()]);
    day.enqueue("a", 5);
    day.advance(100);
    let store = &day.supervisor.store;
    for sql in [
        "INSERT INTO run(job, state, cause, created_at, due_at) SELECT id, 1, 3, 5, 1900000000000 FROM job WHERE name = 'a'",
        "INSERT INTO run(job, state, cause, created_at, due_at, \"after\") SELECT id, 1, 3, 5, NULL, '1' FROM job WHERE name = 'a'",
        "INSERT INTO dependency(run, \"on\", ended) SELECT max(id), 1, 5 FROM run",
        "INSERT INTO run(job, state, cause, created_at, due_at, expires_at) SELECT id, 2, 3, 5, 5, 1900000000000 FROM job WHERE name = 'a'",
        "INSERT INTO run(job, state, cause, created_at, scheduled_at, ended_at, reason, count) SELECT id, 7, 1, 5, 5, 6, 10, 3 FROM job WHERE name = 'a'",
        "INSERT INTO run(job, state, cause, created_at, ended_at, attempt, reason) SELECT id, 6, 3, 5, 6, 1, 1 FROM job WHERE name = 'a'",
        "INSERT INTO run(job, state, cause, created_at, attempt, claim) SELECT id, 3, 6, 5, 1, 7 FROM job WHERE name = 'a'",
        "INSERT INTO run(job, state, cause, created_at, attempt, claim, stop) SELECT id, 3, 3, 5, 1, 7, 1 FROM job WHERE name = 'a'",
        "INSERT INTO feed(run, claim, position, count, is_done) VALUES (1, 1, 5, 1, 1)",
        "INSERT INTO run(job, state, cause, created_at, due_at, args, feed) SELECT id, 0, 4, 5, 5, x'6100', 1 FROM job WHERE name = 'a'",
        "INSERT OR IGNORE INTO attempt(run, attempt, policy, started_at, slot) SELECT id, 1, 1, 6, 40 + coalesce(stop, 0) FROM run WHERE claim = 7",
        "INSERT OR IGNORE INTO attempt(run, attempt, policy, started_at, outcome) VALUES (1, 1, 1, 5, 1)",
        "INSERT OR IGNORE INTO output(run, attempt, total, head, tail) VALUES (1, 1, 5, x'61', x'61')",
        "INSERT OR IGNORE INTO output(run, attempt, total, head_max, tail_max) VALUES (2, 1, 5, 1, 1)",
        "INSERT INTO input(run, bytes) SELECT max(id), x'61' FROM run",
        "INSERT INTO downtime(from_at, to_at) VALUES (5, 6)",
        "INSERT OR REPLACE INTO meta(key, value) VALUES ('age_held', 'boot 5 5'), ('output_bytes', 5), ('reload_asked', 1), \
         ('paused_at', NULL), ('paused_until', NULL)",
        "UPDATE job SET paused_at = 5, paused_until = 6 WHERE name = 'a'",
    ] {
        store.execute_raw(sql);
    }
    day
}

/// Every column of the tables, but for the rows of `b`.
fn places() -> Vec<Place> {
    let day = full();
    let texts = |sql: &str| day.supervisor.store.texts_raw(sql);
    let mut places = Vec::new();
    for table in
        texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    {
        let condition = match table.as_str() {
            "meta" => {
                for key in texts("SELECT key FROM meta") {
                    places.push((table.clone(), "value".into(), format!("key = '{key}'")));
                }
                continue;
            }
            "job" => "name = 'a'",
            _ => "1",
        };
        for column in texts(&format!("SELECT name FROM pragma_table_info('{table}')")) {
            places.push((table.clone(), column, condition.into()));
        }
    }
    places
}

fn put(day: &Scenario, (table, column, condition): &Place, value: &str) {
    day.supervisor
        .store
        .try_raw(&format!("UPDATE OR IGNORE {table} SET \"{column}\" = {value} WHERE {condition}"));
}

/// Starts on such a store, plans, claims, finishes, removes; and asks what commands ask. Whether
/// `b` was executed.
fn lives(day: &mut Scenario) -> bool {
    day.advance_clocks(Duration::from_secs(30));
    let store = std::mem::replace(&mut day.supervisor.store, Store::vacant());
    let spawner = std::mem::take(&mut day.supervisor.spawner);
    day.supervisor = supervisor(store, &day.state_dir, &day.boot_id, day.now);
    day.supervisor.spawner = spawner;
    let Ok(_) = day.try_load(JOBFILE, Removal::Now) else {
        return false;
    };
    if day.supervisor.recover(day.now).is_err() {
        return false;
    }
    let _ = day.supervisor.store.resume(Scope::All, day.now.wall);
    let b = day.enqueue("b", 1)[0];
    for seconds in [0, 1, 2, 5, 61, 200_000] {
        day.advance_clocks(Duration::from_secs(seconds));
        for _ in 0..3 {
            let _ = day.turn(&[Event::Rung]);
        }
    }
    let run = day.supervisor.store.run(b);
    ask(day);
    run.is_ok_and(|run| run.is_some_and(|run| run.state == State::Succeeded))
}

/// What commands read: an error is an answer.
fn ask(day: &mut Scenario) {
    let now = day.now.wall;
    let store = &mut day.supervisor.store;
    let runs = store.runs(&Filter::default(), None).unwrap_or_default();
    for run in &runs {
        let _ = store.attempts(run.id);
        let _ = store.output(run.id, run.attempt);
        let _ = store.input(run.id);
        let _ = store.notices_of_run(run.id);
        let _ = run.started_at.map(Wall::rfc3339_ms);
        let _ = store.retry_if_ended(run.id, Some(2), now, Force::Yes);
        let _ = store.cancel_if_unfinished(run.id, now);
        let _ = store.ack_if_failed(run.id, now);
    }
    for job in store.jobs().unwrap_or_default() {
        let _ = job.has_rest();
        let keep = crate::core::job::Keep::default();
        let _ = store.prune(job.id, 0, 100, &PruneLimits::of(&keep, now));
    }
    let _ = store.supervisor();
    let _ = store.resume(Scope::All, now);
}

/// Puts values into places and lets the store live: what became of that, if it is not as it should
/// be.
fn fault(changes: &[(&Place, &str)]) -> Option<String> {
    let mut day = full();
    for (place, value) in changes {
        put(&day, place, value);
    }
    let life = std::panic::AssertUnwindSafe(|| lives(&mut day));
    let how = match std::panic::catch_unwind(life) {
        Ok(true) => return None,
        Ok(false) => "stops others",
        Err(_) => "panics",
    };
    Some(format!("{how}: {changes:?}"))
}

#[test]
fn no_value_in_any_column_panics_and_other_jobs_go_on() {
    assert_eq!(fault(&[]), None, "the store as it should be");
    let places = places();
    let rounds = std::env::var("JOBCTL_ODD_ROUNDS").map_or(2, |text| text.parse().unwrap());
    let mut faults = Vec::new();
    for round in 0..rounds {
        for (index, place) in places.iter().enumerate() {
            let value = |nth: usize| VALUES[(index + 4 * round + nth) % VALUES.len()];
            let other = |step: usize| &places[(index * step + round) % places.len()];
            // Alone, or with two others.
            let all = [(place, value(0)), (other(7), value(3)), (other(31), value(5))];
            let count = if round % 2 == 0 { 1 } else { all.len() };
            faults.extend(fault(&all[..count]));
        }
    }
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), faults.join("\n"));
}
