//! What follows an attempt: retries, lost keepers, starts that are refused.

use super::*;

#[test]
fn a_failed_attempt_is_retried_and_a_success_ends_it() {
    let jobfile = "[jobs.a]\nschedule = '1 0 * * *'\ncommand = 'x'\nretry = { max = 3, delay = '10s', jitter = 0.0 }";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(2, End::Exited(1)), (2, End::Exited(1)), (2, End::Exited(0))]);
    day.advance(300);
    assert_eq!(day.runs("a"), ["01 00:01:00 succeeded"]);
    let run = &day.rows("a")[0];
    assert_eq!((run.attempt, run.budget.charged), (3, 3));
    // 2 s, 10 s of delay, 2 s, 20 s of delay: the third attempt starts 34 s after the first.
    assert_eq!(run.started_at, Some(instant("2026-06-01T00:01:34Z")));
}

#[test]
fn a_run_whose_budget_is_spent_has_failed_and_a_retry_by_hand_gives_a_fresh_one() {
    let jobfile = "[jobs.a]\ncommand = 'x'\nretry = { max = 1, delay = '1s' }";
    let mut day = Scenario::new(jobfile, T0);
    day.acts(
        "a",
        &[(1, End::Exited(7)), (1, End::Exited(7)), (1, End::Exited(7)), (1, End::Exited(0))],
    );
    let id = day.enqueue("a", 1)[0];
    day.advance(60);
    assert_eq!(day.run(id).state, State::Failed);
    let now = day.now.wall;
    let _ = day.supervisor.store.retry_if_ended(id, Some(2), now, Force::No).unwrap();
    day.advance(60);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt, run.budget.max), (State::Succeeded, 4, Some(4)));
    assert_eq!(day.supervisor.store.attempts(id).unwrap().len(), 4);
}

#[test]
fn a_retry_keeps_its_place_before_what_came_later() {
    let jobfile = "[jobs.a]\ncommand = 'x'\nretry = { max = 1, delay = '5s', jitter = 0.0 }";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(1, End::Exited(1)), (20, End::Exited(0)), (1, End::Exited(0))]);
    let first = day.enqueue("a", 1)[0];
    day.advance(2);
    let long = day.enqueue("a", 1)[0];
    day.advance(1);
    let later = day.enqueue("a", 1)[0];
    day.advance(60);
    let started_at = |run| day.run(run).started_at.expect("it was started");
    assert!(started_at(long) < started_at(first) && started_at(first) < started_at(later));
    assert_eq!(day.run(first).state, State::Succeeded);
}

#[test]
fn a_retry_by_hand_begins_the_delays_anew() {
    let jobfile = "[jobs.a]\ncommand = 'x'\nretry = { max = 2, delay = '10s', jitter = 0.0 }";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[7; 4].map(|code| (1, End::Exited(code))));
    let id = day.enqueue("a", 1)[0];
    day.advance(60);
    assert_eq!((day.run(id).state, day.run(id).attempt), (State::Failed, 3));
    let now = day.now.wall;
    let _ = day.supervisor.store.retry_if_ended(id, Some(3), now, Force::No).unwrap();
    day.advance(3);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt), (State::Retrying, 4));
    let ended_at = run.started_at.expect("it was started") + Duration::from_secs(1);
    assert_eq!(run.due_at, Some(ended_at + Duration::from_secs(10)));
}

#[test]
fn a_new_occurrence_supersedes_one_that_is_retrying() {
    let jobfile =
        "[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\nretry = { max = 5, delay = '10m' }";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(1, End::Exited(1)), (1, End::Exited(0))]);
    day.advance_to("2026-06-01T00:02:30Z");
    assert_eq!(day.runs("a"), ["01 00:01:00 failed (superseded)", "01 00:02:00 succeeded"]);
    let rows = day.rows("a");
    assert_eq!(rows[0].by, Some(rows[1].id));
}

#[test]
fn a_lost_attempt_is_charged_and_a_run_that_loses_its_keeper_too_often_is_poison() {
    let jobfile = "[jobs.a]\ncommand = 'x'\nretry = { max = 'unlimited', delay = '1s' }";
    let mut day = Scenario::new(jobfile, T0);
    let id = day.enqueue("a", 1)[0];
    for lost in 1..=4 {
        day.acts("a", &[(1000, End::Exited(0))]);
        day.advance(20);
        assert_eq!((day.run(id).state, day.run(id).attempt), (State::Running, lost));
        day.supervisor.spawner.adoptions.clear();
        let store = std::mem::replace(&mut day.supervisor.store, Store::vacant());
        day.supervisor = supervisor(store, &day.state_dir, &day.boot_id, day.now);
        day.supervisor.spawner.adoptions.insert(id, Report::Lost);
        day.load(jobfile);
        day.supervisor.recover(day.now).unwrap();
    }
    day.advance(5);
    assert_eq!(day.run(id).reason.map(|reason| reason.as_str()), Some("poison"));
}

#[test]
fn a_claim_that_never_became_a_process_is_not_charged() {
    let jobfile = "[jobs.a]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.supervisor.spawner.refuse_starts = 3;
    let id = day.enqueue("a", 1)[0];
    day.advance(30);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt, run.budget.charged), (State::Succeeded, 1, 1));
    assert_eq!(day.supervisor.spawner.started, [(id, 1)]);
}

#[test]
fn a_keeper_that_is_refused_for_half_a_minute_is_the_end_of_the_attempt_and_the_retry_policy_goes_on()
 {
    let jobfile = "[jobs.a]\ncommand = 'x'\nretry = { max = 1, delay = '5s', jitter = 0 }\n[jobs.b]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.supervisor.spawner.refuse_starts = 6;
    let id = day.enqueue("a", 1)[0];
    // Tried at 0, 1, 3, 7, 15 and 31 seconds.
    day.advance(20);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt), (State::Queued, 0));
    assert_eq!(day.supervisor.spawner.refuse_starts, 1);
    day.advance(12);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt), (State::Retrying, 1));
    assert_eq!(run.outcome, Some(OutcomeKind::SpawnFailed));
    assert_eq!(run.error.as_deref(), Some("new keeper: resource temporarily unavailable (EAGAIN)"));
    day.advance(10);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt), (State::Succeeded, 2));
}

#[test]
fn a_job_whose_start_is_refused_holds_no_other_job_back_for_longer_than_a_second() {
    let jobfile = "[jobs.a]\ncommand = 'x'\n[jobs.b]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.supervisor.spawner.refuse_starts = 5;
    let refused = day.enqueue("a", 1)[0];
    day.advance(8);
    assert_eq!(day.run(refused).state, State::Queued);
    day.supervisor.spawner.refuse_starts = 0;
    let other = day.enqueue("b", 1)[0];
    day.advance(3);
    assert_eq!(day.run(other).state, State::Succeeded);
    assert_eq!(day.run(refused).state, State::Queued);
}

#[test]
fn after_a_refused_start_nothing_is_started_for_a_second() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'\n[jobs.b]\ncommand = 'x'", T0);
    day.supervisor.spawner.refuse_starts = 1;
    day.enqueue("a", 1);
    let _ = day.turn(&[Event::Rung]);
    let other = day.enqueue("b", 1)[0];
    day.advance_clocks(Duration::from_millis(999));
    let _ = day.turn(&[Event::Rung]);
    assert_eq!(day.run(other).state, State::Queued);
    day.advance_clocks(Duration::from_millis(1));
    let _ = day.turn(&[]);
    assert_eq!(day.run(other).state, State::Running);
}

#[test]
fn a_run_of_exec_takes_a_place_of_its_job() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'", T0);
    let state = &day.supervisor.memory.jobs.all[0];
    let (job_id, terms, now) = (state.id, state.job.terms(), day.now.wall);
    let store = &day.supervisor.store;
    store.begin().unwrap();
    let exec = store.insert_exec(job_id, &NewItem::default(), 0, now).unwrap();
    assert!(store.claim_if_queued(&exec, 7, &terms, now).unwrap().is_some());
    store.commit().unwrap();
    let item = day.enqueue("a", 1)[0];
    day.advance(10);
    assert_eq!(day.run(item).state, State::Queued);
}

#[test]
fn a_claim_without_a_record_is_lost_after_a_boot_and_never_started_without_one() {
    let jobfile = "[jobs.a]\ncommand = 'x'";
    for (boot, state, started) in [("boot", State::Succeeded, 1), ("another", State::Failed, 0)] {
        let mut day = Scenario::new(jobfile, T0);
        day.acts("a", &[(1000, End::Exited(0))]);
        let id = day.enqueue("a", 1)[0];
        day.advance(5);
        day.boot_id = boot.into();
        day.restart(jobfile, Duration::from_secs(10));
        day.advance(20);
        assert_eq!(
            (day.run(id).state, day.supervisor.spawner.started.len()),
            (state, started),
            "{boot}"
        );
    }
}

#[test]
fn who_is_cancelled_before_a_process_exists_is_never_executed() {
    let jobfile = "[jobs.a]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(1000, End::Exited(0))]);
    let id = day.enqueue("a", 1)[0];
    day.advance(5);
    let now = day.now.wall;
    let _ = day.supervisor.store.cancel_if_unfinished(id, now).unwrap();
    day.restart(jobfile, Duration::from_secs(1));
    day.advance(20);
    assert_eq!(day.run(id).state, State::Cancelled);
    assert!(day.supervisor.spawner.started.is_empty());
}

#[test]
fn a_start_of_a_turn_that_failed_counts_for_no_rate() {
    let jobfile =
        "[jobs.a]\ncommand = 'x'\nrate = '1/h'\noverlap = 'allow'\n[jobs.b]\ncommand = 'x'\n";
    let mut day = Scenario::new(jobfile, T0);
    let ids = day.enqueue("a", 2);
    day.enqueue("b", 1);
    day.supervisor.store.execute_raw(
        "CREATE TEMP TRIGGER full BEFORE UPDATE ON main.run \
         WHEN NEW.state = 3 AND NEW.job = (SELECT id FROM main.job WHERE name = 'b') \
         BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    let _ = day.turn(&[Event::Rung]);
    assert_eq!(day.run(ids[0]).state, State::Queued);
    day.supervisor.store.execute_raw("DROP TRIGGER full");
    day.advance(1);
    assert_ne!(day.run(ids[0]).state, State::Queued);
}
