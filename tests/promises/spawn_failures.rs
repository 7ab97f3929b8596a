//! What could not be started is told apart: the program is missing, is no program, or something it
//! needs is missing.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{House, Need, Supervisor, answer_of, become_user, is_root, skipped};

/// Runs a job with these keys; how it failed.
fn failure_of(keys: &str) -> Value {
    let house = House::new(&format!(
        // A directory in the test's own PATH may be closed to its user, which gives another answer.
        "[defaults]\nenv = {{ PATH = '/usr/bin:/bin' }}\n[jobs.starts]\n{keys}\n[jobs.next]\ncommand = 'true'\n"
    ));
    house.write("plain", "#!/bin/sh\nexit 0\n");
    house.write("odd", "#!/no/such/interpreter\n");
    std::fs::set_permissions(house.path("odd"), std::fs::Permissions::from_mode(0o755))
        .expect("it is ours");
    let _supervisor = house.start();
    let run = house.enqueue(&["starts"]);
    let ended = house.wait_state(run, "failed");
    let next = house.enqueue(&["next"]);
    house.wait_state(next, "succeeded");
    ended
}

#[track_caller]
fn assert_failed(keys: &str, exit_code: impl Into<Value>, words: &[&str]) {
    let ended = failure_of(keys);
    assert_eq!(
        (&ended["reason"], &ended["outcome"], &ended["exit_code"]),
        (&"spawn".into(), &"spawn_failed".into(), &exit_code.into()),
        "{keys}: {ended:#}"
    );
    let error = ended["error"].as_str().expect("it says why");
    for word in words {
        assert!(error.contains(word), "{keys}: {error}");
    }
    assert_eq!(ended["attempts"][0]["error"], ended["error"]);
}

#[test]
fn a_missing_program_is_127_by_shell_and_by_array() {
    assert_failed("command = 'no-such-program'", 127, &["no-such-program", "not found"]);
    assert_failed("command = ['no-such-program']", 127, &["no-such-program", "not found in PATH"]);
    assert_failed("command = ['/no/such/program']", 127, &["/no/such/program", "no such file"]);
    assert_failed("command = 'true'\nshell = '/no/such/shell'", 127, &["/no/such/shell"]);
}

#[test]
fn a_program_that_is_not_executable_is_126_by_shell_and_by_array() {
    assert_failed("command = '@T@/plain'", 126, &["plain"]);
    assert_failed("command = ['@T@/plain']", 126, &["plain", "permission denied"]);
    assert_failed("command = ['@T@']", 126, &["permission denied"]);
}

#[test]
fn a_missing_interpreter_is_named_as_such() {
    assert_failed("command = ['@T@/odd']", 127, &["odd", "interpreter"]);
}

#[test]
fn a_missing_working_directory_is_named_and_not_taken_for_a_missing_program() {
    assert_failed(
        "command = 'true'\ncwd = '/no/such/dir'",
        Value::Null,
        &["working directory", "/no/such/dir"],
    );
    assert_failed(
        "command = ['true']\ncwd = '@T@/plain'",
        Value::Null,
        &["working directory", "plain", "not a directory"],
    );
}

#[test]
fn a_missing_or_broken_env_file_is_named() {
    assert_failed(
        "command = 'true'\nenv_file = '/no/such/env'",
        Value::Null,
        &["env_file /no/such/env", "no such file"],
    );
    assert_failed("command = 'true'\nenv_file = '@T@/plain'", Value::Null, &["env_file", "line"]);
}

#[test]
fn an_argument_that_no_program_can_take_fails_its_run_only() {
    let house = House::new("[jobs.takes]\ncommand = 'echo ${#1} >> \"$T/lengths\"'\n");
    let _supervisor = house.start();
    let long = "x".repeat(131_072);
    let answer = house.ask_with(&["enqueue", "--lines", "takes"], format!("{long}\nshort\n"));
    if answer.code != 0 {
        // Refused before it is on disk is as good.
        assert!(answer.err.contains("131"), "{answer:#?}");
        return;
    }
    let ids: Vec<i64> = answer.out.lines().map(|id| id.parse().expect("an id")).collect();
    let ended = house.wait_state(ids[0], "failed");
    assert_eq!(ended["reason"], "spawn", "{ended:#}");
    house.wait_state(ids[1], "succeeded");
    assert_eq!(house.lines("lengths"), ["5"]);
}

#[test]
fn a_code_of_the_shell_that_the_job_gives_a_meaning_is_no_spawn_failure() {
    let house = House::new("[jobs.odd]\ncommand = 'exit 127'\nskip_exit = [127]\n");
    let _supervisor = house.start();
    let run = house.enqueue(&["odd"]);
    assert_eq!(house.wait_state(run, "skipped")["outcome"], "exited");
}

/// Users of nobody, one for each test: so they have no processes but those of their test.
const UID_WITHOUT_KEEPER: u32 = 712_345;
const UID_WITH_KEEPER: u32 = 712_346;

/// The hard limit, so that the soft one can be raised again.
const PROCESSES_MAX: u32 = 100;

/// A supervisor of a user who may have so many processes; none where the test cannot become another
/// user.
fn with_processes(house: &mut House, uid: u32, count: u32) -> Option<Supervisor> {
    if !is_root() {
        skipped(Need::Root, "only root becomes a user without processes");
        return None;
    }
    house.belong_to(uid);
    let supervisor = house.start();
    limit_processes(uid, supervisor.pid(), count);
    Some(supervisor)
}

/// Sets how many processes the user of one of them may have before it gets no more.
fn limit_processes(uid: u32, pid: i32, count: u32) {
    let limit = format!("--nproc={count}:{PROCESSES_MAX}");
    let mut command = become_user(uid);
    answer_of(command.args(["prlimit", &limit, "--pid", &pid.to_string()])).expect(0);
}

const SAYS: &str = "[jobs.says]\ncommand = 'echo $JOBCTL_ATTEMPT >> \"$T/said\"'\nretry = { max = 3, delay = '100ms', factor = 1 }\n";

#[test]
fn a_keeper_that_finds_no_process_for_it_is_tried_again_until_there_is_one() {
    let mut house = House::new(SAYS);
    let Some(supervisor) = with_processes(&mut house, UID_WITHOUT_KEEPER, 1) else {
        return;
    };
    let run = house.enqueue(&["says"]);
    house.wait_text("log", "event=cannot_start");
    assert!(house.read("log").contains("temporarily unavailable"));
    house.wait_text("log", "event=not_started");
    assert_eq!(house.show(run)["attempt"], 0);
    limit_processes(UID_WITHOUT_KEEPER, supervisor.pid(), PROCESSES_MAX);
    let ended = house.wait_state(run, "succeeded");
    assert_eq!(ended["attempt"], 1, "{ended:#}");
    assert_eq!(house.lines("said"), ["1"]);
}

#[test]
fn a_command_that_finds_no_process_for_it_is_a_spawn_failure_after_some_tries_and_retried() {
    let mut house = House::new(SAYS);
    // The supervisor and a keeper.
    let Some(_supervisor) = with_processes(&mut house, UID_WITH_KEEPER, 2) else {
        return;
    };
    let run = house.enqueue(&["says"]);
    // A look with `jobctl` would be a process of that user, too, and in the keeper's way.
    house.wait_text("log", &format!("event=end job=says run={run} attempt=1"));
    let failed = house.show(run)["attempts"][0].clone();
    assert_eq!(failed["outcome"], "spawn_failed", "{failed:#}");
    assert_eq!(
        failed["error"], "new process: resource temporarily unavailable (EAGAIN)",
        "{failed:#}"
    );
    let duration = failed["duration_ms"].as_i64().expect("it is known");
    assert!((1500..10_000).contains(&duration), "{failed:#}");
    for keeper in house.keepers() {
        limit_processes(UID_WITH_KEEPER, keeper, PROCESSES_MAX);
    }
    house.wait_state(run, "succeeded");
    assert_eq!(house.lines("said").len(), 1);
}
