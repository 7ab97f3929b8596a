//! Claims, ends, and what is done to a run by hand.

use super::*;

#[test]
fn a_claim_is_given_once_and_an_end_counts_once() {
    let mut store = Store::in_memory();
    let id = add(&mut store, "a", "x");
    let queued = run(&store, id);
    let claimed = claim(&store, id);
    assert!(store.claim_if_queued(&queued, 1, &terms(), NOW).unwrap().is_none());
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
    assert_eq!((second.attempt, second.budget.charged), (2, 1));
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
    assert_eq!((queued.state, queued.budget.max, queued.acked), (State::Queued, Some(4), None));
    let again = claim(&store, id);
    assert_eq!((again.attempt, again.budget.began_at), (2, Some(NOW)));
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
    let answer = store.retry_if_ended(first, Some(1), later(180), Force::Yes).unwrap();
    assert!(matches!(answer, Answer::Refused(_)));
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
fn an_attempt_names_what_it_was_claimed_with_and_equal_policies_are_one_row() {
    let mut store = Store::in_memory();
    let policies = |store: &Store| store.texts_raw("SELECT text FROM policy ORDER BY id");
    let patient = Terms::of(&Policy { skip_exit: Box::from([75]), ..Policy::default() }, true);
    let id = add(&mut store, "a", "x");
    assert_eq!(store.terms(id).unwrap(), None);
    let first = claim(&store, id);
    assert_eq!(store.terms(id).unwrap(), Some(terms()));
    finish(&store, &first, &Outcome::Exited(3), Next::RetryAt(later(10)));
    store.queue_due(later(10)).unwrap();
    let queued = run(&store, id);
    let second = store.claim_if_queued(&queued, 0, &patient, later(10)).unwrap().unwrap();
    assert_eq!(store.terms(id).unwrap(), Some(patient));
    store.unclaim_if_running(id, second.claim).unwrap();
    assert_eq!(store.terms(id).unwrap(), Some(terms()));
    let other = add(&mut store, "a", "y");
    claim(&store, other);
    assert_eq!(policies(&store).len(), 2);
    let text = &policies(&store)[0];
    assert!(text.starts_with(r#"{"version":"1","is_shell":false,"success_exit":[0],"#), "{text}");
    for (text, known) in [
        (text.replace(r#""lock":null"#, r#""lock":null,"later":1"#), Some(terms())),
        (text.replace(r#""version":"1""#, r#""version":"2""#), None),
        ("{}".to_owned(), None),
    ] {
        store.execute_raw(&format!("UPDATE policy SET text = '{text}' WHERE id = 1"));
        assert_eq!(store.terms(other).unwrap(), known, "{text}");
    }
}
