//! What is there to judge by: the journal that the commands wrote, and the store as any reader of
//! it finds it.

use std::collections::{BTreeMap, HashMap};

use crate::kill_sweep::store;
use crate::support::House;

/// A line of the journal.
pub(super) struct Line {
    pub(super) what: char,
    pub(super) job: String,
    pub(super) run: i64,
    pub(super) attempt: i64,
    /// Microseconds since 1970, by the clock of the command.
    pub(super) at_us: i64,
    pub(super) text: String,
}

/// A run as the view `runs` has it.
pub(super) struct Run {
    pub(super) job: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) attempt: i64,
    pub(super) attempts_max: Option<i64>,
    pub(super) scheduled_at: Option<String>,
    pub(super) created_at: String,
    pub(super) ended_at: Option<String>,
    pub(super) key: Option<String>,
    pub(super) count: i64,
}

impl Run {
    pub(super) fn is_ended(&self) -> bool {
        ["succeeded", "failed", "skipped", "cancelled"].contains(&self.state.as_str())
    }
}

/// An attempt as the view `attempts` has it.
pub(super) struct Attempt {
    pub(super) started_at_ms: Option<i64>,
    pub(super) ended_at_ms: Option<i64>,
    pub(super) outcome: Option<String>,
    pub(super) error: Option<String>,
    pub(super) exit_code: Option<i64>,
}

pub(super) struct Books {
    pub(super) journal: Vec<Line>,
    pub(super) runs: BTreeMap<i64, Run>,
    /// By run and number.
    pub(super) attempts: BTreeMap<(i64, i64), Attempt>,
    /// Exit codes that were written down, by run and attempt.
    pub(super) codes: HashMap<(i64, i64), i64>,
}

impl Books {
    pub(super) fn read(house: &House) -> Self {
        let journal: Vec<Line> = house
            .lines("journal")
            .iter()
            .map(|line| parse(line).unwrap_or_else(|| panic!("no line of a command: {line:?}")))
            .collect();
        let ends = journal.iter().filter(|line| line.what == 'E');
        let codes = ends.map(|end| {
            let code = end.text.parse().expect("a code");
            ((end.run, end.attempt), code)
        });
        Self { codes: codes.collect(), runs: runs(house), attempts: attempts(house), journal }
    }

    pub(super) fn lines(&self, what: char) -> impl Iterator<Item = &Line> {
        self.journal.iter().filter(move |line| line.what == what)
    }

    /// The attempts of a run with their numbers.
    pub(super) fn attempts_of(&self, run: i64) -> impl Iterator<Item = (i64, &Attempt)> {
        let range = (run, 0)..=(run, i64::MAX);
        self.attempts.range(range).map(|((_, number), it)| (*number, it))
    }

    /// Whether a run began after another one had ended.
    pub(super) fn follows(&self, former: i64, run: i64) -> bool {
        let ended_at_ms = self.attempts_of(former).filter_map(|(_, it)| it.ended_at_ms).max();
        let began_at_ms = self.attempts_of(run).filter_map(|(_, it)| it.started_at_ms).min();
        ended_at_ms.zip(began_at_ms).is_some_and(|(ended, began)| ended <= began)
    }

    pub(super) fn state(&self, run: i64) -> &str {
        self.runs.get(&run).map_or("none", |run| run.state.as_str())
    }
}

/// `B plain 12/1 1790000000.123456 text`
pub(super) fn parse(line: &str) -> Option<Line> {
    let mut words = line.splitn(5, ' ');
    let what = words.next()?.chars().next()?;
    let job = words.next()?.to_owned();
    let (run, attempt) = words.next()?.split_once('/')?;
    let at_us = words.next()?.replace(['.', ','], "").parse().ok()?;
    Some(Line {
        what,
        job,
        run: run.parse().ok()?,
        attempt: attempt.parse().ok()?,
        at_us,
        text: words.next().unwrap_or_default().to_owned(),
    })
}

fn runs(house: &House) -> BTreeMap<i64, Run> {
    let store = store(house);
    let answer: String =
        store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be asked");
    assert_eq!(answer, "ok");
    let mut query = store
        .prepare("SELECT id, job, state, reason, attempt, max_attempts, scheduled_at, created_at, ended_at, key, count FROM runs")
        .expect("it is a query");
    query
        .query_map([], |row| {
            let run = Run {
                job: row.get(1)?,
                state: row.get(2)?,
                reason: row.get(3)?,
                attempt: row.get(4)?,
                attempts_max: row.get(5)?,
                scheduled_at: row.get(6)?,
                created_at: row.get(7)?,
                ended_at: row.get(8)?,
                key: row.get(9)?,
                count: row.get(10)?,
            };
            Ok((row.get(0)?, run))
        })
        .expect("it can be asked")
        .collect::<Result<_, _>>()
        .expect("it can be read")
}

fn attempts(house: &House) -> BTreeMap<(i64, i64), Attempt> {
    let store = store(house);
    let mut query = store
        .prepare(
            "SELECT run, attempt, started_at, ended_at, outcome, exit_code, error FROM attempts",
        )
        .expect("it is a query");
    query
        .query_map([], |row| {
            let attempt = Attempt {
                started_at_ms: row.get(2)?,
                ended_at_ms: row.get(3)?,
                outcome: row.get(4)?,
                exit_code: row.get(5)?,
                error: row.get(6)?,
            };
            Ok(((row.get(0)?, row.get(1)?), attempt))
        })
        .expect("it can be asked")
        .collect::<Result<_, _>>()
        .expect("it can be read")
}
