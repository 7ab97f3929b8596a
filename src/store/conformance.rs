//! The promises of the store, through its verbs, on real SQLite.

mod attempts;
mod batch;
mod costs;
mod followers;
mod items;
mod jobs;
mod names;
mod notices;
mod past;
mod portions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::prune::PruneLimits;
use super::types::{Finish, NewOccurrence, NewSkip, Usage};
use super::{
    Added, Addition, Answer, Conditions, Enqueued, Filter, Force, NewItem, OnConflict, Output,
    Pace, RunRow, Scope, Store,
};
use crate::core::job::Policy;
use crate::core::pause::Pause;
use crate::core::retry::{Budget, Next, Stopped};
use crate::core::run::{Cause, Outcome, Reason, State, Verdict};
use crate::core::terms::Terms;
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

fn terms() -> Terms {
    Terms::of(&Policy::default(), false)
}

fn claim(store: &Store, id: i64) -> RunRow {
    assert!(store.claim_if_queued(&run(store, id), 0, &terms(), NOW).unwrap().is_some());
    run(store, id)
}

fn finish(store: &Store, row: &RunRow, outcome: &Outcome, next: Next) -> bool {
    store
        .finish_if_running(&Finish {
            run: row,
            outcome,
            remark: None,
            report: &crate::core::report::Report::default(),
            next,
            budget: Budget { charged: row.budget.charged + 1, ..row.budget },
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
