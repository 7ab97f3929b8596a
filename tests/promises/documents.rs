//! What the documents promise, held against the binary: snippets and examples load, pages are
//! complete, units are right.
//!
//! Tests that need mandoc or systemd-analyze are skipped where it is missing; `.ci/run` installs
//! them and requires them then.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{Answer, House, Need, answer_of, program, skipped};

const COMMANDS: &[&str] = &[
    "run",
    "check",
    "edit",
    "reload",
    "init",
    "status",
    "next",
    "runs",
    "show",
    "why",
    "logs",
    "enqueue",
    "exec",
    "retry",
    "cancel",
    "ack",
    "wait",
    "pause",
    "resume",
    "import",
    "stats",
    "report",
    "metrics",
    "prune",
    "doctor",
    "export",
    "backup",
    "restore",
    "token",
    "completions",
    "man",
    "help",
];

const EXIT_CODES: &[&str] = &["0", "1", "2", "3", "4", "75", "111"];

const PAGES: &[&str] = &["man/jobctl.1", "man/jobctl.toml.5", "man/jobctl-http.7"];

const DOCUMENTS: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/alerts.md",
    "docs/design.md",
    "docs/figures.md",
    "docs/from-cron.md",
    "docs/from-queues.md",
    "docs/install.md",
    "docs/reliability.md",
    "docs/store.md",
];

#[test]
fn every_jobfile_in_a_document_passes_the_check() {
    let house = House::empty();
    for &document in DOCUMENTS {
        let snippets = blocks(&read(document), "toml");
        for (index, snippet) in snippets.iter().enumerate() {
            assert_checks(
                &house,
                &house.write("jobs.toml", snippet),
                &format!("snippet {index} of {document}"),
            );
        }
    }
    assert!(!blocks(&read("README.md"), "toml").is_empty(), "README.md shows no jobfile");
    for (index, snippet) in literals(&read("man/jobctl.toml.5")).iter().enumerate() {
        assert_checks(
            &house,
            &house.write("jobs.toml", snippet),
            &format!("example {index} of jobctl.toml(5)"),
        );
    }
}

#[test]
fn every_example_passes_the_check_and_says_what_it_is_for() {
    let house = House::empty();
    let mut count = 0;
    for entry in fs::read_dir(root().join("examples")).expect("there are examples") {
        let path = entry.expect("an entry is readable").path();
        let text = fs::read_to_string(&path).expect("an example is readable");
        assert!(text.starts_with("# "), "{} has no head that says what it is for", path.display());
        assert_checks(&house, &path, &path.display().to_string());
        count += 1;
    }
    assert!(count >= 3, "only {count} examples");
}

#[test]
fn a_jobfile_that_is_wrong_does_not_pass_the_check() {
    let house = House::empty();
    let path = house.write("jobs.toml", "[jobs.a]\ncomand = 'true'\n");
    check(&house, &path).expect(1);
}

#[test]
fn the_manual_pages_are_clean() {
    if !is_installed("mandoc") {
        return skipped(Need::Mandoc, "mandoc is not installed");
    }
    for page in PAGES {
        let mut mandoc = program("mandoc");
        answer_of(mandoc.args(["-T", "lint", "-W", "warning"]).arg(root().join(page))).expect(0);
    }
}

#[test]
fn the_binary_prints_the_manual_pages_it_was_built_with() {
    for (name, page) in ["jobctl", "jobctl.toml", "jobctl-http"].into_iter().zip(PAGES) {
        assert_eq!(House::empty().ask(&["man", name]).out, read(page), "{page}");
    }
}

#[test]
fn every_request_of_the_manual_page_works() {
    if program("curl").arg("--version").output().is_err() {
        return skipped(Need::Curl, "curl is not installed");
    }
    let house = House::new("[door]\nlisten = 'unix:@T@/d.sock'\n[jobs.resize]\ncommand = 'true'\n");
    let _supervisor = house.start();
    house.wait_text("log", "event=listening");
    let socket = house.path("d.sock").display().to_string();
    let blocks = literals(&read("man/jobctl-http.7"));
    let requests = blocks.iter().filter(|block| block.contains("curl"));
    let scripts: Vec<String> = requests
        .map(|block| {
            let block = block.replace("/run/jobctl/door.sock", &socket);
            format!("set -e\n{}", block.replace("curl ", "curl -sS --fail-with-body "))
        })
        .collect();
    assert!(scripts.len() >= 7, "{scripts:#?}");
    for script in scripts {
        answer_of(program("sh").args(["-c", &script])).expect(0);
    }
}

#[test]
fn every_command_alias_and_option_stands_in_the_manual_page() {
    let page = read("man/jobctl.1");
    let flags = flags_of(&page);
    for &name in COMMANDS {
        assert!(has_command(&page, name), "jobctl(1) does not describe `{name}`");
        for option in long_options(&help(&[name])) {
            assert!(flags.contains(&option), "jobctl(1) does not have --{option} of `{name}`");
        }
    }
    let help = help(&[]);
    for option in long_options(&help) {
        assert!(flags.contains(&option), "jobctl(1) does not have --{option}");
    }
    for name in commands_of(&help) {
        assert!(
            COMMANDS.contains(&name.as_str()),
            "`{name}` is a command that this test does not know"
        );
    }
    for alias in aliases_of(&help) {
        let is_there = page.lines().any(|line| {
            line.starts_with(".Cm ") && line.split([' ', ',']).any(|word| word == alias)
        });
        assert!(is_there, "jobctl(1) does not have the alias `{alias}`");
    }
}

#[test]
fn no_section_of_a_document_stands_twice() {
    for document in PAGES.iter().chain(DOCUMENTS) {
        let text = read(document);
        let is_heading = |line: &&str| {
            [".Sh ", ".Ss ", "# ", "## ", "### "].iter().any(|mark| line.starts_with(mark))
        };
        let mut headings: Vec<&str> = text.lines().filter(is_heading).collect();
        let all = headings.len();
        headings.sort_unstable();
        headings.dedup();
        assert!(
            all >= 2 && headings.len() == all,
            "{document} has {all} headings, {} of them once",
            headings.len()
        );
    }
}

#[test]
fn the_manual_page_has_every_event_of_the_log_and_no_other() {
    let page = read("man/jobctl.1");
    let section = page.split(".Sh THE LOG").nth(1).and_then(|rest| rest.split("\n.Sh ").next());
    let described: BTreeSet<&str> = section
        .expect("there is a section of the log")
        .lines()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .flat_map(|names| names.split(" , "))
        .collect();
    assert_eq!(described, jobctl::log::events().collect());
}

#[test]
fn every_option_of_the_manual_page_is_one_of_the_binary() {
    let mut known = long_options(&help(&[]));
    known.extend(COMMANDS.iter().flat_map(|name| long_options(&help(&[name]))));
    for flag in flags_of(&read("man/jobctl.1")) {
        assert!(known.contains(&flag), "jobctl(1) has --{flag}, and no command does");
    }
}

#[test]
fn every_exit_code_stands_in_the_manual_page() {
    let page = read("man/jobctl.1");
    let section = page.split(".Sh EXIT STATUS").nth(1).and_then(|rest| rest.split("\n.Sh ").next());
    let section = section.expect("there is a section of exit codes");
    for code in EXIT_CODES {
        assert!(
            section.lines().any(|line| line == format!(".It {code}")),
            "exit code {code} is not described"
        );
    }
    let help = help(&[]);
    for code in EXIT_CODES {
        assert!(help.contains(&format!("{code} ")), "--help does not name exit code {code}");
    }
}

#[test]
fn every_key_of_the_jobfile_stands_in_its_manual_page() {
    let page = read("man/jobctl.toml.5");
    let keys = keys_of_the_jobfile();
    assert!(keys.len() > 70, "there are fewer keys than there were: {keys:?}");
    for key in keys {
        assert!(names_key(&page, key), "jobctl.toml(5) does not describe `{key}`");
    }
}

#[test]
fn the_units_are_accepted_by_systemd() {
    if !is_installed("systemd-analyze") {
        return skipped(Need::Systemd, "systemd-analyze is not installed");
    }
    let house = House::empty();
    for (name, scope) in [("jobctl.service", "--system"), ("jobctl-user.service", "--user")] {
        let unit = read(&format!("contrib/{name}"));
        assert!(unit.contains("\nExecStart=jobctl run "), "{name} starts something else");
        // systemd looks for `jobctl` in directories of its own.
        let here = format!("={} ", env!("CARGO_BIN_EXE_jobctl"));
        let path = house.write(name, unit.replace("=jobctl ", &here));
        let mut systemd = program("systemd-analyze");
        systemd.args([scope, "--man=no", "verify"]).arg(&path);
        systemd.env("XDG_RUNTIME_DIR", house.dir()).env("HOME", house.dir());
        let answer = answer_of(&mut systemd).expect(0);
        assert!(!format!("{answer:?}").contains(name), "{name}: {answer:?}");
    }
}

#[test]
fn the_readme_has_the_two_commands_and_ci_runs_the_second() {
    let readme = read("README.md");
    let commands = blocks(&readme, "sh").concat();
    let first = "cargo run --release --locked -- --jobfile examples/demo.toml --state-dir target/demo run\n";
    assert!(commands.contains(first), "README.md does not run the demonstration");
    assert!(commands.contains("cargo test --locked\n"), "README.md does not run the tests");
    assert!(
        read(".ci/run").lines().any(|line| line == "tested cargo test --locked"),
        ".ci/run runs other tests than the README"
    );
}

/// The jobs that the commands of the documents name. `backup` fails if it is given an argument.
const NAMED_JOBS: &str = r#"
[jobs.backup]
schedule = "30 2 * * *"
command = 'echo saved; test $# = 0'

[jobs.resize]
command = 'true'

[jobs.publish]
command = 'true'

[jobs.load]
command = 'cat'
"#;

#[test]
fn every_command_of_a_document_works() {
    let house = House::new(NAMED_JOBS);
    house.write("incoming/photo.png", "");
    house.write("dump.json", "{}");
    let bin = Path::new(env!("CARGO_BIN_EXE_jobctl")).parent().expect("it is in a directory");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let _supervisor = house.start();
    let documents = ["README.md", "docs/alerts.md", "docs/from-queues.md"];
    let mut commands: Vec<String> =
        documents.iter().flat_map(|document| blocks(&read(document), "sh")).collect();
    commands.extend(literals(&read("man/jobctl.1")));
    let lines: Vec<&str> =
        commands.iter().flat_map(|block| block.lines()).filter(|line| is_for_any(line)).collect();
    assert!(lines.len() > 30, "only {} commands were found", lines.len());
    for line in lines {
        let [first, second] = [(); 2].map(|()| house.enqueue(&["backup", "fail"]));
        house.wait_state(first, "failed");
        house.wait_state(second, "failed");
        let line = line
            .replace("/incoming", "incoming")
            .replace("412", &first.to_string())
            .replace("413", &second.to_string());
        let mut shell = house.program("sh");
        let answer =
            answer_of(shell.args(["-c", &line]).env("PATH", &path).current_dir(house.dir()));
        // 1 is an answer of these: something failed, something is missing here.
        let may_be_no = line.contains("--quiet") || line.contains("doctor");
        assert!(answer.code == 0 || (may_be_no && answer.code == 1), "{line}: {answer:#?}");
    }
}

/// Whether a line calls `jobctl` in a way that needs neither root, a crontab, a mailer, nor a
/// terminal of its own.
fn is_for_any(line: &str) -> bool {
    let command = line.split('#').next().unwrap_or_default();
    let calls = command.starts_with("jobctl ") || command.contains("| jobctl ");
    calls && !command.split_whitespace().any(|word| ["import", "run", "mail"].contains(&word))
}

#[test]
fn the_notes_of_a_release_are_a_section_of_the_changelog() {
    let notes = |version| answer_of(program(root().join("contrib/release-notes")).arg(version));
    let section = notes("Unreleased").expect(0).out;
    assert!(read("CHANGELOG.md").contains(&section), "{section}");
    assert!(section.starts_with("### ") && !section.contains("\n## "), "{section}");
    notes("0.0.0").expect(1);
}

#[test]
fn the_readme_fits_on_a_few_screens() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 150, "README.md has more than 150 lines");
    let long = readme.lines().find(|line| line.chars().count() > 100);
    assert_eq!(long, None, "README.md has a line of more than 100 columns");
}

#[test]
fn everything_that_a_document_links_to_is_there() {
    for &document in DOCUMENTS {
        let dir = root().join(document).parent().expect("a document is in a directory").to_owned();
        for target in links(&read(document)).iter().filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let path = if file.is_empty() { root().join(document) } else { dir.join(file) };
            assert!(path.exists(), "{document} links to {target}, which is not there");
            let is_there = anchor.is_empty()
                || anchors(&fs::read_to_string(&path).unwrap_or_default())
                    .iter()
                    .any(|heading| heading == anchor);
            assert!(is_there, "{document} links to {target}, which is no heading there");
        }
    }
}

#[test]
fn the_numbers_of_the_store_are_those_of_the_code() {
    let page = read("docs/store.md");
    let source = read("src/core/run.rs");
    let words = source.lines().filter_map(|line| {
        let (head, word) = line.trim().split_once(" \"")?;
        let (_, number) = head.split_once(" = ")?;
        Some((number.parse::<u32>().ok()?, word.strip_suffix("\",")?))
    });
    let words: Vec<(u32, &str)> = words.collect();
    assert!(words.len() > 30, "the words are not where they were: {words:?}");
    for (number, word) in words {
        assert!(
            page.contains(&format!("{number} `{word}`")),
            "docs/store.md does not say that {number} is `{word}`"
        );
    }
}

#[test]
fn every_promise_names_tests_that_are_there() {
    let page = read("docs/reliability.md");
    let promises: Vec<&str> = page
        .lines()
        .skip_while(|line| *line != "## The promises")
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| {
            line.strip_prefix("| ")
                .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        })
        .collect();
    assert_eq!(promises.len(), 6, "there are six promises");
    for promise in promises {
        let attacks = promise.split('|').nth(3).expect("there is a third column");
        let files = attacks.split('`').skip(1).step_by(2);
        for file in files {
            assert!(
                root().join(format!("tests/promises/{file}.rs")).exists(),
                "no test {file} attacks: {promise}"
            );
        }
        assert!(attacks.contains('`'), "nothing attacks: {promise}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn assert_checks(house: &House, path: &Path, what: &str) {
    let answer = check(house, path);
    assert_eq!(answer.code, 0, "{what} does not pass `jobctl check`:\n{answer:?}");
}

fn check(house: &House, path: &Path) -> Answer {
    answer_of(house.jobctl().arg("--jobfile").arg(path).arg("check"))
}

/// The blocks of a document in a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = document.split(&fence).skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The literal displays of a manual page, without roff's escapes.
fn literals(page: &str) -> Vec<String> {
    let parts = page.split(".Bd -literal").skip(1);
    let bodies = parts.filter_map(|part| part.split_once('\n')?.1.split("\n.Ed").next());
    bodies.map(|body| body.replace("\\e", "\\")).collect()
}

/// What `[...](TARGET)` links to.
fn links(document: &str) -> Vec<String> {
    let parts = document.split("](").skip(1);
    parts.filter_map(|part| part.split(')').next()).map(str::to_owned).collect()
}

/// What a link may name behind `#`: the headings, as GitHub makes names of them.
fn anchors(document: &str) -> Vec<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let texts = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    texts.map(|text| text.chars().filter(is_kept).collect::<String>().replace(' ', "-")).collect()
}

fn help(args: &[&str]) -> String {
    House::empty().ask(&[&["help"], args].concat()).expect(0).out
}

/// `--NAME` at the beginning of a line of help, with or without a short one before it.
fn long_options(help: &str) -> Vec<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    lines
        .filter_map(|line| Some(line.split_once("--")?.1))
        .map(|rest| word_at(rest).to_owned())
        .collect()
}

/// The list of commands.
fn commands_of(help: &str) -> Vec<String> {
    let list = help
        .split("Commands:\n")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .unwrap_or_default();
    list.lines().map(|line| word_at(line.trim_start()).to_owned()).collect()
}

/// `[alias: a]`, `[aliases: a, b]`.
fn aliases_of(help: &str) -> Vec<String> {
    let parts =
        help.split("[alias").skip(1).filter_map(|part| part.split_once(": ")?.1.split(']').next());
    parts.flat_map(|names| names.split(", ")).map(str::to_owned).collect()
}

fn word_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(text.len());
    &text[..end]
}

/// `--NAME` of a manual page, where it stands as `Fl Fl NAME`.
fn flags_of(page: &str) -> Vec<String> {
    page.split("Fl Fl ").skip(1).map(|rest| word_at(rest).to_owned()).collect()
}

/// Whether a page has an entry for a command: `.It Cm NAME`, or `.Cm NAME` after `.It Xo`.
fn has_command(page: &str, name: &str) -> bool {
    let lines: Vec<&str> = page.lines().collect();
    let begins = |line: &str, macros: &str| {
        line.strip_prefix(macros).is_some_and(|rest| word_at(rest) == name)
    };
    lines
        .windows(2)
        .any(|pair| begins(pair[0], ".It Cm ") || (pair[0] == ".It Xo" && begins(pair[1], ".Cm ")))
}

/// The names in the table of keys.
fn keys_of_the_jobfile() -> Vec<&'static str> {
    jobctl::keys::Table::ALL.into_iter().flat_map(jobctl::keys::keys_of).collect()
}

/// Whether a page names a key in bold, or in a literal text.
fn names_key(page: &str, key: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    page.lines()
        .filter(|line| line.contains("Cm ") || line.contains("Li "))
        .any(|line| line.split(|c: char| !is_part(c)).any(|word| word == key))
}
