//! What must hold of any crontab: the jobfile loads, commands survive byte for byte, and no line is
//! lost.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::core::job::{CommandLine, Job};
use crate::crontab::{Kind, Off, Source};

fn import_of(bytes: &[u8], kind: Kind) -> Import {
    convert(&request(bytes, kind))
}

fn request(bytes: &[u8], kind: Kind) -> Request {
    Request {
        sources: vec![Source {
            file: "crontab".to_owned(),
            bytes: bytes.to_vec(),
            kind,
            off: Off::Own,
        }],
        ..Request::default()
    }
}

fn jobs_of(import: &Import) -> Vec<Job> {
    let source = jobfile::Source { path: PathBuf::from("jobs.toml"), text: import.text.clone() };
    let loaded = with_environment(|env| jobfile::load_sources(&[source], env));
    loaded.unwrap_or_else(|problems| panic!("{problems:?}\n{}", import.text)).jobs
}

/// Loads, and each line is a job, a variable or listed.
fn assert_nothing_is_lost(bytes: &[u8], kind: Kind) {
    let modern = convert(&Request { is_modern: true, ..request(bytes, kind.clone()) });
    let import = import_of(bytes, kind);
    assert_eq!(jobs_of(&modern).len(), import.jobs.len(), "{}", modern.text);
    assert_eq!(jobs_of(&import).len(), import.jobs.len(), "{}", import.text);
    let mut known: BTreeSet<u32> = import.jobs.iter().map(|job| job.line).collect();
    known.extend(import.unknown.iter().map(|line| line.line));
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_start_matches(['\u{feff}', ' ', '\t']).trim_end_matches('\r');
        let is_silent = text.is_empty() || text.starts_with('#') || text.contains('=');
        let number = u32::try_from(index + 1).unwrap();
        assert!(
            is_silent || known.contains(&number),
            "line {number} is lost: {text:?}\n{}",
            import.text
        );
    }
}

/// What `--modern` writes keys for.
const PROGRAMS: &[&str] = &[
    "* * * * * cd /srv && ",
    "flock -n /l/x.lock ",
    "flock /l/a.1 ",
    "timeout -k 5 -s INT 366d ",
    "timeout 1s ",
    "nice ",
    "nice -n 19 ",
    "* * * * * umask 0777; ",
    "* * * * * sleep $((RANDOM \\% 86400)); ",
    "/opt/a >/dev/null 2>&1",
];

/// Pieces that crontabs are made of, and what may go wrong with them.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-*@#%=,/~0-9a-zA-Z ]{0,12}",
        "(\\*|\\*/[0-9]{1,3}|[0-9]{1,2}(-[0-9]{1,2})?(/[0-9])?|mon-fri|SUN|jan)",
        Just(" ".to_owned()),
        Just("\t".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("* * * * * ".to_owned()),
        proptest::sample::select(PROGRAMS).prop_map(str::to_owned),
        Just("@daily root ".to_owned()),
        Just("1 5 id ".to_owned()),
        Just("run-parts /etc/cron.daily".to_owned()),
        "\n(SHELL|MAILTO|CRON_TZ|HOME|RANDOM_DELAY|PATH|A B|'q'|JOBCTL_X) ?= ?['\"a-zA-Z/0-9]{0,12}\n",
        "\\PC{0,10}",
        ".{0,10}",
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::User(None)),
        Just(Kind::User(Some("bob".to_owned()))),
        Just(Kind::System),
        Just(Kind::Anacron),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_command_and_its_standard_input_survive(
        command in "[^\u{0}\n\r \t*%-][^\u{0}\n\r]{0,60}",
        input in "([^\u{0}\r\\\\]{0,30}\n)?",
    ) {
        prop_assume!(!command.trim().is_empty());
        let escaped = command.replace('\\', "\\\\").replace('%', "\\%");
        let lines = input.strip_suffix('\n').map(|lines| {
            format!("%{}%", lines.replace('%', "\\%").replace('\n', "%"))
        });
        let line = format!("* * * * * {escaped}{}\n", lines.unwrap_or_default());
        let import = import_of(line.as_bytes(), Kind::User(None));
        let jobs = jobs_of(&import);
        prop_assert_eq!(jobs.len(), 1, "{}", import.text);
        prop_assert_eq!(&jobs[0].command, &CommandLine::Shell(command.into()));
        prop_assert_eq!(jobs[0].policy.stdin.as_deref().unwrap_or_default(), input);
    }

    #[test]
    fn no_line_of_bytes_is_lost(bytes in vec(any::<u8>(), 0..300), kind in kind()) {
        assert_nothing_is_lost(&bytes, kind);
    }

    #[test]
    fn no_line_of_pieces_is_lost(pieces in vec(piece(), 0..40), kind in kind()) {
        assert_nothing_is_lost(pieces.concat().as_bytes(), kind);
    }
}

#[test]
fn what_is_too_long_is_listed_and_the_jobfile_still_loads() {
    let long = "1,".repeat(2 << 20);
    let command = "x".repeat(4 << 20);
    let text =
        format!("{long}1 * * * * a\n* * * * * {command}\n0 1 * * * b\n{command}\n#{command}\n");
    let import = import_of(text.as_bytes(), Kind::User(None));
    let names: Vec<_> = import.jobs.iter().map(|job| job.job.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let lines: Vec<_> = import.unknown.iter().map(|line| line.line).collect();
    assert_eq!(lines, [2, 4]);
    assert_eq!(jobs_of(&import).len(), 2);
}

#[test]
fn more_jobs_than_a_jobfile_may_have_are_listed() {
    let text = "* * * * * a\n".repeat(10_003);
    let import = import_of(text.as_bytes(), Kind::User(None));
    assert_eq!((import.jobs.len(), import.unknown.len()), (10_000, 3));
}

#[test]
fn jobs_that_are_longer_together_than_a_jobfile_are_listed() {
    let text = format!("* * * * * a {}\n", "x".repeat(100_000)).repeat(60);
    let import = import_of(text.as_bytes(), Kind::User(None));
    assert_eq!(import.jobs.len() + import.unknown.len(), 60);
    assert!(import.jobs.len() > 10, "{}", import.jobs.len());
    assert_eq!(jobs_of(&import).len(), import.jobs.len());
}

#[test]
fn a_user_that_cannot_be_one_is_listed() {
    let import = import_of(b"* * * * * a:b x\n* * * * * root y\n", Kind::System);
    assert_eq!(import.jobs.len(), 1);
    assert!(import.unknown[0].reason.contains("user"), "{:?}", import.unknown);
}
