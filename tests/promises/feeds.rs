//! Finders: the lines of a successful run's standard output become runs of another job.

use serde_json::Value;

use crate::support::{House, wait_for, wait_gone};

const WORKER: &str = r#"
[jobs.work]
concurrency = 8
command = 'echo "$JOBCTL_CAUSE $1" >> "$T/worked"'
"#;

fn house(finder: &str) -> House {
    let house = House::new(&format!(
        "[defaults]\nshell = [\"/bin/bash\", \"-c\"]\n{WORKER}\n[jobs.find]\nfeeds = \"work\"\n{finder}\n"
    ));
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    house
}

fn first_arguments(house: &House) -> Vec<String> {
    let mut all: Vec<String> = house
        .runs("work")
        .iter()
        .map(|run| run["args"][0].as_str().expect("a text").to_owned())
        .collect();
    all.sort();
    all
}

#[test]
fn each_line_of_standard_output_becomes_a_run_when_the_finder_has_succeeded() {
    let house = house(
        r#"command = 'printf "a b\n\n\n--x\n"; echo no line >&2; read _ < "$T/door"; printf last'"#,
    );
    let supervisor = house.start();
    let finder = house.enqueue(&["find"]);
    house.wait_state(finder, "running");
    assert_eq!(house.runs("work"), Vec::<Value>::new());
    std::fs::write(house.path("door"), "\n").expect("somebody reads");
    house.wait_state(finder, "succeeded");
    assert_eq!(first_arguments(&house), ["--x", "a b", "last"]);
    let mut worked = house.wait_lines("worked", 3);
    worked.sort();
    assert_eq!(worked, ["feed --x", "feed a b", "feed last"]);
    let logs = house.ask(&["logs", &finder.to_string()]).expect(0).out;
    assert!(logs.contains("a b\n") && logs.contains("no line"), "{logs}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_failed_attempt_adds_nothing() {
    let house = house(
        r#"retry = { max = 1, delay = "1ms" }
command = 'echo "from $JOBCTL_ATTEMPT"; [ "$JOBCTL_ATTEMPT" = 2 ]'"#,
    );
    let supervisor = house.start();
    let finder = house.enqueue(&["find"]);
    assert_eq!(house.wait_state(finder, "succeeded")["attempt"], 2);
    assert_eq!(first_arguments(&house), ["from 2"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_no_command_can_take_fails_the_attempt() {
    for (command, error) in [
        ("echo ok; head -c 131072 /dev/zero | tr '\\\\0' x", "line 2 is longer than 131071 bytes"),
        ("echo ok; printf 'a\\\\0b\\n'", "line 2 contains a NUL"),
        ("seq 1000001", "more than 1000000 lines"),
    ] {
        let house = house(&format!("command = \"{command}\""));
        let supervisor = house.start();
        let finder = house.enqueue(&["find"]);
        let run = house.wait_state(finder, "failed");
        assert_eq!(run["exit_code"], 0);
        assert!(run["error"].as_str().expect("a reason").contains(error), "{run}");
        assert_eq!(house.runs("work"), Vec::<Value>::new());
        assert_eq!(supervisor.stop(), 0);
    }
    let house = house("command = \"head -c 131071 /dev/zero | tr '\\\\0' x\"");
    let supervisor = house.start();
    let finder = house.enqueue(&["find"]);
    house.wait_state(finder, "succeeded");
    assert_eq!(first_arguments(&house)[0].len(), 131_071);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_full_backlog_fails_the_finder_and_nothing_of_it_stays() {
    let house = House::new(
        "[jobs.work]\nbacklog_max = 2500\ncommand = 'true'\n[jobs.find]\nfeeds = \"work\"\ncommand = 'seq ${1:-2500}'\n",
    );
    let supervisor = house.start();
    house.ask(&["pause", "work"]).expect(0);
    house.enqueue(&["work", "before"]);
    let finder = house.enqueue(&["find"]);
    let run = house.wait_state(finder, "failed");
    let error = run["error"].as_str().expect("a reason");
    assert!(
        error.contains("1 runs are waiting already") && error.contains("backlog_max is 2500"),
        "{error}"
    );
    assert_eq!(first_arguments(&house), ["before"]);
    let finder = house.enqueue(&["find", "2499"]);
    house.wait_state(finder, "succeeded");
    assert_eq!(house.runs("work").len(), 2500);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_key_that_is_held_is_not_added_again() {
    let house = House::new(
        "[jobs.work]\nkey = 'k-{1}'\ncommand = 'true'\n[jobs.find]\nfeeds = \"work\"\ncommand = 'echo a; echo b; echo a; echo c'\n",
    );
    let supervisor = house.start();
    house.ask(&["pause", "work"]).expect(0);
    let b = house.enqueue(&["work", "b"]);
    let finder = house.enqueue(&["find"]);
    house.wait_state(finder, "succeeded");
    house.ask(&["resume", "work"]).expect(0);
    house.ask(&["wait", "--idle"]).expect(0);
    assert_eq!(first_arguments(&house), ["a", "b", "c"]);
    assert_eq!(house.show(b)["cause"], "enqueue");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_hundred_thousand_lines_come_into_sight_at_once() {
    const LINES: usize = 100_000;
    let house = House::new(&format!(
        "[jobs.work]\ncommand = 'true'\n[jobs.other]\ncommand = 'true'\n[jobs.find]\nfeeds = \"work\"\ncommand = 'seq {LINES}'\n"
    ));
    let supervisor = house.start();
    house.ask(&["pause", "work"]).expect(0);
    let finder = house.enqueue(&["find"]);
    wait_for("the end of the finder", || {
        let before = house.ask(&["runs", "work", "-n", "0", "--json"]);
        let state = house.show(finder)["state"].clone();
        if state == "succeeded" {
            return Some(());
        }
        assert_eq!(before.out, "", "nothing is to be seen before");
        // Others are started meanwhile.
        let other = house.enqueue(&["other"]);
        house.wait_state(other, "succeeded");
        None
    });
    let seen = house.ask(&["runs", "work", "-n", "0", "--json"]).expect(0).out;
    assert_eq!(seen.lines().count(), LINES);
    assert!(seen.lines().all(|line| line.contains("\"state\":\"queued\"")));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_supervisor_that_is_killed_while_it_puts_lines_down_goes_on_where_it_was() {
    const LINES: usize = 60_000;
    let house = House::new(&format!(
        "[jobs.work]\ncommand = 'true'\n[jobs.find]\nfeeds = \"work\"\ncommand = 'seq {LINES}; echo $$ > \"$T/pid\"'\n"
    ));
    let supervisor = house.start();
    house.ask(&["pause", "work"]).expect(0);
    let finder = house.enqueue(&["find"]);
    house.wait_lines("pid", 1);
    let pid = house.read("pid").trim().parse().expect("a number");
    wait_gone(pid);
    supervisor.kill();
    let supervisor = house.start();
    house.wait_state(finder, "succeeded");
    let found = first_arguments(&house);
    let mut expected: Vec<String> = (1..=LINES).map(|n| n.to_string()).collect();
    expected.sort();
    assert!(found == expected, "{} runs", found.len());
    assert_eq!(house.show(finder)["attempt"], 1);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn exec_feeds_as_well_and_without_a_supervisor() {
    let house = house("command = 'seq 5000'");
    let answer = house.ask(&["exec", "find"]).expect(0);
    assert_eq!(answer.out.lines().count(), 5000);
    assert_eq!(house.runs("work").len(), 5000);
    house.ask(&["pause", "work"]).expect(0);
    let supervisor = house.start();
    let status = wait_for("all in the queue", || {
        let status = house.status();
        let jobs = status["jobs"].as_array().expect("a list").clone();
        jobs.into_iter().find(|job| job["name"] == "work" && job["queued"] == 5000)
    });
    assert_eq!(status["failed"], 0);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_the_finder_left_running_adds_nothing_more() {
    let house =
        house(r#"command = 'echo one; (read _ < "$T/door"; echo two) & echo $! >> "$T/left"'"#);
    let supervisor = house.start();
    let finder = house.enqueue(&["find"]);
    house.wait_state(finder, "succeeded");
    house.wait_lines("worked", 1);
    let left = house.wait_lines("left", 1)[0].parse().expect("a number");
    std::fs::write(house.path("door"), "\n").expect("somebody reads");
    wait_gone(left);
    house.ask(&["wait", "--idle"]).expect(0);
    assert_eq!(first_arguments(&house), ["one"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_a_finder_feeds_is_of_the_job_that_has_taken_its_name_over_with_key_and_retries() {
    let jobfile = |worker: &str| {
        format!(
            "{worker}\nkey = \"{{1}}\"\nretry = 2\ncommand = 'echo \"$1\" >> \"$T/worked\"'\n\
             [jobs.find]\nfeeds = \"NAME\"\ncommand = 'read _ < \"$T/door\"; echo one; echo one; echo two'\n"
        )
    };
    let house = house("command = 'true'");
    house.write_jobfile(&jobfile("[jobs.work]").replace("NAME", "work"));
    let supervisor = house.start();
    let finder = house.enqueue(&["find"]);
    house.wait_state(finder, "running");
    let renamed = jobfile("[jobs.labour]\nwas = [\"work\"]");
    house.write_jobfile(&renamed.replace("NAME", "labour"));
    house.ask(&["reload"]).expect(0);
    std::fs::write(house.path("door"), "\n").expect("somebody reads");
    house.wait_state(finder, "succeeded");
    house.wait_lines("worked", 2);
    let runs = house.runs("labour");
    let found: Vec<_> =
        runs.iter().map(|run| (run["key"].as_str(), run["max_attempts"].as_i64())).collect();
    assert_eq!(found, [(Some("one"), Some(3)), (Some("two"), Some(3))]);
    assert_eq!(supervisor.stop(), 0);
}
