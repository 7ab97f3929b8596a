//! The promises of the store, through its verbs, on real SQLite.

mod batch;
mod names;
mod notices;
mod portions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::types::{Finish, NewOccurrence, NewSkip, PruneLimits, Usage};
use super::{
    Added, Addition, Answer, Conditions, Enqueued, Filter, Force, NewItem, OnConflict, Output,
    RunRow, Scope, Store,
};
use crate::core::pause::Pause;
use crate::core::retry::{Next, Stopped};
use crate::core::run::{Cause, Outcome, Reason, State, Verdict};
use crate::core::time::Wall;

const NOW: Wall = Wall::from_secs(1_800_000_000);

fn later(secs: i64) -> Wall {
    Wall::from_ms(NOW.ms() + secs * 1000)
}

fn addition(job: &str) -> Addition<'_> {
    Addition {
        job,
        due_at: NOW,
        priority: 0,
        max_attempts: Some(1),
        backlog_max: None,
        cause: Cause::Enqueue,
        created_at: NOW,
        conditions: crate::store::Conditions::default(),
    }
}

fn item(arg: &str) -> NewItem {
    NewItem { args: vec![arg.as_bytes().to_vec()], key: None, input: None }
}

fn add(store: &mut Store, job: &str, arg: &str) -> i64 {
    match store.enqueue(&addition(job), [item(arg)]).unwrap() {
        Enqueued::Added(added) => added[0].id,
        Enqueued::BacklogFull { .. } | Enqueued::KeyHeld { .. } | Enqueued::NoSuchRun(_) => {
            panic!("no limit was set")
        }
    }
}

fn run(store: &Store, id: i64) -> RunRow {
    store.run(id).unwrap().expect("the run is there")
}

fn claim(store: &Store, id: i64) -> RunRow {
    assert!(store.claim_if_queued(&run(store, id), 0, NOW).unwrap().is_some());
    run(store, id)
}

fn finish(store: &Store, row: &RunRow, outcome: &Outcome, next: Next) -> bool {
    store
        .finish_if_running(&Finish {
            run: row.id,
            claim: row.claim,
            is_occurrence: row.cause.is_occurrence(),
            outcome,
            remark: None,
            report: &crate::core::report::Report::default(),
            next,
            started_at: None,
            ended_at: later(2),
            usage: Some(Usage {
                duration_ms: 2000,
                user_ms: 1,
                system_ms: 2,
                max_rss_kib: 3,
                output_bytes: 4,
            }),
            pid: Some(77),
        })
        .unwrap()
}

/// Does what later turns do after names of jobs have become one.
fn move_all(store: &Store) {
    while !store.move_former().unwrap().heirs.is_empty() {}
}

/// Counts anew what the triggers count along the way.
fn assert_counters_are_true(store: &Store) {
    for job in store.jobs().unwrap() {
        let count = |states: &[State]| {
            let filter = Filter {
                states: states.to_vec(),
                job: Some(job.name.clone()),
                ..Filter::default()
            };
            i64::try_from(store.ids(&filter).unwrap().len()).unwrap()
        };
        let unacked = Filter { failed: true, job: Some(job.name.clone()), ..Filter::default() };
        assert_eq!(job.scheduled, count(&[State::Scheduled]), "scheduled");
        assert_eq!(job.queued, count(&[State::Queued]), "queued");
        assert_eq!(job.running, count(&[State::Running]), "running");
        assert_eq!(job.retrying, count(&[State::Retrying]), "retrying");
        assert_eq!(
            job.failed,
            i64::try_from(store.ids(&unacked).unwrap().len()).unwrap(),
            "failed"
        );
        assert_eq!(
            job.ended,
            count(&[State::Succeeded, State::Failed, State::Skipped, State::Cancelled]),
            "ended"
        );
    }
}

#[test]
fn items_come_back_in_the_order_given_and_are_queued() {
    let mut store = Store::in_memory();
    let Enqueued::Added(added) = store.enqueue(&addition("a"), ["x", "y"].map(item)).unwrap()
    else {
        panic!()
    };
    assert_eq!(added.iter().map(|a| a.existing).collect::<Vec<_>>(), [false, false]);
    assert_eq!(run(&store, added[0].id).args, [b"x".to_vec()]);
    assert_eq!(run(&store, added[1].id).args, [b"y".to_vec()]);
    assert_eq!(run(&store, added[1].id).state, State::Queued);
    assert_counters_are_true(&store);
}

#[test]
fn a_full_backlog_adds_nothing_and_says_how_many_wait() {
    let mut store = Store::in_memory();
    let limited = Addition { backlog_max: Some(2), ..addition("a") };
    assert!(matches!(store.enqueue(&limited, [item("1")]).unwrap(), Enqueued::Added(_)));
    assert_eq!(
        store.enqueue(&limited, [item("2"), item("3")]).unwrap(),
        Enqueued::BacklogFull { waiting: 1 }
    );
    assert_eq!(store.runs(&Filter::default(), None).unwrap().len(), 1);
    assert_counters_are_true(&store);
}

#[test]
fn a_key_is_held_while_unfinished_or_failed_and_free_after_a_success_or_an_acknowledgement() {
    let mut store = Store::in_memory();
    let keyed = || NewItem { args: vec![], key: Some("k".into()), input: None };
    let add_keyed = |store: &mut Store| match store.enqueue(&addition("a"), [keyed()]).unwrap() {
        Enqueued::Added(added) => added[0],
        Enqueued::BacklogFull { .. } | Enqueued::KeyHeld { .. } | Enqueued::NoSuchRun(_) => {
            panic!()
        }
    };
    let first = add_keyed(&mut store);
    assert!(!first.existing);
    let again = add_keyed(&mut store);
    assert!(again.existing && again.id == first.id);
    let row = claim(&store, first.id);
    finish(&store, &row, &Outcome::Exited(1), Next::Finish(Verdict::Failed(Reason::Exit)));
    assert!(add_keyed(&mut store).existing, "an unacknowledged failure holds its key");
    assert_eq!(store.ack_if_failed(first.id, later(3)).unwrap(), Answer::Done);
    let second = add_keyed(&mut store);
    assert!(!second.existing);
    assert_eq!(
        store.retry_if_ended(first.id, Some(1), later(4), Force::No).unwrap(),
        Answer::KeyHeld { by: second.id }
    );
}

#[test]
fn a_claim_is_given_once_and_an_end_counts_once() {
    let mut store = Store::in_memory();
    let id = add(&mut store, "a", "x");
    let queued = run(&store, id);
    let claimed = claim(&store, id);
    assert!(store.claim_if_queued(&queued, 1, NOW).unwrap().is_none());
    assert_eq!((claimed.attempt, claimed.slot, claimed.state), (1, Some(0), State::Running));
    assert!(finish(&store, &claimed, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded)));
    assert!(!finish(
        &store,
        &claimed,
        &Outcome::Exited(1),
        Next::Finish(Verdict::Failed(Reason::Exit))
    ));
    let ended = run(&store, id);
    assert_eq!(
        (ended.state, ended.exit_code, ended.duration_ms),
        (State::Succeeded, Some(0), Some(2000))
    );
    assert_eq!(store.job("a").unwrap().unwrap().last_run, Some(id));
    assert_counters_are_true(&store);
}

#[test]
fn an_end_under_an_older_claim_is_not_believed() {
    let mut store = Store::in_memory();
    let id = add(&mut store, "a", "x");
    let first = claim(&store, id);
    assert!(store.unclaim_if_running(id, first.claim).unwrap());
    assert_eq!((run(&store, id).attempt, run(&store, id).state), (0, State::Queued));
    let second = claim(&store, id);
    assert_ne!(first.claim, second.claim);
    assert!(!finish(&store, &first, &Outcome::Lost, Next::Finish(Verdict::Failed(Reason::Lost))));
    assert_eq!(run(&store, id).state, State::Running);
}

#[test]
fn attempts_are_kept_and_a_claim_taken_back_leaves_no_trace() {
    let mut store = Store::in_memory();
    let id = add(&mut store, "a", "x");
    let row = claim(&store, id);
    finish(&store, &row, &Outcome::Exited(3), Next::RetryAt(later(10)));
    assert_eq!(run(&store, id).state, State::Retrying);
    assert_eq!(store.next_due_at().unwrap(), Some(later(10)));
    assert!(store.queue_due(later(9)).unwrap().is_empty());
    assert_eq!(store.queue_due(later(10)).unwrap().len(), 1);
    let second = claim(&store, id);
    assert_eq!((second.attempt, second.charged), (2, 1));
    assert_eq!(
        store.attempts(id).unwrap().iter().map(|a| a.exit_code).collect::<Vec<_>>(),
        [Some(3), None]
    );
    assert!(store.unclaim_if_running(id, second.claim).unwrap());
    assert_eq!(
        store.attempts(id).unwrap().iter().map(|a| a.exit_code).collect::<Vec<_>>(),
        [Some(3)]
    );
    assert_counters_are_true(&store);
}

#[test]
fn a_retry_by_hand_grants_a_fresh_budget_and_clears_the_acknowledgement() {
    let mut store = Store::in_memory();
    let id = add(&mut store, "a", "x");
    assert!(matches!(
        store.retry_if_ended(id, Some(3), NOW, Force::No).unwrap(),
        Answer::Refused(_)
    ));
    let row = claim(&store, id);
    assert!(matches!(
        store.retry_if_ended(id, Some(3), NOW, Force::No).unwrap(),
        Answer::Refused(_)
    ));
    finish(&store, &row, &Outcome::Exited(3), Next::Finish(Verdict::Failed(Reason::Exit)));
    store.ack_if_failed(id, later(3)).unwrap();
    assert_eq!(store.retry_if_ended(id, Some(3), later(4), Force::No).unwrap(), Answer::Done);
    let queued = run(&store, id);
    assert_eq!((queued.state, queued.max_attempts, queued.acked), (State::Queued, Some(4), None));
    let again = claim(&store, id);
    assert_eq!((again.attempt, again.first_started_at), (2, Some(NOW)));
    finish(&store, &again, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded));
    assert!(matches!(
        store.retry_if_ended(id, Some(3), NOW, Force::No).unwrap(),
        Answer::Refused(_)
    ));
    assert_eq!(store.retry_if_ended(id, Some(3), NOW, Force::Yes).unwrap(), Answer::Done);
    assert_counters_are_true(&store);
}

#[test]
fn cancel_ends_what_waits_and_asks_what_runs() {
    let mut store = Store::in_memory();
    let (waits, runs) = (add(&mut store, "a", "x"), add(&mut store, "a", "y"));
    let row = claim(&store, runs);
    assert_eq!(store.cancel_if_unfinished(waits, later(1)).unwrap(), Answer::Done);
    assert_eq!(run(&store, waits).reason, Some(Reason::ByHand));
    assert_eq!(store.cancel_if_unfinished(runs, later(1)).unwrap(), Answer::Asked);
    assert_eq!(store.stops_asked().unwrap(), [(runs, row.claim)]);
    assert_eq!(run(&store, runs).stop, Some(Stopped::ByHand));
    assert!(matches!(store.cancel_if_unfinished(waits, later(1)).unwrap(), Answer::Refused(_)));
    assert_eq!(store.cancel_if_unfinished(99, later(1)).unwrap(), Answer::NoSuchRun);
    assert_counters_are_true(&store);
}

#[test]
fn the_queue_gives_by_priority_then_due_time_then_id() {
    let mut store = Store::in_memory();
    let low = add(&mut store, "a", "low");
    let early = Addition { due_at: later(-5), created_at: NOW, ..addition("a") };
    let Enqueued::Added(early) = store.enqueue(&early, [item("early")]).unwrap() else { panic!() };
    let high = Addition { priority: 5, ..addition("a") };
    let Enqueued::Added(high) = store.enqueue(&high, [item("high")]).unwrap() else { panic!() };
    let job = store.job("a").unwrap().unwrap().id;
    let mut order = Vec::new();
    while let Some(head) = store.queue_head(job).unwrap() {
        order.push(head.id);
        claim(&store, head.id);
    }
    assert_eq!(order, [high[0].id, early[0].id, low]);
}

#[test]
fn skips_of_one_cause_in_a_row_are_one_row() {
    let mut store = Store::in_memory();
    add(&mut store, "other", "x");
    let job_id = store.register_job("a", &[], Some("* * * * *"), NOW).unwrap().id;
    let skip = |secs: i64, by: i64| NewSkip {
        job_id,
        cause: Cause::Schedule,
        scheduled_at: later(secs),
        last_scheduled_at: None,
        count: 1,
        reason: Reason::Overlap,
        by: Some(by),
        same_since: Some(NOW),
        now: later(secs),
    };
    let first = store.record_skip(&skip(0, 1)).unwrap();
    assert_eq!(store.record_skip(&skip(60, 1)).unwrap(), first);
    assert_ne!(store.record_skip(&skip(120, 2)).unwrap(), first);
    let row = run(&store, first);
    assert_eq!((row.count, row.last_scheduled_at, row.by), (2, Some(later(60)), Some(1)));
    assert_counters_are_true(&store);
}

#[test]
fn a_success_of_an_occurrence_acknowledges_earlier_failed_occurrences_only() {
    let mut store = Store::in_memory();
    let job_id = store.register_job("a", &[], Some("x"), NOW).unwrap().id;
    let occurrence = |secs: i64| NewOccurrence {
        job_id,
        cause: Cause::Schedule,
        scheduled_at: later(secs),
        due_at: later(secs),
        priority: 0,
        max_attempts: Some(1),
        now: later(secs),
    };
    let by_hand = add(&mut store, "a", "x");
    let row = claim(&store, by_hand);
    finish(&store, &row, &Outcome::Exited(1), Next::Finish(Verdict::Failed(Reason::Exit)));
    let bad = store.insert_occurrence(&occurrence(0)).unwrap().unwrap();
    let row = claim(&store, bad);
    finish(&store, &row, &Outcome::Exited(1), Next::Finish(Verdict::Failed(Reason::Exit)));
    let good = store.insert_occurrence(&occurrence(60)).unwrap().unwrap();
    let row = claim(&store, good);
    finish(&store, &row, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded));
    assert!(run(&store, bad).acked.is_some());
    assert!(run(&store, by_hand).acked.is_none());
    assert_counters_are_true(&store);
}

#[test]
fn an_edited_schedule_begins_anew_and_an_unchanged_one_keeps_its_watermark() {
    let store = Store::in_memory();
    let first = store.register_job("a", &[], Some("@every 1h"), NOW).unwrap();
    assert_eq!((first.watermark, first.grid_at), (Some(NOW), Some(NOW)));
    assert_eq!(store.register_job("a", &[], Some("@every 1h"), later(60)).unwrap(), first);
    store.move_watermark(first.id, later(30)).unwrap();
    assert_eq!(
        store.register_job("a", &[], Some("@every 1h"), later(60)).unwrap().watermark,
        Some(later(30))
    );
    assert_eq!(
        store.register_job("a", &[], Some("@every 2h"), later(60)).unwrap().watermark,
        Some(later(60))
    );
    let renamed = store.register_job("b", &["a"], Some("@every 2h"), later(90)).unwrap();
    assert_eq!((renamed.id, renamed.watermark), (first.id, Some(later(60))));
    assert!(store.job("a").unwrap().is_none());
}

#[test]
fn pruning_spares_the_unfinished_the_unacknowledged_and_the_newest() {
    let mut store = Store::in_memory();
    let ids: Vec<i64> = (0..5).map(|n| add(&mut store, "a", &n.to_string())).collect();
    for (n, &id) in ids.iter().enumerate().take(4) {
        let row = claim(&store, id);
        let next = if n == 0 { Verdict::Failed(Reason::Exit) } else { Verdict::Succeeded };
        finish(&store, &row, &Outcome::Exited(0), Next::Finish(next));
    }
    store.save_output(ids[1], 1, &Output { total: 1, head: b"x".to_vec(), tail: vec![] }).unwrap();
    let limits = PruneLimits {
        succeeded_before: later(100),
        failed_before: later(100),
        runs_max: 1000,
        now: later(1000),
    };
    assert_eq!(store.prune(run(&store, ids[0]).job_id, 0, 500, &limits).unwrap().cursor, None);
    let left: Vec<i64> = store.ids(&Filter::default()).unwrap();
    assert_eq!(left, [ids[0], ids[3], ids[4]]);
    assert_eq!(store.output(ids[1], 1).unwrap(), None);
    assert_counters_are_true(&store);
}

#[test]
fn a_pause_is_remembered_until_it_is_ended() {
    let mut store = Store::in_memory();
    assert!(!store.pause(Scope::Job("a"), None, NOW).unwrap());
    store.know_job("a").unwrap();
    assert!(store.pause(Scope::Job("a"), Some(later(60)), NOW).unwrap());
    let row = store.job("a").unwrap().unwrap();
    let pause = Pause { since: NOW, until: Some(later(60)) };
    assert_eq!(row.pause, Some(pause));
    assert!(row.is_paused(later(59)) && !row.is_paused(later(60)));
    assert!(store.resume(Scope::Job("a"), later(9)).unwrap());
    assert_eq!(store.job("a").unwrap().unwrap().pause, None);
    store.pause(Scope::All, None, NOW).unwrap();
    assert!(store.supervisor().unwrap().is_paused(later(9_999_999)));
    store.resume(Scope::All, later(9)).unwrap();
    assert_eq!(store.supervisor().unwrap().pause, None);
}

#[test]
fn a_rolled_back_turn_never_was() {
    let mut store = Store::in_memory();
    let id = add(&mut store, "a", "x");
    store.begin().unwrap();
    claim(&store, id);
    store.rollback();
    assert_eq!(run(&store, id).state, State::Queued);
    assert_counters_are_true(&store);
}

#[test]
fn no_question_of_the_loop_scans_the_runs() {
    let store = Store::in_memory();
    let questions = [
        "SELECT min(due_at) FROM run WHERE state IN (1, 4)",
        "SELECT id FROM job WHERE queued > 0",
        "SELECT id FROM run WHERE job = 1 AND state = 2 AND held IS NULL ORDER BY priority DESC, due_at, id LIMIT 1",
        "UPDATE run SET held = NULL WHERE id = (SELECT id FROM run WHERE job = 1 AND lane = 'x' AND state = 2 AND held = 1 \
         ORDER BY priority DESC, due_at, id LIMIT 1)",
        "UPDATE run SET state = 2 WHERE id IN (SELECT id FROM run WHERE state = 0 AND feed = 1 ORDER BY id LIMIT 2000)",
        "UPDATE run SET state = 7 WHERE job = 1 AND state < 5 AND state = 2 AND due_at < 2 AND scheduled_at IS NOT NULL AND cause IN (1, 2)",
        "SELECT id, claim FROM run WHERE state = 3 AND stop IS NOT NULL",
        "UPDATE run SET state = 2 WHERE state IN (1, 4) AND due_at <= 1 RETURNING job",
        "UPDATE run SET state = 6 WHERE state = 4 AND job = 1 AND cause IN (1, 2) AND id <> 3",
        "SELECT id FROM run WHERE job = 1 ORDER BY id DESC LIMIT 20",
        "UPDATE run SET acked = 1 WHERE job = (SELECT job FROM run WHERE id = 1) AND state = 6 AND acked IS NULL AND id < 9",
    ];
    for question in questions {
        let mut plan = store.conn.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
        let steps: Vec<String> =
            plan.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let plan = steps.join("; ");
        let scans =
            steps.iter().any(|step| step.starts_with("SCAN run") && !step.contains("INDEX"));
        assert!(!scans && !plan.contains("TEMP B-TREE"), "{question}: {plan}");
    }
}

/// Inserts so many waiting and so many succeeded runs of job 1, without the triggers, whose cost is that of the rows.
fn fill(store: &Store, waiting: u32, ended: u32) {
    let sql = format!(
        "DROP TRIGGER run_inserted; INSERT INTO job(id, name) VALUES (1, 'a');
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ended})
         INSERT INTO run(job, state, cause, created_at, due_at, ended_at, attempt) SELECT 1, 5, 3, 1, 1, 2, 1 FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {waiting})
         INSERT INTO run(job, state, cause, created_at, due_at, max_attempts) SELECT 1, 2, 3, 1, 1, 1 FROM n;
         UPDATE job SET queued = {waiting}, ended = {ended};"
    );
    store.conn.execute_batch(&sql).unwrap();
}

impl Store {
    /// Instructions of SQLite's machine from now on: neither the clock nor another process is in them.
    pub(crate) fn count_instructions(&mut self) -> Arc<AtomicU64> {
        let steps = Arc::new(AtomicU64::new(0));
        let counted = steps.clone();
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        self.conn.progress_handler(1, Some(count)).unwrap();
        steps
    }
}

#[test]
fn a_claim_costs_the_same_however_many_wait_or_have_ended() {
    let cost = |waiting, ended| {
        let mut store = Store::in_memory();
        fill(&store, waiting, ended);
        let steps = store.count_instructions();
        let head = store.queue_head(1).unwrap().expect("somebody waits");
        let claimed = store.claim_if_queued(&head, 0, NOW).unwrap().expect("it is queued");
        assert!(finish(&store, &claimed, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded)));
        steps.load(Ordering::Relaxed)
    };
    let (few, many) = (cost(10, 10), cost(1_000_000, 1_000_000));
    assert!(few > 0 && many <= few * 2, "{few} instructions with 10 runs, {many} with 2,000,000");
}

#[test]
fn verbs_done_together_are_all_there_or_none() {
    let mut store = Store::in_memory();
    let ids = [add(&mut store, "a", "x"), add(&mut store, "a", "y")];
    let failed: Result<(), super::StoreError> = store.together(|store| {
        store.cancel_if_unfinished(ids[0], later(1))?;
        Err(super::StoreError::Missing("x".into()))
    });
    assert!(failed.is_err());
    assert_eq!(run(&store, ids[0]).state, State::Queued);
    let done: Result<(), super::StoreError> = store.together(|store| {
        for id in ids {
            store.cancel_if_unfinished(id, later(1))?;
            assert!(matches!(store.cancel_if_unfinished(id, later(1))?, Answer::Refused(_)));
        }
        Ok(())
    });
    done.unwrap();
    assert_eq!(
        store.ids(&Filter { states: vec![State::Cancelled], ..Filter::default() }).unwrap(),
        ids
    );
    assert_counters_are_true(&store);
}

#[test]
fn pruning_goes_on_behind_what_is_kept_longer_and_stops_at_what_is_young() {
    let mut store = Store::in_memory();
    let failed = add(&mut store, "a", "failed");
    let row = claim(&store, failed);
    finish(&store, &row, &Outcome::Exited(1), Next::Finish(Verdict::Failed(Reason::Exit)));
    store.ack_if_failed(failed, later(3)).unwrap();
    let old = add(&mut store, "a", "old");
    let row = claim(&store, old);
    finish(&store, &row, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded));
    let young = Addition { created_at: later(1000), due_at: later(1000), ..addition("a") };
    let Enqueued::Added(young) = store.enqueue(&young, [item("young"), item("newest")]).unwrap()
    else {
        panic!()
    };
    let row = claim(&store, young[0].id);
    finish(&store, &row, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded));
    let limits = PruneLimits {
        succeeded_before: later(500),
        failed_before: later(-500),
        runs_max: 1000,
        now: later(1000),
    };
    store.prune(row.job_id, 0, 500, &limits).unwrap();
    assert_eq!(store.ids(&Filter::default()).unwrap(), [failed, young[0].id, young[1].id]);
    let few = PruneLimits { runs_max: 1, ..limits };
    store.prune(row.job_id, 0, 500, &few).unwrap();
    assert_eq!(store.ids(&Filter::default()).unwrap(), [young[0].id, young[1].id]);
    assert_counters_are_true(&store);
}

#[test]
fn rows_of_several_names_become_one_with_all_runs_keys_and_counters() {
    let mut store = Store::in_memory();
    for name in ["a", "b"] {
        store.register_job(name, &[], Some("x"), NOW).unwrap();
    }
    let keyed = |key: &str| NewItem { key: Some(key.to_owned()), ..item("1") };
    let mut ids = Vec::new();
    for (job, keys) in [("a", ["k", "only-a"]), ("b", ["k", "only-b"])] {
        let items = keys.map(keyed);
        match store.enqueue(&addition(job), items).unwrap() {
            Enqueued::Added(added) => ids.extend(added.iter().map(|added| added.id)),
            Enqueued::BacklogFull { .. } | Enqueued::KeyHeld { .. } | Enqueued::NoSuchRun(_) => {
                panic!("no limit was set")
            }
        }
        let occurrence = NewOccurrence {
            job_id: store.job(job).unwrap().unwrap().id,
            cause: Cause::Schedule,
            scheduled_at: NOW,
            due_at: NOW,
            priority: 0,
            max_attempts: Some(1),
            now: NOW,
        };
        ids.extend(store.insert_occurrence(&occurrence).unwrap());
    }
    assert_eq!(ids.len(), 6);
    let known = store.register_job("c", &["b", "a"], Some("x"), later(60)).unwrap();
    assert_eq!(known.watermark, Some(NOW), "the one in force decides");
    assert_eq!(known.merged.len(), 1);
    move_all(&store);
    let keys: Vec<Option<String>> = ids
        .iter()
        .map(|id| {
            let run = run(&store, *id);
            assert_eq!((run.job.as_str(), run.state), ("c", State::Queued));
            run.key
        })
        .collect();
    let keys: Vec<Option<&str>> = keys.iter().map(Option::as_deref).collect();
    assert_eq!(
        keys,
        [None, Some("only-a"), None, Some("k"), Some("only-b"), None],
        "a key is held once"
    );
    let jobs = store.jobs().unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].name.as_str(), jobs[0].queued), ("c", 6));
}

#[test]
fn runs_of_one_instant_become_those_of_one_job_however_many_names_it_had() {
    let store = Store::in_memory();
    let mut runs = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let known = store.register_job(name, &[], Some("x"), NOW).unwrap();
        let occurrence = NewOccurrence {
            job_id: known.id,
            cause: Cause::Schedule,
            scheduled_at: NOW,
            due_at: NOW,
            priority: 0,
            max_attempts: Some(1),
            now: NOW,
        };
        runs.extend(store.insert_occurrence(&occurrence).unwrap());
    }
    // In two steps, so that instants that were given up once are in the way, too.
    store.register_job("b", &["c"], Some("x"), later(60)).unwrap();
    let known = store.register_job("e", &["a", "b", "d"], Some("x"), later(60)).unwrap();
    move_all(&store);
    let of_one: Vec<i64> = runs.iter().map(|id| run(&store, *id).job_id).collect();
    assert_eq!(of_one, [known.id; 4]);
    assert_eq!(store.job("e").unwrap().unwrap().queued, 4);
}

#[test]
fn an_item_for_the_new_name_before_the_reload_costs_no_watermark() {
    let mut store = Store::in_memory();
    store.register_job("old", &[], Some("x"), NOW).unwrap();
    let early = add(&mut store, "new", "1");
    let known = store.register_job("new", &["old"], Some("x"), later(60)).unwrap();
    assert_eq!(known.watermark, Some(NOW));
    assert_eq!(run(&store, early).job_id, known.id);
    let again = store.register_job("new", &["old"], Some("x"), later(120)).unwrap();
    assert_eq!(again.watermark, Some(NOW));
    assert!(again.merged.is_empty());
}

#[test]
fn a_reload_is_asked_by_number_and_one_answer_is_for_all_before_it() {
    let mut store = Store::in_memory();
    assert_eq!(store.reload_asked().unwrap(), None);
    let (first, second) = (store.ask_reload().unwrap(), store.ask_reload().unwrap());
    assert_ne!(first, second);
    assert_eq!(store.reload_asked().unwrap(), Some(second));
    assert_eq!(store.reload_answer(first).unwrap(), None);
    store.answer_reload(second, "done").unwrap();
    for number in [first, second] {
        assert_eq!(store.reload_answer(number).unwrap().as_deref(), Some("done"));
    }
    assert_eq!(store.reload_asked().unwrap(), None);
    let third = store.ask_reload().unwrap();
    assert_eq!(store.reload_answer(third).unwrap(), None);
}

fn added(store: &mut Store, addition: &Addition<'_>, key: Option<&str>) -> Enqueued {
    let item = NewItem { key: key.map(str::to_owned), ..NewItem::default() };
    store.enqueue(addition, [item]).unwrap()
}

fn id_of(enqueued: &Enqueued) -> i64 {
    match enqueued {
        Enqueued::Added(added) => added[0].id,
        Enqueued::BacklogFull { .. } | Enqueued::KeyHeld { .. } | Enqueued::NoSuchRun(_) => {
            panic!("nothing was added: {enqueued:?}")
        }
    }
}

fn conditional<'a>(conditions: Conditions<'a>) -> Addition<'a> {
    Addition { conditions, ..addition("a") }
}

#[test]
fn a_held_key_is_ignored_replaced_or_an_error_as_it_was_asked() {
    let mut store = Store::in_memory();
    let with = |on_conflict| conditional(Conditions { on_conflict, ..Conditions::default() });
    let first = id_of(&added(&mut store, &with(OnConflict::Error), Some("k")));
    let held = Enqueued::KeyHeld { key: "k".into(), by: first };
    assert_eq!(added(&mut store, &with(OnConflict::Error), Some("k")), held);
    let existing = Enqueued::Added(vec![Added { id: first, existing: true }]);
    assert_eq!(added(&mut store, &with(OnConflict::Ignore), Some("k")), existing);

    let second = id_of(&added(&mut store, &with(OnConflict::Replace), Some("k")));
    let replaced = run(&store, first);
    assert_eq!(
        (replaced.state, replaced.reason, replaced.by),
        (State::Cancelled, Some(Reason::Replaced), Some(second))
    );
    claim(&store, second);
    let runs = added(&mut store, &with(OnConflict::Replace), Some("k"));
    assert_eq!(runs, Enqueued::KeyHeld { key: "k".into(), by: second });
    assert_eq!(run(&store, second).state, State::Running);
}

#[test]
fn what_was_cancelled_or_acknowledged_holds_no_key() {
    let mut store = Store::in_memory();
    let first = id_of(&added(&mut store, &addition("a"), Some("k")));
    store.cancel_if_unfinished(first, Wall::from_secs(1)).unwrap();
    let second = id_of(&added(&mut store, &addition("a"), Some("k")));
    assert_ne!(first, second);
    store.execute_raw(&format!("UPDATE run SET state = 6 WHERE id = {second}"));
    assert_eq!(id_of(&added(&mut store, &addition("a"), Some("k"))), second);
    store.ack_if_failed(second, Wall::from_secs(2)).unwrap();
    assert_ne!(id_of(&added(&mut store, &addition("a"), Some("k"))), second);
}

#[test]
fn a_success_holds_its_key_for_as_long_as_the_job_says() {
    let mut store = Store::in_memory();
    let first = id_of(&added(&mut store, &addition("a"), Some("k")));
    store.execute_raw(&format!("UPDATE run SET state = 5, ended_at = 100000 WHERE id = {first}"));
    let since = |secs| Addition {
        created_at: Wall::from_secs(200),
        due_at: Wall::from_secs(200),
        ..conditional(Conditions {
            key_held_since: Some(Wall::from_secs(secs)),
            ..Conditions::default()
        })
    };
    assert_eq!(id_of(&added(&mut store, &since(99), Some("k"))), first);
    assert_ne!(id_of(&added(&mut store, &since(100), Some("k"))), first);
}

#[test]
fn a_success_of_a_clock_that_was_set_back_since_holds_no_key() {
    let mut store = Store::in_memory();
    let [early, late] = ["old", "ahead"].map(|key| {
        let id = id_of(&added(&mut store, &addition("a"), Some(key)));
        store.execute_raw(&format!("UPDATE run SET state = 5 WHERE id = {id}"));
        id
    });
    store.execute_raw(&format!(
        "UPDATE run SET ended_at = CASE id WHEN {early} THEN 150000 ELSE 31536000000 END"
    ));
    let now = Addition {
        created_at: Wall::from_secs(200),
        due_at: Wall::from_secs(200),
        ..conditional(Conditions {
            key_held_since: Some(Wall::from_secs(100)),
            ..Conditions::default()
        })
    };
    assert_eq!(id_of(&added(&mut store, &now, Some("old"))), early);
    assert_ne!(id_of(&added(&mut store, &now, Some("ahead"))), late);
}

#[test]
fn followers_start_when_all_they_wait_for_has_succeeded() {
    let mut store = Store::in_memory();
    let [one, two] = [(), ()].map(|()| id_of(&added(&mut store, &addition("a"), None)));
    let both = [one, two];
    let follower = id_of(&added(
        &mut store,
        &conditional(Conditions { after: &both, ..Conditions::default() }),
        None,
    ));
    let waits = run(&store, follower);
    assert_eq!((waits.state, waits.due_at, waits.after), (State::Scheduled, None, both.to_vec()));
    let succeed = |store: &Store, id: i64| {
        store.execute_raw(&format!("UPDATE run SET state = 5 WHERE id = {id}"));
        store.release_followers(Wall::from_secs(9)).unwrap()
    };
    assert!(succeed(&store, one).jobs.is_empty());
    assert_eq!(run(&store, follower).state, State::Scheduled);
    assert_eq!(succeed(&store, two).jobs.len(), 1);
    let starts = run(&store, follower);
    assert_eq!((starts.state, starts.due_at), (State::Queued, Some(Wall::from_secs(9))));
    // What has ended already keeps nothing waiting.
    let late = conditional(Conditions { after: &both, ..Conditions::default() });
    let late = id_of(&added(&mut store, &late, None));
    assert_eq!(run(&store, late).state, State::Queued);
}

#[test]
fn every_way_a_run_can_end_otherwise_cancels_its_followers_and_theirs() {
    for end in ["state = 6, reason = 1", "state = 7, reason = 1", "state = 8, reason = 15"] {
        let mut store = Store::in_memory();
        let mut chain = vec![id_of(&added(&mut store, &addition("a"), None))];
        for _ in 0..5 {
            let after = [chain[chain.len() - 1]];
            let next = conditional(Conditions { after: &after, ..Conditions::default() });
            chain.push(id_of(&added(&mut store, &next, None)));
        }
        store.execute_raw(&format!("UPDATE run SET {end} WHERE id = {}", chain[0]));
        let mut turns = 1;
        while store.release_followers(Wall::from_secs(9)).unwrap().has_more {
            turns += 1;
        }
        assert!(turns <= 6, "{end}: {turns}");
        for pair in chain.windows(2) {
            let follower = run(&store, pair[1]);
            assert_eq!(
                (follower.state, follower.reason, follower.by),
                (State::Cancelled, Some(Reason::Dependency), Some(pair[0])),
                "{end}"
            );
        }
    }
}

#[test]
fn nothing_follows_a_run_that_is_not_there() {
    let mut store = Store::in_memory();
    let nobody = conditional(Conditions { after: &[77], ..Conditions::default() });
    assert_eq!(added(&mut store, &nobody, None), Enqueued::NoSuchRun(77));
    assert!(store.runs(&Filter::default(), None).unwrap().is_empty());
}

#[test]
fn what_was_not_started_in_time_expires_and_what_was_does_not() {
    let mut store = Store::in_memory();
    let until =
        conditional(Conditions { expires_at: Some(Wall::from_secs(100)), ..Conditions::default() });
    let [waits, started] = [(), ()].map(|()| id_of(&added(&mut store, &until, None)));
    claim(&store, started);
    assert_eq!(store.next_expiry_at().unwrap(), Some(Wall::from_secs(100)));
    assert!(store.expire_due(Wall::from_secs(99)).unwrap().is_empty());
    assert_eq!(store.expire_due(Wall::from_secs(100)).unwrap().len(), 1);
    let expired = run(&store, waits);
    assert_eq!((expired.state, expired.reason), (State::Cancelled, Some(Reason::Expired)));
    assert_eq!(run(&store, started).state, State::Running);
    assert_eq!(store.next_expiry_at().unwrap(), None);
    // By hand it runs, however late.
    store.retry_if_ended(waits, Some(1), Wall::from_secs(200), Force::No).unwrap();
    assert!(store.expire_due(Wall::from_secs(300)).unwrap().is_empty());
}

#[test]
fn a_run_keeps_the_input_it_was_given() {
    let mut store = Store::in_memory();
    let item = NewItem { input: Some(b"a\0b\xff".to_vec()), ..NewItem::default() };
    let with = id_of(&store.enqueue(&addition("a"), [item]).unwrap());
    let without = id_of(&added(&mut store, &addition("a"), None));
    assert_eq!(store.input(with).unwrap().as_deref(), Some(&b"a\0b\xff"[..]));
    assert_eq!(store.input(without).unwrap(), None);
    store.execute_raw(&format!("DELETE FROM run WHERE id = {with}"));
    assert_eq!(store.input(with).unwrap(), None);
}
