//! How fast runs start that wait or fall due, against a loop that only starts and reaps.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use super::bare;
use super::fixture::{Place, median, median_ms};
use super::{Bar, Figure};

const PARALLEL: usize = 8;

pub(crate) const JOBFILE: &str = "timezone = 'UTC'\nmax_running = 8\n\
    [jobs.drain]\ncommand = 'true'\nconcurrency = 8\n\
    [jobs.big]\ncommand = 'head -c 1073741824 /dev/zero'\n";

/// Many runs of `true` that wait.
pub(crate) fn drain() -> io::Result<Vec<Figure>> {
    const RUNS: usize = 2_000;
    const ROUNDS: usize = 5;
    let place = Place::new("drain", JOBFILE)?;
    let supervisor = place.supervise()?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(bare::spawn_loop(RUNS, PARALLEL)?);
        ours.push(drain_once(&place, RUNS)?);
    }
    drop(supervisor);
    let (bare, ours) = (median_ms(&bare), median_ms(&ours));
    Ok(vec![Figure {
        name: "drain of 2,000 `true` at 8, of the bare rate".into(),
        measured: bare / ours,
        bar: Bar::AtLeast(0.6),
        unit: "x",
        remark: format!("{:.0} a second, bare {:.0}", 2e6 / ours, 2e6 / bare),
    }])
}

/// What it costs that a command is launched by a child of its keeper, which it is for a `user`
/// (root only).
pub(crate) fn launch() -> io::Result<Vec<Figure>> {
    const RUNS: usize = 500;
    const ROUNDS: usize = 5;
    let place = Place::new(
        "launch",
        "timezone = 'UTC'\n[jobs.drain]\ncommand = ['/bin/true']\n\
         [jobs.theirs]\nuser = 'daemon'\ncommand = ['/bin/true']\n",
    )?;
    let supervisor = place.supervise()?;
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (job, took) in ["drain", "theirs"].into_iter().zip(&mut took) {
            took.push(drain_job(&place, job, RUNS)?);
        }
    }
    drop(supervisor);
    let [plain, theirs] = took.map(|took| median_ms(&took) / RUNS as f64);
    Ok(vec![Figure {
        name: "a run with `user`, of one without".into(),
        measured: theirs / plain,
        bar: Bar::None,
        unit: "x",
        remark: format!("{theirs:.2} ms, without {plain:.2} ms, one after another; root only"),
    }])
}

/// Adds runs and waits until all have ended; from before the first was added to the end of the
/// last.
pub(crate) fn drain_once(place: &Place, runs: usize) -> io::Result<Duration> {
    drain_job(place, "drain", runs)
}

fn drain_job(place: &Place, job: &str, runs: usize) -> io::Result<Duration> {
    let before = place.number("SELECT coalesce(max(id), 0) FROM run")?;
    place.enqueue(job, runs)?;
    // The counters of a job know nothing of a large batch before it is queued.
    let left = format!("SELECT count(*) FROM run WHERE id > {before} AND state < 5");
    place.wait_for(&left, 0)?;
    let took = place
        .number(&format!("SELECT max(ended_at) - min(created_at) FROM run WHERE id > {before}"))?;
    Ok(Duration::from_millis(took.unsigned_abs()))
}

/// A thousand jobs that are due in the same millisecond, for the second time: at the first one each
/// makes its lock file, and what that costs depends on how many files were deleted on this disk in
/// the last minutes.
pub(crate) fn due_at_once() -> io::Result<Vec<Figure>> {
    const JOBS: i64 = 1_000;
    const ROUNDS: i64 = 5;
    let mut jobfile = String::from("timezone = 'UTC'\nmax_running = 8\n");
    for number in 0..JOBS {
        let _ = writeln!(jobfile, "[jobs.job-{number}]\nschedule = '@every 6s'\ncommand = 'true'");
    }
    let place = Place::new("due", &jobfile)?;
    let supervisor = place.supervise()?;
    let (mut bare, mut first, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        place.wait_for("SELECT sum(ended) FROM job", (round + 1) * JOBS)?;
        if round == 0 {
            continue;
        }
        bare.push(bare::spawn_loop(1_000, PARALLEL)?);
        let of_round = "scheduled_at = (SELECT max(scheduled_at) FROM run)";
        let number = |what: &str| {
            let runs = "run JOIN attempt ON attempt.run = run.id";
            place.number(&format!("SELECT {what} FROM {runs} WHERE {of_round}"))
        };
        assert!(number("count(*)")? == JOBS, "an occurrence of each job has ended");
        assert!(
            number("max(created_at) <= min(started_at)")? == 1,
            "all rows are there before the first start"
        );
        first.push(number("min(started_at) - min(scheduled_at)")?);
        last.push(number("max(started_at) - min(scheduled_at)")?);
    }
    drop(supervisor);
    let ms = |spans: &[i64]| {
        median_ms(
            &spans.iter().map(|ms| Duration::from_millis(ms.unsigned_abs())).collect::<Vec<_>>(),
        )
    };
    let (bare, first, last) = (median_ms(&bare), ms(&first), ms(&last));
    Ok(vec![
        Figure {
            name: "1,000 jobs due at once: first start".into(),
            measured: first,
            bar: Bar::AtMost(10.0),
            unit: "ms",
            remark: "all rows created before".into(),
        },
        Figure {
            name: "1,000 jobs due at once: last start, of bare".into(),
            measured: last / bare,
            bar: Bar::AtMost(1.6),
            unit: "x",
            remark: format!("{last:.0} ms, bare {bare:.0} ms"),
        },
    ])
}

/// One run from the shell.
pub(crate) fn one() -> io::Result<Vec<Figure>> {
    const ROUNDS: usize = 31;
    let place = Place::new("one", JOBFILE)?;
    let supervisor = place.supervise()?;
    let (mut shell, mut adding) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        shell.push(bare::run("true")?);
        adding.push(place.time(&["enqueue", "drain"])?);
        place.wait_for("SELECT queued + running FROM job WHERE name = 'drain'", 0)?;
    }
    drop(supervisor);
    let store = place.store()?;
    let mut query = store
        .prepare("SELECT started_at - created_at FROM run JOIN attempt ON attempt.run = run.id")
        .map_err(io::Error::other)?;
    let waits: Vec<f64> = query
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(io::Error::other)?;
    let (adding, shell) = (median_ms(&adding), median_ms(&shell));
    Ok(vec![
        Figure {
            name: "adding one run from the shell".into(),
            measured: adding,
            bar: Bar::AtMost(10.0),
            unit: "ms",
            remark: format!("{:.1} x of starting and reaping `sh -c true`", adding / shell),
        },
        Figure {
            name: "from there to its start, supervisor idle".into(),
            measured: median(&waits),
            bar: Bar::AtMost(5.0),
            unit: "ms",
            remark: String::new(),
        },
    ])
}

/// A command that writes a lot.
pub(crate) fn output() -> io::Result<Vec<Figure>> {
    const ROUNDS: usize = 3;
    let place = Place::new("output", JOBFILE)?;
    let supervisor = place.supervise()?;
    let file = place.state_dir().join("bare");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let mut memory = 0;
    for _ in 0..ROUNDS {
        let text = format!("head -c 1073741824 /dev/zero > '{}'", file.display());
        bare.push(bare::run(&text)?);
        std::fs::remove_file(&file)?;
        place.time(&["enqueue", "big"])?;
        while place.number("SELECT queued + running FROM job WHERE name = 'big'")? > 0 {
            memory = memory.max(keepers_peak_kib(supervisor.pid()));
            std::thread::sleep(Duration::from_millis(20));
        }
        let written = place.number("SELECT output_bytes FROM attempt ORDER BY run DESC LIMIT 1")?;
        assert_eq!(written, 1 << 30, "it is not the output of the whole command");
        let took = place.number("SELECT duration_ms FROM attempt ORDER BY run DESC LIMIT 1")?;
        ours.push(Duration::from_millis(took.unsigned_abs()));
    }
    drop(supervisor);
    let (bare, ours) = (median_ms(&bare), median_ms(&ours));
    let peak = Figure {
        name: "1 GiB of output: peak memory of the keeper (RSS)".into(),
        measured: f64::from(memory) / 1024.0,
        bar: Bar::None,
        unit: "MiB",
        remark: String::new(),
    };
    let time = Figure {
        name: "1 GiB of output, of writing it to a file".into(),
        measured: ours / bare,
        bar: Bar::AtMost(1.2),
        unit: "x",
        remark: format!("{ours:.0} ms, bare {bare:.0} ms"),
    };
    Ok(vec![time, peak])
}

/// The most memory that a child of a supervisor has had.
fn keepers_peak_kib(supervisor: u32) -> u32 {
    let children = format!("/proc/{supervisor}/task/{supervisor}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let peak_of = |pid: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    let peaks = children.split_ascii_whitespace().filter_map(peak_of);
    peaks.max().unwrap_or(0)
}
