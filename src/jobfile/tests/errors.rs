//! What is refused, in which words and at which place.

use super::*;

/// Lines of a job, and what is said of them.
const OF_A_JOB: &[(&str, &str)] = &[
    ("priority = 200", "3:12: job `a`: priority 200: must be -100 to 100"),
    ("priority = \"1\"", "3:12: job `a`: priority: expected a whole number, got a string"),
    (
        "priority = 1.5",
        "3:12: job `a`: priority: expected a whole number, got a number with a fraction",
    ),
    (
        "priority = 99999999999999999999",
        "3:12: job `a`: priority 99999999999999999999: must be -100 to 100",
    ),
    ("concurrency = 0", "3:15: job `a`: concurrency 0: must be 1 to 1000"),
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
        "3:15: job `a`: schedule \"0 25 * * *\": hour must be 0 to 23, not 25",
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
    ("retry = -1", "3:9: job `a`: retry -1: must be 0 to 1000000"),
    ("retry = \"unlimited\"", "3:9: job `a`: retry \"unlimited\": is not enough"),
    ("retry = \"three\"", "3:9: job `a`: retry: expected a number or a table, got a string"),
    (
        "retry = { max = \"lots\" }",
        "3:17: job `a`: retry.max: expected a whole number or \"unlimited\", got a string",
    ),
    ("retry = { max = 1, factor = 0.5 }", "3:29: job `a`: retry.factor 0.5: must be 1 to 1000"),
    ("retry = { max = 1, factor = nan }", "3:29: job `a`: retry.factor nan: must be 1 to 1000"),
    ("retry = { max = 1, jitter = 1.01 }", "3:29: job `a`: retry.jitter 1.01: must be 0 to 1"),
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
        "4:15: job `a`: `concurrency` conflicts with `overlap = \"allow\"` in line 3",
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
    ("backlog_max = 0", "3:15: job `a`: backlog_max 0: must be 1 to 1000000000"),
    (
        "stop_signal = \"TREM\"",
        "3:15: job `a`: stop_signal \"TREM\": is not one of TERM, INT, HUP, QUIT, USR1, USR2, ABRT, ALRM, PIPE, WINCH, KILL",
    ),
    ("success_exit = []", "3:16: job `a`: success_exit: is empty, so the job could never succeed"),
    ("skip_exit = [256]", "3:14: job `a`: skip_exit 256: must be 0 to 255"),
    ("skip_exit = [0]", "3:13: job `a`: exit code 0 is both in `success_exit` and in `skip_exit`"),
    ("cwd = \"srv\"", "3:7: job `a`: cwd \"srv\": is not an absolute path"),
    ("umask = 22", "3:9: job `a`: umask: expected a string such as \"022\", got a whole number"),
    ("umask = \"089\"", "3:9: job `a`: umask \"089\": is not an octal mask"),
    ("nice = 20", "3:8: job `a`: nice 20: must be -20 to 19"),
    ("user = \"a:b\"", "3:8: job `a`: user \"a:b\": is not an account name"),
    (
        "env = { A = 1 }",
        "3:13: job `a`: env.A: expected a string or { file = \"...\" }, got a whole number",
    ),
    ("env = { \"A=B\" = \"1\" }", "3:9: job `a`: env: the name \"A=B\" contains `=`"),
    ("env = { \"\" = \"1\" }", "3:9: job `a`: env: the name \"\" is empty"),
    (
        "env = { \"A\\u0000\" = \"1\" }",
        "3:9: job `a`: env: the name \"A\\0\" contains a NUL character",
    ),
    (
        "env = { JOBCTL_RUN = \"1\" }",
        "3:9: job `a`: env: the name \"JOBCTL_RUN\" is set by jobctl itself",
    ),
    ("env = { A = { fil = \"/x\" } }", "3:15: job `a`: unknown key `env.A.fil`"),
    ("env = { A = {} }", "3:13: job `a`: env.A: has no `file`"),
    (
        "limits = { cpu_time = \"1500ms\" }",
        "3:23: job `a`: limits.cpu_time \"1500ms\": is not a whole number of seconds",
    ),
    ("limits = { open_files = 0 }", "3:25: job `a`: limits.open_files 0: must be 3 to 1000000000"),
    ("stdin = \"a\\u0000b\"", "3:9: job `a`: stdin \"a\\0b\": contains a NUL character"),
    ("output_max = \"1M\"", "3:14: job `a`: output_max \"1M\": is not a size"),
    ("output_max = 5", "3:14: job `a`: output_max 5: must be 1024 to 1073741824 bytes"),
    ("output_max = -1", "3:14: job `a`: output_max -1: is not a size"),
    ("output_file = \"x.log\"", "3:15: job `a`: output_file \"x.log\": is not an absolute path"),
    ("feeds = \"b\"", "3:9: job `a`: feeds \"b\": no such job"),
    ("feeds = \"a\"", "3:9: job `a`: feeds \"a\": a job cannot feed itself"),
    ("watch = \"in/*\"", "3:9: job `a`: watch \"in/*\": is not an absolute path"),
    (
        "watch = \"/in/***\"",
        "3:9: job `a`: watch \"/in/***\": is not a glob: wildcards are either regular `*` or recursive `**`",
    ),
    ("key = \"{x}\"", "3:7: job `a`: key \"{x}\": is not a template"),
    ("mailto = \"-f x\"", "3:10: job `a`: mailto \"-f x\": is not a mail address"),
    ("on_failure = \" \"", "3:14: job `a`: on_failure \" \": is empty"),
    ("keep = { runs = 0 }", "3:17: job `a`: keep.runs 0: must be 1 to 1000000000"),
    ("shell = \"/bin/bash -c\"", "3:9: job `a`: shell \"/bin/bash -c\": has several words"),
    ("shell = []", "3:9: job `a`: shell: names no program"),
    (
        "was = [\"a b\"]",
        "3:8: job `a`: was \"a b\": may hold only letters, digits, `.`, `_` and `-`",
    ),
    ("was = [\"a\"]", "3:7: job `a`: was \"a\": a job has that name"),
];

#[test]
fn each_error_of_a_job_names_place_job_value_and_reason() {
    for (lines, expected) in OF_A_JOB {
        assert_eq!(wrong(&[&job(lines)]).0, [format!("j.toml:{expected}")], "{lines}");
    }
}

/// Files, and one of the things that are said of them.
const OF_A_FILE: &[(&str, &str)] = &[
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
        "2:11: job `a`: command \"a\\0\": contains a NUL character",
    ),
    (
        "[jobs.a]\ncommand = 5",
        "2:11: job `a`: command: expected a string or an array of strings, got a whole number",
    ),
    (
        "[jobs.\"a/b\"]\ncommand = \"x\"",
        "1:7: job `a/b`: the name may hold only letters, digits, `.`, `_` and `-`",
    ),
    (
        "[jobs.123]\ncommand = \"x\"",
        "1:7: job `123`: the name has only digits, like the id of a run",
    ),
    ("[jobs]\ncommand = \"x\"", "2:1: job `command`: expected a table"),
    ("[[jobs]]\ncommand = \"x\"", "1:1: jobs: expected tables [jobs.NAME], got an array"),
    ("defaults = 5", "1:12: defaults: expected a table, got a whole number"),
    ("[defaults]\ntimeout = 5", "2:11: defaults: timeout 5: a duration needs a unit"),
    ("[defaults]\nwas = [\"b\"]", "2:7: defaults: `was` cannot be a default: it names one job"),
    (
        "[defaults]\nschedule = \"61 * * * *\"",
        "2:13: defaults: schedule \"61 * * * *\": minute must be 0 to 59, not 61",
    ),
    ("timezone = \"Europe/Berln\"", "1:12: timezone \"Europe/Berln\": is not a known time zone"),
    ("include = \"x\"", "1:11: include: expected an array of paths, got a string"),
    ("include = [1]", "1:12: include: expected a string, got a whole number"),
    ("state_dir = \"x\"", "1:13: state_dir \"x\": is not an absolute path"),
    ("max_running = 0", "1:15: max_running 0: must be 1 to 100000"),
    ("on_stop = \"finsh\"", "1:11: on_stop \"finsh\": is not one of `finish`, `detach`"),
    ("hash_seed = \"\"", "1:13: hash_seed \"\": is empty"),
    ("heartbeat = { every = \"1m\" }", "1:13: heartbeat: needs one of `command` and `file`"),
    ("heartbeat = { file = \"/x\" }", "1:13: heartbeat: has no `every`"),
    ("door = {}", "1:8: door: has no `listen`"),
    ("door = { listen = '/run/x' }", "1:19: door.listen \"/run/x\": is not an address"),
    ("door = { listen = 'unix:x' }", "1:19: door.listen \"unix:x\": is not an absolute path"),
    ("door = { listen = 'localhost:1' }", "1:19: door.listen \"localhost:1\": is not an address"),
    ("door = { listen = '127.0.0.1:0' }", "1:19: door.listen \"127.0.0.1:0\": has no port"),
    (
        "door = { listen = '0.0.0.0:1' }",
        "1:19: door.listen: 0.0.0.0:1 is not a loopback address, and there are no tokens",
    ),
    (
        "door = { listen = [], view = 'alice' }",
        "1:30: door.view \"alice\": is not `user:NAME`, `group:NAME`, `token:NAME` or `anyone`",
    ),
    (
        "door = { listen = [], operate = 'anyone' }",
        "1:33: door.operate \"anyone\": cannot be in this list",
    ),
    ("door = { listen = [], view = 'token:x' }", "1:30: door.view: there is no token `x`"),
    (
        "door = { listen = [], tokens = { 'a b' = '' } }",
        "1:34: door.tokens: the name \"a b\" may hold only letters, digits, `.`, `_` and `-`",
    ),
    (
        "door = { listen = [], tokens = { a = 'sha256:00' } }",
        "1:38: door.tokens.a: is not a SHA-256 hash",
    ),
    ("[jobs.a]\ncommand = 'x'\nenqueue_by = 'token:x'", "3:14: job `a`: there is no token `x`"),
    ("retries = 5", "1:1: unknown key `retries`"),
    ("a = 1\na = 2", "2:1: `a` is given twice"),
    ("a = [", "1:6: not valid TOML: unclosed array, expected `]`"),
];

#[test]
fn each_error_of_a_file_names_place_and_reason() {
    for (text, expected) in OF_A_FILE {
        assert_says(text, expected);
    }
}

#[test]
fn a_command_that_execve_would_refuse_is_an_error() {
    let (long, shown) = ("x".repeat(131_072), "x".repeat(60));
    for (line, column) in
        [(format!("command = \"{long}\""), 11), (format!("command = [\"echo\", \"{long}\"]"), 20)]
    {
        let said =
            format!("2:{column}: job `a`: command \"{shown}\"...: 131072 bytes, more than 131071");
        assert_says(&format!("[jobs.a]\n{line}"), &said);
    }
}

#[track_caller]
fn assert_says(text: &str, expected: &str) {
    let (lines, _) = wrong(&[text]);
    let expected = format!("j.toml:{expected}");
    assert!(lines.contains(&expected), "{text:.80}\nexpected {expected}\ngot {lines:#?}");
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
            "j.toml:5:8: job `b`: nice 99: must be -20 to 19",
            "d/a.toml:2:11: job `c`: command: expected a string or an array of strings, got a whole number",
            "d/a.toml:3:2: an included file may contain only [jobs.NAME], not `oops`",
            "d/b.toml:1:1: an included file may contain only [jobs.NAME], not `retry`",
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
            "j.toml:6:7: job `b`: was \"old\": also listed by job `a` at j.toml:3:7",
            "j.toml:6:7: job `b`: was \"a\": a job has that name",
        ]
    );
    assert_eq!(
        wrong(&["[jobs.a]\ncommand = \"1\"\nwas = [\"b\", \"b\"]"]).0,
        ["j.toml:3:7: job `a`: was \"b\": listed twice"]
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
            "j.toml:4:7: job `a.1`: its lock `a.1.lock` is also a lock of job `a` at j.toml:1:7",
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
