//! A backup brings rows and nothing else: whatever SQL another hand put into it is refused by its
//! name and never executed.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::support::{House, wait_for};

const JOBS: &str = "[jobs.sink]\ncommand = 'true'\n";

/// Never ends, and has the columns of a table of ours.
const ENDLESS: &str = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) \
                       SELECT n AS job, x'00' AS path, n AS inode, n AS size, n AS changed_ns FROM r";

#[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
fn open(path: &Path) -> Connection {
    Connection::open(path).expect("it can be opened")
}

#[test]
fn a_backup_with_sql_of_another_hand_is_refused_at_once_and_named() {
    let house = House::new(JOBS);
    let item = house.enqueue(&["sink"]);
    let copy = house.path("copy");
    house.ask(&["backup", &copy.display().to_string()]).expect(0);
    let endless_table = format!("DROP TABLE watched; CREATE VIEW watched AS {ENDLESS}");
    let endless_view = format!("DROP VIEW runs; CREATE VIEW runs AS {ENDLESS}");
    let added_column = "ALTER TABLE run ADD COLUMN colour TEXT";
    for (sql, what) in [
        (endless_table.as_str(), "the view `watched`, which jobctl did not create"),
        (&endless_view, "its view `runs` differs from what jobctl creates"),
        (added_column, "its table `run` differs from what jobctl creates"),
        (
            "CREATE TRIGGER spy AFTER INSERT ON job BEGIN DELETE FROM run; END",
            "the trigger `spy`, which jobctl did not create",
        ),
        ("CREATE INDEX i ON run(hex(args))", "the index `i`, which jobctl did not create"),
        (
            "ALTER TABLE job ADD COLUMN g TEXT GENERATED ALWAYS AS (hex(name)) VIRTUAL",
            "its table `job` differs from what jobctl creates",
        ),
        // As a program writes it whose SQLite has the module.
        (
            "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES('table', 'f', 'f', 0, 'CREATE VIRTUAL TABLE f USING fts5(x)'); PRAGMA writable_schema = OFF",
            "the table `f`, which jobctl did not create",
        ),
    ] {
        let hostile = house.path("hostile");
        fs::copy(&copy, &hostile).expect("it can be copied");
        open(&hostile).execute_batch(sql).expect("it is SQL");
        let mut restore = house.jobctl();
        restore
            .arg("restore")
            .arg(&hostile)
            .stderr(fs::File::create(house.path("said")).expect("it can be made"));
        let mut restore = restore.spawn().expect("it starts");
        let status = wait_for(what, || restore.try_wait().expect("it is a child"));
        let said = house.read("said");
        assert_eq!(status.code(), Some(111), "{sql}: {said}");
        for word in [what, "hint: the store is unchanged"] {
            assert!(said.contains(word), "{sql}: {said}");
        }
        assert_eq!(house.show(item)["state"], "queued", "{sql}");
    }
    assert_eq!(house.status()["paused"], serde_json::Value::Null);
    house.ask(&["restore", &copy.display().to_string()]).expect(0);
}

#[test]
fn backup_warns_of_what_restore_will_refuse_and_makes_the_copy_all_the_same() {
    let house = House::new(JOBS);
    house.enqueue(&["sink"]);
    let [good, bad] = ["good", "bad"].map(|name| house.path(name).display().to_string());
    let said = house.ask(&["--quiet", "backup", &good]).expect(0).err;
    assert_eq!(said, "", "a store of our own making");
    open(&house.state_dir().join("jobctl.db"))
        .execute_batch("CREATE VIEW report AS SELECT 1")
        .expect("it is SQL");
    let said = house.ask(&["--quiet", "backup", &bad]).expect(0).err;
    let why = format!("{bad}: has the view `report`, which jobctl did not create");
    assert_eq!(said, format!("jobctl: warning: `jobctl restore` will refuse this backup: {why}\n"));
    assert!(house.ask(&["restore", &bad]).expect(111).err.contains(&why));
    house.ask(&["restore", &good]).expect(0);
}
