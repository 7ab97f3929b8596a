//! The command line without a supervisor: exit codes, hints, closed and full streams, arguments
//! that are no text.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::process::Stdio;

use crate::support::{Answer, House, answer_from, answer_of};
use crate::terminals::on_terminal_of;

/// What a line answers, split at its spaces.
fn ask(house: &House, line: &str) -> Answer {
    house.ask(&line.split_whitespace().collect::<Vec<_>>())
}

const JOBFILE: &str = "timezone = 'UTC'\n\
    [jobs.backup]\nschedule = '30 2 * * *'\ncommand = 'true'\ntimezone = 'Asia/Tokyo'\n\
    [jobs.thumbnail]\ncommand = 'true'\n";

#[test]
fn wrong_usage_is_exit_code_2() {
    let house = House::empty();
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
        ask(&house, line).expect_refusal(2);
    }
}

/// The same with the options on the line, and without those of the environment.
fn ask_by_options(house: &House, line: &str) -> (Answer, String) {
    let (jobfile, state_dir) = (house.jobfile(), house.state_dir());
    let mut command = house.jobctl();
    command.env_remove("JOBCTL_JOBFILE").env_remove("JOBCTL_STATE_DIR");
    command.arg("--jobfile").arg(&jobfile).arg("--state-dir").arg(&state_dir);
    let answer = answer_of(command.args(line.split_whitespace()));
    let jobctl =
        format!("`jobctl --jobfile {} --state-dir {}", jobfile.display(), state_dir.display());
    (answer, jobctl)
}

#[test]
fn a_command_in_a_hint_reaches_the_store_that_was_asked() {
    let house = House::new(JOBFILE);
    for (line, rest) in [
        ("enqueue --wait backup", " run`\n"),
        ("enqueue backup", ""),
        ("retry 1", " show 1`\n"),
        ("enqueue --key k backup", ""),
        ("retry 9", " runs` lists the newest ones\n"),
        ("exec nothing", " status --all`\n"),
        ("pause backup", " resume backup`\n"),
    ] {
        let (answer, jobctl) = ask_by_options(&house, line);
        assert!(rest.is_empty() || answer.err.contains(&format!("{jobctl}{rest}")), "{answer:?}");
        assert!(!answer.err.replace(&jobctl, "").contains("`jobctl "), "{answer:?}");
    }
    let (doctor, jobctl) = ask_by_options(&house, "doctor");
    assert!(doctor.out.contains(&format!("{jobctl} run`\n")), "{doctor:?}");
}

#[test]
fn a_state_directory_on_the_line_without_a_store_is_said_once_by_who_looks() {
    let house = House::new(JOBFILE);
    let said = |line: &str| ask_by_options(&house, line).0.err;
    let missing = format!("jobctl: --state-dir {}: ", house.state_dir().display());
    for line in ["status", "runs", "show 1", "why 1", "logs 1", "next", "stats", "wait 1"] {
        let err = said(line);
        assert_eq!(err.matches(&missing).count(), 1, "{line}: {err}");
        assert!(err.contains(&format!("{missing}no such directory\n")), "{line}: {err}");
        assert!(!ask(&house, line).err.contains("--state-dir"), "{line}");
    }
    std::fs::create_dir(house.state_dir()).expect("it can be made");
    assert!(said("status").contains(&format!("{missing}no store is in it\n")));
    assert!(!said("enqueue backup").contains(&missing));
    assert!(!said("status").contains(&missing));
}

#[test]
fn an_option_behind_the_job_is_pointed_out_on_a_terminal() {
    let house = House::new(JOBFILE);
    let words = ["enqueue", "thumbnail", "a", "--wait"];
    let said = String::from_utf8(on_terminal_of(100, house.jobctl().args(words)));
    let said = said.expect("it is text");
    assert!(said.contains("jobctl: `--wait` is an argument of the command; "), "{said}");
    assert_eq!(house.show(1)["args"], serde_json::json!(["a", "--wait"]));
    assert!(!house.ask(&words).err.contains("--wait"));
}

#[test]
fn what_has_no_json_prints_its_text_all_the_same() {
    let house = House::empty();
    for line in ["man", "man jobctl.toml", "completions bash", "help", "help enqueue"] {
        let text = ask(&house, line).expect(0).out;
        assert_eq!(ask(&house, &format!("--json {line}")).expect(0).out, text, "{line}");
    }
    ask(&house, "--json metrics").expect_refusal(2);
}

#[test]
fn a_job_named_to_run_is_a_hint_to_enqueue() {
    let answer = ask(&House::empty(), "run backup --now").expect_refusal(2);
    assert!(
        answer.err.contains("hint: to run the job now, use `jobctl enqueue backup`"),
        "{answer:?}"
    );
}

#[test]
fn a_misspelt_command_or_job_is_guessed() {
    let house = House::new(JOBFILE);
    let answer = ask(&house, "encueue x");
    assert!(answer.err.contains("hint: a similar verb exists: 'enqueue'"), "{answer:?}");
    let answer = ask(&house, "status bakcup").expect_refusal(3);
    assert!(answer.err.contains("hint: did you mean `backup`?"), "{answer:?}");
}

#[test]
fn help_is_an_answer_of_its_own() {
    let house = House::empty();
    for line in ["--help", "-h", "--version", "status --help", "enqueue -h", "__complete -h"] {
        let answer = ask(&house, line);
        assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{line}");
        assert!(!answer.out.is_empty(), "{line}");
    }
}

#[test]
fn an_expression_is_shown_without_any_jobfile() {
    let house = House::empty();
    let args =
        ["next", "--schedule", "30 2 * * *", "--timezone", "Europe/Berlin", "--json", "-n", "2"];
    let from = ["--from", "2026-03-28T12:00:00Z"];
    let answer = house.ask(&[&args[..], &from].concat());
    assert_eq!(answer.code, 0, "{answer:?}");
    let lines: Vec<serde_json::Value> =
        answer.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{answer:?}");
    // 02:30 does not exist on the day of the change: it fires when the gap is over.
    assert!(lines[0]["at"].as_str().unwrap().starts_with("2026-03-29T03:"), "{answer:?}");
    assert_eq!(lines[1]["at"], "2026-03-30T02:30:00.000+02:00");
    assert!(lines[0]["job"].is_null() && lines[0]["schedule"] == "30 2 * * *");
}

#[test]
fn coming_occurrences_are_found_without_a_store() {
    let house = House::new(JOBFILE);
    let answer = ask(&house, "next --json --from 2026-07-26T00:00:00Z -n 1");
    assert_eq!(
        answer.out,
        "{\"at\":\"2026-07-27T02:30:00.000+09:00\",\"job\":\"backup\",\"schedule\":\"30 2 * * *\",\"note\":null,\"due_at\":\"2026-07-26T17:30:00.000Z\",\"jitter_ms\":0,\"resolved\":null}\n"
    );
    let answer = ask(&house, "next backup -n 1 --from 2026-07-26");
    assert!(answer.out.contains("2026-07-26 17:30:00"), "{answer:?}");
    assert!(answer.out.contains("2026-07-27 02:30:00 Asia/Tokyo"), "{answer:?}");
    let answer = ask(&house, "next thumbnail");
    assert_eq!((answer.code, answer.out.as_str()), (1, ""), "{answer:?}");
    assert!(answer.err.contains("has no schedule"), "{answer:?}");
}

#[test]
fn before_the_first_start_everything_can_be_asked() {
    let house = House::new(JOBFILE);
    let answer = ask(&house, "status");
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.out.contains("not running") && answer.out.contains("backup"), "{answer:?}");
    assert_eq!(ask(&house, "status -q").code, 4);
    assert_eq!(ask(&house, "runs").code, 0);
    assert_eq!(ask(&house, "runs --failed").code, 1);
    ask(&house, "runs nonsense").expect_refusal(3);
    ask(&house, "show 99").expect_refusal(3);
    ask(&house, "logs 99").expect_refusal(3);
    ask(&house, "logs 99999999999999999999").expect_refusal(3);
    ask(&house, "logs backup").expect_refusal(1);
    assert!(!house.state_dir().exists(), "readers make nothing");
}

#[test]
fn status_in_json_has_supervisor_and_jobs() {
    let house = House::new(JOBFILE);
    let answer = ask(&house, "status --json");
    let value = answer.json();
    assert_eq!(value["supervisor"]["running"], false);
    assert_eq!(value["supervisor"]["pid"], serde_json::Value::Null);
    assert_eq!(value["jobs"][0]["name"], "backup");
    assert_eq!(value["jobs"][1]["next"], serde_json::Value::Null);
}

#[test]
fn without_a_jobfile_there_is_a_hint_to_init() {
    let house = House::empty();
    for line in ["status", "next"] {
        let answer = ask(&house, line).expect_refusal(2);
        assert!(answer.err.contains("hint: create it with `jobctl init`"), "{answer:?}");
    }
}

#[test]
fn a_broken_jobfile_is_named_with_line_and_column() {
    let house = House::new("[jobs.a]\ncommand = 'true'\nretrry = 3\n");
    let answer = ask(&house, "next").expect_refusal(1);
    assert!(answer.err.contains("jobs.toml:3:1: job `a`:"), "{answer:?}");
}

#[test]
fn output_that_cannot_be_written_is_the_system_failing() {
    let house = House::new(JOBFILE);
    for line in ["--help", "next", "status", "status --json", "next --json"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = house.jobctl();
        let answer = answer_of(command.args(line.split(' ')).stdout(full)).expect_refusal(111);
        assert_eq!(answer.err, "jobctl: standard output: no space left on device\n", "{line}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    let answer = answer_of(house.jobctl().args(["show", "x"]).stderr(full));
    assert_eq!(answer.code, 2, "an error that nobody can read is still an error");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let house = House::empty();
    let args = ["next", "--schedule", "* * * * *", "-n", "100000", "--json"];
    let mut child =
        house.jobctl().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"at\":"), "{first}");
    let answer = answer_from(child.wait_with_output().unwrap());
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
}

#[test]
fn closed_streams_do_not_make_it_panic() {
    let house = House::new(JOBFILE);
    let shell = |redirections: &str, line: &str| {
        let script = format!("exec '{}' {line} {redirections}", env!("CARGO_BIN_EXE_jobctl"));
        answer_of(house.program("/bin/sh").args(["-c", &script]))
    };
    for redirections in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        assert_eq!(shell(redirections, "status").code, 0, "{redirections}");
        assert_eq!(shell(redirections, "show 9").code, 3, "{redirections}");
    }
}

#[test]
fn arguments_that_are_no_text_never_make_it_panic() {
    let house = House::new(JOBFILE);
    let bytes = || OsString::from_vec(b"a\xff\x1b[2Jb".to_vec());
    for command in
        ["status", "next", "runs", "show", "logs", "run", "retry", "wait", "pause", "nonsense"]
    {
        let words = [OsString::from(command), bytes()];
        answer_of(house.jobctl().args(words)).expect_refusal(2);
    }
    answer_of(house.jobctl().args([bytes()])).expect_refusal(2);
    answer_of(house.jobctl().args(["status"]).env("JOBCTL_JOBFILE", bytes())).expect(2);
}
