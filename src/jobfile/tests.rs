//! What a jobfile may say, what is refused and in which words. Zones are invented; files only where `include` needs them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::keys::{JOB, TOP};
use super::*;
use crate::core::job::{
    CatchUp, CommandLine, EnvValue, ExpectEvery, HeartbeatTarget, Leftovers, LogFormat, MailOn,
    OnNext, OnStop, Overlap, Rate, RetryMax,
};

fn zones(name: &str) -> Result<(), (String, Option<String>)> {
    match name {
        "UTC" | "Europe/Berlin" => Ok(()),
        _ => Err(("is not a known time zone".to_owned(), Some("Europe/Berlin".to_owned()))),
    }
}

const ENV: Environment<'static> = Environment {
    machine_id: "0123456789abcdef",
    zones: &zones,
    open: &|path| std::fs::File::open(path),
};

fn sources(texts: &[&str]) -> Vec<Source> {
    let names = ["j.toml", "d/a.toml", "d/b.toml"];
    let source = |(name, text): (&&str, &&str)| Source {
        path: PathBuf::from(name),
        text: (*text).to_owned(),
    };
    names.iter().zip(texts).map(source).collect()
}

fn parse(text: &str) -> Result<Jobfile, Vec<Problem>> {
    load_sources(&sources(&[text]), &ENV)
}

fn good(text: &str) -> Jobfile {
    parse(text).unwrap_or_else(|problems| panic!("{}", LoadError::Problems(problems)))
}

/// First lines, and all lines.
fn wrong(texts: &[&str]) -> (Vec<String>, String) {
    let problems = load_sources(&sources(texts), &ENV).expect_err("this should be refused");
    let lines = problems
        .iter()
        .map(|problem| problem.to_string().lines().next().unwrap_or_default().to_owned());
    (lines.collect(), LoadError::Problems(problems).to_string())
}

/// A job `a` with a command on line 2 and then these lines.
fn job(lines: &str) -> String {
    format!("[jobs.a]\ncommand = \"true\"\n{lines}\n")
}

#[test]
fn each_error_of_a_job_names_place_job_value_and_reason() {
    let cases = [
        ("priority = 200", "3:12: job `a`: priority 200: is not in -100..=100"),
        ("priority = \"1\"", "3:12: job `a`: priority: expected a whole number, got a string"),
        (
            "priority = 1.5",
            "3:12: job `a`: priority: expected a whole number, got a number with a fraction",
        ),
        (
            "priority = 99999999999999999999",
            "3:12: job `a`: priority 99999999999999999999: is not in -100..=100",
        ),
        ("concurrency = 0", "3:15: job `a`: concurrency 0: is not in 1..=1000"),
        ("enabled = \"true\"", "3:11: job `a`: enabled: expected true or false, got a string"),
        ("timeout = 90", "3:11: job `a`: timeout 90: a duration needs a unit"),
        ("timeout = \"90\"", "3:11: job `a`: timeout \"90\": `90` has no unit"),
        ("timeout = \"0s\"", "3:11: job `a`: timeout \"0s\": is zero"),
        ("timeout = \"5M\"", "3:11: job `a`: timeout \"5M\": `M` has no fixed length"),
        ("timeout = \"1month\"", "3:11: job `a`: timeout \"1month\": `month` has no fixed length"),
        ("timeout = \"2y\"", "3:11: job `a`: timeout \"2y\": `y` has no fixed length"),
        ("timeout = \"9999d\"", "3:11: job `a`: timeout \"9999d\": `9999d` is more than ten years"),
        (
            "timeout = true",
            "3:11: job `a`: timeout: expected a duration such as \"90s\", got true or false",
        ),
        ("start_deadline = \"0s\"", "3:18: job `a`: start_deadline \"0s\": is zero"),
        (
            "schedule = \"0 25 * * *\"",
            "3:15: job `a`: schedule \"0 25 * * *\": hour 25 is not in 0..=23",
        ),
        ("schedule = []", "3:12: job `a`: schedule: is empty"),
        (
            "schedule = [\"@daily\", 5]",
            "3:23: job `a`: schedule: expected a string, got a whole number",
        ),
        (
            "timezone = \"Europe/Berln\"",
            "3:12: job `a`: timezone \"Europe/Berln\": is not a known time zone",
        ),
        ("comand = \"x\"", "3:1: job `a`: unknown key `comand`"),
        ("retry = -1", "3:9: job `a`: retry -1: is not in 0..=1000000"),
        ("retry = \"unlimited\"", "3:9: job `a`: retry \"unlimited\": stands alone"),
        ("retry = \"three\"", "3:9: job `a`: retry: expected a number or a table, got a string"),
        (
            "retry = { max = \"lots\" }",
            "3:17: job `a`: retry.max: expected a whole number or \"unlimited\", got a string",
        ),
        (
            "retry = { max = 1, factor = 0.5 }",
            "3:29: job `a`: retry.factor 0.5: is not in 1..=1000",
        ),
        (
            "retry = { max = 1, factor = nan }",
            "3:29: job `a`: retry.factor nan: is not in 1..=1000",
        ),
        ("retry = { max = 1, jitter = 1.01 }", "3:29: job `a`: retry.jitter 1.01: is not in 0..=1"),
        ("retry = { max = 1, delay = 5 }", "3:28: job `a`: retry.delay 5: a duration needs a unit"),
        (
            "retry = { max = 1, delay = \"2h\" }",
            "3:9: job `a`: retry: `delay` 2h is longer than `max_delay` 1h",
        ),
        ("retry = { max = 1, dely = \"2h\" }", "3:20: job `a`: unknown key `retry.dely`"),
        (
            "retry = { max = 1, on_next = \"kep\" }",
            "3:30: job `a`: retry.on_next \"kep\": is not one of `supersede`, `keep`",
        ),
        (
            "overlap = \"allow\"\nconcurrency = 2",
            "4:15: job `a`: `concurrency` stands beside `overlap = \"allow\"`",
        ),
        (
            "overlap = \"queue\"",
            "3:11: job `a`: overlap \"queue\": is not one of `skip`, `queue-one`, `queue-all`, `replace`, `allow`",
        ),
        (
            "lock = \"a/b\"",
            "3:8: job `a`: lock \"a/b\": may hold only letters, digits, `.`, `_` and `-`",
        ),
        ("lock = \"{2}\"", "3:8: job `a`: lock \"{2}\": must begin with a letter or digit"),
        ("rate = \"10\"", "3:8: job `a`: rate \"10\": is not a rate"),
        ("backlog_max = 0", "3:15: job `a`: backlog_max 0: is not in 1..=1000000000"),
        (
            "stop_signal = \"TREM\"",
            "3:15: job `a`: stop_signal \"TREM\": is not one of TERM, INT, HUP, QUIT, USR1, USR2, ABRT, ALRM, PIPE, WINCH, KILL",
        ),
        (
            "success_exit = []",
            "3:16: job `a`: success_exit: is empty, so that the job could never succeed",
        ),
        ("skip_exit = [256]", "3:14: job `a`: skip_exit 256: is not in 0..=255"),
        (
            "skip_exit = [0]",
            "3:13: job `a`: exit code 0 is both in `success_exit` and in `skip_exit`",
        ),
        ("cwd = \"srv\"", "3:7: job `a`: cwd \"srv\": is not an absolute path"),
        (
            "umask = 22",
            "3:9: job `a`: umask: expected a string such as \"022\", got a whole number",
        ),
        ("umask = \"089\"", "3:9: job `a`: umask \"089\": is not an octal mask"),
        ("nice = 20", "3:8: job `a`: nice 20: is not in -20..=19"),
        ("user = \"a:b\"", "3:8: job `a`: user \"a:b\": is not the name of an account"),
        (
            "env = { A = 1 }",
            "3:13: job `a`: env.A: expected a string or { file = \"...\" }, got a whole number",
        ),
        ("env = { \"A=B\" = \"1\" }", "3:9: job `a`: env: the name \"A=B\" holds `=`"),
        ("env = { \"\" = \"1\" }", "3:9: job `a`: env: the name \"\" is empty"),
        (
            "env = { \"A\\u0000\" = \"1\" }",
            "3:9: job `a`: env: the name \"A\\0\" holds a NUL character",
        ),
        (
            "env = { JOBCTL_RUN = \"1\" }",
            "3:9: job `a`: env: the name \"JOBCTL_RUN\" is set by jobctl itself",
        ),
        ("env = { A = { fil = \"/x\" } }", "3:15: job `a`: unknown key `env.A.fil`"),
        ("env = { A = {} }", "3:13: job `a`: env.A: has no `file`"),
        (
            "limits = { cpu_time = \"1500ms\" }",
            "3:23: job `a`: limits.cpu_time \"1500ms\": is not in whole seconds",
        ),
        (
            "limits = { open_files = 0 }",
            "3:25: job `a`: limits.open_files 0: is not in 3..=1000000000",
        ),
        ("stdin = \"a\\u0000b\"", "3:9: job `a`: stdin \"a\\0b\": holds a NUL character"),
        ("output_max = \"1M\"", "3:14: job `a`: output_max \"1M\": is not a size"),
        ("output_max = 5", "3:14: job `a`: output_max 5: is not in 1024..=1073741824 bytes"),
        ("output_max = -1", "3:14: job `a`: output_max -1: is not a size"),
        ("feeds = \"b\"", "3:9: job `a`: feeds \"b\": there is no such job"),
        ("feeds = \"a\"", "3:9: job `a`: feeds \"a\": a job cannot feed itself"),
        ("watch = \"in/*\"", "3:9: job `a`: watch \"in/*\": is not an absolute path"),
        (
            "watch = \"/in/***\"",
            "3:9: job `a`: watch \"/in/***\": is not a glob: wildcards are either regular `*` or recursive `**`",
        ),
        ("key = \"{x}\"", "3:7: job `a`: key \"{x}\": is not a template"),
        ("mailto = \"-f x\"", "3:10: job `a`: mailto \"-f x\": is not a mail address"),
        ("on_failure = \" \"", "3:14: job `a`: on_failure \" \": is empty"),
        ("keep = { runs = 0 }", "3:17: job `a`: keep.runs 0: is not in 1..=1000000000"),
        ("shell = \"/bin/bash -c\"", "3:9: job `a`: shell \"/bin/bash -c\": is one word of many"),
        ("shell = []", "3:9: job `a`: shell: names no program"),
        (
            "was = [\"a b\"]",
            "3:8: job `a`: was \"a b\": may hold only letters, digits, `.`, `_` and `-`",
        ),
        ("was = [\"a\"]", "3:7: job `a`: was \"a\": there is a job of that name"),
    ];
    for (lines, expected) in cases {
        assert_eq!(wrong(&[&job(lines)]).0, [format!("j.toml:{expected}")], "{lines}");
    }
}

#[test]
fn each_error_of_a_file_names_place_and_reason() {
    let long = format!("[jobs.a]\ncommand = \"{}\"", "x".repeat(131_072));
    let long_word = format!("[jobs.a]\ncommand = [\"echo\", \"{}\"]", "x".repeat(131_072));
    let shown = "x".repeat(60);
    let too_long = format!("2:11: job `a`: command \"{shown}\"...: 131072 bytes, more than 131071");
    let word_too_long =
        format!("2:20: job `a`: command \"{shown}\"...: 131072 bytes, more than 131071");
    let cases = [
        ("[jobs.a]\n", "1:7: job `a`: has no `command`"),
        ("[jobs.a]\ncommand = \"\"", "2:11: job `a`: command \"\": is empty"),
        ("[jobs.a]\ncommand = \" \\n\"", "2:11: job `a`: command \" \\n\": is empty"),
        ("[jobs.a]\ncommand = []", "2:11: job `a`: command: names no program"),
        ("[jobs.a]\ncommand = [\"\", \"x\"]", "2:11: job `a`: command: names no program"),
        (
            "[jobs.a]\ncommand = [\"x\", 1]",
            "2:17: job `a`: command: expected a string, got a whole number",
        ),
        (
            "[jobs.a]\ncommand = \"a\\u0000\"",
            "2:11: job `a`: command \"a\\0\": holds a NUL character",
        ),
        (
            "[jobs.a]\ncommand = 5",
            "2:11: job `a`: command: expected a string or an array of strings, got a whole number",
        ),
        (&long, &too_long),
        (&long_word, &word_too_long),
        (
            "[jobs.\"a/b\"]\ncommand = \"x\"",
            "1:7: job `a/b`: the name may hold only letters, digits, `.`, `_` and `-`",
        ),
        (
            "[jobs.123]\ncommand = \"x\"",
            "1:7: job `123`: the name is all digits, which could be taken for a run's id",
        ),
        ("[jobs]\ncommand = \"x\"", "2:1: job `command`: expected a table"),
        ("[[jobs]]\ncommand = \"x\"", "1:1: jobs: expected tables [jobs.NAME], got an array"),
        ("defaults = 5", "1:12: defaults: expected a table, got a whole number"),
        ("[defaults]\ntimeout = 5", "2:11: defaults: timeout 5: a duration needs a unit"),
        (
            "[defaults]\nwas = [\"b\"]",
            "2:7: defaults: `was` cannot be a default: a former name belongs to one job",
        ),
        (
            "[defaults]\nschedule = \"61 * * * *\"",
            "2:13: defaults: schedule \"61 * * * *\": minute 61 is not in 0..=59",
        ),
        (
            "timezone = \"Europe/Berln\"",
            "1:12: timezone \"Europe/Berln\": is not a known time zone",
        ),
        ("include = \"x\"", "1:11: include: expected an array of paths, got a string"),
        ("include = [1]", "1:12: include: expected a string, got a whole number"),
        ("state_dir = \"x\"", "1:13: state_dir \"x\": is not an absolute path"),
        ("max_running = 0", "1:15: max_running 0: is not in 1..=100000"),
        ("on_stop = \"finsh\"", "1:11: on_stop \"finsh\": is not one of `finish`, `detach`"),
        ("hash_seed = \"\"", "1:13: hash_seed \"\": is empty"),
        ("heartbeat = { every = \"1m\" }", "1:13: heartbeat: has not one of `command` and `file`"),
        ("heartbeat = { file = \"/x\" }", "1:13: heartbeat: has no `every`"),
        ("retries = 5", "1:1: unknown key `retries`"),
        ("a = 1\na = 2", "2:1: `a` is given twice"),
        ("a = [", "1:6: not valid TOML: unclosed array, expected `]`"),
    ];
    for (text, expected) in cases {
        let (lines, _) = wrong(&[text]);
        let expected = format!("j.toml:{expected}");
        assert!(lines.contains(&expected), "{text:.80}\nexpected {expected}\ngot {lines:#?}");
    }
}

#[test]
fn hints_say_what_to_write() {
    let cases = [
        (job("timeout = 90"), "write \"90s\" for seconds"),
        (job("comand = \"x\""), "did you mean `command`?"),
        (job("Max-Running = 1\nstop-grace = 1"), "did you mean `stop_grace`?"),
        (job("overlap = \"queue\""), "did you mean `queue-one`?"),
        (job("timezone = \"x\""), "did you mean `Europe/Berlin`?"),
        (job("enabled = \"false\""), "write false without quotes"),
        (job("priority = \"5\""), "write it without quotes"),
        (job("umask = 22"), "write it in quotes: \"22\""),
        (job("env = { PORT = 80 }"), "write it in quotes: \"80\""),
        (job("delay = \"5s\""), "`delay` is a key of `retry`: write `retry = { delay = ... }`"),
        (
            job("memory = \"1 GiB\""),
            "`memory` is a key of `limits`: write `limits = { memory = ... }`",
        ),
        (
            job("state_dir = \"/x\""),
            "`state_dir` is a key of the file: write it above the first [table]",
        ),
        (
            "retry = 3".to_owned(),
            "`retry` is a key of a job: write it under [jobs.NAME] or [defaults]",
        ),
        ("[jobs]\nretry = 3".to_owned(), "`retry` is a key of a job: write it under [jobs.NAME]"),
        (job("stop_signal = \"term\""), "did you mean `TERM`?"),
        (
            job("cwd = \"~/x\""),
            "write the whole path, from `/`; `~` and variables are not expanded",
        ),
        (job("shell = \"bash -c\""), "write `shell = [\"bash\", \"-c\"]`"),
        (
            format!("{}[jobs.thumbnail]\ncommand = \"x\"", job("feeds = \"thumbnails\"")),
            "did you mean `thumbnail`?",
        ),
    ];
    for (text, hint) in cases {
        let (_, all) = wrong(&[&text]);
        assert!(all.contains(&format!("\nhint: {hint}")), "{text}\nexpected {hint}\ngot {all}");
    }
}

#[test]
fn all_errors_of_all_files_are_reported_at_once_in_their_order() {
    let main = "timezone = 5\n[jobs.b]\ncommand = \"\"\nretry = x\nnice = 99\n";
    let (lines, _) = wrong(&[main, "[jobs.c]\ncommand = 5\n[oops]\n", "retry = 5"]);
    assert_eq!(
        lines,
        [
            "j.toml:1:12: timezone: expected a string, got a whole number",
            "j.toml:3:11: job `b`: command \"\": is empty",
            "j.toml:4:9: not valid TOML: string values must be quoted, expected literal string",
            "j.toml:5:8: job `b`: nice 99: is not in -20..=19",
            "d/a.toml:2:11: job `c`: command: expected a string or an array of strings, got a whole number",
            "d/a.toml:3:2: an included file holds [jobs.NAME] only, not `oops`",
            "d/b.toml:1:1: an included file holds [jobs.NAME] only, not `retry`",
        ]
    );
}

#[test]
fn what_a_syntax_error_hides_is_not_called_missing() {
    let text = "[jobs.a]\ncommand = \"oops\n[jobs.b]\ncommand = \"x\"\nfeeds = \"c\"\n[jobs.c\ncommand = \"x\"\n";
    let (lines, _) = wrong(&[text]);
    assert!(
        lines.iter().all(|line| line.contains("not valid TOML") || line.contains("given twice")),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("j.toml:2:")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("j.toml:6:")), "{lines:#?}");
}

#[test]
fn a_job_with_a_command_only_has_the_defaults_of_the_contract() {
    let file = good("[jobs.a]\ncommand = \"true\"");
    assert_eq!(*file.jobs[0].policy, crate::core::job::Policy::default());
    assert!(file.jobs[0].schedules.is_empty() && file.notes.is_empty());
}

#[test]
fn the_column_points_into_the_schedule_and_counts_characters() {
    for (line, column) in [
        ("schedule = \"0 25 * * *\"", 15),
        ("schedule = '0 25 * * *'", 15),
        ("schedule = \"\"\"0 25 * * *\"\"\"", 17),
        ("schedule = \"0\\u002025 * * *\"", 12),
        ("schedule = [ \"@daily\", \"0 25 * * *\" ]", 27),
        ("description = \"ä\\nö\"\nschedule = \"0 25 * * *\"", 15),
    ] {
        let problems = parse(&job(line)).expect_err("hour 25");
        assert_eq!(problems[0].place.column, column, "{line}");
    }
    let problems = parse("jobs = { a = { command = \"ääää\", nice = 20 } }").expect_err("nice 20");
    assert_eq!((problems[0].place.line, problems[0].place.column), (1, 41));
}

#[test]
fn a_name_given_twice_is_refused_with_both_places() {
    let (lines, _) = wrong(&[
        "\n[jobs.x]\ncommand = \"1\"",
        "[jobs.y]\ncommand = \"2\"",
        "[jobs.x]\ncommand = \"3\"",
    ]);
    assert_eq!(lines, ["d/b.toml:1:7: job `x`: is also defined at j.toml:2:7"]);
    let (lines, _) = wrong(&["[jobs.x]\ncommand = \"1\"\n[jobs.x]\ncommand = \"2\""]);
    assert_eq!(lines, ["j.toml:3:7: `x` is also defined at j.toml:1:7"]);
}

#[test]
fn a_former_name_belongs_to_one_job() {
    let text = "[jobs.a]\ncommand = \"1\"\nwas = [\"old\"]\n[jobs.b]\ncommand = \"1\"\nwas = [\"old\", \"a\"]";
    assert_eq!(
        wrong(&[text]).0,
        [
            "j.toml:6:7: job `b`: was \"old\": is also claimed by job `a` at j.toml:3:7",
            "j.toml:6:7: job `b`: was \"a\": there is a job of that name",
        ]
    );
    assert_eq!(
        wrong(&["[jobs.a]\ncommand = \"1\"\nwas = [\"b\", \"b\"]"]).0,
        ["j.toml:3:7: job `a`: was \"b\": is listed twice"]
    );
}

#[test]
fn no_two_locks_share_a_file() {
    let two = |one: &str, other: &str, keys: &str| {
        format!("[jobs.{one}]\ncommand = \"1\"\n{keys}\n[jobs.\"{other}\"]\ncommand = \"1\"\n")
    };
    let collisions = [
        (
            two("a", "a.1", "concurrency = 2"),
            "j.toml:4:7: job `a.1`: its lock `a.1.lock` is also one of job `a` at j.toml:1:7",
        ),
        (
            two("a", "lock-x", "lock = \"x\""),
            "j.toml:3:8: job `a`: lock \"x\": its file `lock-x.lock` is also the lock of job `lock-x` at j.toml:4:7",
        ),
        (
            two("a", "lock-x", "lock = \"x-{1}\"").replace("\"lock-x\"", "\"lock-x-7\""),
            "j.toml:3:8: job `a`: lock \"x-{1}\": its file `lock-x-{1}.lock` is also the lock of job `lock-x-7` at j.toml:4:7",
        ),
        (
            two("a", "lock-x", "lock = \"x.2\"") + "concurrency = 2",
            "j.toml:3:8: job `a`: lock \"x.2\": its file `lock-x.2.lock` is also the lock of job `lock-x` at j.toml:4:7",
        ),
    ];
    for (text, expected) in collisions {
        assert_eq!(wrong(&[&text]).0, [expected], "{text}");
    }
    for (other, keys) in [
        ("a.3", "concurrency = 2"),
        ("a.0", "concurrency = 2"),
        ("a.01", "concurrency = 2"),
        ("a.1", "concurrency = 1"),
        ("a.1", "overlap = \"allow\""),
        ("lock-y", "lock = \"x\""),
    ] {
        good(&two("a", other, keys));
    }
}

const EVERYTHING: &str = r#"
timezone = "Europe/Berlin"
include = ["jobs.d/*.toml"]
state_dir = "/var/lib/x"
max_running = 32
on_stop = "detach"
stop_timeout = "90s"
output_total_max = "1 GiB"
forward_output = true
metrics_file = "/run/x.prom"
heartbeat = { command = ["ping", "x"], every = "1m" }
hash_seed = "seed"
log_format = "json"

[defaults]
timeout = "2h"
env = { A = "default", B = "default" }

[jobs.all]
command = "true"
shell = ["/bin/bash", "-o", "pipefail", "-c"]
schedule = ["@daily", "0 12 * * *"]
timezone = "UTC"
enabled = false
description = "all keys"
was = ["some"]
overlap = "queue-all"
concurrency = 3
lock = "disk"
priority = -7
rate = "10/min"
backlog_max = 9
retry = { max = "unlimited", delay = "0s", factor = 1.5, max_delay = "5m", jitter = 0, give_up_after = "1d", on_next = "keep", lost = false }
timeout = "1m"
stop_signal = "SIGINT"
stop_grace = "0s"
leftovers = "kill"
success_exit = [1, 0, 1]
skip_exit = [75]
no_retry_exit = [2, 64]
catch_up = "last"
start_deadline = "10m"
jitter = "30s"
cwd = "/srv"
umask = "0077"
nice = 5
user = "www"
group = "www"
env = { B = "job", C = { file = "/run/secrets/c" } }
env_file = "/etc/default/x"
inherit_env = true
limits = { cpu_time = "10s", open_files = 64, processes = 8, file_size = "1 MiB", address_space = "1 GiB", memory = "512MB" }
stdin = "hello\n"
output_max = "64 KiB"
feeds = "small"
watch = "/in/*.png"
key = "{1}-{2}"
key_for = "1h"
expect_within = "5m"
expect_every = "1d"
on_failure = "echo"
on_recovery = ["echo", "r"]
on_success = "echo"
on_attempt_failure = "echo"
on_late = "echo"
mailto = "ops@example.org"
mail_on = "output"
hook_interval = "0s"
keep = { succeeded = "1d", failed = "2d", runs = 10 }

[jobs.small]
command = ["true"]
"#;

#[test]
fn every_key_is_accepted_and_arrives() {
    let file = good(EVERYTHING);
    let [all, small] = file.jobs.as_slice() else { panic!("two jobs") };
    let policy = &*all.policy;
    assert_eq!(all.command, CommandLine::Shell("true".into()));
    assert_eq!(
        all.schedules.iter().map(|(text, _)| &**text).collect::<Vec<_>>(),
        ["@daily", "0 12 * * *"]
    );
    assert_eq!(all.timezone.as_deref(), Some("UTC"));
    assert_eq!((policy.overlap, policy.concurrency, policy.priority), (Overlap::QueueAll, 3, -7));
    assert_eq!(policy.rate, Some(Rate { burst: 10, per: Duration::from_secs(60) }));
    assert_eq!((policy.retry.max, policy.retry.factor_milli), (RetryMax::Unlimited, 1500));
    assert_eq!(
        (policy.retry.jitter_milli, policy.retry.on_next, policy.retry.lost),
        (0, OnNext::Keep, false)
    );
    assert_eq!((policy.stop_signal, policy.stop_grace, policy.umask), (2, Duration::ZERO, 0o77));
    assert_eq!((&*policy.success_exit, &*policy.no_retry_exit), (&[0, 1][..], &[2, 64][..]));
    assert_eq!(
        (policy.catch_up, policy.leftovers, policy.mail_on),
        (CatchUp::Last, Leftovers::Kill, MailOn::Output)
    );
    let text = |text: &str| EnvValue::Text(text.into());
    let env: Vec<_> = policy.env.iter().map(|(name, value)| (&**name, value.clone())).collect();
    let file_value = EnvValue::File("/run/secrets/c".into());
    assert_eq!(env, [("A", text("default")), ("B", text("job")), ("C", file_value)]);
    assert_eq!((policy.limits.open_files, policy.limits.memory), (Some(64), Some(512_000_000)));
    assert_eq!((policy.output_max, policy.keep.runs), (64 << 10, 10));
    assert_eq!(policy.expect_every, ExpectEvery::Span(Duration::from_secs(86_400)));
    assert_eq!(policy.feeds.as_ref(), Some(&small.name));
    assert_eq!(
        (policy.timeout, small.policy.timeout),
        (Some(Duration::from_secs(60)), Some(Duration::from_secs(7200)))
    );
    let settings = &file.settings;
    assert_eq!(
        (settings.on_stop, settings.log_format),
        (Some(OnStop::Detach), Some(LogFormat::Json))
    );
    let beat = settings.heartbeat.clone().expect("a heartbeat");
    assert_eq!(
        beat,
        (
            HeartbeatTarget::Command(CommandLine::Exec(["ping".into(), "x".into()].into())),
            Duration::from_secs(60)
        )
    );
}

#[test]
fn every_key_of_the_table_is_in_the_big_file_and_refuses_a_wrong_type() {
    for row in TOP {
        let header = format!("\n[{}", row.name);
        assert!(
            EVERYTHING.contains(&format!("\n{} = ", row.name)) || EVERYTHING.contains(&header),
            "{}",
            row.name
        );
        let expected = format!(
            "j.toml:1:{}: {}: expected {}, got a date or time",
            row.name.len() + 4,
            row.name,
            row.wants
        );
        assert_eq!(wrong(&[&format!("{} = 2026-01-01", row.name)]).0, [expected]);
    }
    for row in JOB {
        assert!(EVERYTHING.contains(&format!("\n{} = ", row.name)), "{}", row.name);
        let text = format!("[defaults]\n{} = 2026-01-01", row.name);
        let expected =
            format!("defaults: {}: expected {}, got a date or time", row.name, row.wants);
        assert!(wrong(&[&text]).0.iter().any(|line| line.ends_with(&expected)), "{expected}");
    }
}

#[test]
fn a_default_is_replaced_whole_but_variables_merge() {
    let file = good(
        "[defaults]\nretry = { max = 5, delay = \"1m\" }\nenv = { A = \"1\" }\ncommand = \"true\"\nconcurrency = 4\n\
         [jobs.a]\nretry = { max = 2 }\nenv = { B = \"2\" }\n[jobs.b]\n[jobs.c]\noverlap = \"allow\"",
    );
    let [a, b, c] = file.jobs.as_slice() else { panic!("three jobs") };
    assert_eq!(
        (a.policy.retry.max, a.policy.retry.delay),
        (RetryMax::Times(2), Duration::from_secs(10))
    );
    assert_eq!(
        (b.policy.retry.max, b.policy.retry.delay),
        (RetryMax::Times(5), Duration::from_secs(60))
    );
    assert_eq!((a.policy.env.len(), b.policy.env.len()), (2, 1));
    assert_eq!((b.policy.running_max(), c.policy.running_max()), (Some(4), None));
}

#[test]
fn a_default_schedule_is_hashed_for_each_job() {
    let text = "[defaults]\nschedule = \"H H * * *\"\ncommand = \"true\"\n";
    let names: String = ["a", "b", "c", "d"].map(|name| format!("[jobs.{name}]\n")).concat();
    let file = good(&format!("{text}{names}"));
    assert!(file.jobs.iter().any(|job| job.schedules[0].1 != file.jobs[0].schedules[0].1));
    let seeded = good(&format!("hash_seed = \"other\"\n{text}{names}"));
    let differs = |(one, other): (&Job, &Job)| one.schedules != other.schedules;
    assert!(file.jobs.iter().zip(&seeded.jobs).any(differs));
}

#[test]
fn equal_policies_are_one() {
    let file = good(
        "[jobs.b]\ncommand = \"1\"\nnice = 1\n[jobs.a]\ncommand = \"2\"\nnice = 1\n[jobs.c]\ncommand = \"3\"",
    );
    let [a, b, c] = file.jobs.as_slice() else { panic!("three jobs") };
    assert!(Arc::ptr_eq(&a.policy, &b.policy) && !Arc::ptr_eq(&a.policy, &c.policy));
}

#[test]
fn a_pipe_whose_failures_are_lost_is_a_warning() {
    let file = good("[jobs.a]\ncommand = \"pg_dump app | gzip\"\n");
    assert_eq!(
        file.notes[0].to_string(),
        "j.toml:2:11: job `a`: `command` has a pipe, and its shell counts only the last command's failure\n\
         hint: write `shell = [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]`"
    );
    assert!(good("[jobs.a]\ncommand = \"set -o pipefail; a | b\"").notes.is_empty());
    assert!(good("[jobs.a]\ncommand = [\"a\", \"|\", \"b\"]").notes.is_empty());
    assert!(good(&job("retry = { delay = \"1s\" }")).notes[0].message.contains("has no `max`"));
}

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
            "jobs.toml:1:12: include \"none.toml\": there is no none.toml\nhint: a pattern such as \"jobs.d/*.toml\" may match nothing",
            "jobs.toml:1:25: include \"jobs.d\": jobs.d cannot be read: not a file",
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

/// Pieces of jobfiles, put together at random: most are nearly right.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "[jobs.a]\n",
            "[jobs.b.retry]\n",
            "[defaults]\n",
            "[[jobs]]\n",
            "[jobs]\n",
            "jobs.c.command = ",
            "env.",
            "command = ",
            "schedule = ",
            "retry = ",
            "include = ",
            "timeout = ",
            "\"",
            "'''",
            "{",
            "}",
            "[",
            "]",
            "=",
            ",",
            "\n",
            "\\u0000",
            "{1}",
            "\"5m\"",
            "\"H * * * *\"",
            "3",
            "-9223372036854775809",
            "1e999",
            "nan",
            "true",
            "2026-01-01",
            "#",
            "ä",
            "\r",
            "\0",
            "lock = ",
        ])
        .prop_map(str::to_owned),
        ".{0,3}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_each_problem_has_a_place_inside(text in pieces()) {
        for texts in [&[text.as_str()][..], &["", text.as_str()]] {
            if let Err(problems) = load_sources(&sources(texts), &ENV) {
                prop_assert!(!problems.is_empty());
                let lines = u32::try_from(text.matches('\n').count() + 1).expect("a short text");
                prop_assert!(problems.iter().all(|problem| problem.place.line <= lines));
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(parse(&String::from_utf8_lossy(&bytes)));
    }
}

#[test]
fn a_circle_of_feeds_is_refused_once_with_all_its_jobs() {
    let circles = |jobs: &[(&str, &str)]| {
        let job = |(name, fed): &(&str, &str)| {
            format!("[jobs.{name}]\ncommand = \"x\"\nfeeds = \"{fed}\"\n")
        };
        let text = jobs.iter().map(job).collect::<String>() + "[jobs.end]\ncommand = \"x\"\n";
        parse(&text).map_or_else(
            |found| found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            |_| Vec::new(),
        )
    };
    let three = circles(&[("b", "c"), ("c", "a"), ("a", "b"), ("x", "a"), ("y", "x")]);
    assert_eq!(three.len(), 1, "{three:#?}");
    assert!(three[0].contains("9:9: job `a`: feeds \"b\""), "{}", three[0]);
    assert!(three[0].contains("in a circle: a -> b -> c -> a"), "{}", three[0]);
    let two = circles(&[("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("e", "e")]);
    assert_eq!(two.len(), 3, "{two:#?}");
    assert_eq!(circles(&[("a", "b"), ("b", "end"), ("c", "b")]), [""; 0]);
}

/// What is wrong with a schedule written as a literal string on line 3, which begins in column 13.
fn wrong_schedule(text: &str) -> Problem {
    let found = parse(&format!("[jobs.a]\ncommand = \"x\"\nschedule = '{text}'\n"));
    let mut problems = found.map(|_| ()).expect_err(text);
    assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    problems.remove(0)
}

#[test]
fn each_bad_schedule_of_the_tables_is_told_with_its_place_inside_the_value() {
    let mut count = 0;
    for name in ["general", "dst", "public"] {
        let path = format!("{}/tests/oracle/{name}.tsv", env!("CARGO_MANIFEST_DIR"));
        let table = std::fs::read_to_string(path).unwrap();
        let rows = table.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        for row in rows.filter(|row| row.contains(&"ERR")) {
            let text = row[1];
            if text.contains('\'') {
                continue;
            }
            let problem = wrong_schedule(text);
            let last = 13 + u32::try_from(text.chars().count()).unwrap();
            assert_eq!(problem.place.line, 3, "{text}");
            assert!((13..=last).contains(&problem.place.column), "{text}: {problem}");
            assert_eq!(problem.job.as_deref(), Some("a"), "{text}");
            count += 1;
        }
    }
    assert!(count > 100, "only {count} rows are errors");
}

#[test]
fn a_monstrous_schedule_is_one_error_at_its_place() {
    let place = |text: &str| wrong_schedule(text).place.column;
    assert_eq!(place("1-99999999999 * * * *"), 15);
    assert_eq!(place("0 0 * * ü"), 21);
    assert_eq!(place("ü ü ü 25 *"), 13);
    assert_eq!(place(&"1,".repeat(2_000_000)), 13 + 4096);
    assert_eq!(place(&"ü".repeat(1_000_000)), 13 + 2048);
    assert_eq!(place(&format!("{}60 * * * *", "1,".repeat(1000))), 13 + 2000);
    let nul = parse("[jobs.a]\ncommand = \"x\"\nschedule = \"0 \\u0000 * * *\"\n");
    let nul = nul.map(|_| ()).expect_err("a NUL is no hour");
    assert!(nul[0].to_string().contains("3:"), "{}", nul[0]);
    assert!(!nul[0].to_string().contains('\0'), "a NUL is not printed");
}
