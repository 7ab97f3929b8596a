//! Tests of the plan: what is late, what is missed, what catches up, and what is in the way.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;

use super::{
    Busy, CATCH_UP_MAX, Decision, Due, Missed, Timetable, jitter_of, judge,
    watermark_after_step_back,
};
use crate::core::job::{CatchUp, CommandLine, Job, Name, Overlap, Policy};
use crate::core::schedule::{HashSeed, Schedule, Span, Zone};
use crate::core::time::Wall;
use crate::os::zone;

const NO_STEP: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

fn at(text: &str) -> Wall {
    Wall::from_ms(DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
}

/// A time of one day.
fn day(text: &str) -> Wall {
    at(&format!("2026-03-10T{text}Z"))
}

fn span(after: &str, until: &str) -> Span {
    Span { after: day(after), until: day(until) }
}

fn job_with(policy: Policy, schedules: &[&str]) -> Job {
    let seed = HashSeed { seed: "machine", job: "a" };
    let parse = |text: &&str| (Box::from(*text), Schedule::parse(text, seed).unwrap());
    Job {
        name: Name::parse("a").unwrap(),
        command: CommandLine::Shell("true".into()),
        schedules: schedules.iter().map(parse).collect(),
        timezone: None,
        policy: Arc::new(policy),
    }
}

fn job(schedules: &[&str]) -> Job {
    job_with(Policy::default(), schedules)
}

fn utc() -> Zone {
    zone::load("UTC").unwrap()
}

/// Asks the timetable of a job.
fn of<T>(job: &Job, ask: impl FnOnce(&Timetable<'_>) -> T) -> T {
    ask(&Timetable { job, zone: &utc(), grid_at: Some(day("00:00:00")) })
}

fn due(schedules: &[&str], span: Span, step: Duration) -> Due {
    of(&job(schedules), |timetable| timetable.due(span, step))
}

fn missed(first: &str, last: &str, count: u64) -> Option<Missed> {
    Some(Missed { first: day(first), last: day(last), count })
}

#[test]
fn the_next_occurrence_is_the_first_of_any_schedule() {
    let both = ["0 9 * * *", "30 8 * * *"];
    for (policy, after, wanted) in [
        (Policy::default(), "08:00:00", Some(day("08:30:00"))),
        (Policy::default(), "08:30:00", Some(day("09:00:00"))),
        (Policy { enabled: false, ..Policy::default() }, "08:00:00", None),
    ] {
        assert_eq!(of(&job_with(policy, &both), |table| table.next(day(after))), wanted, "{after}");
    }
}

#[test]
fn a_boot_starts_a_job_that_says_so_and_is_enabled() {
    let off = || Policy { enabled: false, ..Policy::default() };
    assert!(of(&job(&["@daily", "@reboot"]), |table| table.has_reboot()));
    assert!(!of(&job(&["@daily"]), |table| table.has_reboot()));
    assert!(!of(&job_with(off(), &["@reboot"]), |table| table.has_reboot()));
}

#[test]
fn an_occurrence_is_in_time_until_it_is_five_minutes_late() {
    for (until, wanted) in [
        ("11:59:59.999", Due { missed: None, in_time: vec![] }),
        ("12:00:00", Due { missed: None, in_time: vec![day("12:00:00")] }),
        ("12:05:00", Due { missed: None, in_time: vec![day("12:00:00")] }),
        ("12:05:00.001", Due { missed: missed("12:00:00", "12:00:00", 1), in_time: vec![] }),
    ] {
        assert_eq!(due(&["0 12 * * *"], span("11:00:00", until), NO_STEP), wanted, "{until}");
    }
}

#[test]
fn what_is_due_begins_after_the_watermark_and_comes_in_order() {
    let found = due(&["*/2 * * * *", "*/3 * * * *"], span("12:00:00", "12:04:00"), NO_STEP);
    let wanted = ["12:02:00", "12:03:00", "12:04:00"].map(day).to_vec();
    assert_eq!(found, Due { missed: None, in_time: wanted });
    let found = due(&["* * * * *"], span("12:00:00", "12:08:00"), NO_STEP);
    assert_eq!(found.missed, missed("12:01:00", "12:02:00", 2));
    assert_eq!(found.in_time.first(), Some(&day("12:03:00")));
    assert_eq!(found.in_time.len(), 6);
}

#[test]
fn fixed_times_that_a_step_jumped_over_are_in_time() {
    let fixed = ["30 10 * * *", "0 12 * * *"];
    for (schedules, until, step, in_time) in [
        // Jumped from 10:00 to 12:00: both are started as usual, up to five minutes after that.
        (&fixed[..], "12:00:00", 2 * HOUR, 2),
        (&fixed, "12:35:00", 2 * HOUR, 2),
        (&fixed, "12:35:00.001", 2 * HOUR, 1),
        (&fixed, "12:35:00", NO_STEP, 0),
        // Three hours at the most.
        (&fixed, "13:35:00", 3 * HOUR, 2),
        (&fixed, "13:35:00", 3 * HOUR + MS, 0),
        // What follows real time is not made up for.
        (&["30 10 * * *", "0 * * * *"], "12:30:00", 2 * HOUR, 0),
        (&["30 10 * * *", "@every 1h"], "12:30:00", 2 * HOUR, 0),
        (&["30 10 * * *", "@reboot"], "12:30:00", 2 * HOUR, 0),
    ] {
        let found = due(schedules, span("10:00:00", until), step).in_time.len();
        assert_eq!(found, in_time, "{schedules:?} until {until}");
    }
}

#[test]
fn an_instant_of_several_schedules_was_missed_once() {
    let found = due(&["0 * * * *", "0 12 * * *"], span("10:00:00", "14:06:00"), NO_STEP);
    assert_eq!(found.missed, missed("11:00:00", "14:00:00", 4));
    let found = due(&["0 * * * *"], span("10:00:00", "14:06:00"), NO_STEP);
    assert_eq!(found.missed, missed("11:00:00", "14:00:00", 4));
}

#[test]
fn more_than_a_thousand_instants_count_for_each_schedule() {
    // 500 minutes, each named twice, are gone through; one more is not.
    for (until, count) in [("08:20:59", 500), ("08:21:00", 1002)] {
        let span = span("00:00:00", until);
        let found = of(&job(&["* * * * *", "*/1 * * * *"]), |table| table.stretch(span));
        assert_eq!(found.map(|missed| missed.count), Some(count), "{until}");
    }
}

#[test]
fn the_latest_occurrence_before_an_instant_is_not_older_than_the_first() {
    let schedules = ["0 * * * *", "30 12 * * *"];
    for (before, first, wanted) in [
        ("12:30:00", "10:00:00", Some("12:00:00")),
        ("12:30:00.001", "10:00:00", Some("12:30:00")),
        ("12:00:00", "11:00:00", Some("11:00:00")),
        ("12:00:00", "11:00:00.001", None),
    ] {
        let found = of(&job(&schedules), |table| table.latest_before(day(before), day(first)));
        assert_eq!(found, wanted.map(day), "{before} {first}");
    }
}

#[test]
fn catching_up_is_nothing_the_last_or_all_that_may_still_start() {
    let hourly = span("08:00:00", "12:30:00");
    for (catch_up, startable_from, wanted) in [
        (CatchUp::None, "00:00:00", &[][..]),
        (CatchUp::Last, "00:00:00", &["12:00:00"]),
        (CatchUp::Last, "12:00:00", &["12:00:00"]),
        (CatchUp::Last, "12:00:00.001", &[]),
        (CatchUp::All, "00:00:00", &["09:00:00", "10:00:00", "11:00:00", "12:00:00"]),
        (CatchUp::All, "11:00:00", &["11:00:00", "12:00:00"]),
        (CatchUp::All, "11:00:00.001", &["12:00:00"]),
        (CatchUp::All, "12:00:00.001", &[]),
    ] {
        let job = job_with(Policy { catch_up, ..Policy::default() }, &["0 * * * *"]);
        let found =
            of(&job, |table| table.due(hourly, NO_STEP).caught_up(table, day(startable_from)));
        let wanted: Vec<Wall> = wanted.iter().map(|text| day(text)).collect();
        assert_eq!(found, wanted, "{catch_up:?} from {startable_from}");
    }
}

#[test]
fn the_last_is_not_caught_up_beside_one_in_time() {
    let job = job_with(Policy { catch_up: CatchUp::Last, ..Policy::default() }, &["0 * * * *"]);
    let found = of(&job, |table| {
        let due = table.due(span("08:00:00", "12:01:00"), NO_STEP);
        (due.in_time.len(), due.caught_up(table, day("00:00:00")))
    });
    assert_eq!(found, (1, vec![]));
}

#[test]
fn all_is_the_newest_hundred_oldest_first() {
    let job = job_with(Policy { catch_up: CatchUp::All, ..Policy::default() }, &["* * * * *"]);
    let found = of(&job, |table| {
        table.due(span("00:00:00", "12:05:30"), NO_STEP).caught_up(table, day("00:00:00"))
    });
    assert_eq!(found.len(), CATCH_UP_MAX);
    assert_eq!((found[0], found[CATCH_UP_MAX - 1]), (day("10:21:00"), day("12:00:00")));
    assert!(found.is_sorted());
}

#[test]
fn overlap_decides_what_a_busy_job_does_with_an_occurrence() {
    let idle = Busy::default();
    let runs = Busy { running: 1, oldest_running: Some(7), ..idle };
    let waits = Busy { queued: 1, first_queued: Some(8), ..idle };
    let both = Busy { queued: 1, first_queued: Some(8), ..runs };
    // The one that runs has been asked to stop already.
    let stops = Busy { oldest_running: None, ..both };
    let alone = Busy { running: 1, ..idle };
    let skip = |by| Decision::Skip { by };
    for (overlap, busy, wanted) in [
        (Overlap::Skip, idle, Decision::Run),
        (Overlap::Skip, runs, skip(7)),
        (Overlap::Skip, waits, skip(8)),
        (Overlap::Skip, alone, Decision::Run),
        (Overlap::QueueOne, runs, Decision::Run),
        (Overlap::QueueOne, both, skip(7)),
        (Overlap::QueueOne, waits, skip(8)),
        (Overlap::QueueAll, both, Decision::Run),
        (Overlap::Allow, both, Decision::Run),
        (Overlap::Replace, idle, Decision::Run),
        (Overlap::Replace, both, Decision::ReplaceRunning(7)),
        (Overlap::Replace, stops, Decision::ReplaceQueued(8)),
        (Overlap::Replace, alone, Decision::Run),
    ] {
        let policy = Policy { overlap, ..Policy::default() };
        assert_eq!(judge(&policy, &busy), wanted, "{overlap:?} {busy:?}");
    }
}

#[test]
fn a_job_is_busy_when_all_its_places_are_taken() {
    let policy = Policy { concurrency: 3, ..Policy::default() };
    for (running, queued, wanted) in [
        (1, 1, Decision::Run),
        (2, 0, Decision::Run),
        (2, 1, Decision::Skip { by: 7 }),
        (3, 0, Decision::Skip { by: 7 }),
    ] {
        let busy = Busy { running, queued, oldest_running: Some(7), first_queued: None };
        assert_eq!(judge(&policy, &busy), wanted, "{running} {queued}");
    }
}

#[test]
fn after_a_step_back_of_less_than_three_hours_fixed_times_do_not_repeat() {
    let watermark = day("12:00:00");
    for (schedule, now, goes_on_from) in [
        ("0 9 * * *", "09:00:00.001", "12:00:00"),
        ("0 9 * * *", "09:00:00", "09:00:00"),
        ("0 * * * *", "11:00:00", "11:00:00"),
        ("@every 1h", "11:00:00", "11:00:00"),
    ] {
        let found =
            of(&job(&[schedule]), |table| watermark_after_step_back(table, watermark, day(now)));
        assert_eq!(found, day(goes_on_from), "{schedule} {now}");
    }
}

#[test]
fn jitter_is_a_share_of_its_span_fixed_for_machine_and_job() {
    let jitter = |ms: u64, seed, job| {
        let policy = Policy { jitter: Duration::from_millis(ms), ..Policy::default() };
        jitter_of(&policy, HashSeed { seed, job }).as_millis()
    };
    assert_eq!(jitter(0, "m", "a"), 0);
    // All of the span, its end with it.
    let names: Vec<String> = (0..100).map(|number| format!("j{number}")).collect();
    let mut found: Vec<u128> = names.iter().map(|name| jitter(2, "m", name)).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, [0, 1, 2]);
    assert_eq!(jitter(3_600_000, "m", "a"), 3_500_504);
}
