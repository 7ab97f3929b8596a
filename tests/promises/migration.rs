//! A store of another machine waits for a word, and what is no store is not taken for one.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::support::House;

const JOBS: &str = "[jobs.sink]\ncommand = 'echo \"$JOBCTL_RUN\" >> \"$T/sunk\"'\n";

#[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
fn open(path: &Path) -> Connection {
    Connection::open(path).expect("it can be opened")
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
    house.enqueue(&["sink"]);
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
