//! Who is told of what, when, and how often: hooks in invented time. And who is late.

use super::*;
use crate::core::notice::Event as Told;
use crate::store::{Answer, NoticeRow};

const HOOKS: &str = "command = 'x'\non_failure = 'f'\non_recovery = 'r'\non_late = 'l'\n";

fn failing(seconds: u64) -> Act {
    (seconds, End::Exited(1))
}

impl Scenario {
    /// Hooks of a job that were told, in the order in which they were begun: event, seconds after
    /// `T0`, and for how many they stand.
    fn told(&self, job: &str) -> Vec<(Told, u64, i64)> {
        let mut rows = self.notices(job);
        rows.retain(|row| row.started_at.is_some());
        rows.sort_by_key(|row| (row.started_at, row.id));
        let since = |at: Wall| at.since(instant(T0)).as_secs();
        let told = |row: &NoticeRow| Some((row.event, since(row.started_at?), row.count));
        rows.iter().filter_map(told).collect()
    }

    fn notices(&self, job: &str) -> Vec<NoticeRow> {
        let store = &self.supervisor.store;
        let runs = self.rows(job);
        runs.iter().flat_map(|run| store.notices_of_run(run.id).unwrap()).collect()
    }

    fn is_late(&self, job: &str) -> bool {
        let row = self.supervisor.store.job(job).unwrap();
        row.expect("it is known").late_at.is_some()
    }

    /// A run that goes as it is told.
    fn one(&mut self, job: &str, act: Act) -> i64 {
        self.acts(job, &[act]);
        self.enqueue(job, 1)[0]
    }
}

#[test]
fn a_recovery_is_told_when_its_failure_has_been() {
    let jobfile = format!("[jobs.a]\n{HOOKS}hook_interval = '0s'\n");
    let mut day = Scenario::new(&jobfile, T0);
    day.acts("a failure", &[(50, End::Exited(0))]);
    day.one("a", failing(1));
    day.advance(5);
    day.one("a", (1, End::Exited(0)));
    day.advance(40);
    assert_eq!(day.told("a"), [(Told::Failure, 1, 1)]);
    day.advance(20);
    assert_eq!(day.told("a"), [(Told::Failure, 1, 1), (Told::Recovery, 51, 1)]);
}

#[test]
fn failures_in_the_interval_are_one_hook_at_its_end_also_after_the_clock_was_set_back() {
    let jobfile = format!("[jobs.a]\n{HOOKS}hook_interval = '5m'\n");
    let mut day = Scenario::new(&jobfile, T0);
    let fail = |day: &mut Scenario, times: usize| {
        for _ in 0..times {
            day.one("a", failing(1));
            day.advance(10);
        }
    };
    fail(&mut day, 4);
    day.advance(300);
    assert_eq!(day.told("a"), [(Told::Failure, 1, 1), (Told::Failure, 301, 3)]);
    day.now.wall = instant("2026-05-31T00:00:00Z");
    fail(&mut day, 7);
    let undone = |day: &Scenario| {
        let rows = day.notices("a");
        rows.iter().filter(|row| !row.is_done).count()
    };
    let began = |day: &Scenario| {
        let hooks = day.supervisor.spawner.orders.iter();
        hooks.filter(|(.., name)| name == "a failure").count()
    };
    assert_eq!((began(&day), undone(&day)), (2, 1));
    day.advance(300);
    assert_eq!((began(&day), undone(&day)), (3, 0));
}

#[test]
fn a_run_stays_while_somebody_is_to_be_told_of_it() {
    let jobfile = format!("[jobs.a]\n{HOOKS}hook_interval = '1h'\nkeep = {{ runs = 1 }}\n");
    let mut day = Scenario::new(&jobfile, T0);
    day.one("a", failing(1));
    day.advance(5);
    let second = day.one("a", failing(1));
    day.advance(5);
    let now = day.now.wall;
    let mut acknowledge = |id| day.supervisor.store.ack_if_failed(id, now).unwrap();
    acknowledge(second);
    for _ in 0..5 {
        day.one("a", (1, End::Exited(0)));
        day.advance(5);
    }
    day.advance(1800);
    assert_eq!(day.run(second).state, State::Failed);
    day.advance(1800);
    let told = day.told("a");
    assert!(told.contains(&(Told::Failure, 3601, 1)), "{told:?}");
    day.advance(600);
    assert_eq!(day.supervisor.store.run(second).unwrap(), None);
}

#[test]
fn a_stop_waits_for_hooks_as_long_as_for_attempts_and_no_longer() {
    let jobfile = format!("[jobs.a]\n{HOOKS}");
    let mut day = Scenario::new(&jobfile, T0);
    day.supervisor.memory.configuration.stop_timeout = Duration::from_secs(8);
    day.acts("a failure", &[(600, End::Exited(0))]);
    day.one("a", failing(1));
    day.advance(5);
    assert_eq!(day.turn(&[Event::StopAsked]), Flow::Continue);
    let wait = day.supervisor.next_wait(day.now);
    assert!(wait <= Duration::from_secs(8), "{wait:?}");
    day.advance_clocks(Duration::from_secs(8));
    assert_eq!(day.turn(&[]), Flow::Leave);
}

#[test]
fn a_hook_that_was_lost_is_told_three_times_at_the_most_and_one_that_never_began_is_told() {
    let jobfile = format!("[jobs.a]\n{HOOKS}");
    // The machine is booted anew while the hook runs: nobody knows how far it came.
    let mut day = Scenario::new(&jobfile, T0);
    day.acts("a failure", &[(600, End::Exited(0))]);
    let id = day.one("a", failing(1));
    day.advance(5);
    for boot in 1..6 {
        day.boot_id = format!("boot {boot}");
        day.restart(&jobfile, Duration::from_secs(60));
        day.acts("a failure", &[(600, End::Exited(0))]);
        day.advance(5);
    }
    let row = &day.supervisor.store.notices_of_run(id).unwrap()[0];
    assert_eq!((row.tries, row.is_done, row.outcome), (3, true, Some(OutcomeKind::Lost)));
    // The supervisor is killed again and again between claim and order.
    let mut day = Scenario::new(&jobfile, T0);
    day.acts("a failure", &[(600, End::Exited(0))]);
    let id = day.one("a", failing(1));
    day.advance(5);
    for _ in 0..6 {
        day.restart(&jobfile, Duration::from_secs(60));
        day.acts("a failure", &[(600, End::Exited(0))]);
        day.advance(5);
    }
    let row = &day.supervisor.store.notices_of_run(id).unwrap()[0];
    assert_eq!((row.tries, row.is_done), (1, false));
}

#[test]
fn a_hook_for_which_there_is_no_process_is_tried_until_there_is_one() {
    let jobfile = format!("[jobs.a]\n{HOOKS}");
    let mut day = Scenario::new(&jobfile, T0);
    let id = day.one("a", failing(1));
    let _ = day.turn(&[Event::Rung]);
    day.supervisor.spawner.refuse_starts = 10;
    day.advance(60);
    let row = &day.supervisor.store.notices_of_run(id).unwrap()[0];
    assert_eq!((row.tries, row.outcome), (1, Some(OutcomeKind::Exited)));
}

#[test]
fn four_at_a_time_are_told_three_of_one_job_and_all_at_last() {
    let jobfile = "[defaults]\nconcurrency = 10\non_success = 's'\n\
        [jobs.a]\ncommand = 'x'\n[jobs.b]\ncommand = 'x'\n";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a success", &vec![(10, End::Exited(0)); 7]);
    day.enqueue("a", 7);
    day.advance(5);
    day.acts("b success", &vec![(2, End::Exited(0)); 2]);
    day.enqueue("b", 2);
    day.advance(60);
    let begun = |job: &str| {
        let mut begun: Vec<u64> = day.told(job).iter().map(|(_, at, _)| *at).collect();
        begun.sort_unstable();
        begun
    };
    assert_eq!(begun("a"), [1, 1, 1, 11, 11, 11, 21]);
    // The place that is left is theirs, one after the other.
    assert_eq!(begun("b"), [6, 8]);
}

#[test]
fn what_is_to_be_told_of_a_job_waits_while_it_is_not_in_the_jobfile() {
    let jobfile = format!("[jobs.a]\n{HOOKS}hook_interval = '1m'\n");
    let mut day = Scenario::new(&jobfile, T0);
    day.one("a", failing(1));
    day.advance(5);
    let id = day.one("a", failing(1));
    day.advance(5);
    day.load("[jobs.b]\ncommand = 'x'\n");
    day.advance(600);
    let is_done = |day: &Scenario| day.supervisor.store.notices_of_run(id).unwrap()[0].is_done;
    assert!(!is_done(&day));
    day.load(&jobfile);
    day.advance(5);
    assert!(is_done(&day));
}

#[test]
fn a_hook_hears_of_its_run_as_it_was_then() {
    let jobfile = format!("[jobs.a]\n{HOOKS}hook_interval = '1h'\n");
    let mut day = Scenario::new(&jobfile, T0);
    day.one("a", failing(1));
    day.advance(5);
    let id = day.one("a", (2, End::Exited(7)));
    day.advance(5);
    let now = day.now.wall;
    let _ = day.supervisor.store.retry_if_ended(id, Some(2), now, Force::No);
    day.advance(60);
    assert_eq!(day.run(id).state, State::Succeeded);
    let store = &day.supervisor.store;
    let row = &store.notices_of_run(id).unwrap()[0];
    let then = store.run_of_notice(row).unwrap().expect("it is there");
    assert_eq!(
        (then.state, then.attempt, then.exit_code, then.duration_ms),
        (State::Failed, 1, Some(7), Some(2000))
    );
}

#[test]
fn a_shadow_tells_nobody_and_a_supervisor_after_it_does() {
    let jobfile = format!("[jobs.a]\n{HOOKS}");
    let mut day = Scenario::new(&jobfile, T0);
    day.acts("a failure", &[(600, End::Exited(0))]);
    let id = day.one("a", failing(1));
    day.advance(1);
    let is_done = |day: &Scenario| day.supervisor.store.notices_of_run(id).unwrap()[0].is_done;
    day.restart(&jobfile, Duration::ZERO);
    day.supervisor.memory.configuration.mode = Mode::Shadow;
    day.advance(60);
    assert!(!is_done(&day));
    assert!(day.supervisor.spawner.started.is_empty());
    day.restart(&jobfile, Duration::ZERO);
    day.advance(60);
    assert!(is_done(&day));
}

const EVERY_MINUTE: &str = "[jobs.a]\nschedule = '* * * * *'\n";

#[test]
fn three_occurrences_without_a_success_are_late_once_and_anew_after_the_next_success() {
    let jobfile = format!("{EVERY_MINUTE}{HOOKS}hook_interval = '1d'\n");
    let mut day = Scenario::new(&jobfile, T0);
    day.acts("a", &vec![(1, End::Exited(1)); 6]);
    let late = |day: &Scenario| {
        let told = day.told("a");
        told.iter().filter(|told| told.0 == Told::Late).count()
    };
    day.advance(155);
    assert_eq!((day.is_late("a"), late(&day)), (true, 1));
    day.advance(180);
    assert_eq!((day.is_late("a"), late(&day)), (true, 1));
    day.advance(60);
    assert!(!day.is_late("a"));
    day.acts("a", &vec![(1, End::Exited(1)); 3]);
    day.advance(180);
    assert_eq!((day.is_late("a"), late(&day)), (true, 2));
}

#[test]
fn what_is_expected_of_a_job_begins_anew_when_it_comes_back() {
    let jobfile = format!("{EVERY_MINUTE}{HOOKS}");
    let mut day = Scenario::new(&jobfile, T0);
    day.acts("a", &vec![(1, End::Exited(1)); 4]);
    day.advance(155);
    assert!(day.is_late("a"));
    day.load("[jobs.b]\ncommand = 'x'\n");
    day.advance(3600);
    day.load(&jobfile);
    day.advance(20);
    assert!(!day.is_late("a"));
    day.advance(60);
    assert!(!day.is_late("a"), "one failure after that is one");
}

#[test]
fn an_occurrence_that_is_tried_again_by_hand_counts_once() {
    let jobfile = format!("[jobs.a]\nschedule = '1 0 * * *'\n{HOOKS}");
    let mut day = Scenario::new(&jobfile, T0);
    day.acts("a", &vec![(1, End::Exited(1)); 5]);
    day.advance(60);
    let id = day.rows("a")[0].id;
    for _ in 0..4 {
        let now = day.now.wall;
        let _ = day.supervisor.store.retry_if_ended(id, Some(1), now, Force::No);
        day.advance(10);
        assert_eq!(day.run(id).state, State::Failed);
    }
    assert!(!day.is_late("a"));
}

#[test]
fn a_job_that_makes_up_for_what_was_missed_is_late_only_if_that_fails() {
    let good = || (5, End::Exited(0));
    let bad = || (5, End::Exited(1));
    // On time for the next one, or to catch up with the last one.
    for (act, minutes, is_late) in
        [(good(), 360, false), (good(), 380, false), (bad(), 360, true), (bad(), 380, true)]
    {
        let jobfile = format!("[jobs.a]\nschedule = '0 * * * *'\ncatch_up = 'last'\n{HOOKS}");
        let mut day = Scenario::new(&jobfile, T0);
        day.restart(&jobfile, Duration::from_secs(minutes * 60));
        day.acts("a", &[act]);
        let _ = day.turn(&[Event::Rung]);
        assert!(!day.is_late("a"));
        day.advance(60);
        assert_eq!(day.is_late("a"), is_late);
    }
}

#[test]
fn nothing_is_kept_of_a_hook_whose_row_vanished() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'\n", T0);
    day.supervisor.memory.notify.bare.insert(99);
    day.supervisor.memory.ended.push(SlotEnd { slot: 0, run: -99, claim: 1, report: Report::Lost });
    let _ = day.turn(&[]);
    assert!(day.supervisor.memory.notify.bare.is_empty());
}

#[test]
fn a_hook_that_fails_is_said_although_the_turn_of_its_end_failed_at_first() {
    let jobfile = format!("[jobs.a]\n{HOOKS}[jobs.b]\nschedule = '* * * * *'\ncommand = 'x'\n");
    let mut day = Scenario::new(&jobfile, T0);
    day.acts("a failure", &[failing(35)]);
    day.one("a", failing(1));
    day.advance(5);
    day.supervisor.store.execute_raw(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON main.run BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    day.advance(40);
    day.supervisor.store.execute_raw("DROP TRIGGER full");
    day.advance(40);
    let log = &day.supervisor.log.written;
    assert_eq!(log.matches("event=hook_failed").count(), 1, "{log}");
}

#[test]
fn a_missed_occurrence_is_told_until_a_success_if_the_next_one_is_far() {
    let hooks = "command = 'x'\non_late = 'l'\n";
    let jobfile = format!(
        "timezone = 'UTC'\n[jobs.daily]\nschedule = '30 0 * * *'\n{hooks}\
         [jobs.often]\nschedule = '*/10 * * * *'\n{hooks}\
         [jobs.caught]\nschedule = '30 0 * * *'\ncatch_up = 'last'\n{hooks}"
    );
    let mut day = Scenario::new(&jobfile, T0);
    day.restart(&jobfile, Duration::from_secs(3600));
    let _ = day.turn(&[]);
    day.advance(5);
    let missed = |day: &Scenario, job: &str| {
        day.supervisor.store.job(job).unwrap().and_then(|row| row.missed_at)
    };
    assert_eq!(missed(&day, "daily"), Some(instant("2026-06-01T00:30:00Z")));
    assert_eq!(day.told("daily").iter().map(|told| told.0).collect::<Vec<_>>(), [Told::Late]);
    for other in ["often", "caught"] {
        assert_eq!(missed(&day, other), None, "{other}");
        assert!(day.told(other).is_empty(), "{other}");
    }
    let now = day.now.wall;
    let run = day.rows("daily")[0].id;
    assert_eq!(day.supervisor.store.ack_if_failed(run, now).unwrap(), Answer::Done);
    assert_eq!(missed(&day, "daily"), None);
    let job = day.supervisor.store.job("daily").unwrap().expect("it is known");
    day.supervisor.store.note_missed(job.id, now).unwrap();
    day.one("daily", (1, End::Exited(0)));
    day.advance(5);
    assert_eq!(missed(&day, "daily"), None);
}

/// Late hooks that were begun, by job.
fn late_hooks(day: &Scenario) -> Vec<&str> {
    let hooks = day.supervisor.spawner.orders.iter();
    hooks.filter_map(|(.., name)| name.strip_suffix(" late")).collect()
}

#[test]
fn a_pause_that_is_forgotten_is_told_once_a_day_after_it_began() {
    let jobfile =
        "[jobs.a]\ncommand = 'x'\non_late = 'l'\n[jobs.b]\ncommand = 'x'\non_late = 'l'\n";
    let mut day = Scenario::new(jobfile, T0);
    let pause = |day: &mut Scenario, job, until| {
        let now = day.now.wall;
        day.supervisor.store.pause(Scope::Job(job), until, now).unwrap();
    };
    pause(&mut day, "a", None);
    let later = day.now.wall + Duration::from_secs(7 * 86_400);
    pause(&mut day, "b", Some(later));
    day.advance(86_390);
    assert!(late_hooks(&day).is_empty());
    day.advance(20);
    assert_eq!(late_hooks(&day), ["a"]);
    day.restart(jobfile, Duration::from_secs(60));
    day.advance(2 * 86_400);
    assert!(late_hooks(&day).is_empty(), "the one before has told it");
    let now = day.now.wall;
    assert!(day.supervisor.store.resume(Scope::Job("a"), now).unwrap());
    day.advance(60);
    pause(&mut day, "a", None);
    day.advance(86_410);
    assert_eq!(late_hooks(&day), ["a"]);
}

#[test]
fn a_pause_of_everything_is_told_once_to_each_who_is_told_of_late_jobs() {
    let job = |name: &str, keys: &str| format!("[jobs.{name}]\ncommand = 'x'\n{keys}");
    let jobfile = job("a", "")
        + &job("b", "on_late = 'l'\n")
        + &job("c", "on_late = 'l'\n")
        + &job("d", "on_late = 'other'\n");
    let mut day = Scenario::new(&jobfile, T0);
    let now = day.now.wall;
    day.supervisor.store.pause(Scope::All, None, now).unwrap();
    day.advance(2 * 86_400);
    assert_eq!(late_hooks(&day), ["b", "d"]);
}

#[test]
fn a_downtime_is_told_once_of_a_job_that_missed_an_occurrence_and_is_late() {
    let jobfile = "timezone = 'UTC'\n[jobs.a]\nschedule = '30 2 * * *'\ncommand = 'x'\n\
                   expect_every = '1d'\non_late = 'l'\n";
    let mut day = Scenario::new(jobfile, T0);
    day.advance(3 * 3600);
    day.restart(jobfile, Duration::from_secs(2 * 86_400));
    let _ = day.turn(&[]);
    day.advance(60);
    assert!(day.is_late("a"));
    assert_eq!(late_hooks(&day), ["a"]);
}
