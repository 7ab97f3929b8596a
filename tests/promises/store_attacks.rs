//! The store's file is taken away, or another one put in its place, while the supervisor uses it.

use std::fs;
use std::time::Duration;

use crate::support::{House, Supervisor, answer_of, found_within, wait_for};

const JOBS: &str = r#"
[defaults]
shell = ["/bin/bash", "-c"]
[jobs.notes]
command = 'echo "$JOBCTL_RUN $1" >> "$T/notes"'
[jobs.waits]
command = '''
echo "$JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/executed"
until [ -e "$T/go" ]; do read -t 0.02 _ <> "$T/never" || :; done
exit 3
'''
"#;

const ALL: [&str; 3] = ["jobctl.db", "jobctl.db-wal", "jobctl.db-shm"];

fn house() -> House {
    let house = House::new(JOBS);
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house
}

fn remove(house: &House, names: &[&str]) {
    for name in names {
        // The log and its index may have gone with the file.
        let _ = fs::remove_file(house.state_dir().join(name));
    }
}

/// Rings without touching the store, as a command that finds it gone might.
fn ring(house: &House) {
    fs::write(house.state_dir().join("wake"), "!").expect("somebody listens");
}

#[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
fn is_sound(house: &House) {
    let conn = rusqlite::Connection::open_with_flags(
        house.state_dir().join("jobctl.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    );
    let answer: String = conn
        .and_then(|conn| conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .expect("it is a store");
    assert_eq!(answer, "ok");
}

#[test]
fn a_store_that_was_removed_is_put_back_and_nothing_of_it_is_lost() {
    for names in [&ALL[..], &ALL[..1]] {
        let house = house();
        let supervisor = house.start();
        let done = house.enqueue(&["notes", "before"]);
        house.wait_state(done, "succeeded");
        let running = house.enqueue(&["waits"]);
        house.wait_text("executed", &format!("{running}/1\n"));
        house.ask(&["pause", "notes"]).expect(0);
        let waiting = house.enqueue(&["notes", "meanwhile"]);
        remove(&house, names);
        ring(&house);
        house.wait_text("log", "event=store_put_back");
        wait_for("the store", || house.state_dir().join("jobctl.db").exists().then_some(()));
        assert_eq!(house.show(waiting)["state"], "queued", "{names:?}");
        assert_eq!(house.show(running)["state"], "running");
        house.write("go", "");
        assert_eq!(house.wait_state(running, "failed")["exit_code"], 3);
        house.ask(&["resume", "notes"]).expect(0);
        house.wait_state(waiting, "succeeded");
        assert_eq!(house.lines("executed"), [format!("{running}/1")]);
        assert_eq!(house.lines("notes").len(), 2);
        assert_eq!(supervisor.stop(), 0);
        is_sound(&house);
        assert_eq!(house.show(waiting)["state"], "succeeded");
    }
}

#[test]
fn what_is_added_to_a_store_in_place_of_the_old_one_is_executed() {
    let house = house();
    let supervisor = house.start();
    house.ask(&["pause", "notes"]).expect(0);
    let old = house.enqueue(&["notes", "old"]);
    let running = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{running}/1\n"));
    remove(&house, &ALL);
    let new = house.enqueue(&["notes", "new"]);
    house.wait_state(new, "succeeded");
    house.wait_text("log", "event=store_replaced");
    assert_eq!(house.lines("notes"), [format!("{new} new")]);
    // The old one stands beside it, and what runs goes on and holds its place.
    let kept = fs::read_dir(house.state_dir())
        .expect("it is there")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .find(|name| name.starts_with("jobctl.db.replaced-"))
        .expect("the old store is kept");
    let second = house.enqueue(&["waits"]);
    house.ask(&["status"]).expect(0);
    assert_eq!(house.show(second)["state"], "queued");
    house.write("go", "");
    house.wait_state(second, "failed");
    assert_eq!(supervisor.stop(), 0);
    is_sound(&house);
    let kept = house.state_dir().join(kept);
    house.ask(&["restore", &kept.display().to_string()]).expect(0);
    assert_eq!(house.show(old)["state"], "queued");
}

#[test]
fn a_store_that_is_renamed_over_it_takes_its_place() {
    let (house, other) = (house(), self::house());
    let supervisor = house.start();
    let first = house.enqueue(&["notes", "first"]);
    house.wait_state(first, "succeeded");
    for _ in 0..3 {
        other.enqueue(&["notes", "from elsewhere"]);
    }
    fs::rename(other.state_dir().join("jobctl.db"), house.state_dir().join("jobctl.db"))
        .expect("it can be replaced");
    remove(&house, &ALL[1..]);
    ring(&house);
    house.wait_lines("notes", 4);
    assert!(house.read("log").contains("event=store_replaced"));
    assert_eq!(supervisor.stop(), 0);
    is_sound(&house);
}

#[test]
fn a_store_that_is_moved_away_and_back_executes_nothing_twice() {
    let house = house();
    let supervisor = house.start();
    // So that the file itself has the item, not only its log.
    house.ask(&["pause", "notes"]).expect(0);
    let run = house.enqueue(&["notes", "once"]);
    assert_eq!(supervisor.stop(), 0);
    let supervisor = house.start();
    let (store, away) = (house.state_dir().join("jobctl.db"), house.path("away.db"));
    fs::rename(&store, &away).expect("it can be moved");
    ring(&house);
    house.wait_text("log", "event=store_put_back");
    wait_for("the second beginning", || {
        (house.read("log").matches("event=ready").count() == 3).then_some(())
    });
    house.ask(&["resume", "notes"]).expect(0);
    house.wait_state(run, "succeeded");
    fs::rename(&away, &store).expect("it can be moved back");
    ring(&house);
    house.wait_text("log", "replaced by an older one");
    is_sound(&house);
    // In this one it waits still.
    assert_eq!(house.show(run)["state"], "queued");
    house.ask(&["resume", "notes"]).expect(0);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("notes"), [format!("{run} once")]);
    is_sound(&house);
}

#[test]
fn what_is_no_store_in_the_stores_place_ends_nothing() {
    let house = house();
    let mut supervisor = house.start();
    let store = house.state_dir().join("jobctl.db");
    fs::write(house.path("other"), "no store").expect("it can be written");
    fs::rename(house.path("other"), &store).expect("it can be replaced");
    ring(&house);
    house.wait_text("log", "event=store_not_put_back");
    assert!(supervisor.status().is_none(), "it ended");
    fs::remove_file(&store).expect("it is there");
    ring(&house);
    house.wait_text("log", "event=store_put_back");
    let run = house.enqueue(&["notes", "again"]);
    house.wait_state(run, "succeeded");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn of_twenty_supervisors_that_start_at_once_one_runs() {
    let house = house();
    let mut all: Vec<Supervisor> = (0..20).map(|_| house.spawn(&mut house.jobctl(), &[])).collect();
    wait_for("nineteen to be refused", || {
        let ended = all.iter_mut().filter_map(Supervisor::status).count();
        (ended == 19).then_some(())
    });
    let codes: Vec<Option<i32>> =
        all.iter_mut().filter_map(|one| one.status().map(|status| status.code())).collect();
    assert_eq!(codes, vec![Some(75); 19]);
    let run = house.enqueue(&["notes", "x"]);
    house.wait_state(run, "succeeded");
    assert_eq!(house.lines("notes").len(), 1);
}

/// So long a stranger holds the store at most.
const HELD_MAX: Duration = Duration::from_secs(3);

#[test]
fn fifty_that_add_at_once_beside_a_long_transaction_all_succeed() {
    let house = house();
    let _supervisor = house.start();
    let first = house.enqueue(&["notes", "first"]);
    house.wait_state(first, "succeeded");
    #[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
    let stranger = rusqlite::Connection::open(house.state_dir().join("jobctl.db"))
        .expect("the store can be opened");
    stranger.execute_batch("BEGIN IMMEDIATE").expect("it is free soon");
    let adding: Vec<_> = (0..50)
        .map(|number| {
            let mut command = house.jobctl();
            command.args(["enqueue", "notes", &number.to_string()]);
            std::thread::spawn(move || answer_of(&mut command))
        })
        .collect();
    // The supervisor is the other one. A verb waits for 5 s, so who comes late meets no transaction.
    found_within(HELD_MAX, || (house.processes().len() > 50).then_some(()));
    stranger.execute_batch("COMMIT").expect("it is ours");
    for one in adding {
        let answer = one.join().expect("it does not panic").expect(0);
        assert!(!answer.err.contains("locked"), "{answer:?}");
    }
    house.wait_lines("notes", 51);
}

/// What stands in the store's log goes, all of it or the last part, while nobody has the store
/// open.
fn cut_log(house: &House, keep: impl Fn(u64) -> u64) {
    let path = house.state_dir().join("jobctl.db-wal");
    let len = fs::metadata(&path).expect("there is a log").len();
    assert!(len > 4096, "the log has {len} bytes");
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|log| log.set_len(keep(len)))
        .expect("it can be cut");
}

#[test]
fn a_log_that_was_cut_or_removed_while_nobody_was_there_is_said_once() {
    type Attack = fn(&House);
    let attacks: [Attack; 3] = [
        |house| remove(house, &ALL[1..]),
        |house| cut_log(house, |_| 0),
        |house| cut_log(house, |len| len / 2),
    ];
    for attack in attacks {
        let house = house();
        let supervisor = house.start();
        for number in 0..5 {
            let run = house.enqueue(&["notes", &number.to_string()]);
            house.wait_state(run, "succeeded");
        }
        supervisor.kill();
        attack(&house);
        let supervisor = house.start();
        house.wait_text("log", "event=ready");
        let said = |house: &House| house.read("log").matches("event=store_lost_commits").count();
        wait_for("a word of it", || (said(&house) == 1).then_some(()));
        supervisor.kill();
        let _supervisor = house.start();
        let run = house.enqueue(&["notes", "later"]);
        house.wait_state(run, "succeeded");
        assert_eq!(said(&house), 1, "it was said again");
        is_sound(&house);
    }
}

#[test]
fn no_loss_is_said_where_there_is_none() {
    let house = house();
    for round in 0..12 {
        let supervisor = house.start();
        let run = house.enqueue(&["notes", &round.to_string()]);
        // Killed at whatever it does just then, or stopped.
        if round % 3 == 0 {
            house.wait_state(run, "succeeded");
        }
        if round % 4 == 3 {
            assert_eq!(supervisor.stop(), 0);
        } else {
            supervisor.kill();
        }
        house.enqueue(&["notes", "meanwhile"]);
        if round == 6 {
            let copy = house.path("copy.db").display().to_string();
            house.ask(&["backup", &copy]).expect(0);
            house.enqueue(&["notes", "after the backup"]);
            house.ask(&["restore", &copy]).expect(0);
            house.ask(&["resume", "--all"]).expect(0);
        }
        if round == 9 {
            remove(&house, &ALL);
        }
    }
    assert!(!house.read("log").contains("store_lost_commits"), "{}", house.read("log"));
}

#[test]
fn a_log_that_grows_because_somebody_reads_for_long_is_said_and_shrinks_after_that() {
    let house = house();
    let _supervisor = house.start();
    let first = house.enqueue(&["notes", "first"]);
    house.wait_state(first, "succeeded");
    #[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
    let reader = rusqlite::Connection::open(house.state_dir().join("jobctl.db"))
        .expect("the store can be opened");
    reader.execute_batch("BEGIN").expect("nobody minds");
    let count = || -> i64 {
        reader.query_row("SELECT count(*) FROM run", [], |row| row.get(0)).expect("it can be read")
    };
    assert_eq!(count(), 1);
    house.ask(&["pause", "notes"]).expect(0);
    let lines: String = (0..60_000).map(|number| format!("{number:0200}\n")).collect();
    let mut added = 0;
    while !house.read("log").contains("event=wal_grows") {
        added += 1;
        house.ask_with(&["enqueue", "--lines", "notes"], &lines).expect(0);
        assert!(added < 10, "it is not said that the log grows");
    }
    assert_eq!(count(), 1);
    reader.execute_batch("COMMIT").expect("it can end");
    house.enqueue(&["notes", "last"]);
    house.wait_text("log", "event=wal_reset");
    house.enqueue(&["notes", "one more"]);
    wait_for("a log that is cut", || {
        let len =
            fs::metadata(house.state_dir().join("jobctl.db-wal")).map_or(0, |meta| meta.len());
        (len <= 16 << 20).then_some(())
    });
}
