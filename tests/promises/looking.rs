//! What a person sees: `status` in one screen, `stats`, `doctor`; and `prune`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{House, Need, answer_of, is_root, skipped};
use crate::terminals::on_terminal_of;

/// The page on a terminal of so many columns.
fn page(house: &House, columns: u16, args: &[&str]) -> String {
    let mut command = house.jobctl();
    command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm").args(args);
    String::from_utf8(on_terminal_of(columns, &mut command))
        .expect("it is text")
        .replace("\r\n", "\n")
}

/// The page where the locale has nothing but ASCII.
fn ascii(house: &House) -> String {
    let mut command = house.jobctl();
    let output = command.env("LC_ALL", "C").args(["status"]).output();
    let text = String::from_utf8(output.expect("it can be started").stdout).expect("it is text");
    assert!(text.is_ascii(), "{text}");
    text
}

const JOBS: &str = "[jobs.broken]\ncommand = 'exit 3'\n[jobs.again]\ncommand = 'exit 4'\nretry = { max = 2, delay = '10m', jitter = 0 }\n\
    [jobs.held]\ncommand = 'read _ < \"$T/door\"'\n[jobs.daily]\ncommand = 'true'\nschedule = '30 2 * * *'\n\
    [jobs.monthly]\ncommand = 'true'\nschedule = '0 0 1 * *'\n[jobs.aside]\ncommand = 'true'\n";

#[test]
fn status_has_what_needs_a_person_first_and_says_what_waits_and_what_to_do() {
    let house = House::new(JOBS);
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let supervisor = house.start();
    let broken = house.enqueue(&["broken"]);
    let again = house.enqueue(&["again"]);
    let held = house.enqueue(&["held"]);
    house.wait_state(held, "running");
    let waits = house.enqueue(&["held"]);
    for _ in 0..3 {
        let id = house.enqueue(&["aside"]);
        house.wait_state(id, "succeeded");
    }
    house.wait_state(broken, "failed");
    house.wait_state(again, "retrying");
    for columns in [60, 80, 100, 140] {
        let text = page(&house, columns, &["status"]);
        assert!(
            text.lines().all(|line| line.chars().count() <= usize::from(columns)),
            "{columns}\n{text}"
        );
        let at = |name: &str| {
            text.lines()
                .position(|line| line.starts_with(&format!("{name} ")))
                .unwrap_or_else(|| panic!("no {name}: {text}"))
        };
        let places = ["broken", "again", "held", "daily", "monthly", "aside"].map(at);
        assert!(places.is_sorted(), "{places:?}\n{text}");
        let line = text.lines().nth(at("aside")).expect("it is there");
        assert!(line.contains("\u{2713}\u{2713}\u{2713}"), "{columns}\n{text}");
        assert!(text.lines().nth(at("broken")).is_some_and(|line| line.contains('\u{2717}')));
    }
    let text = ascii(&house);
    assert!(text.contains("RESULTS") && text.contains("+++"), "{text}");
    assert!(text.contains(&format!("concurrency: run {held}")), "{text}");
    assert!(text.contains("attempt 1 of 3: exit 4"), "{text}");
    assert!(text.contains(&format!("`jobctl retry {broken}`")), "{text}");
    assert!(text.contains("02:30 in "), "{text}");
    assert!(text.contains(&format!("version     {}", env!("CARGO_PKG_VERSION"))), "{text}");
    let plan = house.ask(&["status", "again"]).expect(0).out;
    assert!(plan.contains(&format!("run {again}: attempt 2 in 9m")), "{plan}");
    assert!(plan.contains(", 3 in 29m"), "{plan}");
    let closely = house.ask(&["status", "broken"]).expect(0).out;
    assert!(closely.contains("\nfailed: 1\n"), "{closely}");
    assert!(closely.contains(&format!("`jobctl retry {broken}` runs it again")), "{closely}");
    house.ask(&["cancel", &waits.to_string()]).expect(0);
    fs::write(house.path("door"), "\n").expect("somebody reads");
    house.wait_state(held, "succeeded");
    house.ask(&["cancel", &again.to_string()]).expect(0);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_run_that_needed_a_retry_has_a_mark_of_its_own() {
    let house = House::new(
        "[jobs.work]\ncommand = 'test $JOBCTL_ATTEMPT = 2'\nretry = { max = 1, delay = '1ms' }\n",
    );
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "succeeded");
    assert!(page(&house, 120, &["status"]).contains(" \u{21bb}"));
    let ascii = ascii(&house);
    assert!(ascii.lines().any(|line| line.starts_with("work ") && line.ends_with(" r")), "{ascii}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_narrow_terminal_and_a_dumb_one_get_text_without_sequences() {
    let house = House::new(JOBS);
    let text = page(&house, 20, &["status"]);
    assert!(text.contains("daily"), "{text}");
    let mut command = house.jobctl();
    command.env_remove("NO_COLOR").env("TERM", "dumb").args(["status"]);
    let bytes = on_terminal_of(80, &mut command);
    assert!(!bytes.contains(&0x1b), "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn status_watch_shows_the_page_again_when_something_has_changed() {
    use std::io::{BufRead, BufReader};
    let house = House::new("[jobs.work]\ncommand = 'exit 3'\n");
    let supervisor = house.start();
    let mut command = house.jobctl();
    let mut watch = command
        .args(["status", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it can be started");
    let stdout = watch.stdout.take().expect("it was asked for");
    let mut lines = BufReader::new(stdout).lines();
    let mut until = |word: &str| {
        lines
            .by_ref()
            .map(|line| line.expect("it is text"))
            .find(|line| line.contains(word))
            .unwrap_or_else(|| panic!("no {word}"))
    };
    until("supervisor");
    house.enqueue(&["work"]);
    until("failed: 1");
    watch.kill().expect("it lives");
    watch.wait().expect("it ends");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn equal_failures_are_one_row_and_a_noisy_job_hides_no_other() {
    let house = House::new(
        "[jobs.rare]\ncommand = 'echo rarely; exit 4'\n\
         [jobs.noisy]\ncommand = 'echo \"no $1\"; exit 3'\n",
    );
    let supervisor = house.start();
    let rare = house.enqueue(&["rare"]);
    house.wait_state(rare, "failed");
    for word in std::iter::repeat_n("host", 3).chain(["1", "2", "3", "4", "5", "6", "7", "8", "9"])
    {
        house.wait_state(house.enqueue(&["noisy", word]), "failed");
    }
    let again = house.enqueue(&["noisy", "host"]);
    house.wait_state(again, "failed");
    assert_eq!(supervisor.stop(), 0);
    let status = house.ask(&["status"]).expect(0).out;
    let (_, failed) = status.split_once("failed: 14\n").expect("they are counted");
    let rows: Vec<Vec<&str>> =
        failed.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let id = again.to_string();
    assert_eq!(rows[0][..6], [&*id, "noisy", "failed", "(exit", "3)", "4"], "{status}");
    assert!(rows[0].ends_with(&["no", "host"]), "{status}");
    assert!(rows[9].starts_with(&[&*rare.to_string(), "rare"]), "{status}");
    assert_eq!(rows[10], ["1", "more:", "`jobctl", "runs", "--failed`"], "{status}");
    let runs = page(&house, 100, &["runs", "--failed", "-n", "2"]);
    assert!(runs.ends_with("\n9 more: `-n 0` lists all\n"), "{runs}");
    // Where there is little room, how they failed and what they said goes before the rest.
    let narrow = page(&house, 60, &["status"]);
    let row = narrow.lines().find(|line| line.starts_with(&id)).expect("it is shown");
    assert!(row.contains("  exit 3  ") && row.ends_with("  no host"), "{narrow}");
    assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    let piped = house.ask(&["runs", "--failed"]).expect(0).out;
    assert_eq!((piped.lines().count(), piped.contains("more")), (12, false), "{piped}");
    assert!(
        page(&house, 100, &["runs", "-n", "2"]).ends_with("\nthere are more: `-n 0` lists all\n")
    );
    // Programs get each run.
    let json = house.ask(&["runs", "--failed", "--json"]).expect(0).out;
    assert_eq!(json.lines().count(), 14);
}

#[test]
fn a_queue_shows_what_is_next_how_far_it_is_and_how_long_it_takes() {
    let house = House::new(
        "[jobs.work]\ncommand = 'while [ ! -e \"$T/go$1\" ]; do sleep 0.01; done'\n\
         [jobs.daily]\nschedule = '@daily'\ncommand = 'true'\n",
    );
    let items: String = (1..=9).map(|nth| format!("{nth}\n")).collect();
    house.ask_with(&["enqueue", "--lines", "work"], items).expect(0);
    // Each field is one blank and its value here, however wide the names are.
    let about = || {
        let text = house.ask(&["status", "work"]).expect(0).out;
        let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
        text.lines().map(line).collect::<String>()
    };
    let text = about();
    assert!(text.contains("\ndone 0 of 9 since the queue was last empty\n"), "{text}");
    assert!(!text.contains("\nrate "), "nothing starts: {text}");
    let supervisor = house.start();
    for nth in 1..=2 {
        house.write(&format!("go{nth}"), "");
        house.wait_state(nth, "succeeded");
    }
    house.wait_state(3, "running");
    let text = about();
    assert!(text.contains("\ndone 2 of 9 since the queue was last empty\n"), "{text}");
    assert!(text.contains("\nrate ") && text.contains(" left\n"), "{text}");
    let (_, next) = text.split_once("\nnext to start:\n").expect("it is shown");
    let ids = |text: &str| -> Vec<String> {
        let lines = text.lines().skip(1).take(5);
        lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
    };
    assert_eq!(ids(next), ["4", "5", "6", "7", "8"], "{text}");
    assert!(next.contains("\n1 more: `jobctl runs work --state queued`\n"), "{text}");
    let (_, last) = text.split_once("\nlast started:\n").expect("it is shown");
    assert_eq!(ids(last), ["3", "2", "1"], "{text}");
    let status = house.ask(&["status"]).expect(0).out;
    assert!(status.contains("1 running, 6 queued, ~"), "{status}");
    house.ask(&["pause", "work"]).expect(0);
    assert!(!about().contains("\nrate "), "{}", about());
    for nth in 3..=9 {
        house.write(&format!("go{nth}"), "");
    }
    house.ask(&["resume", "work"]).expect(0);
    house.wait_idle(&["work"]);
    assert!(!about().contains("\ndone "), "{}", about());
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn stats_count_runs_retries_and_durations() {
    let house = House::new(
        "[jobs.work]\ncommand = 'test $JOBCTL_ATTEMPT = 2 || exit 3'\nretry = { max = 1, delay = '1ms' }\n\
         [jobs.bad]\ncommand = 'exit 1'\n[jobs.never]\ncommand = 'true'\n",
    );
    let supervisor = house.start();
    for job in ["work", "work", "bad"] {
        house.enqueue(&[job]);
    }
    house.wait_idle(&["work", "bad"]);
    let lines = house.ask(&["stats", "--json"]).expect(0).out;
    let stats: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(stats.len(), 2);
    let (bad, work) = (&stats[0], &stats[1]);
    assert_eq!(
        (&work["runs"], &work["succeeded"], &work["retries"]),
        (&2.into(), &2.into(), &2.into())
    );
    assert_eq!((&work["success_rate"], &bad["success_rate"]), (&1.0.into(), &0.0.into()));
    let mut durations: Vec<_> =
        house.runs("work").iter().map(|run| run["duration_ms"].as_i64()).collect();
    durations.sort_unstable();
    assert!(durations[0].is_some(), "{durations:?}");
    assert_eq!(work["p50_ms"].as_i64(), durations[0]);
    assert_eq!([&work["p95_ms"], &work["max_ms"]].map(Value::as_i64), [durations[1]; 2]);
    let by_day = house.ask(&["stats", "work", "--by", "day", "--json"]).expect(0).json();
    assert_eq!((&by_day["job"], &by_day["runs"]), (&"work".into(), &2.into()));
    assert!(by_day["from"].as_str().is_some_and(|from| from.ends_with('Z')));
    let text = house.ask(&["stats"]).expect(0).out;
    assert!(text.starts_with("JOB") && text.contains("100.0%"), "{text}");
    house.ask(&["stats", "nobody"]).expect(3);
    house.ask(&["stats", "--since", "never"]).expect(2);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn check_knows_from_history_which_timeout_is_too_tight() {
    let house =
        House::new("[jobs.work]\ncommand = 'sleep 0.25'\ntimeout = '60s'\non_failure = 'true'\n");
    let supervisor = house.start();
    for _ in 0..5 {
        let id = house.enqueue(&["work"]);
        house.wait_state(id, "succeeded");
    }
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.ask(&["check"]).expect(0).err, "");
    house.write_jobfile(
        "[jobs.work]\ncommand = 'sleep 0.25'\ntimeout = '260ms'\non_failure = 'true'\n",
    );
    let said = house.ask(&["check"]).expect(0).err;
    assert!(
        said.contains("jobs.toml:3:11: job `work`: timeout 260ms is tight: successes take up to "),
        "{said}"
    );
}

#[test]
fn check_warns_of_what_jobs_name_and_is_not_there() {
    let house = House::empty();
    let script = house.write("script", "#!/nowhere/perl\n").display().to_string();
    let windows = house.write_program("windows", "#!/bin/sh\r\n").display().to_string();
    let env = house.write("env", "A=1\nnonsense\n").display().to_string();
    for (keys, said) in [
        ("command = 'true'\ncwd = '/nowhere'", "3:7: job `a`: working directory /nowhere: no such"),
        (
            "command = ['/nowhere/x', 'y']",
            "2:12: job `a`: /nowhere/x: no such file or directory: attempts",
        ),
        ("command = ['no-such-tool']", "no-such-tool: not found in PATH: attempts"),
        ("command = ['/bin/true x']", "2:12: job `a`: its only element names one program"),
        (
            "command = '/nowhere/x --all'",
            "2:11: job `a`: /nowhere/x: no such file or directory: the",
        ),
        ("command = './nowhere; true'\ncwd = '/'", "job `a`: /./nowhere: no such file"),
        (&format!("command = '{script} -v'"), "script: not executable"),
        (&format!("command = ['{windows}']"), "ends with a carriage return"),
        (
            "command = 'true'\nshell = ['/nowhere/bash', '-c']",
            "3:10: job `a`: /nowhere/bash: no such",
        ),
        ("command = 'true'\nenv_file = '/nowhere'", "3:12: job `a`: env_file /nowhere: no such"),
        (&format!("command = 'true'\nenv_file = '{env}'"), "env: line 2: is not NAME=value"),
        ("command = 'true'\nenv = { A = { file = '/x/y' } }", "3:7: job `a`: env A: /x/y: no such"),
        ("command = 'true'\non_late = '/nowhere/page'", "/nowhere/page: no such file or directory"),
    ] {
        house.write_jobfile(&format!("[jobs.a]\n{keys}\nmailto = 'x'\n"));
        let found = house.ask(&["check"]).expect(0).err;
        assert!(found.contains(said), "{keys}: {found}");
        assert_eq!(found.matches("jobs.toml:").count(), 1, "{keys}: {found}");
    }
    for keys in [
        "command = 'true'\ncwd = '/nowhere'\nenabled = false",
        "command = ['env', 'true']\nenv = { PATH = '/usr/bin' }",
        "command = '/bin/true'",
        "command = '$X/true'",
    ] {
        house.write_jobfile(&format!("[jobs.a]\n{keys}\nmailto = 'x'\n"));
        assert_eq!(house.ask(&["check"]).expect(0).err, "", "{keys}");
    }
    house.write_jobfile(
        "[defaults]\ncommand = 'true'\nmailto = 'x'\ncwd = '/nowhere'\n[jobs.a]\n[jobs.b]\n",
    );
    let found = house.ask(&["check"]).expect(0).err;
    assert!(found.ends_with("jobs.toml:4:7: working directory /nowhere: no such file or directory: attempts fail (spawn_failed)\n"), "{found}");
    assert_eq!(found.lines().count(), 1, "{found}");
}

#[test]
fn prune_removes_now_what_is_older_than_its_job_keeps_it() {
    let house = House::new("[jobs.work]\ncommand = 'echo said'\nkeep = { succeeded = '30d' }\n");
    let supervisor = house.start();
    for _ in 0..5 {
        let id = house.enqueue(&["work"]);
        house.wait_state(id, "succeeded");
    }
    assert_eq!(house.ask(&["prune", "--json"]).expect(0).json()["removed"], 0);
    assert_eq!(supervisor.stop(), 0);
    house.write_jobfile("[jobs.work]\ncommand = 'echo said'\nkeep = { succeeded = '1ms' }\n");
    let removed = house.ask(&["prune", "--json"]).expect(0).json();
    assert_eq!((&removed["removed"], &removed["output_bytes"]), (&4.into(), &20.into()));
    assert_eq!(house.runs("work").len(), 1);
    assert_eq!(house.ask(&["prune"]).expect(0).out, "0 runs removed, with 0 B of output\n");
}

fn findings(house: &House) -> (i32, Vec<Value>) {
    let answer = house.ask(&["doctor", "--json"]);
    let lines = answer.out.lines();
    let findings = lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (answer.code, findings)
}

fn level<'a>(findings: &'a [Value], check: &str) -> &'a str {
    findings
        .iter()
        .find(|finding| finding["check"] == check)
        .and_then(|finding| finding["level"].as_str())
        .unwrap_or("none")
}

#[test]
fn doctor_says_what_is_wrong_and_the_command_that_mends_it() {
    let house = House::new(
        "[jobs.work]\ncommand = 'true'\nschedule = '@every 1s'\n[jobs.later]\ncommand = 'true'\nschedule = '@every 1h'\n",
    );
    let (code, found) = findings(&house);
    assert_eq!((code, level(&found, "supervisor")), (1, "error"));
    // The first one makes the store.
    house.enqueue(&["later"]);
    house.ask(&["pause", "work"]).expect(0);
    let supervisor = house.start();
    house.wait_run("work", "an occurrence that is not executed", |run| run["reason"] == "paused");
    let (code, found) = findings(&house);
    assert_eq!(code, 0, "{found:?}");
    for check in ["supervisor", "state directory", "store"] {
        assert_eq!(level(&found, check), "ok", "{found:?}");
    }
    assert_eq!(level(&found, "jobs"), "warning");
    assert!(found.iter().all(|finding| finding["level"] == "ok" || finding["remedy"].is_string()));
    fs::set_permissions(house.state_dir(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let (code, found) = findings(&house);
    assert_eq!((code, level(&found, "state directory")), (1, "error"));
    let text = house.ask(&["doctor", "--quiet"]).expect(1).out;
    assert!(text.contains("`chmod 700 "), "{text}");
    assert!(!text.contains("ok "), "{text}");
    fs::set_permissions(house.state_dir(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    house.write_jobfile("[jobs.work]\ncommand = 'true'\nmailto = 'ops'\nschedule = 'wrong'\n");
    house.ask(&["reload"]).expect(1);
    let (code, found) = findings(&house);
    assert_eq!((code, level(&found, "jobfile")), (1, "error"), "{found:?}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn doctor_finds_locks_of_strangers_mail_without_a_mailer_and_commands_that_cron_starts_too() {
    let mut house = House::new(
        "[jobs.work]\ncommand = 'true'\nlock = 'shared'\n\
         [jobs.both]\ncommand = 'echo   in crontab'\nschedule = '0 3 * * *'\nmailto = 'ops'\n",
    );
    if is_root() {
        house.belong_to(12_345);
    }
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "succeeded");
    house.write("crontab", "#!/bin/sh\nprintf '# m h\\n0 3 * * * echo in crontab\\n'\n");
    fs::set_permissions(house.path("crontab"), fs::Permissions::from_mode(0o755))
        .expect("it is ours");
    let lock = house.state_dir().join("locks").join("lock-shared.lock");
    let mut holder = crate::support::program("flock")
        .arg(&lock)
        .args(["sh", "-c", "echo held; read _"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("flock(1) is everywhere");
    let mut held = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().expect("it was asked for"), &mut held)
        .expect("it says so");
    let mut command = house.jobctl();
    command.env("PATH", format!("{}:/usr/bin:/bin", house.dir().display())).args(["doctor"]);
    let output = command.output().expect("it can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{text}");
    let said =
        |words: &[&str]| text.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(said(&["warning", "locks: ", "shared.lock is held by process"]), "{text}");
    assert!(
        said(&["error", "crontab: cron also starts the command of job `both`", "line 2"]),
        "{text}"
    );
    assert!(said(&["`crontab -l | sed '2s/^/# /' | crontab -`"]), "{text}");
    if ["/usr/sbin/sendmail", "/usr/lib/sendmail"]
        .iter()
        .any(|path| fs::exists(path).unwrap_or(true))
    {
        skipped(Need::NoSendmail, "there is a sendmail");
    } else {
        assert!(
            said(&["error", "mail: no sendmail found, but 1 of 2 jobs need it: both"]),
            "{text}"
        );
    }
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn hints_of_status_name_the_jobfile_and_the_state_directory_that_were_given() {
    let house = House::new("[jobs.fails]\ncommand = 'exit 3'\n");
    let _supervisor = house.start();
    let run = house.enqueue(&["fails"]);
    house.wait_state(run, "failed");
    let inherited = house.ask(&["status"]).expect(0).out;
    assert!(inherited.contains(&format!("`jobctl retry {run}` runs it again")), "{inherited}");
    let (jobfile, state_dir) = (house.jobfile(), house.state_dir());
    let mut command = house.jobctl();
    command.env_remove("JOBCTL_JOBFILE").env_remove("JOBCTL_STATE_DIR");
    command.arg("--jobfile").arg(&jobfile).arg("--state-dir").arg(&state_dir).arg("status");
    let given = answer_of(&mut command).expect(0).out;
    let (jobfile, state_dir) = (jobfile.display(), state_dir.display());
    let hint = format!("`jobctl --jobfile {jobfile} --state-dir {state_dir} retry {run}` runs it");
    assert!(given.contains(&hint), "{given}");
}

#[test]
fn status_shows_why_a_run_could_not_be_started_and_points_to_why() {
    let house = House::new("[jobs.gone]\ncommand = ['/no/such/program']\n");
    let _supervisor = house.start();
    let run = house.enqueue(&["gone"]);
    house.wait_state(run, "failed");
    let status = house.ask(&["status"]).expect(0).out;
    let failed = house.ask(&["runs", "--failed"]).expect(0).out;
    for text in [&status, &failed] {
        assert!(text.contains("no such file"), "{text}");
    }
    assert!(status.contains(&format!("`jobctl why {run}` says why, `jobctl retry")), "{status}");
}
