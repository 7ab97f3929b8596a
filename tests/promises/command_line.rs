//! The command line without a supervisor: exit codes, hints, closed and full streams, arguments that are no text.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the real binary is started as people start it, and a test may fail"
)]

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A home of its own for each test; removed at the end.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("jobctl-cli-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn write_jobfile(&self, text: &str) {
        fs::write(self.0.join("jobs.toml"), text).unwrap();
    }

    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobctl"));
        command
            .env_clear()
            .env("HOME", &self.0)
            .env("TZ", "UTC")
            .env("JOBCTL_JOBFILE", self.0.join("jobs.toml"))
            .env("JOBCTL_STATE_DIR", self.0.join("state"))
            .stdin(Stdio::null())
            .args(args);
        command
    }

    fn run(&self, line: &str) -> Answer {
        Answer::of(self.command(line.split_whitespace()).output().unwrap())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Answer {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn assert_is_refused(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.starts_with("jobctl: "), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
    }
}

const JOBFILE: &str = "timezone = 'UTC'\n\
    [jobs.backup]\nschedule = '30 2 * * *'\ncommand = 'true'\ntimezone = 'Asia/Tokyo'\n\
    [jobs.thumbnail]\ncommand = 'true'\n";

#[test]
fn wrong_usage_is_exit_code_2() {
    let home = Home::new("usage");
    for line in [
        "",
        "statsu",
        "show",
        "show abc",
        "show -1",
        "show 1 2",
        "retry",
        "retry 3 --failed",
        "retry --all",
        "ack --state nonsense",
        "cancel x",
        "wait",
        "wait 3 --idle",
        "pause",
        "pause a --all",
        "enqueue",
        "enqueue --nonsense job",
        "runs --exit 256",
        "runs --since yesterday",
        "runs a --job b",
        "next --schedule",
        "next --timezone UTC",
        "next -n 0",
        "logs",
        "logs -f --json",
        "status --color sometimes",
        "completions tcsh",
    ] {
        home.run(line).assert_is_refused(2);
    }
}

#[test]
fn a_job_named_to_run_is_a_hint_to_enqueue() {
    let answer = Home::new("run-name").run("run backup --now");
    answer.assert_is_refused(2);
    assert!(
        answer.stderr.contains("hint: to run the job now, use `jobctl enqueue backup`"),
        "{answer:?}"
    );
}

#[test]
fn a_misspelt_command_or_job_is_guessed() {
    let home = Home::new("guess");
    home.write_jobfile(JOBFILE);
    let answer = home.run("encueue x");
    assert!(answer.stderr.contains("hint: a similar subcommand exists: 'enqueue'"), "{answer:?}");
    let answer = home.run("status bakcup");
    answer.assert_is_refused(3);
    assert!(answer.stderr.contains("hint: did you mean `backup`?"), "{answer:?}");
}

#[test]
fn help_is_an_answer_of_its_own() {
    let home = Home::new("help");
    for line in ["--help", "-h", "--version", "status --help", "enqueue -h", "__complete -h"] {
        let answer = home.run(line);
        assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{line}");
        assert!(!answer.stdout.is_empty(), "{line}");
    }
}

#[test]
fn an_expression_is_shown_without_any_jobfile() {
    let home = Home::new("expression");
    let args =
        ["next", "--schedule", "30 2 * * *", "--timezone", "Europe/Berlin", "--json", "-n", "2"];
    let from = ["--from", "2026-03-28T12:00:00Z"];
    let answer = Answer::of(home.command(args.iter().chain(&from)).output().unwrap());
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let lines: Vec<serde_json::Value> =
        answer.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{answer:?}");
    // 02:30 does not exist on the day of the change: it fires when the gap is over.
    assert!(lines[0]["at"].as_str().unwrap().starts_with("2026-03-29T03:"), "{answer:?}");
    assert_eq!(lines[1]["at"], "2026-03-30T02:30:00.000+02:00");
    assert!(lines[0]["job"].is_null() && lines[0]["schedule"] == "30 2 * * *");
}

#[test]
fn coming_occurrences_are_found_without_a_store() {
    let home = Home::new("next");
    home.write_jobfile(JOBFILE);
    let answer = home.run("next --json --from 2026-07-26T00:00:00Z -n 1");
    assert_eq!(
        answer.stdout,
        "{\"at\":\"2026-07-27T02:30:00.000+09:00\",\"job\":\"backup\",\"schedule\":\"30 2 * * *\",\"note\":null,\"due_at\":\"2026-07-26T17:30:00.000Z\",\"jitter_ms\":0,\"resolved\":null}\n"
    );
    let answer = home.run("next backup -n 1 --from 2026-07-26");
    assert!(answer.stdout.contains("2026-07-26 17:30:00"), "{answer:?}");
    assert!(answer.stdout.contains("2026-07-27 02:30:00 Asia/Tokyo"), "{answer:?}");
    let answer = home.run("next thumbnail");
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""), "{answer:?}");
    assert!(answer.stderr.contains("has no schedule"), "{answer:?}");
}

#[test]
fn before_the_first_start_everything_can_be_asked() {
    let home = Home::new("fresh");
    home.write_jobfile(JOBFILE);
    let answer = home.run("status");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(
        answer.stdout.contains("not running") && answer.stdout.contains("backup"),
        "{answer:?}"
    );
    assert_eq!(home.run("status -q").code, Some(4));
    assert_eq!(home.run("runs").code, Some(0));
    assert_eq!(home.run("runs --failed").code, Some(1));
    home.run("runs nonsense").assert_is_refused(3);
    home.run("show 99").assert_is_refused(3);
    home.run("logs 99").assert_is_refused(3);
    home.run("logs 99999999999999999999").assert_is_refused(3);
    home.run("logs backup").assert_is_refused(1);
    assert!(!home.0.join("state").exists(), "readers make nothing");
}

#[test]
fn status_in_json_has_supervisor_and_jobs() {
    let home = Home::new("json");
    home.write_jobfile(JOBFILE);
    let answer = home.run("status --json");
    let value: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(value["supervisor"]["running"], false);
    assert_eq!(value["supervisor"]["pid"], serde_json::Value::Null);
    assert_eq!(value["jobs"][0]["name"], "backup");
    assert_eq!(value["jobs"][1]["next"], serde_json::Value::Null);
}

#[test]
fn without_a_jobfile_there_is_a_hint_to_init() {
    let home = Home::new("no-jobfile");
    for line in ["status", "next"] {
        let answer = home.run(line);
        answer.assert_is_refused(2);
        assert!(answer.stderr.contains("hint: `jobctl init`"), "{answer:?}");
    }
}

#[test]
fn a_broken_jobfile_is_named_with_line_and_column() {
    let home = Home::new("broken");
    home.write_jobfile("[jobs.a]\ncommand = 'true'\nretrry = 3\n");
    let answer = home.run("next");
    answer.assert_is_refused(1);
    assert!(answer.stderr.contains("jobs.toml:3:1: job `a`:"), "{answer:?}");
}

#[test]
fn output_that_cannot_be_written_is_the_system_failing() {
    let home = Home::new("full");
    home.write_jobfile(JOBFILE);
    for line in ["--help", "next", "status", "status --json", "next --json"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = home.command(line.split(' ')).stdout(full).output().unwrap();
        let answer = Answer::of(output);
        answer.assert_is_refused(111);
        assert_eq!(answer.stderr, "jobctl: standard output: no space left on device\n", "{line}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = home.command(["show", "x"]).stderr(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "an error that nobody can read is still an error");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new("pipe");
    let args = ["next", "--schedule", "* * * * *", "-n", "100000", "--json"];
    let mut child =
        home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"at\":"), "{first}");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn closed_streams_do_not_make_it_panic() {
    let home = Home::new("closed");
    home.write_jobfile(JOBFILE);
    let shell = |redirections: &str, line: &str| {
        let script = format!("exec '{}' {line} {redirections}", env!("CARGO_BIN_EXE_jobctl"));
        let mut command = Command::new("/bin/sh");
        command.env_clear().env("HOME", &home.0).env("JOBCTL_JOBFILE", home.0.join("jobs.toml"));
        command
            .env("JOBCTL_STATE_DIR", home.0.join("state"))
            .args(["-c", &script])
            .output()
            .unwrap()
    };
    for redirections in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        assert_eq!(shell(redirections, "status").status.code(), Some(0), "{redirections}");
        assert_eq!(shell(redirections, "show 9").status.code(), Some(3), "{redirections}");
    }
}

#[test]
fn arguments_that_are_no_text_never_make_it_panic() {
    let home = Home::new("bytes");
    home.write_jobfile(JOBFILE);
    let bytes = || OsString::from_vec(b"a\xff\x1b[2Jb".to_vec());
    for command in
        ["status", "next", "runs", "show", "logs", "run", "retry", "wait", "pause", "nonsense"]
    {
        let answer = Answer::of(home.command([OsString::from(command), bytes()]).output().unwrap());
        answer.assert_is_refused(2);
    }
    let answer = Answer::of(home.command([bytes()]).output().unwrap());
    answer.assert_is_refused(2);
    let output = home.command(["status"]).env("JOBCTL_JOBFILE", bytes()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
