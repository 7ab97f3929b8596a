//! `why`: the sentence names what is in the way.

use crate::support::House;

const JOBS: &str = r#"
timezone = "UTC"

[jobs.holds]
command = 'echo up >> "$T/up"; until [ -e "$T/go" ]; do sleep 0.05; done'
lock = "db"

[jobs.waits]
command = 'true'
lock = "db"

[jobs.wide]
command = 'until [ -e "$T/go" ]; do sleep 0.05; done'
concurrency = 2
lock = "one"

[jobs.fails]
command = 'echo "no such table"; exit 3'
retry = { max = 2, delay = "1ms" }

[jobs.slow]
command = 'true'
rate = "1/h"

[jobs.nightly]
command = 'true'
schedule = "30 2 * * *"

[jobs.off]
command = 'true'
schedule = "30 2 * * *"
enabled = false
"#;

fn why(house: &House, args: &[&str]) -> String {
    let mut words = vec!["why"];
    words.extend(args);
    house.ask(&words).expect(0).out
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn a_run_that_waits_is_told_whose_lock_and_place_and_who_is_ahead() {
    let house = House::new(JOBS);
    let _supervisor = house.start();
    let holder = house.enqueue(&["holds"]);
    house.wait_lines("up", 1);
    house.enqueue(&["waits"]);
    let second = house.enqueue(&["waits"]);
    let text = why(&house, &[&second.to_string()]);
    assert_says(
        &text,
        &[
            &format!("waiting for lock `db`, held by `holds`: run {holder} for "),
            "then 1 ahead of it",
        ],
    );
    let wide = house.enqueue(&["wide"]);
    let narrow = house.enqueue(&["wide"]);
    house.wait_state(wide, "running");
    assert_says(
        &why(&house, &[&narrow.to_string()]),
        &[&format!("waiting for lock `one`, held by `wide`: run {wide} for ")],
    );
    let same = house.enqueue(&["holds"]);
    assert_says(
        &why(&house, &[&same.to_string()]),
        &[&format!("waiting for its place, held by run {holder} for ")],
    );
    assert_says(&why(&house, &[&holder.to_string()]), &["attempt 1 has been running since"]);
    house.write("go", "");
    house.wait_state(second, "succeeded");
    assert_says(&why(&house, &["waits"]), &["succeeded", "exit 0"]);
}

#[test]
fn a_rate_a_pause_and_a_missing_supervisor_are_named() {
    let house = House::new(JOBS);
    let first = house.enqueue(&["slow"]);
    assert_says(&why(&house, &["slow"]), &["no supervisor is running"]);
    let supervisor = house.start();
    house.wait_state(first, "succeeded");
    let second = house.enqueue(&["slow"]);
    assert_says(&why(&house, &[&second.to_string()]), &["`rate` allows the next start"]);
    house.ask(&["pause", "slow"]).expect(0);
    assert_says(&why(&house, &["slow"]), &["the job is paused until `jobctl resume slow`"]);
    house.ask(&["pause", "--all", "--for", "1h"]).expect(0);
    assert_says(&why(&house, &["waits"]), &["everything is paused until 2"]);
    supervisor.kill();
}

#[test]
fn a_run_that_gave_up_tells_its_attempts_and_its_last_line() {
    let house = House::new(JOBS);
    let _supervisor = house.start();
    let run = house.enqueue(&["fails"]);
    let after = run.to_string();
    let follower = house.enqueue(&["--after", &after, "waits"]);
    house.wait_state(follower, "cancelled");
    assert_says(
        &why(&house, &[&after]),
        &[
            "gave up after 3 attempts in ",
            "exit 3 three times",
            "last line of output: no such table",
        ],
    );
    assert_says(
        &why(&house, &[&follower.to_string()]),
        &[&format!("it waited for run {run}, which did not succeed")],
    );
    house.ask(&["ack", &after]).expect(0);
    assert_says(&why(&house, &["fails"]), &["; acknowledged "]);
}

#[test]
fn a_command_in_an_answer_reaches_the_same_store() {
    let house = House::new(JOBS);
    house.enqueue(&["waits"]);
    house.ask(&["pause", "waits"]).expect(0);
    let dir = format!("{}/.", house.state_dir().display());
    let said = house.ask(&["--state-dir", &dir, "why", "waits"]).expect(0).out;
    assert!(said.contains(&format!("`jobctl --state-dir {dir} resume waits`")), "{said}");
}

#[test]
fn why_a_job_did_not_run_at_a_time_is_answered_without_a_row() {
    let house = House::new(JOBS);
    house.enqueue(&["waits"]);
    let at = |job: &str, time: &str| why(&house, &[job, "--at", time]);
    assert_says(
        &at("nightly", "2026-01-05T02:31:00Z"),
        &["not scheduled at ", "the next occurrence after that was "],
    );
    assert_says(&at("nightly", "2060-01-05T02:30:00Z"), &["not due yet: scheduled "]);
    assert_says(
        &at("nightly", "2026-01-05T02:30:00Z"),
        &["not decided yet; no supervisor is running"],
    );
    assert_says(&at("off", "02:30"), &["not enabled"]);
    assert_says(&at("waits", "02:30"), &["no schedule"]);
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_refused() {
    let house = House::new(JOBS);
    house.ask(&["why", "waits"]).expect(1);
    house.ask(&["why", "1"]).expect(3);
    let id = house.enqueue(&["waits"]).to_string();
    let unknown = house.ask(&["why", "waist"]).expect(3);
    assert_says(&unknown.err, &["did you mean `waits`?"]);
    house.ask(&["why", "999"]).expect(3);
    house.ask(&["why", &id, "--at", "02:30"]).expect(2);
    house.ask(&["why", "waits", "--at", "25:99"]).expect(2);
    let told = house.ask(&["--json", "why", &id]).expect(0).json();
    assert_eq!(told["run"], id.parse::<i64>().expect("an id"));
    assert_eq!(told["job"], "waits");
    assert_eq!(told["state"], "queued");
    assert!(told["why"].as_str().expect("a text").contains("run "));
}
