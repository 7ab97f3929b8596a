//! When occurrences are, and what becomes of those that were missed, paused or came too late.

use super::*;

#[test]
fn an_occurrence_in_the_autumn_fold_runs_once() {
    let jobfile =
        "[jobs.backup]\nschedule = '30 2 * * *'\ntimezone = 'Europe/Berlin'\ncommand = 'true'";
    let mut day = Scenario::new(jobfile, "2026-10-24T12:00:00Z");
    day.advance_to("2026-10-25T12:00:00Z");
    assert_eq!(day.runs("backup"), ["25 00:30:00 succeeded"]);
}

#[test]
fn what_falls_due_while_nobody_is_there_is_missed_or_caught_up() {
    let jobfile = "[jobs.none]\nschedule = '0 * * * *'\ncommand = 'x'\n\
        [jobs.last]\nschedule = '0 * * * *'\ncommand = 'x'\ncatch_up = 'last'\n\
        [jobs.all]\nschedule = '0 * * * *'\ncommand = 'x'\ncatch_up = 'all'\n";
    let mut day = Scenario::new(jobfile, T0);
    day.advance(600);
    day.restart(jobfile, Duration::from_secs(4 * 3600));
    day.advance(60);
    assert_eq!(day.runs("none"), ["01 01:00:00 skipped (missed) x4"]);
    assert_eq!(day.runs("last"), ["01 01:00:00 skipped (missed) x3", "01 04:00:00 succeeded"]);
    assert_eq!(
        day.runs("all"),
        [
            "01 01:00:00 succeeded",
            "01 02:00:00 succeeded",
            "01 03:00:00 succeeded",
            "01 04:00:00 succeeded"
        ]
    );
}

#[test]
fn what_is_caught_up_comes_before_what_is_just_due_and_does_not_skip_it() {
    let jobfile = "[jobs.a]\nschedule = '0 * * * *'\ncommand = 'x'\ncatch_up = 'all'\n";
    let mut day = Scenario::new(jobfile, T0);
    day.advance(60);
    day.restart(jobfile, Duration::from_secs(2 * 3600));
    day.advance(60);
    assert_eq!(day.runs("a"), ["01 01:00:00 succeeded", "01 02:00:00 succeeded"]);
}

#[test]
fn an_occurrence_that_is_late_by_less_than_five_minutes_starts_as_usual() {
    let jobfile = "[jobs.a]\nschedule = '0 1 * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:59:30Z");
    day.advance(1);
    day.restart(jobfile, Duration::from_secs(200));
    day.advance(60);
    assert_eq!(day.runs("a"), ["01 01:00:00 succeeded"]);
}

#[test]
fn a_fixed_time_inside_a_suspend_of_two_hours_runs_and_a_wild_one_does_not_catch_up() {
    let jobfile = "[jobs.fixed]\nschedule = '30 1 * * *'\ncommand = 'x'\n[jobs.wild]\nschedule = '*/30 * * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:45:10Z");
    day.advance(10);
    day.now.wall = day.now.wall + Duration::from_secs(2 * 3600);
    day.advance(60);
    assert_eq!(day.runs("fixed"), ["01 01:30:00 succeeded"]);
    assert_eq!(day.runs("wild"), ["01 01:00:00 skipped (missed) x4"]);
}

#[test]
fn a_clock_set_back_repeats_no_fixed_time_and_silences_no_job() {
    let jobfile = "[jobs.fixed]\nschedule = '0 1 * * *'\ncommand = 'x'\n[jobs.wild]\nschedule = '*/10 * * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:55:00Z");
    day.advance_to("2026-06-01T01:15:00Z");
    assert_eq!(day.runs("wild").len(), 2);
    day.now.wall = instant("2026-06-01T00:15:00Z");
    day.advance_to("2026-06-01T01:15:00Z");
    assert_eq!(day.runs("fixed"), ["01 01:00:00 succeeded"]);
    assert_eq!(day.runs("wild").len(), 2 + 6);
    day.now.wall = instant("2025-06-01T00:15:00Z");
    day.advance_to("2025-06-01T01:15:00Z");
    assert_eq!(day.runs("fixed").len(), 2, "a year back: planning goes on from there");
}

#[test]
fn an_edited_or_new_schedule_never_fires_the_past() {
    let mut day = Scenario::new("[jobs.a]\nschedule = '0 5 * * *'\ncommand = 'x'", T0);
    day.advance(60);
    day.advance_clocks(Duration::from_secs(3600));
    day.load("[jobs.a]\nschedule = '30 0 * * *'\ncommand = 'x'\n[jobs.b]\nschedule = '*/5 * * * *'\ncommand = 'x'");
    day.advance(60);
    assert!(day.runs("a").is_empty());
    assert!(day.runs("b").is_empty());
}

#[test]
fn every_keeps_its_grid_over_a_restart() {
    let jobfile = "[jobs.a]\nschedule = '@every 10m'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:00:00Z");
    day.advance(601);
    day.restart(jobfile, Duration::from_secs(200));
    day.advance_to("2026-06-01T00:31:00Z");
    assert_eq!(
        day.runs("a"),
        ["01 00:10:00 succeeded", "01 00:20:00 succeeded", "01 00:30:00 succeeded"]
    );
}

#[test]
fn reboot_runs_once_a_boot_and_not_for_the_boot_in_which_it_was_added() {
    let jobfile = "[jobs.a]\nschedule = '@reboot'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.advance(10);
    day.restart(jobfile, Duration::from_secs(10));
    day.advance(10);
    assert!(day.runs("a").is_empty(), "the same boot");
    day.boot_id = "another boot".into();
    day.restart(jobfile, Duration::from_secs(10));
    day.advance(10);
    day.restart(jobfile, Duration::from_secs(10));
    day.advance(10);
    assert_eq!(day.rows("a").len(), 1);
    assert_eq!(day.rows("a")[0].state, State::Succeeded);
}

#[test]
fn a_pause_skips_occurrences_and_keeps_items_and_ends_by_itself() {
    let jobfile = "[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    let until = Some(instant("2026-06-01T00:04:30Z"));
    let now = day.now.wall;
    assert!(day.supervisor.store.pause(Scope::Job("a"), until, now).unwrap());
    let item = day.enqueue("a", 1)[0];
    day.advance_to("2026-06-01T00:04:20Z");
    assert_eq!(day.run(item).state, State::Queued);
    day.advance_to("2026-06-01T00:05:30Z");
    assert_eq!(day.run(item).state, State::Succeeded);
    assert_eq!(day.runs("a")[1..], ["01 00:01:00 skipped (paused) x4", "01 00:05:00 succeeded"]);
}

#[test]
fn an_occurrence_that_cannot_start_before_its_deadline_is_skipped() {
    let jobfile = "max_running = 1\n[jobs.a]\nschedule = '1 0 * * *'\ncommand = 'x'\nstart_deadline = '30s'\n\
        [jobs.long]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("long", &[(300, End::Exited(0))]);
    day.enqueue("long", 1);
    day.advance_to("2026-06-01T00:02:00Z");
    assert_eq!(day.runs("a"), ["01 00:01:00 skipped (missed)"]);
}

#[test]
fn a_skipped_occurrence_that_is_retried_by_hand_is_not_overdue() {
    let jobfile = "max_running = 1\n[jobs.a]\nschedule = '1 0 * * *'\ncommand = 'x'\nstart_deadline = '30s'\n\
        [jobs.long]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("long", &[(300, End::Exited(0))]);
    day.enqueue("long", 1);
    day.advance(600);
    let id = day.rows("a")[0].id;
    assert_eq!(day.run(id).state, State::Skipped);
    let now = day.now.wall;
    let _ = day.supervisor.store.retry_if_ended(id, Some(1), now, Force::No).unwrap();
    day.advance(10);
    assert_eq!(day.run(id).state, State::Succeeded);
}

#[test]
fn jitter_delays_a_start_by_the_same_share_every_day() {
    let jobfile = "[jobs.a]\nschedule = '0 1 * * *'\ncommand = 'x'\njitter = '10m'";
    let mut day = Scenario::new(jobfile, T0);
    day.advance_to("2026-06-03T00:00:00Z");
    let delays: Vec<Duration> = day
        .rows("a")
        .iter()
        .map(|run| run.due_at.unwrap().since(run.scheduled_at.unwrap()))
        .collect();
    assert_eq!(delays.len(), 2);
    assert_eq!(delays[0], delays[1]);
    assert!(delays[0] > Duration::ZERO && delays[0] <= Duration::from_secs(600));
}

#[test]
fn paused_time_owes_nothing_also_if_nobody_was_there_when_it_ended() {
    let jobfile = "[jobs.a]\nschedule = '*/10 * * * *'\ncommand = 'x'\ncatch_up = 'all'";
    let mut day = Scenario::new(jobfile, T0);
    let now = day.now.wall;
    let until = Some(now + Duration::from_secs(3600));
    assert!(day.supervisor.store.pause(Scope::Job("a"), until, now).unwrap());
    day.restart(jobfile, Duration::from_secs(2 * 3600));
    day.advance(60);
    let runs = day.runs("a");
    assert_eq!(runs[0], "01 00:10:00 skipped (paused) x6");
    assert_eq!(runs.iter().filter(|run| run.ends_with("succeeded")).count(), 6);
}
