//! Who may import whom: reads the sources and names the file and line of each import that goes the wrong way.
//!
//! The rules stand in docs/design.md, "Rooms"; here they are two tables. Code for tests only may look into more rooms, never
//! into ones above its own.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A room, the rooms it may import, and the crates it may use.
struct Room {
    name: &'static str,
    rooms: &'static [&'static str],
    crates: &'static [&'static str],
}

const ROOMS: &[Room] = &[
    Room { name: "main", rooms: &["cli", "cmd", "keeper"], crates: &["clap"] },
    Room { name: "cli", rooms: &[], crates: &["clap"] },
    Room {
        name: "cmd",
        rooms: &["cli", "supervisor", "keeper", "jobfile", "crontab", "store", "os", "core"],
        crates: &[
            "anyhow",
            "base64",
            "chrono",
            "clap",
            "clap_complete",
            "nix",
            "serde_json",
            "strsim",
            "toml",
            "unicode_width",
        ],
    },
    Room {
        name: "supervisor",
        rooms: &["keeper", "jobfile", "store", "os", "core"],
        crates: &["base64", "chrono", "glob", "nix", "serde_json"],
    },
    Room { name: "keeper", rooms: &["os", "core"], crates: &["nix"] },
    Room { name: "jobfile", rooms: &["core"], crates: &["glob", "humantime", "strsim", "toml"] },
    Room { name: "crontab", rooms: &["core"], crates: &["chrono"] },
    Room { name: "store", rooms: &["core"], crates: &["base64", "nix", "rusqlite", "serde_json"] },
    Room { name: "os", rooms: &["core"], crates: &["jiff", "nix", "strsim"] },
    Room { name: "core", rooms: &[], crates: &["chrono", "cron", "humantime"] },
];

/// Crates that belong to one place of a room, and where that is.
const ONE_PLACE: &[(&str, &str)] = &[
    ("cron", "core/schedule/"),
    ("glob", "jobfile/"),
    ("glob", "supervisor/watching/look.rs"),
    ("humantime", "core/duration.rs"),
    ("humantime", "jobfile/"),
    ("jiff", "os/zone.rs"),
    ("rusqlite", "store/"),
    ("toml", "cmd/state_key.rs"),
    ("toml", "jobfile/"),
];

/// What code for tests may import besides: a zone to reckon with, and properties.
const TESTS_ALSO: (&[&str], &[&str]) = (&["os"], &["proptest"]);

/// Every crate that a rule is about.
const CRATES: &[&str] = &[
    "anyhow",
    "base64",
    "chrono",
    "clap",
    "clap_complete",
    "cron",
    "glob",
    "humantime",
    "jiff",
    "libc",
    "nix",
    "proptest",
    "rusqlite",
    "serde_json",
    "strsim",
    "toml",
    "unicode_width",
];

/// Files that hold nothing but tests, and what they reckon with.
const TEST_FILES: &[&str] = &["tests", "oracle", "brute_force", "scenarios", "conformance"];

/// An import that goes the wrong way.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

#[test]
fn imports_go_downward_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    assert!(files.len() > 50, "the sources are not where they were: {} files", files.len());
    let violations: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("a source is readable");
            check(path.strip_prefix(&src).expect("it is below src"), &text)
        })
        .map(|violation| violation.to_string())
        .collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn what_the_engine_is_proved_against_shares_no_code_with_it() {
    let prove = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/crontab/prove");
    for file in ["entry.rs", "minutes.rs"] {
        let text = fs::read_to_string(prove.join(file)).expect("a source is readable");
        let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        let code: String = code.lines().map(without_comment).collect();
        // A zone and a span of time are facts, and no code.
        let own = code.replace("use crate::core::schedule::{Span, Zone};", "");
        for shared in ["schedule::", "fields::", "cron::", "core::plan"] {
            assert!(!own.contains(shared), "{file} takes something of {shared}");
        }
    }
}

#[test]
fn a_planted_violation_is_found_with_its_line() {
    let planted = [
        ("core/plan.rs", "use std::fmt;\nuse crate::os::clock;\n", 2),
        ("core/plan.rs", "fn a() {\n    let _ = crate::store::Store::open();\n}\n", 2),
        ("core/plan.rs", "use super::super::os::clock;\n", 1),
        ("core/schedule/days.rs", "use crate::{\n    core::time::Wall,\n    os::clock,\n};\n", 1),
        ("core/plan.rs", "use cron::Schedule;\n", 1),
        ("core/plan.rs", "fn a(at: &chrono::Utc) -> nix::Result<()> {}\n", 1),
        ("keeper/serve.rs", "\n\nuse crate::store::Store;\n", 3),
        ("keeper/serve.rs", "mod a {\n    use crate::supervisor::Event;\n}\n", 2),
        ("store/mod.rs", "use super::os::lock;\n", 1),
        ("jobfile/mod.rs", "use crate::os::zone;\n", 1),
        ("os/mod.rs", "pub(crate) use crate::store::Store;\n", 1),
        ("cmd/runs.rs", "use rusqlite::Connection;\n", 1),
        ("os/wake.rs", "use jiff::Timestamp;\n", 1),
        ("cli.rs", "use crate::core::job::Job;\n", 1),
        ("main.rs", "use store::Store;\n", 1),
        ("supervisor/mod.rs", "use crate::cmd::output;\n", 1),
        ("keeper/serve.rs", "unsafe { libc::fork() };\n", 1),
        ("store/rows.rs", "#[cfg(test)]\nmod tests {\n    use crate::supervisor::Event;\n}\n", 3),
    ];
    for (file, text, line) in planted {
        let found = check(Path::new(file), text);
        assert!(
            found.iter().any(|violation| violation.line == line),
            "{file}: {text:?} gives {found:?}"
        );
    }
}

#[test]
fn what_is_allowed_is_not_a_violation() {
    let allowed = [
        (
            "core/schedule/days.rs",
            "use cron::Schedule;\nuse super::super::time::Wall;\nuse crate::core::job::Job;\n",
        ),
        ("core/schedule/tests.rs", "use crate::os::zone;\n"),
        (
            "core/plan.rs",
            "//! Time is [`crate::os::clock`]'s.\n/// See crate::store.\nfn a() {} // not crate::store\n",
        ),
        (
            "core/plan.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::os::zone;\n    use super::super::time::Wall;\n}\n",
        ),
        ("cmd/runs.rs", "use super::context::Context;\nuse crate::{cli, core::run::State};\n"),
        ("os/spawn.rs", "unsafe { libc::vfork() };\n"),
        ("main.rs", "mod store;\nuse cmd::output::Out;\nfn main() { keeper::main() }\n"),
    ];
    for (file, text) in allowed {
        assert_eq!(check(Path::new(file), text), [], "{file}: {text:?}");
    }
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)
        .expect("a directory of sources is readable")
        .map(|entry| entry.expect("an entry is readable").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Everything in a source that breaks a rule; `file` is relative to `src`.
fn check(file: &Path, text: &str) -> Vec<Violation> {
    let source = Source::new(file, text);
    let mut violations = Vec::new();
    source.check_rooms(&mut violations);
    source.check_crates(&mut violations);
    source.check_unsafe(&mut violations);
    violations
}

struct Source<'a> {
    file: &'a Path,
    room: &'static Room,
    /// Without comments, which may speak of any room; as many lines as before.
    code: String,
    /// How many modules the file is below the root.
    depth: usize,
    /// The byte where code for tests begins.
    tests_at: usize,
}

impl<'a> Source<'a> {
    fn new(file: &'a Path, text: &str) -> Self {
        let code: String =
            text.lines().map(|line| without_comment(line).to_owned() + "\n").collect();
        let first = file.components().next().expect("a file has a name").as_os_str();
        let name = Path::new(first).file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let room = ROOMS.iter().find(|room| room.name == name);
        let is_test_file = file
            .with_extension("")
            .components()
            .any(|part| TEST_FILES.iter().any(|name| part.as_os_str() == *name));
        let tests_at = if is_test_file {
            0
        } else {
            code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len())
        };
        let below_root = file.components().count();
        let is_module_itself = file.ends_with("mod.rs") || file == Path::new("main.rs");
        Self {
            file,
            room: room
                .unwrap_or_else(|| panic!("src/{}: a room that no rule is about", file.display())),
            depth: below_root - usize::from(is_module_itself),
            tests_at,
            code,
        }
    }

    fn report(&self, at: usize, what: String, into: &mut Vec<Violation>) {
        let line = self.code[..at].matches('\n').count() + 1;
        into.push(Violation { file: self.file.to_owned(), line, what });
    }

    fn check_rooms(&self, into: &mut Vec<Violation>) {
        for (at, named) in self.rooms_named() {
            let is_test = at >= self.tests_at;
            let is_allowed = named == self.room.name
                || self.room.rooms.contains(&named.as_str())
                || (is_test && TESTS_ALSO.0.contains(&named.as_str()));
            if !is_allowed && ROOMS.iter().any(|room| room.name == named) {
                self.report(at, format!("`{}` imports `{named}`", self.room.name), into);
            }
        }
    }

    /// Every room that is named by its path, with where.
    fn rooms_named(&self) -> Vec<(usize, String)> {
        let mut named = Vec::new();
        for (at, _) in words(&self.code, "crate") {
            if let Some(rest) = self.code[at + "crate".len()..].strip_prefix("::") {
                named.extend(first_names(rest).into_iter().map(|name| (at, name)));
            }
        }
        for (at, _) in words(&self.code, "super") {
            if self.code[..at].ends_with("super::") {
                continue;
            }
            let mut rest = &self.code[at..];
            let mut ups = 0;
            while let Some(after) = rest.strip_prefix("super::") {
                rest = after;
                ups += 1;
            }
            // `mod tests` at the end of a file is a module of its own.
            let depth = self.depth + usize::from(at >= self.tests_at && self.tests_at > 0);
            if ups == depth {
                named.extend(first_names(rest).into_iter().map(|name| (at, name)));
            }
        }
        if self.room.name == "main" {
            for room in ROOMS {
                let paths = words(&self.code, room.name);
                let paths = paths.filter(|(at, end)| {
                    self.code[*end..].starts_with("::") && !self.code[..*at].ends_with("::")
                });
                named.extend(paths.map(|(at, _)| (at, room.name.to_owned())));
            }
        }
        named
    }

    fn check_crates(&self, into: &mut Vec<Violation>) {
        for name in CRATES {
            for (at, end) in words(&self.code, name) {
                let is_path =
                    self.code[end..].starts_with("::") && !self.code[..at].ends_with("::");
                // The kernel's constants, by whatever way they came in.
                let used = if *name == "libc" { "nix" } else { name };
                if is_path && !self.may_use(used, at) {
                    self.report(at, format!("`{}` uses the crate `{name}`", self.room.name), into);
                }
            }
        }
    }

    fn may_use(&self, name: &str, at: usize) -> bool {
        if at >= self.tests_at && TESTS_ALSO.1.contains(&name) {
            return true;
        }
        let mut places = ONE_PLACE.iter().filter(|(owned, _)| *owned == name).peekable();
        let is_in_place = places.peek().is_none()
            || places
                .any(|(_, place)| self.file.to_str().is_some_and(|file| file.starts_with(place)));
        self.room.crates.contains(&name) && is_in_place
    }

    fn check_unsafe(&self, into: &mut Vec<Violation>) {
        if self.room.name == "os" {
            return;
        }
        for (at, end) in words(&self.code, "unsafe") {
            let next = self.code[end..].trim_start();
            if next.starts_with('{') || next.starts_with("fn ") || next.starts_with("impl") {
                self.report(
                    at,
                    format!("`{}` has unsafe code, which only `os` may have", self.room.name),
                    into,
                );
            }
        }
    }
}

/// A line without its comment, as far as can be told without parsing: `//` behind a quote may be part of a string.
fn without_comment(line: &str) -> &str {
    match line.find("//") {
        Some(at) if !line[..at].contains('"') => &line[..at],
        Some(_) | None => line,
    }
}

/// Where a word stands by itself: its begin and end.
fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = (usize, usize)> + 't {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(move |(at, _)| (at, at + word.len())).filter(move |(at, end)| {
        !text[..*at].ends_with(is_part) && !text[*end..].starts_with(is_part)
    })
}

/// The first name of a path, or of each path in braces.
fn first_names(path: &str) -> Vec<String> {
    let Some(inside) = path.strip_prefix('{') else {
        return vec![name_at(path)];
    };
    let (mut names, mut depth, mut is_first) = (Vec::new(), 0, true);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_first = true,
            c if is_first && !c.is_whitespace() => {
                names.push(name_at(&inside[at..]));
                is_first = false;
            }
            _ => {}
        }
    }
    names
}

fn name_at(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
