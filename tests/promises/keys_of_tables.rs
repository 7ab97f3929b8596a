//! Every key of the tables in a jobfile (`retry`, `keep`, `limits`, `heartbeat`) has an effect, as
//! in `keys`.

use std::time::Duration;

use chrono::DateTime;
use jobctl::keys::Table;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::keys::{Row, both, join, knock, left_after_prune, names, row, run, tried, word};
use crate::support::{House, found_within, wait_for};

fn ms(run: &Value, name: &str) -> i64 {
    let text = run[name].as_str().expect("a time");
    let time = DateTime::parse_from_rfc3339(text).expect("it is in RFC 3339");
    time.timestamp_millis()
}

/// How long the retry after an attempt is put off, in seconds.
fn delay_after(house: &House, attempt: usize) -> String {
    let supervisor = house.start();
    let id = house.enqueue(&["a"]);
    let run = wait_for("it to be retried", || {
        let run = house.show(id);
        (run["state"] == "retrying" && run["attempt"] == attempt).then_some(run)
    });
    let ended_at = ms(&run["attempts"][attempt - 1], "ended_at");
    supervisor.kill();
    ((ms(&run, "due_at") - ended_at + 500) / 1000).to_string()
}

fn first_delay(house: &House) -> String {
    delay_after(house, 1)
}

/// Whether a run ends, or waits for long after its second attempt.
fn after_two_attempts(house: &House) -> String {
    let supervisor = house.start();
    let id = house.enqueue(&["a"]);
    let state = wait_for("an end, or a long wait", || {
        let run = house.show(id);
        let waits_long =
            run["state"] == "retrying" && ms(&run, "due_at") > ms(&run, "created_at") + 60_000;
        (waits_long || run["state"] == "failed").then(|| word(&run["state"]).to_owned())
    });
    supervisor.kill();
    state
}

/// What becomes of an occurrence that is retrying when the next one comes.
fn after_the_next_occurrence(house: &House) -> String {
    let supervisor = house.start();
    let runs = wait_for("two occurrences that were tried", || {
        let runs = house.runs("a");
        let tried = runs.iter().filter(|run| run["attempt"] == 1).count();
        let is_settled = runs.iter().all(|run| run["state"] != "running");
        (tried > 1 && is_settled).then_some(runs)
    });
    supervisor.kill();
    join(&[word(&runs[0]["state"]), word(&runs[0]["reason"])])
}

/// What becomes of a run whose keeper is killed.
fn after_the_keeper_was_killed(house: &House) -> String {
    let supervisor = house.start();
    let id = house.enqueue(&["a"]);
    house.wait_state(id, "running");
    wait_for("its command", || house.path("begun").exists().then_some(()));
    let keeper = wait_for("its keeper", || house.keepers().first().copied());
    kill(Pid::from_raw(keeper), Signal::SIGKILL).expect("it lives");
    let run = wait_for("its end", || Some(house.show(id)).filter(|run| run["state"] != "running"));
    supervisor.kill();
    join(&[word(&run["state"]), word(&run["reason"])])
}

/// Failures, of which all are acknowledged, that are left after they were pruned.
fn failures_left(house: &House) -> String {
    let supervisor = house.start();
    for _ in 0..3 {
        let id = house.enqueue(&["a"]);
        house.wait_state(id, "failed");
    }
    house.ask(&["ack", "--failed"]).expect(0);
    assert_eq!(supervisor.stop(), 0);
    house.ask(&["prune"]).expect(0);
    house.runs("a").len().to_string()
}

/// Which of the ways there are in which a supervisor shows that it lives.
fn beats(house: &House) -> String {
    let supervisor = house.start();
    let seen = wait_for("a sign of life", || {
        ["file", "command", "other"].into_iter().find(|name| house.path(name).exists())
    });
    supervisor.kill();
    seen.to_owned()
}

/// Whether there is a second beat soon after the first one.
fn second_beat(house: &House) -> String {
    let supervisor = house.start();
    house.wait_lines("beats", 1);
    let more = || (house.lines("beats").len() > 1).then_some(());
    let is_soon = found_within(Duration::from_secs(2), more).is_some();
    supervisor.kill();
    is_soon.to_string()
}

const FAILS: &str = "[jobs.a]\ncommand = 'exit 3'\n";
const SUCCEEDS: &str = "[jobs.a]\ncommand = 'true'\n";
const ECHOES: &str = "[jobs.a]\nshell = ['/bin/bash', '-c']\n";
const BEATEN: &str = "[jobs.a]\ncommand = 'true'\n";

const OF_RETRY: &[Row] = &[
    row(
        "max",
        FAILS,
        [
            ("retry = { max = 1, delay = '1ms' }", "failed 2"),
            ("retry = { max = 2, delay = '1ms' }", "failed 3"),
        ],
        run,
    ),
    row(
        "delay",
        FAILS,
        [
            ("retry = { max = 1, jitter = 0, delay = '10m' }", "600"),
            ("retry = { max = 1, jitter = 0, delay = '20m' }", "1200"),
        ],
        first_delay,
    ),
    row(
        "factor",
        FAILS,
        [
            ("retry = { max = 2, delay = '100ms', factor = 1 }", "failed"),
            ("retry = { max = 2, delay = '100ms', factor = 1000 }", "retrying"),
        ],
        after_two_attempts,
    ),
    row(
        "max_delay",
        FAILS,
        [
            (
                "retry = { max = 2, jitter = 0, delay = '1s', factor = 1000, max_delay = '1m' }",
                "60",
            ),
            (
                "retry = { max = 2, jitter = 0, delay = '1s', factor = 1000, max_delay = '2m' }",
                "120",
            ),
        ],
        |house| delay_after(house, 2),
    ),
    row(
        "jitter",
        FAILS,
        [
            ("retry = { max = 1, delay = '1h', jitter = 0 }", "3600"),
            ("retry = { max = 1, delay = '1h', jitter = 0.9 }", "*"),
        ],
        first_delay,
    ),
    row(
        "give_up_after",
        FAILS,
        [
            ("retry = { max = 1, delay = '100ms' }", "failed 2"),
            ("retry = { max = 1, delay = '100ms', give_up_after = '1ms' }", "failed 1"),
        ],
        run,
    ),
    row(
        "on_next",
        "[jobs.a]\nschedule = '@every 1s'\ncommand = 'exit 3'\n",
        [
            ("retry = { max = 1, delay = '1h', on_next = 'supersede' }", "failed superseded"),
            ("retry = { max = 1, delay = '1h', on_next = 'keep' }", "retrying"),
        ],
        after_the_next_occurrence,
    ),
    row(
        "lost",
        "[jobs.a]\ncommand = 'touch \"$T/begun\"; sleep 100'\n",
        [
            ("retry = { max = 1, delay = '1h', lost = true }", "retrying"),
            ("retry = { max = 1, delay = '1h', lost = false }", "failed lost"),
        ],
        after_the_keeper_was_killed,
    ),
];

const OF_LIMITS: &[Row] = &[
    row(
        "cpu_time",
        ECHOES,
        [
            ("command = 'ulimit -t'", "succeeded 1 *"),
            ("command = 'ulimit -t'\nlimits = { cpu_time = '77s' }", "succeeded 1 77"),
        ],
        run,
    ),
    row(
        "open_files",
        ECHOES,
        [
            ("command = 'ulimit -n'", "succeeded 1 *"),
            ("command = 'ulimit -n'\nlimits = { open_files = 77 }", "succeeded 1 77"),
        ],
        run,
    ),
    row(
        "processes",
        ECHOES,
        [
            ("command = 'ulimit -u'", "succeeded 1 *"),
            ("command = 'ulimit -u'\nlimits = { processes = 777 }", "succeeded 1 777"),
        ],
        run,
    ),
    row(
        "file_size",
        ECHOES,
        [
            ("command = 'ulimit -f'", "succeeded 1 *"),
            ("command = 'ulimit -f'\nlimits = { file_size = '77 KiB' }", "succeeded 1 77"),
        ],
        run,
    ),
    row(
        "address_space",
        ECHOES,
        [
            ("command = 'ulimit -v'", "succeeded 1 *"),
            ("command = 'ulimit -v'\nlimits = { address_space = '777 MiB' }", "succeeded 1 795648"),
        ],
        run,
    ),
];

const OF_KEEP: &[Row] = &[
    row(
        "succeeded",
        SUCCEEDS,
        [("keep = { succeeded = '1h' }", "3"), ("keep = { succeeded = '1ms' }", "1")],
        left_after_prune,
    ),
    row(
        "failed",
        FAILS,
        [("keep = { failed = '1h' }", "3"), ("keep = { failed = '1ms' }", "1")],
        failures_left,
    ),
    row(
        "runs",
        SUCCEEDS,
        [("keep = { runs = 3 }", "3"), ("keep = { runs = 1 }", "1")],
        left_after_prune,
    ),
];

const OF_HEARTBEAT: &[Row] = &[
    row(
        "command",
        BEATEN,
        [
            ("heartbeat = { command = 'touch \"$T/command\"', every = '1m' }", "command"),
            ("heartbeat = { command = 'touch \"$T/other\"', every = '1m' }", "other"),
        ],
        beats,
    ),
    row(
        "file",
        BEATEN,
        [
            ("heartbeat = { file = '@T@/file', every = '1m' }", "file"),
            ("heartbeat = { file = '@T@/other', every = '1m' }", "other"),
        ],
        beats,
    ),
    row(
        "every",
        BEATEN,
        [
            ("heartbeat = { command = 'echo beat >> \"$T/beats\"', every = '20ms' }", "true"),
            ("heartbeat = { command = 'echo beat >> \"$T/beats\"', every = '1h' }", "false"),
        ],
        second_beat,
    ),
];

const TOKEN: &str = "door.tokens.shop = 'sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b'\n\
     [jobs.a]\ncommand = 'true'\n";

const OPEN: &str = "door.listen = 'unix:@T@/d.sock'\n\
     door.tokens.shop = 'sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b'\n\
     [jobs.a]\ncommand = 'true'\n";

const OF_DOOR: &[Row] = &[
    row(
        "listen",
        TOKEN,
        [("door.listen = []", "closed closed"), ("door.listen = 'unix:@T@/d.sock'", "403 404")],
        knock,
    ),
    row(
        "view",
        OPEN,
        [("door.view = []", "403 404"), ("door.view = 'token:shop'", "403 200")],
        knock,
    ),
    row(
        "operate",
        OPEN,
        [("door.operate = []", "403 404"), ("door.operate = 'token:shop'", "201 200")],
        knock,
    ),
    row(
        "tokens",
        "door.listen = 'unix:@T@/d.sock'\n[jobs.a]\ncommand = 'true'\n",
        [
            ("door.tokens = { }", "401 401"),
            (
                "door.tokens.shop = 'sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b'",
                "403 404",
            ),
        ],
        knock,
    ),
];

#[test]
fn each_key_of_the_door_makes_a_difference() {
    both(OF_DOOR, true);
}

#[test]
fn each_key_of_a_retry_makes_a_difference() {
    both(OF_RETRY, false);
}

#[test]
fn each_key_of_the_limits_makes_a_difference() {
    both(OF_LIMITS, false);
}

#[test]
fn each_key_of_what_is_kept_makes_a_difference() {
    both(OF_KEEP, false);
}

#[test]
fn each_key_of_the_heartbeat_makes_a_difference() {
    both(OF_HEARTBEAT, true);
}

#[test]
fn no_key_of_a_table_is_left_out() {
    assert_eq!(names(Table::Retry), tried(OF_RETRY));
    let mut limits = tried(OF_LIMITS);
    // It wants a control group: `cgroup` has its tests.
    limits.insert("memory".to_owned());
    assert_eq!(names(Table::Limits), limits);
    assert_eq!(names(Table::Keep), tried(OF_KEEP));
    assert_eq!(names(Table::Heartbeat), tried(OF_HEARTBEAT));
    assert_eq!(names(Table::Door), tried(OF_DOOR));
}
