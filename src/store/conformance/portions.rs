//! What grows with what is in the store is done some rows at a time: counted by the rows that a
//! transaction changes.

use super::*;
use crate::store::LanesBegun;
use crate::store::followers::Released;

/// So many runs of job 1 that wait for `on`.
fn fill_with_followers(store: &Store, on: i64, count: u32) {
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO run(job, state, cause, created_at, max_attempts) SELECT 1, 1, 3, 5, 1 FROM n;
         INSERT INTO dependency(run, \"on\") SELECT id, {on} FROM run WHERE id > {on}"
    );
    store.conn.execute_batch(&sql).unwrap();
}

/// Rows that a piece of work changes.
pub(super) fn changed_by<T>(store: &Store, work: impl FnOnce() -> T) -> (T, u64) {
    let before = store.conn.total_changes();
    (work(), store.conn.total_changes() - before)
}

#[test]
fn an_end_tells_many_followers_in_portions_and_forgets_none() {
    for (end, state) in [(5, State::Queued), (6, State::Cancelled)] {
        let mut store = Store::in_memory();
        let on = id_of(&added(&mut store, &addition("a"), None));
        fill_with_followers(&store, on, 10_000);
        let update = |state: i64| {
            store
                .execute_raw(&format!("UPDATE run SET state = {state}, reason = 1 WHERE id = {on}"))
        };
        let ((), changed) = changed_by(&store, || update(end));
        assert!(changed < 600, "{changed} rows in one end");
        // One that is tried again is waited for as if it had never ended.
        let ((), changed) = changed_by(&store, || update(2));
        assert!(changed < 600, "{changed} rows when it is tried again");
        assert_eq!(store.release_followers(NOW).unwrap(), Released::default());
        update(end);
        let mut turns = 1;
        loop {
            let (released, changed) = changed_by(&store, || store.release_followers(NOW).unwrap());
            assert!(changed < 10_000, "{changed} rows in one turn");
            if !released.has_more {
                break;
            }
            turns += 1;
        }
        assert!(turns >= 5);
        let of = |state: State| Filter { states: vec![state], ..Filter::default() };
        assert!(store.ids(&of(State::Scheduled)).unwrap().is_empty());
        assert!(store.ids(&of(state)).unwrap().len() >= 10_000);
        assert_counters_are_true(&store);
    }
}

/// So many failed occurrences of a job, and as many failed items.
fn fill_with_failures(store: &Store, job: i64, count: u32) {
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2 * {count})
         INSERT INTO run(job, state, cause, created_at, scheduled_at, ended_at, reason, attempt)
         SELECT {job}, 2, 1 + i % 2 * 2, i, i, i, 1, 1 FROM n;
         UPDATE run SET state = 6"
    );
    store.conn.execute_batch(&sql).unwrap();
}

#[test]
fn a_success_acknowledges_many_failures_in_portions_and_none_that_came_after_it() {
    let store = Store::in_memory();
    let job_id = store.register_job("a", &[], Some("x"), NOW).unwrap().id;
    fill_with_failures(&store, job_id, 3_000);
    let occurrence = |secs: i64| NewOccurrence {
        job_id,
        cause: Cause::Schedule,
        scheduled_at: later(secs),
        due_at: later(secs),
        priority: 0,
        max_attempts: Some(1),
        now: later(secs),
    };
    let [early, good] = [0, 1].map(|secs| {
        let id = store.insert_occurrence(&occurrence(secs)).unwrap().unwrap();
        claim(&store, id)
    });
    let (_, changed) = changed_by(&store, || {
        finish(&store, &good, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded))
    });
    assert!(changed < 1_100, "{changed} rows in one end");
    assert!(store.acknowledge_owed().unwrap());
    // It began before the success and fails after it, while that is still at work.
    finish(&store, &early, &Outcome::Exited(1), Next::Finish(Verdict::Failed(Reason::Exit)));
    store.execute_raw(&format!("UPDATE run SET ended_at = ended_at + 1 WHERE id = {}", early.id));
    let mut turns = 0;
    loop {
        let (has_more, changed) = changed_by(&store, || store.acknowledge_owed().unwrap());
        assert!(changed < 1_100, "{changed} rows in one turn");
        if !has_more {
            break;
        }
        turns += 1;
    }
    assert!((4..8).contains(&turns), "{turns}");
    let failed = Filter { failed: true, ..Filter::default() };
    assert_eq!(store.ids(&failed).unwrap().len(), 3_001, "the items, and what failed later");
    assert_eq!(run(&store, early.id).acked, None);
    assert_counters_are_true(&store);
}

#[test]
fn lanes_are_let_go_in_portions_and_the_template_is_noted_with_the_last() {
    let mut store = Store::in_memory();
    let job = store.register_job("a", &[], None, NOW).unwrap().id;
    let ids: Vec<i64> = (0..10).map(|_| add(&mut store, "a", "x")).collect();
    let hold = |store: &Store| {
        for (at, id) in ids.iter().enumerate() {
            store.hold(*id, &format!("lane-{}", at % 5)).unwrap();
        }
    };
    let let_go = |store: &Store, template| {
        let (mut from, mut freed) = (String::new(), 0);
        loop {
            let progress = LanesBegun { from: &from, limit: 3 };
            let (left, changed) =
                changed_by(store, || store.begin_lanes(job, template, progress).unwrap());
            assert!(changed <= 4, "{changed} rows in one portion");
            freed += left.freed;
            match left.next {
                Some(next) => from = next,
                None => return freed,
            }
        }
    };
    hold(&store);
    let some = LanesBegun { from: "", limit: 3 };
    assert!(store.begin_lanes(job, Some("u-{1}"), some).unwrap().next.is_some());
    let known = store.texts_raw("SELECT coalesce(lane_template, 'none') FROM job");
    assert_eq!(known, ["none"], "whoever comes after a crash begins anew");
    assert_eq!(let_go(&store, Some("u-{1}")), 7, "all, because they are other lanes now");
    hold(&store);
    assert_eq!(let_go(&store, Some("u-{1}")), 5, "the first of each");
    let held = store.texts_raw("SELECT CAST(id AS TEXT) FROM run WHERE held = 1 ORDER BY id");
    let later: Vec<String> = ids[5..].iter().map(i64::to_string).collect();
    assert_eq!(held, later);
}
