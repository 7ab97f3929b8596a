//! Large batches of items: out of sight until they are shown, and what others do to their keys
//! meanwhile.

use super::*;
use crate::store::{Batch, Begun, Bringing, Shown, Staged};

fn addition(on_conflict: OnConflict) -> Addition<'static> {
    Addition {
        conditions: Conditions { on_conflict, ..Conditions::default() },
        ..super::addition("a")
    }
}

fn item(key: &str) -> NewItem {
    NewItem { args: vec![key.as_bytes().to_vec()], key: Some(key.to_owned()), input: None }
}

fn begin(store: &mut Store, ticket: i64) -> Batch {
    let begun = store.begin_batch(ticket, 1, &addition(OnConflict::Ignore));
    let Begun::Batch(batch) = begun.unwrap() else { panic!("it can begin") };
    batch
}

fn stage(store: &Store, batch: Batch, key: &str) -> i64 {
    let staged = store.stage_item(batch, &addition(OnConflict::Ignore), &item(key));
    let Staged::Run(run) = staged.unwrap() else { panic!("it is a run") };
    run
}

fn show(store: &Store, batch: Batch) -> Shown {
    store.show_batch(batch, &addition(OnConflict::Ignore), 1, 0).unwrap()
}

/// Brings until there is nothing to do; `alive` is the ticket of a batch whose command lives.
fn bring(store: &Store, alive: i64) {
    let bringing =
        Bringing { limit: 2, now: NOW, keys: &|_| None, is_alive: &|ticket| ticket == alive };
    while store.bring_fed(&bringing).unwrap().has_more {}
}

fn add_keyed(store: &mut Store, key: &str) -> Added {
    let added = store.enqueue(&addition(OnConflict::Ignore), [item(key)]).unwrap();
    let Enqueued::Added(added) = added else { panic!("no limit was set") };
    added[0]
}

#[test]
fn a_batch_is_out_of_sight_until_it_is_shown_and_is_taken_away_when_its_command_has_died() {
    let mut store = Store::in_memory();
    let batch = begin(&mut store, 7);
    let staged = [stage(&store, batch, "x"), stage(&store, batch, "y")];
    bring(&store, 7);
    assert_eq!(store.runs(&Filter::default(), None).unwrap(), []);
    assert_eq!(store.run(staged[0]).unwrap(), None);
    assert_eq!(store.job("a").unwrap().unwrap().queued, 0);
    assert_eq!(store.next_expiry_at().unwrap(), None);
    bring(&store, 0);
    assert_eq!(show(&store, batch), Shown::Gone);
    assert!(!store.has_feeds().unwrap());
    assert_eq!(
        store.stage_item(batch, &addition(OnConflict::Ignore), &item("z")).unwrap(),
        Staged::Gone
    );
}

#[test]
fn who_adds_a_key_while_a_batch_is_put_down_has_it_and_stands_for_the_item() {
    let mut store = Store::in_memory();
    let batch = begin(&mut store, 7);
    let staged = stage(&store, batch, "x");
    let single = add_keyed(&mut store, "x");
    assert!(!single.existing && single.id != staged);
    assert_eq!(show(&store, batch), Shown::Unsettled);
    let ignore = addition(OnConflict::Ignore);
    assert_eq!(
        store.settle_item(batch, &ignore).unwrap(),
        Some((staged, Staged::Existing(single.id)))
    );
    assert_eq!(store.settle_item(batch, &ignore).unwrap(), None);
    assert_eq!(show(&store, batch), Shown::Yes);
    bring(&store, 0);
    let runs = store.runs(&Filter::default(), None).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].id, single.id);
}

#[test]
fn of_two_batches_with_a_key_the_first_that_is_shown_has_it() {
    let mut store = Store::in_memory();
    let (one, other) = (begin(&mut store, 7), begin(&mut store, 8));
    let first = stage(&store, one, "x");
    let second = stage(&store, other, "x");
    let ignore = addition(OnConflict::Ignore);
    assert_eq!(show(&store, other), Shown::Unsettled);
    assert_eq!(store.settle_item(other, &ignore).unwrap(), Some((second, Staged::Run(second))));
    assert_eq!(show(&store, other), Shown::Yes);
    assert_eq!(store.settle_item(one, &ignore).unwrap(), Some((first, Staged::Existing(second))));
    assert_eq!(show(&store, one), Shown::Yes);
    assert_eq!(add_keyed(&mut store, "x").id, second);
    bring(&store, 0);
    assert_eq!(run(&store, second).key.as_deref(), Some("x"));
    assert_eq!(store.runs(&Filter::default(), None).unwrap().len(), 1);
}

#[test]
fn a_key_of_a_batch_that_came_to_nothing_is_free_and_a_retry_takes_it_from_one_under_way() {
    let mut store = Store::in_memory();
    let ended = add_keyed(&mut store, "x").id;
    store.cancel_if_unfinished(ended, NOW).unwrap();
    let batch = begin(&mut store, 7);
    stage(&store, batch, "x");
    assert_eq!(store.key_holder(1, "x").unwrap(), None);
    let retried = store.retry_if_ended(ended, Some(1), NOW, Force::No);
    assert_eq!(retried.unwrap(), Answer::Done);
    while store.drop_batch(batch).unwrap() {}
    assert_eq!(add_keyed(&mut store, "x").id, ended);
}

#[test]
fn what_a_batch_replaces_is_not_started_before_it_is_replaced() {
    let mut store = Store::in_memory();
    let holders: Vec<i64> = ["x", "y", "z"].map(|key| add_keyed(&mut store, key).id).into();
    let batch = begin(&mut store, 7);
    let replace = addition(OnConflict::Replace);
    for key in ["x", "y", "z"] {
        let staged = store.stage_item(batch, &replace, &item(key)).unwrap();
        assert!(matches!(staged, Staged::Instead(_)));
    }
    assert_eq!(run(&store, holders[2]).state, State::Queued);
    assert_eq!(store.show_batch(batch, &replace, 3, 3).unwrap(), Shown::Yes);
    let bringing = Bringing { limit: 2, now: NOW, keys: &|_| None, is_alive: &|_| false };
    let brought = store.bring_fed(&bringing).unwrap();
    assert_eq!(brought.withheld, [1].into());
    assert_eq!(run(&store, holders[2]).state, State::Queued);
    let brought = store.bring_fed(&bringing).unwrap();
    assert!(brought.has_more && brought.withheld.is_empty());
    assert!(holders.iter().all(|id| run(&store, *id).state == State::Cancelled));
    // One that has been claimed before the batch is shown is not replaced.
    bring(&store, 0);
    let head = store.queue_head(1).unwrap().unwrap();
    let batch = begin(&mut store, 8);
    let key = head.key.clone().unwrap();
    store.stage_item(batch, &replace, &item(&key)).unwrap();
    store.claim_if_queued(&head, 0, &terms(), NOW).unwrap();
    let refused = Shown::Refused { key, by: head.id };
    assert_eq!(store.show_batch(batch, &replace, 1, 1).unwrap(), refused);
}
