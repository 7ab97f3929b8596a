//! A store with a million runs.

use std::fs;
use std::io;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::fixture::{Place, many_jobs, median_ms};
use super::idle::today;
use super::queue::drain_once;
use super::{Bar, Figure};

const JOBS: i64 = 1_000;
const RUNS: i64 = 1_000_000;

/// Runs that a turn claims or ends together.
const TURN: usize = 8;

/// All about the large store, since making it takes longest.
pub(crate) fn large() -> io::Result<Vec<Figure>> {
    let place = Place::new("large", &jobfile())?;
    drop(place.supervise()?);
    let before = fs::metadata(place.store_path())?.len();
    fill(&place).map_err(io::Error::other)?;
    // What follows is not to wait for the disk.
    fs::File::open(place.store_path())?.sync_all()?;
    let after = fs::metadata(place.store_path())?.len();
    let mut figures = vec![Figure {
        name: "store, for a run without output".into(),
        measured: per_run(after - before),
        bar: Bar::AtMost(140.0),
        unit: "B",
        remark: "1,000,000 occurrences, 1,000 due at once".into(),
    }];
    figures.extend(questions(&place)?);
    figures.push(adding(&place)?);
    Ok(figures)
}

fn jobfile() -> String {
    let queue = "[jobs.drain]\ncommand = 'true'\nconcurrency = 8\n";
    format!("{}{queue}", many_jobs(1_000, today()))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per_run(bytes: u64) -> f64 {
    bytes as f64 / RUNS as f64
}

/// Whole processes that ask.
fn questions(place: &Place) -> io::Result<Vec<Figure>> {
    const ROUNDS: usize = 21;
    let _supervisor = place.supervise()?;
    let id = (RUNS / 2).to_string();
    let all: [&[&str]; 6] = [
        &["status"],
        &["status", "job-00500"],
        &["runs"],
        &["runs", "job-00500"],
        &["show", &id],
        &["next"],
    ];
    let mut figures = Vec::new();
    for args in all {
        let spans = (0..ROUNDS).map(|_| place.time(args)).collect::<io::Result<Vec<_>>>()?;
        figures.push(Figure {
            name: format!("1,000,000 runs: `{}`", args.join(" ")),
            measured: median_ms(&spans),
            bar: if args[0] == "next" { Bar::None } else { Bar::AtMost(10.0) },
            unit: "ms",
            remark: String::new(),
        });
    }
    Ok(figures)
}

/// What adding, claiming and ending cost among a million runs and among none.
fn adding(large: &Place) -> io::Result<Figure> {
    const ROUNDS: usize = 9;
    const DRAIN: usize = 500;
    let empty = Place::new("empty", &jobfile())?;
    let (_one, _other) = (empty.supervise()?, large.supervise()?);
    let (mut few, mut many) = (Vec::<Duration>::new(), Vec::new());
    for _ in 0..ROUNDS {
        few.push(drain_once(&empty, DRAIN)?);
        many.push(drain_once(large, DRAIN)?);
    }
    let (few, many) = (median_ms(&few), median_ms(&many));
    Ok(Figure {
        name: "1,000,000 runs: draining 500, of an empty store".into(),
        measured: many / few,
        bar: Bar::AtMost(1.2),
        unit: "x",
        remark: format!("{many:.0} ms, empty {few:.0} ms"),
    })
}

/// Makes the runs as the supervisor's turns do: all jobs fall due together, then a few at a time
/// are claimed and ended.
fn fill(place: &Place) -> rusqlite::Result<()> {
    let mut store = Connection::open(place.store_path())?;
    store.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -65536")?;
    let jobs: Vec<i64> = store
        .prepare("SELECT id FROM job ORDER BY id LIMIT ?1")?
        .query_map([JOBS], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let begin = 1_700_000_000_000_i64;
    for round in 0..RUNS / JOBS {
        let at = begin + round * 60_000;
        let tx = store.transaction()?;
        let mut queued = Vec::new();
        for job in &jobs {
            insert(&tx, *job, at)?;
            queued.push(tx.last_insert_rowid());
        }
        for turn in queued.chunks(TURN) {
            for run in turn {
                claim(&tx, *run, at + 5)?;
            }
            for run in turn {
                finish(&tx, *run, at + 5)?;
            }
        }
        tx.commit()?;
    }
    store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn insert(store: &Connection, job: i64, at: i64) -> rusqlite::Result<usize> {
    store
        .prepare_cached(
            "INSERT INTO run(job, state, cause, created_at, scheduled_at, due_at, priority, max_attempts) \
             VALUES (?1, 2, 1, ?2, ?3, ?3, 0, 1)",
        )?
        .execute(params![job, at + 1, at])
}

fn claim(store: &Connection, run: i64, at: i64) -> rusqlite::Result<usize> {
    store
        .prepare_cached(
            "UPDATE run SET state = 3, claim = claim + 1, attempt = 1, began_at = ?2 \
             WHERE id = ?1 AND state = 2",
        )?
        .execute(params![run, at])?;
    store
        .prepare_cached(
            "INSERT INTO attempt(run, attempt, policy, slot, started_at) VALUES (?1, 1, 1, ?2, ?3)",
        )?
        .execute(params![run, run % 8, at])
}

fn finish(store: &Connection, run: i64, at: i64) -> rusqlite::Result<usize> {
    let (duration, pid) = (3 + run % 900, 10_000 + run % 4_000_000);
    store
        .prepare_cached(
            "UPDATE run SET state = 5, charged = charged + 1, lost = 0, put_off = 0, began_at = NULL, \
             ended_at = ?2 WHERE id = ?1 AND state = 3",
        )?
        .execute(params![run, at + duration])?;
    store
        .prepare_cached(
            "UPDATE attempt SET outcome = 1, exit_code = 0, duration_ms = ?2, user_ms = ?3, system_ms = ?4, \
             max_rss_kib = ?5, output_bytes = 0, pid = ?6, started_at = ?7, slot = NULL \
             WHERE run = ?1 AND attempt = 1",
        )?
        .execute(params![
            run,
            duration,
            duration / 3,
            duration / 7,
            1_700 + run % 5_000,
            pid,
            at + 1
        ])
}
