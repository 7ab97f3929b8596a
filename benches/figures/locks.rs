//! How late schedules are, and for how long nobody else can write, while the worst of each verb is
//! done.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, OpenFlags};

use crate::fixture::Place;
use crate::{Bar, Figure};

/// Ticks in a quarter of a minute: twenty jobs have one each second.
const IDLE_TICKS: i64 = 300;

/// Ticks until those that fell due while there was no supervisor are over.
const LATE_TICKS: i64 = 60;

const LINES: usize = 1_000_000;
const RUNS: usize = 300_000;

/// Twenty jobs each second, spread over it.
fn jobfile() -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "timezone = 'UTC'\nmax_running = 16\n\
         [jobs.work]\ncommand = 'true'\n\
         [jobs.fed]\ncommand = 'true'\n\
         [jobs.many]\ncommand = 'true'\nkey = '{1}'\nkeep = { runs = 10 }\n\
         [jobs.find]\ncommand = 'seq 1000000'\nfeeds = 'fed'\noutput_max = '1 KiB'\n\
         [jobs.first]\ncommand = 'true'\n\
         [jobs.follower]\ncommand = 'true'\n\
         [jobs.mended]\ncommand = 'true'\n\
         [jobs.laned]\nlock = 'x-{1}'\ncommand = 'true'\n\
         [jobs.old]\ncommand = 'true'\nkeep = { runs = 1000000 }\n\
         [jobs.new]\ncommand = 'true'\nkeep = { runs = 1000000 }\n",
    );
    for number in 0..20 {
        let _ = writeln!(
            text,
            "[jobs.tick-{number}]\nschedule = '@every 1s'\njitter = '1s'\ncommand = 'true'\nkeep = {{ runs = 100000 }}"
        );
    }
    text
}

/// All of it, one after the other on one store that only grows.
pub(crate) fn locks() -> io::Result<Vec<Figure>> {
    let place = Place::new("locks", &jobfile())?;
    let mut bench = Bench { figures: Vec::new(), idle_ms: 0.0, place };
    let supervisor = bench.place.supervise()?;
    for job in ["work", "fed", "many"] {
        bench.place.time(&["pause", job])?;
    }
    bench.measure("idle", |place| place.wait_for_ticks(IDLE_TICKS))?;
    let brought = "SELECT count(*) FROM feed";
    bench.measure("enqueue --lines, 1,000,000", |place| {
        place.enqueue("work", LINES)?;
        place.wait_for(brought, 0)
    })?;
    bench.place.enqueue("many", RUNS)?;
    bench.place.wait_for(brought, 0)?;
    bench.measure("cancel, 300,000", |place| {
        place.time(&["-q", "cancel", "--job", "many"]).map(|_| ())
    })?;
    bench.measure("retry with keys, 300,000", |place| {
        place.time(&["-q", "retry", "--job", "many", "--state", "cancelled"]).map(|_| ())
    })?;
    bench.place.time(&["-q", "cancel", "--job", "many"])?;
    drop(supervisor);
    // As if all of them had failed.
    Connection::open(bench.place.store_path())
        .and_then(|store| {
            store.execute_batch(
                "UPDATE run SET state = 6, reason = 1, attempt = 1 WHERE job = (SELECT id FROM job WHERE name = 'many')",
            )
        })
        .map_err(io::Error::other)?;
    let supervisor = bench.place.supervise()?;
    // What fell due while there was none is its own business.
    bench.place.wait_for_ticks(LATE_TICKS)?;
    bench
        .measure("ack, 300,000", |place| place.time(&["-q", "ack", "--job", "many"]).map(|_| ()))?;
    bench.measure("backup", |place| {
        let file = place.state_dir().join("copy.db");
        place.time(&["-q", "backup", &file.to_string_lossy()]).map(|_| ())?;
        std::fs::remove_file(file)
    })?;
    bench.measure("prune, 300,000", |place| place.time(&["-q", "prune"]).map(|_| ()))?;
    bench.measure("a feed of 1,000,000", |place| {
        place.time(&["enqueue", "find"])?;
        place.wait_for("SELECT ended FROM job WHERE name = 'find'", 1)?;
        place.wait_for(brought, 0)
    })?;
    drop(supervisor);
    Ok(bench.figures)
}

/// What follows from one row and concerns many: an end, a success, a reload.
pub(crate) fn consequences() -> io::Result<Vec<Figure>> {
    let place = Place::new("consequences", &jobfile())?;
    drop(place.supervise()?);
    for job in ["first", "follower", "mended", "laned"] {
        place.time(&["pause", job])?;
    }
    fill(&place)?;
    let mut bench = Bench { figures: Vec::new(), idle_ms: 0.0, place };
    let _supervisor = bench.place.supervise()?;
    // What fell due while there was none is its own business.
    bench.place.wait_for_ticks(LATE_TICKS)?;
    bench.measure("idle", |place| place.wait_for_ticks(IDLE_TICKS))?;
    bench.measure("an end with 300,000 followers", |place| {
        place.time(&["resume", "first"])?;
        place.wait_for("SELECT queued = 300000 FROM job WHERE name = 'follower'", 1)
    })?;
    bench.measure("a success after 300,000 failures", |place| {
        place.time(&["resume", "mended"])?;
        place.wait_for("SELECT failed FROM job WHERE name = 'mended'", 0)
    })?;
    let other_lanes = jobfile().replace("x-{1}", "y-{1}");
    bench.measure("another `lock` of 300,000 held runs", |place| {
        place.write_jobfile(&other_lanes)?;
        place.time(&["reload"])?;
        place.wait_for("SELECT lane_template = 'y-{1}' FROM job WHERE name = 'laned'", 1)
    })?;
    let united = other_lanes
        .replace("[jobs.old]\ncommand = 'true'\nkeep = { runs = 1000000 }\n", "")
        .replace("[jobs.new]\n", "[jobs.new]\nwas = ['old']\n");
    bench.measure("a `was` that unites 300,000 runs", |place| {
        place.write_jobfile(&united)?;
        place.time(&["reload"])?;
        place.wait_for("SELECT count(*) FROM job WHERE moves_to IS NOT NULL", 0)
    })?;
    Ok(bench.figures)
}

/// Many rows that one is to change.
fn fill(place: &Place) -> io::Result<()> {
    let now = wall_ms();
    let add = |job: &str, count: usize, columns: &str, values: &str| {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO run(job, created_at, max_attempts, {columns})
             SELECT job.id, {now}, 1, {values} FROM job, n WHERE job.name = '{job}';"
        )
    };
    let failed = "state, cause, attempt, reason, ended_at, scheduled_at";
    let batch = [
        "BEGIN;".to_owned(),
        add("first", 1, "state, cause, due_at", "2, 3, 5"),
        add("follower", RUNS, "state, cause", "1, 3"),
        "INSERT INTO dependency(run, \"on\") SELECT id, (SELECT max(id) FROM run WHERE job = (SELECT id FROM job WHERE name = 'first'))
         FROM run WHERE job = (SELECT id FROM job WHERE name = 'follower');"
            .to_owned(),
        add("mended", RUNS, failed, &format!("6, 1, 1, 1, {now}, n.i")),
        add("mended", 1, "state, cause, due_at, scheduled_at", "2, 1, 5, 5"),
        format!("UPDATE job SET failed = {RUNS} WHERE name = 'mended';"),
        add("laned", RUNS, "state, cause, due_at, held, lane, args", "2, 3, 5, 1, 'x-a', x'6100'"),
        "UPDATE job SET lane_template = 'x-{1}' WHERE name = 'laned';".to_owned(),
        add("old", RUNS, "state, cause, attempt, ended_at", &format!("5, 3, 1, {now}")),
        add("new", 1, "state, cause, attempt, ended_at", &format!("5, 3, 1, {now}")),
        "COMMIT".to_owned(),
    ];
    Connection::open(place.store_path())
        .and_then(|store| store.execute_batch(&batch.concat()))
        .map_err(io::Error::other)
}

struct Bench {
    place: Place,
    figures: Vec<Figure>,
    /// The 99th percentile of lateness of an idle store.
    idle_ms: f64,
}

impl Bench {
    /// What a piece of work does to others while it is under way.
    fn measure(
        &mut self,
        name: &str,
        work: impl FnOnce(&Place) -> io::Result<()>,
    ) -> io::Result<()> {
        let probe = Probe::start(&self.place)?;
        let (from, begin) = (wall_ms(), Instant::now());
        work(&self.place)?;
        let (until, took) = (wall_ms(), begin.elapsed());
        let longest = probe.stop()?;
        let late = self.lateness(from, until)?;
        let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
        let (middle, p99, worst) = (at(0.5), at(0.99), at(1.0));
        let is_idle = self.figures.is_empty();
        if is_idle {
            self.idle_ms = p99;
        }
        self.figures.push(Figure {
            name: format!("{name}: lateness, 99th percentile"),
            measured: p99,
            bar: match is_idle {
                true => Bar::None,
                false => Bar::AtMost((self.idle_ms + 50.0).ceil()),
            },
            unit: "ms",
            remark: format!(
                "of {} in {:.1} s; middle {middle:.0}, worst {worst:.0} ms",
                late.len(),
                took.as_secs_f64()
            ),
        });
        self.figures.push(Figure {
            name: format!("{name}: longest lock"),
            measured: longest.as_secs_f64() * 1e3,
            bar: Bar::AtMost(100.0),
            unit: "ms",
            remark: String::new(),
        });
        Ok(())
    }

    /// How late what fell due in a time was started, in order; what was not started yet counts
    /// until now.
    fn lateness(&self, from: i64, until: i64) -> io::Result<Vec<f64>> {
        let store = self.place.store()?;
        let sql = "SELECT coalesce(started_at, ?3) - due_at FROM run LEFT JOIN attempt ON attempt.run = run.id WHERE scheduled_at IS NOT NULL AND due_at BETWEEN ?1 AND ?2";
        let read = || -> rusqlite::Result<Vec<f64>> {
            store.prepare(sql)?.query_map([from, until, wall_ms()], |row| row.get(0))?.collect()
        };
        let mut late = read().map_err(io::Error::other)?;
        late.sort_by(f64::total_cmp);
        match late.is_empty() {
            true => Err(io::Error::other("nothing fell due in that time")),
            false => Ok(late),
        }
    }
}

/// Another process's hand at the lock: it tries three times in a millisecond, and notes the longest
/// time in which it had no success.
struct Probe {
    is_over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<rusqlite::Result<Duration>>,
}

impl Probe {
    fn start(place: &Place) -> io::Result<Self> {
        let store =
            Connection::open_with_flags(place.store_path(), OpenFlags::SQLITE_OPEN_READ_WRITE)
                .map_err(io::Error::other)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = is_over.clone();
        let thread = std::thread::spawn(move || longest_lock(&store, &flag));
        Ok(Self { is_over, thread })
    }

    fn stop(self) -> io::Result<Duration> {
        self.is_over.store(true, Ordering::Relaxed);
        let longest = self.thread.join().expect("it does not panic");
        longest.map_err(io::Error::other)
    }
}

fn longest_lock(store: &Connection, is_over: &AtomicBool) -> rusqlite::Result<Duration> {
    store.busy_timeout(Duration::ZERO)?;
    let (mut longest, mut since) = (Duration::ZERO, None);
    while !is_over.load(Ordering::Relaxed) {
        match store.execute_batch("BEGIN IMMEDIATE; ROLLBACK") {
            Ok(()) => {
                if let Some(since) = since.take() {
                    longest = longest.max(Instant::now().duration_since(since));
                }
            }
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                since.get_or_insert_with(Instant::now);
            }
            Err(error) => return Err(error),
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    Ok(longest)
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
