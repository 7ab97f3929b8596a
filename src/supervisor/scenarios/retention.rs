//! Old runs of jobs that are in the jobfile, and of those that have left it.

use super::*;

const HOURLY: &str = "[jobs.a]\nschedule = '0 * * * *'\ncommand = 'x'\nkeep = { succeeded = '2d' }";

#[test]
fn a_clock_that_is_a_year_ahead_for_a_minute_removes_nothing_also_over_a_restart_in_it() {
    let mut day = Scenario::new(HOURLY, "2026-06-01T00:00:30Z");
    day.advance_clocks(Duration::from_secs(30));
    day.advance(20 * 3600);
    assert_eq!(day.rows("a").len(), 20);
    let before = day.now.wall;
    day.now.wall = day.now.wall + 365 * DAY;
    day.advance(120);
    day.restart(HOURLY, Duration::from_secs(1));
    day.advance(120);
    day.now.wall = before;
    day.advance(120);
    assert!(day.rows("a").len() >= 20, "{}", day.rows("a").len());
    // What is right a day later is old then.
    day.advance(4 * 86_400);
    assert!(day.rows("a").len() <= 52, "{}", day.rows("a").len());
}

#[test]
fn after_a_month_of_downtime_age_counts_a_day_later() {
    let mut day = Scenario::new(HOURLY, "2026-06-01T00:00:30Z");
    day.advance(20 * 3600);
    let alive = day.now.wall;
    day.advance_clocks(30 * DAY);
    let store = std::mem::replace(&mut day.supervisor.store, Store::vacant());
    day.boot_id = "another boot".into();
    day.supervisor = supervisor(store, &day.state_dir, &day.boot_id, day.now);
    day.supervisor.look_at_clock_of_last(alive, day.now);
    day.load(HOURLY);
    day.supervisor.recover(day.now).unwrap();
    day.advance(20 * 3600);
    assert!(day.rows("a").len() >= 40, "{}", day.rows("a").len());
    day.advance(5 * 3600);
    assert!(day.rows("a").len() <= 27, "{}", day.rows("a").len());
}

#[test]
fn age_counts_again_on_a_machine_that_is_never_up_for_a_day() {
    let mut day = Scenario::new(HOURLY, "2026-06-01T00:00:30Z");
    day.advance(20 * 3600);
    day.now.wall = day.now.wall + 365 * DAY;
    day.advance(120);
    for boot in 0..5 {
        day.boot_id = format!("boot-{boot}");
        day.now.mono = crate::core::time::Mono::from_duration(Duration::from_secs(60));
        day.restart(HOURLY, Duration::from_secs(1));
        day.advance(8 * 3600);
    }
    // A day of its time is over, and those of a year ago are old.
    assert!(day.rows("a").len() <= 42, "{}", day.rows("a").len());
    assert_eq!(day.supervisor.store.age_held().unwrap(), None);
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn old_runs_of_every_job_that_left_the_jobfile_are_removed_but_the_newest() {
    // More than one look goes through.
    let names: Vec<String> = (0..120).map(|number| format!("job{number}")).collect();
    let jobfile: String = names
        .iter()
        .map(|name| format!("[jobs.{name}]\ncommand = 'x'\nconcurrency = 3\n"))
        .collect();
    let mut day = Scenario::new(&jobfile, "2026-06-01T00:00:00Z");
    for name in &names {
        day.enqueue(name, 3);
    }
    day.advance(120);
    day.load("[jobs.other]\ncommand = 'x'");
    assert!(names.iter().all(|name| day.rows(name).len() == 3));
    day.advance_clocks(31 * DAY);
    day.advance(600);
    let left: Vec<usize> = names.iter().map(|name| day.rows(name).len()).collect();
    assert_eq!(left, vec![1; names.len()]);
}
