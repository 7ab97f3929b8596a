//! Jobs that are renamed, become one, or leave the jobfile.

use super::*;

#[test]
fn a_job_gone_from_the_jobfile_keeps_its_items_and_loses_its_occurrences() {
    let jobfile = "[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\noverlap = 'queue-all'\n[jobs.b]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(90, End::Exited(0))]);
    day.advance_to("2026-06-01T00:02:10Z");
    let item = day.enqueue("a", 1)[0];
    day.load("[jobs.b]\ncommand = 'x'");
    day.advance(600);
    assert_eq!(day.run(item).state, State::Queued);
    assert_eq!(day.runs("a")[..2], ["01 00:01:00 succeeded", "01 00:02:00 skipped (job_removed)"]);
    day.load(jobfile);
    day.advance(5);
    assert_eq!(day.run(item).state, State::Succeeded);
}

#[test]
fn a_renamed_job_neither_loses_nor_repeats_an_occurrence() {
    let mut day = Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'", T0);
    day.advance_to("2026-06-01T00:02:59Z");
    day.advance_clocks(Duration::from_secs(2));
    // 00:03 is not planned yet.
    day.load("[jobs.b]\nwas = ['a']\nschedule = '* * * * *'\ncommand = 'x'");
    day.advance_to("2026-06-01T00:05:30Z");
    assert!(day.rows("a").is_empty());
    assert_eq!(
        day.runs("b"),
        [
            "01 00:01:00 succeeded",
            "01 00:02:00 succeeded",
            "01 00:03:00 succeeded",
            "01 00:04:00 succeeded",
            "01 00:05:00 succeeded"
        ]
    );
}

#[test]
fn a_renamed_job_whose_instants_depend_on_its_name_never_fires_the_past() {
    let jobfile = |name: &str| {
        format!(
            "[jobs.{name}]\nwas = ['a']\nschedule = 'H H * * *'\ncommand = 'x'\ncatch_up = 'all'\n"
        )
    };
    for name in ["b", "c", "d", "e", "f", "g"] {
        let mut day =
            Scenario::new("[jobs.a]\nschedule = 'H H * * *'\ncommand = 'x'\ncatch_up = 'all'", T0);
        day.advance_to("2026-06-02T23:00:00Z");
        let before = day.rows("a").len();
        day.load(&jobfile(name));
        day.advance(1);
        assert_eq!(day.rows(name).len(), before, "{name}");
        day.load(&jobfile(name));
        day.advance_to("2026-06-04T23:00:00Z");
        assert!(day.rows(name).len() >= before + 2, "{name}");
    }
}

#[test]
fn jobs_that_become_one_count_together_and_lose_no_run() {
    let mut day = Scenario::new(
        "[jobs.a]\ncommand = 'x'\n[jobs.b]\ncommand = 'x'\n[jobs.c]\ncommand = 'x'",
        T0,
    );
    day.acts("a", &[(60, End::Exited(0))]);
    day.acts("b", &[(120, End::Exited(0))]);
    let runs = [day.enqueue("a", 2), day.enqueue("b", 2), day.enqueue("c", 1)].concat();
    day.advance(5);
    // `c` was there before, with a history of its own.
    day.load("[jobs.c]\nwas = ['a', 'b']\ncommand = 'x'");
    day.advance(1);
    assert_eq!(day.rows("c").len(), 5);
    let row = day.supervisor.store.job("c").unwrap().unwrap();
    assert_eq!((row.running, row.queued, row.ended), (2, 2, 1));
    day.advance(100);
    assert_eq!(day.run(runs[0]).state, State::Succeeded);
    assert_eq!(day.run(runs[1]).state, State::Queued, "one place, and it is taken");
    day.advance(100);
    for run in runs {
        assert_eq!(day.run(run).state, State::Succeeded);
    }
    assert!(day.supervisor.store.job("a").unwrap().is_none());
}

#[test]
fn a_paused_job_is_paused_under_its_new_name() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'", T0);
    let now = day.now.wall;
    assert!(day.supervisor.store.pause(Scope::Job("a"), None, now).unwrap());
    let item = day.enqueue("a", 1)[0];
    day.load("[jobs.b]\nwas = ['a']\ncommand = 'x'");
    day.advance(60);
    assert_eq!(day.run(item).job, "b");
    assert_eq!(day.run(item).state, State::Queued);
}

#[test]
fn a_removal_waits_for_unfinished_runs_and_says_which() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'\n[jobs.b]\ncommand = 'x'", T0);
    day.acts("a", &[(60, End::Exited(0))]);
    day.enqueue("a", 2);
    day.advance(1);
    let held = day.load_with("[jobs.b]\ncommand = 'y'", Removal::WaitsForRuns);
    let Loaded::Held(jobs) = held else {
        panic!("it is taken: {held:?}");
    };
    assert_eq!(
        jobs.iter().map(|job| (job.name.as_str(), job.unfinished)).collect::<Vec<_>>(),
        [("a", 2)]
    );
    day.advance(120);
    let taken = day.load_with("[jobs.b]\ncommand = 'y'", Removal::WaitsForRuns);
    let Loaded::Taken(changes) = taken else {
        panic!("it is held: {taken:?}");
    };
    assert_eq!(changes.removed, ["a"]);
    assert_eq!(changes.changed, ["b"]);
}

#[test]
fn an_occurrence_of_a_job_that_left_the_jobfile_meanwhile_is_not_tried_again() {
    let jobfile =
        "[jobs.a]\nschedule = '1 0 * * *'\ncommand = 'x'\nretry = 3\n[jobs.b]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(100, End::Exited(1))]);
    day.advance_to("2026-06-01T00:01:10Z");
    day.load("[jobs.b]\ncommand = 'x'");
    day.advance(300);
    assert_eq!(day.runs("a"), ["01 00:01:00 skipped (job_removed)"]);
}
