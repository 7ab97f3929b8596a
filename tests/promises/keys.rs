//! Every key of the jobfile has its effect: two jobfiles differ in that key alone, and a user sees
//! what each of them is to do.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use glob::Pattern;
use jobctl::keys::Table;
use serde_json::Value;

use crate::clock_changes::library;
use crate::support::http::{request, send};
use crate::support::{House, is_root, wait_for};

/// A key, the rest of the jobfile, the key's line in both of them with what a user is to see (`*`
/// is anything), and how that is looked at.
pub(crate) struct Row {
    pub(crate) key: &'static str,
    jobfile: &'static str,
    lines: [(&'static str, &'static str); 2],
    look: fn(&House) -> String,
}

pub(crate) const fn row(
    key: &'static str,
    jobfile: &'static str,
    lines: [(&'static str, &'static str); 2],
    look: fn(&House) -> String,
) -> Row {
    Row { key, jobfile, lines, look }
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

/// A run of `a`, after the supervisor has stopped: what became of it, its output, and what anybody
/// wrote down.
pub(crate) fn run(house: &House) -> String {
    fs::create_dir_all(house.path("in")).expect("it is ours");
    let supervisor = house.start();
    let id = house.enqueue(&["a", "x"]);
    let run = ended(house, id);
    assert_eq!(supervisor.stop(), 0);
    let output = house.ask(&["logs", &id.to_string(), "--raw"]).out;
    let late = if run["late"] == true { "late" } else { "" };
    let written = house.read("out");
    join(&[word(&run["state"]), &run["attempt"].to_string(), late, &output, &written])
}

/// The text of a JSON string; nothing of null.
pub(crate) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Words with a space between them, without those that are empty.
pub(crate) fn join(words: &[&str]) -> String {
    let words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The first occurrence of `a` in July.
fn next(house: &House) -> String {
    let args = ["next", "a", "-n", "1", "--from", "2026-07-01T00:00:00Z", "--json"];
    let next = house.ask(&args).out;
    next.lines().next().map_or_else(String::new, |line| {
        let occurrence: Value = serde_json::from_str(line).expect("JSON");
        word(&occurrence["at"]).to_owned()
    })
}

fn status_of_a(house: &House) -> String {
    house.ask(&["status", "a"]).expect(0).out
}

fn names_of_jobs(house: &House) -> String {
    let status = house.status();
    let jobs = status["jobs"].as_array().expect("a list").iter();
    jobs.map(|job| word(&job["name"])).collect::<Vec<_>>().join(" ")
}

fn jitter(house: &House) -> String {
    house.status()["jobs"][0]["jitter_ms"].to_string()
}

/// Whether runs of two jobs, which wait for somebody at the door, are under way at the same time.
fn overlap(house: &House, jobs: [&str; 2]) -> String {
    let supervisor = house.start();
    // Both are there before either of them may start, so one turn decides on both.
    house.ask(&["pause", "--all"]).expect(0);
    let ids = jobs.map(|job| house.enqueue(&[job]));
    house.ask(&["resume", "--all"]).expect(0);
    house.wait_state(ids[0], "running");
    let second = house.show(ids[1]);
    supervisor.kill();
    word(&second["state"]).to_owned()
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
    word(&runs[0]["job"]).to_owned()
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
        let is_held = why.contains("`rate` allows");
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
        Some(join(&[word(&other["state"]), word(&other["reason"])]))
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

/// What becomes of occurrences of an hour in which nobody was there: the first supervisor's clock
/// is an hour behind.
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
    house.write("sendmail", "#!/bin/sh\necho mail $(sed -n 's/^From: //p') >> \"$T/told\"\n");
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
    word(&house.show(id)["state"]).to_owned()
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

/// How many of the letters that a run has printed were kept.
fn letters_kept(house: &House) -> String {
    run(house).matches('x').count().to_string()
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

/// The line stands below the jobfile, so it is a key of the last table; keys of the top stand
/// before it.
const OF_JOBS: &[Row] = &[
    row(
        "enqueue_by",
        "door.listen = 'unix:@T@/d.sock'\n\
         door.tokens.shop = 'sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b'\n\
         [jobs.a]\ncommand = 'true'\n",
        [(NOTHING, "403 404"), ("enqueue_by = 'token:shop'", "201 404")],
        knock,
    ),
    row(
        "command",
        "[jobs.a]\n",
        [("command = 'echo one'", "succeeded 1 one"), ("command = 'echo two'", "succeeded 1 two")],
        run,
    ),
    row(
        "shell",
        "[jobs.a]\ncommand = 'echo ${BASH_VERSION:+bash}'\n",
        [(NOTHING, "succeeded 1"), ("shell = ['/bin/bash', '-c']", "succeeded 1 bash")],
        run,
    ),
    row(
        "schedule",
        ECHO,
        [
            ("schedule = '0 3 * * *'", "2026-07-01T03:00:00.000+00:00"),
            ("schedule = '0 4 * * *'", "2026-07-01T04:00:00.000+00:00"),
        ],
        next,
    ),
    row(
        "timezone",
        "[jobs.a]\ncommand = 'true'\nschedule = '0 3 * * *'\n",
        [
            ("timezone = 'UTC'", "2026-07-01T03:00:00.000+00:00"),
            ("timezone = 'Asia/Tokyo'", "2026-07-02T03:00:00.000+09:00"),
        ],
        next,
    ),
    row(
        "enabled",
        "[jobs.a]\ncommand = 'true'\nschedule = '0 3 * * *'\n",
        [(NOTHING, "2026-07-01T03:00:00.000+00:00"), ("enabled = false", "")],
        next,
    ),
    row(
        "description",
        ECHO,
        [
            (NOTHING, "*command  true\n"),
            ("description = 'says nothing'", "*description  says nothing\n*"),
        ],
        status_of_a,
    ),
    row("was", ECHO, [(NOTHING, "0"), ("was = ['old']", "1")], renamed),
    row(
        "overlap",
        HANGS,
        [(NOTHING, "skipped overlap"), ("overlap = 'queue-all'", "queued")],
        second_occurrence,
    ),
    row("concurrency", WAITS, [(NOTHING, "queued"), ("concurrency = 2", "running")], two_of_a),
    row(
        "lock",
        "[jobs.b]\ncommand = 'read _ < \"$T/door\"'\nlock = 'l'\n[jobs.a]\ncommand = 'read _ < \"$T/door\"'\n",
        [(NOTHING, "running"), ("lock = 'l'", "queued")],
        a_and_b,
    ),
    row(
        "priority",
        "max_running = 1\n[jobs.a]\ncommand = 'true'\n[jobs.b]\ncommand = 'true'\n",
        [(NOTHING, "a"), ("priority = 5", "b")],
        first_of_a_and_b,
    ),
    row("rate", ECHO, [(NOTHING, "false"), ("rate = '1/h'", "true")], second_start),
    row("backlog_max", ECHO, [(NOTHING, "0 2"), ("backlog_max = 1", "75 1")], two_additions),
    row(
        "retry",
        "[jobs.a]\ncommand = 'exit 3'\n",
        [(NOTHING, "failed 1"), ("retry = { max = 1, delay = '1ms' }", "failed 2")],
        run,
    ),
    row(
        "timeout",
        "[jobs.a]\ncommand = 'sleep 0.3'\n",
        [(NOTHING, "succeeded 1"), ("timeout = '20ms'", "failed 1")],
        run,
    ),
    row(
        "stop_signal",
        "[jobs.a]\ntimeout = '1s'\ncommand = 'trap \"echo term; exit\" TERM; trap \"echo usr1; exit\" USR1; while :; do sleep 0.01; done'\n",
        [(NOTHING, "failed 1*term"), ("stop_signal = 'USR1'", "failed 1*usr1")],
        run,
    ),
    row(
        "stop_grace",
        "[jobs.a]\ntimeout = '1s'\ncommand = 'trap \"\" TERM; sleep 1.8; echo survived'\n",
        [(NOTHING, "failed 1 survived"), ("stop_grace = '10ms'", "failed 1")],
        run,
    ),
    row(
        "leftovers",
        "[jobs.a]\ncommand = 'sleep 100 > /dev/null 2>&1 &'\n",
        [(NOTHING, "true"), ("leftovers = 'kill'", "false")],
        left_running,
    ),
    row(
        "success_exit",
        "[jobs.a]\ncommand = 'exit 3'\n",
        [(NOTHING, "failed 1"), ("success_exit = [0, 3]", "succeeded 1")],
        run,
    ),
    row(
        "skip_exit",
        "[jobs.a]\ncommand = 'exit 3'\n",
        [(NOTHING, "failed 1"), ("skip_exit = [3]", "skipped 1")],
        run,
    ),
    row(
        "no_retry_exit",
        "[jobs.a]\ncommand = 'exit 3'\nretry = { max = 1, delay = '1ms' }\n",
        [(NOTHING, "failed 2"), ("no_retry_exit = [3]", "failed 1")],
        run,
    ),
    row(
        "start_deadline",
        "[jobs.a]\nschedule = '@every 1s'\noverlap = 'queue-all'\ncommand = 'sleep 100'\n",
        [(NOTHING, "false"), ("start_deadline = '500ms'", "true")],
        missed_in_the_queue,
    ),
    row(
        "jitter",
        "[jobs.a]\ncommand = 'true'\nschedule = '0 3 * * *'\n",
        [(NOTHING, "0"), ("jitter = '10h'", "*")],
        jitter,
    ),
    row(
        "cwd",
        "[jobs.a]\ncommand = 'pwd'\n",
        [("cwd = '/usr'", "succeeded 1 /usr"), ("cwd = '/etc'", "succeeded 1 /etc")],
        run,
    ),
    row(
        "umask",
        "[jobs.a]\ncommand = 'umask'\n",
        [(NOTHING, "succeeded 1 0022"), ("umask = '077'", "succeeded 1 0077")],
        run,
    ),
    row(
        "nice",
        "[jobs.a]\ncommand = 'nice'\n",
        [(NOTHING, "succeeded 1 0"), ("nice = 7", "succeeded 1 7")],
        run,
    ),
    row(
        "env",
        "[jobs.a]\ncommand = 'echo \"$V\"'\n",
        [(NOTHING, "succeeded 1"), ("env = { V = 'set' }", "succeeded 1 set")],
        run,
    ),
    row(
        "env_file",
        "[jobs.a]\ncommand = 'echo \"$V\"'\n",
        [(NOTHING, "succeeded 1"), ("env_file = '@T@/vars'", "succeeded 1 set")],
        |house| {
            house.write("vars", "V=set\n");
            run(house)
        },
    ),
    row(
        "inherit_env",
        "[jobs.a]\ncommand = 'echo \"$T\"'\n",
        [(NOTHING, "succeeded 1 @T@"), ("inherit_env = false", "succeeded 1")],
        run,
    ),
    row(
        "limits",
        "[jobs.a]\ncommand = 'ulimit -n'\n",
        [(NOTHING, "succeeded 1 *"), ("limits = { open_files = 99 }", "succeeded 1 99")],
        run,
    ),
    row(
        "stdin",
        "[jobs.a]\ncommand = 'cat'\n",
        [(NOTHING, "succeeded 1"), ("stdin = 'given'", "succeeded 1 given")],
        run,
    ),
    row(
        "output_max",
        "[jobs.a]\ncommand = 'head -c 9000 /dev/zero | tr \"\\\\0\" x'\n",
        [(NOTHING, "9000"), ("output_max = '1 KiB'", "1024")],
        letters_kept,
    ),
    row(
        "output_file",
        "[jobs.a]\ncommand = 'echo said'\n",
        [(NOTHING, ""), ("output_file = '@T@/log.a'", "said\n")],
        |house| {
            run(house);
            house.read("log.a")
        },
    ),
    row(
        "feeds",
        "[jobs.b]\ncommand = 'true'\n[jobs.a]\ncommand = 'echo item'\n",
        [(NOTHING, "0"), ("feeds = 'b'", "1")],
        fed,
    ),
    row(
        "watch",
        "[jobs.b]\ncommand = 'true'\nwatch = '@T@/in/*'\n[jobs.a]\ncommand = 'true'\n",
        [(NOTHING, "0"), ("watch = '@T@/in/*'", "1")],
        file_taken,
    ),
    row("key", ECHO, [(NOTHING, "0 2"), ("key = '{1}'", "0 1")], two_additions),
    row(
        "key_for",
        "[jobs.a]\ncommand = 'true'\nkey = '{1}'\n",
        [(NOTHING, "2"), ("key_for = '1h'", "1")],
        again_after_success,
    ),
    row(
        "expect_within",
        "[jobs.a]\ncommand = 'sleep 0.4'\n",
        [(NOTHING, "succeeded 1"), ("expect_within = '50ms'", "succeeded 1 late")],
        run,
    ),
    row(
        "expect_every",
        "[jobs.b]\ncommand = 'sleep 0.5'\n[jobs.a]\ncommand = 'true'\n",
        [(NOTHING, "false"), ("expect_every = '100ms'", "true")],
        late_after_b,
    ),
    row(
        "on_failure",
        FAILS,
        [(NOTHING, ""), ("on_failure = 'echo failure >> \"$T/told\"'", "failure failure")],
        told_of_two,
    ),
    row(
        "on_recovery",
        "[jobs.a]\ncommand = 'test -e \"$T/good\"'\n",
        [(NOTHING, ""), ("on_recovery = 'echo recovery >> \"$T/told\"'", "recovery")],
        told_after_recovery,
    ),
    row(
        "on_success",
        ECHO,
        [(NOTHING, ""), ("on_success = 'echo success >> \"$T/told\"'", "success success")],
        told_of_two,
    ),
    row(
        "on_attempt_failure",
        FAILS,
        [(NOTHING, ""), ("on_attempt_failure = 'echo attempt >> \"$T/told\"'", "attempt attempt")],
        told_of_two,
    ),
    row(
        "on_late",
        "[jobs.a]\ncommand = 'sleep 0.4'\nexpect_within = '50ms'\n",
        [(NOTHING, ""), ("on_late = 'echo late >> \"$T/told\"'", "late late")],
        told_of_two,
    ),
    row("mailto", FAILS, [(NOTHING, ""), ("mailto = 'ops'", "mail mail")], told_of_two),
    row(
        "mail_from",
        FAILS,
        [
            ("mailto = 'ops'", "mail mail"),
            ("mailto = 'ops'\nmail_from = 'a@b'", "mail a@b mail a@b"),
        ],
        told_of_two,
    ),
    row(
        "mail_on",
        "[jobs.a]\ncommand = 'echo said'\nhook_interval = '0s'\nmailto = 'ops'\nenv = { PATH = '@T@:/usr/bin:/bin' }\n",
        [(NOTHING, ""), ("mail_on = 'output'", "mail mail")],
        told_of_two,
    ),
    row(
        "hook_interval",
        "[jobs.a]\ncommand = 'exit 3'\non_failure = 'echo failure >> \"$T/told\"'\n",
        [("hook_interval = '0s'", "failure failure"), ("hook_interval = '1h'", "failure")],
        told_of_two,
    ),
    row("keep", ECHO, [(NOTHING, "3"), ("keep = { runs = 1 }", "1")], left_after_prune),
];

/// The line stands above the jobfile.
/// The status of adding to `a` by the token, and of looking at a run of somebody else's.
pub(crate) fn knock(house: &House) -> String {
    let supervisor = house.start();
    let run = house.enqueue(&["a"]);
    let is_open = house.read("jobs.toml").contains("d.sock");
    if is_open {
        house.wait_text("log", "event=listening");
    }
    let ask = |first: String| {
        let path = house.path("d.sock");
        if !path.exists() {
            return "closed".to_owned();
        }
        send(&path, &request(&first, &["Authorization: Bearer secret"], "")).status.to_string()
    };
    let seen = [ask("POST /v1/jobs/a/runs".to_owned()), ask(format!("GET /v1/runs/{run}"))];
    assert_eq!(supervisor.stop(), 0);
    seen.join(" ")
}

const OF_THE_TOP: &[Row] = &[
    row(
        "door",
        "[jobs.a]\ncommand = 'true'\n",
        [
            ("door = { listen = [] }", "closed closed"),
            ("door = { listen = ['unix:@T@/d.sock'] }", "401 401"),
        ],
        knock,
    ),
    row(
        "timezone",
        "[jobs.a]\ncommand = 'true'\nschedule = '0 3 * * *'\n",
        [
            ("timezone = 'UTC'", "2026-07-01T03:00:00.000+00:00"),
            ("timezone = 'Asia/Tokyo'", "2026-07-02T03:00:00.000+09:00"),
        ],
        next,
    ),
    row("include", ECHO, [(NOTHING, "a"), ("include = ['more.toml']", "a b")], |house| {
        house.write("more.toml", "[jobs.b]\ncommand = 'true'\n");
        names_of_jobs(house)
    }),
    row(
        "defaults",
        "[jobs.a]\ncommand = 'exit 3'\n",
        [(NOTHING, "failed 1"), ("[defaults]\nsuccess_exit = [3]", "succeeded 1")],
        run,
    ),
    row("jobs", ECHO, [(NOTHING, "a"), ("[jobs.b]\ncommand = 'true'", "a b")], names_of_jobs),
    row(
        "state_dir",
        ECHO,
        [("state_dir = '@T@/one'", "true false"), ("state_dir = '@T@/two'", "false true")],
        where_the_store_is,
    ),
    row(
        "max_running",
        WAITS,
        [("max_running = 1", "queued"), ("max_running = 2", "running")],
        a_and_b,
    ),
    row(
        "on_stop",
        "stop_timeout = '0s'\n[jobs.a]\ncommand = 'sleep 100'\n",
        [(NOTHING, "failed"), ("on_stop = 'detach'", "running")],
        after_the_stop,
    ),
    row(
        "stop_timeout",
        "[jobs.a]\ncommand = 'sleep 0.5'\nstop_grace = '1ms'\n",
        [(NOTHING, "succeeded"), ("stop_timeout = '0s'", "failed")],
        after_the_stop,
    ),
    row(
        "output_total_max",
        "[jobs.a]\ncommand = 'head -c 700000 /dev/zero'\n",
        [(NOTHING, "700000"), ("output_total_max = '1 MiB'", "0")],
        first_output_after_three,
    ),
    row(
        "hash_seed",
        "[jobs.a]\ncommand = 'true'\nschedule = 'H H * * *'\n",
        [("hash_seed = 'one'", "2026-07-01T*"), ("hash_seed = 'two'", "2026-07-01T*")],
        next,
    ),
    row(
        "forward_output",
        "[jobs.a]\ncommand = 'echo said'\n",
        [(NOTHING, ""), ("forward_output = true", "a#1 | said\n")],
        standard_output,
    ),
    row(
        "metrics_file",
        ECHO,
        [(NOTHING, "false"), ("metrics_file = '@T@/made'", "true")],
        file_made,
    ),
    row(
        "heartbeat",
        ECHO,
        [(NOTHING, "false"), ("heartbeat = { file = '@T@/made', every = '1m' }", "true")],
        file_made,
    ),
    row(
        "log_format",
        ECHO,
        [(NOTHING, "2"), ("log_format = 'json'", "{")],
        first_letter_of_the_log,
    ),
];

/// Looks at what a user sees with one line, and with the other one.
pub(crate) fn both(rows: &[Row], is_above: bool) {
    for row in rows {
        let seen = row.lines.map(|(line, wanted)| {
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
            // The directory has another name each time.
            let seen = (row.look)(&house).replace(&house.dir().display().to_string(), "@T@");
            let pattern = Pattern::new(wanted).expect("it is a pattern");
            assert!(pattern.matches(&seen), "`{}`: {line:?} gives {seen:?}", row.key);
            seen
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
            row(
                "user",
                "[jobs.a]\ncommand = 'id -u'\n",
                [(NOTHING, "succeeded 1 0"), ("user = 'nobody'", "succeeded 1 65534")],
                run,
            ),
            row(
                "group",
                "[jobs.a]\ncommand = 'id -g'\nuser = 'nobody'\n",
                [(NOTHING, "succeeded 1 65534"), ("group = 'mail'", "succeeded 1 8")],
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
    both(
        &[row(
            "catch_up",
            jobfile,
            [(NOTHING, "false"), ("catch_up = 'last'", "true")],
            missed_in_a_downtime,
        )],
        false,
    );
}

pub(crate) fn names(table: Table) -> BTreeSet<String> {
    jobctl::keys::keys_of(table).into_iter().map(str::to_owned).collect()
}

pub(crate) fn tried(rows: &[Row]) -> BTreeSet<String> {
    rows.iter().map(|row| row.key.to_owned()).collect()
}

#[test]
fn no_key_is_left_out() {
    assert_eq!(names(Table::Top), tried(OF_THE_TOP));
    let mut of_jobs = tried(OF_JOBS);
    of_jobs.extend(["user", "group", "catch_up"].map(str::to_owned));
    assert_eq!(names(Table::Job), of_jobs);
}
