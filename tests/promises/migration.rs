//! A store of an older jobctl gets what it lacks whole or not at all, and one of another machine waits for a word.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;

use crate::backups::{at_each_point, killed_at};
use crate::kill_sweep::has_strace;
use crate::support::House;

const JOBS: &str = "[jobs.sink]\ncommand = 'echo \"$JOBCTL_RUN\" >> \"$T/sunk\"'\n";

/// Version 1 without what was added to it later.
const VERSION_1: &str = include_str!("../../src/store/schema/0001.sql");

/// Items that wait in it.
const WAITING: i64 = 40;

#[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
fn open(path: &Path) -> Connection {
    Connection::open(path).expect("it can be opened")
}

/// Puts a store of version 1 into the house, in place of whatever was there.
fn make_old(house: &House) {
    let _ = fs::remove_dir_all(house.state_dir());
    fs::create_dir(house.state_dir()).expect("it can be made");
    fs::set_permissions(house.state_dir(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    let conn = open(&house.state_dir().join("jobctl.db"));
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; BEGIN; {VERSION_1}; PRAGMA application_id = 0x6A6F6263; PRAGMA user_version = 1; \
         INSERT INTO job(name) VALUES ('sink'); \
         WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {WAITING}) \
         INSERT INTO run(job, state, cause, created_at, due_at, max_attempts) SELECT 1, 2, 3, n, n, 1 FROM number; COMMIT"
    ))
    .expect("it is SQL");
}

/// Version and number of runs of a store that is whole.
#[track_caller]
fn state_of(path: &Path) -> (i64, i64) {
    let conn = open(path);
    let ask = |sql: &str| conn.query_row(sql, [], |row| row.get(0)).expect("it is a store");
    let says: String =
        conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it is a store");
    assert_eq!(says, "ok");
    (ask("PRAGMA user_version"), ask("SELECT count(*) FROM run"))
}

#[test]
fn a_store_that_lacks_what_was_added_is_used_at_once_by_every_command() {
    let commands: [&[&str]; 4] = [&["runs"], &["status"], &["show", "1"], &["cancel", "1"]];
    for command in commands {
        let house = House::new(JOBS);
        make_old(&house);
        house.ask(command).expect(0);
        assert_eq!(state_of(&house.state_dir().join("jobctl.db")), (1, WAITING), "{command:?}");
    }
    let house = House::new(JOBS);
    make_old(&house);
    let first = house.enqueue(&["sink"]);
    house.enqueue(&["--after", &first.to_string(), "sink"]);
    let _supervisor = house.start();
    assert_eq!(house.wait_lines("sunk", 42).len(), 42);
}

#[test]
fn an_extension_that_is_killed_has_done_nothing_or_everything() {
    if !has_strace() {
        return;
    }
    let house = House::new(JOBS);
    let calls = ["openat", "pwrite64", "fsync", "fdatasync", "rename", "ftruncate", "unlink"];
    let reached = at_each_point(&calls, |point| {
        make_old(&house);
        let answer = killed_at(&house, point, &["enqueue", "sink"]);
        let is_killed = answer.code == -9;
        assert!(is_killed || answer.code == 0, "{point}: {answer:#?}");
        house.ask(&["enqueue", "sink"]).expect(0);
        let (_, runs) = state_of(&house.state_dir().join("jobctl.db"));
        let added = if is_killed { 1..=2 } else { 2..=2 };
        assert!(added.contains(&(runs - WAITING)), "{point}: {runs} runs");
        is_killed
    });
    assert!(reached >= 10, "only {reached} points");
    println!("extension: killed at {reached} points");
}

#[test]
fn a_store_of_another_machine_starts_paused_and_says_so() {
    let house = House::new(JOBS);
    let supervisor = house.start();
    assert_eq!(supervisor.stop(), 0);
    let run = house.enqueue(&["sink"]);
    open(&house.state_dir().join("jobctl.db"))
        .execute("UPDATE meta SET value = 'another' WHERE key = 'machine_id'", [])
        .expect("it is a store");
    let _supervisor = house.start();
    house.wait_text("log", "the store comes from another machine");
    assert_eq!(house.show(run)["state"], "queued");
    house.ask(&["resume", "--all"]).expect(0);
    house.wait_state(run, "succeeded");
}

#[test]
fn what_is_no_file_or_cannot_be_written_is_no_store() {
    let house = House::new(JOBS);
    make_old(&house);
    let store = house.state_dir().join("jobctl.db");
    for name in ["jobctl.db", "jobctl.db-wal", "jobctl.db-shm"] {
        let _ = fs::remove_file(house.state_dir().join(name));
    }
    // Somebody was killed before he wrote anything: that is an empty store.
    fs::write(&store, "").expect("it can be written");
    let run = house.enqueue(&["sink"]);
    assert_eq!(house.show(run)["state"], "queued");
    fs::remove_file(&store).expect("it is there");
    fs::create_dir(&store).expect("it can be made");
    let refused = house.ask(&["enqueue", "sink"]).expect(111);
    assert!(refused.err.contains("is not a file"), "{refused:?}");
    house.ask(&["runs"]).expect(111);
    let mut supervisor = house.spawn(&mut house.jobctl(), &[]);
    assert_eq!(supervisor.wait_code(), 111);
}
