//! The order of the queue, and what a question and a run cost, however many there are.

use super::super::sql::{Ask, IS_RUNNING, RUNS};
use super::*;

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
fn no_question_of_the_loop_scans_the_runs() {
    let store = Store::in_memory();
    let running = [
        format!("SELECT slot FROM {RUNS} WHERE {IS_RUNNING} AND slot IS NOT NULL"),
        format!("SELECT DISTINCT run.job FROM {RUNS} WHERE {IS_RUNNING} AND attempt.late_at > 0"),
    ];
    let questions = [
        "SELECT min(due_at) FROM run WHERE state IN (1, 4)",
        "SELECT id FROM job WHERE queued > 0",
        "SELECT id FROM run WHERE job = 1 AND state = 2 AND held IS NULL \
         ORDER BY priority DESC, due_at, id LIMIT 1",
        "UPDATE run SET held = NULL WHERE id = (SELECT id FROM run WHERE job = 1 \
         AND lane = 'x' AND state = 2 AND held = 1 ORDER BY priority DESC, due_at, id LIMIT 1)",
        "UPDATE run SET state = 2 WHERE id IN (SELECT id FROM run WHERE state = 0 \
         AND feed = 1 ORDER BY id LIMIT 2000)",
        "UPDATE run SET state = 7 WHERE job = 1 AND state < 5 AND state = 2 AND due_at < 2 \
         AND scheduled_at IS NOT NULL AND cause IN (1, 2)",
        "SELECT id, claim FROM run WHERE state = 3 AND stop IS NOT NULL",
        "UPDATE run SET state = 2 WHERE state IN (1, 4) AND due_at <= 1 RETURNING job",
        "UPDATE run SET state = 6 WHERE state = 4 AND job = 1 AND cause IN (1, 2) AND id <> 3",
        "SELECT id FROM run WHERE job = 1 ORDER BY id DESC LIMIT 20",
        "UPDATE run SET acked = 1 WHERE job = (SELECT job FROM run WHERE id = 1) AND state = 6 \
         AND acked IS NULL AND id < 9",
    ];
    for question in questions.into_iter().chain(running.iter().map(String::as_str)) {
        let mut plan = store.conn.prepare(&format!("EXPLAIN QUERY PLAN {question}")).unwrap();
        let steps: Vec<String> =
            plan.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let plan = steps.join("; ");
        let is_scan = |step: &String| step.starts_with("SCAN") && !step.contains("INDEX");
        let scans = steps.iter().any(is_scan);
        let is_sorted = plan.replace("TEMP B-TREE FOR DISTINCT", "").contains("TEMP B-TREE");
        assert!(!scans && !is_sorted, "{question}: {plan}");
    }
}

/// Inserts so many waiting and so many succeeded runs of job 1, without the triggers, whose cost is
/// that of the rows.
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
    /// Instructions of SQLite's machine from now on: neither the clock nor another process is in
    /// them.
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
        let claimed =
            store.claim_if_queued(&head, 0, &terms(), NOW).unwrap().expect("it is queued");
        assert!(finish(&store, &claimed, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded)));
        steps.load(Ordering::Relaxed)
    };
    let (few, many) = (cost(10, 10), cost(1_000_000, 1_000_000));
    assert!(few > 0 && many <= few * 2, "{few} instructions with 10 runs, {many} with 2,000,000");
}

#[test]
fn a_run_without_output_takes_at_most_140_bytes() {
    const RUNS: u32 = 20_000;
    let store = Store::in_memory();
    let size = |store: &Store| -> i64 {
        let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        store.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let job_id = store.register_job("a", &[], Some("x"), NOW).unwrap().id;
    let before = size(&store);
    store.begin().unwrap();
    for secs in 0..i64::from(RUNS) {
        let occurrence = NewOccurrence {
            job_id,
            cause: Cause::Schedule,
            scheduled_at: later(secs),
            due_at: later(secs),
            priority: 0,
            max_attempts: Some(4),
            now: later(secs),
        };
        let id = store.insert_occurrence(&occurrence).unwrap().unwrap();
        let queued = run(&store, id);
        let row = store.claim_if_queued(&queued, 3, &terms(), later(secs)).unwrap().unwrap();
        assert!(finish(&store, &row, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded)));
        // As large as they are on a machine that has been up for long.
        store
            .conn
            .run(
                "UPDATE attempt SET pid = 4000000 - run, max_rss_kib = 20000 + run, user_ms = 500 \
                 WHERE run = ?1",
                [id],
            )
            .unwrap();
    }
    store.commit().unwrap();
    let bytes = (size(&store) - before) / i64::from(RUNS);
    assert!(bytes <= 140, "{bytes} bytes for each run");
}
