//! A supervisor in shadow mode: it plans and starts nothing.

use super::*;

impl Scenario {
    fn shadow(jobfile: &str, at: &str) -> Self {
        let mut day = Self::new("", at);
        day.supervisor.memory.configuration.mode = Mode::Shadow;
        day.load(jobfile);
        day
    }

    /// Ends this supervisor and starts one that is live on the same store.
    fn go_live(&mut self, jobfile: &str, away: Duration) {
        self.restart(jobfile, away);
        assert_eq!(self.supervisor.memory.configuration.mode, Mode::Live);
    }
}

#[test]
fn a_shadow_records_each_occurrence_and_starts_nothing() {
    let jobfile = "[jobs.a]\nschedule = '*/10 * * * *'\ncommand = 'x'\noverlap = 'replace'\n\
        [jobs.b]\nschedule = '@every 15m'\ncommand = 'x'\n[jobs.items]\ncommand = 'x'";
    let mut day = Scenario::shadow(jobfile, "2026-06-01T00:05:00Z");
    let item = day.enqueue("items", 1)[0];
    day.advance(1800);
    let shadowed = |times: [&str; 3]| times.map(|time| format!("01 {time} skipped (shadow)"));
    assert_eq!(day.runs("a"), shadowed(["00:10:00", "00:20:00", "00:30:00"]));
    assert_eq!(day.runs("b")[..], shadowed(["00:20:00", "00:35:00", ""])[..2]);
    assert_eq!(day.run(item).state, State::Queued);
    assert!(day.supervisor.spawner.started.is_empty());
}

#[test]
fn what_was_shadowed_is_not_made_up_for_and_what_waited_starts_when_it_is_over() {
    let jobfile = "[jobs.a]\nschedule = '*/10 * * * *'\ncommand = 'x'\ncatch_up = 'all'\n[jobs.items]\ncommand = 'x'";
    let mut day = Scenario::shadow(jobfile, "2026-06-01T00:05:00Z");
    let item = day.enqueue("items", 1)[0];
    day.advance(3600);
    day.go_live(jobfile, Duration::from_secs(60));
    day.advance(600);
    let started: Vec<String> =
        day.runs("a").into_iter().filter(|run| !run.contains("shadow")).collect();
    assert_eq!(started, ["01 01:10:00 succeeded"]);
    assert_eq!(day.run(item).state, State::Succeeded);
}

#[test]
fn a_shadow_leaves_retries_and_missed_occurrences_alone() {
    let jobfile = "[jobs.a]\nschedule = '0 * * * *'\ncommand = 'x'\ncatch_up = 'all'\n\
        [jobs.items]\ncommand = 'x'\nretry = { max = 3, delay = '1m' }";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:05:00Z");
    day.acts("items", &[(1, End::Exited(1))]);
    let item = day.enqueue("items", 1)[0];
    day.advance(5);
    day.advance_clocks(Duration::from_secs(3 * 3600));
    day.supervisor.memory.configuration.mode = Mode::Shadow;
    day.advance(3600);
    assert_eq!(day.run(item).state, State::Retrying);
    assert_eq!(day.runs("a"), ["01 01:00:00 skipped (missed) x3", "01 04:00:00 skipped (shadow)"]);
}

#[test]
fn a_shadow_records_a_boot_and_the_next_supervisor_does_not_start_for_it() {
    let jobfile = "[jobs.a]\nschedule = '@reboot'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.advance(10);
    let store = std::mem::replace(&mut day.supervisor.store, Store::vacant());
    day.supervisor = supervisor(store, &day.state_dir, "another boot", day.now);
    day.supervisor.memory.configuration.mode = Mode::Shadow;
    day.advance_clocks(Duration::from_secs(60));
    day.load(jobfile);
    day.advance(60);
    assert_eq!(day.runs("a").len(), 1);
    day.boot_id = "another boot".into();
    day.go_live(jobfile, Duration::from_secs(60));
    day.advance(60);
    assert_eq!(day.rows("a").iter().map(|run| run.state).collect::<Vec<_>>(), [State::Skipped]);
}
