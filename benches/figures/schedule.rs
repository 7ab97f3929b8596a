//! What a schedule costs by itself: its next occurrence, the worst one, a jobfile's plans, and what
//! is asked on the command line.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use jobctl::schedule::{HashSeed, Schedule, Wall, Zone, load_zone};

use super::fixture::{Place, median_ms};
use super::{Bar, Figure};

/// 2026-11-23T00:00:00Z.
const NOW: Wall = Wall::from_secs(1_795_392_000);

/// Schedules of ordinary jobfiles.
const ORDINARY: [&str; 12] = [
    "* * * * *",
    "*/5 * * * *",
    "*/15 8-18 * * mon-fri",
    "0 * * * *",
    "30 2 * * *",
    "0 4 * * sun",
    "0 0 1 * *",
    "0 0 1,15 * mon",
    "17 3 1 jan,apr,jul,oct *",
    "0 9 * * 1-5",
    "5 0 L * *",
    "@daily",
];

/// Where the worst one is looked for.
const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
];

/// All of it.
pub(crate) fn schedule() -> io::Result<Vec<Figure>> {
    let mut figures = vec![ordinary()?, worst()?, plans()?];
    figures.extend(whole_processes()?);
    Ok(figures)
}

fn parse(text: &str) -> Option<Schedule> {
    let seed = HashSeed { seed: "seed", job: "job" };
    Schedule::parse(text, seed).ok()
}

fn load(name: &str) -> io::Result<Zone> {
    load_zone(name).map_err(io::Error::other)
}

/// How long one answer takes, over so many in a row.
fn time_next(schedule: &Schedule, zone: &Zone, count: u32) -> Duration {
    let begin = Instant::now();
    let mut after = NOW;
    for _ in 0..count {
        let next = black_box(schedule.next_after(zone, black_box(after), None));
        after = next.map_or(NOW, |next| next.at);
    }
    begin.elapsed() / count
}

fn ordinary() -> io::Result<Figure> {
    let zone = load("Europe/Berlin")?;
    let schedules = ORDINARY.iter().filter_map(|text| parse(text));
    let spans: Vec<Duration> = schedules.map(|it| time_next(&it, &zone, 20_000)).collect();
    let sum: Duration = spans.iter().sum();
    let slowest = spans.iter().max().copied().unwrap_or_default();
    Ok(Figure {
        name: "next occurrence, mean of 12 ordinary schedules".into(),
        measured: micros(sum) / spans.len() as f64,
        bar: Bar::AtMost(2.0),
        unit: "us",
        remark: format!("Europe/Berlin; the slowest of them {:.2} us", micros(slowest)),
    })
}

/// Looks for the valid expression that takes longest, from each end of the years on.
fn worst() -> io::Result<Figure> {
    let days = [
        "29",
        "31",
        "30",
        "L",
        "L-1",
        "L-28",
        "L-29",
        "L-30",
        "LW",
        "1W",
        "15W",
        "31W",
        "*",
        "*/31",
        "H",
        "*/29,L-29",
    ];
    let months = ["*", "2", "2,4", "4", "12"];
    let weekdays = ["*", "1", "*/7", "*/6", "7L", "1L", "2#5", "1#5", "1#1", "5L,1#5", "*/7,1#5"];
    let mut worst = (Duration::ZERO, String::new());
    for name in ZONES {
        let zone = load(name)?;
        for day in days {
            for month in months {
                for weekday in weekdays {
                    let text = format!("59 23 {day} {month} {weekday}");
                    let Some(schedule) = parse(&text) else {
                        continue;
                    };
                    for after in [NOW, Wall::from_secs(0), Wall::from_secs(3_991_680_000)] {
                        let took = slowest_of(&schedule, &zone, after);
                        if took > worst.0 {
                            worst = (took, format!("`{text}` in {name} after {}", after.rfc3339()));
                        }
                    }
                }
            }
        }
    }
    Ok(Figure {
        name: "next occurrence, the worst expression found".into(),
        measured: micros(worst.0) / 1000.0,
        bar: Bar::AtMost(1.0),
        unit: "ms",
        remark: worst.1,
    })
}

/// The middle one of three answers: the machine does other things, too.
fn slowest_of(schedule: &Schedule, zone: &Zone, after: Wall) -> Duration {
    let mut spans: Vec<Duration> = (0..3)
        .map(|_| {
            let begin = Instant::now();
            black_box(schedule.next_after(zone, black_box(after), None));
            begin.elapsed()
        })
        .collect();
    spans.sort_unstable();
    spans[1]
}

/// Parsing ten thousand schedules, and the first occurrence of each.
fn plans() -> io::Result<Figure> {
    let zone = load("Europe/Berlin")?;
    let text = |number: usize| {
        let (minute, hour, day) = (number % 60, number / 60 % 24, number % 28 + 1);
        match number % 4 {
            0 => format!("{minute} {hour} {day} * *"),
            1 => format!("{minute} {hour} * * {}", number % 7),
            2 => format!("{minute}-59/5 {hour} * * *"),
            _ => format!("H {hour} * * *"),
        }
    };
    let texts: Vec<String> = (0..10_000).map(text).collect();
    let mut spans = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        for text in &texts {
            black_box(parse(text).and_then(|it| it.next_after(&zone, NOW, None)));
        }
        spans.push(begin.elapsed());
    }
    Ok(Figure {
        name: "10,000 schedules: parsed and planned".into(),
        measured: median_ms(&spans),
        bar: Bar::AtMost(100.0),
        unit: "ms",
        remark: "a whole start: the group `start`".into(),
    })
}

fn whole_processes() -> io::Result<Vec<Figure>> {
    const ROUNDS: usize = 21;
    let mut text =
        String::from("timezone = 'Europe/Berlin'\n[defaults]\ntimeout = '1h'\nretry = 2\n");
    for number in 0..1_000 {
        let (minute, hour) = (number % 60, number % 24);
        let _ = write!(
            text,
            "[jobs.job-{number:04}]\nschedule = '{minute} {hour} * * {}'\ncommand = 'true'\n",
            number % 7
        );
    }
    let place = Place::new("schedule", &text)?;
    let mut figures = Vec::new();
    for args in [&["next", "-n", "1000"][..], &["check"]] {
        let spans = (0..ROUNDS).map(|_| place.time(args)).collect::<io::Result<Vec<_>>>()?;
        figures.push(Figure {
            name: format!("1,000 jobs: `{}`, whole process", args.join(" ")),
            measured: median_ms(&spans),
            bar: Bar::AtMost(100.0),
            unit: "ms",
            remark: String::new(),
        });
    }
    Ok(figures)
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}
