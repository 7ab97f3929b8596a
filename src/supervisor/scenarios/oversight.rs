//! Keepers that are late: woken, killed, and what that makes of their attempts.

use super::*;
use crate::core::run::Reason;

const STUCK: Act = (100_000, End::Exited(0));

fn stuck(keys: &str) -> (Scenario, i64) {
    let mut day = Scenario::new(&format!("[jobs.a]\ncommand = 'x'\n{keys}"), T0);
    day.acts("a", &[STUCK]);
    day.supervisor.spawner.deaf.push("a".into());
    let run = day.enqueue("a", 1)[0];
    (day, run)
}

/// When keepers were killed, in seconds since the scenario began.
fn killed(day: &Scenario) -> Vec<u64> {
    let killed = day.supervisor.spawner.killed.iter();
    killed.map(|(at, _)| at.as_duration().as_secs() - 1000).collect()
}

#[test]
fn a_keeper_that_outlives_the_timeout_is_woken_then_killed_and_the_attempt_timed_out() {
    let (mut day, run) = stuck("timeout = '60s'\nstop_grace = '10s'\nretry = 1\n");
    day.advance(70);
    assert_eq!(day.supervisor.spawner.woken.len(), 1);
    assert_eq!(killed(&day), [0; 0]);
    day.advance(10);
    assert_eq!(killed(&day), [75]);
    let attempts = day.supervisor.store.attempts(run).unwrap();
    assert_eq!(attempts[0].outcome, Some(OutcomeKind::TimedOut));
    day.advance(60);
    assert_eq!(day.run(run).state, State::Succeeded);
}

#[test]
fn a_keeper_that_does_not_stop_when_it_is_told_to_is_killed_and_the_run_is_cancelled() {
    let (mut day, run) = stuck("stop_grace = '10s'\n");
    day.advance(5);
    day.supervisor.store.ask_stop(run, crate::core::retry::Stopped::ByHand, None).unwrap();
    day.advance(25);
    assert_eq!(killed(&day), [20]);
    let run = day.run(run);
    assert_eq!(
        (run.state, run.reason, run.outcome),
        (State::Cancelled, Some(Reason::ByHand), Some(OutcomeKind::Lost))
    );
}

#[test]
fn a_keeper_that_does_not_start_its_command_is_killed_and_the_attempt_is_lost() {
    let (mut day, run) = stuck("");
    day.supervisor.spawner.unstarted.push("a".into());
    day.advance(40);
    assert_eq!(killed(&day), [35]);
    let run = day.run(run);
    // It may have been stopped after its command was executed, before it could write that down.
    assert_eq!(run.outcome, Some(OutcomeKind::Lost));
}

#[test]
fn a_keeper_that_cannot_be_reached_is_woken_and_killed_as_soon_as_it_can() {
    let (mut day, run) = stuck("timeout = '60s'\nstop_grace = '10s'\n");
    day.supervisor.spawner.unreachable.push("a".into());
    day.advance(100);
    assert_eq!(day.supervisor.spawner.woken, [0; 0]);
    assert_eq!(day.run(run).outcome, None);
    day.supervisor.spawner.unreachable.clear();
    day.advance(2);
    assert_eq!(day.supervisor.spawner.woken.len(), 1);
    assert_eq!(killed(&day).len(), 1);
    assert_eq!(day.run(run).outcome, Some(OutcomeKind::TimedOut));
}

#[test]
fn a_supervisor_leaves_six_seconds_after_the_stop_timeout_though_kill_does_not_end_a_keeper() {
    let (mut day, _) = stuck("stop_grace = '10s'\n");
    day.supervisor.spawner.undead.push("a".into());
    day.supervisor.memory.configuration.stop_timeout = Duration::from_secs(30);
    day.advance(5);
    assert_eq!(day.turn(&[Event::StopAsked]), Flow::Continue);
    day.advance(32);
    assert_eq!(killed(&day), [36]);
    assert_eq!(day.turn(&[]), Flow::Continue);
    day.advance_clocks(day.supervisor.next_wait(day.now));
    assert_eq!(day.now.mono.as_duration().as_secs(), 1041);
    assert_eq!(day.turn(&[]), Flow::Leave);
}

#[test]
fn the_keeper_of_a_hook_that_a_former_supervisor_started_is_looked_after_too() {
    let jobfile = "[jobs.a]\ncommand = 'x'\non_failure = 'hook'\n";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(1, End::Exited(1))]);
    day.acts("a failure", &[STUCK]);
    day.supervisor.spawner.deaf.push("a failure".into());
    day.enqueue("a", 1);
    day.advance(10);
    let spawner = std::mem::take(&mut day.supervisor.spawner);
    let store = std::mem::replace(&mut day.supervisor.store, Store::vacant());
    day.supervisor = supervisor(store, &day.state_dir, &day.boot_id, day.now);
    day.supervisor.spawner = spawner;
    day.load(jobfile);
    day.supervisor.recover(day.now).unwrap();
    day.advance(100);
    assert_eq!(killed(&day), [80]);
}

#[test]
fn a_command_that_was_started_may_take_any_time() {
    let (mut day, _) = stuck("");
    day.advance(50_000);
    assert_eq!(killed(&day), [0; 0]);
}

#[test]
fn time_in_which_the_supervisor_itself_was_stopped_makes_no_keeper_late() {
    let (mut day, run) = stuck("timeout = '60s'\nstop_grace = '10s'\n");
    day.advance(30);
    let wait = day.supervisor.next_wait(day.now);
    day.supervisor.note_wait(wait);
    // All of them were stopped: when the keeper goes on, it has yet to see that time is over.
    day.advance_clocks(Duration::from_secs(3600));
    let _ = day.turn(&[]);
    assert_eq!(killed(&day), [0; 0]);
    day.advance(8);
    assert_eq!(killed(&day), [0; 0]);
    day.advance(60);
    assert_eq!(day.run(run).outcome, Some(OutcomeKind::TimedOut));
}

#[test]
fn a_stop_is_over_in_time_whatever_a_keeper_does_and_a_third_one_at_once() {
    let (mut day, run) = stuck("stop_grace = '10s'\nretry = 1\n");
    day.supervisor.memory.configuration.stop_timeout = Duration::from_secs(30);
    day.advance(5);
    assert_eq!(day.turn(&[Event::StopAsked]), Flow::Continue);
    day.advance(40);
    assert_eq!(killed(&day), [36]);
    assert_eq!(day.turn(&[]), Flow::Leave);
    assert_eq!(day.run(run).state, State::Queued);
    let (mut day, _) = stuck("stop_grace = '10m'\n");
    day.advance(5);
    let _ = day.turn(&[Event::StopAsked, Event::StopAsked, Event::StopAsked]);
    day.advance(3);
    assert_eq!(killed(&day), [6]);
    assert_eq!(day.turn(&[]), Flow::Leave);
}

#[test]
fn an_end_that_cannot_be_written_keeps_nobody_awake() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'\n", T0);
    day.enqueue("a", 1);
    let _ = day.turn(&[Event::Rung]);
    day.supervisor.store.execute_raw(
        "CREATE TEMP TRIGGER full BEFORE UPDATE ON main.run BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    day.advance(60);
    assert!(!day.supervisor.memory.ended.is_empty());
    assert!(day.supervisor.next_wait(day.now) > Duration::from_millis(50));
    day.supervisor.store.execute_raw("DROP TRIGGER full");
    day.advance(15);
    assert_eq!(day.runs("a").len(), 1);
    assert!(day.supervisor.memory.ended.is_empty());
}
