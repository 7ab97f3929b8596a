//! What a new supervisor makes of the books of another boot or store, and of what others write into
//! its own.

use std::time::Duration;

use super::*;

/// As a restore leaves it: the books are those of no boot.
fn restored(day: &Scenario) {
    day.supervisor.store.set_meta("books_boot_id", Some(&"before the restore")).unwrap();
}

#[test]
fn what_a_restore_finds_running_in_the_slot_of_another_attempt_is_lost_once_that_has_ended() {
    let jobfile = "[jobs.pay]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:00:30Z");
    day.acts("pay", &[(3600, End::Exited(0))]);
    let pay = day.enqueue("pay", 1)[0];
    let _ = day.turn(&[Event::Rung]);
    restored(&day);
    // The keeper of the slot lives, and works for another claim than the one of the backup.
    let mut spawner = Script::default();
    spawner.strangers.insert(pay);
    // A second start before that has ended has the same doubt.
    for _ in 0..2 {
        day.restart_with(spawner, jobfile);
        day.advance(60);
        assert_eq!(day.run(pay).state, State::Running);
        spawner = Script::default();
        spawner.strangers.insert(pay);
    }
    day.supervisor.spawner.strangers.clear();
    day.advance(600);
    let run = day.run(pay);
    assert_eq!((run.state, run.outcome, run.attempt), (State::Failed, Some(OutcomeKind::Lost), 1));
    assert!(day.supervisor.spawner.started.is_empty());
    // From here on the books are those of this boot.
    let books = day.supervisor.store.books_boot_id().unwrap();
    assert_eq!(books.as_deref(), Some("boot"));
}

#[test]
fn a_hook_that_a_restore_finds_under_way_in_the_slot_of_another_attempt_is_lost_and_not_never_started()
 {
    let jobfile = "[jobs.pay]\ncommand = 'x'\non_failure = 'tell'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:00:30Z");
    day.acts("pay", &[(1, End::Exited(1))]);
    day.acts("pay failure", &[(3600, End::Exited(0))]);
    let pay = day.enqueue("pay", 1)[0];
    day.advance(10);
    let notice = day.supervisor.store.notices_under_way().unwrap().remove(0);
    assert_eq!(notice.run, Some(pay));
    restored(&day);
    let mut spawner = Script::default();
    spawner.strangers.insert(-notice.id);
    day.restart_with(spawner, jobfile);
    day.advance(10);
    day.supervisor.spawner.strangers.clear();
    let _ = day.turn(&[]);
    // It may have told it: that is a try.
    let after = day.supervisor.store.notice(notice.id).unwrap().unwrap();
    assert_eq!((after.slot, after.tries), (None, notice.tries));
}

impl Scenario {
    /// Starts another supervisor on the same store, with other keepers.
    fn restart_with(&mut self, spawner: Script, jobfile: &str) {
        self.advance_clocks(Duration::from_secs(1));
        let store = std::mem::replace(&mut self.supervisor.store, Store::vacant());
        self.supervisor = supervisor(store, &self.state_dir, &self.boot_id, self.now);
        self.supervisor.spawner = spawner;
        self.load(jobfile);
        self.supervisor.recover(self.now).unwrap();
    }
}

#[test]
fn a_success_acknowledges_thousands_of_failures_within_a_few_turns_and_also_after_a_restart() {
    let jobfile = "timezone = 'UTC'\n[jobs.a]\nschedule = '@every 1m'\ncommand = 'true'\n";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:00:30Z");
    day.supervisor.store.execute_raw(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO run(job, state, cause, created_at, scheduled_at, ended_at, reason, attempt)
         SELECT id, 2, 1, i, i, i, 1, 1 FROM job, n",
    );
    day.supervisor.store.execute_raw("UPDATE run SET state = 6");
    let failed = |day: &Scenario| day.supervisor.store.job("a").unwrap().unwrap().failed;
    // Until the attempt has ended, and no further.
    while failed(&day) == 5000 {
        day.advance(1);
    }
    day.restart(jobfile, Duration::from_secs(1));
    day.advance(1);
    assert_eq!(failed(&day), 0);
}
