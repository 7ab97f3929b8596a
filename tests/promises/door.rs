//! The door: other users and programs add runs and look at them, each no more than the jobfile
//! lets him.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::home::{BEARER, Home, JSON, NDJSON, jobfile};
use crate::support::http::{Reply, as_user, request, send, send_to_port, unix};
use crate::support::{House, Need, environment, is_alive, is_root, skipped, wait_for, wait_gone};

/// A user who has no account.
const SOMEBODY: u32 = 54_321;

const RESIZE: &str = "[jobs.resize]\ncommand = 'echo \"$1\"; cat'\nenqueue_by = ['user:54321', 'token:shop']\n\
                      [jobs.other]\ncommand = 'true'\n";

#[test]
fn a_run_is_added_and_answered_when_it_has_ended() {
    let home = Home::new(RESIZE);
    let reply = home.add("resize", &json!({ "args": ["a b"], "stdin": "in\n", "priority": 5 }));
    assert_eq!((reply.status, reply.header("location")), (201, Some("/v1/runs/1")), "{reply:?}");
    let run = reply.json();
    assert_eq!(
        (&run["state"], &run["args"], &run["priority"]),
        (&json!("queued"), &json!(["a b"]), &json!(5))
    );
    let ended = home.ask("GET /v1/runs/1?wait=1m", &[], "");
    assert_eq!(ended.status, 200);
    assert_eq!(ended.json(), home.house.show(1));
    assert_eq!(ended.json()["state"], "succeeded");
    assert_eq!(home.house.ask(&["logs", "1", "--raw"]).out, "a b\nin\n");
    let socket = home.socket();
    assert_eq!(home.supervisor.stop(), 0);
    assert!(!socket.exists(), "nobody listens there any more");
}

#[test]
fn a_browser_of_who_may_look_gets_the_report_without_a_script() {
    let home = Home::new(RESIZE);
    assert_eq!(home.add("resize", &json!({})).status, 201);
    home.house.wait_state(1, "succeeded");
    let page = home.ask("GET /", &[], "");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").expect("it has one");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(page.body.contains("resize") && page.body.contains("other"), "{page:?}");
    assert!(!page.body.contains("<script"), "{page:?}");
    let one = home.ask("GET /?job=other&since=1h", &[], "");
    assert!(one.status == 200 && !one.body.contains("resize"), "{one:?}");
    assert_eq!(home.ask("GET /?job=none", &[], "").problem(), "no-such-job");
    assert_eq!(home.ask("GET /?since=soon", &[], "").problem(), "bad-request");
    assert_eq!(home.ask("GET /", &[BEARER], "").problem(), "forbidden");
    assert_eq!(home.ask("POST /", &[], "").problem(), "method-not-allowed");
}

#[test]
fn another_user_adds_to_his_jobs_and_sees_his_runs_and_nothing_else() {
    if !is_root() {
        return skipped(Need::Root, "another user calls");
    }
    let home = Home::new(RESIZE);
    let foreign = home.house.enqueue(&["resize"]);
    assert_eq!(home.house.show(foreign)["created_by"], "user:root");
    home.house.ask(&["pause", "--all"]).expect(0);
    let ask = |first: &str, body: &str| {
        let text = request(first, &[JSON], body);
        let text = if body.is_empty() { text.replace(&format!("{JSON}\r\n"), "") } else { text };
        as_user(SOMEBODY, || send(&home.socket(), &text))
    };
    let added = ask("POST /v1/jobs/resize/runs", r#"{"key": "k"}"#);
    assert_eq!((added.status, &added.json()["created_by"]), (201, &json!("user:54321")));
    let own = added.json()["id"].as_i64().expect("an id");
    for (first, body, status, problem) in [
        ("POST /v1/jobs/other/runs", "{}", 403, "forbidden"),
        ("POST /v1/jobs/nothing/runs", "{}", 403, "forbidden"),
        ("POST /v1/jobs/resize/runs", r#"{"priority": 1}"#, 403, "forbidden"),
        ("POST /v1/jobs/resize/runs", r#"{"after": [1]}"#, 422, "invalid"),
        (&format!("GET /v1/runs/{foreign}"), "", 404, "no-such-run"),
        (&format!("POST /v1/runs/{foreign}/cancel"), "", 404, "no-such-run"),
        (&format!("POST /v1/runs/{own}/retry"), "", 403, "forbidden"),
        ("POST /v1/pause", "", 403, "forbidden"),
        ("POST /v1/jobs/resize/pause", "", 403, "forbidden"),
    ] {
        let reply = ask(first, body);
        assert_eq!((reply.status, reply.problem().as_str()), (status, problem), "{first} {body}");
    }
    let raised = ask("POST /v1/jobs/resize/runs", r#"{"priority": 10}"#).json();
    let detail =
        "priority 10 is above the job's priority 0; only callers in `operate` may set that";
    assert_eq!(raised["detail"], detail);
    let again = ask("POST /v1/jobs/resize/runs", r#"{"key": "k"}"#);
    assert_eq!((again.status, &again.json()["id"]), (200, &json!(own)));
    home.house.enqueue(&["--key", "theirs", "resize"]);
    let held = ask("POST /v1/jobs/resize/runs", r#"{"key": "theirs"}"#);
    let short = json!({ "id": own + 1, "state": "queued", "existing": true });
    assert_eq!((held.status, held.json()), (200, short));
    let replacing =
        ask("POST /v1/jobs/resize/runs", r#"{"key": "theirs", "on_conflict": "replace"}"#);
    assert_eq!((replacing.status, replacing.problem().as_str()), (409, "key-held"));
    let replacing = ask("POST /v1/jobs/resize/runs", r#"{"key": "k", "on_conflict": "replace"}"#);
    assert_eq!(replacing.status, 201, "{replacing:?}");
    assert_eq!(home.house.show(own)["state"], "cancelled");
    let own = replacing.json()["id"].as_i64().expect("an id");
    assert_eq!(ask(&format!("GET /v1/runs/{own}"), "").status, 200);
    let cancelled = ask(&format!("POST /v1/runs/{own}/cancel"), "");
    assert_eq!((cancelled.status, &cancelled.json()["answer"]), (200, &json!("done")));
}

#[test]
fn whom_view_and_operate_name_may_look_and_change() {
    let look = Home::with("view = ['token:shop']", RESIZE);
    let run = look.house.enqueue(&["other"]);
    look.house.wait_state(run, "succeeded");
    let get = format!("GET /v1/runs/{run}");
    assert_eq!(look.ask(&get, &[BEARER], "").status, 200);
    assert_eq!(look.ask("POST /v1/jobs/other/runs", &[BEARER], "").problem(), "forbidden");
    assert_eq!(look.ask("POST /v1/jobs/nothing/runs", &[BEARER], "").problem(), "no-such-job");
    assert_eq!(look.ask("POST /v1/pause", &[BEARER], "").problem(), "forbidden");
    let change = Home::with("operate = ['token:shop']", "[jobs.a]\ncommand = 'exit 1'\n");
    let post = |path: &str| change.ask(&format!("POST {path}"), &[BEARER], "");
    assert_eq!(post("/v1/jobs/a/runs").json()["created_by"], "token:shop");
    change.house.wait_state(1, "failed");
    assert_eq!(
        post("/v1/jobs/a/pause").json(),
        json!({ "job": "a", "paused": true, "by": "token:shop" })
    );
    let ack = post("/v1/runs/1/ack").json();
    assert_eq!(ack["message"], "run 1 (a) is acknowledged");
    assert_eq!(post("/v1/runs/1/ack").problem(), "wrong-state");
    assert_eq!(post("/v1/runs/1/retry").json()["answer"], "done");
    assert_eq!(post("/v1/runs/1/retry").problem(), "wrong-state");
    assert_eq!(post("/v1/runs/1/cancel").json()["answer"], "done");
    assert_eq!(change.house.show(1)["state"], "cancelled");
    assert_eq!(post("/v1/jobs/a/resume").json(), json!({ "job": "a", "paused": false }));
    assert_eq!(post("/v1/jobs/nothing/pause").problem(), "no-such-job");
    assert_eq!(post("/v1/runs/9/cancel").problem(), "no-such-run");
}

#[test]
fn what_the_verbs_show_is_shown_to_whom_view_names() {
    let home = Home::with(
        "view = ['token:shop']",
        "[jobs.a]\ncommand = 'true'\nschedule = '0 3 * * *'\n[jobs.b]\ncommand = 'true'\n",
    );
    let run = home.house.enqueue(&["a"]);
    home.house.wait_state(run, "succeeded");
    let get = |path: &str| home.ask(&format!("GET {path}"), &[BEARER], "");
    let verb = |args: &[&str]| {
        let out = home.house.ask(&[args, &["--json"]].concat()).expect(0).out;
        let lines = out.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect::<Vec<Value>>()
    };
    let lines = |path: &str| {
        let reply = get(path);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some("application/x-ndjson")),
            "{reply:?}"
        );
        reply
            .body
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect::<Vec<Value>>()
    };
    assert_eq!(get("/v1/status").json(), home.house.status());
    assert_eq!(json!(lines("/v1/jobs")), home.house.status()["jobs"]);
    assert_eq!(get("/v1/jobs/b").json(), home.house.status()["jobs"][1]);
    assert_eq!(lines("/v1/runs"), verb(&["runs"]));
    assert_eq!(vec![get("/v1/why/1").json()], verb(&["why", "1"]));
    assert_eq!(lines("/v1/next?limit=3"), verb(&["next", "-n", "3"]));
    assert_eq!(lines("/v1/next?job=a&limit=1").len(), 1);
    assert_eq!(lines("/v1/stats?job=a"), verb(&["stats", "a"]));
    let metrics = get("/metrics");
    assert_eq!(
        metrics.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8"),
        "{metrics:?}"
    );
    assert_eq!(steady(&metrics.body), steady(&home.house.ask(&["metrics"]).expect(0).out));
    for (path, problem) in [
        ("/v1/jobs/c", "no-such-job"),
        ("/v1/next?job=c", "no-such-job"),
        ("/v1/runs?job=c", "no-such-job"),
        ("/v1/stats?job=c", "no-such-job"),
        ("/v1/why/9", "no-such-run"),
        ("/v1/runs?state=odd", "bad-request"),
        ("/v1/runs?since=odd", "bad-request"),
        ("/v1/runs?limit=0", "bad-request"),
        ("/v1/runs?cursor=x", "bad-request"),
        ("/v1/status?x", "bad-request"),
    ] {
        assert_eq!(get(path).problem(), problem, "{path}");
    }
    home.house
        .write_jobfile(&jobfile("", "[jobs.a]\ncommand = 'true'\nenqueue_by = 'token:shop'\n"));
    home.house.ask(&["reload"]).expect(0);
    wait_for("the new jobfile", || (get("/v1/status").status == 403).then_some(()));
    for path in ["/metrics", "/v1/jobs", "/v1/jobs/a", "/v1/jobs/c", "/v1/next", "/v1/stats"] {
        assert_eq!(get(path).problem(), "forbidden", "{path}");
    }
    assert_eq!(lines("/v1/runs"), [json!(null); 0]);
    let own = home.ask("POST /v1/jobs/a/runs", &[BEARER], "").json();
    let ids: Vec<Value> = lines("/v1/runs").iter().map(|run| run["id"].clone()).collect();
    assert_eq!(ids, [own["id"].clone()]);
}

/// The metrics that do not change from one moment to the next.
fn steady(metrics: &str) -> Vec<&str> {
    let changes = ["jobctl_store_size_bytes ", "jobctl_loop_lag_seconds "];
    metrics.lines().filter(|line| !changes.iter().any(|name| line.starts_with(name))).collect()
}

#[test]
fn a_list_goes_on_behind_what_was_seen() {
    let home = Home::with(
        "view = ['token:shop']",
        "[jobs.a]\ncommand = 'true'\n[jobs.b]\ncommand = 'true'\n[jobs.c]\ncommand = 'true'\n",
    );
    home.house.ask(&["pause", "--all"]).expect(0);
    for job in ["a", "b", "a", "a", "b"] {
        home.house.enqueue(&[job]);
    }
    let accept = "Accept: application/json";
    let pages = |first: &str, item: fn(&Value) -> String| {
        let (mut seen, mut next) = (Vec::new(), first.to_owned());
        loop {
            let reply = home.ask(&format!("GET {next}"), &[BEARER, accept], "");
            let page = reply.json();
            seen.extend(page["items"].as_array().expect("a list").iter().map(item));
            let Some(following) = page["next"].as_str() else {
                assert_eq!(reply.header("link"), None);
                return seen;
            };
            let link = format!("<{following}>; rel=\"next\"");
            assert_eq!(reply.header("link"), Some(link.as_str()));
            next = following.to_owned();
            // What comes meanwhile changes no page.
            home.house.enqueue(&["a"]);
        }
    };
    assert_eq!(pages("/v1/runs?limit=2", |run| run["id"].to_string()), ["5", "4", "3", "2", "1"]);
    assert_eq!(pages("/v1/runs?job=b&limit=1", |run| run["id"].to_string()), ["5", "2"]);
    assert_eq!(
        pages("/v1/jobs?limit=2", |job| job["name"].to_string()),
        ["\"a\"", "\"b\"", "\"c\""]
    );
    assert_eq!(pages("/v1/runs?state=running", |run| run["id"].to_string()), [""; 0]);
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it is bound").port()
}

#[test]
fn on_a_port_a_token_says_who_calls_and_pages_of_elsewhere_are_refused() {
    let port = free_port();
    let house = House::new(
        &jobfile("", RESIZE).replace("listen = [", &format!("listen = ['127.0.0.1:{port}', ")),
    );
    let _supervisor = house.start();
    house.wait_text("log", &format!("address=127.0.0.1:{port}"));
    let host = format!("Host: 127.0.0.1:{port}");
    let post =
        |headers: &[&str]| send_to_port(port, &request("POST /v1/jobs/resize/runs", headers, ""));
    let own = post(&[&host, BEARER]);
    assert_eq!((own.status, &own.json()["created_by"]), (201, &json!("token:shop")));
    for (headers, status, problem) in [
        (&[&*host][..], 401, "unauthorized"),
        (&[&host, "Authorization: Bearer wrong"], 401, "unauthorized"),
        (&[&host, "Authorization: Basic secret"], 401, "unauthorized"),
        (&["Host: evil.example", BEARER], 421, "wrong-host"),
        (&["Host: localhost", BEARER], 421, "wrong-host"),
        (&[&host, "Origin: http://evil.example"], 403, "cross-origin"),
        (&[&host, "Sec-Fetch-Site: cross-site"], 403, "cross-origin"),
    ] {
        let reply = post(headers);
        assert_eq!((reply.status, reply.problem().as_str()), (status, problem), "{headers:?}");
    }
    let unknown = post(&[&host]);
    assert_eq!(unknown.header("www-authenticate"), Some("Bearer realm=\"jobctl\""));
    let get = |headers: &[&str]| send_to_port(port, &request("GET /v1/runs/1", headers, ""));
    assert_eq!(get(&[&host]).problem(), "unauthorized");
    assert_eq!(get(&[&host, BEARER]).status, 200);
    assert_eq!(send_to_port(port, &request("GET /healthz", &[&host], "")).status, 200);
}

#[test]
fn what_is_wrong_with_a_request_is_answered_with_a_problem_and_nothing_is_added() {
    let home = Home::new("[jobs.a]\ncommand = 'true'\nkey = 'k{1}'\nbacklog_max = 2\n");
    let text = "Content-Type: text/plain";
    let long = "x".repeat(131_072);
    let many: Vec<String> = (0..200).map(|number| format!("X-{number}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (first, headers, body, status, problem) in [
        ("POST /v1/jobs/a/runs", &[JSON][..], "{", 400, "bad-json"),
        ("POST /v1/jobs/a/runs", &[JSON], "[]", 422, "invalid"),
        ("POST /v1/jobs/a/runs", &[JSON], r#"{"arg": []}"#, 422, "invalid"),
        ("POST /v1/jobs/a/runs", &[JSON], r#"{"args": [1]}"#, 422, "invalid"),
        ("POST /v1/jobs/a/runs", &[JSON], r#"{"args": ["\u0000"]}"#, 422, "invalid"),
        ("POST /v1/jobs/a/runs", &[JSON], r#"{"args": []}"#, 422, "invalid"),
        ("POST /v1/jobs/a/runs", &[JSON], r#"{"key": ""}"#, 422, "invalid"),
        ("POST /v1/jobs/a/runs", &[JSON], &format!(r#"{{"args": ["{long}"]}}"#), 422, "invalid"),
        ("POST /v1/jobs/a/runs", &[JSON], r#"{"key": "k", "priority": 101}"#, 422, "invalid"),
        (
            "POST /v1/jobs/a/runs",
            &[JSON],
            r#"{"key": "k", "in": "1m", "at": "12:00"}"#,
            422,
            "invalid",
        ),
        ("POST /v1/jobs/a/runs", &[JSON], r#"{"key": "k", "at": "soon"}"#, 422, "invalid"),
        (
            "POST /v1/jobs/a/runs",
            &[JSON],
            r#"{"key": "k", "in": "2h", "expires": "1h"}"#,
            422,
            "invalid",
        ),
        ("POST /v1/jobs/a/runs", &[JSON], r#"{"key": "k", "after": [77]}"#, 422, "invalid"),
        (
            "POST /v1/jobs/a/runs",
            &[JSON],
            r#"{"args": ["x"], "args_base64": ["eA=="]}"#,
            422,
            "invalid",
        ),
        ("POST /v1/jobs/a/runs", &[JSON], r#"{"args_base64": ["?"]}"#, 422, "invalid"),
        ("POST /v1/jobs/a/runs", &[text], "{}", 415, "unsupported-type"),
        ("POST /v1/jobs/a/runs", &[], "{}", 415, "unsupported-type"),
        ("POST /v1/jobs/a/runs?dry=1", &[JSON], "{}", 400, "bad-request"),
        ("POST /v1/jobs/b/runs", &[JSON], "{}", 404, "no-such-job"),
        ("POST /v1/jobs/a%2Fruns/runs", &[JSON], "{}", 404, "no-such-job"),
        ("POST /v1/jobs/../jobs/a/runs", &[JSON], "{}", 404, "not-found"),
        ("POST /v1/jobs/a/runs/", &[JSON], "{}", 404, "not-found"),
        ("POST /v1/jobs/%zz/runs", &[JSON], "{}", 404, "not-found"),
        ("GET /v1/jobs/a/runs", &[], "", 405, "method-not-allowed"),
        ("DELETE /v1/runs/1", &[], "", 405, "method-not-allowed"),
        ("GET /v1/runs/1", &[], "", 404, "no-such-run"),
        ("GET /v1/runs/+1", &[], "", 404, "no-such-run"),
        ("GET /v1/runs/", &[], "", 404, "not-found"),
        ("GET /v1/runs/99999999999999999999", &[], "", 404, "no-such-run"),
        ("GET /v1/runs/1?wait=11m", &[], "", 400, "bad-request"),
        ("GET /v1/runs/1?wait=1s&wait=2s", &[], "", 400, "bad-request"),
        ("GET /nothing", &[], "", 404, "not-found"),
        ("GET /healthz", &[BEARER, BEARER], "", 400, "bad-request"),
    ] {
        let reply = home.ask(first, headers, body);
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (status, problem),
            "{first} {reply:?}"
        );
    }
    assert_eq!(home.ask("GET /v1/jobs/a/runs", &[], "").header("allow"), Some("POST"));
    assert_eq!(home.ask("GET /healthz", &many, "").status, 431, "too many headers");
    assert_eq!(send(&home.socket(), "nonsense\r\n\r\n").status, 400);
    assert_eq!(home.house.runs("a").len(), 0);
}

#[test]
fn a_body_that_is_too_long_is_refused_by_its_length() {
    let home = Home::new(RESIZE);
    let mut stream = unix(&home.socket());
    let head = format!(
        "POST /v1/jobs/resize/runs HTTP/1.1\r\nHost: x\r\n{JSON}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        25 << 20
    );
    stream.write_all(head.as_bytes()).expect("it is read");
    assert_eq!(Reply::read(stream).problem(), "too-large");
    let input = "x".repeat((16 << 20) + 1);
    assert_eq!(home.add("resize", &json!({ "stdin": input })).problem(), "too-large");
}

#[test]
fn lines_are_added_all_or_none_and_in_order() {
    let home = Home::new("[jobs.a]\ncommand = 'true'\nbacklog_max = 1600\n");
    home.house.ask(&["pause", "--all"]).expect(0);
    let add = |body: &str| home.ask("POST /v1/jobs/a/runs", &[NDJSON], body);
    let three =
        add("{\"args\": [\"1\"]}\n\n{\"args\": [\"2\"], \"key\": \"k\"}\n{\"priority\": 7}");
    assert_eq!(three.status, 201, "{three:?}");
    let ids: Vec<Value> =
        three.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let new = |id: i64| json!({ "id": id, "existing": false });
    assert_eq!(ids, [new(1), new(2), new(3)]);
    assert_eq!(home.house.show(3)["priority"], 7);
    let wrong = add("{}\n{\"args\": 1}\n");
    assert_eq!(wrong.problem(), "invalid");
    assert!(wrong.json()["detail"].as_str().is_some_and(|text| text.starts_with("line 2: ")));
    let held = add("{}\n{\"priority\": 1, \"key\": \"k\", \"on_conflict\": \"error\"}\n");
    assert_eq!((held.status, held.problem().as_str()), (409, "key-held"));
    let existing = add("{\"key\": \"k\"}");
    assert_eq!((existing.status, existing.json()), (200, json!({ "id": 2, "existing": true })));
    let many: String = (0..1500).map(|number| format!("{{\"args\": [\"{number}\"]}}\n")).collect();
    assert_eq!(add(&many).body.lines().count(), 1500);
    let full = add(&many);
    assert_eq!((full.status, full.problem().as_str()), (429, "backlog-full"));
    let detail = "job `a`: 1500 items do not fit: 1503 of at most 1600 wait already";
    assert_eq!(full.json()["detail"], detail);
    let groups: String =
        (0..98).map(|number| format!("{{\"priority\": {}}}\n", number % 2)).collect();
    let detail = "job `a`: 98 items do not fit: 1503 of at most 1600 wait already";
    assert_eq!(add(&groups).json()["detail"], detail, "what is undone does not count");
    assert!(full.header("retry-after").is_some());
    assert_eq!(home.house.runs("a").len(), 1503);
    let last = home.house.show(1503);
    assert_eq!((&last["args"], &last["created_by"]), (&json!(["1499"]), &json!(author())));
}

/// Who runs the tests, as it is recorded.
fn author() -> String {
    let uid = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("user:{uid}"), |user| format!("user:{}", user.name))
}

#[test]
fn what_was_answered_is_there_once_however_often_the_door_is_killed() {
    let home = Home::new("[jobs.a]\ncommand = 'true'\n");
    home.house.ask(&["pause", "--all"]).expect(0);
    let is_over = AtomicBool::new(false);
    let count = AtomicUsize::new(0);
    let (socket, is_over, count) = (home.socket(), &is_over, &count);
    let answered: BTreeMap<i64, String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let socket = &socket;
                scope.spawn(move || {
                    let mut answered = Vec::new();
                    for number in 0.. {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        let arg = format!("{client}-{number}");
                        // With its key it may be sent until it is answered.
                        let id = std::iter::repeat_with(|| try_to_add(socket, &arg))
                            .find_map(|id| id)
                            .expect("it goes on");
                        answered.push((id, arg));
                        count.store(
                            count.load(Ordering::Relaxed).max(answered.len()),
                            Ordering::Relaxed,
                        );
                    }
                    answered
                })
            })
            .collect();
        for _ in 0..10 {
            let door = home.door();
            let before = count.load(Ordering::Relaxed);
            wait_for("more runs", || (count.load(Ordering::Relaxed) > before).then_some(()));
            crate::support::send(door, Signal::SIGKILL);
            wait_gone(door);
        }
        is_over.store(true, Ordering::Relaxed);
        let clients =
            clients.into_iter().flat_map(|client| client.join().expect("it has not panicked"));
        clients.collect()
    });
    assert!(answered.len() >= 10, "{}", answered.len());
    let args = |run: &Value| run["args"][0].as_str().map(str::to_owned);
    let there: BTreeMap<i64, String> = home
        .house
        .runs("a")
        .iter()
        .filter_map(|run| Some((run["id"].as_i64()?, args(run)?)))
        .collect();
    assert_eq!(there, answered);
    assert!(home.house.read("log").contains("event=door_ended"));
}

/// Adds a run, unless the door is killed meanwhile.
fn try_to_add(socket: &Path, arg: &str) -> Option<i64> {
    use std::io::Read;
    let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    let key = format!("Idempotency-Key: {arg}");
    let body = json!({ "args": [arg] }).to_string();
    let text = request("POST /v1/jobs/a/runs", &[JSON, &key], &body);
    stream.write_all(text.as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    let body = reply.strip_prefix("HTTP/1.1 201").and_then(|rest| rest.split_once("\r\n\r\n"))?.1;
    serde_json::from_str::<Value>(body).ok()?["id"].as_i64()
}

#[test]
fn the_door_ends_with_its_supervisor_and_a_stale_socket_is_taken_over() {
    let home = Home::new(RESIZE);
    let (door, socket) = (home.door(), home.socket());
    let Home { house, supervisor } = home;
    supervisor.kill();
    wait_gone(door);
    assert!(socket.exists(), "nobody could remove it");
    let _again = house.start();
    let is_open = || house.read("log").matches("event=listening").count() > 1;
    wait_for("the door", || is_open().then_some(()));
    assert_eq!(send(&socket, &request("GET /healthz", &[], "")).status, 200);
}

#[test]
fn health_is_that_the_loop_turns() {
    let home = Home::new(RESIZE);
    let health = || home.ask("GET /healthz", &[], "");
    assert_eq!(health().status, 200);
    let pid = home.supervisor.pid();
    crate::support::send(pid, Signal::SIGSTOP);
    wait_for("the loop to be missed", || (health().status == 503).then_some(()));
    assert_eq!(health().problem(), "loop-stopped");
    crate::support::send(pid, Signal::SIGCONT);
    wait_for("the loop to be back", || (health().status == 200).then_some(()));
}

#[test]
fn a_socket_that_cannot_be_had_is_said_and_tried_again() {
    let house = House::new(&jobfile("", RESIZE));
    house.write("d.sock", "precious");
    let supervisor = house.start();
    house.wait_text("log", "event=cannot_listen");
    assert!(house.read("log").contains("exists and is not a socket"), "{}", house.read("log"));
    assert_eq!(house.read("d.sock"), "precious");
    let error = format!("unix:{}: exists and is not a socket", house.path("d.sock").display());
    let status = || house.ask(&["status"]).out;
    wait_for("the status", || status().contains(&error).then_some(()));
    let doctor = house.ask(&["doctor"]).out;
    assert!(doctor.contains(&format!("not listening on {error}")), "{doctor}");
    fs::remove_file(house.path("d.sock")).expect("it is there");
    house.wait_text("log", "event=listening");
    assert_eq!(send(&house.path("d.sock"), &request("GET /healthz", &[], "")).status, 200);
    wait_for("the status", || (!status().contains("not listening")).then_some(()));
    let doctor = house.ask(&["doctor"]).out;
    assert!(doctor.contains("listening on unix:") && !doctor.contains("not listening"), "{doctor}");
    let text = jobfile("view = 'token:shop'", RESIZE);
    house.write_jobfile(&text);
    let reload = house.ask(&["reload"]).expect(0).out;
    assert_eq!(reload, "in force, 2 jobs; changed [door]\n");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_reload_changes_who_may_and_answers_who_waits() {
    let home = Home::new("[jobs.a]\ncommand = 'sleep 1000'\n");
    let post = || home.ask("POST /v1/jobs/a/runs", &[BEARER], "");
    assert_eq!(post().problem(), "forbidden");
    let run = home.house.enqueue(&["a"]);
    home.house.wait_state(run, "running");
    let before = home.door();
    let mut waiting = unix(&home.socket());
    waiting.write_all(request("GET /v1/runs/1?wait=10m", &[], "").as_bytes()).expect("it is read");
    home.house.write_jobfile(&jobfile(
        "",
        "[jobs.a]\ncommand = 'sleep 1000'\nenqueue_by = 'token:shop'\n",
    ));
    home.house.ask(&["reload"]).expect(0);
    wait_for("the new jobfile", || (post().status == 201).then_some(()));
    assert_eq!(Reply::read(waiting).json()["state"], "running");
    wait_gone(before);
    let door = home.door();
    home.house.write_jobfile("[jobs.a]\ncommand = 'true'\n");
    home.house.ask(&["reload"]).expect(0);
    wait_gone(door);
    assert!(!home.socket().exists());
}

#[test]
fn the_door_has_no_rights_but_its_users_own() {
    let home = Home::new(RESIZE);
    // It serves, so it has given up what it had.
    assert_eq!(home.ask("GET /healthz", &[], "").status, 200);
    let door = home.door();
    let status = fs::read_to_string(format!("/proc/{door}/status")).expect("it lives");
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim_start_matches(':').trim().to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(value(set), "0000000000000000", "{set}");
    }
    assert_eq!(value("NoNewPrivs"), "1");
    if is_root() {
        assert_eq!(value("CapBnd"), "0000000000000000");
    }
    assert!(environment(door).iter().all(|word| !word.starts_with("JOBCTL_")));
    assert!(is_alive(door));
}
