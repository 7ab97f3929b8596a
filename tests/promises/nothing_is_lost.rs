//! A supervisor that is killed at any instant, with or without its keepers, loses no run and runs
//! none twice.

use nix::sys::signal::Signal;

use crate::support::{House, is_alive, send, wait_for, wait_gone};

/// Writes down what was executed, then waits for `$T/go` and ends with 7.
const WAITS: &str = r#"
[jobs.waits]
command = '''
echo "$JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/executed"
until [ -e "$T/go" ]; do read -t 0.02 _ <> "$T/never" || :; done
echo "$JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/ended"
exit 7
'''
shell = ["/bin/bash", "-c"]
"#;

fn house(jobfile: &str) -> House {
    let house = House::new(jobfile);
    // Nobody ever writes into it: a wait that needs no process.
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house
}

/// `WAITS` with other keys of the job.
fn waits_with(keys: &str) -> String {
    format!("{WAITS}{keys}\n")
}

fn assert_executed_once(house: &House, run: i64) {
    assert_eq!(house.lines("executed"), [format!("{run}/1")]);
}

#[test]
fn a_run_outlives_its_supervisor_and_the_next_one_learns_its_exit_status() {
    let house = house(&waits_with(""));
    let supervisor = house.start();
    let run = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{run}/1\n"));
    let keeper = house.keeper_of(run);
    supervisor.kill();
    assert!(is_alive(keeper), "the keeper went with its supervisor");
    assert!(house.ask(&["status"]).out.contains("waits"));

    let supervisor = house.start();
    house.wait_text("log", "event=adopt");
    assert_eq!(house.show(run)["state"], "running");
    house.write("go", "");
    let ended = house.wait_state(run, "failed");
    assert_eq!((&ended["exit_code"], &ended["reason"]), (&7.into(), &"exit".into()));
    assert_executed_once(&house, run);
    assert_eq!(house.show(run)["attempts"].as_array().map(Vec::len), Some(1));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_run_that_ended_while_no_supervisor_was_there_is_known_with_its_exit_status() {
    let house = house(&waits_with(""));
    let supervisor = house.start();
    let run = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{run}/1\n"));
    let keeper = house.keeper_of(run);
    supervisor.kill();
    house.write("go", "");
    house.wait_text("ended", &format!("{run}/1\n"));
    wait_gone(keeper);

    let _supervisor = house.start();
    let ended = house.wait_state(run, "failed");
    assert_eq!((&ended["exit_code"], &ended["outcome"]), (&7.into(), &"exited".into()));
    assert_executed_once(&house, run);
}

#[test]
fn a_run_whose_keeper_was_killed_is_lost_and_retried_and_its_command_is_gone() {
    let house = house(&waits_with("retry = { max = 1, delay = '100ms' }"));
    let _supervisor = house.start();
    let run = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{run}/1\n"));
    let (keeper, commands) = (house.keeper_of(run), house.processes_of(run));
    send(keeper, Signal::SIGKILL);
    for command in commands {
        wait_gone(command);
    }
    house.wait_text("executed", &format!("{run}/2\n"));
    house.write("go", "");
    let ended = house.wait_state(run, "failed");
    assert_eq!(ended["attempt"], 2);
    assert_eq!(ended["attempts"][0]["outcome"], "lost");
    assert_eq!(
        (&ended["attempts"][1]["outcome"], &ended["exit_code"]),
        (&"exited".into(), &7.into())
    );
    assert_eq!(house.lines("ended"), [format!("{run}/2")]);
}

/// Its first attempt leaves a daemon in a session of its own, which is deaf; its second looks for
/// it.
const ESCAPES: &str = r#"
[jobs.escapes]
retry = { max = 1, delay = "100ms" }
command = """
if [ $JOBCTL_ATTEMPT = 2 ]; then
    # A dead one may wait to be reaped.
    grep -s '^State:' "/proc/$(cat "$T/daemon")/status" | grep -v Z > "$T/met"
    exit 0
fi
setsid sh -c 'trap : TERM; echo $$ > "$T/new"; mv "$T/new" "$T/daemon"; sleep 1000; sleep 1000' &
wait
"""
"#;

#[test]
fn what_left_the_session_of_a_killed_keepers_command_is_ended_before_the_retry() {
    let house = house(ESCAPES);
    let _supervisor = house.start();
    let run = house.enqueue(&["escapes"]);
    wait_for("the daemon", || house.path("daemon").exists().then_some(()));
    let daemon: i32 = house.read("daemon").trim().parse().expect("a number");
    send(house.keeper_of(run), Signal::SIGKILL);
    let ended = house.wait_state(run, "succeeded");
    assert_eq!(ended["attempts"][0]["outcome"], "lost");
    assert_eq!(house.read("met"), "", "the retry met what had escaped");
    assert!(!is_alive(daemon));
}

#[test]
fn a_run_whose_keeper_and_supervisor_were_killed_is_lost_and_fails_where_nothing_is_retried() {
    let house = house(&waits_with(""));
    let supervisor = house.start();
    let run = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{run}/1\n"));
    let (keeper, commands) = (house.keeper_of(run), house.processes_of(run));
    supervisor.kill();
    send(keeper, Signal::SIGKILL);
    for command in commands {
        wait_gone(command);
    }

    let _supervisor = house.start();
    let ended = house.wait_state(run, "failed");
    assert_eq!((&ended["reason"], &ended["outcome"]), (&"lost".into(), &"lost".into()));
    assert_executed_once(&house, run);
    assert!(house.lines("ended").is_empty());
}

#[test]
fn a_keeper_killed_while_no_supervisor_looks_is_lost_even_if_it_was_adopted_before() {
    let house = house(&waits_with("retry = { max = 1, delay = '100ms' }"));
    let supervisor = house.start();
    let run = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{run}/1\n"));
    supervisor.kill();
    let _supervisor = house.start();
    house.wait_text("log", "event=adopt");
    send(house.keeper_of(run), Signal::SIGKILL);
    house.wait_text("executed", &format!("{run}/2\n"));
    house.write("go", "");
    let ended = house.wait_state(run, "failed");
    assert_eq!(ended["attempts"][0]["outcome"], "lost");
    assert_eq!(house.lines("executed"), [format!("{run}/1"), format!("{run}/2")]);
}

#[test]
fn a_lost_attempt_fails_the_run_where_the_policy_says_so() {
    let house = house(&waits_with("retry = { max = 3, delay = '100ms', lost = false }"));
    let _supervisor = house.start();
    let run = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{run}/1\n"));
    send(house.keeper_of(run), Signal::SIGKILL);
    let ended = house.wait_state(run, "failed");
    assert_eq!(ended["reason"], "lost");
    assert_executed_once(&house, run);
}

#[test]
fn a_run_whose_keeper_is_lost_again_and_again_is_poison() {
    let house =
        house(&waits_with("retry = { max = 'unlimited', delay = '50ms', max_delay = '50ms' }"));
    let _supervisor = house.start();
    let run = house.enqueue(&["waits"]);
    for attempt in 1..=4 {
        house.wait_text("executed", &format!("{run}/{attempt}\n"));
        send(house.keeper_of(run), Signal::SIGKILL);
    }
    let ended = house.wait_state(run, "failed");
    assert_eq!((&ended["reason"], &ended["attempt"]), (&"poison".into(), &4.into()));
    assert_eq!(house.lines("executed").len(), 4);
}

#[test]
fn what_was_enqueued_without_a_supervisor_runs_when_one_comes() {
    let house = House::new("[jobs.notes]\ncommand = 'echo \"$1\" >> \"$T/notes\"'\n");
    let answer = house.ask(&["enqueue", "notes", "one"]).expect(0);
    assert!(answer.err.contains("no supervisor is running"), "{answer:#?}");
    let run: i64 = answer.out.trim().parse().expect("an id is a number");
    assert_eq!(house.show(run)["state"], "queued");
    let _supervisor = house.start();
    house.wait_state(run, "succeeded");
    assert_eq!(house.lines("notes"), ["one"]);
}

#[test]
fn what_was_enqueued_and_not_started_when_the_supervisor_was_killed_runs_once_after_it() {
    let house = house(&waits_with(""));
    let supervisor = house.start();
    let first = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{first}/1\n"));
    let second = house.enqueue(&["waits"]);
    supervisor.kill();
    let third = house.enqueue(&["waits"]);
    let _supervisor = house.start();
    house.write("go", "");
    for run in [first, second, third] {
        house.wait_state(run, "failed");
    }
    assert_eq!(house.lines("executed"), [first, second, third].map(|run| format!("{run}/1")));
}

#[test]
fn a_promised_retry_is_kept_by_the_next_supervisor() {
    let house = House::new(
        "[jobs.flaky]\ncommand = 'echo x >> \"$T/tried\"; test $JOBCTL_ATTEMPT = 2'\n\
         retry = { max = 1, delay = '2s', jitter = 0 }\n",
    );
    let supervisor = house.start();
    let run = house.enqueue(&["flaky"]);
    let promised = house.wait_state(run, "retrying")["due_at"].clone();
    supervisor.kill();
    let _supervisor = house.start();
    let now = house.show(run);
    if now["state"] == "retrying" {
        assert_eq!(now["due_at"], promised);
    }
    let ended = house.wait_state(run, "succeeded");
    assert_eq!((&ended["attempt"], house.lines("tried").len()), (&2.into(), 2));
    let started = ended["attempts"][1]["started_at"].as_str().expect("it was started").to_owned();
    assert!(
        started.as_str() >= promised.as_str().expect("it was promised"),
        "{started} {promised}"
    );
}

#[test]
fn a_run_that_was_asked_to_stop_before_the_crash_is_stopped_after_it() {
    let house = house(&waits_with(""));
    let supervisor = house.start();
    let run = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{run}/1\n"));
    supervisor.kill();
    house.ask(&["cancel", &run.to_string()]).expect(0);
    let _supervisor = house.start();
    let ended = house.wait_state(run, "cancelled");
    assert_eq!(ended["reason"], "by_hand");
    wait_for("its processes to be gone", || house.processes_of(run).is_empty().then_some(()));
    assert_executed_once(&house, run);
}
