//! What people say to runs and jobs takes effect at once, and over restarts: cancel, pause, resume,
//! later.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{House, is_alive, time, wait_for};

const LONG: &str = "[jobs.long]\ncommand = 'echo $JOBCTL_RUN >> \"$T/began\"; exec sleep 1000'\n";

#[test]
fn a_running_run_is_stopped_and_its_job_goes_on() {
    let house = House::new(LONG);
    let _supervisor = house.start();
    let (first, second) = (house.enqueue(&["long"]), house.enqueue(&["long"]));
    house.wait_lines("began", 1);
    let command = house.leader_of(first);
    house.ask(&["cancel", &first.to_string()]).expect(0);
    let ended = house.wait_state(first, "cancelled");
    assert_eq!((&ended["reason"], &ended["signal"]), (&"by_hand".into(), &15.into()), "{ended:#}");
    assert!(!is_alive(command));
    house.wait_text("began", &format!("{second}\n"));
}

#[test]
fn a_cancelled_run_is_not_retried_by_itself() {
    let house = House::new(&format!("{LONG}retry = {{ max = 3, delay = '10ms' }}\n"));
    let _supervisor = house.start();
    let run = house.enqueue(&["long"]);
    house.wait_lines("began", 1);
    house.ask(&["cancel", &run.to_string()]).expect(0);
    assert_eq!(house.wait_state(run, "cancelled")["attempt"], 1);
}

#[test]
fn what_waits_is_cancelled_and_never_executed() {
    let house = House::new(&format!(
        "{LONG}[jobs.fails]\ncommand = 'echo x >> \"$T/tried\"; exit 1'\nretry = {{ max = 3, delay = '1h' }}\n"
    ));
    let _supervisor = house.start();
    let running = house.enqueue(&["long"]);
    house.wait_lines("began", 1);
    let queued = house.enqueue(&["long"]);
    let scheduled = house.enqueue(&["--in", "1h", "long"]);
    let retrying = house.enqueue(&["fails"]);
    house.wait_state(retrying, "retrying");
    assert_eq!(house.show(scheduled)["state"], "scheduled");
    for run in [queued, scheduled, retrying, running] {
        house.ask(&["cancel", &run.to_string()]).expect(0);
        assert_eq!(house.wait_state(run, "cancelled")["reason"], "by_hand");
    }
    assert_eq!((house.lines("began").len(), house.lines("tried").len()), (1, 1));
    let answer = house.ask(&["cancel", &queued.to_string()]).expect(1);
    assert!(answer.err.contains("cancelled"), "{answer:#?}");
}

#[test]
fn while_a_job_is_paused_occurrences_are_skipped_and_items_wait() {
    let house = House::new(
        "[jobs.due]\nschedule = '@every 1s'\ncommand = 'echo \"$JOBCTL_CAUSE\" >> \"$T/ran\"'\n",
    );
    let supervisor = house.start();
    house.ask(&["pause", "due"]).expect(0);
    let item = house.enqueue(&["due"]);
    let skipped = house.wait_run("due", "two skipped occurrences", |run| {
        run["state"] == "skipped" && run["count"].as_i64() >= Some(2)
    });
    assert_eq!(skipped["reason"], "paused", "{skipped:#}");
    supervisor.kill();
    let _supervisor = house.start();
    assert_eq!(house.show(item)["state"], "queued");
    assert_eq!(house.status()["jobs"][0]["paused"], true);
    assert_eq!(house.read("ran"), "");
    house.ask(&["resume", "due"]).expect(0);
    house.wait_state(item, "succeeded");
    house.wait_text("ran", "schedule");
    assert_eq!(house.runs("due").iter().filter(|run| run["cause"] == "catch_up").count(), 0);
}

#[test]
fn pause_all_holds_everything_until_resume_all() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n[jobs.b]\ncommand = 'true'\n");
    let _supervisor = house.start();
    house.ask(&["pause", "--all"]).expect(0);
    let runs = [house.enqueue(&["a"]), house.enqueue(&["b"])];
    // A change that the supervisor certainly sees after the pause: it must not start what waits.
    house.ask(&["pause", "a"]).expect(0);
    house.ask(&["resume", "a"]).expect(0);
    for run in runs {
        assert_eq!(house.show(run)["state"], "queued");
    }
    house.ask(&["resume", "--all"]).expect(0);
    for run in runs {
        house.wait_state(run, "succeeded");
    }
}

#[test]
fn a_pause_for_a_while_ends_by_itself() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n");
    let _supervisor = house.start();
    house.ask(&["pause", "--for", "1s", "a"]).expect(0);
    let run = house.enqueue(&["a"]);
    let paused_at = time(&house.show(run)["created_at"]);
    let ended = house.wait_state(run, "succeeded");
    let waited = (time(&ended["started_at"]) - paused_at).num_milliseconds();
    assert!(waited > 0, "{waited}");
    assert_eq!(house.status()["jobs"][0]["paused"], false);
}

#[test]
fn an_item_for_later_starts_when_it_is_due_and_not_before() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n");
    let _supervisor = house.start();
    let run = house.enqueue(&["--in", "1s", "a"]);
    let due = time(&house.show(run)["due_at"]);
    let ended = house.wait_state(run, "succeeded");
    assert!(time(&ended["started_at"]) >= due, "{ended:#}");
}

#[test]
fn what_has_the_same_key_is_in_the_queue_once() {
    let house = House::new("[jobs.a]\ncommand = 'echo \"$JOBCTL_KEY\" >> \"$T/keys\"'\n");
    let first = house.enqueue(&["--key", "k", "a"]);
    assert_eq!(house.enqueue(&["--key", "k", "a"]), first);
    assert_ne!(house.enqueue(&["--key", "other", "a"]), first);
    let _supervisor = house.start();
    house.wait_state(first, "succeeded");
    assert_ne!(house.enqueue(&["--key", "k", "a"]), first);
    let mut keys = house.wait_lines("keys", 3);
    keys.sort();
    assert_eq!(keys, ["k", "k", "other"]);
}

#[test]
fn enqueue_can_wait_and_answers_what_became_of_it() {
    let house = House::new("[jobs.a]\ncommand = 'exit $1'\n");
    let _supervisor = house.start();
    house.ask(&["enqueue", "--wait", "a", "0"]).expect(0);
    house.ask(&["enqueue", "--wait", "a", "6"]).expect(1);
    let last = house.runs("a")[1]["id"].to_string();
    house.ask(&["wait", &last]).expect(1);
    house.ask(&["wait", "--idle"]).expect(0);
}

#[test]
fn enqueue_with_json_prints_the_id_and_then_the_run_that_ended() {
    let house = House::new("[jobs.a]\ncommand = 'exit $1'\n");
    let supervisor = house.start();
    let said = house.ask(&["--json", "enqueue", "--wait", "a", "6"]).expect(1);
    let lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines, [json!({"id": 1, "existing": false}), house.show(1)]);
    assert_eq!((&lines[1]["state"], &lines[1]["exit_code"]), (&json!("failed"), &json!(6)));
    assert_eq!(supervisor.stop(), 0);
    house.ask(&["--json", "enqueue", "--wait", "a", "0"]).expect_refusal(4);
}

#[test]
fn wait_waits() {
    let house = House::new("[jobs.a]\ncommand = 'until [ -e \"$T/go\" ]; do sleep 0.02; done'\n");
    let _supervisor = house.start();
    let run = house.enqueue(&["a"]);
    let mut waiter = house
        .jobctl()
        .args(["wait", &run.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("jobctl can be started");
    house.wait_state(run, "running");
    assert!(waiter.try_wait().expect("it is ours").is_none(), "it did not wait");
    house.write("go", "");
    let status = wait_for("wait to end", || waiter.try_wait().expect("it is ours"));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn commands_that_only_read_say_that_no_supervisor_is_there() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n");
    let supervisor = house.start();
    let run = house.enqueue(&["a"]);
    house.wait_state(run, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    let status = house.ask(&["status"]).expect(0);
    assert!(format!("{}{}", status.out, status.err).contains("not running"), "{status:#?}");
    assert_eq!(house.status()["supervisor"]["running"], false);
    house.ask(&["status", "--quiet"]).expect(4);
    house.ask(&["runs"]).expect(0);
    house.ask(&["logs", &run.to_string()]).expect(0);
    house.ask(&["show", "999"]).expect(3);
}
