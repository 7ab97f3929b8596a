//! `jobctl exec`: here and now, as the supervisor would do it.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::support::{House, answer_of, environment, program, send, wait_gone};

const JOBS: &str = r#"
[jobs.say]
command = 'echo "$JOBCTL_CAUSE $JOBCTL_ATTEMPT/$JOBCTL_MAX_ATTEMPTS [$1] [$2]"; echo err >&2; cat'

[jobs.fail]
retry = 3
command = 'echo once >> "$T/failed"; exit 7'

[jobs.hold]
lock = "db"
command = 'echo held >> "$T/held"; read _ < "$T/door"; exit 4'

[jobs.other]
lock = "db"
command = 'true'

[jobs.stubborn]
stop_grace = "60s"
command = 'trap "echo asked >> \"$T/asked\"; exit 9" TERM; echo up >> "$T/up"; while :; do read -t 60 _ <> "$T/door"; done'
shell = ["/bin/bash", "-c"]

[jobs.much]
output_max = "4KiB"
command = 'seq 200000'

[jobs.env]
command = 'echo "${ONLY_HERE-none}"'
"#;

fn house() -> House {
    let house = House::new(JOBS);
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    house
}

fn open_door(house: &House) {
    let mut door =
        std::fs::OpenOptions::new().write(true).open(house.path("door")).expect("somebody reads");
    writeln!(door).expect("it is open");
}

#[test]
fn the_output_is_printed_and_recorded_without_a_supervisor() {
    let house = house();
    let answer = house.ask(&["exec", "say", "a b", "--json"]).expect(0);
    assert_eq!(answer.out, "exec 1/1 [a b] [--json]\nerr\n");
    let runs = house.runs("say");
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    assert_eq!(
        (run["state"].as_str(), run["cause"].as_str(), run["attempt"].as_i64()),
        (Some("succeeded"), Some("exec"), Some(1))
    );
    assert_eq!(run["args"], serde_json::json!(["a b", "--json"]));
    let id = run["id"].to_string();
    assert_eq!(house.ask(&["logs", &id]).expect(0).out, answer.out);
}

#[test]
fn a_failure_is_the_exit_code_is_not_retried_and_somebody_has_seen_it() {
    let house = house();
    let supervisor = house.start();
    house.ask(&["exec", "fail"]).expect(7);
    let run = house.runs("fail").remove(0);
    assert_eq!((run["state"].as_str(), run["exit_code"].as_i64()), (Some("failed"), Some(7)));
    assert_eq!(run["max_attempts"], 1);
    assert!(run["acked"].is_string(), "{run}");
    house.ask(&["wait", "--idle"]).expect(0);
    assert_eq!(house.lines("failed").len(), 1);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn json_is_the_run_and_the_output_goes_to_standard_error() {
    let house = house();
    let answer = house.ask(&["--json", "exec", "say"]).expect(0);
    let run: serde_json::Value = serde_json::from_str(&answer.out).expect("one object");
    assert_eq!(run["state"], "succeeded");
    assert!(answer.err.contains("exec 1/1"), "{}", answer.err);
}

#[test]
fn what_another_run_holds_is_not_now_both_ways() {
    let house = house();
    let supervisor = house.start();
    let held = house.enqueue(&["hold"]);
    house.wait_lines("held", 1);
    for job in ["hold", "other"] {
        let answer = house.ask(&["exec", job]).expect(75);
        assert!(answer.err.contains(&format!("run {held} of `hold`")), "{}", answer.err);
    }
    open_door(&house);
    house.wait_state(held, "failed");

    let mut exec = house.jobctl();
    let mut exec = exec.args(["exec", "hold"]).stdout(Stdio::null()).spawn().expect("it starts");
    house.wait_lines("held", 2);
    let waits = house.enqueue(&["other"]);
    let why = house.ask(&["why", &waits.to_string()]).expect(0);
    assert!(why.out.contains("lock `db`, held by `hold`"), "{}", why.out);
    assert_eq!(house.show(waits)["state"], "queued");
    open_door(&house);
    assert_eq!(exec.wait().expect("it is a child").code(), Some(4));
    house.wait_state(waits, "succeeded");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_signal_begins_the_stop_sequence() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let house = house();
        let mut exec = house.jobctl();
        let mut exec = exec.args(["exec", "stubborn"]).spawn().expect("it starts");
        house.wait_lines("up", 1);
        send(exec.id().cast_signed(), signal);
        assert_eq!(exec.wait().expect("it is a child").code(), Some(9));
        assert_eq!(house.lines("asked").len(), 1);
        let run = house.runs("stubborn").remove(0);
        assert_eq!(
            (run["state"].as_str(), run["reason"].as_str()),
            (Some("cancelled"), Some("by_hand"))
        );
    }
}

#[test]
fn a_cancel_from_elsewhere_stops_it() {
    let house = house();
    let supervisor = house.start();
    let mut exec = house.jobctl();
    let mut exec = exec.args(["exec", "stubborn"]).spawn().expect("it starts");
    house.wait_lines("up", 1);
    let id = house.runs("stubborn")[0]["id"].to_string();
    house.ask(&["cancel", &id]).expect(0);
    assert_eq!(exec.wait().expect("it is a child").code(), Some(9));
    assert_eq!(house.runs("stubborn")[0]["state"], "cancelled");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_run_is_repeated_with_its_arguments_and_standard_input() {
    let house = house();
    let answer =
        house.ask_with(&["enqueue", "--stdin", "--key", "k", "say", "x"], "the input\n").expect(0);
    let id = answer.out.trim().to_owned();
    let answer = house.ask(&["exec", "--run", &id]).expect(0);
    assert_eq!(answer.out, "exec 1/1 [x] []\nerr\nthe input\n");
    assert_eq!(house.show(id.parse().expect("an id"))["state"], "queued");
    let repeated =
        house.runs("say").into_iter().find(|run| run["cause"] == "exec").expect("it is there");
    assert_eq!(repeated["args"], serde_json::json!(["x"]));
    house.ask(&["exec", "--run", "999"]).expect(3);
    house.ask(&["exec", "--run", &id, "say"]).expect(2);
}

#[test]
fn standard_input_is_empty_unless_it_is_asked_for() {
    let house = house();
    let without = house.ask_with(&["exec", "say"], "typed\n").expect(0);
    assert!(!without.out.contains("typed"), "{}", without.out);
    let with = house.ask_with(&["exec", "--tty-stdin", "say"], "typed\n").expect(0);
    assert!(with.out.ends_with("typed\n"), "{}", with.out);
}

#[test]
fn all_output_is_copied_whatever_is_kept() {
    let house = house();
    let answer = house.ask(&["exec", "much"]).expect(0);
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(answer.out == expected, "{} bytes", answer.out.len());
    let id = house.runs("much")[0]["id"].to_string();
    assert!(house.ask(&["logs", &id]).expect(0).out.len() < 10_000);
}

#[test]
fn a_reader_that_goes_away_is_no_business_of_the_command() {
    let house = house();
    let mut exec = house.jobctl();
    let mut exec = exec.args(["exec", "much"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut reader = exec.stdout.take().expect("it is a pipe");
    reader.read_exact(&mut [0; 2]).expect("there is something");
    drop(reader);
    assert_eq!(exec.wait().expect("it is a child").code(), Some(0));
    assert_eq!(house.runs("much")[0]["state"], "succeeded");
}

#[test]
fn only_exec_runs_while_everything_is_paused() {
    let house = house();
    let supervisor = house.start();
    house.ask(&["pause", "--all"]).expect(0);
    house.ask(&["exec", "say"]).expect(0);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn it_finds_the_environment_of_the_supervisor() {
    let house = house();
    let exec = |house: &House| {
        let mut exec = house.jobctl();
        answer_of(exec.args(["exec", "env"]).env("ONLY_HERE", "here")).expect(0).out
    };
    assert_eq!(exec(&house), "here\n");
    let supervisor = house.start();
    assert_eq!(exec(&house), "none\n");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_a_killed_exec_leaves_is_finished_by_the_supervisor() {
    for is_there_before in [true, false] {
        let house = house();
        let before = is_there_before.then(|| house.start());
        let mut exec = house.jobctl();
        let mut exec =
            exec.args(["exec", "hold"]).stdout(Stdio::null()).spawn().expect("it starts");
        house.wait_lines("held", 1);
        exec.kill().expect("it is a child");
        exec.wait().expect("it is a child");
        let supervisor = before.unwrap_or_else(|| house.start());
        let id = house.runs("hold")[0]["id"].as_i64().expect("an id");
        let keeper = house.keeper_of(id);
        assert_eq!(house.show(id)["state"], "running");
        open_door(&house);
        wait_gone(keeper);
        let run = house.wait_state(id, "failed");
        assert_eq!((run["exit_code"].as_i64(), run["attempt"].as_i64()), (Some(4), Some(1)));
        assert_eq!(run["acked"], serde_json::Value::Null);
        assert_eq!(supervisor.stop(), 0);
    }
}

/// Leaves a child that outlives keepers, and says so if it meets one.
const ONCE: &str = r#"
[jobs.once]
shell = ["/bin/bash", "-c"]
command = '''
exec 9>> "$T/witness"
flock -n 9 || { echo beside >> "$T/met"; exit 0; }
[ -s "$T/children" ] && exit 0
set -m
(echo $BASHPID >> "$T/children"; exec sleep 300) &
wait
'''
"#;

#[test]
fn what_a_killed_exec_and_its_killed_keeper_leave_is_ended_before_the_next_one() {
    let house = House::new(ONCE);
    let mut exec = house.jobctl();
    let mut exec = exec.args(["exec", "once"]).stdout(Stdio::null()).spawn().expect("it starts");
    house.wait_lines("children", 1);
    exec.kill().expect("it is a child");
    exec.wait().expect("it is a child");
    let id = house.runs("once")[0]["id"].as_i64().expect("an id");
    let keeper = house.keeper_of(id);
    send(keeper, Signal::SIGKILL);
    wait_gone(keeper);
    let child: i32 = house.lines("children")[0].parse().expect("a number");
    assert!(!environment(child).is_empty(), "the child is left");
    house.ask(&["exec", "once"]).expect(0);
    assert!(!house.path("met").exists(), "the second one met what the first has left");
}

#[test]
fn a_terminal_is_what_the_command_reads_from() {
    let house = house();
    let jobctl = house.jobctl();
    let mut line = format!("{} exec --tty-stdin say", jobctl.get_program().display());
    for (name, value) in jobctl.get_envs() {
        if let Some(value) = value {
            line = format!("{}='{}' {line}", name.display(), value.display());
        }
    }
    let script = program("sh").args(["-c", "command -v script"]).output().expect("sh is there");
    if !script.status.success() {
        return crate::support::skipped(crate::support::Need::Script, "script(1) is not installed");
    }
    let mut script = program("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = script.spawn().expect("it starts");
    let mut typed = script.stdin.take().expect("it is a pipe");
    typed.write_all(b"typed\n\x04").expect("it reads");
    let output = script.wait_with_output().expect("it is a child");
    drop(typed);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.matches("typed").count() >= 2, "{text}");
}

#[test]
fn bad_input_is_named() {
    let house = house();
    let answer = house.ask(&["exec", "sai"]).expect(3);
    assert!(answer.err.contains("did you mean `say`?"), "{}", answer.err);
    house.ask(&["exec"]).expect(2);
    house.write_jobfile("[jobs.x]\ncomand = 'true'\n");
    house.ask(&["exec", "x"]).expect(1);
}

/// A job of this name, which another one that can always run stands beside.
fn renamed(name: &str, was: &[&str]) -> String {
    format!(
        "[jobs.{name}]\nwas = {was:?}\ntimeout = '20s'\ncommand = 'echo held >> \"$T/held\"; read _ < \"$T/door\"'\n\
         [jobs.free]\ncommand = 'true'\n"
    )
}

/// Executes a job that waits for its door.
fn exec_held(house: &House, job: &str, count: usize) -> std::process::Child {
    let mut exec = house.jobctl();
    let child = exec
        .args(["exec", job])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    house.wait_lines("held", count);
    child
}

#[test]
fn a_job_that_is_renamed_while_it_runs_is_not_run_beside_itself_both_ways() {
    let house = house();
    house.write_jobfile(&renamed("a", &[]));
    let supervisor = house.start_with(&mut house.jobctl(), &["--on-stop", "detach"]);
    let run = house.enqueue(&["a"]);
    house.wait_lines("held", 1);
    house.write_jobfile(&renamed("c", &["a"]));
    house.ask(&["reload"]).expect(0);
    let is_refused = || {
        let answer = house.ask(&["exec", "c"]).expect(75);
        let holder = format!("run {run} of `c`");
        assert!(answer.err.contains(&holder), "{}", answer.err);
    };
    is_refused();
    assert_eq!(supervisor.stop(), 0);
    is_refused();
    let supervisor = house.start();
    open_door(&house);
    house.wait_state(run, "succeeded");

    let mut exec = exec_held(&house, "c", 2);
    house.write_jobfile(&renamed("d", &["a", "c"]));
    house.ask(&["reload"]).expect(0);
    let waits = house.enqueue(&["d"]);
    let free = house.enqueue(&["free"]);
    house.wait_state(free, "succeeded");
    assert_eq!(house.show(waits)["state"], "queued");
    open_door(&house);
    assert_eq!(exec.wait().expect("it is a child").code(), Some(0));
    house.wait_lines("held", 3);
    open_door(&house);
    house.wait_state(waits, "succeeded");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_new_name_that_no_supervisor_has_read_is_the_same_job() {
    let house = house();
    house.write_jobfile(&renamed("a", &[]));
    let mut exec = exec_held(&house, "a", 1);
    house.write_jobfile(&renamed("c", &["a"]));
    let answer = house.ask(&["exec", "c"]).expect(75);
    assert!(answer.err.contains("of `a`"), "{}", answer.err);
    open_door(&house);
    assert_eq!(exec.wait().expect("it is a child").code(), Some(0));
    // What is left of one that was killed with its keeper is in nobody's way.
    let mut exec = exec_held(&house, "c", 2);
    let run = house.runs("a")[1]["id"].as_i64().expect("an id");
    exec.kill().expect("it is a child");
    exec.wait().expect("it is a child");
    let keeper = house.keeper_of(run);
    send(keeper, Signal::SIGKILL);
    wait_gone(keeper);
    let mut exec = exec_held(&house, "c", 3);
    open_door(&house);
    assert_eq!(exec.wait().expect("it is a child").code(), Some(0));
}

#[test]
fn a_restore_beside_it_is_said_when_the_command_has_ended_and_signals_are_heard() {
    for signal in [None, Some(Signal::SIGTERM)] {
        let house = house();
        house.ask(&["exec", "env"]).expect(0);
        let file = house.path("copy").display().to_string();
        house.ask(&["backup", &file]).expect(0);
        let mut exec = house.jobctl();
        let job = if signal.is_some() { "stubborn" } else { "hold" };
        let exec = exec.args(["exec", job]).stderr(Stdio::piped()).spawn().expect("it starts");
        house.wait_lines(if signal.is_some() { "up" } else { "held" }, 1);
        house.ask(&["restore", &file]).expect(0);
        match signal {
            Some(signal) => send(exec.id().cast_signed(), signal),
            None => open_door(&house),
        }
        let (pid, mut exec) = (exec.id().cast_signed(), exec);
        wait_gone(pid);
        assert_eq!(exec.wait().expect("it is a child").code(), Some(111));
        let mut said = String::new();
        let mut stderr = exec.stderr.take().expect("it is a pipe");
        stderr.read_to_string(&mut said).expect("it is text");
        assert!(said.contains("no longer in the store"), "{said}");
        assert_eq!(house.lines("asked").len(), usize::from(signal.is_some()));
    }
}

#[test]
fn output_that_standard_output_refuses_is_a_failure_unless_the_command_has_one() {
    let house = House::new("[jobs.a]\ncommand = 'echo hello; exit $1'\n");
    for (code, answer) in [("0", 111), ("3", 3)] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let mut jobctl = house.jobctl();
        let child = jobctl.args(["exec", "a", code]).stdout(full).stderr(Stdio::piped());
        let child = child.spawn().expect("it can be started");
        let output = child.wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(answer), "{err}");
        assert!(err.contains("standard output: no space left"), "{err}");
    }
}
