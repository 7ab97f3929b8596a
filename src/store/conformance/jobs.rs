//! Jobs: schedules, pauses, renames, pruning; verbs done together.

use super::*;

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
fn verbs_done_together_are_all_there_or_none() {
    let mut store = Store::in_memory();
    let ids = [add(&mut store, "a", "x"), add(&mut store, "a", "y")];
    let failed: Result<(), crate::store::StoreError> = store.together(|store| {
        store.cancel_if_unfinished(ids[0], later(1))?;
        Err(crate::store::StoreError::Missing("x".into()))
    });
    assert!(failed.is_err());
    assert_eq!(run(&store, ids[0]).state, State::Queued);
    let done: Result<(), crate::store::StoreError> = store.together(|store| {
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

#[test]
fn a_queue_knows_how_many_runs_ended_since_it_was_empty_and_how_fast() {
    let mut store = Store::in_memory();
    let end = |store: &Store, id: i64| {
        let row = claim(store, id);
        finish(store, &row, &Outcome::Exited(0), Next::Finish(Verdict::Succeeded));
        row.job_id
    };
    let first = add(&mut store, "a", "1");
    let job = end(&store, first);
    assert_eq!(store.ended_since_empty(job).unwrap(), Some(1));
    let ids: Vec<i64> = (2..5).map(|n| add(&mut store, "a", &n.to_string())).collect();
    assert_eq!(store.ended_since_empty(job).unwrap(), Some(0));
    end(&store, ids[0]);
    end(&store, ids[1]);
    assert_eq!(store.ended_since_empty(job).unwrap(), Some(2));
    let pace = |since| store.pace(job, ids[1], since).unwrap();
    assert_eq!(pace(later(2)), Some(Pace { ended: 3, since: NOW }));
    assert_eq!(store.pace(job, first, NOW).unwrap(), Some(Pace { ended: 1, since: NOW }));
    assert_eq!(pace(later(3)), None);
    // What becomes one with another job is one number with its ends.
    store.register_job("b", &["a"], None, NOW).unwrap();
    store.know_job("c").unwrap();
    store.register_job("c", &["b"], None, NOW).unwrap();
    move_all(&store);
    let heir = store.job("c").unwrap().unwrap().id;
    assert_ne!(heir, job);
    assert_eq!(store.ended_since_empty(heir).unwrap(), None);
}
