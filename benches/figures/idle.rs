//! What jobctl costs while nothing happens, and how fast it is there.

use std::fs;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Datelike, Utc};

use super::fixture::{BINARY, Place, Supervisor, many_jobs, median_ms, pause};
use super::{Bar, Figure};

/// Long enough for every clock that ticks once a minute.
const WINDOW: Duration = Duration::from_secs(65);

/// The binary's size.
pub(crate) fn size() -> io::Result<Vec<Figure>> {
    let bytes = fs::metadata(BINARY)?.len();
    Ok(vec![Figure {
        name: "the binary, stripped".into(),
        measured: megabytes(bytes),
        bar: Bar::AtMost(9.0),
        unit: "MB",
        remark: String::new(),
    }])
}

/// From the start of a supervisor to its readiness.
pub(crate) fn start() -> io::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (jobs, bar) in [(1_000, 30.0), (10_000, 100.0)] {
        let (mut new, mut again) = (Vec::new(), Vec::new());
        for _ in 0..7 {
            let place = Place::new("start", &many_jobs(jobs, today()))?;
            new.push(place.supervise()?.ready_after);
            again.push(place.supervise()?.ready_after);
        }
        for (which, spans) in [("new", &new), ("again", &again)] {
            figures.push(Figure {
                name: format!("{jobs} jobs: start to ready, {which}"),
                measured: median_ms(spans),
                bar: Bar::AtMost(bar),
                unit: "ms",
                remark: String::new(),
            });
        }
    }
    Ok(figures)
}

/// Memory and wake-ups while nothing is due.
pub(crate) fn idle() -> io::Result<Vec<Figure>> {
    let (mut figures, mut places) = (Vec::new(), Vec::new());
    for (jobs, memory) in [(10_000, 12.0), (1_000, 6.0)] {
        let place = Place::new(&format!("idle-{jobs}"), &many_jobs(jobs, today()))?;
        // One alone, since two share the pages of the binary.
        let alone = place.supervise()?;
        wait_until_at_rest(&alone)?;
        figures.push(Figure {
            name: format!("{jobs} jobs, idle: memory (PSS)"),
            measured: megabytes(memory_of_all(&alone)?),
            bar: Bar::AtMost(memory),
            unit: "MB",
            remark: String::new(),
        });
        drop(alone);
        places.push((jobs, place));
    }
    let mut supervisors = Vec::new();
    for (jobs, place) in &places {
        supervisors.push((jobs, place.supervise()?));
    }
    for (_, supervisor) in &supervisors {
        wait_until_at_rest(supervisor)?;
    }
    let mut before = Vec::new();
    for (_, supervisor) in &supervisors {
        before.push(switches(supervisor)?);
    }
    // The window itself: nothing is waited for.
    std::thread::sleep(WINDOW);
    for ((jobs, supervisor), before) in supervisors.iter().zip(before) {
        let woken = switches(supervisor)? - before;
        figures.push(Figure {
            name: format!("{jobs} jobs, idle: wake-ups a minute"),
            measured: woken * 60.0 / WINDOW.as_secs_f64(),
            bar: Bar::AtMost(2.0),
            unit: "",
            remark: format!("{woken} in {} s", WINDOW.as_secs()),
        });
    }
    Ok(figures)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The day of the month, in UTC.
pub(crate) fn today() -> u32 {
    DateTime::<Utc>::from(SystemTime::now()).day()
}

/// The proportional set size of a supervisor and its keepers, in bytes.
fn memory_of_all(supervisor: &Supervisor) -> io::Result<u64> {
    let pid = supervisor.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let mut sum = 0;
    for pid in children.split_whitespace().chain([pid.to_string().as_str()]) {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        sum += field(&text, "Pss:") * 1024;
    }
    Ok(sum)
}

/// Waits until a supervisor was not woken for a second: all that its start left to do is done.
fn wait_until_at_rest(supervisor: &Supervisor) -> io::Result<()> {
    let (mut seen, mut since) = (switches(supervisor)?, Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        pause();
        let now = switches(supervisor)?;
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// How often the threads of a supervisor have gone to sleep, which is how often they were woken.
fn switches(supervisor: &Supervisor) -> io::Result<f64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{}/task", supervisor.pid()))? {
        let text = fs::read_to_string(task?.path().join("status"))?;
        sum += field(&text, "voluntary_ctxt_switches:");
    }
    Ok(f64::from(u32::try_from(sum).unwrap_or(u32::MAX)))
}

fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
