//! Pauses: what waits, what is owed, what jitter and restarts make of it.

use super::*;

impl Scenario {
    fn pause(&mut self, scope: Scope<'_>, secs: Option<u64>) {
        let now = self.now.wall;
        let until = secs.map(|secs| now + Duration::from_secs(secs));
        self.supervisor.store.pause(scope, until, now).unwrap();
    }

    fn resume(&mut self, scope: Scope<'_>) {
        let now = self.now.wall;
        self.supervisor.store.resume(scope, now).unwrap();
    }
}

#[test]
fn what_fell_due_in_a_pause_does_not_run_after_it_because_of_its_jitter() {
    let jobfile = "[jobs.a]\nschedule = '*/10 * * * *'\ncommand = 'x'\njitter = '9m'";
    for scope in [Scope::Job("a"), Scope::All] {
        let mut day = Scenario::new(jobfile, "2026-06-01T00:05:00Z");
        day.pause(scope, None);
        day.advance_to("2026-06-01T00:10:05Z");
        day.resume(scope);
        day.advance_to("2026-06-01T00:29:59Z");
        assert_eq!(day.runs("a"), ["01 00:10:00 skipped (paused)", "01 00:20:00 succeeded"]);
    }
}

#[test]
fn a_pause_owes_nothing_also_if_the_turn_that_sees_its_end_fails_on_disk() {
    let jobfile = "[jobs.a]\nschedule = '*/10 * * * *'\ncommand = 'x'\njitter = '9m'";
    for scope in [Scope::Job("a"), Scope::All] {
        let mut day = Scenario::new(jobfile, "2026-06-01T00:05:00Z");
        day.pause(scope, None);
        day.advance_to("2026-06-01T00:10:05Z");
        day.resume(scope);
        day.supervisor.store.execute_raw(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.run BEGIN SELECT RAISE(ABORT, 'disk full'); END",
        );
        day.advance(1);
        day.supervisor.store.execute_raw("DROP TRIGGER full");
        day.advance_to("2026-06-01T00:29:59Z");
        assert_eq!(day.runs("a"), ["01 00:10:00 skipped (paused)", "01 00:20:00 succeeded"]);
    }
}

#[test]
fn a_resume_after_a_pause_ended_by_itself_owes_nothing_either() {
    let jobfile =
        "[jobs.a]\nschedule = '*/10 * * * *'\ncommand = 'x'\njitter = '9m'\ncatch_up = 'all'";
    for scope in [Scope::Job("a"), Scope::All] {
        let mut day = Scenario::new(jobfile, "2026-06-01T00:05:00Z");
        day.pause(scope, Some(302));
        day.advance_to("2026-06-01T00:10:05Z");
        day.resume(scope);
        day.advance_to("2026-06-01T00:19:59Z");
        assert!(day.rows("a").iter().all(|run| run.state == State::Skipped), "{:?}", day.runs("a"));
    }
}

#[test]
fn items_and_retries_wait_in_a_pause_and_start_when_it_ends() {
    let jobfile = "[jobs.a]\ncommand = 'x'\nretry = { max = 2, delay = '30s', jitter = 0.0 }";
    for scope in [Scope::Job("a"), Scope::All] {
        let mut day = Scenario::new(jobfile, T0);
        day.acts("a", &[(1, End::Exited(1))]);
        let retried = day.enqueue("a", 1)[0];
        day.advance(5);
        day.pause(scope, None);
        let item = day.enqueue("a", 1)[0];
        day.advance(3600);
        assert_eq!((day.run(retried).state, day.run(item).state), (State::Queued, State::Queued));
        day.restart(jobfile, Duration::from_secs(60));
        day.advance(3600);
        assert_eq!((day.run(retried).state, day.run(item).state), (State::Queued, State::Queued));
        day.resume(scope);
        day.advance(10);
        assert_eq!(
            (day.run(retried).state, day.run(item).state),
            (State::Succeeded, State::Succeeded)
        );
    }
}

#[test]
fn a_pause_of_one_job_outlasts_a_resume_of_all_and_the_other_way_round() {
    let jobfile = "[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'";
    for (first, second) in [(Scope::Job("a"), Scope::All), (Scope::All, Scope::Job("a"))] {
        let mut day = Scenario::new(jobfile, T0);
        day.pause(first, None);
        day.pause(second, None);
        day.advance(120);
        day.resume(first);
        day.advance(120);
        assert!(day.rows("a").iter().all(|run| run.state == State::Skipped), "{:?}", day.runs("a"));
        day.resume(second);
        day.advance(120);
        assert_eq!(day.rows("a").iter().filter(|run| run.state == State::Succeeded).count(), 2);
    }
}

#[test]
fn a_pause_that_ends_wakes_the_supervisor_for_what_waits() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'", T0);
    day.pause(Scope::All, Some(20));
    let item = day.enqueue("a", 1)[0];
    day.advance(21);
    assert_eq!(day.run(item).started_at, Some(instant("2026-06-01T00:00:50Z")));
}
