//! A store of an earlier version is migrated by the next supervisor, which adopts what runs; until
//! then it is left alone. A backup of an earlier version can be restored.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rusqlite::Connection;

use crate::support::House;

const JOBS: &str = r#"
[jobs.sink]
command = 'echo "$JOBCTL_RUN $1" >> "$T/sunk"'
[jobs.broken]
command = 'exit 3'
[jobs.later]
command = 'true'
[jobs.waits]
shell = ["/bin/bash", "-c"]
command = 'echo "$JOBCTL_RUN" >> "$T/executed"; until [ -e "$T/go" ]; do read -t 0.02 _ <> "$T/never" || :; done'
"#;

/// A store of the first version that can be migrated.
const STORE_2: &str = include_str!("upgrading/store-2.sql");

#[expect(clippy::disallowed_methods, reason = "what another jobctl has made")]
fn make(path: &Path, sql: &str) {
    let store = Connection::open(path).expect("it can be opened");
    store.execute_batch(sql).expect("the statements are right");
}

fn house() -> House {
    let house = House::new(JOBS);
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house
}

/// A house with a store of version 2.
fn former_house() -> House {
    let house = house();
    fs::DirBuilder::new().mode(0o700).create(house.state_dir()).expect("it can be made");
    make(&house.state_dir().join("jobctl.db"), STORE_2);
    house
}

fn assert_is_migrated(house: &House) {
    assert_eq!(house.show(1)["state"], "succeeded");
    assert_eq!(house.show(1)["created_by"], serde_json::Value::Null);
    assert_eq!(house.show(2)["exit_code"], 3);
    assert_eq!(house.ask(&["logs", "2"]).expect(0).out, "no disk\n");
    assert_eq!(house.show(3)["key"], "k");
}

#[test]
fn the_next_supervisor_migrates_a_store_of_an_earlier_version() {
    let house = former_house();
    let before = fs::read(house.state_dir().join("jobctl.db")).expect("it is there");
    for verb in [&["status"][..], &["enqueue", "sink", "x"], &["retry", "2"], &["backup", "b.db"]] {
        let refused = house.ask(verb).expect(75);
        assert!(refused.err.contains("made by an earlier jobctl (version 2)"), "{refused:?}");
        assert!(refused.err.contains("restart the supervisor"), "{refused:?}");
    }
    assert_eq!(fs::read(house.state_dir().join("jobctl.db")).expect("it is there"), before);
    let supervisor = house.start();
    house.wait_text("log", "event=store_migrated from_version=2");
    house.wait_state(3, "succeeded");
    assert_eq!(house.lines("sunk"), ["3 waits"]);
    assert_is_migrated(&house);
    house.ask(&["retry", "2"]).expect(0);
    house.wait_state(2, "failed");
    let new = house.enqueue(&["sink", "new"]);
    house.wait_state(new, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    let again = house.start();
    assert_eq!(house.read("log").matches("store_migrated").count(), 1);
    assert_eq!(again.stop(), 0);
}

#[test]
fn a_backup_of_an_earlier_version_or_of_a_migrated_store_is_restored() {
    let house = former_house();
    let backup = house.path("former.db");
    fs::copy(house.state_dir().join("jobctl.db"), &backup).expect("it can be copied");
    assert_eq!(house.start().stop(), 0);
    let migrated = house.path("migrated.db");
    house.ask(&["backup", &migrated.to_string_lossy()]).expect(0);
    for backup in [backup, migrated] {
        let house = self::house();
        house.enqueue(&["broken"]);
        house.ask(&["restore", &backup.to_string_lossy()]).expect(0);
        assert_is_migrated(&house);
    }
}

#[test]
fn an_upgrade_adopts_what_runs() {
    let house = house();
    let supervisor = house.start();
    let run = house.enqueue(&["waits"]);
    house.wait_lines("executed", 1);
    supervisor.kill();
    make(&house.state_dir().join("jobctl.db"), UNDO_3);
    let _supervisor = house.start();
    house.wait_text("log", "event=store_migrated from_version=2");
    house.wait_text("log", "event=adopt");
    house.write("go", "");
    house.wait_state(run, "succeeded");
    assert_eq!(house.lines("executed").len(), 1);
}

/// Takes away what version 3 has added.
const UNDO_3: &str = "DROP VIEW runs; ALTER TABLE run DROP COLUMN created_by; DROP TABLE who; \
    PRAGMA user_version = 2";
