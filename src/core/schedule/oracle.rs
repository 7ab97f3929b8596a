//! The tables in `tests/oracle`: what crontab does, from brute force, from cron itself and from
//! other projects' tests.

use chrono::DateTime;

use super::{HashSeed, Schedule, Zone};
use crate::core::time::Wall;
use crate::os::zone;

/// A line of a table.
struct Row<'a> {
    line: &'a str,
    expression: &'a str,
    zone: &'a str,
    after: Wall,
    expected: &'a str,
    until: Option<Wall>,
}

fn instant(text: &str) -> Wall {
    Wall::from_secs(
        DateTime::parse_from_rfc3339(text).unwrap_or_else(|e| panic!("{text}: {e}")).timestamp(),
    )
}

/// What is wrong with a row, or nothing.
fn check(row: &Row<'_>, zone: &Zone) -> Option<String> {
    let seed = HashSeed { seed: "", job: "" };
    match (Schedule::parse(row.expression, seed), row.expected) {
        (Err(_), "ERR") => None,
        (Err(error), "NEVER") if error.message == "expression never matches a date" => None,
        (Err(error), _) => Some(format!("{}\n  {error:?}", row.line)),
        (Ok(_), "ERR" | "NEVER") => Some(format!("{}\n  is accepted", row.line)),
        (Ok(schedule), expected) => {
            let wanted: Vec<Wall> =
                expected.split(';').filter(|text| !text.is_empty()).map(instant).collect();
            let found = occurrences(&schedule, zone, row, wanted.len());
            (found != wanted).then(|| format!("{}\n  found {found:?}", row.line))
        }
    }
}

fn occurrences(schedule: &Schedule, zone: &Zone, row: &Row<'_>, count: usize) -> Vec<Wall> {
    let mut at = row.after;
    let all = std::iter::from_fn(|| {
        at = schedule.next_after(zone, at, None)?.at;
        Some(at)
    });
    match row.until {
        None => all.take(count).collect(),
        Some(until) => all.take_while(|&at| at <= until).collect(),
    }
}

/// Checks each row of a table and tells all that are wrong.
fn check_table(name: &str) {
    let path = format!("{}/tests/oracle/{name}.tsv", env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut lines = table.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let column = |name: &str| columns.iter().position(|column| *column == name);
    let wrong: Vec<String> = lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let cell = |name: &str| column(name).map(|index| cells[index]);
            let row = Row {
                line,
                expression: cell("expression").unwrap(),
                zone: cell("tz").unwrap(),
                after: instant(cell("after").unwrap()),
                expected: cell("expected").unwrap(),
                until: cell("until").map(instant),
            };
            check(&row, &zone::load(row.zone).unwrap())
        })
        .collect();
    assert!(wrong.is_empty(), "{} rows of {name} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn schedules_fire_as_the_general_table_says() {
    check_table("general");
}

#[test]
fn schedules_fire_around_clock_changes_as_the_table_says() {
    check_table("dst");
}

#[test]
fn schedules_fire_as_debian_cron_was_seen_to() {
    check_table("debian-cron-observed");
}

#[test]
fn schedules_fire_as_the_tests_of_other_projects_say() {
    check_table("public");
}
