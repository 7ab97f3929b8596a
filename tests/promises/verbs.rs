//! The commands that write, as a user calls them: the real binary, a directory of its own, no supervisor.
//!
//! What a supervisor would have written (a run that runs, one that failed) is put into the store by hand.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts the binary, writes what a supervisor would have, and may panic"
)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const JOBFILE: &str = "\
    [jobs.resize]\ncommand = 'true'\nretry = 3\npriority = 7\n\
    [jobs.backup]\ncommand = 'true'\nschedule = '30 2 * * *'\n\
    [jobs.small]\ncommand = 'true'\nbacklog_max = 2\n\
    [jobs.off]\ncommand = 'true'\nenabled = false\nschedule = '@daily'\n";

/// A directory with a jobfile; removed in the end.
struct Place {
    dir: PathBuf,
}

/// What a call gave.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("jobctl-steer-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("jobs.toml"), JOBFILE).unwrap();
        Self { dir }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobctl"));
        command
            .args(args)
            .env("JOBCTL_JOBFILE", self.dir.join("jobs.toml"))
            .env("JOBCTL_STATE_DIR", self.state_dir())
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    fn call(&self, args: &[&str]) -> Said {
        said(&self.command(args).output().unwrap())
    }

    fn call_with(&self, args: &[&str], input: &[u8]) -> Said {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // It may refuse before it has read everything.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        said(&output)
    }

    fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Writes into the store as the supervisor would.
    fn sql(&self, sql: &str) {
        let store = rusqlite::Connection::open(self.state_dir().join("jobctl.db")).unwrap();
        store.execute_batch(sql).unwrap();
    }

    fn run(&self, id: i64) -> Value {
        let said = self.call(&["--json", "show", &id.to_string()]);
        serde_json::from_str(&said.out).unwrap()
    }

    fn state(&self, id: i64) -> String {
        self.run(id)["state"].as_str().unwrap().to_owned()
    }

    /// How many runs there are; none if there is no store.
    fn count(&self) -> usize {
        self.call(&["--json", "runs", "-n", "0"]).out.lines().count()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn said(output: &Output) -> Said {
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

/// Numbers of states in the store, which are part of its format.
const RUNNING: &str = "UPDATE run SET state = 3, attempt = 2, started_at = 7203000 WHERE id = ";
const SUCCEEDED: &str =
    "UPDATE run SET state = 5, attempt = 1, ended_at = 7203000, exit_code = 0 WHERE id = ";
const FAILED: &str = "UPDATE run SET state = 6, reason = 1, attempt = 4, charged = 4, ended_at = 7203000, \
                      outcome = 1, exit_code = 3 WHERE id = ";

fn set(place: &Place, state: &str, id: i64) {
    place.sql(&format!("{state}{id}"));
}

#[test]
fn an_item_is_on_disk_when_its_id_is_printed() {
    let place = Place::new("item");
    let said = place.call(&["enqueue", "resize", "a b", "--key", "-v"]);
    assert_eq!((said.code, said.out.as_str()), (0, "1\n"));
    assert!(said.err.contains("no supervisor is running: it will run when one is"), "{}", said.err);
    let run = place.run(1);
    assert_eq!(run["args"], serde_json::json!(["a b", "--key", "-v"]));
    assert_eq!((&run["state"], &run["cause"]), (&Value::from("queued"), &Value::from("enqueue")));
    assert_eq!((&run["priority"], &run["max_attempts"]), (&Value::from(7), &Value::from(4)));
    let mode = fs::metadata(place.state_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn each_line_is_one_argument_and_ids_come_in_order() {
    let place = Place::new("lines");
    let said = place.call_with(&["enqueue", "--lines", "resize"], b"a b\n\n--x\nlast");
    assert_eq!((said.code, said.out.as_str()), (0, "1\n2\n3\n"));
    assert_eq!(place.run(2)["args"], serde_json::json!(["--x"]));
    let said = place.call_with(&["--json", "enqueue", "--null", "resize"], b"a\nb\0\xff\0");
    assert_eq!(said.out, "{\"id\":4,\"existing\":false}\n{\"id\":5,\"existing\":false}\n");
    assert_eq!(place.run(4)["args"], serde_json::json!(["a\nb"]));
    assert_eq!(place.run(5)["args_base64"], serde_json::json!(["/w=="]));
}

#[test]
fn no_lines_are_no_error_and_no_store() {
    let place = Place::new("no-lines");
    let said = place.call_with(&["enqueue", "--lines", "resize"], b"\n\n");
    assert_eq!((said.code, said.out.as_str()), (0, ""));
    assert!(!place.state_dir().exists());
}

#[test]
fn input_that_is_wrong_anywhere_adds_nothing() {
    let place = Place::new("wrong");
    let mut long = b"ok\n".to_vec();
    long.resize(3 + 131_072, b'x');
    for (input, word) in
        [(&b"ok\nx\0y\n"[..], "line 2 has a NUL"), (&long, "line 2 has 131072 bytes")]
    {
        let said = place.call_with(&["enqueue", "--lines", "resize"], input);
        assert_eq!((said.code, said.out.as_str()), (2, ""));
        assert!(said.err.contains(word), "{}", said.err);
    }
    assert!(!place.state_dir().exists());
}

#[test]
fn a_read_error_adds_nothing() {
    let place = Place::new("read-error");
    let directory = File::open(&place.dir).unwrap();
    let output =
        place.command(&["enqueue", "--lines", "resize"]).stdin(directory).output().unwrap();
    let said = said(&output);
    assert_eq!(said.code, 111);
    assert!(said.err.contains("nothing was added"), "{}", said.err);
    assert!(!place.state_dir().exists());
}

#[test]
fn a_reader_of_the_ids_that_goes_away_changes_nothing() {
    let place = Place::new("reader");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let lines = "x\n".repeat(20_000);
    let input = place.dir.join("input");
    fs::write(&input, lines).unwrap();
    let status = place
        .command(&["-q", "enqueue", "--lines", "resize"])
        .stdin(File::open(input).unwrap())
        .stdout(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(place.count(), 20_000);
}

#[test]
fn an_unknown_job_is_guessed() {
    let place = Place::new("unknown");
    let said = place.call(&["enqueue", "rezise", "x"]);
    assert_eq!(said.code, 3);
    assert_eq!(
        said.err,
        "jobctl: job `rezise`: there is no such job\nhint: did you mean `resize`?\n"
    );
    assert!(!place.state_dir().exists());
    assert_eq!(place.call(&["enqueue"]).code, 2);
    assert_eq!(place.call(&["enqueue", "--lines", "resize", "x"]).code, 2);
    assert_eq!(place.call(&["enqueue", "--in", "90", "resize"]).code, 2);
}

#[test]
fn a_full_backlog_is_not_now() {
    let place = Place::new("backlog");
    assert_eq!(place.call(&["enqueue", "small", "1"]).code, 0);
    let said = place.call_with(&["enqueue", "--lines", "small"], b"2\n3\n");
    assert_eq!((said.code, said.out.as_str()), (75, ""));
    assert!(said.err.contains("1 runs wait already"), "{}", said.err);
    assert_eq!(place.count(), 1);
    assert_eq!(place.call(&["enqueue", "small", "2"]).code, 0);
}

#[test]
fn a_key_is_in_the_queue_once() {
    let place = Place::new("key");
    let add = ["--json", "enqueue", "--key", "k", "resize"];
    assert_eq!(place.call(&add).out, "{\"id\":1,\"existing\":false}\n");
    let said = place.call(&add);
    assert!(!said.err.contains("will run when one is"), "{}", said.err);
    assert_eq!((said.code, said.out.as_str()), (0, "{\"id\":1,\"existing\":true}\n"));
    set(&place, SUCCEEDED, 1);
    assert_eq!(place.call(&add).out, "{\"id\":2,\"existing\":false}\n");
    let said = place.call(&["retry", "--force", "1"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("its key `k` is held by run 2"), "{}", said.err);
}

#[test]
fn a_later_item_is_scheduled_and_a_past_one_is_due() {
    let place = Place::new("later");
    place.call(&["enqueue", "--in", "1h", "resize"]);
    place.call(&["enqueue", "--at", "2099-01-01 12:00", "resize"]);
    place.call(&["enqueue", "--at", "2001-01-01T00:00:00Z", "resize"]);
    assert_eq!(place.state(1), "scheduled");
    assert_eq!(place.run(2)["due_at"], "2099-01-01T12:00:00.000Z");
    assert_eq!(place.state(3), "queued");
}

#[test]
fn a_job_that_is_not_enabled_runs_by_hand() {
    let place = Place::new("off");
    let said = place.call(&["enqueue", "off"]);
    assert_eq!(said.code, 0);
    assert!(said.err.contains("job `off` is not enabled"), "{}", said.err);
}

#[test]
fn what_cannot_be_waited_for_is_not_added() {
    let place = Place::new("wait-none");
    let said = place.call(&["enqueue", "--wait", "resize"]);
    assert_eq!((said.code, said.out.as_str()), (4, ""));
    assert!(!place.state_dir().exists());
}

#[test]
fn a_retry_is_refused_with_the_reason_and_the_way_out() {
    let place = Place::new("refused");
    place.call_with(&["enqueue", "--lines", "resize"], b"1\n2\n3\n");
    set(&place, RUNNING, 2);
    set(&place, SUCCEEDED, 3);
    let said = place.call(&["retry", "1"]);
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("jobctl: run 1 is queued already"), "{}", said.err);
    let said = place.call(&["retry", "2"]);
    assert_eq!(
        said.err,
        "jobctl: run 2 is still running (attempt 2, since 1970-01-01 02:00:03)\n\
         hint: stop it first with `jobctl cancel 2`\n"
    );
    assert_eq!((said.code, place.call(&["retry", "3"]).code), (1, 1));
    assert_eq!(place.call(&["retry", "--force", "3"]).code, 0);
    assert_eq!(place.state(3), "queued");
}

#[test]
fn a_retry_has_a_fresh_budget_of_today() {
    let place = Place::new("budget");
    place.call(&["enqueue", "resize", "x"]);
    set(&place, FAILED, 1);
    place.sql("UPDATE run SET acked = 7204000 WHERE id = 1");
    let jobfile = JOBFILE.replace("retry = 3", "retry = 1");
    fs::write(place.dir.join("jobs.toml"), jobfile).unwrap();
    let said = place.call(&["retry", "1"]);
    assert_eq!(said.code, 0, "{said:?}");
    let run = place.run(1);
    assert_eq!((&run["attempt"], &run["max_attempts"]), (&Value::from(4), &Value::from(6)));
    assert_eq!((&run["state"], &run["acked"]), (&Value::from("queued"), &Value::Null));
}

#[test]
fn a_run_whose_job_is_gone_is_not_retried() {
    let place = Place::new("gone");
    place.call(&["enqueue", "resize", "x"]);
    set(&place, FAILED, 1);
    fs::write(place.dir.join("jobs.toml"), "[jobs.other]\ncommand = 'true'\n").unwrap();
    let said = place.call(&["retry", "1"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("its job `resize` is not in the jobfile"), "{}", said.err);
    assert_eq!(place.state(1), "failed");
}

#[test]
fn ids_and_filters_are_told_apart() {
    let place = Place::new("usage");
    place.call(&["enqueue", "resize"]);
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
            assert_eq!(place.call(&line).code, code, "{line:?}");
        }
    }
    assert_eq!(place.state(1), "queued");
}

#[test]
fn several_ids_are_each_for_itself() {
    let place = Place::new("several");
    place.call_with(&["enqueue", "--lines", "resize"], b"1\n2\n");
    set(&place, FAILED, 2);
    let said = place.call(&["--json", "retry", "1", "2", "99"]);
    assert_eq!(said.code, 1);
    let answers: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<&str> =
        answers.iter().map(|answer| answer["answer"].as_str().unwrap()).collect();
    assert_eq!(words, ["refused", "done", "not_found"]);
    assert_eq!(place.state(2), "queued");
}

#[test]
fn retry_failed_takes_the_newest_occurrence_and_all_items() {
    let place = Place::new("failed");
    place.call_with(&["enqueue", "--lines", "backup"], b"1\n2\n3\n4\n");
    for id in 1..=4 {
        set(&place, FAILED, id);
    }
    place.sql("UPDATE run SET cause = 1 WHERE id IN (1, 2)");
    let said = place.call(&["retry", "--failed", "--dry-run"]);
    assert_eq!(said.code, 0);
    assert_eq!(
        said.out,
        "would retry run 2 (backup, failed (exit 3))\nwould retry run 3 (backup, failed (exit 3))\n\
         would retry run 4 (backup, failed (exit 3))\n"
    );
    assert_eq!(place.state(2), "failed");
    assert_eq!(place.call(&["retry", "--failed", "--job", "backup"]).code, 0);
    let states: Vec<String> = (1..=4).map(|id| place.state(id)).collect();
    assert_eq!(states, ["failed", "queued", "queued", "queued"]);
    assert_eq!(place.call(&["retry", "--failed", "--all"]).code, 0);
    assert_eq!(place.state(1), "queued");
}

#[test]
fn what_waits_is_cancelled_and_what_runs_is_asked_to_stop() {
    let place = Place::new("cancel");
    place.call_with(&["enqueue", "--lines", "resize"], b"1\n2\n3\n");
    set(&place, RUNNING, 2);
    let said = place.call(&["cancel", "1"]);
    assert_eq!((said.code, said.err.as_str()), (0, "jobctl: run 1 (resize) is cancelled\n"));
    let said = place.call(&["stop", "2"]);
    assert_eq!(
        said.err,
        "jobctl: stopping run 2 (resize)\n\
         jobctl: no supervisor is running: it takes effect when one runs\n"
    );
    assert_eq!((place.state(1), place.state(2)), ("cancelled".into(), "running".into()));
    assert_eq!(place.call(&["cancel", "1"]).code, 1);
    let said = place.call(&["--json", "cancel", "--job", "resize"]);
    let ids: Vec<&str> = said.out.lines().map(|line| &line[..7]).collect();
    assert_eq!(ids, ["{\"id\":3", "{\"id\":2"], "what runs is stopped after what waits");
    assert_eq!(place.state(3), "cancelled");
}

#[test]
fn a_failure_is_acknowledged_once() {
    let place = Place::new("ack");
    place.call_with(&["enqueue", "--lines", "resize"], b"1\n2\n");
    assert_eq!(place.call(&["ack", "1"]).code, 1);
    set(&place, FAILED, 1);
    assert_eq!(place.call(&["ack", "--failed"]).code, 0);
    assert!(place.run(1)["acked"].is_string());
    let said = place.call(&["ack", "1"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("acknowledged before"), "{}", said.err);
}

#[test]
fn a_pause_holds_until_it_is_ended() {
    let place = Place::new("pause");
    assert_eq!(place.call(&["pause", "backup"]).code, 1, "no store yet");
    place.call(&["enqueue", "resize"]);
    assert_eq!(place.call(&["pause", "bakcup"]).code, 3);
    assert_eq!(place.call(&["pause"]).code, 2);
    assert_eq!(place.call(&["pause", "--all", "--for", "0s"]).code, 2);
    let said = place.call(&["--json", "pause", "backup", "--for", "1h"]);
    let paused: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&paused["job"], &paused["paused"]), (&Value::from("backup"), &Value::from(true)));
    assert!(paused["until"].is_string());
    let said = place.call(&["pause", "--all"]);
    assert!(said.err.contains("everything is paused until `jobctl resume --all`"));
    let said = place.call(&["enqueue", "resize"]);
    assert!(said.err.contains("everything is paused"), "{}", said.err);
    let said = place.call(&["resume", "--all"]);
    assert!(said.err.contains("still paused by name: `backup`"), "{}", said.err);
    let said = place.call(&["resume", "backup"]);
    assert!(said.err.contains("job `backup` goes on"), "{}", said.err);
}

#[test]
fn check_says_ok_or_everything_that_is_wrong() {
    let place = Place::new("check");
    let said = place.call(&["check"]);
    assert_eq!((said.code, said.out.as_str()), (0, "OK, 4 jobs\n"));
    let broken = "[jobs.a]\ncomand = 'true'\n[jobs.b]\ncommand = 'true'\nschedule = '61 * * * *'\n";
    fs::write(place.dir.join("jobs.toml"), broken).unwrap();
    let said = place.call(&["check"]);
    assert_eq!(said.code, 1);
    let path = place.dir.join("jobs.toml");
    for line in [2, 5] {
        let at = format!("{}:{line}:", path.display());
        assert!(said.err.contains(&at), "{at}: {}", said.err);
    }
    let said = place.call(&["--json", "check"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &report["ok"]), (1, &Value::from(false)));
    assert_eq!(report["errors"][0]["job"], "a");
    fs::remove_file(path).unwrap();
    let said = place.call(&["check"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("jobctl init"), "{}", said.err);
}

#[test]
fn init_writes_a_jobfile_that_is_in_order_and_never_over_another() {
    let place = Place::new("init");
    let path = place.dir.join("new/dir/jobs.toml");
    let path = path.to_str().unwrap();
    assert_eq!(place.call(&["--jobfile", path, "init"]).code, 0);
    assert_eq!(place.call(&["--jobfile", path, "check"]).code, 0);
    fs::write(path, "mine").unwrap();
    let said = place.call(&["--jobfile", path, "init"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("there is one already"), "{}", said.err);
    assert_eq!(fs::read_to_string(path).unwrap(), "mine");
}

#[test]
fn a_broken_jobfile_stops_enqueue_where_there_never_was_a_good_one() {
    let place = Place::new("broken");
    fs::write(place.dir.join("jobs.toml"), "[jobs.a\n").unwrap();
    assert_eq!(place.call(&["enqueue", "a"]).code, 1);
    fs::remove_file(place.dir.join("jobs.toml")).unwrap();
    assert_eq!(place.call(&["enqueue", "a"]).code, 2);
    assert!(!place.state_dir().exists());
}

#[test]
fn wait_ends_with_the_run_and_says_when_nobody_runs_it() {
    let place = Place::new("wait");
    place.call_with(&["enqueue", "--lines", "resize"], b"1\n2\n");
    assert_eq!(place.call(&["wait", "99"]).code, 3);
    for (id, state, code) in [(1, SUCCEEDED, 0), (2, FAILED, 1)] {
        let mut child =
            place.command(&["wait", &id.to_string()]).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, "jobctl: no supervisor is running: waiting until one is\n");
        set(&place, state, id);
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
    let said = place.call(&["--json", "wait", "2", "1"]);
    assert_eq!(said.code, 1);
    let first: Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    assert_eq!((&first["id"], &first["state"]), (&Value::from(2), &Value::from("failed")));
    assert_eq!(place.call(&["wait", "--idle"]).code, 0);
}

#[test]
fn completion_knows_jobs_and_runs_and_never_complains() {
    let place = Place::new("complete");
    place.call(&["enqueue", "resize"]);
    let said = place.call(&["__complete", "jobs"]);
    assert_eq!(said.out, "backup\noff\nresize\nsmall\n");
    assert_eq!(place.call(&["__complete", "runs"]).out, "1\n");
    fs::write(place.dir.join("jobs.toml"), "broken").unwrap();
    let said = place.call(&["__complete", "jobs"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "resize\n", ""));
}

#[test]
fn bash_completes_jobs_and_runs() {
    let place = Place::new("bash");
    place.call(&["enqueue", "resize"]);
    for (line, words) in [
        ("jobctl enqueue re", "resize"),
        ("jobctl -q retry ''", "1"),
        ("jobctl retry --job ba", "backup"),
        ("jobctl retry --since ba", ""),
        ("jobctl pau", "pause"),
        ("jobctl logs --fo", "--follow"),
    ] {
        assert_eq!(completed_by_bash(&place.dir, &place, line), words, "{line}");
    }
}

/// What bash offers for the last word of a line.
fn completed_by_bash(dir: &Path, place: &Place, line: &str) -> String {
    let binaries = Path::new(env!("CARGO_BIN_EXE_jobctl")).parent().unwrap();
    let script = format!(
        "PATH={}:$PATH; source <(jobctl completions bash); COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _jobctl_words jobctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; echo -n \"${{COMPREPLY[@]}}\"",
        binaries.display()
    );
    let output = Command::new("bash")
        .args(["--norc", "-c", &script])
        .current_dir(dir)
        .env("JOBCTL_JOBFILE", place.dir.join("jobs.toml"))
        .env("JOBCTL_STATE_DIR", place.state_dir())
        .output()
        .unwrap();
    said(&output).out
}

#[test]
fn the_manual_pages_are_in_the_binary() {
    let place = Place::new("man");
    for (args, title) in
        [(&["man"][..], ".Dt JOBCTL 1"), (&["man", "jobctl.toml"], ".Dt JOBCTL.TOML 5")]
    {
        let said = place.call(args);
        assert_eq!(said.code, 0);
        assert!(said.out.to_lowercase().contains(&title.to_lowercase()));
    }
    assert_eq!(place.call(&["man", "ls"]).code, 2);
}

#[test]
fn a_fifo_as_jobfile_is_refused_and_not_waited_for() {
    let place = Place::new("fifo");
    let path = place.dir.join("jobs.toml");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for args in [&["check"][..], &["status"], &["run"]] {
        let said = place.call(args);
        assert_ne!(said.code, 0, "{args:?}");
        assert!(said.err.contains("not a file"), "{args:?}: {}", said.err);
    }
}
