//! The commands that write, as a user calls them: the real binary, a directory of its own, no
//! supervisor.
//!
//! What a supervisor would have written (a run that runs, one that failed) is put into the store by
//! hand.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{House, answer_of, is_root};

const JOBFILE: &str = "\
    [jobs.resize]\ncommand = 'true'\nretry = 3\npriority = 7\n\
    [jobs.backup]\ncommand = 'true'\nschedule = '30 2 * * *'\n\
    [jobs.small]\ncommand = 'true'\nbacklog_max = 2\n\
    [jobs.off]\ncommand = 'true'\nenabled = false\nschedule = '@daily'\n";

fn house() -> House {
    House::new(JOBFILE)
}

/// Writes into the store as the supervisor would.
#[expect(clippy::disallowed_methods, reason = "what a supervisor would have written")]
fn sql(house: &House, sql: &str) {
    let store = rusqlite::Connection::open(house.state_dir().join("jobctl.db")).unwrap();
    store.execute_batch(sql).unwrap();
}

fn state(house: &House, id: i64) -> String {
    house.show(id)["state"].as_str().unwrap().to_owned()
}

/// How many runs there are; none if there is no store.
fn count(house: &House) -> usize {
    house.ask(&["--json", "runs", "-n", "0"]).out.lines().count()
}

/// Numbers of states in the store, which are part of its format.
const RUNNING: [&str; 2] = ["state = 3, attempt = 2", "2, NULL, NULL"];
const SUCCEEDED: [&str; 2] = ["state = 5, attempt = 1, ended_at = 7203000", "1, 1, 0"];
const FAILED: [&str; 2] =
    ["state = 6, reason = 1, attempt = 4, charged = 4, ended_at = 7203000", "4, 1, 3"];

fn set(house: &House, [run, attempt]: [&str; 2], id: i64) {
    let rows = format!(
        "UPDATE run SET {run} WHERE id = {id};
         INSERT INTO attempt(run, policy, started_at, attempt, outcome, exit_code) VALUES ({id}, 0, 7203000, {attempt})"
    );
    sql(house, &rows);
}

#[test]
fn an_item_is_on_disk_when_its_id_is_printed() {
    let house = house();
    let said = house.ask(&["enqueue", "resize", "a b", "--key", "-v"]);
    assert_eq!((said.code, said.out.as_str()), (0, "1\n"));
    assert!(
        said.err.contains("no supervisor is running; the run will start when one does"),
        "{}",
        said.err
    );
    let run = house.show(1);
    assert_eq!(run["args"], serde_json::json!(["a b", "--key", "-v"]));
    assert_eq!((&run["state"], &run["cause"]), (&Value::from("queued"), &Value::from("enqueue")));
    assert_eq!((&run["priority"], &run["max_attempts"]), (&Value::from(7), &Value::from(4)));
    let mode = fs::metadata(house.state_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn each_line_is_one_argument_and_ids_come_in_order() {
    let house = house();
    let said = house.ask_with(&["enqueue", "--lines", "resize"], b"a b\n\n--x\nlast");
    assert_eq!((said.code, said.out.as_str()), (0, "1\n2\n3\n"));
    assert_eq!(house.show(2)["args"], serde_json::json!(["--x"]));
    let said = house.ask_with(&["--json", "enqueue", "--null", "resize"], b"a\nb\0\xff\0");
    assert_eq!(said.out, "{\"id\":4,\"existing\":false}\n{\"id\":5,\"existing\":false}\n");
    assert_eq!(house.show(4)["args"], serde_json::json!(["a\nb"]));
    assert_eq!(house.show(5)["args_base64"], serde_json::json!(["/w=="]));
}

#[test]
fn no_lines_are_no_error_and_no_store() {
    let house = house();
    let said = house.ask_with(&["enqueue", "--lines", "resize"], b"\n\n");
    assert_eq!((said.code, said.out.as_str()), (0, ""));
    assert!(!house.state_dir().exists());
}

#[test]
fn input_that_is_wrong_anywhere_adds_nothing() {
    let house = house();
    let mut long = b"ok\n".to_vec();
    long.resize(3 + 131_072, b'x');
    for (input, word) in
        [(&b"ok\nx\0y\n"[..], "line 2 contains a NUL"), (&long, "line 2 has 131072 bytes")]
    {
        let said = house.ask_with(&["enqueue", "--lines", "resize"], input);
        assert_eq!((said.code, said.out.as_str()), (2, ""));
        assert!(said.err.contains(word), "{}", said.err);
    }
    assert!(!house.state_dir().exists());
}

#[test]
fn a_read_error_adds_nothing() {
    let house = house();
    let directory = File::open(house.dir()).unwrap();
    let mut enqueue = house.jobctl();
    enqueue.args(["enqueue", "--lines", "resize"]).stdin(directory);
    let said = answer_of(&mut enqueue);
    assert_eq!(said.code, 111);
    assert!(said.err.contains("nothing was added"), "{}", said.err);
    assert!(!house.state_dir().exists());
}

#[test]
fn a_reader_of_the_ids_that_goes_away_changes_nothing() {
    let house = house();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let lines = "x\n".repeat(20_000);
    let input = house.path("input");
    fs::write(&input, lines).unwrap();
    let status = house
        .jobctl()
        .args(["-q", "enqueue", "--lines", "resize"])
        .stdin(File::open(input).unwrap())
        .stdout(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(count(&house), 20_000);
}

#[test]
fn an_unknown_job_is_guessed() {
    let house = house();
    let said = house.ask(&["enqueue", "rezise", "x"]);
    assert_eq!(said.code, 3);
    assert_eq!(said.err, "jobctl: job `rezise`: no such job\nhint: did you mean `resize`?\n");
    assert!(!house.state_dir().exists());
    assert_eq!(house.ask(&["enqueue"]).code, 2);
    assert_eq!(house.ask(&["enqueue", "--lines", "resize", "x"]).code, 2);
    assert_eq!(house.ask(&["enqueue", "--in", "90", "resize"]).code, 2);
}

#[test]
fn a_full_backlog_is_not_now() {
    let house = house();
    assert_eq!(house.ask(&["enqueue", "small", "1"]).code, 0);
    let said = house.ask_with(&["enqueue", "--lines", "small"], b"2\n3\n");
    assert_eq!((said.code, said.out.as_str()), (75, ""));
    assert!(said.err.contains("1 runs wait already"), "{}", said.err);
    assert_eq!(count(&house), 1);
    assert_eq!(house.ask(&["enqueue", "small", "2"]).code, 0);
}

#[test]
fn a_key_is_in_the_queue_once() {
    let house = house();
    let add = ["--json", "enqueue", "--key", "k", "resize"];
    assert_eq!(house.ask(&add).out, "{\"id\":1,\"existing\":false}\n");
    let said = house.ask(&add);
    assert!(!said.err.contains("no supervisor is running"), "{}", said.err);
    assert_eq!((said.code, said.out.as_str()), (0, "{\"id\":1,\"existing\":true}\n"));
    set(&house, SUCCEEDED, 1);
    assert_eq!(house.ask(&add).out, "{\"id\":2,\"existing\":false}\n");
    let said = house.ask(&["retry", "--force", "1"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("its key `k` is held by run 2"), "{}", said.err);
}

#[test]
fn a_later_item_is_scheduled_and_a_past_one_is_due() {
    let house = house();
    house.ask(&["enqueue", "--in", "1h", "resize"]);
    house.ask(&["enqueue", "--at", "2099-01-01 12:00", "resize"]);
    house.ask(&["enqueue", "--at", "2001-01-01T00:00:00Z", "resize"]);
    assert_eq!(state(&house, 1), "scheduled");
    assert_eq!(house.show(2)["due_at"], "2099-01-01T12:00:00.000Z");
    assert_eq!(state(&house, 3), "queued");
}

#[test]
fn a_job_that_is_not_enabled_runs_by_hand() {
    let house = house();
    let said = house.ask(&["enqueue", "off"]);
    assert_eq!(said.code, 0);
    assert!(said.err.contains("job `off` is not enabled"), "{}", said.err);
}

#[test]
fn what_cannot_be_waited_for_is_not_added() {
    let house = house();
    let said = house.ask(&["enqueue", "--wait", "resize"]);
    assert_eq!((said.code, said.out.as_str()), (4, ""));
    assert!(!house.state_dir().exists());
}

#[test]
fn a_retry_is_refused_with_the_reason_and_the_way_out() {
    let house = house();
    house.ask_with(&["enqueue", "--lines", "resize"], b"1\n2\n3\n");
    set(&house, RUNNING, 2);
    set(&house, SUCCEEDED, 3);
    let said = house.ask(&["retry", "1"]);
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("jobctl: run 1 is queued already"), "{}", said.err);
    let said = house.ask(&["retry", "2"]);
    assert_eq!(
        said.err,
        "jobctl: run 2 is still running (attempt 2, since 1970-01-01 02:00:03)\n\
         hint: stop it first with `jobctl cancel 2`\n"
    );
    assert_eq!((said.code, house.ask(&["retry", "3"]).code), (1, 1));
    assert_eq!(house.ask(&["retry", "--force", "3"]).code, 0);
    assert_eq!(state(&house, 3), "queued");
}

#[test]
fn a_retry_has_a_fresh_budget_of_today() {
    let house = house();
    house.ask(&["enqueue", "resize", "x"]);
    set(&house, FAILED, 1);
    sql(&house, "UPDATE run SET acked = 7204000 WHERE id = 1");
    let jobfile = JOBFILE.replace("retry = 3", "retry = 1");
    house.write_jobfile(&jobfile);
    let said = house.ask(&["retry", "1"]);
    assert_eq!(said.code, 0, "{said:?}");
    let run = house.show(1);
    assert_eq!((&run["attempt"], &run["max_attempts"]), (&Value::from(4), &Value::from(6)));
    assert_eq!((&run["state"], &run["acked"]), (&Value::from("queued"), &Value::Null));
}

#[test]
fn a_run_whose_job_is_gone_is_not_retried() {
    let house = house();
    house.ask(&["enqueue", "resize", "x"]);
    set(&house, FAILED, 1);
    house.write_jobfile("[jobs.other]\ncommand = 'true'\n");
    let said = house.ask(&["retry", "1"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("its job `resize` is not in the jobfile"), "{}", said.err);
    assert_eq!(state(&house, 1), "failed");
}

#[test]
fn ids_and_filters_are_told_apart() {
    let house = house();
    house.ask(&["enqueue", "resize"]);
    for verb in ["retry", "cancel", "ack"] {
        for (args, code) in [
            (&[][..], 2),
            (&["x"][..], 2),
            (&["0"][..], 2),
            (&["1", "--failed"][..], 2),
            (&["99"][..], 3),
            (&["--failed"][..], 1),
            (&["--job", "nope"][..], 3),
            (&["--state", "nope"][..], 2),
        ] {
            let line: Vec<&str> = std::iter::once(verb).chain(args.iter().copied()).collect();
            assert_eq!(house.ask(&line).code, code, "{line:?}");
        }
    }
    assert_eq!(state(&house, 1), "queued");
}

#[test]
fn several_ids_are_each_for_itself() {
    let house = house();
    house.ask_with(&["enqueue", "--lines", "resize"], b"1\n2\n");
    set(&house, FAILED, 2);
    let said = house.ask(&["--json", "retry", "1", "2", "99"]);
    assert_eq!(said.code, 1);
    let answers: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<&str> =
        answers.iter().map(|answer| answer["answer"].as_str().unwrap()).collect();
    assert_eq!(words, ["refused", "done", "not_found"]);
    assert_eq!(state(&house, 2), "queued");
}

#[test]
fn retry_failed_takes_the_newest_occurrence_and_all_items() {
    let house = house();
    house.ask_with(&["enqueue", "--lines", "backup"], b"1\n2\n3\n4\n");
    for id in 1..=4 {
        set(&house, FAILED, id);
    }
    sql(&house, "UPDATE run SET cause = 1 WHERE id IN (1, 2)");
    let said = house.ask(&["retry", "--failed", "--dry-run"]);
    assert_eq!(said.code, 0);
    assert_eq!(
        said.out,
        "would retry run 2 (backup, failed (exit 3))\nwould retry run 3 (backup, failed (exit 3))\n\
         would retry run 4 (backup, failed (exit 3))\n"
    );
    assert_eq!(state(&house, 2), "failed");
    assert_eq!(house.ask(&["retry", "--failed", "--job", "backup"]).code, 0);
    let states: Vec<String> = (1..=4).map(|id| state(&house, id)).collect();
    assert_eq!(states, ["failed", "queued", "queued", "queued"]);
    assert_eq!(house.ask(&["retry", "--failed", "--all"]).code, 0);
    assert_eq!(state(&house, 1), "queued");
}

#[test]
fn what_waits_is_cancelled_and_what_runs_is_asked_to_stop() {
    let house = house();
    house.ask_with(&["enqueue", "--lines", "resize"], b"1\n2\n3\n");
    set(&house, RUNNING, 2);
    let said = house.ask(&["cancel", "1"]);
    assert_eq!((said.code, said.err.as_str()), (0, "jobctl: run 1 (resize) is cancelled\n"));
    let said = house.ask(&["stop", "2"]);
    assert_eq!(
        said.err,
        "jobctl: stopping run 2 (resize)\n\
         jobctl: no supervisor is running; it takes effect when one starts\n"
    );
    assert_eq!((state(&house, 1), state(&house, 2)), ("cancelled".into(), "running".into()));
    assert_eq!(house.ask(&["cancel", "1"]).code, 1);
    let said = house.ask(&["--json", "cancel", "--job", "resize"]);
    let ids: Vec<&str> = said.out.lines().map(|line| &line[..7]).collect();
    assert_eq!(ids, ["{\"id\":3", "{\"id\":2"], "what runs is stopped after what waits");
    assert_eq!(state(&house, 3), "cancelled");
}

#[test]
fn a_failure_is_acknowledged_once() {
    let house = house();
    house.ask_with(&["enqueue", "--lines", "resize"], b"1\n2\n");
    assert_eq!(house.ask(&["ack", "1"]).code, 1);
    set(&house, FAILED, 1);
    assert_eq!(house.ask(&["ack", "--failed"]).code, 0);
    assert!(house.show(1)["acked"].is_string());
    let said = house.ask(&["ack", "1"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("already acknowledged"), "{}", said.err);
}

#[test]
fn a_pause_holds_until_it_is_ended() {
    let house = house();
    assert_eq!(house.ask(&["pause", "backup"]).code, 1, "no store yet");
    house.ask(&["enqueue", "resize"]);
    assert_eq!(house.ask(&["pause", "bakcup"]).code, 3);
    assert_eq!(house.ask(&["pause"]).code, 2);
    assert_eq!(house.ask(&["pause", "--all", "--for", "0s"]).code, 2);
    let said = house.ask(&["--json", "pause", "backup", "--for", "1h"]);
    let paused: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&paused["job"], &paused["paused"]), (&Value::from("backup"), &Value::from(true)));
    assert!(paused["until"].is_string());
    let said = house.ask(&["pause", "--all"]);
    assert!(said.err.contains("everything is paused until `jobctl resume --all`"));
    let said = house.ask(&["enqueue", "resize"]);
    assert!(said.err.contains("everything is paused"), "{}", said.err);
    let said = house.ask(&["resume", "--all"]);
    assert!(said.err.contains("still paused: `backup`"), "{}", said.err);
    let said = house.ask(&["resume", "backup"]);
    assert!(said.err.contains("job `backup` is resumed"), "{}", said.err);
}

#[test]
fn check_says_ok_or_everything_that_is_wrong() {
    let house = house();
    let said = house.ask(&["check"]);
    assert_eq!((said.code, said.out.as_str()), (0, "OK, 4 jobs\n"));
    let broken = "[jobs.a]\ncomand = 'true'\n[jobs.b]\ncommand = 'true'\nschedule = '61 * * * *'\n";
    house.write_jobfile(broken);
    let said = house.ask(&["check"]);
    assert_eq!(said.code, 1);
    let path = house.jobfile();
    for line in [2, 5] {
        let at = format!("{}:{line}:", path.display());
        assert!(said.err.contains(&at), "{at}: {}", said.err);
    }
    let said = house.ask(&["--json", "check"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &report["ok"]), (1, &Value::from(false)));
    assert_eq!(report["errors"][0]["job"], "a");
    fs::remove_file(path).unwrap();
    let said = house.ask(&["check"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("jobctl init"), "{}", said.err);
}

#[test]
fn init_writes_a_jobfile_that_is_in_order_and_never_over_another() {
    let house = house();
    let path = house.path("new/dir/jobs.toml");
    let path = path.to_str().unwrap();
    assert_eq!(house.ask(&["--jobfile", path, "init"]).code, 0);
    assert_eq!(house.ask(&["--jobfile", path, "check"]).code, 0);
    fs::write(path, "mine").unwrap();
    let said = house.ask(&["--jobfile", path, "init"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("exists already"), "{}", said.err);
    assert_eq!(fs::read_to_string(path).unwrap(), "mine");
}

#[test]
fn a_broken_jobfile_stops_enqueue_where_there_never_was_a_good_one() {
    let house = house();
    house.write_jobfile("[jobs.a\n");
    assert_eq!(house.ask(&["enqueue", "a"]).code, 1);
    fs::remove_file(house.jobfile()).unwrap();
    assert_eq!(house.ask(&["enqueue", "a"]).code, 2);
    assert!(!house.state_dir().exists());
}

#[test]
fn wait_ends_with_the_run_and_says_when_nobody_runs_it() {
    let house = house();
    house.ask_with(&["enqueue", "--lines", "resize"], b"1\n2\n");
    assert_eq!(house.ask(&["wait", "99"]).code, 3);
    for (id, state, code) in [(1, SUCCEEDED, 0), (2, FAILED, 1)] {
        let mut child =
            house.jobctl().args(["wait", &id.to_string()]).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, "jobctl: no supervisor is running: waiting until one starts\n");
        set(&house, state, id);
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
    let said = house.ask(&["--json", "wait", "2", "1"]);
    assert_eq!(said.code, 1);
    let first: Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    assert_eq!(first, house.show(2));
    assert_eq!(house.ask(&["wait", "--idle"]).code, 0);
}

#[test]
fn completion_knows_jobs_and_runs_and_never_complains() {
    let house = house();
    house.ask(&["enqueue", "resize"]);
    let said = house.ask(&["__complete", "jobs"]);
    assert_eq!(said.out, "backup\noff\nresize\nsmall\n");
    assert_eq!(house.ask(&["__complete", "runs"]).out, "1\n");
    let runs = |line: &str| {
        let words = ["__complete", "runs", "--", "jobctl"].into_iter();
        house.ask(&words.chain(line.split(' ')).collect::<Vec<_>>()).out
    };
    assert_eq!(["retry", "cancel", "ack", "show"].map(runs), ["", "1\n", "", "1\n"]);
    house.ask(&["cancel", "1"]);
    assert_eq!(["-q retry", "--color auto cancel", "show"].map(runs), ["1\n", "", "1\n"]);
    let other = house.write("other.toml", "[jobs.other]\ncommand = 'true'\n").display().to_string();
    for line in [
        format!("--jobfile {other} enqueue"),
        format!("enqueue --jobfile = {other}"),
        format!("--jobfile='{other}' exec"),
    ] {
        let words = ["__complete", "jobs", "--", "jobctl"].into_iter();
        let said = house.ask(&words.chain(line.split(' ')).collect::<Vec<_>>());
        assert_eq!(said.out, "other\n", "{line}");
    }
    assert_eq!(runs("--state-dir /nonexistent show"), "");
    house.write_jobfile("broken");
    let said = house.ask(&["__complete", "jobs"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "resize\n", ""));
}

#[test]
fn bash_completes_jobs_and_runs() {
    let house = house();
    house.ask(&["enqueue", "resize"]);
    house.write("other.toml", "[jobs.other]\ncommand = 'true'\n");
    for (line, words) in [
        ("jobctl enqueue re", "resize"),
        ("jobctl --jobfile other.toml enqueue ''", "other"),
        ("jobctl -q retry ''", ""),
        ("jobctl -q cancel ''", "1"),
        ("jobctl retry --job ba", "backup"),
        ("jobctl retry --since ba", ""),
        ("jobctl pau", "pause"),
        ("jobctl logs --fo", "--follow"),
    ] {
        assert_eq!(completed_by_bash(&house, line), words, "{line}");
    }
}

/// What bash offers for the last word of a line.
fn completed_by_bash(house: &House, line: &str) -> String {
    let binaries = Path::new(env!("CARGO_BIN_EXE_jobctl")).parent().unwrap();
    let script = format!(
        "PATH={}:$PATH; source <(jobctl completions bash); COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _jobctl_words jobctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; echo -n \"${{COMPREPLY[@]}}\"",
        binaries.display()
    );
    let mut bash = house.program("bash");
    answer_of(bash.args(["--norc", "-c", &script]).current_dir(house.dir())).out
}

#[test]
fn the_manual_pages_are_in_the_binary() {
    let house = house();
    for (args, title) in
        [(&["man"][..], ".Dt JOBCTL 1"), (&["man", "jobctl.toml"], ".Dt JOBCTL.TOML 5")]
    {
        let said = house.ask(args);
        assert_eq!(said.code, 0);
        assert!(said.out.to_lowercase().contains(&title.to_lowercase()));
    }
    assert_eq!(house.ask(&["man", "ls"]).code, 2);
}

#[test]
fn a_fifo_as_jobfile_is_refused_and_not_waited_for() {
    let house = house();
    let path = house.jobfile();
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for args in [&["check"][..], &["status"], &["run"]] {
        let said = house.ask(args);
        assert_ne!(said.code, 0, "{args:?}");
        assert!(said.err.contains("not a regular file"), "{args:?}: {}", said.err);
    }
}

#[test]
fn a_pause_says_who_since_when_and_why() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n[jobs.b]\ncommand = 'true'\n");
    let waits = house.enqueue(&["a"]).to_string();
    let mut pause = house.jobctl();
    pause.args(["--json", "pause", "a", "--reason", "new disk"]).env("SUDO_USER", "ann");
    let said = answer_of(&mut pause).expect(0).json();
    assert_eq!(said["reason"], "new disk");
    let by = said["by"].as_str().and_then(|by| by.strip_prefix("user:"));
    let by = by.expect("somebody paused").to_owned();
    assert_eq!(by == "ann", is_root());
    house.ask(&["pause", "--all", "--for", "1h"]).expect(0);
    let status = house.status();
    let paused = |nth: usize| status["jobs"][nth]["pause"].clone();
    assert_eq!((&paused(0)["by"], &paused(0)["reason"]), (&said["by"], &"new disk".into()));
    assert!(paused(0)["since"].is_string() && paused(0)["until"].is_null());
    assert!(paused(1)["until"].is_string() && paused(1)["reason"].is_null());
    let text = house.ask(&["status"]).out;
    assert!(text.contains(&format!("paused by {by} since ")), "{text}");
    assert!(text.contains(": new disk\n"), "{text}");
    assert!(text.contains("\n`jobctl resume a` resumes it\n"), "{text}");
    let why = house.ask(&["why", &waits]).expect(0).out;
    assert!(why.contains("the job is paused until `jobctl resume a` (since "), "{why}");
    assert!(why.contains(&format!(", by {by}: new disk)")), "{why}");
    house.ask(&["resume", "a"]).expect(0);
    house.ask(&["resume", "--all"]).expect(0);
    let said = house.ask(&["pause", "a", "--reason", &"x".repeat(201)]).expect_refusal(2);
    assert!(said.err.contains("201 characters are too many; at most 200"), "{}", said.err);
    house.ask(&["pause", "a", "--reason", &"\u{e9}".repeat(200)]).expect(0);
    house.ask(&["pause", "a"]).expect(0);
    assert!(house.status()["jobs"][0]["pause"]["reason"].is_null());
}

#[test]
fn a_wait_with_a_timeout_gives_up() {
    let house = House::new("[jobs.a]\ncommand = 'until [ -e \"$T/go\" ]; do sleep 0.02; done'\n");
    house.ask(&["enqueue", "--timeout", "1s", "a"]).expect(2);
    let supervisor = house.start();
    let said = house.ask(&["enqueue", "--wait", "--timeout", "50ms", "a"]).expect(75);
    assert!(said.err.contains("timed out: run 1 has not ended"), "{}", said.err);
    house.ask(&["enqueue", "--wait", "--timeout", "soon", "a"]).expect(2);
    let said = house.ask(&["wait", "--timeout", "50ms", "--idle"]).expect(75);
    assert!(said.err.contains("timed out: something is due or running"), "{}", said.err);
    house.write("go", "");
    house.ask(&["wait", "--timeout", "1h", "1"]).expect(0);
    assert_eq!(house.runs("a").len(), 1);
    assert_eq!(supervisor.stop(), 0);
}
