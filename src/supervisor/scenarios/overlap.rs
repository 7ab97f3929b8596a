//! What keeps a run from starting: its own job, locks, limits and rates.

use super::*;

#[test]
fn an_occurrence_that_finds_its_job_busy_is_skipped_and_a_row_of_them_is_one_row() {
    let mut day = Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'", T0);
    day.acts("a", &[(200, End::Exited(0))]);
    day.advance_to("2026-06-01T00:05:30Z");
    assert_eq!(
        day.runs("a"),
        ["01 00:01:00 succeeded", "01 00:02:00 skipped (overlap) x3", "01 00:05:00 succeeded"]
    );
    assert_eq!(day.rows("a")[1].by, Some(day.rows("a")[0].id));
}

#[test]
fn queue_one_lets_one_occurrence_wait() {
    let mut day =
        Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\noverlap = 'queue-one'", T0);
    day.acts("a", &[(150, End::Exited(0)), (1, End::Exited(0))]);
    day.advance_to("2026-06-01T00:03:50Z");
    assert_eq!(
        day.runs("a"),
        ["01 00:01:00 succeeded", "01 00:02:00 succeeded", "01 00:03:00 skipped (overlap)"]
    );
}

#[test]
fn queue_all_lets_every_occurrence_wait() {
    let mut day =
        Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\noverlap = 'queue-all'", T0);
    day.acts("a", &[(150, End::Exited(0))]);
    day.advance_to("2026-06-01T00:03:50Z");
    assert_eq!(
        day.runs("a"),
        ["01 00:01:00 succeeded", "01 00:02:00 succeeded", "01 00:03:00 succeeded"]
    );
    assert_eq!(day.supervisor.spawner.running_peak, 1);
}

#[test]
fn replace_stops_the_older_run_for_the_new_one() {
    let mut day =
        Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\noverlap = 'replace'", T0);
    day.acts("a", &[(500, End::Exited(0)), (5, End::Exited(0))]);
    day.advance_to("2026-06-01T00:02:30Z");
    assert_eq!(day.runs("a"), ["01 00:01:00 cancelled (replaced)", "01 00:02:00 succeeded"]);
    let rows = day.rows("a");
    assert_eq!(rows[0].by, Some(rows[1].id));
}

#[test]
fn allow_starts_them_side_by_side() {
    let mut day =
        Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\noverlap = 'allow'", T0);
    day.acts("a", &[(500, End::Exited(0)), (500, End::Exited(0)), (500, End::Exited(0))]);
    day.advance_to("2026-06-01T00:03:30Z");
    assert_eq!(day.supervisor.spawner.running_peak, 3);
}

#[test]
fn no_more_run_at_once_than_concurrency_and_max_running_allow() {
    let jobfile = "max_running = 3\n[jobs.a]\ncommand = 'x'\nconcurrency = 2\n[jobs.b]\ncommand = 'x'\nconcurrency = 5";
    let mut day = Scenario::new(jobfile, T0);
    let ids = [day.enqueue("a", 6), day.enqueue("b", 6)].concat();
    let _ = day.turn(&[Event::Rung]);
    assert_eq!(day.supervisor.memory.live.of_job(1).len(), 2);
    assert_eq!(day.supervisor.memory.live.len(), 3);
    day.advance(30);
    assert_eq!(day.supervisor.spawner.running_peak, 3);
    assert!(ids.iter().all(|id| day.run(*id).state == State::Succeeded));
}

#[test]
fn jobs_that_name_a_lock_run_one_after_the_other_and_block_nobody_else() {
    let jobfile = "[jobs.a]\ncommand = 'x'\nlock = 'db'\n[jobs.b]\ncommand = 'x'\nlock = 'db'\n[jobs.c]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(100, End::Exited(0))]);
    let (a, b, c) = (day.enqueue("a", 1)[0], day.enqueue("b", 1)[0], day.enqueue("c", 1)[0]);
    day.advance(50);
    assert_eq!((day.run(a).state, day.run(b).state), (State::Running, State::Queued));
    assert_eq!(day.run(c).state, State::Succeeded);
    day.advance(60);
    assert_eq!(day.run(b).state, State::Succeeded);
}

#[test]
fn a_lock_that_a_stranger_holds_makes_a_run_wait_until_it_is_free() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'", T0);
    let path = day.state_dir.join("locks/a.lock");
    let stranger =
        crate::os::lock::try_lock(&path, crate::os::lock::Kind::Exclusive).unwrap().unwrap();
    let id = day.enqueue("a", 1)[0];
    day.advance(10);
    assert_eq!(day.run(id).state, State::Queued);
    drop(stranger);
    day.advance(3);
    assert_eq!(day.run(id).state, State::Succeeded);
}

#[test]
fn what_cannot_start_for_two_reasons_does_not_make_the_loop_turn_in_circles() {
    let jobfile = "max_running = 1\n[jobs.a]\ncommand = 'x'\n[jobs.long]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    let path = day.state_dir.join("locks/a.lock");
    let stranger = crate::os::lock::try_lock(&path, crate::os::lock::Kind::Exclusive).unwrap();
    let waiting = day.enqueue("a", 1)[0];
    day.advance(3);
    day.acts("long", &[(100, End::Exited(0))]);
    day.enqueue("long", 1);
    day.advance(50);
    let (now, until) = (day.now.wall, day.now.wall + Duration::from_secs(10));
    day.supervisor.store.pause(Scope::Job("a"), Some(until), now).unwrap();
    day.advance(20);
    drop(stranger);
    day.advance(60);
    assert_eq!(day.run(waiting).state, State::Succeeded);
}

#[test]
fn a_rate_lets_a_bucket_start_at_once_and_then_one_at_a_time() {
    let mut day = Scenario::new(
        "timezone = 'UTC'\n[jobs.a]\ncommand = 'x'\nconcurrency = 100\nrate = '3/min'\n",
        T0,
    );
    day.enqueue("a", 10);
    let started = |day: &Scenario| day.rows("a").iter().filter(|run| run.attempt > 0).count();
    day.advance(1);
    assert_eq!(started(&day), 3);
    day.advance(18);
    assert_eq!(started(&day), 3);
    day.advance(2);
    assert_eq!(started(&day), 4);
    day.advance(40);
    assert_eq!(started(&day), 6);
    // A clock that was set back silences nothing: no start waits longer than it had to before.
    day.now.wall = day.now.wall - Duration::from_secs(7200);
    day.advance(20);
    assert_eq!(started(&day), 9);
}
