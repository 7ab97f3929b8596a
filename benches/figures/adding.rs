//! What comes into the queue, and how others do what it is for.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::fixture::{Place, median, median_ms};
use crate::queue::{JOBFILE, drain_once};
use crate::{Bar, Figure, bare};

/// Waiting runs at which adding one more is measured again.
const MANY: usize = 1_000_000;

/// Adding many at once, one at a time, and one at a time to very many.
pub(crate) fn adding() -> io::Result<Vec<Figure>> {
    const LINES: usize = 100_000;
    const ROUNDS: usize = 5;
    let place = Place::new("adding", JOBFILE)?;
    place.time(&["enqueue", "drain"])?;
    let few = one_at_a_time(&place)?;
    let mut bulk = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        place.enqueue("drain", LINES)?;
        bulk.push(begin.elapsed());
    }
    let peak_kib = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    // A supervisor turns what was put down at once into single runs, and starts none of them.
    place.time(&["pause", "--all"])?;
    let supervisor = place.supervise()?;
    for _ in 0..MANY / LINES {
        place.enqueue("drain", LINES)?;
    }
    place.wait_for("SELECT count(*) FROM feed", 0)?;
    drop(supervisor);
    let many = one_at_a_time(&place)?;
    let bulk = median_ms(&bulk);
    Ok(vec![
        Figure {
            name: "100,000 lines added at once, lines a second".into(),
            measured: LINES as f64 * 1e3 / bulk,
            bar: Bar::AtLeast(100_000.0),
            unit: "/s",
            remark: format!("{bulk:.0} ms, at most {:.0} MiB", peak_kib as f64 / 1024.0),
        },
        Figure {
            name: "adding one, whole process".into(),
            measured: few,
            bar: Bar::AtMost(10.0),
            unit: "ms",
            remark: String::new(),
        },
        Figure {
            name: "the same with 1,000,000 waiting".into(),
            measured: many,
            bar: Bar::AtMost(10.0),
            unit: "ms",
            remark: format!("{:.2} x of the one before", many / few),
        },
    ])
}

fn one_at_a_time(place: &Place) -> io::Result<f64> {
    const ROUNDS: usize = 41;
    let mut spans = Vec::new();
    for _ in 0..ROUNDS {
        spans.push(place.time(&["enqueue", "drain"])?);
    }
    Ok(median_ms(&spans))
}

/// Draining `true` at 8, by others and by jobctl, in turns.
pub(crate) fn peers() -> io::Result<Vec<Figure>> {
    const RUNS: usize = 10_000;
    const ROUNDS: usize = 3;
    let place = Place::new("peers", JOBFILE)?;
    let supervisor = place.supervise()?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let peers: [(&str, usize); 6] = [
        ("pueue", 100),
        ("nq", 2_000),
        ("tsp", 2_000),
        ("parallel", 2_000),
        ("huey", 2_000),
        ("bullmq", 2_000),
    ];
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); peers.len()];
    for round in 0..ROUNDS {
        bare.push(bare::spawn_loop(RUNS, 8)?);
        ours.push(drain_once(&place, RUNS)?);
        for (rates, (name, count)) in rates.iter_mut().zip(&peers) {
            let dir = place.state_dir().join(format!("{name}-{round}"));
            if let Some(took) = peer(name, *count, &dir)? {
                rates.push(*count as f64 / took.as_secs_f64());
            }
        }
    }
    drop(supervisor);
    let rate = RUNS as f64 * 1e3 / median_ms(&ours);
    let mut figures = vec![Figure {
        name: "drain of 10,000 `true` at 8, of the bare rate".into(),
        measured: median_ms(&bare) / median_ms(&ours),
        bar: Bar::AtLeast(0.6),
        unit: "x",
        remark: format!("{rate:.0} a second"),
    }];
    for (rates, (name, count)) in rates.iter().zip(&peers) {
        figures.push(match rates.is_empty() {
            true => Figure {
                name: format!("the same by {name}"),
                measured: f64::NAN,
                bar: Bar::None,
                unit: "",
                remark: "not installed".into(),
            },
            false => Figure {
                name: format!("the rate of {name}, of ours"),
                measured: median(rates) / rate,
                bar: Bar::AtMost(1.0),
                unit: "x",
                remark: format!("{:.0} a second, of {count} runs", median(rates)),
            },
        });
    }
    Ok(figures)
}

/// How long a peer takes; none where it is not installed.
fn peer(name: &str, count: usize, dir: &Path) -> io::Result<Option<Duration>> {
    const NOT_INSTALLED: i32 = 77;
    std::fs::create_dir_all(dir)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/peers/{name}.sh"));
    let output = Command::new("/bin/sh").arg(script).arg(count.to_string()).arg(dir).output()?;
    if output.status.code() == Some(NOT_INSTALLED) {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds: Option<f64> = text.lines().last().and_then(|line| line.trim().parse().ok());
    match seconds.filter(|_| output.status.success()) {
        Some(seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
        None => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(io::Error::other(format!("{name}: {}: {said}", output.status)))
        }
    }
}
