//! What is to be told, and what that costs.

use super::*;
use crate::core::notice::{Event, Means};
use crate::store::{NewNotice, Told};

/// Notices of job 1 that were told, of all kinds.
fn fill_with_told(store: &Store, count: u32) {
    let sql = format!(
        "INSERT INTO job(id, name, present) VALUES (1, 'a', 1);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO notice(job, run, event, means, at, due_at, is_done, ended_at)
         SELECT 1, CASE WHEN i % 7 THEN i END, 1 + i % 5, 1, i, i, 1, i FROM n UNION ALL
         SELECT 1, i, 6, 2, i, i, 1, i FROM n;"
    );
    store.conn.execute_batch(&sql).unwrap();
}

fn new(run: i64) -> NewNotice {
    NewNotice {
        job_id: 1,
        run: Some((run, 1)),
        state: Some(State::Failed),
        reason: Some(Reason::Exit),
        interval: std::time::Duration::from_secs(300),
        at: NOW,
    }
}

fn tell_all(store: &Store, now: Wall) -> Vec<(Event, Means, i64)> {
    let due = store.due_notices(now, 100).unwrap();
    for row in &due {
        let claim = store.claim_notice(row, 3, now).unwrap();
        let told = Told {
            outcome: &Outcome::Exited(0),
            duration_ms: Some(1),
            output: None,
            ended_at: now,
        };
        assert!(store.finish_notice(row.id, claim, &told).unwrap());
        assert!(!store.finish_notice(row.id, claim, &told).unwrap());
    }
    due.iter().map(|row| (row.event, row.means, row.count)).collect()
}

#[test]
fn telling_costs_the_same_however_much_was_told() {
    let cost = |count| {
        let mut store = Store::in_memory();
        fill_with_told(&store, count);
        let steps = store.count_instructions();
        for event in [Event::Failure, Event::Recovery, Event::AttemptFailure] {
            store.add_notice(&new(7), event, Means::Hook).unwrap();
        }
        store.add_notice(&new(7), Event::Output, Means::Mail).unwrap();
        assert_eq!(store.next_notice_at().unwrap(), Some(NOW));
        assert_eq!(tell_all(&store, NOW).len(), 3);
        assert_eq!(tell_all(&store, NOW).len(), 1);
        store.notices_of_run(7).unwrap();
        store.mark_late_jobs(NOW, NOW).unwrap();
        steps.load(Ordering::Relaxed)
    };
    let (few, many) = (cost(70), cost(70_000));
    assert!(few > 0 && many <= few * 2, "{few} instructions with 140 notices, {many} with 140,000");
}

#[test]
fn mails_within_the_interval_are_one_that_shows_what_weighs_most_and_stands_for_all() {
    let mut store = Store::in_memory();
    store.know_job("a").unwrap();
    let mail = |event| store.add_notice(&new(7), event, Means::Mail).unwrap();
    mail(Event::Output);
    assert_eq!(tell_all(&store, NOW), [(Event::Output, Means::Mail, 1)]);
    for event in [Event::Output, Event::Late, Event::Failure, Event::Output, Event::Late] {
        mail(event);
    }
    assert_eq!(tell_all(&store, later(299)), []);
    assert_eq!(tell_all(&store, later(300)), [(Event::Failure, Means::Mail, 5)]);
}

#[test]
fn what_a_copied_store_was_to_tell_is_told_no_more_and_says_why() {
    let store = Store::in_memory();
    fill_with_told(&store, 10);
    store.add_notice(&new(7), Event::Failure, Means::Hook).unwrap();
    assert_eq!(store.give_up_notices("it comes from elsewhere", NOW).unwrap(), 1);
    assert_eq!(tell_all(&store, later(9_999)), []);
    let row = store.notices_of_run(7).unwrap().pop().expect("it is there");
    assert_eq!(row.error.as_deref(), Some("it comes from elsewhere"));
}

#[test]
fn notices_about_no_run_are_removed_when_they_are_old_and_told() {
    let mut store = Store::in_memory();
    store.know_job("a").unwrap();
    let about_the_job = NewNotice { run: None, state: None, reason: None, ..new(7) };
    store.add_notice(&about_the_job, Event::Late, Means::Hook).unwrap();
    store.prune_notices(1, later(10)).unwrap();
    assert_eq!(tell_all(&store, NOW), [(Event::Late, Means::Hook, 1)]);
    let count = || -> i64 {
        let sql = "SELECT count(*) FROM notice";
        store.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    store.prune_notices(1, NOW).unwrap();
    assert_eq!(count(), 1);
    store.prune_notices(1, later(10)).unwrap();
    assert_eq!(count(), 0);
}

#[test]
fn a_hook_that_is_tried_again_stands_for_its_own_run_still() {
    let mut store = Store::in_memory();
    store.know_job("a").unwrap();
    let fail = |run, at, interval: u64| {
        let new = NewNotice { interval: std::time::Duration::from_secs(interval), at, ..new(run) };
        store.add_notice(&new, Event::Failure, Means::Hook).unwrap();
    };
    let due = |now| -> Vec<(Option<i64>, i64)> {
        let due = store.due_notices(now, 9).unwrap();
        due.iter().map(|row| (row.run, row.count)).collect()
    };
    fail(1, NOW, 10);
    let row = &store.due_notices(NOW, 9).unwrap()[0];
    store.claim_notice(row, 3, NOW).unwrap();
    store.tell_again(row.id, 0, later(1)).unwrap();
    fail(2, NOW, 10);
    fail(3, NOW, 10);
    assert_eq!(due(later(10)), [(Some(1), 1)]);
    assert_eq!(due(later(11)), [(Some(1), 1), (Some(3), 2)]);
    // Without an interval each stands for itself.
    fail(4, later(2), 0);
    fail(5, later(2), 0);
    assert_eq!(due(later(2)), [(Some(1), 1), (Some(4), 1), (Some(5), 1)]);
}

#[test]
fn a_job_whose_hooks_hang_leaves_a_place_to_others() {
    let mut store = Store::in_memory();
    store.know_job("a").unwrap();
    store.know_job("b").unwrap();
    let soon = std::time::Duration::ZERO;
    for (run, job_id) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2)] {
        let new = NewNotice { job_id, interval: soon, ..new(run) };
        store.add_notice(&new, Event::Failure, Means::Hook).unwrap();
    }
    let claim = || {
        let row = store.due_notices(NOW, 1).unwrap().pop()?;
        let claim = store.claim_notice(&row, 3, NOW).unwrap();
        Some((row.id, row.run?, claim))
    };
    let begun: Vec<_> = std::iter::from_fn(claim).collect();
    assert_eq!(begun.iter().map(|(_, run, _)| *run).collect::<Vec<_>>(), [1, 2, 3, 5]);
    assert_eq!(store.next_notice_at().unwrap(), None);
    let (id, _, claimed) = begun[0];
    let told =
        Told { outcome: &Outcome::Exited(0), duration_ms: Some(1), output: None, ended_at: NOW };
    assert!(store.finish_notice(id, claimed, &told).unwrap());
    assert_eq!(claim().map(|(_, run, _)| run), Some(4));
}
