//! Files as they are on the disk: encodings, sizes, includes and the examples.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::*;

#[test]
fn a_file_is_utf8_with_or_without_mark_and_not_too_long_nor_too_deep() {
    assert_eq!(good("\u{feff}[jobs.a]\r\ncommand = \"x\"\r\n").jobs.len(), 1);
    let problems = parse(&" ".repeat((4 << 20) + 1)).expect_err("too long");
    assert_eq!(
        problems[0].to_string(),
        "j.toml: the file is longer than 4 MiB\nhint: split it with `include`"
    );
    for (text, place) in [
        (format!("[jobs.a]\nx = {}{}", "[".repeat(40), "]".repeat(40)), "j.toml:2:35"),
        (format!("[jobs.a]\nx = {}{}", "[".repeat(100_000), "]".repeat(100_000)), "j.toml:2:8"),
        (format!("[{}a]", "a.".repeat(40)), "j.toml:1:"),
        (format!("[{}a]", "a.".repeat(100_000)), "j.toml"),
    ] {
        let (lines, _) = wrong(&[&text]);
        let nested = |line: &&String| {
            line.starts_with(place) && line.ends_with(": nested deeper than 32 tables and arrays")
        };
        assert!(
            lines.iter().find(nested).is_some(),
            "{place} {:?}",
            lines.iter().take(3).collect::<Vec<_>>()
        );
    }
}

#[test]
fn more_than_ten_thousand_jobs_are_refused() {
    let mut text = String::new();
    for number in 0..10_001 {
        writeln!(text, "[jobs.j{number}]\ncommand = \"true\"").expect("memory");
    }
    assert_eq!(wrong(&[&text]).0, ["j.toml: 10001 jobs, more than 10000"]);
}

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("jobctl-jobfile-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("jobs.d")).expect("a scratch directory");
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a scratch file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn includes_are_read_in_order_once_and_can_be_rebuilt_without_the_disk() {
    let dir = Scratch::new("include [1]");
    let main = dir.write("jobs.toml", "include = [\"jobs.d/*.toml\", \"*.toml\", \"jobs.d/a.toml\"]\n[jobs.m]\ncommand = \"true\"");
    dir.write("jobs.d/b.toml", "[jobs.b]\ncommand = \"true\"");
    dir.write("jobs.d/a.toml", "[jobs.a]\ncommand = \"true\"");
    dir.write("jobs.d/.swap.toml", "garbage");
    dir.write("jobs.d/notes.txt", "garbage");
    let file = load(&main, &ENV).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = file
        .sources
        .iter()
        .map(|source| source.path.strip_prefix(&dir.0).expect("inside"))
        .collect();
    assert_eq!(
        names,
        [Path::new("jobs.toml"), Path::new("jobs.d/a.toml"), Path::new("jobs.d/b.toml")]
    );
    let sources = file.sources.clone();
    drop(dir);
    let again = load_sources(&sources, &ENV).expect("as before");
    assert_eq!(format!("{:?}", again.jobs), format!("{:?}", file.jobs));
    assert_eq!(again.sources, file.sources);
}

#[test]
fn an_include_that_cannot_be_read_is_an_error_at_its_place() {
    let dir = Scratch::new("broken");
    let main = dir.write(
        "jobs.toml",
        "include = [\"none.toml\", \"jobs.d\", \"none/*.toml\", \"***\", \"bad.toml\"]\n[jobs.a]\n",
    );
    dir.write("bad.toml", b"[jobs.b]\ncommand = \"\xe4\"");
    let Err(LoadError::Problems(problems)) = load(&main, &ENV) else { panic!("refused") };
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| problem.to_string().replace(&format!("{}/", dir.0.display()), ""))
        .collect();
    assert_eq!(
        lines,
        [
            "bad.toml:2:12: the file is not UTF-8: byte 0xe4 at offset 20\nhint: save it as UTF-8, or convert it with iconv(1)",
            "jobs.toml:1:12: include \"none.toml\": none.toml does not exist\nhint: a pattern such as \"jobs.d/*.toml\" may match nothing",
            "jobs.toml:1:25: include \"jobs.d\": jobs.d cannot be read: not a regular file",
            "jobs.toml:1:50: include \"***\": not a glob: wildcards are either regular `*` or recursive `**`",
            "jobs.toml:2:7: job `a`: has no `command`\nhint: write `command = \"...\"`",
        ]
    );
}

#[test]
fn a_jobfile_that_is_missing_or_unreadable_is_told_apart() {
    let dir = Scratch::new("missing");
    assert!(matches!(load(&dir.0.join("none.toml"), &ENV), Err(LoadError::Missing(_))));
    assert!(matches!(load(&dir.0, &ENV), Err(LoadError::Unreadable(_))));
    let main = dir.write("latin1.toml", b"# \xfc\n");
    let Err(LoadError::Problems(problems)) = load(&main, &ENV) else { panic!("refused") };
    assert_eq!((problems[0].place.line, problems[0].place.column), (1, 3));
}

#[test]
fn the_starter_and_all_examples_load_without_a_word() {
    let starter = good(STARTER);
    assert!(starter.notes.is_empty() && starter.jobs.len() == 1, "{:?}", starter.notes);
    let mut count = 0;
    for entry in
        fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).expect("the examples")
    {
        let path = entry.expect("an entry").path();
        let file = load(&path, &ENV).unwrap_or_else(|error| panic!("{error}"));
        assert!(file.notes.is_empty(), "{}: {:?}", path.display(), file.notes);
        count += 1;
    }
    assert!(count >= 4, "{count} examples");
}

#[test]
fn what_is_commented_out_in_the_starter_is_right_too() {
    let text: String = STARTER
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|rest| rest.starts_with('[') || rest.contains(" = "))
                .unwrap_or(line)
        })
        .filter(|line| !line.starts_with("include"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(good(&text).jobs.len(), 4, "{text}");
}
