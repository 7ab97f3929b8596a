//! Jobs that become one (`was`) while both have runs, and what is done before the last of these has
//! moved.

use super::portions::changed_by;
use super::*;

/// So many runs of a job, in a state.
fn fill(store: &Store, job: i64, state: State, count: u32) {
    let state = state.code();
    store.execute_raw(&format!(
        "CREATE TEMP TABLE filled AS SELECT coalesce(max(id), 0) AS until FROM run;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO run(job, state, cause, created_at, due_at, max_attempts) SELECT {job}, 2, 3, 5, 5, 1 FROM n;
         UPDATE run SET state = {state}, attempt = {state} > 2, ended_at = iif({state} > 4, 6, NULL),
             reason = iif({state} = 6, 1, NULL) WHERE {state} <> 2 AND id > (SELECT until FROM filled);
         DROP TABLE filled"
    ));
}

/// Jobs `a` and `b` with runs of each kind, the queued ones of `a` behind a longer history.
fn both(store: &mut Store) -> [i64; 2] {
    let [a, b] = ["a", "b"].map(|name| store.register_job(name, &[], Some("x"), NOW).unwrap().id);
    for job in [a, b] {
        fill(store, job, State::Queued, 10);
        fill(store, job, State::Failed, 20);
        fill(store, job, State::Running, 1);
        fill(store, job, State::Retrying, 1);
    }
    fill(store, a, State::Succeeded, 2000);
    [a, b]
}

fn ids_of(store: &Store, job: &str) -> Vec<i64> {
    store.ids(&Filter { job: Some(job.into()), ..Filter::default() }).unwrap()
}

#[test]
fn jobs_become_one_in_portions_and_are_one_for_who_looks_from_the_beginning() {
    for was_first in [false, true] {
        let mut store = Store::in_memory();
        let [a, b] = both(&mut store);
        if was_first {
            // The row that goes on is that of the former name: the other one has to give up the new
            // name.
            store.execute_raw("UPDATE job SET watermark = NULL WHERE name = 'b'");
        }
        let all = ids_of(&store, "a").len() + ids_of(&store, "b").len();
        let ((), changed) = changed_by(&store, || {
            store.register_job("b", &["a"], Some("x"), NOW).map(|_| ()).unwrap();
        });
        assert!(changed < 30, "{changed} rows in a load");
        let heir = if was_first { a } else { b };
        let mut turns = 0;
        loop {
            assert_counters_are_true(&store);
            assert_eq!(ids_of(&store, "b").len(), all);
            let jobs = store.jobs().unwrap();
            assert_eq!(jobs.len(), 1);
            let is = (jobs[0].id, jobs[0].running, jobs[0].queued, jobs[0].failed);
            assert_eq!(is, (heir, 2, 20, 40), "{}", jobs[0].name);
            let numbers = &store.job_numbers().unwrap()[0];
            assert_eq!(numbers.ended[..2], [2000, 40]);
            // A turn that is undone has done nothing.
            store.begin().unwrap();
            let first = store.move_former().unwrap();
            store.rollback();
            let (moved, changed) = changed_by(&store, || store.move_former().unwrap());
            assert_eq!(moved, first);
            assert!(changed < 30, "{changed} rows in a turn");
            if moved.heirs.is_empty() {
                break;
            }
            assert_eq!(moved.withheld.is_empty(), turns > 2, "what is queued moves first");
            turns += 1;
        }
        assert!(turns > 3);
        assert_eq!(store.texts_raw("SELECT name FROM job"), ["b"]);
        assert_eq!(
            store.texts_raw("SELECT DISTINCT CAST(job AS TEXT) FROM run"),
            [heir.to_string()]
        );
    }
}

#[test]
fn what_runs_is_in_the_row_that_goes_on_with_the_load() {
    let mut store = Store::in_memory();
    let [_, b] = both(&mut store);
    store.execute_raw(
        "INSERT INTO attempt(run, attempt, policy, slot, started_at) \
         SELECT id, attempt, 1, id, 1 FROM run WHERE state = 3",
    );
    store.register_job("b", &["a"], Some("x"), NOW).unwrap();
    assert_eq!(store.slots_of_job("b", &["a"]).unwrap().len(), 2);
    assert_eq!(store.row_of("b", &["a"]).unwrap(), b);
}

#[test]
fn a_key_that_has_yet_to_move_is_held() {
    let mut store = Store::in_memory();
    both(&mut store);
    let error = Conditions { on_conflict: OnConflict::Error, ..Conditions::default() };
    let later = Addition { due_at: later(60), ..addition("a") };
    let by = id_of(&added(&mut store, &later, Some("k")));
    fill(&store, 1, State::Failed, 100);
    store.register_job("b", &["a"], Some("x"), NOW).unwrap();
    store.move_former().unwrap();
    assert_eq!(store.texts_raw("SELECT CAST(job AS TEXT) FROM run WHERE key = 'k'"), ["1"]);
    let again = Addition { conditions: error, ..addition("b") };
    let held = Enqueued::KeyHeld { key: "k".into(), by };
    assert_eq!(added(&mut store, &again, Some("k")), held);
    assert_eq!(store.key_holder(2, "k").unwrap(), Some(by));
    let replacing = Conditions { on_conflict: OnConflict::Replace, ..Conditions::default() };
    let instead = Addition { conditions: replacing, ..addition("b") };
    let instead = id_of(&added(&mut store, &instead, Some("k")));
    assert_eq!(run(&store, by).by, Some(instead));
    move_all(&store);
    assert_eq!(run(&store, instead).key.as_deref(), Some("k"));
}

#[test]
fn another_reload_in_between_is_as_right_as_one_after_it() {
    // Renamed once more, united once more, and the former name given to a job of its own.
    let mut store = Store::in_memory();
    let [a, b] = both(&mut store);
    let all = ids_of(&store, "a").len() + ids_of(&store, "b").len();
    store.register_job("b", &["a"], Some("x"), NOW).unwrap();
    store.move_former().unwrap();
    let own = store.register_job("a", &[], Some("x"), NOW).unwrap().id;
    assert!(own != a && own != b);
    assert!(store.register_job("b", &["a2"], Some("x"), NOW).unwrap().merged.is_empty());
    let d = store.register_job("d", &[], Some("x"), NOW).unwrap().id;
    store.move_former().unwrap();
    let known = store.register_job("d", &["c", "b"], Some("x"), NOW).unwrap();
    assert_eq!((known.id, known.merged), (d, vec![b]));
    assert_eq!(ids_of(&store, "d").len(), all);
    assert_counters_are_true(&store);
    move_all(&store);
    assert_counters_are_true(&store);
    assert_eq!(ids_of(&store, "d").len(), all);
    assert!(ids_of(&store, "a").is_empty());
    assert_eq!(store.texts_raw("SELECT name FROM job ORDER BY name"), ["a", "d"]);
}

#[test]
fn a_job_that_is_removed_in_between_takes_the_occurrences_along_that_wait() {
    let mut store = Store::in_memory();
    let [_, b] = both(&mut store);
    store.execute_raw("UPDATE run SET cause = 1 WHERE state IN (2, 4)");
    store.register_job("b", &["a"], Some("x"), NOW).unwrap();
    store.move_former().unwrap();
    let gone = store.mark_absent(&std::collections::HashSet::new()).unwrap();
    assert_eq!(gone.iter().map(|job| (job.id, job.unfinished)).collect::<Vec<_>>(), [(b, 24)]);
    assert_eq!(store.skip_removed(b, later(60)).unwrap(), 22);
    assert_eq!(store.absent_jobs().unwrap(), [b]);
    move_all(&store);
    assert_counters_are_true(&store);
    assert!(store.jobs().unwrap()[0].queued == 0);
}

#[test]
fn nothing_is_pruned_or_acknowledged_before_all_of_it_has_moved() {
    let mut store = Store::in_memory();
    let [_, b] = both(&mut store);
    store.execute_raw("UPDATE run SET cause = 1, ended_at = 1 WHERE state = 6");
    store.register_job("b", &["a"], Some("x"), NOW).unwrap();
    let limits = PruneLimits {
        runs_max: 1000,
        succeeded_before: Wall::from_ms(0),
        failed_before: Wall::from_ms(0),
        now: NOW,
    };
    store.move_former().unwrap();
    assert_eq!(store.prune(b, 0, 500, &limits).unwrap().runs, 0);
    let success =
        ids_of(&store, "b").into_iter().filter(|id| run(&store, *id).state == State::Running);
    let success = run(&store, success.max().unwrap());
    let next = Next::Finish(Verdict::Succeeded);
    store.execute_raw(&format!("UPDATE run SET cause = 1 WHERE id = {}", success.id));
    assert!(finish(&store, &run(&store, success.id), &Outcome::Exited(0), next));
    assert!(!store.acknowledge_owed().unwrap());
    assert_eq!(store.jobs().unwrap()[0].failed, 40);
    move_all(&store);
    while store.acknowledge_owed().unwrap() {}
    let before = ids_of(&store, "b").into_iter().filter(|id| *id < success.id);
    let waiting = before
        .filter(|id| run(&store, *id).state == State::Failed && run(&store, *id).acked.is_none());
    assert_eq!(waiting.count(), 0);
    assert_counters_are_true(&store);
    assert!(store.prune(b, 0, 5000, &limits).unwrap().runs > 500);
}

#[test]
fn a_turn_costs_the_same_however_many_runs_have_yet_to_move() {
    let cost = |ended| {
        let mut store = Store::in_memory();
        let [a, _] = both(&mut store);
        fill(&store, a, State::Succeeded, ended);
        store.register_job("b", &["a"], Some("x"), NOW).unwrap();
        while !store.move_former().unwrap().withheld.is_empty() {}
        let steps = store.count_instructions();
        store.move_former().unwrap();
        steps.load(Ordering::Relaxed)
    };
    let (few, many) = (cost(1), cost(20_000));
    assert!(many < 2 * few, "{few} and {many} instructions");
}
