//! Which room may use which (docs/design.md, "Rooms"): the compiler cannot hold that within one
//! crate.

use std::fs;
use std::path::{Path, PathBuf};

/// A room, and the rooms it may use besides its own.
const ROOMS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("os", &["core"]),
    ("crontab", &["core"]),
    ("jobfile", &["core"]),
    ("store", &["os", "core"]),
    ("keeper", &["os", "core"]),
    ("metrics", &["store", "core"]),
    ("supervisor", &["metrics", "keeper", "jobfile", "store", "os", "core"]),
    ("facts", &["keeper", "jobfile", "store", "os", "core"]),
    ("verbs", &["store", "os", "core"]),
    ("door", &["verbs", "pages", "wording", "facts", "metrics", "jobfile", "store", "os", "core"]),
    ("cli", &["core"]),
    ("wording", &["facts", "store", "core"]),
    ("pages", &["wording", "facts", "store", "core"]),
    (
        "cmd",
        &[
            "cli",
            "verbs",
            "pages",
            "wording",
            "facts",
            "supervisor",
            "metrics",
            "keeper",
            "jobfile",
            "crontab",
            "store",
            "os",
            "core",
        ],
    ),
];

/// A crate that only one place may use, and the place.
const CRATES: &[(&str, &[&str])] = &[
    ("askama", &["pages/"]),
    ("cron", &["core/schedule/"]),
    ("hyper", &["door/"]),
    ("humantime", &["core/duration.rs", "jobfile/"]),
    ("jiff", &["os/zone.rs"]),
    ("rusqlite", &["store/"]),
    ("tokio", &["door/"]),
    ("toml", &["cmd/state_key.rs", "jobfile/"]),
];

/// The crontab prover checks the schedule engine, and shares no code with it.
const PROVER: [&str; 2] = ["crontab/prove/entry.rs", "crontab/prove/minutes.rs"];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        let Some((room, below)) = ROOMS.iter().find(|(room, _)| is_of(&file, room)) else {
            continue;
        };
        let used = code.split("crate::").skip(1).map(first_name);
        for used in used.filter(|used| ROOMS.iter().any(|(room, _)| room == used)) {
            if used != *room && !below.contains(&used) {
                wrong.push(format!("src/{file} uses {used}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_crate_of_one_place_is_used_there_only() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (name, places) in CRATES {
            let is_used = code.contains(&format!("use {name}::"));
            if is_used && !places.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("src/{file} uses the crate {name}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn the_prover_shares_no_code_with_the_schedule_engine() {
    let sources = sources();
    for prover in PROVER {
        let code = &sources.iter().find(|(file, _)| file == prover).expect("it is there").1;
        // A zone and a span of time are plain data.
        let own = code.replace("use crate::core::schedule::{Span, Zone};", "");
        for engine in ["schedule::", "fields::", "cron::", "core::plan"] {
            assert!(!own.contains(engine), "src/{prover} uses {engine}");
        }
    }
}

/// Each source below `src`, without its comments and its tests; files that hold only tests and
/// properties are left out.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    let relative =
        |path: &PathBuf| path.strip_prefix(&src).expect("below src").display().to_string();
    let all = files.iter().map(|path| (relative(path), production_code(path)));
    let sources: Vec<_> = all.filter(|(file, _)| !is_for_tests(file)).collect();
    assert!(sources.len() > 100, "the sources are not where they were: {}", sources.len());
    sources
}

fn production_code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source is readable");
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    before_tests
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_for_tests(file: &str) -> bool {
    ["tests", "scenarios", "conformance", "oracle", "brute_force", "properties"]
        .iter()
        .any(|name| file.split(['/', '.']).any(|part| part == *name))
}

fn is_of(file: &str, room: &str) -> bool {
    file.split(['/', '.']).next() == Some(room)
}

fn first_name(path: &str) -> &str {
    path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of sources is readable") {
        let path = entry.expect("an entry is readable").path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push(path);
        }
    }
}
