//! Items: the order given, backlogs, keys, inputs and expiry.

use super::*;

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
