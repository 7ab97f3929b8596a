//! The way back, read as cron reads it: commands, standard input and times must be those of the
//! jobs.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::prove::{Starts, When};
use super::*;
use crate::core::job::{CommandLine, EnvValue, Name, Policy};
use crate::core::schedule::{HashSeed, Schedule, Span};
use crate::core::time::Wall;
use crate::os::zone;

fn job(schedule: &str, command: &str, policy: Policy) -> Job {
    let seed = HashSeed { seed: "s", job: "a" };
    Job {
        name: Name::parse("a").unwrap(),
        command: CommandLine::Shell(command.into()),
        schedules: Box::from([(Box::from(schedule), Schedule::parse(schedule, seed).unwrap())]),
        timezone: None,
        policy: Arc::new(policy),
    }
}

fn exported(job: &Job) -> Exported {
    export(&[Export { job, zone: None }], Kind::User("me"))
}

/// The lines that cron would act upon, but the environment.
fn active(text: &str) -> Vec<&str> {
    let is_entry = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit() || "*@".contains(c));
    text.lines().filter(is_entry).collect()
}

/// Schedule, command and standard input of a line, by Vixie's rules (entry.c, do_command.c).
fn read(line: &str) -> (String, String, String) {
    let words = if line.starts_with('@') { 1 } else { 5 };
    let mut parts = line.splitn(words + 1, ' ');
    let schedule: Vec<&str> = parts.by_ref().take(words).collect();
    let rest = parts.next().unwrap();
    let mut end = rest.len();
    let mut is_escaped = false;
    for (at, c) in rest.char_indices() {
        if c == '%' && !is_escaped {
            end = at;
            break;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    let mut command = String::new();
    let mut is_escaped = false;
    for c in rest[..end].chars() {
        let is_second = std::mem::replace(&mut is_escaped, false);
        if is_second && matches!(c, '%' | '\\') {
            command.pop();
        }
        is_escaped = c == '\\' && !is_second;
        command.push(c);
    }
    let mut stdin = String::new();
    let mut is_escaped = false;
    for c in rest[end..].chars().skip(1) {
        match c {
            '%' if is_escaped => {
                stdin.pop();
                stdin.push('%');
            }
            '%' => stdin.push('\n'),
            c => stdin.push(c),
        }
        is_escaped = c == '\\';
    }
    if !stdin.is_empty() && !stdin.ends_with('\n') {
        stdin.push('\n');
    }
    (schedule.join(" "), command, stdin)
}

#[test]
fn a_plain_job_is_a_plain_line() {
    let policy = Policy { overlap: crate::core::job::Overlap::Allow, ..Policy::default() };
    let found = exported(&job("30 2 * * mon-fri", "date +%F", policy));
    assert_eq!(active(&found.text), ["30 2 * * mon-fri date +\\%F"]);
    assert_eq!((found.remarks, found.refused), (vec![], 0));
    assert!(found.text.contains("\nMAILTO=\"\"\n"), "{}", found.text);
}

#[test]
fn two_backslashes_are_still_two_after_cron_has_read_them() {
    let command = r"sed 's/\\/\/; s/\t/x/' \";
    let found = exported(&job("@daily", command, Policy::default()));
    assert_eq!(read(active(&found.text)[0]).1, command);
    assert!(found.remarks.iter().any(|it| it.key == "command"));
}

#[test]
fn what_crontab_cannot_say_is_a_comment_and_listed() {
    let plain = Policy::default;
    let secret = Policy { env: Box::from([("A".into(), EnvValue::File("/x".into()))]), ..plain() };
    for (job, key) in [
        (job("0 0 L * *", "true", plain()), "schedule"),
        (job("@every 7m", "true", plain()), "schedule"),
        (job("@every 90m", "true", plain()), "schedule"),
        (job("@daily", "true\nfalse", plain()), "command"),
        (job("@daily", "printf '\\%s'", plain()), "command"),
        (job("@daily", &"x".repeat(2000), plain()), "command"),
        (job("@daily", "true", secret), "env"),
    ] {
        let found = exported(&job);
        assert_eq!(active(&found.text), Vec::<&str>::new(), "{}", found.text);
        assert!(found.remarks.iter().any(|it| it.is_refusal && it.key == key), "{found:?}");
        assert_eq!(found.refused, 1);
    }
}

#[test]
fn a_job_that_is_off_is_a_comment_and_no_loss() {
    let off = Policy { enabled: false, ..Policy::default() };
    let found = exported(&job("@daily", "true", off));
    assert_eq!((active(&found.text).len(), found.refused), (0, 0));
    assert!(found.text.contains("# @daily true\n"));
}

#[test]
fn ranges_that_go_round_and_hashes_are_written_out() {
    for (from, to) in [
        ("0 0 * * fri-sun", "0 0 * * 0,5,6"),
        ("@every 15m", "*/15 * * * *"),
        ("@every 6h", "0 */6 * * *"),
        ("@every 1d", "0 0 * * *"),
        ("@hourly", "@hourly"),
        ("@reboot", "@reboot"),
        ("*/5,7 * 1-7 jan thu", "*/5,7 * 1-7 jan thu"),
    ] {
        let found = exported(&job(from, "true", Policy::default()));
        assert_eq!(active(&found.text), [format!("{to} true")], "{from}");
    }
    let hashed = exported(&job("H H * * *", "true", Policy::default()));
    assert!(When::read(&read(active(&hashed.text)[0]).0).is_some(), "{hashed:?}");
}

#[test]
fn surroundings_stand_before_the_command() {
    let policy = Policy {
        env: Box::from([("A".into(), EnvValue::Text("it's".into()))]),
        cwd: Some("/srv/a b".into()),
        umask: 0o077,
        nice: 5,
        ..Policy::default()
    };
    let found = exported(&job("@daily", "make all", policy));
    let wanted = "@daily umask 077; cd '/srv/a b' || exit; nice -n 5 make all";
    assert_eq!(active(&found.text), [wanted]);
    assert!(found.text.contains("\nA=\"it's\"\n"), "{}", found.text);
}

#[test]
fn the_file_of_its_output_stands_behind_the_command() {
    let policy = |nice| Policy { output_file: Some("/l/a b".into()), nice, ..Policy::default() };
    for (text, nice, line) in [
        ("make all", 0, "@daily make all >>'/l/a b' 2>&1"),
        ("make all", 5, "@daily nice -n 5 make all >>'/l/a b' 2>&1"),
        ("a; b", 0, "@daily /bin/sh -c 'a; b' >>'/l/a b' 2>&1"),
        ("a; b", 5, "@daily nice -n 5 /bin/sh -c 'a; b' >>'/l/a b' 2>&1"),
    ] {
        assert_eq!(active(&exported(&job("@daily", text, policy(nice))).text), [line]);
    }
    let fish = Policy { shell: Box::from(["/bin/fish".into(), "-c".into()]), ..policy(0) };
    assert_eq!(exported(&job("@daily", "a", fish)).refused, 1);
}

#[test]
fn a_variable_that_jobs_have_different_stands_before_the_command() {
    let with = |value: &str| Policy {
        env: Box::from([("A".into(), EnvValue::Text(value.into()))]),
        ..Policy::default()
    };
    let (one, two) = (job("@daily", "one", with("it's")), job("@daily", "two", with("b")));
    let of = |job| Export { job, zone: None };
    let found = export(&[of(&one), of(&two)], Kind::User("me"));
    let wanted = ["@daily export A='it'\\''s'; one", "@daily export A=b; two"];
    assert_eq!(active(&found.text), wanted);
}

fn expression() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..60, 0..24).prop_map(|(minute, hour)| format!("{minute} {hour} * * *")),
        (1..60).prop_map(|step| format!("*/{step} H * * *")),
        (0..24, 1..28).prop_map(|(hour, day)| format!("H {hour} {day} * fri-sun")),
        Just("@weekly".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_exported_line_is_the_job_to_cron(
        text in expression(), command in "[a-z][a-z%\\\\ '\"$;|]{0,20}[a-z]", stdin in "[a-z%\\\\\n]{0,12}",
    ) {
        let policy = Policy { stdin: Some(stdin.clone().into()), ..Policy::default() };
        let job = job(&text, &command, policy);
        let found = exported(&job);
        if found.refused > 0 {
            prop_assert!(command.contains('\\') || stdin.contains('\\'), "{:?}", found);
            return Ok(());
        }
        let (schedule, read_command, read_stdin) = read(active(&found.text)[0]);
        prop_assert_eq!(read_command, command);
        let wanted = if stdin.is_empty() || stdin.ends_with('\n') { stdin } else { stdin + "\n" };
        prop_assert_eq!(read_stdin, wanted);
        let zone = zone::load("Europe/Berlin").unwrap();
        // Over a change of the clock.
        let span = Span { after: Wall::from_secs(1_792_800_000), until: Wall::from_secs(1_793_500_000) };
        let Some(When::Fields(entry)) = When::read(&schedule) else { panic!("{schedule}") };
        let ours = super::super::prove::Occurrences::new(&job, &zone, span);
        prop_assert_eq!(Starts::new(entry, &zone, span).collect::<Vec<_>>(), ours.collect::<Vec<_>>());
    }
}
