//! A supervisor that stops, and a store that fails.

use super::*;

#[test]
fn a_stop_gives_attempts_time_then_ends_them_and_leaves_when_the_books_are_closed() {
    let jobfile = "[jobs.once]\ncommand = 'x'\n[jobs.again]\ncommand = 'x'\nretry = 1\n[jobs.quick]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("once", &[(1000, End::Exited(0))]);
    day.acts("again", &[(1000, End::Exited(0))]);
    day.acts("quick", &[(20, End::Exited(0))]);
    let (once, again, quick) =
        (day.enqueue("once", 1)[0], day.enqueue("again", 1)[0], day.enqueue("quick", 1)[0]);
    let _ = day.turn(&[Event::Rung]);
    assert_eq!(day.turn(&[Event::StopAsked]), Flow::Continue);
    day.advance(45);
    assert_eq!(day.run(quick).state, State::Succeeded);
    assert_eq!(day.run(once).state, State::Running);
    day.advance(10);
    assert_eq!(
        (day.run(once).state, day.run(once).reason.map(|r| r.as_str())),
        (State::Failed, Some("shutdown"))
    );
    assert_eq!((day.run(again).state, day.run(again).budget.max), (State::Queued, Some(3)));
    assert_eq!(day.turn(&[]), Flow::Leave);
}

#[test]
fn a_turn_that_fails_on_disk_is_undone_and_done_again() {
    let jobfile = "[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\n[jobs.b]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    let item = day.enqueue("b", 1)[0];
    for (broken, until) in [("UPDATE", "2026-06-01T00:01:20Z"), ("INSERT", "2026-06-01T00:02:20Z")]
    {
        let sql = format!(
            "CREATE TEMP TRIGGER full BEFORE {broken} ON main.run BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        );
        day.supervisor.store.execute_raw(&sql);
        day.advance_to(until);
        day.supervisor.store.execute_raw("DROP TRIGGER full");
        day.advance(15);
    }
    day.advance_to("2026-06-01T00:03:30Z");
    assert_eq!(day.run(item).state, State::Succeeded);
    assert_eq!(
        day.runs("a"),
        ["01 00:01:00 succeeded", "01 00:02:00 succeeded", "01 00:03:00 succeeded"]
    );
    assert!(day.supervisor.memory.live.is_empty() && day.supervisor.spawner.given.is_empty());
}

#[test]
fn a_stop_does_not_wait_for_a_store_that_cannot_be_written() {
    let mut day = Scenario::new("[jobs.b]\ncommand = 'x'", T0);
    let item = day.enqueue("b", 1)[0];
    day.supervisor.store.execute_raw(
        "CREATE TEMP TRIGGER full BEFORE UPDATE ON main.run WHEN OLD.state = 3 BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    day.advance(5);
    assert_eq!(day.turn(&[Event::StopAsked]), Flow::Continue);
    let asked = day.now.mono;
    while day.turn(&[]) == Flow::Continue {
        let wait = day.supervisor.next_wait(day.now);
        day.advance_clocks(wait.max(Duration::from_millis(1)));
        assert!(day.now.mono.since(asked) < Duration::from_secs(3600));
    }
    assert_eq!(day.now.mono.since(asked), day.supervisor.memory.configuration.stop_timeout);
    // What is not on disk stands in the record: nothing was made up.
    assert_eq!(day.run(item).state, State::Running);
}

#[test]
fn a_store_that_is_only_locked_is_asked_again_within_a_tenth_of_a_second_however_often() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'", T0);
    let waits = |day: &mut Scenario, error: &StoreError| -> Vec<Duration> {
        (0..12)
            .map(|_| {
                day.fail_a_turn(error);
                day.supervisor.next_wait(day.now)
            })
            .collect()
    };
    let locked = StoreError::Locked(PathBuf::from("jobctl.db"));
    let longest = waits(&mut day, &locked).into_iter().max().unwrap();
    assert!(longest <= Duration::from_millis(100), "{longest:?}");
    let broken = StoreError::Damaged(PathBuf::from("jobctl.db"), "malformed".into());
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'", T0);
    day.fail_a_turn(&broken);
    let first = day.supervisor.next_wait(day.now);
    day.advance_clocks(Duration::from_secs(1));
    day.fail_a_turn(&broken);
    assert!(day.supervisor.next_wait(day.now) > first);
}
