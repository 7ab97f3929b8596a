//! Clocks that are set, that stand still, that change in all zones of the world.

use std::fmt::Write as _;

use super::*;
use crate::core::run::Reason;
use crate::core::schedule::{HashSeed, Schedule, Zone};
use crate::skipped::{Need, skipped};
use crate::store::Downtime;

const WILD: &str = "[jobs.a]\nschedule = '*/10 * * * *'\ncommand = 'x'\n";

impl Scenario {
    /// Sets the wall clock, as date(1) does.
    fn set_clock(&mut self, at: &str) {
        self.now.wall = instant(at);
    }

    /// Adds an item that can start after `wait` and expires after `span`.
    fn expiring(&mut self, job: &str, wait: Duration, span: Duration) -> i64 {
        let now = self.now.wall;
        let addition = Addition {
            job,
            due_at: now + wait,
            priority: 0,
            max_attempts: None,
            backlog_max: None,
            cause: crate::core::run::Cause::Enqueue,
            created_at: now,
            conditions: crate::store::Conditions {
                expires_at: Some(now + span),
                ..crate::store::Conditions::default()
            },
        };
        let added = self.supervisor.store.enqueue(&addition, vec![NewItem::default()]);
        let Ok(Enqueued::Added(added)) = added else {
            panic!("it was not added");
        };
        added[0].id
    }

    fn started(&self, job: &str) -> Vec<String> {
        let is_started = |run: &&RunRow| run.attempt > 0;
        let rows = self.rows(job);
        rows.iter().filter(is_started).map(|run| run.scheduled_at.unwrap().rfc3339()).collect()
    }
}

#[test]
fn a_retry_that_was_promised_in_2035_keeps_its_delay_when_the_clock_is_back_in_2026() {
    let jobfile = "[jobs.a]\ncommand = 'x'\nretry = { max = 3, delay = '20m', jitter = 0.0 }";
    let mut day = Scenario::new(jobfile, "2035-03-01T10:00:00Z");
    day.acts("a", &[(5, End::Exited(1))]);
    let id = day.enqueue("a", 1)[0];
    day.advance(60);
    assert_eq!(day.run(id).state, State::Retrying);
    day.set_clock("2026-06-01T10:00:00Z");
    day.advance_to("2026-06-01T10:19:00Z");
    assert_eq!(day.run(id).state, State::Retrying);
    day.advance_to("2026-06-01T10:21:00Z");
    assert_eq!(day.run(id).state, State::Succeeded);
}

#[test]
fn a_retry_promised_in_2035_keeps_its_delay_also_if_nobody_was_there_when_the_clock_was_set() {
    let jobfile = "[jobs.a]\nschedule = '0 10 * * *'\ncommand = 'x'\nretry = { max = 3, delay = '20m', jitter = 0.0 }";
    let mut day = Scenario::new(jobfile, "2035-03-01T09:59:00Z");
    day.acts("a", &[(5, End::Exited(1))]);
    day.advance(120);
    day.set_clock("2026-06-01T12:00:00Z");
    day.restart(jobfile, Duration::ZERO);
    day.advance_to("2026-06-01T12:21:00Z");
    assert_eq!(day.runs("a"), ["01 10:00:00 succeeded"]);
    day.advance_to("2026-06-02T10:01:00Z");
    assert_eq!(day.runs("a").len(), 2);
}

#[test]
fn give_up_after_begins_again_when_the_clock_was_set_back() {
    let jobfile = "[jobs.a]\ncommand = 'x'\n\
        retry = { max = 'unlimited', delay = '10m', factor = 1.0, jitter = 0.0, give_up_after = '1h' }";
    let mut day = Scenario::new(jobfile, "2035-03-01T10:00:00Z");
    let fails: Vec<Act> = (0..50).map(|_| (5, End::Exited(1))).collect();
    day.acts("a", &fails);
    let id = day.enqueue("a", 1)[0];
    day.advance(60);
    day.set_clock("2026-06-01T10:00:00Z");
    day.advance(3 * 3600);
    let run = day.run(id);
    assert_eq!(run.reason.map(|reason| reason.as_str()), Some("give_up_after"));
}

#[test]
fn a_pause_for_a_while_ends_after_that_while_also_if_it_began_in_2035() {
    for scope in [Scope::Job("a"), Scope::All] {
        let mut day = Scenario::new(WILD, "2035-03-01T10:00:00Z");
        let (now, until) = (day.now.wall, day.now.wall + Duration::from_secs(3600));
        day.supervisor.store.pause(scope, Some(until), now).unwrap();
        day.advance(600);
        day.set_clock("2026-06-01T10:05:00Z");
        day.advance_to("2026-06-01T11:45:00Z");
        let started = day.started("a");
        assert_eq!(started.len(), 4, "{started:?}");
        assert!(started[0].starts_with("2026-06-01T11:10"));
    }
}

#[test]
fn every_goes_on_when_the_clock_is_back_from_2035() {
    let jobfile = "[jobs.a]\nschedule = '@every 10m'\ncommand = 'x'";
    for is_restarted in [false, true] {
        let mut day = Scenario::new(jobfile, "2035-03-01T10:00:00Z");
        day.advance(1500);
        day.set_clock("2026-06-01T10:00:00Z");
        if is_restarted {
            day.restart(jobfile, Duration::ZERO);
        }
        day.advance(1500);
        assert_eq!(day.started("a").len(), 4, "{:?}", day.started("a"));
    }
}

#[test]
fn a_job_with_jitter_is_not_silent_for_as_long_as_the_clock_was_set_back() {
    let jobfile = "[jobs.a]\nschedule = '*/10 * * * *'\ncommand = 'x'\njitter = '30m'";
    let mut day = Scenario::new(jobfile, "2026-06-01T10:00:00Z");
    day.advance(2 * 3600);
    let before = day.started("a").len();
    day.set_clock("2026-06-01T10:30:00Z");
    day.advance(3600);
    assert_eq!(day.started("a").len(), before + 6);
}

#[test]
fn a_start_deadline_holds_after_the_clock_was_set_back() {
    let jobfile = "max_running = 1\n[jobs.a]\nschedule = '1 10 * * *'\ncommand = 'x'\nstart_deadline = '30m'\n\
        [jobs.long]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2035-03-01T10:00:30Z");
    day.acts("long", &[(10 * 3600, End::Exited(0))]);
    day.enqueue("long", 1);
    day.advance(120);
    day.set_clock("2026-06-01T12:00:00Z");
    day.advance(3600);
    assert_eq!(day.runs("a"), ["01 10:01:00 skipped (missed)"]);
}

#[test]
fn what_waits_since_2035_does_not_wait_behind_what_is_new() {
    let jobfile = "[jobs.a]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2035-03-01T10:00:30Z");
    day.acts("a", &[(600, End::Exited(0))]);
    let old = day.enqueue("a", 2)[1];
    day.advance(60);
    day.set_clock("2026-06-01T12:00:00Z");
    day.advance(60);
    let new = day.enqueue("a", 1)[0];
    day.advance(1200);
    let (old, new) = (day.run(old), day.run(new));
    assert!(old.started_at.unwrap() < new.started_at.unwrap());
}

#[test]
fn a_step_back_is_reported_once_however_often_is_reloaded_and_restarted_after_it() {
    let fixed = "[jobs.fixed]\nschedule = '0 11 * * *'\ncommand = 'x'\n";
    let mut jobfile = fixed.to_owned();
    let mut day = Scenario::new(&jobfile, "2026-06-01T10:30:00Z");
    day.advance(3600);
    day.set_clock("2026-06-01T09:30:00Z");
    day.advance(180);
    let _ = day.supervisor.log.take();
    for number in 0..4 {
        // An instant of before its load is no concern of it, nor is one within its jitter.
        let _ = write!(
            jobfile,
            "[jobs.new{number}]\nschedule = '*/3 * * * *'\njitter = '30m'\ncommand = 'x'\n"
        );
        let loaded_at = day.now.wall;
        if number == 3 {
            day.restart(&jobfile, Duration::ZERO);
        } else {
            day.load(&jobfile);
        }
        day.advance(1200);
        let first = day.rows(&format!("new{number}")).first().cloned();
        assert!(first.as_ref().is_none_or(|run| run.scheduled_at > Some(loaded_at)), "{first:?}");
    }
    let log = day.supervisor.log.take();
    assert!(!log.contains("clock_back"), "{log}");
    assert_eq!(day.runs("fixed"), ["01 11:00:00 succeeded"]);
}

#[test]
fn a_step_back_soon_after_a_job_was_loaded_brings_no_instant_before_its_load() {
    let jobfile =
        "[jobs.a]\nschedule = '* * * * *'\njitter = '30m'\ncommand = 'x'\noverlap = 'queue-all'\n";
    let mut day = Scenario::new(jobfile, "2026-06-01T10:00:30Z");
    assert!(day.supervisor.memory.jobs.all[0].jitter > Duration::from_secs(60));
    day.advance(20);
    // Then it was loaded at 09:00:10.
    day.set_clock("2026-06-01T09:00:30Z");
    day.advance(1800);
    assert_eq!(day.started("a")[0], "2026-06-01T09:01:00Z");
}

#[test]
fn an_item_that_expires_after_a_while_does_so_also_if_it_was_added_in_2035() {
    let jobfile = "max_running = 1\n[jobs.a]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2035-03-01T10:00:00Z");
    day.acts("a", &[(10 * 3600, End::Exited(0))]);
    day.enqueue("a", 1);
    day.advance(60);
    let span = Duration::from_secs(3600);
    let (queued, scheduled) =
        (day.expiring("a", Duration::ZERO, span), day.expiring("a", span, 2 * span));
    let instant_of_scheduled = day.run(scheduled).expires_at;
    // A second step does not count the first one as time that has passed.
    for to in ["2026-06-01T12:00:00Z", "2026-06-01T11:50:00Z"] {
        day.set_clock(to);
        day.advance(60);
        assert_eq!(day.run(queued).state, State::Queued, "{to}");
    }
    day.advance_to("2026-06-01T12:49:00Z");
    assert_eq!(day.run(queued).state, State::Queued);
    day.advance_to("2026-06-01T12:51:00Z");
    let run = day.run(queued);
    assert_eq!(run.reason, Some(Reason::Expired), "{run:?}");
    // Its start is as it was, so its end is, too: else it would expire before it could start.
    let run = day.run(scheduled);
    assert_eq!((run.state, run.expires_at), (State::Scheduled, instant_of_scheduled));
}

#[test]
fn how_far_the_clock_was_set_back_decides_whether_fixed_times_repeat() {
    let jobfile = "[jobs.a]\nschedule = '0 10 * * *'\ncommand = 'x'";
    let first = "01 10:00:00 succeeded".to_owned();
    for (steps, is_repeated) in [
        // Less than three hours, though over the time of the job.
        (&["2026-06-01T09:31:00Z"][..], false),
        // More than three hours, though the job is only half an hour ahead then.
        (&["2026-06-01T09:29:00Z"], true),
        // Several steps count together, as in cron.c.
        (&["2026-06-01T10:30:00Z", "2026-06-01T09:00:00Z"], true),
        (&["2026-06-01T11:30:00Z", "2026-06-01T09:40:00Z"], false),
    ] {
        let mut day = Scenario::new(jobfile, "2026-06-01T09:59:00Z");
        day.advance_to("2026-06-01T12:30:00Z");
        for step in steps {
            day.set_clock(step);
            day.advance(5);
        }
        day.advance_to("2026-06-01T14:00:00Z");
        let runs = match is_repeated {
            true => vec![first.clone(), first.clone()],
            false => vec![first.clone()],
        };
        assert_eq!(day.runs("a"), runs, "{steps:?}");
    }
}

#[test]
fn steps_back_of_less_than_a_minute_add_up_and_silence_no_job() {
    let mut day = Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'", T0);
    day.advance(3600);
    let before = day.started("a").len();
    // Each is noticed at once, as a clock that is set is, and is too small to be a jump.
    for _ in 0..40 {
        day.now.wall = day.now.wall - Duration::from_secs(50);
        let _ = day.turn(&[]);
    }
    day.advance(600);
    let after = day.started("a").len();
    assert!((9..=12).contains(&(after - before)), "{}", after - before);
}

#[test]
fn two_jumps_forward_while_the_disk_is_full_make_up_for_fixed_times_of_both() {
    let jobfile = "[jobs.a]\nschedule = '30 1,2 * * *'\ncommand = 'x'\noverlap = 'queue-all'";
    let mut day = Scenario::new(jobfile, "2026-06-01T01:00:00Z");
    day.advance(10);
    let full = "CREATE TEMP TRIGGER full BEFORE INSERT ON main.run BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    day.supervisor.store.execute_raw(full);
    day.set_clock("2026-06-01T02:00:00Z");
    let _ = day.turn(&[]);
    day.set_clock("2026-06-01T02:55:00Z");
    let _ = day.turn(&[]);
    day.supervisor.store.execute_raw("DROP TRIGGER full");
    day.advance(60);
    assert_eq!(day.runs("a"), ["01 01:30:00 succeeded", "01 02:30:00 succeeded"]);
}

#[test]
fn a_supervisor_that_was_stopped_makes_up_for_fixed_times_as_after_a_suspend() {
    let jobfile = "[jobs.fixed]\nschedule = '30 1 * * *'\ncommand = 'x'\n[jobs.wild]\nschedule = '*/30 * * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:45:10Z");
    day.advance(10);
    // Both clocks go on: it was stopped by a signal, or the machine counts its sleep.
    day.advance_clocks(Duration::from_secs(2 * 3600));
    day.advance(60);
    assert_eq!(day.runs("fixed"), ["01 01:30:00 succeeded"]);
    assert_eq!(day.runs("wild"), ["01 01:00:00 skipped (missed) x4"]);
}

#[test]
fn a_step_of_more_than_three_hours_misses_fixed_times_and_one_of_less_does_not() {
    let jobfile = "[jobs.a]\nschedule = '30 1 * * *'\ncommand = 'x'";
    for (to, runs) in [
        ("2026-06-01T01:10:00Z", vec!["01 01:30:00 succeeded"]),
        ("2026-06-01T03:00:00Z", vec!["01 01:30:00 succeeded"]),
        ("2026-06-01T06:00:00Z", vec!["01 01:30:00 skipped (missed)"]),
        ("2026-06-02T01:00:00Z", vec!["01 01:30:00 skipped (missed)", "02 01:30:00 succeeded"]),
    ] {
        let mut day = Scenario::new(jobfile, "2026-06-01T01:00:00Z");
        day.advance(10);
        day.set_clock(to);
        day.advance(3600);
        assert_eq!(day.runs("a"), runs, "{to}");
    }
}

#[test]
fn a_jump_is_told_once_and_a_correction_never() {
    let lines = |day: &mut Scenario| {
        let text = day.supervisor.log.take();
        text.lines()
            .filter(|line| line.contains("event=clock_"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut day = Scenario::new(WILD, "2026-06-01T10:00:00Z");
    let _ = day.turn(&[]);
    for (seconds, expected) in [
        (3600_i64, "clock_forward from=2026-06-01T10:00:00Z to=2026-06-01T11:00:00Z by=1h"),
        (-7200, "clock_back from=2026-06-01T11:00:00Z to=2026-06-01T09:00:00Z by=2h"),
        (59, ""),
        (-59, ""),
    ] {
        day.now.wall = Wall::from_ms(day.now.wall.ms() + seconds * 1000);
        day.look_at_clock();
        day.look_at_clock();
        let found = lines(&mut day);
        assert_eq!(found.len(), usize::from(!expected.is_empty()), "{found:?}");
        assert!(found.iter().all(|line| line.contains(expected)), "{found:?}");
    }
}

#[test]
fn rows_of_2035_keep_no_older_run_from_being_removed() {
    let jobfile = "[jobs.a]\nschedule = '0 * * * *'\ncommand = 'x'\nkeep = { succeeded = '1d' }";
    let mut day = Scenario::new(jobfile, "2035-03-01T09:59:00Z");
    day.advance(3 * 3600);
    day.set_clock("2026-06-01T10:00:30Z");
    day.advance(3 * 86_400);
    let of_2026: Vec<String> =
        day.started("a").into_iter().filter(|at| at.starts_with("2026")).collect();
    assert!(of_2026.len() <= 26, "{}", of_2026.len());
}

#[test]
fn occurrences_of_two_times_are_no_row_together() {
    let jobfile = "[jobs.a]\nschedule = '*/10 * * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2035-03-01T09:59:00Z");
    day.acts("a", &[(5 * 3600, End::Exited(0))]);
    day.advance(3600);
    day.set_clock("2026-06-01T09:59:00Z");
    day.advance(3600);
    for run in day.rows("a") {
        assert!(
            run.last_scheduled_at.is_none_or(|last| last >= run.scheduled_at.unwrap()),
            "{run:?}"
        );
    }
}

#[test]
fn what_is_over_its_start_deadline_is_not_caught_up() {
    let jobfile = "[jobs.last]\nschedule = '0 * * * *'\ncommand = 'x'\ncatch_up = 'last'\nstart_deadline = '30m'\n\
        [jobs.all]\nschedule = '0 * * * *'\ncommand = 'x'\ncatch_up = 'all'\nstart_deadline = '150m'\n";
    let mut day = Scenario::new(jobfile, T0);
    day.advance(600);
    day.restart(jobfile, Duration::from_secs(4 * 3600 + 1800));
    day.advance(60);
    assert_eq!(day.runs("last"), ["01 01:00:00 skipped (missed) x4"]);
    assert_eq!(
        day.runs("all"),
        ["01 01:00:00 skipped (missed) x2", "01 03:00:00 succeeded", "01 04:00:00 succeeded"]
    );
}

#[test]
fn an_instant_that_two_schedules_name_is_missed_once() {
    let jobfile = "[jobs.a]\nschedule = ['0 * * * *', '*/30 * * * *']\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.restart(jobfile, Duration::from_secs(4 * 3600 + 600));
    day.advance(60);
    assert_eq!(day.runs("a"), ["01 00:30:00 skipped (missed) x8"]);
}

#[test]
fn another_zone_never_fires_the_past() {
    let in_zone = |zone: &str| {
        format!("[jobs.a]\nschedule = '30 2 * * *'\ntimezone = '{zone}'\ncommand = 'x'")
    };
    let mut day = Scenario::new(&in_zone("Europe/Berlin"), "2026-06-01T02:31:00Z");
    day.advance(60);
    day.restart(&in_zone("UTC"), Duration::from_secs(60));
    day.advance(600);
    day.load(&in_zone("Europe/Berlin"));
    day.advance(600);
    assert!(day.runs("a").is_empty());
}

#[test]
fn five_years_of_downtime_are_counted_and_not_gone_through() {
    let mut jobfile = String::new();
    for number in 0..300 {
        let _ = write!(jobfile, "[jobs.j{number}]\nschedule = '* * * * *'\ncommand = 'x'\n");
    }
    let mut day = Scenario::new(&jobfile, "2021-06-01T00:00:30Z");
    // Gone through one by one, these 789 million occurrences would take hours.
    day.restart(&jobfile, Duration::from_secs(1826 * 86_400));
    let _ = day.turn(&[]);
    assert_eq!(day.rows("j7")[0].count, 1826 * 1440 - 5);
}

#[test]
fn what_was_missed_for_different_causes_stands_in_different_rows() {
    let jobfile = "[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:00:30Z");
    day.restart(jobfile, Duration::from_secs(3600));
    let (stopping_at, gone_at) = (instant("2026-06-01T00:00:40Z"), instant("2026-06-01T00:10:30Z"));
    let down = |from, to, is_stopping| Downtime { from, to, is_stopping };
    day.supervisor.store.record_downtime(down(stopping_at, gone_at, true)).unwrap();
    day.supervisor.store.record_downtime(down(gone_at, day.now.wall, false)).unwrap();
    let _ = day.turn(&[]);
    let rows = day.rows("a");
    let missed: Vec<_> = rows.iter().filter(|row| row.reason == Some(Reason::Missed)).collect();
    let spans: Vec<_> =
        missed.iter().map(|row| (row.scheduled_at.unwrap().rfc3339(), row.count)).collect();
    let expected =
        [("2026-06-01T00:01:00Z".to_owned(), 10), ("2026-06-01T00:11:00Z".to_owned(), 45)];
    assert_eq!(spans, expected);
    let of = |at| day.supervisor.store.downtime_of(instant(at)).unwrap().map(|it| it.is_stopping);
    assert_eq!(of("2026-06-01T00:10:00Z"), Some(true));
    assert_eq!(of("2026-06-01T00:11:00Z"), Some(false));
    assert_eq!(of("2026-06-01T00:00:35Z"), None);
}

/// Every zone of the system's database, by name.
fn zones() -> Vec<String> {
    let table = std::fs::read_to_string("/usr/share/zoneinfo/zone1970.tab").unwrap_or_default();
    table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').nth(2).map(str::to_owned))
        .collect()
}

/// The changes of a zone from 2024 to 2030.
fn changes(zone: &Zone) -> Vec<i64> {
    let years = instant("2024-01-01T00:00:00Z").secs()..instant("2031-01-01T00:00:00Z").secs();
    let at = zone.transitions.iter().map(|transition| transition.at_secs);
    at.filter(|at| years.contains(at)).collect()
}

#[test]
fn over_every_change_of_every_zone_each_occurrence_runs_once_and_none_is_missing() {
    let mut seen = std::collections::HashSet::new();
    let zones = zones();
    if zones.is_empty() {
        skipped(Need::Zones, "there is no /usr/share/zoneinfo/zone1970.tab");
    }
    for name in zones {
        let zone = zone::load(&name).unwrap();
        for at in changes(&zone) {
            let index = zone.transitions.partition_point(|transition| transition.at_secs < at);
            let before = index
                .checked_sub(1)
                .map_or(zone.offset_first_secs, |last| zone.transitions[last].offset_secs);
            // Changes by as much at the same time of the day are the same to these schedules, in
            // whatever year and zone.
            let after = zone.transitions[index].offset_secs;
            let time = (at + i64::from(before)).rem_euclid(86_400);
            if seen.insert((time, after - before)) {
                step_over(&name, &zone, at);
            }
        }
    }
}

/// Lets four hours around a change pass for a fixed job and a wild one.
fn step_over(name: &str, zone: &Zone, at_secs: i64) {
    const SCHEDULES: [(&str, &str); 2] =
        [("fixed", "15,45 0-4,22,23 * * *"), ("wild", "*/15 * * * *")];
    let mut jobfile = String::new();
    for (job, schedule) in SCHEDULES {
        let _ = write!(
            jobfile,
            "[jobs.{job}]\nschedule = '{schedule}'\ntimezone = '{name}'\ncommand = 'x'\noverlap = 'queue-all'\n"
        );
    }
    let from = Wall::from_secs(at_secs - 2 * 3600 + 7);
    let until = Wall::from_secs(at_secs + 2 * 3600 + 7);
    let mut day = Scenario::new(&jobfile, &from.rfc3339());
    day.advance_to_wall(until);
    for (job, schedule) in SCHEDULES {
        let schedule = Schedule::parse(schedule, HashSeed { seed: "", job }).unwrap();
        let next = |after: &Wall| schedule.next_after(zone, *after, None).map(|o| o.at);
        let expected: Vec<String> = std::iter::successors(next(&from), next)
            .take_while(|at| *at <= until)
            .map(Wall::rfc3339)
            .collect();
        assert_eq!(day.started(job), expected, "{name} {job} {at_secs}");
    }
}
