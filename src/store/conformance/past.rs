//! What a report asks of the past.

use super::super::Downtime;
use super::*;

#[test]
fn what_waits_is_counted_by_when_it_fell_due() {
    let mut store = Store::in_memory();
    for secs in [-901, -900, -1, 899] {
        let due = Addition { due_at: later(secs), created_at: later(secs), ..addition("a") };
        added(&mut store, &due, None);
    }
    let ended = add(&mut store, "a", "ended");
    let running = add(&mut store, "b", "running");
    add(&mut store, "b", "waits");
    claim(&store, running);
    let row = claim(&store, ended);
    assert!(finish(&store, &row, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded)));
    let id = |name: &str| store.job(name).unwrap().unwrap().id;
    let counted = store.queued_by_due(later(-900), 900_000).unwrap();
    assert_eq!(counted, [(id("a"), -1, 1), (id("a"), 0, 2), (id("a"), 1, 1), (id("b"), 1, 1)]);
}

#[test]
fn times_without_starts_are_given_as_far_as_they_reach_into_a_span() {
    let store = Store::in_memory();
    let down = |from, to| Downtime { from: later(from), to: later(to), is_stopping: from == 50 };
    for (from, to) in [(50, 60), (-20, -10), (-5, 5), (90, 120)] {
        store.record_downtime(down(from, to)).unwrap();
    }
    let found = store.downtimes(NOW, later(100), 9).unwrap();
    assert_eq!(found, [down(-5, 5), down(50, 60), down(90, 120)]);
    assert_eq!(store.downtimes(NOW, later(100), 1).unwrap(), [down(-5, 5)]);
}
