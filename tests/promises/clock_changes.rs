//! The real binary under faked clocks (libfaketime): over the changes of summer time, and when the
//! clock is set.
//!
//! Over the changes, what must have run is what Debian's cron was seen to run and what the tables
//! of the rule say (`tests/oracle`). Here the kernel's clock stays as it is, so it does not say
//! that the clock was set: a ring does.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use serde_json::Value;

use crate::support::{House, Need, Supervisor, answer_of, found_within, skipped, wait_for};

/// Where Debian puts the library.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// Faked seconds a second. An occurrence may be five minutes late, so a turn may here take a
/// second.
const PACE: i64 = 300;

/// Which clocks are faked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faked {
    /// The wall clock: a clock that is set, or runs away.
    Wall,
    /// Both, so that no step can be told from time that passes.
    Both,
}

/// The library; the test is skipped where there is none.
pub(crate) fn library() -> Option<&'static str> {
    let found = LIBRARIES.into_iter().find(|path| Path::new(path).exists());
    if found.is_none() {
        skipped(Need::Faketime, "libfaketime is not installed (Debian package faketime)");
    }
    found
}

/// A house with a clock of its own.
struct Clockwork {
    house: House,
    library: &'static str,
    faked: Faked,
    /// What stands in the environment instead of the file.
    pace: Option<String>,
}

impl Clockwork {
    /// Stops at no time: it begins at `at` and goes on at the usual pace until it is set.
    fn at(library: &'static str, faked: Faked, jobs: &str, at: i64) -> Self {
        let jobfile = format!("timezone = 'UTC'\n[jobs.tick]\ncommand = 'true'\n{jobs}");
        let clockwork = Self { house: House::new(&jobfile), library, faked, pace: None };
        clockwork.set(at);
        clockwork
    }

    /// Sets the clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is faked is told as a difference to the real clock"
    )]
    fn set(&self, at: i64) {
        let real =
            SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let ahead = at - i64::try_from(real).expect("it is before the end of time");
        self.house.write("clock.new", format!("{ahead:+}\n"));
        std::fs::rename(self.house.path("clock.new"), self.house.path("clock"))
            .expect("it can be renamed");
    }

    fn under(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", self.library).env("TZ", "UTC");
        match &self.pace {
            Some(pace) => command.env("FAKETIME", pace),
            None => command
                .env("FAKETIME_TIMESTAMP_FILE", self.house.path("clock"))
                .env("FAKETIME_NO_CACHE", "1"),
        };
        if self.faked == Faked::Wall {
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        command
    }

    fn start(&self) -> Supervisor {
        self.house.start_with(&mut self.under(self.house.jobctl()), &[])
    }

    /// Sets the clock, and waits until the supervisor has seen it and nothing runs any more.
    fn set_and_wait(&self, at: i64, jobs: &[&str]) {
        self.set(at);
        let mut enqueue = self.under(self.house.jobctl());
        let answer = answer_of(enqueue.args(["enqueue", "tick"])).expect(0);
        let id = answer.out.trim().parse().expect("an id");
        self.house.wait_state(id, "succeeded");
        self.house.wait_idle(jobs);
    }

    /// The instants for which a job was started.
    fn started(&self, job: &str) -> Vec<i64> {
        let runs = self.house.runs(job);
        let started = runs.iter().filter(|run| run["attempt"].as_i64() > Some(0));
        started.filter_map(|run| secs(run["scheduled_at"].as_str()?)).collect()
    }

    fn skips(&self, job: &str) -> Vec<(String, i64)> {
        let runs = self.house.runs(job);
        let skipped = runs.iter().filter(|run| run["state"] == "skipped");
        skipped
            .map(|run| {
                let reason = run["reason"].as_str().expect("a skip has a reason");
                (reason.to_owned(), run["count"].as_i64().unwrap_or(1))
            })
            .collect()
    }

    /// By how many seconds the log tells that the clock jumped.
    fn told(&self, event: &str) -> Vec<i64> {
        let log = self.house.read("log");
        let lines = log.lines().filter(|line| line.contains(&format!("event={event} ")));
        let by = |line: &str| line.rsplit_once("by_s=")?.1.trim().parse().ok();
        lines.filter_map(by).collect()
    }

    /// Durations are of the monotonic clock and end after they begin.
    fn assert_sound(&self, jobs: &[&str]) {
        for run in jobs.iter().flat_map(|job| self.house.runs(job)) {
            assert!(run["duration_ms"].as_i64() >= Some(0) || run["state"] == "skipped", "{run}");
        }
    }
}

/// A row of an oracle: when an expression fires in a zone.
struct Row {
    expression: String,
    zone: String,
    after: i64,
    expected: Vec<i64>,
    until: Option<i64>,
    /// Whether the zone's offset changes in it.
    has_change: bool,
}

fn oracle(name: &str) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(name);
    let text = std::fs::read_to_string(path).expect("the oracle is there");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let &[_, expression, zone, after, expected, ..] = cells.as_slice() else {
                return None;
            };
            let times: Vec<&str> = expected.split(';').filter(|time| !time.is_empty()).collect();
            let offset = |time: &str| time.len().checked_sub(6).map(|at| time[at..].to_owned());
            Some(Row {
                expression: expression.to_owned(),
                zone: zone.to_owned(),
                after: secs(after)?,
                expected: times.iter().map(|time| secs(time)).collect::<Option<_>>()?,
                until: cells.get(5).and_then(|until| secs(until)),
                has_change: times.iter().any(|time| offset(time) != offset(after)),
            })
        })
        .collect()
}

fn secs(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp())
}

fn instant(text: &str) -> i64 {
    secs(text).expect("RFC 3339")
}

/// Lets what Debian's cron was watched over run at a pace, from the first look to the last.
fn run_what_cron_was_seen_to_run(month: &str, faked: Faked) {
    let Some(library) = library() else { return };
    let begin = instant(month);
    let rows: Vec<Row> =
        oracle("debian-cron-observed.tsv").into_iter().filter(|row| row.after == begin).collect();
    assert!(!rows.is_empty(), "the oracle has rows of {month}");
    let until = rows.iter().filter_map(|row| row.until).max().expect("they end");
    let mut jobs =
        "[jobs.end]\nschedule = '*/5 * * * *'\ncommand = 'true'\noverlap = 'queue-all'\n"
            .to_owned();
    for (number, row) in rows.iter().enumerate() {
        let (zone, expression) = (&row.zone, &row.expression);
        let _ = write!(
            jobs,
            "[jobs.j{number}]\nschedule = '{expression}'\ntimezone = '{zone}'\ncommand = 'true'\noverlap = 'queue-all'\n"
        );
    }
    let mut clockwork = Clockwork::at(library, faked, &jobs, begin);
    let local = DateTime::from_timestamp(begin, 0).expect("it is a time").format("%F %T");
    clockwork.pace = Some(format!("@{local} x{PACE}"));
    let supervisor = clockwork.start();
    let is_over = |run: &Value| run["scheduled_at"].as_str().and_then(secs) > Some(until);
    found_within(std::time::Duration::from_secs(120), || {
        clockwork.house.runs("end").into_iter().find(is_over)
    })
    .expect("time passes");
    drop(supervisor);
    for (number, row) in rows.iter().enumerate() {
        let mut started = clockwork.started(&format!("j{number}"));
        let mut expected = row.expected.clone();
        started.retain(|at| *at <= until);
        expected.retain(|at| *at <= until);
        assert_eq!(started, expected, "{} in {}", row.expression, row.zone);
    }
}

#[test]
fn over_the_spring_change_runs_what_debian_cron_was_seen_to_run() {
    run_what_cron_was_seen_to_run("2026-03-29T01:50:00+01:00", Faked::Both);
}

#[test]
fn over_the_autumn_change_runs_what_debian_cron_was_seen_to_run() {
    run_what_cron_was_seen_to_run("2026-10-25T01:50:00+02:00", Faked::Wall);
}

/// Rows of the tables that a change is in, each set from one of its occurrences to the next:
/// whatever else ran or was missed in between would be there.
fn set_from_occurrence_to_occurrence(zone: &str) {
    let Some(library) = library() else { return };
    let rows = oracle("dst.tsv");
    let rows = rows.iter().filter(|row| row.zone == zone && row.has_change);
    for (number, row) in rows.take(8).enumerate() {
        let jobs = format!(
            "[jobs.a]\nschedule = '{}'\ntimezone = '{zone}'\ncommand = 'true'\noverlap = 'queue-all'\n",
            row.expression
        );
        let faked = if number % 2 == 0 { Faked::Wall } else { Faked::Both };
        let clockwork = Clockwork::at(library, faked, &jobs, row.after);
        let _supervisor = clockwork.start();
        for at in &row.expected {
            clockwork.set_and_wait(at + 2, &["a"]);
        }
        assert_eq!(clockwork.started("a"), row.expected, "{} in {zone}", row.expression);
        assert_eq!(clockwork.skips("a"), [], "{} in {zone}", row.expression);
        clockwork.assert_sound(&["a"]);
    }
}

#[test]
fn over_changes_in_new_york_runs_what_the_tables_say() {
    set_from_occurrence_to_occurrence("America/New_York");
}

#[test]
fn over_changes_by_half_an_hour_runs_what_the_tables_say() {
    set_from_occurrence_to_occurrence("Australia/Lord_Howe");
}

const TWO: &str = "[jobs.fixed]\nschedule = '30 10,12 * * *'\ncommand = 'true'\n\
    [jobs.wild]\nschedule = '*/20 * * * *'\ncommand = 'true'\n";

#[test]
fn a_clock_set_forward_starts_what_cron_would_and_records_the_rest_as_missed() {
    let Some(library) = library() else { return };
    let begin = "2026-06-01T10:21:00Z";
    let half = "2026-06-01T10:30:00Z";
    for faked in [Faked::Wall, Faked::Both] {
        for (to, fixed, fixed_missed, wild_missed) in [
            ("2026-06-01T10:31:00Z", vec![half], 0, 0),
            ("2026-06-01T12:21:00Z", vec![half], 0, 5),
            ("2026-06-01T15:21:00Z", vec![], 2, 14),
            ("2026-06-02T10:21:00Z", vec![], 2, 71),
        ] {
            let clockwork = Clockwork::at(library, faked, TWO, instant(begin));
            let _supervisor = clockwork.start();
            clockwork.set_and_wait(instant(to), &["fixed", "wild"]);
            let missed = |job| clockwork.skips(job).iter().map(|(_, count)| *count).sum::<i64>();
            let fixed: Vec<i64> = fixed.into_iter().map(instant).collect();
            assert_eq!(clockwork.started("fixed"), fixed, "{faked:?} {to}");
            assert_eq!(
                (missed("fixed"), missed("wild")),
                (fixed_missed, wild_missed),
                "{faked:?} {to}"
            );
            assert!(clockwork.skips("wild").len() <= 1, "{:?}", clockwork.skips("wild"));
            clockwork.assert_sound(&["fixed", "wild"]);
        }
    }
}

#[test]
fn a_clock_set_back_repeats_no_fixed_time_silences_no_job_and_is_told_once() {
    let Some(library) = library() else { return };
    for faked in [Faked::Wall, Faked::Both] {
        for (from, to, fixed) in [
            // An hour: fixed times do not run again, until they are new.
            ("2026-06-01T10:29:30Z", "2026-06-01T09:39:30Z", 1),
            ("2026-06-02T10:29:30Z", "2026-06-01T10:29:30Z", 2),
            ("2035-06-02T10:29:30Z", "2026-06-01T10:29:30Z", 2),
        ] {
            let by = instant(from) + 62 - instant(to);
            let clockwork = Clockwork::at(library, faked, TWO, instant(from));
            let supervisor = clockwork.start();
            clockwork.set_and_wait(instant(from) + 62, &["fixed", "wild"]);
            clockwork.set_and_wait(instant(to), &["fixed", "wild"]);
            clockwork.set_and_wait(instant(to) + 65, &["fixed", "wild"]);
            clockwork.set_and_wait(instant(to) + 632, &["fixed", "wild"]);
            clockwork.set_and_wait(instant(to) + 632 + 30 * 60, &["fixed", "wild"]);
            let told = clockwork.told("clock_back");
            assert!(told.len() == 1 && (by - 2..by + 30).contains(&told[0]), "{faked:?} {told:?}");
            drop(supervisor);
            assert_eq!(clockwork.started("fixed").len(), fixed, "{faked:?} {from} {to}");
            let new_times = clockwork.started("wild");
            assert!(
                new_times.iter().any(|at| (instant(to)..instant(to) + 700).contains(at)),
                "{faked:?} {to}: {new_times:?}"
            );
            clockwork.assert_sound(&["fixed", "wild"]);
        }
    }
}

#[test]
fn a_clock_set_back_from_2035_while_nobody_was_there_silences_no_job() {
    let Some(library) = library() else { return };
    let every = "[jobs.every]\nschedule = '@every 10m'\ncommand = 'true'\n";
    let clockwork = Clockwork::at(
        library,
        Faked::Wall,
        &format!("{TWO}{every}"),
        instant("2035-06-02T10:29:30Z"),
    );
    let jobs = ["fixed", "wild", "every"];
    let supervisor = clockwork.start();
    clockwork.set_and_wait(instant("2035-06-02T10:30:02Z"), &jobs);
    drop(supervisor);
    clockwork.set(instant("2026-06-01T10:29:30Z"));
    let _supervisor = clockwork.start();
    clockwork.set_and_wait(instant("2026-06-01T10:30:32Z"), &jobs);
    clockwork.set_and_wait(instant("2026-06-01T10:40:12Z"), &jobs);
    assert_eq!(clockwork.started("fixed")[1..], [instant("2026-06-01T10:30:00Z")]);
    assert_eq!(clockwork.started("wild")[..], [instant("2026-06-01T10:40:00Z")]);
    assert_eq!(clockwork.started("every").len(), 1);
    let told = wait_for("the log to tell", || {
        let log = clockwork.house.read("log");
        log.lines().find(|line| line.contains("event=clock_back")).map(str::to_owned)
    });
    assert!(
        told.contains("from=2035-06-02T10:") && told.contains("to=2026-06-01T10:29:3"),
        "{told}"
    );
}
