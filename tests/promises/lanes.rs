//! `lock = "...{1}..."`: one run at a time for each first argument, and none in the way of another.

use std::fs::File;
use std::io::Write;

use crate::support::{House, Supervisor, program};

/// Each run says that it is there, waits at the door of its argument, and holds a lock of its own
/// as a witness.
const JOBS: &str = r#"
[defaults]
shell = ["/bin/bash", "-c"]

[jobs.work]
lock = "c-{1}"
concurrency = 4
command = '''
exec 9>> "$T/own.$1"
flock -n 9 || echo "$1" >> "$T/overlaps"
echo "$1 $2" >> "$T/begun"
read _ < "$T/door.$1"
'''

[jobs.quick]
lock = "c-{1}"
concurrency = 4
command = 'echo "$1 $2" >> "$T/quick"'

[jobs.static]
lock = "c-a"
command = 'echo static >> "$T/quick"'
"#;

fn house() -> (House, Supervisor) {
    let house = House::new(JOBS);
    for name in ["door.a", "door.b"] {
        nix::unistd::mkfifo(&house.path(name), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    }
    let supervisor = house.start();
    (house, supervisor)
}

fn open_door(house: &House, name: &str) {
    std::fs::write(house.path(&format!("door.{name}")), "\n").expect("somebody reads");
}

fn lines(house: &House, job: &str, text: &str) {
    house.ask_with(&["enqueue", "--lines", job], text).expect(0);
}

#[test]
fn runs_of_one_argument_follow_each_other_and_others_do_not_wait() {
    let (house, supervisor) = house();
    lines(&house, "work", &"a\n".repeat(3));
    let b = house.enqueue(&["work", "b"]);
    let mut begun = house.wait_lines("begun", 2);
    begun.sort();
    assert_eq!(begun, ["a ", "b "]);
    let waiting = house.runs("work")[1]["id"].to_string();
    let why = house.ask(&["why", &waiting]).expect(0).out;
    assert!(why.contains("lock `c-a`, held by `work`: run"), "{why}");
    open_door(&house, "b");
    house.wait_state(b, "succeeded");
    for count in 3..=4 {
        open_door(&house, "a");
        house.wait_lines("begun", count);
    }
    open_door(&house, "a");
    house.ask(&["wait", "--idle"]).expect(0);
    assert!(house.lines("overlaps").is_empty());
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn thousands_that_wait_for_one_lock_are_in_nobodys_way() {
    let (house, supervisor) = house();
    lines(&house, "work", &"a\n".repeat(5000));
    house.wait_lines("begun", 1);
    let b = house.enqueue(&["work", "b"]);
    assert_eq!(house.wait_lines("begun", 2)[1], "b ");
    open_door(&house, "b");
    house.wait_state(b, "succeeded");
    open_door(&house, "a");
    assert_eq!(house.wait_lines("begun", 3)[2], "a ");
    house.ask(&["cancel", "--job", "work"]).expect(0);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn whoever_leaves_the_queue_lets_the_next_one_go() {
    let (house, supervisor) = house();
    let first = house.enqueue(&["work", "a", "1"]);
    house.wait_lines("begun", 1);
    let second = house.enqueue(&["work", "a", "2"]);
    let third = house.enqueue(&["work", "a", "3"]);
    // A run of another argument that starts shows that those two were looked at.
    let other = house.enqueue(&["work", "b"]);
    house.wait_state(other, "running");
    house.ask(&["pause", "work"]).expect(0);
    open_door(&house, "a");
    house.wait_state(first, "succeeded");
    house.ask(&["cancel", &second.to_string()]).expect(0);
    house.ask(&["resume", "work"]).expect(0);
    house.wait_state(third, "running");
    house.ask(&["retry", &second.to_string()]).expect(0);
    open_door(&house, "a");
    house.wait_state(second, "running");
    open_door(&house, "a");
    open_door(&house, "b");
    house.ask(&["wait", "--idle"]).expect(0);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_restart_and_another_template_let_go_whoever_may() {
    let (house, supervisor) = house();
    lines(&house, "work", "a\na\na\n");
    house.wait_lines("begun", 1);
    supervisor.kill();
    let supervisor = house.start();
    open_door(&house, "a");
    house.wait_lines("begun", 2);
    house.write_jobfile(&JOBS.replace(
        "lock = \"c-{1}\"\nconcurrency = 4\ncommand = '''",
        "lock = \"d-{1}\"\nconcurrency = 4\ncommand = '''",
    ));
    house.ask(&["reload"]).expect(0);
    // The lock has another name now: the third one runs beside the second one.
    house.wait_lines("begun", 3);
    // Both read at one door: it stays open until each has had its line.
    let mut door =
        File::options().read(true).write(true).open(house.path("door.a")).expect("it is there");
    door.write_all(b"\n\n").expect("a FIFO takes two bytes");
    house.ask(&["wait", "--idle"]).expect(0);
    assert!(house.runs("work").iter().all(|run| run["state"] == "succeeded"));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_lock_that_another_job_or_a_stranger_has_is_waited_for() {
    let (house, supervisor) = house();
    let path = house.state_dir().join("locks/lock-c-b.lock");
    let mut stranger = program("flock");
    let mut stranger = stranger
        .args(["-o"])
        .arg(&path)
        .args(["sh", "-c", "echo up >> \"$T/stranger\"; read _ < \"$T/door.b\""])
        .env("T", house.dir())
        .spawn()
        .expect("it starts");
    house.wait_lines("stranger", 1);
    house.enqueue(&["work", "a"]);
    house.wait_lines("begun", 1);
    let blocked = house.enqueue(&["quick", "a", "blocked"]);
    let strange = house.enqueue(&["quick", "b", "strange"]);
    let free = house.enqueue(&["quick", "c", "free"]);
    let fixed = house.enqueue(&["static"]);
    house.wait_state(free, "succeeded");
    for id in [blocked, strange, fixed] {
        assert_eq!(house.show(id)["state"], "queued");
    }
    open_door(&house, "b");
    assert!(stranger.wait().expect("it is a child").success());
    house.wait_state(strange, "succeeded");
    open_door(&house, "a");
    house.wait_state(blocked, "succeeded");
    house.wait_state(fixed, "succeeded");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn any_argument_makes_a_lock_inside_the_directory_of_locks() {
    let (house, supervisor) = house();
    for arguments in [vec!["../../x"], vec![""], vec![], vec!["a b\nc"]] {
        let id = house.enqueue(&[&["quick"], arguments.as_slice()].concat());
        house.wait_state(id, "succeeded");
    }
    let locks: Vec<String> = std::fs::read_dir(house.state_dir().join("locks"))
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").file_name().into_string().expect("a text"))
        .collect();
    assert_eq!(locks.iter().filter(|name| name.starts_with("lock-%")).count(), 2, "{locks:?}");
    assert!(locks.contains(&"lock-c-.lock".to_owned()), "{locks:?}");
    assert_eq!(supervisor.stop(), 0);
}
