//! Every key of the jobfile has an effect: two jobfiles that differ in that key alone, and something that a user sees differs, too.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use crate::clock_changes::library;
use crate::support::{House, is_root, wait_for};

/// A key, the rest of the jobfile, the key's line in both of them, and what a user sees.
pub(crate) struct Row {
    pub(crate) key: &'static str,
    jobfile: &'static str,
    one: &'static str,
    other: &'static str,
    look: fn(&House) -> String,
}

pub(crate) const fn row(
    key: &'static str,
    jobfile: &'static str,
    [one, other]: [&'static str; 2],
    look: fn(&House) -> String,
) -> Row {
    Row { key, jobfile, one, other, look }
}

pub(crate) fn ended(house: &House, id: i64) -> Value {
    wait_for("the run's end", || {
        let run = house.show(id);
        ["succeeded", "failed", "skipped", "cancelled"]
            .iter()
            .any(|state| run["state"] == *state)
            .then_some(run)
    })
}

/// A run of `a`, after the supervisor has stopped: what became of it, its output, and what anybody wrote down.
pub(crate) fn run(house: &House) -> String {
    fs::create_dir_all(house.path("in")).expect("it is ours");
    let supervisor = house.start();
    let id = house.enqueue(&["a", "x"]);
    let run = ended(house, id);
    assert_eq!(supervisor.stop(), 0);
    let output = house.ask(&["logs", &id.to_string(), "--raw"]).out;
    let (state, attempt, late) = (&run["state"], &run["attempt"], &run["late"]);
    format!("{state} {attempt} {late} {output} {}", house.read("out"))
}

fn next(house: &House) -> String {
    let times = ["next", "a", "-n", "3", "--from", "2026-07-01T00:00:00Z", "--json"];
    house.ask(&times).out
}

fn status_of_a(house: &House) -> String {
    house.ask(&["status", "a"]).expect(0).out
}

fn status(house: &House) -> String {
    house.status()["jobs"].to_string()
}

/// Whether runs of two jobs, which wait for somebody at the door, are under way at the same time.
fn overlap(house: &House, jobs: [&str; 2]) -> String {
    let supervisor = house.start();
    // Both are there before either of them may start, so one turn decides on both.
    house.ask(&["pause", "--all"]).expect(0);
    let ids = jobs.map(|job| house.enqueue(&[job]));
    house.ask(&["resume", "--all"]).expect(0);
    house.wait_state(ids[0], "running");
    let answer = house.show(ids[1])["state"].to_string();
    supervisor.kill();
    answer
}

fn two_of_a(house: &House) -> String {
    overlap(house, ["a", "a"])
}

fn a_and_b(house: &House) -> String {
    overlap(house, ["a", "b"])
}

/// Which of two that were queued together starts first.
fn first_of_a_and_b(house: &House) -> String {
    let supervisor = house.start();
    house.ask(&["pause", "--all"]).expect(0);
    let ids = [house.enqueue(&["a"]), house.enqueue(&["b"])];
    house.ask(&["resume", "--all"]).expect(0);
    let mut runs = ids.map(|id| ended(house, id));
    runs.sort_by_key(|run| run["started_at"].as_str().map(str::to_owned));
    assert_eq!(supervisor.stop(), 0);
    runs[0]["job"].to_string()
}

/// What two additions with the same argument come to, while nothing starts.
fn two_additions(house: &House) -> String {
    let supervisor = house.start();
    house.ask(&["pause", "a"]).expect(0);
    house.enqueue(&["a", "x"]);
    let code = house.ask(&["enqueue", "a", "x"]).code;
    assert_eq!(supervisor.stop(), 0);
    format!("{code} {}", house.runs("a").len())
}

/// How many runs there are after one has succeeded and its item was added again.
fn again_after_success(house: &House) -> String {
    let supervisor = house.start();
    let id = house.enqueue(&["a", "x"]);
    house.wait_state(id, "succeeded");
    house.enqueue(&["a", "x"]);
    assert_eq!(supervisor.stop(), 0);
    house.runs("a").len().to_string()
}

fn second_start(house: &House) -> String {
    let supervisor = house.start();
    let first = house.enqueue(&["a"]);
    let second = house.enqueue(&["a"]);
    house.wait_state(first, "succeeded");
    let answer = wait_for("the second run, or a word why not", || {
        let why = house.ask(&["why", &second.to_string()]).out;
        let is_held = why.contains("rate allows");
        (is_held || house.show(second)["state"] == "succeeded").then_some(is_held)
    });
    supervisor.kill();
    answer.to_string()
}

/// What is left of `a` running after its end.
fn left_running(house: &House) -> String {
    let supervisor = house.start();
    let id = house.enqueue(&["a"]);
    house.wait_state(id, "succeeded");
    let is_left = !house.processes_of(id).is_empty();
    assert_eq!(supervisor.stop(), 0);
    is_left.to_string()
}

/// The first occurrence that is no success, and why.
fn second_occurrence(house: &House) -> String {
    let supervisor = house.start();
    let answer = wait_for("a second occurrence", || {
        let runs = house.runs("a");
        let other = runs.iter().find(|run| run["state"] != "running")?;
        Some(format!("{} {}", other["state"], other["reason"]))
    });
    supervisor.kill();
    answer
}

fn missed_in_the_queue(house: &House) -> String {
    let supervisor = house.start();
    let answer = wait_for("occurrences", || {
        let runs = house.runs("a");
        let is_missed = runs.iter().any(|run| run["reason"] == "missed");
        (is_missed || runs.len() > 3).then_some(is_missed)
    });
    supervisor.kill();
    answer.to_string()
}

/// What becomes of occurrences of an hour in which nobody was there: the first supervisor's clock is an hour behind.
fn missed_in_a_downtime(house: &House) -> String {
    let mut command = house.jobctl();
    command.env("LD_PRELOAD", library().expect("it was there before")).env("FAKETIME", "-1h");
    let supervisor = house.start_with(&mut command, &[]);
    supervisor.kill();
    let supervisor = house.start();
    let answer = wait_for("a word of them", || {
        let runs = house.runs("a");
        let caught_up = runs.iter().any(|run| run["cause"] == "catch_up");
        let missed = runs.iter().any(|run| run["reason"] == "missed");
        (caught_up || missed).then_some(caught_up)
    });
    supervisor.kill();
    answer.to_string()
}

fn fed(house: &House) -> String {
    run(house);
    house.runs("b").len().to_string()
}

/// Who has taken a file, after `b` has.
fn file_taken(house: &House) -> String {
    fs::create_dir_all(house.path("in")).expect("it is ours");
    let supervisor = house.start();
    house.write("in/file", "x");
    wait_for("b to take the file", || (!house.runs("b").is_empty()).then_some(()));
    assert_eq!(supervisor.stop(), 0);
    house.runs("a").len().to_string()
}

/// Whether `a` is late after `b` has taken its time.
fn late_after_b(house: &House) -> String {
    let supervisor = house.start();
    let id = house.enqueue(&["b"]);
    house.wait_state(id, "succeeded");
    let status = house.status();
    assert_eq!(supervisor.stop(), 0);
    status["jobs"][0]["late"].to_string()
}

/// How often anybody was told of two runs of `a`.
fn told_of_two(house: &House) -> String {
    house.write("sendmail", "#!/bin/sh\necho mail >> \"$T/told\"\n");
    fs::set_permissions(house.path("sendmail"), fs::Permissions::from_mode(0o755))
        .expect("it is ours");
    let supervisor = house.start();
    for _ in 0..2 {
        let id = house.enqueue(&["a"]);
        ended(house, id);
    }
    assert_eq!(supervisor.stop(), 0);
    house.lines("told").join(" ")
}

fn told_after_recovery(house: &House) -> String {
    let supervisor = house.start();
    let id = house.enqueue(&["a"]);
    ended(house, id);
    house.write("good", "");
    let id = house.enqueue(&["a"]);
    house.wait_state(id, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    house.lines("told").join(" ")
}

pub(crate) fn left_after_prune(house: &House) -> String {
    let supervisor = house.start();
    for _ in 0..3 {
        let id = house.enqueue(&["a"]);
        house.wait_state(id, "succeeded");
    }
    assert_eq!(supervisor.stop(), 0);
    house.ask(&["prune"]).expect(0);
    house.runs("a").len().to_string()
}

fn first_output_after_three(house: &House) -> String {
    let supervisor = house.start();
    let ids: Vec<i64> = (0..3).map(|_| house.enqueue(&["a"])).collect();
    for id in &ids {
        house.wait_state(*id, "succeeded");
    }
    assert_eq!(supervisor.stop(), 0);
    house.ask(&["logs", &ids[0].to_string(), "--raw"]).out.len().to_string()
}

/// The history of `new` after the job has got that name.
fn renamed(house: &House) -> String {
    let text = house.read("jobs.toml");
    house.write_jobfile("[jobs.old]\ncommand = 'true'\n");
    let supervisor = house.start();
    let id = house.enqueue(&["old"]);
    house.wait_state(id, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    house.write_jobfile(&text);
    assert_eq!(house.start().stop(), 0);
    house.ask(&["runs", "a", "--json"]).out.lines().count().to_string()
}

fn where_the_store_is(house: &House) -> String {
    let mut command = house.jobctl();
    let output = command.env_remove("JOBCTL_STATE_DIR").args(["enqueue", "a"]).output();
    assert!(output.expect("it can be started").status.success());
    ["one", "two"].map(|name| house.path(name).join("jobctl.db").exists().to_string()).join(" ")
}

/// What became of a run that was under way when the supervisor stopped.
fn after_the_stop(house: &House) -> String {
    let supervisor = house.start();
    let id = house.enqueue(&["a"]);
    house.wait_state(id, "running");
    assert_eq!(supervisor.stop(), 0);
    house.show(id)["state"].to_string()
}

fn standard_output(house: &House) -> String {
    let mut command = house.jobctl();
    command.stdout(Stdio::piped());
    let mut supervisor = house.start_with(&mut command, &[]);
    let mut stdout = supervisor.stdout();
    let id = house.enqueue(&["a"]);
    house.wait_state(id, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut text).expect("it is text");
    text
}

fn file_made(house: &House) -> String {
    let supervisor = house.start();
    let id = house.enqueue(&["a"]);
    house.wait_state(id, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    house.path("made").exists().to_string()
}

fn first_letter_of_the_log(house: &House) -> String {
    let supervisor = house.spawn(&mut house.jobctl(), &[]);
    house.wait_text("log", "ready");
    assert_eq!(supervisor.stop(), 0);
    house.read("log").chars().take(1).collect()
}

const ECHO: &str = "[jobs.a]\ncommand = 'true'\n";
const FAILS: &str =
    "[jobs.a]\ncommand = 'exit 3'\nhook_interval = '0s'\nenv = { PATH = '@T@:/usr/bin:/bin' }\n";
const WAITS: &str =
    "[jobs.b]\ncommand = 'read _ < \"$T/door\"'\n[jobs.a]\ncommand = 'read _ < \"$T/door\"'\n";
const HANGS: &str =
    "[jobs.a]\nschedule = '@every 1s'\ncommand = 'read _ < \"$T/door\" || sleep 100'\n";
const NOTHING: &str = "";

/// The line stands below the jobfile, so it is a key of the last table; keys of the top stand before it.
const OF_JOBS: &[Row] = &[
    row("command", "[jobs.a]\n", ["command = 'echo one'", "command = 'echo two'"], run),
    row(
        "shell",
        "[jobs.a]\ncommand = 'echo ${BASH_VERSION:+bash}'\n",
        [NOTHING, "shell = ['/bin/bash', '-c']"],
        run,
    ),
    row("schedule", ECHO, ["schedule = '0 3 * * *'", "schedule = '0 4 * * *'"], next),
    row(
        "timezone",
        "[jobs.a]\ncommand = 'true'\nschedule = '0 3 * * *'\n",
        ["timezone = 'UTC'", "timezone = 'Asia/Tokyo'"],
        next,
    ),
    row(
        "enabled",
        "[jobs.a]\ncommand = 'true'\nschedule = '0 3 * * *'\n",
        [NOTHING, "enabled = false"],
        next,
    ),
    row("description", ECHO, [NOTHING, "description = 'says nothing'"], status_of_a),
    row("was", ECHO, [NOTHING, "was = ['old']"], renamed),
    row("overlap", HANGS, [NOTHING, "overlap = 'queue-all'"], second_occurrence),
    row("concurrency", WAITS, [NOTHING, "concurrency = 2"], two_of_a),
    row(
        "lock",
        "[jobs.b]\ncommand = 'read _ < \"$T/door\"'\nlock = 'l'\n[jobs.a]\ncommand = 'read _ < \"$T/door\"'\n",
        [NOTHING, "lock = 'l'"],
        a_and_b,
    ),
    row(
        "priority",
        "max_running = 1\n[jobs.a]\ncommand = 'true'\n[jobs.b]\ncommand = 'true'\n",
        [NOTHING, "priority = 5"],
        first_of_a_and_b,
    ),
    row("rate", ECHO, [NOTHING, "rate = '1/h'"], second_start),
    row("backlog_max", ECHO, [NOTHING, "backlog_max = 1"], two_additions),
    row(
        "retry",
        "[jobs.a]\ncommand = 'exit 3'\n",
        [NOTHING, "retry = { max = 1, delay = '1ms' }"],
        run,
    ),
    row("timeout", "[jobs.a]\ncommand = 'sleep 0.3'\n", [NOTHING, "timeout = '20ms'"], run),
    row(
        "stop_signal",
        "[jobs.a]\ntimeout = '200ms'\ncommand = 'trap \"echo term; exit\" TERM; trap \"echo usr1; exit\" USR1; while :; do sleep 0.01; done'\n",
        [NOTHING, "stop_signal = 'USR1'"],
        run,
    ),
    row(
        "stop_grace",
        "[jobs.a]\ntimeout = '200ms'\ncommand = 'trap \"\" TERM; sleep 0.8; echo survived'\n",
        [NOTHING, "stop_grace = '10ms'"],
        run,
    ),
    row(
        "leftovers",
        "[jobs.a]\ncommand = 'sleep 100 > /dev/null 2>&1 &'\n",
        [NOTHING, "leftovers = 'kill'"],
        left_running,
    ),
    row("success_exit", "[jobs.a]\ncommand = 'exit 3'\n", [NOTHING, "success_exit = [0, 3]"], run),
    row("skip_exit", "[jobs.a]\ncommand = 'exit 3'\n", [NOTHING, "skip_exit = [3]"], run),
    row(
        "no_retry_exit",
        "[jobs.a]\ncommand = 'exit 3'\nretry = { max = 1, delay = '1ms' }\n",
        [NOTHING, "no_retry_exit = [3]"],
        run,
    ),
    row(
        "start_deadline",
        "[jobs.a]\nschedule = '@every 1s'\noverlap = 'queue-all'\ncommand = 'sleep 100'\n",
        [NOTHING, "start_deadline = '500ms'"],
        missed_in_the_queue,
    ),
    row(
        "jitter",
        "[jobs.a]\ncommand = 'true'\nschedule = '0 3 * * *'\n",
        [NOTHING, "jitter = '10h'"],
        status,
    ),
    row("cwd", "[jobs.a]\ncommand = 'pwd'\n", ["cwd = '/usr'", "cwd = '/etc'"], run),
    row("umask", "[jobs.a]\ncommand = 'umask'\n", [NOTHING, "umask = '077'"], run),
    row("nice", "[jobs.a]\ncommand = 'nice'\n", [NOTHING, "nice = 7"], run),
    row("env", "[jobs.a]\ncommand = 'echo \"$V\"'\n", [NOTHING, "env = { V = 'set' }"], run),
    row(
        "env_file",
        "[jobs.a]\ncommand = 'echo \"$V\"'\n",
        [NOTHING, "env_file = '@T@/vars'"],
        |house| {
            house.write("vars", "V=set\n");
            run(house)
        },
    ),
    row(
        "inherit_env",
        "[jobs.a]\ncommand = 'echo \"$T\"'\n",
        [NOTHING, "inherit_env = false"],
        run,
    ),
    row(
        "limits",
        "[jobs.a]\ncommand = 'ulimit -n'\n",
        [NOTHING, "limits = { open_files = 99 }"],
        run,
    ),
    row("stdin", "[jobs.a]\ncommand = 'cat'\n", [NOTHING, "stdin = 'given'"], run),
    row(
        "output_max",
        "[jobs.a]\ncommand = 'head -c 9000 /dev/zero | tr \"\\\\0\" x'\n",
        [NOTHING, "output_max = '1 KiB'"],
        run,
    ),
    row(
        "feeds",
        "[jobs.b]\ncommand = 'true'\n[jobs.a]\ncommand = 'echo item'\n",
        [NOTHING, "feeds = 'b'"],
        fed,
    ),
    row(
        "watch",
        "[jobs.b]\ncommand = 'true'\nwatch = '@T@/in/*'\n[jobs.a]\ncommand = 'true'\n",
        [NOTHING, "watch = '@T@/in/*'"],
        file_taken,
    ),
    row("key", ECHO, [NOTHING, "key = '{1}'"], two_additions),
    row(
        "key_for",
        "[jobs.a]\ncommand = 'true'\nkey = '{1}'\n",
        [NOTHING, "key_for = '1h'"],
        again_after_success,
    ),
    row(
        "expect_within",
        "[jobs.a]\ncommand = 'sleep 0.4'\n",
        [NOTHING, "expect_within = '50ms'"],
        run,
    ),
    row(
        "expect_every",
        "[jobs.b]\ncommand = 'sleep 0.5'\n[jobs.a]\ncommand = 'true'\n",
        [NOTHING, "expect_every = '100ms'"],
        late_after_b,
    ),
    row("on_failure", FAILS, [NOTHING, "on_failure = 'echo failure >> \"$T/told\"'"], told_of_two),
    row(
        "on_recovery",
        "[jobs.a]\ncommand = 'test -e \"$T/good\"'\n",
        [NOTHING, "on_recovery = 'echo recovery >> \"$T/told\"'"],
        told_after_recovery,
    ),
    row("on_success", ECHO, [NOTHING, "on_success = 'echo success >> \"$T/told\"'"], told_of_two),
    row(
        "on_attempt_failure",
        FAILS,
        [NOTHING, "on_attempt_failure = 'echo attempt >> \"$T/told\"'"],
        told_of_two,
    ),
    row(
        "on_late",
        "[jobs.a]\ncommand = 'sleep 0.4'\nexpect_within = '50ms'\n",
        [NOTHING, "on_late = 'echo late >> \"$T/told\"'"],
        told_of_two,
    ),
    row("mailto", FAILS, [NOTHING, "mailto = 'ops'"], told_of_two),
    row(
        "mail_on",
        "[jobs.a]\ncommand = 'echo said'\nhook_interval = '0s'\nmailto = 'ops'\nenv = { PATH = '@T@:/usr/bin:/bin' }\n",
        [NOTHING, "mail_on = 'output'"],
        told_of_two,
    ),
    row(
        "hook_interval",
        "[jobs.a]\ncommand = 'exit 3'\non_failure = 'echo failure >> \"$T/told\"'\n",
        ["hook_interval = '0s'", "hook_interval = '1h'"],
        told_of_two,
    ),
    row("keep", ECHO, [NOTHING, "keep = { runs = 1 }"], left_after_prune),
];

/// The line stands above the jobfile.
const OF_THE_TOP: &[Row] = &[
    row(
        "timezone",
        "[jobs.a]\ncommand = 'true'\nschedule = '0 3 * * *'\n",
        ["timezone = 'UTC'", "timezone = 'Asia/Tokyo'"],
        next,
    ),
    row("include", ECHO, [NOTHING, "include = ['more.toml']"], |house| {
        house.write("more.toml", "[jobs.b]\ncommand = 'true'\n");
        status(house)
    }),
    row(
        "defaults",
        "[jobs.a]\ncommand = 'exit 3'\n",
        [NOTHING, "[defaults]\nsuccess_exit = [3]"],
        run,
    ),
    row("jobs", ECHO, [NOTHING, "[jobs.b]\ncommand = 'true'"], status),
    row("state_dir", ECHO, ["state_dir = '@T@/one'", "state_dir = '@T@/two'"], where_the_store_is),
    row("max_running", WAITS, ["max_running = 1", "max_running = 2"], a_and_b),
    row(
        "on_stop",
        "stop_timeout = '0s'\n[jobs.a]\ncommand = 'sleep 100'\n",
        [NOTHING, "on_stop = 'detach'"],
        after_the_stop,
    ),
    row(
        "stop_timeout",
        "[jobs.a]\ncommand = 'sleep 0.5'\nstop_grace = '1ms'\n",
        [NOTHING, "stop_timeout = '0s'"],
        after_the_stop,
    ),
    row(
        "output_total_max",
        "[jobs.a]\ncommand = 'head -c 700000 /dev/zero'\n",
        [NOTHING, "output_total_max = '1 MiB'"],
        first_output_after_three,
    ),
    row(
        "hash_seed",
        "[jobs.a]\ncommand = 'true'\nschedule = 'H H * * *'\n",
        ["hash_seed = 'one'", "hash_seed = 'two'"],
        next,
    ),
    row(
        "forward_output",
        "[jobs.a]\ncommand = 'echo said'\n",
        [NOTHING, "forward_output = true"],
        standard_output,
    ),
    row("metrics_file", ECHO, [NOTHING, "metrics_file = '@T@/made'"], file_made),
    row("heartbeat", ECHO, [NOTHING, "heartbeat = { file = '@T@/made', every = '1m' }"], file_made),
    row("log_format", ECHO, [NOTHING, "log_format = 'json'"], first_letter_of_the_log),
];

/// What a user sees with one line and with the other one.
pub(crate) fn both(rows: &[Row], is_above: bool) {
    for row in rows {
        let seen = [row.one, row.other].map(|line| {
            let text = if is_above {
                format!("{line}\n{}", row.jobfile)
            } else {
                format!("{}{line}\n", row.jobfile)
            };
            let house = House::new(&text);
            if text.contains("/door") {
                nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU)
                    .expect("a FIFO");
            }
            // What the directory is called is no difference.
            (row.look)(&house).replace(&house.dir().display().to_string(), "@T@")
        });
        assert_ne!(seen[0], seen[1], "`{}` makes no difference", row.key);
    }
}

#[test]
fn each_key_of_the_top_makes_a_difference() {
    both(OF_THE_TOP, true);
}

#[test]
fn each_key_of_a_job_makes_a_difference() {
    let (first, rest) = OF_JOBS.split_at(OF_JOBS.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| both(rest, false));
        both(first, false);
        if let Err(panic) = other.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn the_user_and_the_group_of_a_job_make_a_difference() {
    if !is_root() {
        crate::support::skipped(crate::support::Need::Root, "only root gives a job another user");
        return;
    }
    both(
        &[
            row("user", "[jobs.a]\ncommand = 'id -u'\n", [NOTHING, "user = 'nobody'"], run),
            row(
                "group",
                "[jobs.a]\ncommand = 'id -g'\nuser = 'nobody'\n",
                [NOTHING, "group = 'mail'"],
                run,
            ),
        ],
        false,
    );
}

#[test]
fn what_is_caught_up_makes_a_difference() {
    if library().is_none() {
        return;
    }
    let jobfile = "[jobs.a]\ncommand = 'true'\nschedule = '@every 40m'\n";
    let lines = [NOTHING, "catch_up = 'last'"];
    both(&[row("catch_up", jobfile, lines, missed_in_a_downtime)], false);
}

/// The names of a table of `src/jobfile/keys.rs`, which stands between two others.
pub(crate) fn names(from: &str, to: &str) -> BTreeSet<String> {
    let table = include_str!("../../src/jobfile/keys.rs");
    let part = table
        .split(from)
        .nth(1)
        .and_then(|rest| rest.split(to).next())
        .expect("the tables are there");
    let keys = part.split("key(").skip(1);
    keys.filter_map(|key| Some(key.trim_start().strip_prefix('"')?.split('"').next()?.to_owned()))
        .collect()
}

pub(crate) fn tried(rows: &[Row]) -> BTreeSet<String> {
    rows.iter().map(|row| row.key.to_owned()).collect()
}

#[test]
fn no_key_is_left_out() {
    assert_eq!(names("const TOP:", "const JOB:"), tried(OF_THE_TOP));
    let mut of_jobs = tried(OF_JOBS);
    of_jobs.extend(["user", "group", "catch_up"].map(str::to_owned));
    assert_eq!(names("const JOB:", "const RETRY:"), of_jobs);
}
