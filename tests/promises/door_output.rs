//! The output of a run over the door: as it was kept, and only for whom may see the run.

use crate::support::home::{BEARER, Home};
use crate::support::http::Reply;
use crate::support::wait_for;

#[track_caller]
fn get(home: &Home, run: i64, query: &str) -> Reply {
    home.ask(&format!("GET /v1/runs/{run}/output{query}"), &[], "")
}

#[test]
fn output_is_sent_as_it_was_kept_whole_or_from_a_place_on() {
    let home = Home::new(
        "[jobs.small]\ncommand = 'printf \"1\\n2\\n3\"'\n[jobs.large]\ncommand = 'seq 1 20000'\n\
         [jobs.cut]\ncommand = 'seq 1 20000'\noutput_max = '40KiB'\n",
    );
    let run = |job: &str| {
        let run = home.house.enqueue(&[job]);
        home.house.wait_state(run, "succeeded");
        run
    };
    let small = run("small");
    let whole = get(&home, small, "");
    assert_eq!((whole.status, chunks(&whole).as_str()), (200, "1\n2\n3"));
    assert_eq!(whole.header("content-type"), Some("text/plain; charset=utf-8"));
    for (query, text) in [
        ("?tail=1", "3"),
        ("?tail=2", "2\n3"),
        ("?tail=9&attempt=1", "1\n2\n3"),
        ("?tail=0", ""),
        ("?offset=2", "2\n3"),
        ("?offset=9", ""),
    ] {
        assert_eq!(chunks(&get(&home, small, query)), text, "{query}");
    }
    let all: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    let large = run("large");
    assert!(chunks(&get(&home, large, "")) == all);
    assert_eq!(chunks(&get(&home, large, "?tail=2")), "19999\n20000\n");
    let offset = format!("?offset={}", all.len() - 6);
    assert_eq!(chunks(&get(&home, large, &offset)), "20000\n");
    let cut = chunks(&get(&home, run("cut"), ""));
    assert_eq!(cut.len(), 40 << 10);
    assert!(all.starts_with(&cut[..20 << 10]) && all.ends_with(&cut[20 << 10..]));
}

#[test]
fn output_is_that_of_the_newest_attempt_or_of_the_one_asked_for_and_of_one_that_runs() {
    let home = Home::new(
        "[jobs.a]\ncommand = 'echo \"$JOBCTL_ATTEMPT\"; test \"$JOBCTL_ATTEMPT\" = 1 && exit 1; sleep 1000'\n\
         retry = { max = 1, delay = '0s' }\n",
    );
    let run = home.house.enqueue(&["a"]);
    wait_for("the second attempt", || (chunks(&get(&home, run, "")) == "2\n").then_some(()));
    assert_eq!(chunks(&get(&home, run, "?attempt=1")), "1\n");
    assert_eq!(chunks(&get(&home, run, "?tail=1")), "2\n");
    for (query, problem) in [
        ("?attempt=3", "no-such-run"),
        ("?attempt=0", "no-such-run"),
        ("?attempt=x", "bad-request"),
        ("?tail=1&offset=1", "bad-request"),
        ("?follow", "bad-request"),
    ] {
        assert_eq!(get(&home, run, query).problem(), problem, "{query}");
    }
    assert_eq!(get(&home, run + 1, "").problem(), "no-such-run");
    let foreign = home.ask(&format!("GET /v1/runs/{run}/output"), &[BEARER], "");
    assert_eq!(foreign.problem(), "no-such-run");
}

/// The text of a body in chunks.
#[track_caller]
fn chunks(reply: &Reply) -> String {
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"), "{reply:?}");
    let (mut text, mut rest) = (String::new(), reply.body.as_str());
    loop {
        let (len, behind) = rest.split_once("\r\n").expect("the length of a chunk");
        let len = usize::from_str_radix(len, 16).expect("a length");
        text.push_str(&behind[..len]);
        if len == 0 {
            return text;
        }
        rest = behind[len..].strip_prefix("\r\n").expect("the end of a chunk");
    }
}
