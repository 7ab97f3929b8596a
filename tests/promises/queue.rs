//! Items: keys, conditions and standard input, as somebody sees them who adds them from a script.

use serde_json::Value;

use crate::support::{House, wait_for};

const JOBS: &str = r#"
[jobs.resize]
command = 'echo "$1" >> "$T/done"'
key = "{1}"
key_for = "1h"

[jobs.cat]
command = 'cat > "$T/got"'
stdin = "of the job"

[jobs.fails]
command = 'exit 3'

[jobs.works]
command = 'echo "$1" >> "$T/done"'
"#;

fn ids(text: &str) -> Vec<i64> {
    text.lines().map(|line| line.parse().expect("an id")).collect()
}

fn existing(text: &str) -> Vec<bool> {
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|added| added["existing"].as_bool().expect("a truth"))
        .collect()
}

#[test]
fn a_file_is_not_in_the_queue_twice_nor_again_soon_after_it_was_done() {
    let house = House::new(JOBS);
    let first = ids(&house.ask(&["enqueue", "resize", "a.png"]).expect(0).out);
    let again = house.ask(&["--json", "enqueue", "resize", "a.png"]).expect(0);
    assert_eq!(existing(&again.out), [true]);
    let lines =
        house.ask_with(&["--json", "enqueue", "--lines", "resize"], b"a.png\nb.png\nb.png\n");
    assert_eq!(existing(&lines.expect(0).out), [true, false, true]);
    let _supervisor = house.start();
    house.wait_state(first[0], "succeeded");
    assert_eq!(ids(&house.ask(&["enqueue", "resize", "a.png"]).expect(0).out), first);
    assert_eq!(house.lines("done").iter().filter(|line| *line == "a.png").count(), 1);
}

#[test]
fn a_key_that_cannot_be_made_adds_nothing() {
    let house = House::new(JOBS);
    let answer = house.ask(&["enqueue", "resize"]).expect(2);
    assert!(answer.err.contains("argument 1"), "{answer:?}");
    house.ask(&["enqueue", "works", "x"]).expect(0);
    house.ask(&["enqueue", "--key", "k", "works", "x"]).expect(0);
    house.ask(&["enqueue", "--key", "k", "--on-conflict", "error", "works", "x"]).expect(1);
    assert_eq!(house.ask(&["--json", "runs"]).expect(0).out.lines().count(), 2);
}

#[test]
fn a_command_reads_the_standard_input_of_its_item_in_each_attempt() {
    let house = House::new(&JOBS.replace(
        "> \"$T/got\"'",
        ">> \"$T/got\"; test \"$JOBCTL_ATTEMPT\" = 2'\nretry = { max = 1, delay = \"1ms\" }",
    ));
    let input: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let run = ids(&house.ask_with(&["enqueue", "--stdin", "cat"], &input).expect(0).out)[0];
    let _supervisor = house.start();
    house.wait_state(run, "succeeded");
    let got = std::fs::read(house.path("got")).expect("it was written");
    assert!(got == [&input[..], &input[..]].concat(), "{} bytes", got.len());
}

#[test]
fn input_that_is_empty_is_empty_and_one_that_is_too_long_is_refused() {
    let house = House::new(JOBS);
    let run = ids(&house.ask_with(&["enqueue", "--stdin", "cat"], b"").expect(0).out)[0];
    let long = vec![b'x'; (16 << 20) + 1];
    let answer = house.ask_with(&["enqueue", "--stdin", "cat"], &long).expect(2);
    assert!(answer.err.contains("16 MiB"), "{answer:?}");
    let _supervisor = house.start();
    house.wait_state(run, "succeeded");
    assert_eq!(std::fs::read(house.path("got")).expect("it was written"), b"");
}

#[test]
fn a_run_starts_after_those_it_waits_for_and_not_if_one_fails() {
    let house = House::new(JOBS);
    let good = house.enqueue(&["works", "first"]);
    let bad = house.enqueue(&["fails"]);
    let after = |ids: &str, name: &str| house.enqueue(&["--after", ids, "works", name]);
    let second = after(&good.to_string(), "second");
    let third = after(&format!("{good},{second}"), "third");
    let never = after(&format!("{good},{bad}"), "never");
    let nor_this = after(&never.to_string(), "nor this");
    house.ask(&["enqueue", "--after", "4711", "works", "x"]).expect(3);
    let _supervisor = house.start();
    house.wait_state(third, "succeeded");
    for (run, by) in [(never, bad), (nor_this, never)] {
        let cancelled = house.wait_state(run, "cancelled");
        assert_eq!((&cancelled["reason"], &cancelled["by"]), (&"dependency".into(), &by.into()));
    }
    assert_eq!(house.lines("done"), ["first", "second", "third"]);
    assert_eq!(house.show(third)["after"], serde_json::json!([good, second]));
}

#[test]
fn an_end_by_hand_without_a_supervisor_is_told_to_followers_by_the_next_one() {
    let house = House::new(JOBS);
    let first = house.enqueue(&["--in", "1h", "works", "first"]);
    let follower = house.enqueue(&["--after", &first.to_string(), "works", "second"]);
    house.ask(&["cancel", &first.to_string()]).expect(0);
    let _supervisor = house.start();
    house.wait_state(follower, "cancelled");
}

#[test]
fn what_expires_is_cancelled_when_its_time_is_over_and_not_before() {
    let house = House::new(JOBS);
    let _supervisor = house.start();
    house.ask(&["pause", "works"]).expect(0);
    let short = house.enqueue(&["--expires", "300ms", "works", "short"]);
    let long = house.enqueue(&["--expires", "1h", "works", "long"]);
    let expired = house.wait_state(short, "cancelled");
    assert_eq!(expired["reason"], "expired");
    assert!(expired["ended_at"].as_str() > expired["created_at"].as_str());
    assert_eq!(house.show(long)["state"], "queued");
    house.ask(&["enqueue", "--in", "2h", "--expires", "1h", "works", "x"]).expect(2);
}

#[test]
fn a_dry_run_adds_nothing_and_makes_nothing() {
    let house = House::new(JOBS);
    let answer =
        house.ask_with(&["enqueue", "--dry-run", "--lines", "resize"], b"a\nb\n").expect(0);
    assert_eq!(answer.out, "would add 2 runs of resize\n");
    assert!(!house.state_dir().join("jobctl.db").exists());
    house.enqueue(&["resize", "a"]);
    let answer =
        house.ask_with(&["enqueue", "--dry-run", "--lines", "resize"], b"a\nb\n").expect(0);
    assert_eq!(answer.out, "would add 1 run of resize; 1 more have keys in use\n");
    let json = ["--json", "enqueue", "--dry-run", "--lines", "resize"];
    let answer = house.ask_with(&json, b"a\nb\n").expect(0);
    let wanted = "{\"id\":1,\"existing\":true}\n{\"id\":null,\"existing\":false}\n";
    assert_eq!(answer.out, wanted);
    assert_eq!(house.ask(&["--json", "runs"]).expect(0).out.lines().count(), 1);
}

#[test]
fn what_is_retried_at_a_rate_falls_due_one_after_the_other() {
    let house = House::new(JOBS);
    let supervisor = house.start();
    let runs = [(), (), ()].map(|()| house.enqueue(&["fails"]));
    for run in runs {
        house.wait_state(run, "failed");
    }
    assert_eq!(supervisor.stop(), 0);
    let said = house.ask(&["retry", "--failed", "--rate", "2/h"]).expect(0).err;
    assert!(said.contains("run 1 (fails) is queued again\n"), "{said}");
    assert!(said.contains("run 3 (fails) is scheduled for "), "{said}");
    let status = house.ask(&["status"]).expect(0).out;
    let line = status.lines().find(|line| line.starts_with("fails ")).unwrap_or_default();
    assert!(line.contains("2 due later") && !line.contains("scheduled"), "{status}");
    let due = runs.map(|run| crate::support::time(&house.show(run)["due_at"]));
    let gaps: Vec<i64> = due.windows(2).map(|pair| (pair[1] - pair[0]).num_seconds()).collect();
    assert_eq!(gaps, [1800, 1800]);
    assert_eq!(house.show(runs[0])["state"], "queued");
    assert_eq!(house.show(runs[2])["state"], "scheduled");
    house.ask(&["retry", "--failed", "--rate", "fast"]).expect(2);

    house.ask(&["cancel", "--job", "fails"]).expect(0);
    let _supervisor = house.start();
    house.ask(&["retry", "--job", "fails", "--state", "cancelled", "--rate", "100/s"]).expect(0);
    for run in runs {
        crate::support::wait_for("its second attempt", || {
            (house.show(run)["attempt"] == 2).then_some(())
        });
        house.wait_state(run, "failed");
    }
    house.ask_with(&["enqueue", "--in", "7h", "--lines", "fails"], b"a\nb\n").expect(0);
    let status = house.ask(&["status", "fails"]).expect(0).out;
    assert!(status.contains("due later") && !status.contains(" left"), "{status}");
}

#[test]
fn a_rate_is_kept_over_restarts_and_keeps_no_other_job_waiting() {
    let house = House::new(
        "[jobs.slow]\nrate = '2/h'\nconcurrency = 8\npriority = 9\ncommand = 'echo \"$1\" >> \"$T/slow\"'\n\
         [jobs.quick]\nrate = '2/s'\ncommand = 'echo \"$1\" >> \"$T/quick\"'\n",
    );
    let items: String = (0..6).map(|number| format!("{number}\n")).collect();
    house.ask_with(&["enqueue", "--lines", "slow"], &items).expect(0);
    house.ask_with(&["enqueue", "--lines", "quick"], &items).expect(0);
    let queued = || house.runs("slow").iter().filter(|run| run["state"] == "queued").count();
    let supervisor = house.start();
    // One every half second: the bucket is filled again, and nobody has to ring.
    assert_eq!(house.wait_lines("quick", 6).len(), 6);
    house.wait_lines("slow", 2);
    assert_eq!(queued(), 4);
    supervisor.kill();
    let _supervisor = house.start();
    let after = house.enqueue(&["quick", "after"]);
    house.wait_state(after, "succeeded");
    assert_eq!((house.lines("slow").len(), queued()), (2, 4));
}

#[test]
fn a_pause_of_everything_and_then_a_wait_drains() {
    let house = House::new("[jobs.work]\ncommand = 'echo up >> \"$T/up\"; read _ < \"$T/door\"'\n");
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let supervisor = house.start();
    let running = house.enqueue(&["work"]);
    house.wait_lines("up", 1);
    let waiting = house.enqueue(&["work"]);
    house.ask(&["pause", "--all"]).expect(0);
    let mut wait = house.jobctl();
    let mut wait = wait.args(["wait", "--idle"]).spawn().expect("it starts");
    assert_eq!(wait.try_wait().expect("it is a child"), None);
    std::fs::write(house.path("door"), "\n").expect("somebody reads");
    assert_eq!(wait.wait().expect("it is a child").code(), Some(0));
    assert_eq!(house.show(running)["state"], "succeeded");
    assert_eq!(house.show(waiting)["state"], "queued");
    assert_eq!(house.lines("up").len(), 1);
    assert_eq!(supervisor.stop(), 0);
}

#[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
fn open(house: &House) -> rusqlite::Connection {
    rusqlite::Connection::open(house.state_dir().join("jobctl.db")).expect("the store is there")
}

/// Lines of numbers.
fn many(count: usize) -> String {
    (0..count).map(|number| format!("{number}\n")).collect()
}

#[test]
fn a_large_batch_is_executed_whole_in_order_and_each_id_is_on_disk_when_it_is_printed() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n[jobs.b]\ncommand = 'true'\nkey = '{1}'\n");
    let added = house.ask_with(&["enqueue", "--lines", "a"], many(3000)).expect(0);
    let ids: Vec<i64> = added.out.lines().map(|id| id.parse().expect("an id")).collect();
    assert_eq!(ids.len(), 3000);
    assert!(ids.is_sorted());
    let of_job = |job: &str| {
        let status = house.status();
        let jobs = status["jobs"].as_array().expect("jobs");
        let is_it = |row: &&serde_json::Value| row["name"] == job;
        jobs.iter().find(is_it).expect("the job")["queued"].clone()
    };
    assert_eq!(of_job("a"), 3000);
    assert_eq!(house.runs("a").len(), 3000);
    // Keys twice: the second time each stands for the first.
    let lines = many(1500);
    let first = house.ask_with(&["enqueue", "--lines", "b"], &lines).expect(0).out;
    let again = house.ask_with(&["enqueue", "--lines", "b"], &lines).expect(0).out;
    assert_eq!(first, again);
    assert_eq!(of_job("b"), 1500);
    let refused =
        house.ask_with(&["enqueue", "--lines", "--on-conflict", "error", "b"], many(1600));
    assert_eq!(refused.code, 1, "{refused:?}");
    house.ask(&["cancel", "--job", "a"]).expect(0);
    house.ask(&["cancel", "--job", "b"]).expect(0);
    assert_eq!((of_job("a"), of_job("b")), (0.into(), 0.into()));
}

#[test]
fn a_large_batch_whose_command_is_killed_midway_leaves_nothing() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n");
    house.enqueue(&["a"]);
    let path = house.path("lines");
    std::fs::write(&path, many(1_000_000)).expect("a file");
    let mut command = house.jobctl();
    let mut child = command
        .args(["enqueue", "--lines", "a"])
        .stdin(std::fs::File::open(path).expect("it is there"))
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let store = || open(&house);
    wait_for("items out of sight", || {
        let staged: i64 = store()
            .query_row("SELECT count(*) FROM run WHERE state = 0", [], |row| row.get(0))
            .ok()?;
        (staged > 0).then_some(())
    });
    child.kill().expect("it is ours");
    child.wait().expect("it ends");
    assert_eq!(house.runs("a").len(), 1);
    let supervisor = house.start();
    wait_for("the rest to be taken away", || {
        let left: i64 = store()
            .query_row(
                "SELECT (SELECT count(*) FROM run WHERE state = 0) + (SELECT count(*) FROM feed)",
                [],
                |row| row.get(0),
            )
            .ok()?;
        (left == 0).then_some(())
    });
    assert_eq!(house.runs("a").len(), 1);
    let is_ticket = |name: &str| name.starts_with("batch-");
    let left = std::fs::read_dir(house.state_dir()).expect("the state directory");
    assert!(!left.flatten().any(|entry| is_ticket(&entry.file_name().to_string_lossy())));
    assert_eq!(supervisor.stop(), 0);
}
