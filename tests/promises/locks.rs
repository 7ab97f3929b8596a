//! Locks are files that anybody can hold: other jobs, and strangers with flock(1).

use std::fs::{File, OpenOptions};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{House, now, wait_for};

const SHARED: &str = r#"
[defaults]
shell = ["/bin/bash", "-c"]
[jobs.left]
lock = "both"
command = '''
echo "left begins" >> "$T/story"; read -t 0.05 _ <> "$T/never"; echo "left ends" >> "$T/story"
'''
[jobs.right]
lock = "both"
command = '''
echo "right begins" >> "$T/story"; read -t 0.05 _ <> "$T/never"; echo "right ends" >> "$T/story"
'''
[jobs.free]
command = 'echo free >> "$T/free"'
"#;

const NOTES: &str = "[jobs.notes]\nconcurrency = 1\ncommand = 'echo \"$1\" >> \"$T/notes\"'\n";

fn house(jobfile: &str) -> House {
    let house = House::new(jobfile);
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house
}

/// As `flock locks/NAME` does it.
fn hold(house: &House, name: &str) -> File {
    let path = house.state_dir().join("locks").join(name);
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .expect("a lock file can be opened by its user");
    let (held, path) = (&file, path.display());
    wait_for(&format!("the lock on {path}"), || held.try_lock().ok());
    file
}

#[test]
fn jobs_that_name_one_lock_never_run_together() {
    let house = house(SHARED);
    let _supervisor = house.start();
    for _ in 0..6 {
        house.enqueue(&["left"]);
        house.enqueue(&["right"]);
    }
    house.wait_idle(&["left", "right"]);
    let story = house.lines("story");
    assert_eq!(story.len(), 24);
    for pair in story.chunks(2) {
        let (who, _) = pair[0].split_once(' ').expect("two words");
        assert_eq!(pair, [format!("{who} begins"), format!("{who} ends")]);
    }
}

#[test]
fn a_stranger_that_holds_a_jobs_lock_keeps_its_runs_waiting_and_nobody_else() {
    for concurrency in ["concurrency = 1", "concurrency = 3", "overlap = 'allow'"] {
        let house = house(&format!("{SHARED}{}", NOTES.replace("concurrency = 1", concurrency)));
        let _supervisor = house.start();
        let held = hold(&house, "notes.lock");
        let run = house.enqueue(&["notes", "at last"]);
        let other = house.enqueue(&["free"]);
        house.wait_state(other, "succeeded");
        assert_eq!(house.show(run)["state"], "queued", "{concurrency}");
        let begin = now();
        drop(held);
        house.wait_state(run, "succeeded");
        // It is looked for each second; the rest is for a machine with other things to do.
        assert!(begin.elapsed().as_secs() < 10, "{concurrency}: {:?}", begin.elapsed());
        assert_eq!(house.lines("notes"), ["at last"]);
    }
}

#[test]
fn a_stranger_that_holds_a_named_lock_keeps_all_jobs_waiting_that_name_it() {
    let house = house(SHARED);
    let _supervisor = house.start();
    let held = hold(&house, "lock-both.lock");
    let runs = [house.enqueue(&["left"]), house.enqueue(&["right"])];
    let other = house.enqueue(&["free"]);
    house.wait_state(other, "succeeded");
    for run in runs {
        assert_eq!(house.show(run)["state"], "queued");
    }
    drop(held);
    for run in runs {
        house.wait_state(run, "succeeded");
    }
}

#[test]
fn a_run_holds_its_lock_against_strangers_also_after_the_supervisor_was_killed() {
    let house =
        house("[jobs.long]\ncommand = 'echo x >> \"$T/began\"; exec sleep 1000'\nlock = 'deep'\n");
    let supervisor = house.start();
    let run = house.enqueue(&["long"]);
    house.wait_lines("began", 1);
    supervisor.kill();
    let open =
        |name: &str| File::open(house.state_dir().join("locks").join(name)).expect("it is there");
    let files = [open("long.lock"), open("lock-deep.lock")];
    for file in &files {
        assert!(file.try_lock().is_err(), "it is free");
    }
    let _supervisor = house.start();
    house.ask(&["cancel", &run.to_string()]).expect(0);
    house.wait_state(run, "cancelled");
    for file in &files {
        wait_for("the lock to be free", || file.try_lock().ok());
    }
}

#[test]
fn a_lock_outlives_a_killed_keeper_until_what_it_left_is_dead() {
    let house =
        house("[jobs.long]\ncommand = 'echo x >> \"$T/began\"; exec sleep 1000'\nlock = 'deep'\n");
    let supervisor = house.start();
    let run = house.enqueue(&["long"]);
    house.wait_lines("began", 1);
    let keeper = Pid::from_raw(house.keeper_of(run));
    // Nobody looks after the keeper's end meanwhile.
    supervisor.send(Signal::SIGSTOP);
    kill(keeper, Signal::SIGKILL).expect("it is there");
    wait_for("the command to be dead", || house.processes_of(run).is_empty().then_some(()));
    let open =
        |name: &str| File::open(house.state_dir().join("locks").join(name)).expect("it is there");
    let files = [open("long.lock"), open("lock-deep.lock")];
    for file in &files {
        assert!(file.try_lock().is_err(), "it is free before anybody has looked");
    }
    supervisor.send(Signal::SIGCONT);
    house.wait_state(run, "failed");
    for file in &files {
        wait_for("the lock to be free", || file.try_lock().ok());
    }
}

#[test]
fn a_daemon_that_a_command_leaves_behind_holds_no_lock() {
    let house =
        house("[jobs.daemon]\ncommand = 'sleep 1000 > /dev/null 2>&1 & echo x >> \"$T/began\"'\n");
    let _supervisor = house.start();
    let runs = [house.enqueue(&["daemon"]), house.enqueue(&["daemon"])];
    for run in runs {
        house.wait_state(run, "succeeded");
    }
    let left = runs.iter().map(|run| house.processes_of(*run).len()).sum::<usize>();
    assert_eq!(left, 2, "what a finished attempt leaves is left");
}

#[test]
fn leftovers_are_killed_where_the_job_says_so() {
    let house = house(
        "[jobs.daemon]\nleftovers = 'kill'\ncommand = 'setsid sleep 1000 & echo x >> \"$T/began\"'\n",
    );
    let _supervisor = house.start();
    let run = house.enqueue(&["daemon"]);
    house.wait_state(run, "succeeded");
    assert!(house.processes_of(run).is_empty());
}
