//! The judge itself: a life without fault is clean, and each fault that is planted into it is
//! found.

use std::collections::BTreeMap;

use super::blows::Blows;
use super::books::{Attempt, Books, Run, parse};
use super::clients::Ledger;
use super::judge::Judge;

const JOURNAL: [&str; 19] = [
    "B plain 1/1 1790000000.000000 t1",
    "E plain 1/1 1790000000.100000 0",
    "B after 2/1 1790000000.200000 t2",
    "E after 2/1 1790000000.300000 0",
    "B find 3/1 1790000001.000000 2",
    "E find 3/1 1790000001.100000 0",
    "B fed 4/1 1790000001.200000 3-1",
    "E fed 4/1 1790000001.300000 0",
    "B fed 5/1 1790000001.200000 3-2",
    "E fed 5/1 1790000001.300000 0",
    "B drop 6/1 1790000002.000000 d1",
    "E drop 6/1 1790000002.100000 0",
    "B spool 7/1 1790000002.000000 s1",
    "W spool 7/1 1790000002.050000 w1",
    "E spool 7/1 1790000002.100000 0",
    "B hopeless 8/1 1790000003.000000 t8",
    "E hopeless 8/1 1790000003.100000 4",
    "T hopeless 8/1 1790000003.200000 ",
    "B keyed 9/1 1790000004.000000 k1",
];

/// Runs, attempts and lines of a life in which all went well but for a lost keeper.
fn books() -> Books {
    let jobs = ["plain", "after", "find", "fed", "fed", "drop", "spool", "hopeless", "keyed"];
    let mut books = Books {
        journal: Vec::new(),
        runs: BTreeMap::new(),
        attempts: BTreeMap::new(),
        codes: std::collections::HashMap::new(),
    };
    for (id, job) in (1..).zip(jobs) {
        let failed = ["hopeless", "keyed"].contains(&job);
        books.runs.insert(id, run(job, failed));
        let code = i64::from(failed) * 4;
        books.attempts.insert((id, 1), attempt("exited", Some(code)));
    }
    books.attempts.insert((9, 1), attempt("lost", None));
    let keyed = books.runs.get_mut(&9).expect("it is there");
    (keyed.reason, keyed.key) = (Some("lost".to_owned()), Some("k1".to_owned()));
    for line in JOURNAL {
        write(&mut books, line);
    }
    books
}

fn run(job: &str, failed: bool) -> Run {
    Run {
        job: job.to_owned(),
        state: if failed { "failed" } else { "succeeded" }.to_owned(),
        reason: failed.then(|| "exit".to_owned()),
        attempt: 1,
        attempts_max: Some(1),
        scheduled_at: None,
        created_at: "2026-01-01T00:00:00.000Z".to_owned(),
        ended_at: Some("2026-01-01T00:00:01.000Z".to_owned()),
        key: None,
        count: 1,
    }
}

fn attempt(outcome: &str, exit_code: Option<i64>) -> Attempt {
    let (started_at_ms, ended_at_ms) = (Some(0), Some(100));
    Attempt {
        started_at_ms,
        ended_at_ms,
        outcome: Some(outcome.to_owned()),
        exit_code,
        error: None,
    }
}

fn write(books: &mut Books, line: &str) {
    let line = parse(line).expect("a line");
    if line.what == 'E' {
        let code = line.text.parse().expect("a code");
        books.codes.insert((line.run, line.attempt), code);
    }
    books.journal.push(line);
}

fn found(plant: impl FnOnce(&mut Books, &mut Ledger)) -> Vec<&'static str> {
    let mut books = books();
    let mut ledger = Ledger {
        acknowledged: vec![(1, "plain".to_owned()), (2, "after".to_owned())],
        ..Ledger::default()
    };
    ledger.after.insert(2, vec![1]);
    ledger.dropped.push("d1".to_owned());
    ledger.spooled.push("w1".to_owned());
    plant(&mut books, &mut ledger);
    let mut blows = Blows::default();
    blows.keepers.kills = 1;
    blows.supervisors.stops = 1;
    let found = Judge::new(&books, &ledger, &blows).judge();
    found.iter().map(|finding| finding.what).collect()
}

#[test]
fn a_life_in_which_all_went_well_is_clean() {
    assert_eq!(found(|_, _| ()), [""; 0]);
}

#[test]
fn each_fault_that_is_planted_is_found() {
    type Plant = fn(&mut Books, &mut Ledger);
    let line = |what, plant: Plant| (what, plant);
    let planted = [
        line("lost", |books, _| drop(books.runs.remove(&1))),
        line("lost", |_, ledger| ledger.executed.push("t9".to_owned())),
        line("refused", |_, ledger| ledger.refused.push("111".to_owned())),
        line("refused", |_, ledger| {
            ledger.turned_away.extend(["pause".to_owned(), "l1".to_owned()])
        }),
        line("refused", |_, ledger| ledger.turned_away.push("plain t1".to_owned())),
        line("twice", |books, _| write(books, JOURNAL[0])),
        line("twice", |books, _| {
            books.attempts.insert((1, 2), attempt("exited", Some(0)));
            write(books, "B plain 1/2 1790000000.300000 t1");
            write(books, "E plain 1/2 1790000000.400000 0");
        }),
        line("twice", |books, _| {
            for id in [3, 4] {
                let run = books.runs.get_mut(&id).expect("it is there");
                run.scheduled_at = Some("2026-01-01T00:00:00.000Z".to_owned());
                run.job = "find".to_owned();
            }
        }),
        line("unknown", |books, _| {
            write(books, "B wide 77/1 1790000000.300000 t1");
        }),
        line("unknown", |books, _| {
            books.attempts.insert((4, 1), attempt("lost", None));
        }),
        line("wrong", |books, _| {
            books.attempts.insert((1, 1), attempt("exited", Some(3)));
        }),
        line("wrong", |books, _| {
            let run = books.runs.get_mut(&4).expect("it is there");
            (run.state, run.reason) = ("failed".to_owned(), Some("exit".to_owned()));
        }),
        line("overlapped", |books, _| {
            write(books, "O plain 1/1 1790000000.010000 plain");
        }),
        line("order", |books, _| {
            write(books, "B after 2/1 1790000000.050000 t2");
        }),
        line("order", |books, _| {
            "cancelled".clone_into(&mut books.runs.get_mut(&1).expect("it is there").state);
        }),
        line("rate", |books, _| {
            for id in 20..30 {
                books.runs.insert(id, run("rated", false));
                books.attempts.insert((id, 1), attempt("exited", Some(0)));
                write(books, &format!("E rated {id}/1 1790000000.000000 0"));
            }
        }),
        line("key", |books, _| {
            let mut second = run("keyed", true);
            second.key = Some("k1".to_owned());
            second.created_at = "2026-01-01T00:00:00.500Z".to_owned();
            books.runs.insert(10, second);
            books.attempts.insert((10, 1), attempt("exited", Some(0)));
        }),
        line("fed", |books, _| {
            write(books, "B fed 5/1 1790000001.200000 3-1");
        }),
        line("fed", |books, _| {
            books.journal.retain(|line| line.text != "3-2");
        }),
        line("fed", |books, _| {
            books.runs.get_mut(&3).expect("it is there").state = "failed".to_owned();
        }),
        line("watched", |books, _| {
            write(books, "B drop 1/1 1790000002.000000 d1");
        }),
        line("watched", |_, ledger| ledger.dropped.push("d2".to_owned())),
        line("watched", |_, ledger| ledger.spooled.push("w2".to_owned())),
        line("watched", |books, _| {
            write(books, "M spool 7/1 1790000002.050000 s1");
        }),
        line("untold", |books, _| books.journal.retain(|line| line.what != 'T')),
        line("untold", |books, _| {
            write(books, "T plain 1/1 1790000003.200000 ");
        }),
    ];
    for (nth, (what, plant)) in planted.into_iter().enumerate() {
        let found = found(plant);
        assert!(found.contains(&what), "{nth}: {what} is not in {found:?}");
    }
}
