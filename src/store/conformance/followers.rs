//! Runs that wait for other runs.

use super::*;

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
