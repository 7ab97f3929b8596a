//! `Idempotency-Key`: whoever does not know whether a request was heard sends it again, and it is
//! done once.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::home::{BEARER, Home, JSON, NDJSON};
use crate::support::http::Reply;

const JOBS: &str = "[jobs.a]\ncommand = 'true'\nenqueue_by = 'token:shop'\nbacklog_max = 6\n\
                    [jobs.b]\ncommand = 'true'\n";

/// Adds to a job with a key.
#[track_caller]
fn post(home: &Home, job: &str, key: &str, body: &str) -> Reply {
    let key = format!("Idempotency-Key: {key}");
    home.ask(&format!("POST /v1/jobs/{job}/runs"), &[JSON, &key], body)
}

/// Removes all runs, as pruning does when they are old.
#[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
fn prune(home: &Home) {
    let database = home.house.state_dir().join("jobctl.db");
    let store = rusqlite::Connection::open(database).expect("the store is there");
    store.execute("DELETE FROM run", []).expect("it has the table");
}

fn replayed(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}

#[test]
fn a_request_that_is_sent_again_has_the_first_answer_and_adds_nothing() {
    let home = Home::new(JOBS);
    home.house.ask(&["pause", "--all"]).expect(0);
    let first = post(&home, "a", "\"x\"", r#"{"key": "k"}"#);
    assert_eq!((first.status, replayed(&first)), (201, false), "{first:?}");
    home.house.ask(&["cancel", "1"]).expect(0);
    prune(&home);
    let again = post(&home, "a", "x", r#"{"key": "k"}"#);
    assert_eq!((again.status, replayed(&again)), (201, true), "{again:?}");
    assert_eq!(again.header("location"), Some("/v1/runs/1"));
    assert_eq!(again.body, first.body);
    assert_eq!(home.house.runs("a").len(), 0);
}

#[test]
fn a_key_is_of_one_caller_one_job_and_one_body() {
    let home = Home::new(JOBS);
    home.house.ask(&["pause", "--all"]).expect(0);
    let id = |reply: &Reply| reply.json()["id"].clone();
    let first = post(&home, "a", "x", "{}");
    assert_eq!((first.status, id(&first)), (201, json!(1)));
    let other = post(&home, "a", "x", r#"{"args": ["1"]}"#);
    assert_eq!((other.status, other.problem().as_str()), (422, "idempotency-key-reused"));
    assert_eq!(id(&post(&home, "b", "x", "{}")), json!(2));
    let shop = home.ask("POST /v1/jobs/a/runs", &[JSON, BEARER, "Idempotency-Key: x"], "{}");
    assert_eq!(id(&shop), json!(3));
    for key in ["", "\"\"", "\"x", &"x".repeat(256), "x\r\nIdempotency-Key: x"] {
        let reply = post(&home, "a", key, "{}");
        assert_eq!((reply.status, reply.problem().as_str()), (400, "bad-request"), "{key}");
    }
    assert_eq!(home.house.runs("a").len() + home.house.runs("b").len(), 3);
}

#[test]
fn a_refusal_is_not_remembered() {
    let home = Home::new(JOBS);
    home.house.ask(&["pause", "--all"]).expect(0);
    for _ in 0..6 {
        home.house.enqueue(&["a"]);
    }
    assert_eq!(post(&home, "a", "x", "{}").problem(), "backlog-full");
    assert_eq!(post(&home, "a", "x", "{").problem(), "bad-json");
    home.house.ask(&["cancel", "1"]).expect(0);
    let added = post(&home, "a", "x", "{}");
    assert_eq!((added.status, replayed(&added)), (201, false), "{added:?}");
    // Full again; but this was answered.
    assert!(replayed(&post(&home, "a", "x", "{}")));
}

#[test]
fn lines_with_a_key_are_added_once() {
    let home = Home::new(JOBS);
    home.house.ask(&["pause", "--all"]).expect(0);
    let post = |body: &str| home.ask("POST /v1/jobs/a/runs", &[NDJSON, "Idempotency-Key: x"], body);
    assert_eq!(post(&"{}\n".repeat(1001)).problem(), "invalid");
    let first = post("{}\n{\"key\": \"k\"}\n");
    let again = post("{}\n{\"key\": \"k\"}\n");
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((replayed(&first), replayed(&again)), (false, true));
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(home.house.runs("a").len(), 2);
}

#[test]
fn requests_with_a_key_that_come_together_have_one_answer() {
    let home = Home::new(JOBS);
    home.house.ask(&["pause", "--all"]).expect(0);
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..8).map(|_| scope.spawn(|| post(&home, "b", "x", r#"{"args": ["1"]}"#))).collect();
        clients.into_iter().map(|client| client.join().expect("it has not panicked")).collect()
    });
    let answers: BTreeSet<_> = replies.iter().map(|reply| (reply.status, &reply.body)).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(replies.iter().filter(|reply| !replayed(reply)).count(), 1);
    assert_eq!(home.house.runs("b").len(), 1);
}
