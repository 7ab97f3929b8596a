//! The evaluator against what cron was seen to do, against the engine, and the proof against jobs
//! that are wrong.

use std::sync::Arc;

use chrono::DateTime;
use proptest::prelude::*;

use super::entry::Entry;
use super::*;
use crate::core::job::{CommandLine, Job, Name, Policy};
use crate::core::schedule::HashSeed;
use crate::os::zone;

const DAY_SECS: i64 = 86_400;

/// 2026-11-23T21:00:00Z.
const NOW: Wall = Wall::from_secs(1_795_467_600);

fn entry(text: &str) -> Entry {
    match When::read(text) {
        Some(When::Fields(entry)) => entry,
        other => panic!("{text}: {other:?}"),
    }
}

fn schedule(text: &str) -> Schedule {
    let seed = HashSeed { seed: "", job: "" };
    Schedule::parse(text, seed).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn job(name: &str, schedules: &[&str], policy: Policy) -> Job {
    Job {
        name: Name::parse(name).unwrap(),
        command: CommandLine::Shell("true".into()),
        schedules: schedules.iter().map(|text| (Box::from(*text), schedule(text))).collect(),
        timezone: None,
        policy: Arc::new(policy),
    }
}

fn line(job: &str, schedule: &str) -> Imported {
    Imported {
        job: job.to_owned(),
        file: "/etc/crontab".to_owned(),
        line: 17,
        schedule: schedule.to_owned(),
        zone: None,
        user: None,
        command: "true".to_owned(),
        starter: Starter::Cron,
    }
}

fn days(count: i64) -> Span {
    Span { after: NOW, until: Wall::from_secs(NOW.secs() + count * DAY_SECS) }
}

/// Proves one line against one job in Berlin, over 400 days.
fn proof_of(line: &Imported, job: Option<&Job>) -> (u64, Vec<Difference>, u64) {
    let berlin = zone::load("Europe/Berlin").unwrap();
    let pair = Pair { line, line_zone: Some(&berlin), job: job.map(|job| (job, &berlin)) };
    let proof = prove(&[pair], days(400), |_| {});
    let mismatch = proof.mismatches.into_iter().next();
    let (shown, count) = mismatch.map_or((Vec::new(), 0), |it| (it.shown, it.count));
    (proof.occurrences, shown, count)
}

fn instant(text: &str) -> Wall {
    Wall::from_secs(DateTime::parse_from_rfc3339(text).unwrap().timestamp())
}

/// The rows of a table that say when an expression without extensions fires: expression, zone,
/// span, and the occurrences.
fn check_table(name: &str) -> usize {
    let path = format!("{}/tests/oracle/{name}.tsv", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let mut checked = 0;
    for row in lines {
        let cells: Vec<&str> = row.split('\t').collect();
        let cell = |name: &str| {
            let index = head.iter().position(|title| *title == name)?;
            cells.get(index).copied().filter(|cell| !cell.is_empty())
        };
        let Some(When::Fields(entry)) = When::read(cell("expression").unwrap()) else {
            continue;
        };
        let expected = cell("expected").unwrap_or_default();
        // A range of weekdays that goes round is jobctl's; cron takes it and never starts anything.
        if matches!(expected, "ERR" | "NEVER") || entry.weekday == 0 {
            continue;
        }
        let wanted: Vec<Wall> =
            expected.split(';').filter(|text| !text.is_empty()).map(instant).collect();
        let until = cell("until").map(instant).or(wanted.last().copied());
        // Minute by minute is for a span of years, not of decades.
        let after = instant(cell("after").unwrap());
        let Some(until) = until.filter(|until| until.secs() - after.secs() < 1500 * DAY_SECS)
        else {
            continue;
        };
        let zone = zone::load(cell("tz").unwrap_or("UTC")).unwrap();
        let found: Vec<Wall> = Starts::new(entry, &zone, Span { after, until }).collect();
        assert_eq!(found, wanted, "{name}: {row}");
        checked += 1;
    }
    checked
}

#[test]
fn the_evaluator_starts_what_debian_cron_was_seen_to_start() {
    let rows = check_table("debian-cron-observed");
    assert!(rows >= 16, "{rows} rows");
}

#[test]
fn the_evaluator_agrees_with_the_tables() {
    let (dst, general) = (check_table("dst"), check_table("general"));
    assert!(dst > 600 && general > 500, "{dst} and {general} rows");
}

#[test]
fn equal_jobs_are_proved_equal() {
    for (text, occurrences) in [
        ("* * * * *", 400 * 1440),
        ("30 2 * * *", 400),
        ("@hourly", 400 * 24),
        ("0 0 13 * 5", 69),
        ("@reboot", 0),
    ] {
        let (found, shown, _) =
            proof_of(&line("a", text), Some(&job("a", &[text], Policy::default())));
        assert_eq!(shown, [], "{text}");
        assert_eq!(found, occurrences, "{text}");
    }
}

#[test]
fn a_job_that_is_wrong_is_reported() {
    // The third number: how many occurrences of 400 days only one side has.
    for (cron, jobctl, differences) in [
        // In spring both are skipped, and start at three.
        ("30 2 * * *", "31 2 * * *", 798),
        ("0 0 13 * 5", "0 0 13 * *", 56),
        ("0 0 1 1 *", "0 0 1 2 *", 2),
        // Equal but for the hour that an autumn has twice, and a spring not at all.
        ("*/30 2 * * *", "0,30 2 * * *", 3),
        ("0 12 * * *", "0 12 * * 1-5", 114),
        ("50-10 * * * *", "50 * * * *", 9600),
    ] {
        let (_, shown, count) =
            proof_of(&line("a", cron), Some(&job("a", &[jobctl], Policy::default())));
        assert_eq!(count, differences, "{cron} against {jobctl}: {shown:?}");
        assert_eq!(shown.len() as u64, count.min(5));
    }
}

#[test]
fn a_difference_says_the_instant_and_the_side() {
    let (_, shown, _) =
        proof_of(&line("a", "0 3 24 11 *"), Some(&job("a", &["5 3 24 11 *"], Policy::default())));
    assert_eq!(
        shown[..2],
        [
            Difference::Only(Side::Cron, instant("2026-11-24T03:00:00+01:00")),
            Difference::Only(Side::Jobctl, instant("2026-11-24T03:05:00+01:00")),
        ]
    );
}

#[test]
fn a_job_in_another_zone_is_different() {
    let (line, job) = (line("a", "0 12 * * *"), job("a", &["0 12 * * *"], Policy::default()));
    let (berlin, tokyo) = (zone::load("Europe/Berlin").unwrap(), zone::load("Asia/Tokyo").unwrap());
    let pair = Pair { line: &line, line_zone: Some(&berlin), job: Some((&job, &tokyo)) };
    assert_eq!(prove(&[pair], days(10), |_| {}).mismatches[0].count, 20);
}

#[test]
fn what_cannot_be_compared_is_a_difference_too() {
    let off = Policy { enabled: false, ..Policy::default() };
    let plain = Policy::default;
    for (cron, job) in [
        ("61 * * * *", Some(job("a", &["1 * * * *"], plain()))),
        ("1 * * * *", None),
        ("@reboot", Some(job("a", &["@daily"], plain()))),
        ("@daily", Some(job("a", &["@daily", "@reboot"], plain()))),
        ("*/5 * * * *", Some(job("a", &["@every 5m"], plain()))),
        ("1 * * * *", Some(job("a", &["1 * * * *"], off.clone()))),
        ("@reboot", Some(job("a", &["@reboot"], off))),
        ("@daily", Some(job("a", &[], plain()))),
    ] {
        let (_, _, count) = proof_of(&line("a", cron), job.as_ref());
        assert!(count > 0, "{cron}");
    }
}

#[test]
fn an_instant_that_two_schedules_name_is_one_occurrence() {
    let job = job("a", &["0 * * * *", "0 12 * * *"], Policy::default());
    let (_, shown, _) = proof_of(&line("a", "@hourly"), Some(&job));
    assert_eq!(shown, []);
}

fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
    let item = (low..=high, low..=high, 1..=high + 3, 0..5).prop_map(|(a, b, step, form)| {
        let (first, last) = (a.min(b), a.max(b));
        match form {
            0 => format!("{a}"),
            1 => format!("{first}-{last}"),
            2 => format!("{first}-{last}/{step}"),
            3 => format!("*/{step}"),
            _ => "*".to_owned(),
        }
    });
    prop::collection::vec(item, 1..3).prop_map(|items| items.join(","))
}

fn expression() -> impl Strategy<Value = String> {
    let star = || Just("*".to_owned());
    let days = prop_oneof![2 => star(), 1 => field(1, 31)];
    let months = prop_oneof![4 => star(), 1 => field(1, 12)];
    let weekdays = prop_oneof![2 => star(), 1 => field(0, 7)];
    (field(0, 59), field(0, 23), days, months, weekdays).prop_map(
        |(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"),
    )
}

const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "America/Havana",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Pacific/Chatham",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engine_and_evaluator_agree_over_both_clock_changes(
        text in expression(), name in 0..ZONES.len(), change in any::<prop::sample::Index>(), before in 0..3 * DAY_SECS,
    ) {
        let seed = HashSeed { seed: "", job: "" };
        let Ok(parsed) = Schedule::parse(&text, seed) else {
            // The generator makes days that never come.
            return Ok(());
        };
        let zone = zone::load(ZONES[name]).unwrap();
        let changes = zone.transitions.iter().map(|it| it.at_secs).filter(|at| *at > NOW.secs());
        let mut changes: Vec<i64> = changes.take(20).collect();
        changes.push(NOW.secs());
        let after = Wall::from_secs(changes[change.index(changes.len())] - before);
        let span = Span { after, until: Wall::from_secs(after.secs() + 8 * DAY_SECS) };
        let starts = Starts::new(entry(&text), &zone, span);
        let mut at = span.after;
        let engine = std::iter::from_fn(|| {
            at = parsed.next_after(&zone, at, None)?.at;
            Some(at)
        });
        let mut found = Found::default();
        merge(starts, engine.take_while(|at| *at <= span.until), &mut found);
        prop_assert_eq!(found.shown, vec![], "{} in {}", text, ZONES[name]);
    }

    #[test]
    fn no_text_makes_the_evaluator_panic(text in "[@*0-9a-zA-Z ,/?~-]{0,40}", bytes in any::<String>()) {
        for text in [text, bytes] {
            let _ = When::read(&text);
        }
    }
}
