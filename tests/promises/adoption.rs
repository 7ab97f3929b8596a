//! What runs when its supervisor goes, killed or detached, is taken over by the next one, also by
//! another version of jobctl: shown, stopped in time, cancelled, and judged by what it was started
//! with.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::{House, Supervisor, answer_of, is_alive, program, wait_for, wait_gone};

/// Ends with the code in `$T/go`, when that is there.
const WAITS: &str = r#"
[defaults]
shell = ["/bin/bash", "-c"]
stop_grace = "300ms"
[jobs.waits]
@KEYS@
command = '''
echo "$JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/executed"
until [ -s "$T/go" ]; do read -t 0.02 _ <> "$T/never" || :; done
echo "$JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/ended"
exit $(cat "$T/go")
'''
"#;

/// How a supervisor leaves what runs behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    Killed,
    Detached,
}

const BOTH: [Leaves; 2] = [Leaves::Killed, Leaves::Detached];

fn waits(keys: &str) -> String {
    WAITS.replace("@KEYS@", keys)
}

fn house(jobfile: &str) -> House {
    let house = House::new(jobfile);
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house
}

fn leave(supervisor: Supervisor, how: Leaves) {
    match how {
        Leaves::Killed => supervisor.kill(),
        Leaves::Detached => assert_eq!(supervisor.stop(), 0),
    }
}

fn start(house: &House) -> Supervisor {
    house.start_with(&mut house.jobctl(), &["--on-stop", "detach"])
}

/// A run of `waits` that is executing.
fn running(house: &House) -> i64 {
    let run = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{run}/1\n"));
    run
}

#[test]
fn an_adopted_attempt_is_judged_by_what_it_was_started_with() {
    for how in BOTH {
        let house = house(&waits("success_exit = [3]"));
        leave_and_edit(&house, how, &waits("success_exit = [0]"));
        house.write("go", "3");
        let ended = house.wait_state(1, "succeeded");
        assert_eq!(ended["exit_code"], 3, "{how:?}");
    }
}

#[test]
fn an_attempt_that_ended_with_nobody_there_is_judged_by_what_it_was_started_with() {
    for how in BOTH {
        let house = house(&waits("success_exit = [3]"));
        let supervisor = start(&house);
        let run = running(&house);
        let keeper = house.keeper_of(run);
        leave(supervisor, how);
        house.write("go", "3");
        wait_gone(keeper);
        house.write_jobfile(&waits("success_exit = [0]"));
        let _supervisor = start(&house);
        assert_eq!(house.wait_state(run, "succeeded")["exit_code"], 3, "{how:?}");
    }
}

#[test]
fn an_attempt_that_was_lost_is_retried_as_its_job_was_when_it_began() {
    let house = house(&waits("retry = { max = 1, delay = '10m' }"));
    let supervisor = start(&house);
    let run = running(&house);
    let keeper = house.keeper_of(run);
    supervisor.kill();
    crate::support::send(keeper, Signal::SIGKILL);
    wait_gone(keeper);
    house.write_jobfile(&waits("retry = { max = 1, delay = '10m', lost = false }"));
    let _supervisor = start(&house);
    house.wait_state(run, "retrying");
}

#[test]
fn a_running_attempt_is_judged_by_what_it_was_started_with_also_after_a_reload() {
    let house = house(&waits("success_exit = [3]"));
    let _supervisor = house.start();
    let run = running(&house);
    house.write_jobfile(&waits("success_exit = [0]"));
    house.ask(&["reload"]).expect(0);
    house.write("go", "3");
    assert_eq!(house.wait_state(run, "succeeded")["exit_code"], 3);
}

#[test]
fn a_job_that_is_gone_keeps_the_policy_of_its_running_item() {
    let house = house(&waits("no_retry_exit = [9]\nretry = { max = 5, delay = '10m' }"));
    leave_and_edit(&house, Leaves::Killed, "[jobs.other]\ncommand = 'true'\n");
    house.write("go", "8");
    house.wait_state(1, "retrying");
}

/// A run of `waits` is left behind, the jobfile edited, and the next supervisor has it.
fn leave_and_edit(house: &House, how: Leaves, jobfile: &str) {
    let supervisor = start(house);
    let run = running(house);
    leave(supervisor, how);
    house.write_jobfile(jobfile);
    // It stays until the house is gone.
    std::mem::forget(start(house));
    assert_eq!((run, &house.show(run)["state"]), (1, &"running".into()));
}

#[test]
fn an_adopted_attempt_is_shown_with_its_start_and_holds_its_lock() {
    for how in BOTH {
        let other = "[jobs.other]\nlock = 'deep'\ncommand = 'echo x >> \"$T/other\"'\n";
        let house = house(&(waits("lock = 'deep'") + other));
        let supervisor = start(&house);
        let run = running(&house);
        let before = house.show(run);
        leave(supervisor, how);
        let _supervisor = start(&house);
        let after = house.show(run);
        assert_eq!(after["state"], "running");
        for key in ["started_at", "attempt", "attempts"] {
            assert_eq!(before[key], after[key], "{how:?}: {key}");
        }
        let status = house.ask(&["status", "--json"]).expect(0).json();
        let jobs = status["jobs"].as_array().expect("a list");
        let job = jobs.iter().find(|job| job["name"] == "waits");
        assert_eq!(job.expect("it is there")["running"], 1, "{status}");
        let locked = house.enqueue(&["other"]);
        let second = house.enqueue(&["waits"]);
        let third = house.enqueue(&["waits"]);
        house.ask(&["cancel", &third.to_string()]).expect(0);
        house.wait_state(third, "cancelled");
        assert_eq!(house.show(second)["state"], "queued", "the place is held");
        assert_eq!(house.show(locked)["state"], "queued", "the lock is held");
        assert!(!house.path("other").exists());
        house.write("go", "0");
        house.wait_state(locked, "succeeded");
        house.wait_state(run, "succeeded");
        house.wait_state(second, "succeeded");
        assert_eq!(house.lines("executed"), [format!("{run}/1"), format!("{second}/1")]);
    }
}

#[test]
fn the_timeout_of_an_attempt_goes_on_with_and_without_a_supervisor() {
    for how in BOTH {
        let house = house(&waits("timeout = '1s'"));
        let supervisor = start(&house);
        let run = running(&house);
        let (keeper, commands) = (house.keeper_of(run), house.processes_of(run));
        leave(supervisor, how);
        // With nobody there it is the keeper who ends it.
        wait_gone(keeper);
        assert!(commands.iter().all(|pid| !is_alive(*pid)));
        let _supervisor = start(&house);
        let ended = house.wait_state(run, "failed");
        assert_eq!((&ended["outcome"], &ended["reason"]), (&"timed_out".into(), &"timeout".into()));

        let adopted = running(&house);
        let _second = {
            leave(_supervisor, how);
            start(&house)
        };
        assert_eq!(house.wait_state(adopted, "failed")["outcome"], "timed_out");
    }
}

#[test]
fn an_adopted_attempt_is_cancelled_also_if_it_is_deaf() {
    let deaf = waits("").replace("'''\necho", "'''\ntrap '' TERM\necho");
    for jobfile in [waits(""), deaf] {
        let house = house(&jobfile);
        let supervisor = start(&house);
        let run = running(&house);
        let commands = house.processes_of(run);
        supervisor.kill();
        let _supervisor = start(&house);
        house.ask(&["cancel", &run.to_string()]).expect(0);
        let ended = house.wait_state(run, "cancelled");
        assert_eq!(ended["reason"], "by_hand");
        assert!(commands.iter().all(|pid| !is_alive(*pid)));
    }
}

#[test]
fn the_output_of_an_adopted_attempt_is_whole() {
    let house = house(
        &waits("output_max = '1 MiB'").replace("exit $(cat", "seq 1 200000\nexit $(cat").replace(
            "echo \"$JOBCTL_RUN/$JOBCTL_ATTEMPT\" >> \"$T/executed\"",
            "seq 1 100000\necho \"$JOBCTL_RUN/$JOBCTL_ATTEMPT\" >> \"$T/executed\"",
        ),
    );
    let supervisor = start(&house);
    let run = running(&house);
    supervisor.kill();
    let _supervisor = start(&house);
    house.write("go", "0");
    house.wait_state(run, "succeeded");
    let logs = house.ask(&["logs", &run.to_string()]).expect(0);
    let written: String =
        (1..=100_000).chain(1..=200_000).map(|number| format!("{number}\n")).collect();
    // The head was written under the first supervisor, the tail under the second one.
    let (head, tail) = (&written[..1 << 19], &written[written.len() - (1 << 19)..]);
    assert_eq!(logs.out.len(), 1 << 20);
    assert!(logs.out == head.to_owned() + tail);
    let left_out = written.len() - (1 << 20);
    assert!(logs.err.contains(&left_out.to_string()), "{}", logs.err);
    assert_eq!(house.show(run)["attempts"][0]["output_bytes"], written.len());
}

/// The binary at a path of the house, with bytes behind its end that make it another file.
fn installed(house: &House, version: &str) -> PathBuf {
    let (draft, path) = (house.path("jobctl.new"), house.path("jobctl"));
    // A descriptor of ours that may write would be inherited by what other tests start meanwhile,
    // and then the file could not be executed (ETXTBSY).
    let script = "cp \"$0\" \"$1\" && printf %s \"$2\" >> \"$1\"";
    let mut copy = program("sh");
    copy.args(["-c", script, env!("CARGO_BIN_EXE_jobctl")]).arg(&draft).arg(version);
    answer_of(&mut copy).expect(0);
    fs::rename(&draft, &path).expect("it can be replaced");
    path
}

fn of(house: &House, binary: &PathBuf) -> Command {
    let mut command = program(binary);
    command.envs(house.jobctl().get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn another_binary_takes_over_and_the_old_one_still_starts_attempts_meanwhile() {
    for how in BOTH {
        let house = house(&waits("concurrency = 2\nsuccess_exit = [0, 5]"));
        let binary = installed(&house, "one");
        let detach = ["--on-stop", "detach"];
        let supervisor = house.start_with(&mut of(&house, &binary), &detach);
        let first = running(&house);
        installed(&house, "two");
        // Its keeper is a new process, and the file it came from is gone.
        let second = house.enqueue(&["waits"]);
        house.wait_text("executed", &format!("{second}/1\n"));
        leave(supervisor, how);
        let _supervisor = house.start_with(&mut of(&house, &binary), &detach);
        for run in [first, second] {
            assert_eq!(house.show(run)["state"], "running", "{how:?}");
        }
        house.write("go", "5");
        for run in [first, second] {
            assert_eq!(house.wait_state(run, "succeeded")["exit_code"], 5, "{how:?}");
        }
        assert_eq!(house.lines("ended").len(), 2);
        wait_for("all to be at rest", || {
            let status = house.ask(&["status", "--json"]).expect(0).json();
            (status["jobs"][0]["running"] == 0).then_some(())
        });
    }
}
