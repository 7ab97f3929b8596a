//! What a command finds: a session of its own, nothing of the supervisor's, and the variables it
//! was promised.

use std::collections::HashMap;
use std::path::PathBuf;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};

use crate::support::{House, stat_field};

/// Runs a command once with these keys; what it printed.
#[track_caller]
fn printed(keys: &str, args: &[&str]) -> String {
    let house = House::new(&format!("[jobs.looks]\n{keys}\n"));
    printed_in(&house, args)
}

#[track_caller]
fn printed_in(house: &House, args: &[&str]) -> String {
    let supervisor = house.start();
    let run = house.enqueue(&[&["looks"], args].concat());
    house.wait_state(run, "succeeded");
    let out = house.ask(&["logs", "--raw", &run.to_string()]).expect(0).out;
    assert_eq!(supervisor.stop(), 0);
    out
}

/// `NAME=value` lines.
fn variables(text: &str) -> HashMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once('=')).collect()
}

/// `Name:<tab>value` lines of /proc/PID/status.
fn status_fields(text: &str) -> HashMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
        .collect()
}

#[test]
fn it_leads_a_session_and_a_group_of_its_own() {
    let text = printed("command = ['cat', '/proc/self/stat']", &[]);
    let (pid, rest) = text.split_once(" (").expect("it is a stat line");
    let fields: Vec<&str> = rest.rsplit_once(") ").expect("it is one").1.split(' ').collect();
    let (group, session, terminal) = (fields[2], fields[3], fields[4]);
    assert_eq!((group, session, terminal), (pid, pid, "0"));
}

#[test]
fn its_standard_input_is_empty_unless_the_job_gives_one() {
    assert_eq!(printed("command = 'cat; echo end'", &[]), "end\n");
    assert_eq!(printed("command = 'cat; echo end'\nstdin = \"a\\nb\\n\"", &[]), "a\nb\nend\n");
}

#[test]
fn it_has_the_default_signals_and_an_empty_mask() {
    // What the supervisor's own parent blocked must not reach the command, nor make the supervisor
    // deaf.
    let house = House::new("[jobs.looks]\ncommand = ['cat', '/proc/self/status']\n");
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGUSR2);
    blocked.add(Signal::SIGTERM);
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), Some(&mut before)).expect("it can be set");
    let supervisor = house.start();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None).expect("it can be set");
    let run = house.enqueue(&["looks"]);
    house.wait_state(run, "succeeded");
    let text = house.ask(&["logs", &run.to_string()]).expect(0).out;
    let fields = status_fields(&text);
    for mask in ["SigBlk", "SigIgn", "SigPnd", "ShdPnd"] {
        assert_eq!(fields[mask], "0000000000000000", "{mask}");
    }
    assert_eq!(fields["Umask"], "0022");
    assert_eq!(supervisor.stop(), 0, "a blocked TERM made the supervisor deaf");
}

#[test]
fn it_has_no_descriptors_but_three() {
    // `ls` itself opens the directory as 3.
    assert_eq!(printed("command = ['ls', '/proc/self/fd']", &[]), "0\n1\n2\n3\n");
}

#[test]
fn a_keeper_holds_nothing_of_the_supervisor() {
    let house = House::new("[jobs.long]\ncommand = 'echo x >> \"$T/began\"; exec sleep 1000'\n");
    let _supervisor = house.start();
    let run = house.enqueue(&["long"]);
    house.wait_lines("began", 1);
    let entries =
        std::fs::read_dir(format!("/proc/{}/fd", house.keeper_of(run))).expect("it is ours");
    let targets: Vec<PathBuf> =
        entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).collect();
    for name in ["supervisor.lock", "wake", "jobctl.db", "jobctl.db-wal", "jobctl.db-shm"] {
        let path = house.state_dir().join(name);
        assert!(!targets.contains(&path), "{targets:?}");
    }
}

#[test]
fn umask_nice_and_working_directory_are_what_the_job_says() {
    let house = House::new(
        "[jobs.looks]\ncommand = 'umask; nice; pwd -P'\numask = '077'\nnice = 5\ncwd = '@T@'\n",
    );
    // Those who run the tests may be nice themselves.
    let own = stat_field(std::process::id().try_into().expect("a number"), 16);
    let own: i32 = own.and_then(|nice| nice.parse().ok()).expect("it is there");
    let nice = (own + 5).min(19);
    let expected = format!("0077\n{nice}\n{}\n", house.dir().display());
    assert_eq!(printed_in(&house, &[]), expected);
}

#[test]
fn without_a_word_it_starts_at_home() {
    let home =
        nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.dir);
    let expected = home.filter(|home| home.is_dir()).unwrap_or_else(|| "/".into());
    let expected = expected.canonicalize().expect("it is there");
    assert_eq!(printed("command = 'pwd -P'", &[]), format!("{}\n", expected.display()));
}

#[test]
fn arguments_arrive_as_they_are_and_never_as_shell_text() {
    let args = ["a b", "$(echo no)", "; echo no", "'", "", "-x", "*", "ä\u{fffd}"];
    let shell = printed("command = 'printf \"[%s]\\n\" \"$0\" \"$@\"'", &args);
    let lines: String =
        std::iter::once("looks").chain(args).map(|arg| format!("[{arg}]\n")).collect();
    assert_eq!(shell, lines);
    let array = printed("command = ['printf', '[%s]\\n', 'fixed']", &args);
    assert_eq!(array, lines.replace("[looks]", "[fixed]"));
}

#[test]
fn it_is_told_what_it_is_a_run_of() {
    let house = House::new("[jobs.looks]\ncommand = ['env']\nretry = 2\n");
    let supervisor = house.start();
    let run = house.enqueue(&["--key", "k", "looks"]);
    house.wait_state(run, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    let text = house.ask(&["logs", &run.to_string()]).expect(0).out;
    let found = variables(&text);
    let (run, jobfile, state_dir) = (
        run.to_string(),
        house.jobfile().display().to_string(),
        house.state_dir().display().to_string(),
    );
    for (name, value) in [
        ("JOBCTL_JOB", "looks"),
        ("JOBCTL_RUN", &run),
        ("JOBCTL_ATTEMPT", "1"),
        ("JOBCTL_MAX_ATTEMPTS", "3"),
        ("JOBCTL_CAUSE", "enqueue"),
        ("JOBCTL_KEY", "k"),
        ("JOBCTL_JOBFILE", &jobfile),
        ("JOBCTL_STATE_DIR", &state_dir),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name}");
    }
    assert!(
        !found.contains_key("JOBCTL_SCHEDULED_AT") && !found.contains_key("JOBCTL_LAST_OUTCOME")
    );
}

#[test]
fn an_occurrence_knows_when_it_was_due() {
    let house = House::new(
        "[jobs.looks]\nschedule = '@every 1s'\ncommand = 'echo \"$JOBCTL_CAUSE $JOBCTL_SCHEDULED_AT\" >> \"$T/due\"'\n",
    );
    let _supervisor = house.start();
    let line = house.wait_lines("due", 1)[0].clone();
    let run = house.runs("looks")[0].clone();
    let due = crate::support::time(&run["scheduled_at"]).format("%Y-%m-%dT%H:%M:%S").to_string();
    assert!(line.starts_with(&format!("schedule {due}")), "{line} {run:#}");
}

/// Starts a supervisor as systemd would; what `env` of a job prints.
fn environment_under_systemd(keys: &str) -> String {
    let house = House::new(&format!("[jobs.looks]\ncommand = ['/usr/bin/env']\n{keys}\n"));
    house.write("env", "FROM_FILE=file\nBOTH='of the file'\n");
    let mut command = house.jobctl();
    for name in [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "RUNTIME_DIRECTORY",
        "JOBCTL_REPORT",
    ] {
        command.env(name, "/nowhere");
    }
    command.env("STATE_DIRECTORY", house.state_dir()).env("INHERITED", "yes");
    let _supervisor = house.start_with(&mut command, &[]);
    let run = house.enqueue(&["looks"]);
    house.wait_state(run, "succeeded");
    house.ask(&["logs", &run.to_string()]).expect(0).out
}

#[test]
fn what_is_the_supervisors_own_business_is_not_passed_on() {
    let text = environment_under_systemd("");
    let found = variables(&text);
    for name in found.keys() {
        let is_own = [
            "NOTIFY_SOCKET",
            "INVOCATION_ID",
            "JOURNAL_STREAM",
            "STATE_DIRECTORY",
            "RUNTIME_DIRECTORY",
        ]
        .contains(name)
            || name.starts_with("WATCHDOG_")
            || name.starts_with("LISTEN_");
        assert!(!is_own, "{name}");
    }
    assert_eq!(found.get("INHERITED"), Some(&"yes"));
    assert_ne!(found.get("JOBCTL_REPORT"), Some(&"/nowhere"));
}

#[test]
fn the_jobs_own_variables_win_over_its_file_and_both_over_what_was_inherited() {
    let text = environment_under_systemd(
        "env_file = '@T@/env'\nenv = { BOTH = 'of the job', INHERITED = 'no' }",
    );
    let found = variables(&text);
    assert_eq!(found.get("FROM_FILE"), Some(&"file"));
    assert_eq!(found.get("BOTH"), Some(&"of the job"));
    assert_eq!(found.get("INHERITED"), Some(&"no"));
}

#[test]
fn nothing_is_inherited_where_the_job_says_so_but_what_every_command_needs_is_there() {
    let text = environment_under_systemd("inherit_env = false");
    let found = variables(&text);
    assert_eq!(found.get("INHERITED"), None);
    assert_eq!(found.get("PATH"), Some(&"/usr/bin:/bin"));
    for name in ["HOME", "USER", "LOGNAME", "SHELL"] {
        assert!(found.get(name).is_some_and(|value| !value.is_empty()), "{name}");
    }
}

#[test]
fn resource_use_is_on_record() {
    let house = House::new(
        "[jobs.works]\ncommand = 'i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done'\n",
    );
    let _supervisor = house.start();
    let run = house.enqueue(&["works"]);
    let attempt = house.wait_state(run, "succeeded")["attempts"][0].clone();
    assert!(attempt["user_ms"].as_i64() > Some(0), "{attempt:#}");
    assert!(attempt["max_rss_kib"].as_i64() > Some(100), "{attempt:#}");
    assert!(attempt["pid"].as_i64() > Some(1), "{attempt:#}");
}

#[test]
fn its_resource_limits_are_those_of_the_job() {
    let keys = "command = ['cat', '/proc/self/limits']\n\
                limits = { cpu_time = '2s', open_files = 77, processes = 4321, file_size = '1 MiB', address_space = '1 GiB' }";
    let text = printed(keys, &[]);
    let limit = |name: &str| -> Vec<String> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let words = line.unwrap_or_else(|| panic!("{name}: {text}"));
        words.split_ascii_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(limit("Max cpu time"), ["2", "3"]);
    assert_eq!(limit("Max open files"), ["77", "77"]);
    assert_eq!(limit("Max processes"), ["4321", "4321"]);
    assert_eq!(limit("Max file size"), ["1048576", "1048576"]);
    assert_eq!(limit("Max address space"), ["1073741824", "1073741824"]);
}

#[test]
fn a_command_over_its_cpu_time_is_ended_by_that_signal() {
    let house = House::new(
        "[jobs.looks]\ncommand = 'while :; do :; done'\nlimits = { cpu_time = '1s' }\ntimeout = '25s'\n",
    );
    let supervisor = house.start();
    let run = house.enqueue(&["looks"]);
    let ended = house.wait_state(run, "failed");
    assert_eq!((&ended["outcome"], &ended["signal"]), (&"signaled".into(), &24.into()), "{ended}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_variable_may_stand_in_a_file_that_is_read_for_each_attempt() {
    let house = House::new(
        "[jobs.looks]\ncommand = 'printf %s \"$SECRET\"'\nenv = { SECRET = { file = '@T@/secret' } }\n",
    );
    let supervisor = house.start();
    house.write("secret", "one\n\n");
    let first = house.enqueue(&["looks"]);
    house.wait_state(first, "succeeded");
    house.write("secret", "two");
    let second = house.enqueue(&["looks"]);
    house.wait_state(second, "succeeded");
    let out = |run: i64| house.ask(&["logs", "--raw", &run.to_string()]).expect(0).out;
    assert_eq!((out(first).as_str(), out(second).as_str()), ("one\n", "two"));
    std::fs::remove_file(house.path("secret")).expect("it is there");
    let third = house.enqueue(&["looks"]);
    let ended = house.wait_state(third, "failed");
    let error =
        format!("env SECRET: {}: no such file or directory", house.path("secret").display());
    assert_eq!((&ended["outcome"], &ended["error"]), (&"spawn_failed".into(), &error.into()));
    house.write("secret", b"a\0b");
    let fourth = house.enqueue(&["looks"]);
    let ended = house.wait_state(fourth, "failed");
    assert!(
        ended["error"].as_str().is_some_and(|error| error.ends_with("contains a NUL byte")),
        "{ended}"
    );
    assert_eq!(supervisor.stop(), 0);
}
