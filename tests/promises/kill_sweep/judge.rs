//! The judge reads what the commands wrote themselves, and the store with SQLite.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use super::{Victim, store};
use crate::support::House;

/// How often a hook is tried whose keeper is lost (docs/design.md).
const TRIES_MAX: usize = 3;

/// Numbers of outcomes in the store (docs/store.md).
const EXITED: i64 = 1;
const LOST: i64 = 5;

/// What the judge found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Acknowledged and not in the store, or not ended.
    pub(super) lost: usize,
    /// Attempts that were executed more than once.
    pub(super) twice: usize,
    /// Commands that met another one where only one may be.
    pub(super) overlapped: usize,
    /// Another verdict or exit code than the command's own.
    pub(super) wrong: usize,
    /// Attempts whose end is not known although they wrote it down.
    pub(super) unknown: usize,
    /// Witnesses of which somebody is left although all runs have ended.
    pub(super) left: usize,
    /// Runs that gave up and of which no hook heard, or more often than it is tried.
    pub(super) untold: usize,
}

impl Findings {
    pub(crate) fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.twice += other.twice;
        self.overlapped += other.overlapped;
        self.wrong += other.wrong;
        self.unknown += other.unknown;
        self.left += other.left;
        self.untold += other.untold;
    }
}

/// What the store says of a run.
struct Row {
    job: String,
    state: String,
    attempt: i64,
    outcome: Option<i64>,
    exit_code: Option<i64>,
    /// An earlier attempt was lost.
    has_lost: bool,
}

/// Compares what the store says with what the commands wrote.
pub(crate) fn judge(house: &House, victim: Victim, items: &[i64]) -> Findings {
    let store = store(house);
    let answer: String =
        store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be asked");
    assert_eq!(answer, "ok");
    let mut found = Findings::default();
    let mut executed: HashMap<String, usize> = HashMap::new();
    for line in house.lines("executed") {
        *executed.entry(line).or_default() += 1;
    }
    let codes: HashMap<String, i64> = house
        .lines("finished")
        .iter()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(attempt, code)| (attempt.to_owned(), code.parse().expect("a number")))
        .collect();
    found.twice = executed.values().filter(|count| **count > 1).count();
    found.overlapped = house.lines("overlaps").len();
    let rows = rows(&store);
    found.lost = items.iter().filter(|id| !rows.contains_key(*id)).count();
    for (id, row) in &rows {
        let is_lost = row.outcome == Some(LOST);
        // What a killed keeper was told of its command is gone with it, and the command too.
        if victim != Victim::Keeper || !(is_lost || row.has_lost) {
            judge_run(*id, row, &codes, &mut found);
        }
    }
    let known = |attempt: &String| {
        let id = attempt.split_once(' ').and_then(|(_, rest)| rest.split_once('/'));
        id.is_some_and(|(id, _)| rows.contains_key(&id.parse::<i64>().expect("a number")))
    };
    found.unknown += executed.keys().filter(|attempt| !known(attempt)).count();
    found.left = held_witnesses(house);
    found.untold = untold(house, &rows);
    found
}

/// How many runs that gave up were told to no hook, or more often than a hook is tried.
fn untold(house: &House, rows: &BTreeMap<i64, Row>) -> usize {
    let told = house.lines("told");
    rows.iter()
        .filter(|(_, row)| row.job == "hopeless" && row.state == "failed")
        .map(|(id, _)| told.iter().filter(|line| **line == id.to_string()).count())
        .filter(|times| !(1..=TRIES_MAX).contains(times))
        .count()
}

/// How many of the commands' own locks are held: whoever escaped holds his command's.
pub(crate) fn held_witnesses(house: &House) -> usize {
    let entries = std::fs::read_dir(house.dir()).expect("the house is there");
    entries
        .map(|entry| entry.expect("it can be read"))
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("own."))
        .map(|entry| std::fs::File::open(entry.path()).expect("it is ours"))
        .filter(|file| file.try_lock().is_err())
        .count()
}

fn rows(store: &Connection) -> BTreeMap<i64, Row> {
    let mut query = store
        .prepare(
            "SELECT run.id, job.name, runs.state, run.attempt, newest.outcome, newest.exit_code, \
             EXISTS (SELECT 1 FROM attempt WHERE attempt.run = run.id \
             AND attempt.attempt < run.attempt AND outcome = 5) FROM run \
             JOIN job ON job.id = run.job JOIN runs ON runs.id = run.id LEFT JOIN attempt AS newest \
             ON newest.run = run.id AND newest.attempt = run.attempt",
        )
        .expect("it is a query");
    query
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                Row {
                    job: row.get(1)?,
                    state: row.get(2)?,
                    attempt: row.get(3)?,
                    outcome: row.get(4)?,
                    exit_code: row.get(5)?,
                    has_lost: row.get(6)?,
                },
            ))
        })
        .expect("it can be asked")
        .collect::<Result<_, _>>()
        .expect("it can be read")
}

/// A run that was executed has the exit code that its last attempt wrote down, and the verdict that
/// follows from it.
fn judge_run(id: i64, row: &Row, codes: &HashMap<String, i64>, found: &mut Findings) {
    if row.state == "skipped" && row.job == "tick" {
        return;
    }
    if !["succeeded", "failed"].contains(&row.state.as_str()) {
        // A tick may fall due while the last supervisor stops.
        found.lost += usize::from(row.job != "tick" || row.state == "running");
        return;
    }
    let code = codes.get(&format!("{} {id}/{}", row.job, row.attempt));
    match (row.outcome, row.exit_code, code) {
        (Some(EXITED), Some(told), Some(own)) if told == *own => {}
        (Some(LOST), ..) => found.unknown += 1,
        _ => found.wrong += 1,
    }
    let (state, attempts) = match row.job.as_str() {
        "flaky" => ("succeeded", 2),
        "hopeless" => ("failed", 2),
        _ => ("succeeded", 1),
    };
    found.wrong += usize::from(row.state != state || row.attempt != attempts);
}
