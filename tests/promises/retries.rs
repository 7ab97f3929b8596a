//! What failed is tried again as the policy says, not more often and not earlier, and all of it
//! stays on record.

use std::time::Duration;

use serde_json::Value;

use crate::support::{House, time, wait_for};

/// A job that writes down each attempt and fails with `$1`, else 4.
fn failing(keys: &str) -> House {
    House::new(&format!(
        "[jobs.fails]\ncommand = 'echo \"$JOBCTL_RUN/$JOBCTL_ATTEMPT $JOBCTL_MAX_ATTEMPTS $JOBCTL_LAST_OUTCOME\" >> \"$T/tried\"; exit ${{1:-4}}'\n{keys}\n"
    ))
}

fn ids(runs: &[Value]) -> Vec<i64> {
    runs.iter().filter_map(|run| run["id"].as_i64()).collect()
}

#[test]
fn delays_grow_and_every_attempt_is_on_record() {
    let house = failing("retry = { max = 3, delay = '100ms', factor = 2, jitter = 0 }");
    let _supervisor = house.start();
    let run = house.enqueue(&["fails"]);
    let ended = house.wait_state(run, "failed");
    assert_eq!(
        (&ended["reason"], &ended["exit_code"], &ended["attempt"], &ended["max_attempts"]),
        (&"exit".into(), &4.into(), &4.into(), &4.into())
    );
    let attempts = ended["attempts"].as_array().expect("there are some");
    assert_eq!(attempts.len(), 4);
    for (pair, delay_ms) in attempts.windows(2).zip([100, 200, 400]) {
        let waited = time(&pair[1]["started_at"]) - time(&pair[0]["ended_at"]);
        assert!(waited.num_milliseconds() >= delay_ms, "{waited} is less than {delay_ms} ms");
    }
    for attempt in attempts {
        assert_eq!((&attempt["outcome"], &attempt["exit_code"]), (&"exited".into(), &4.into()));
    }
    let lines = ["1 4 ", "2 4 exited", "3 4 exited", "4 4 exited"];
    assert_eq!(house.lines("tried"), lines.map(|line| format!("{run}/{line}")));
}

#[test]
fn the_time_of_the_next_attempt_is_said_and_kept_within_the_jitter() {
    for (keys, least_s, most_s) in [
        ("delay = '1h', jitter = 0", 3600, 3600),
        ("delay = '1h', jitter = 0.5", 1800, 3600),
        ("delay = '1h'", 2700, 3600),
    ] {
        let house = failing(&format!("retry = {{ max = 1, {keys} }}"));
        let _supervisor = house.start();
        let run = house.enqueue(&["fails"]);
        let waiting = house.wait_state(run, "retrying");
        let delay = time(&waiting["due_at"]) - time(&waiting["attempts"][0]["ended_at"]);
        let delay_ms = delay.num_milliseconds();
        assert!(
            // The end is told as start and duration, each in whole milliseconds.
            (least_s * 1000..=most_s * 1000 + 2).contains(&delay_ms),
            "{keys}: {delay_ms} ms"
        );
    }
}

#[test]
fn retry_by_hand_of_a_run_that_waits_for_its_next_attempt_starts_it_now() {
    let house = failing("retry = { max = 1, delay = '1h' }");
    let _supervisor = house.start();
    let run = house.enqueue(&["fails"]);
    house.wait_state(run, "retrying");
    house.ask(&["retry", &run.to_string()]).expect(0);
    assert_eq!(house.wait_state(run, "failed")["attempt"], 2);
}

#[test]
fn an_exit_code_that_promises_no_better_luck_is_not_retried() {
    let house = failing("retry = { max = 5, delay = '10ms' }\nno_retry_exit = [9]");
    let _supervisor = house.start();
    let run = house.enqueue(&["fails", "9"]);
    let ended = house.wait_state(run, "failed");
    assert_eq!((&ended["attempt"], &ended["reason"]), (&1.into(), &"exit".into()));
}

#[test]
fn an_exit_code_can_mean_nothing_to_do() {
    let house = failing("retry = { max = 5, delay = '10ms' }\nskip_exit = [4]");
    let _supervisor = house.start();
    let run = house.enqueue(&["fails"]);
    let ended = house.wait_state(run, "skipped");
    assert_eq!((&ended["attempt"], &ended["reason"]), (&1.into(), &"exit".into()));
}

#[test]
fn success_is_what_the_job_calls_success() {
    let house = failing("success_exit = [4]");
    let _supervisor = house.start();
    let run = house.enqueue(&["fails"]);
    assert_eq!(house.wait_state(run, "succeeded")["exit_code"], 4);
    let run = house.enqueue(&["fails", "0"]);
    assert_eq!(house.wait_state(run, "failed")["exit_code"], 0);
}

#[test]
fn a_run_gives_up_when_its_next_attempt_would_come_too_late() {
    let house = failing("retry = { max = 5, delay = '1h', give_up_after = '10m' }");
    let _supervisor = house.start();
    let run = house.enqueue(&["fails"]);
    let ended = house.wait_state(run, "failed");
    assert_eq!((&ended["attempt"], &ended["reason"]), (&1.into(), &"give_up_after".into()));
}

#[test]
fn without_a_limit_it_is_tried_until_it_succeeds() {
    let house = House::new(
        "[jobs.stubborn]\ncommand = 'test $JOBCTL_ATTEMPT = 8'\nretry = { max = 'unlimited', delay = '10ms', max_delay = '20ms' }\n",
    );
    let _supervisor = house.start();
    let run = house.enqueue(&["stubborn"]);
    let ended = house.wait_state(run, "succeeded");
    assert_eq!((&ended["attempt"], &ended["max_attempts"]), (&8.into(), &Value::Null));
    assert_eq!(ended["attempts"].as_array().map(Vec::len), Some(8));
}

#[test]
fn a_new_occurrence_supersedes_an_older_one_that_waits_for_its_retry() {
    let house = failing("schedule = '@every 1s'\nretry = { max = 1, delay = '1h' }");
    let item = house.enqueue(&["fails"]);
    let _supervisor = house.start();
    let old = house.wait_run("fails", "a superseded run", |run| run["reason"] == "superseded");
    assert_eq!(old["state"], "failed", "{old:#}");
    assert!(old["by"].as_i64() > old["id"].as_i64(), "{old:#}");
    assert_eq!(house.show(item)["state"], "retrying", "an item was superseded");
}

#[test]
fn a_new_occurrence_leaves_older_ones_alone_where_the_job_says_so() {
    let house =
        failing("schedule = '@every 1s'\nretry = { max = 1, delay = '1h', on_next = 'keep' }");
    let _supervisor = house.start();
    wait_for("two that wait for their retry", || {
        let runs = house.runs("fails");
        (runs.iter().filter(|run| run["state"] == "retrying").count() >= 2).then_some(())
    });
    assert!(house.runs("fails").iter().all(|run| run["reason"].is_null()));
}

#[test]
fn retry_by_hand_grants_a_fresh_budget_and_keeps_the_history() {
    let house = failing("retry = { max = 1, delay = '10ms' }");
    let _supervisor = house.start();
    let run = house.enqueue(&["fails", "5"]);
    house.wait_state(run, "failed");
    house.ask(&["ack", &run.to_string()]).expect(0);
    assert!(!house.show(run)["acked"].is_null());
    house.ask(&["retry", &run.to_string()]).expect(0);
    let ended = wait_for("the fresh budget to be used", || {
        Some(house.show(run)).filter(|run| run["state"] == "failed" && run["attempt"] == 4)
    });
    assert_eq!((&ended["max_attempts"], &ended["exit_code"]), (&4.into(), &5.into()));
    assert!(ended["acked"].is_null());
    assert_eq!(ended["attempts"].as_array().map(Vec::len), Some(4));
    assert_eq!(house.lines("tried").len(), 4);
}

#[test]
fn retry_by_hand_takes_todays_definition_of_the_job() {
    let house = failing("");
    let supervisor = house.start();
    let run = house.enqueue(&["fails"]);
    house.wait_state(run, "failed");
    house.write_jobfile("[jobs.fails]\ncommand = 'echo mended'\n");
    supervisor.send(nix::sys::signal::Signal::SIGHUP);
    house.wait_text("log", "event=reload");
    house.ask(&["retry", &run.to_string()]).expect(0);
    house.wait_state(run, "succeeded");
    assert_eq!(house.ask(&["logs", &run.to_string()]).expect(0).out, "mended\n");
}

#[test]
fn a_success_is_run_again_only_by_force() {
    let house = failing("");
    let _supervisor = house.start();
    let run = house.enqueue(&["fails", "0"]);
    house.wait_state(run, "succeeded");
    let answer = house.ask(&["retry", &run.to_string()]).expect(1);
    assert!(answer.err.contains("--force"), "{answer:#?}");
    house.ask(&["retry", "--force", &run.to_string()]).expect(0);
    house.wait_lines("tried", 2);
}

#[test]
fn a_success_of_an_occurrence_acknowledges_the_failures_before_it_but_no_items() {
    let house = House::new("[jobs.due]\nschedule = '@every 1s'\ncommand = 'test -e \"$T/good\"'\n");
    let _supervisor = house.start();
    let item = house.enqueue(&["due"]);
    house.wait_state(item, "failed");
    house.wait_run("due", "a failed occurrence", |run| {
        run["state"] == "failed" && run["cause"] == "schedule"
    });
    assert_eq!(house.ask(&["status", "--quiet"]).code, 1);
    house.write("good", "");
    house.wait_run("due", "a success", |run| run["state"] == "succeeded");
    let failures: Vec<Value> =
        house.runs("due").into_iter().filter(|run| run["state"] == "failed").collect();
    for failure in &failures {
        assert_eq!(failure["acked"].is_null(), failure["id"] == item, "{failure:#}");
    }
    house.ask(&["ack", &item.to_string()]).expect(0);
    house.ask(&["status", "--quiet"]).expect(0);
    assert!(ids(&failures).len() >= 2);
}

#[test]
fn a_timeout_ends_the_whole_tree_and_counts_as_such() {
    let house = House::new(
        r#"
[jobs.endless]
timeout = "700ms"
stop_grace = "200ms"
command = '''
trap "" TERM
(trap "" TERM; setsid sleep 1000 & setsid sh -c 'trap "" TERM; sleep 1000; :' & wait) &
echo x >> "$T/began"
sleep 1000
sleep 1000
'''
"#,
    );
    let _supervisor = house.start();
    let run = house.enqueue(&["endless"]);
    house.wait_lines("began", 1);
    let ended = house.wait_state(run, "failed");
    assert_eq!((&ended["reason"], &ended["outcome"]), (&"timeout".into(), &"timed_out".into()));
    assert_eq!(ended["signal"], 9);
    assert_eq!(house.processes_of(run), [0; 0]);
    let duration =
        ended["duration_ms"].as_u64().map(Duration::from_millis).expect("it took a while");
    assert!(duration >= Duration::from_millis(900), "{duration:?}");
}

#[test]
fn a_timeout_is_retried_and_a_command_that_obeys_is_not_killed() {
    let house = House::new(
        "[jobs.slow]\ntimeout = '300ms'\nstop_grace = '300ms'\nstop_signal = 'INT'\nretry = { max = 1, delay = '10ms' }\nshell = ['/bin/bash', '-c']\n\
         command = '''trap 'echo obeyed; exit 0' INT; sleep 1000 & wait $!'''\n",
    );
    let _supervisor = house.start();
    let run = house.enqueue(&["slow"]);
    let ended = house.wait_state(run, "failed");
    assert_eq!(ended["reason"], "timeout");
    for attempt in ended["attempts"].as_array().expect("there are some") {
        assert_eq!((&attempt["outcome"], &attempt["exit_code"]), (&"timed_out".into(), &0.into()));
    }
    assert_eq!(ended["attempt"], 2);
    assert_eq!(house.ask(&["logs", &run.to_string()]).expect(0).out, "obeyed\n");
}

#[test]
fn a_command_that_dies_by_a_signal_is_told_by_it() {
    let house = House::new("[jobs.crashes]\ncommand = 'kill -SEGV $$'\n");
    let _supervisor = house.start();
    let run = house.enqueue(&["crashes"]);
    let ended = house.wait_state(run, "failed");
    assert_eq!(
        (&ended["reason"], &ended["outcome"], &ended["signal"], &ended["exit_code"]),
        (&"signal".into(), &"signaled".into(), &11.into(), &Value::Null)
    );
}
