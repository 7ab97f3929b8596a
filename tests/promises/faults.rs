//! Bad weather: a store that is locked, foreign, newer or damaged, directories that cannot be
//! written, closed descriptors, a crowd.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use rusqlite::Connection;

use crate::support::{
    House, Need, answer_of, found_within, is_root, now, program, skipped, wait_for,
};

const NOTES: &str = "[jobs.notes]\ncommand = 'echo \"$1\" >> \"$T/notes\"'\n";

#[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
fn open(house: &House) -> Connection {
    Connection::open(house.state_dir().join("jobctl.db")).expect("the store can be opened")
}

/// A house whose supervisor has been there once.
fn lived_in() -> House {
    let house = House::new(NOTES);
    let supervisor = house.start();
    let run = house.enqueue(&["notes", "first"]);
    house.wait_state(run, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    house
}

#[test]
fn a_locked_store_makes_a_command_wait_a_little_and_say_so() {
    let house = lived_in();
    let stranger = open(&house);
    stranger.execute_batch("BEGIN EXCLUSIVE").expect("it is free");
    let begin = now();
    let answer = house.ask(&["enqueue", "notes", "second"]).expect(75);
    assert!(begin.elapsed() >= Duration::from_secs(4), "{:?}", begin.elapsed());
    assert!(answer.err.contains("jobctl.db"), "{answer:#?}");
    assert_eq!(answer.out, "");
    // Readers do not wait for writers.
    house.ask(&["runs"]).expect(0);
    stranger.execute_batch("COMMIT").expect("it was begun");
    house.enqueue(&["notes", "third"]);
}

#[test]
fn a_locked_store_is_weather_for_the_supervisor() {
    let house = House::new(&format!(
        "{NOTES}[jobs.ends]\ncommand = 'until [ -e \"$T/go\" ]; do sleep 0.02; done; exit 3'\n"
    ));
    let mut supervisor = house.start();
    let running = house.enqueue(&["ends"]);
    house.wait_state(running, "running");
    let stranger = open(&house);
    stranger.busy_timeout(Duration::from_secs(5)).expect("it can be set");
    stranger.execute_batch("BEGIN EXCLUSIVE").expect("it gets free");
    house.write("go", "");
    house.wait_text("log", "event=store_failed");
    assert!(supervisor.status().is_none(), "it ended");
    stranger.execute_batch("COMMIT").expect("it was begun");
    let ended = house.wait_state(running, "failed");
    assert_eq!((&ended["exit_code"], &ended["attempt"]), (&3.into(), &1.into()));
    let run = house.enqueue(&["notes", "after"]);
    house.wait_state(run, "succeeded");
    assert_eq!(supervisor.stop(), 0);
}

/// Every command refuses the store, and leaves it as it was.
#[track_caller]
fn assert_refused_untouched(house: &House, word: &str) {
    let path = house.state_dir().join("jobctl.db");
    let before = fs::read(&path).expect("it is there");
    for args in
        [["run"].as_slice(), &["enqueue", "notes", "x"], &["runs"], &["status"], &["retry", "1"]]
    {
        let answer = house.ask(args).expect(111);
        assert!(
            answer.err.contains("jobctl.db") && answer.err.contains(word),
            "{args:?}: {answer:#?}"
        );
        assert!(answer.err.contains("hint: "), "{args:?}: {answer:#?}");
        assert!(!answer.err.contains("panicked"), "{args:?}: {answer:#?}");
    }
    assert_eq!(fs::read(&path).expect("it is there"), before, "it was touched");
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_untouched() {
    let house = lived_in();
    let stranger = open(&house);
    stranger
        .execute_batch("PRAGMA user_version = 1000; PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("it can be set");
    drop(stranger);
    assert_refused_untouched(&house, "newer");
}

#[test]
fn a_database_of_somebody_else_is_refused_and_untouched() {
    let house = House::new(NOTES);
    fs::create_dir(house.state_dir()).expect("it can be made");
    let stranger = open(&house);
    stranger.execute_batch("CREATE TABLE run(id)").expect("it can be written");
    drop(stranger);
    assert_refused_untouched(&house, "not");
}

#[test]
fn what_is_no_database_is_refused_and_untouched() {
    let house = House::new(NOTES);
    fs::create_dir(house.state_dir()).expect("it can be made");
    fs::write(house.state_dir().join("jobctl.db"), "dear diary ".repeat(1000))
        .expect("it can be written");
    assert_refused_untouched(&house, "");
}

#[test]
fn a_damaged_store_is_refused_and_untouched() {
    let house = lived_in();
    let path = house.state_dir().join("jobctl.db");
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[100..4096].fill(0xA5);
    fs::write(&path, &bytes).expect("it can be written");
    assert_refused_untouched(&house, "");
}

#[test]
fn a_state_directory_that_cannot_be_written_is_named() {
    if is_root() {
        return skipped(Need::NotRoot, "root can write everywhere");
    }
    let house = House::new(NOTES);
    fs::create_dir(house.state_dir()).expect("it can be made");
    fs::set_permissions(house.state_dir(), fs::Permissions::from_mode(0o500)).expect("it is ours");
    for args in [["run"].as_slice(), &["enqueue", "notes", "x"]] {
        let answer = house.ask(args).expect(111);
        let state_dir = house.state_dir().display().to_string();
        assert!(
            answer.err.contains(&state_dir) && answer.err.contains("permission denied"),
            "{answer:#?}"
        );
    }
    fs::set_permissions(house.state_dir(), fs::Permissions::from_mode(0o700)).expect("it is ours");
}

#[test]
fn a_state_directory_that_is_a_file_is_named() {
    let house = House::new(NOTES);
    fs::write(house.state_dir(), "").expect("it can be written");
    for args in [["run"].as_slice(), &["enqueue", "notes", "x"]] {
        let answer = house.ask(args).expect(111);
        let state_dir = house.state_dir().display().to_string();
        assert!(answer.err.contains(&state_dir), "{answer:#?}");
        assert!(!answer.err.contains("os error"), "{answer:#?}");
    }
}

#[test]
fn a_state_directory_is_for_nobody_else() {
    let house = lived_in();
    let mode = |name: &str| {
        let metadata = fs::metadata(house.state_dir().join(name)).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode("."), mode("jobctl.db")), (0o700, 0o600));
}

#[test]
fn a_supervisor_started_with_closed_descriptors_works_and_hands_none_of_its_own_on() {
    let house = House::new(NOTES);
    let mut shell = program("/bin/sh");
    for (name, value) in house.jobctl().get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.args(["-c", "exec \"$0\" run <&- >&- 2>&-", env!("CARGO_BIN_EXE_jobctl")]);
    let mut supervisor = shell.spawn().expect("a shell can be started");
    let run = house.enqueue(&["notes", "heard"]);
    let state = found_within(crate::support::DEADLINE, || {
        let state = house.show(run)["state"].clone();
        ["succeeded", "failed"].iter().any(|end| state == *end).then_some(state)
    });
    let _ = supervisor.kill();
    let _ = supervisor.wait();
    assert_eq!(state, Some("succeeded".into()));
    assert_eq!(house.lines("notes"), ["heard"]);
    // What was written to descriptor 2 went nowhere: neither into the store nor into a lock.
    let answer: String = open(&house)
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be asked");
    assert_eq!(answer, "ok");
    let lock = fs::read_to_string(house.state_dir().join("supervisor.lock")).expect("it is there");
    let (pid, jobfile) = lock.split_once('\n').expect("two lines");
    assert!(pid.parse::<u32>().is_ok(), "{lock:?}");
    assert_eq!(jobfile.trim_end(), house.jobfile().display().to_string());
}

#[test]
fn a_full_disk_behind_standard_output_is_a_failure_with_a_word() {
    let house = lived_in();
    for args in [["runs"].as_slice(), &["status"], &["logs", "1"], &["enqueue", "notes", "x"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let answer = answer_of(house.jobctl().args(args).stdout(full));
        if args[0] == "logs" {
            // Nothing was written, so nothing was lost.
            assert_eq!(answer.code, 0, "{answer:#?}");
            continue;
        }
        assert_eq!(answer.code, 111, "{args:?}: {answer:#?}");
        assert!(answer.err.contains("no space left"), "{args:?}: {answer:#?}");
    }
}

#[test]
fn the_supervisor_goes_on_when_nobody_reads_its_log() {
    let house = House::new(NOTES);
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    let mut supervisor =
        house.jobctl().arg("run").stderr(writer).spawn().expect("jobctl can be started");
    drop(reader);
    let run = house.enqueue(&["notes", "x"]);
    house.wait_state(run, "succeeded");
    assert!(supervisor.try_wait().expect("it is ours").is_none(), "it ended");
    let _ = supervisor.kill();
    let _ = supervisor.wait();
}

#[test]
fn a_reader_of_the_log_that_is_stuck_holds_nothing_up() {
    let house = House::new(NOTES);
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    let filler = writer.try_clone().expect("it can be copied");
    fcntl(&filler, FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe can be small");
    (&filler).write_all(&[b'.'; 4096]).expect("it has room for a page");
    let mut supervisor =
        house.jobctl().arg("run").stderr(writer).spawn().expect("jobctl can be started");
    drop(filler);
    let run = house.enqueue(&["notes", "x"]);
    house.wait_state(run, "succeeded");
    let mut page = [0; 4096];
    (&reader).read_exact(&mut page).expect("it is there");
    let mut log = String::new();
    let mut lines = BufReader::new(reader);
    while !log.contains("event=end") {
        assert!(lines.read_line(&mut log).expect("it is text") > 0, "{log}");
    }
    assert!(log.contains("event=start "), "the beginning is gone: {log}");
    let _ = supervisor.kill();
    let _ = supervisor.wait();
}

#[test]
fn a_lock_directory_that_cannot_be_used_holds_runs_back_and_is_said() {
    let house = lived_in();
    let mut supervisor = house.start();
    house.ask(&["pause", "notes"]).expect(0);
    let run = house.enqueue(&["notes", "second"]);
    let locks = house.state_dir().join("locks");
    fs::rename(&locks, house.path("aside")).expect("it can be moved");
    fs::write(&locks, "").expect("it can be written");
    house.ask(&["resume", "notes"]).expect(0);
    house.wait_text("log", "event=cannot_start");
    assert_eq!(house.show(run)["state"], "queued");
    assert!(supervisor.status().is_none(), "it ended");
    fs::remove_file(&locks).expect("it is there");
    fs::rename(house.path("aside"), &locks).expect("it can be moved");
    house.wait_state(run, "succeeded");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_thousand_items_are_drained_each_once() {
    let house = House::new(&format!("{NOTES}concurrency = 8\n"));
    let _supervisor = house.start();
    let lines: String = (0..1000).map(|number| format!("{number}\n")).collect();
    let answer = house.ask_with(&["enqueue", "--lines", "notes"], &lines).expect(0);
    assert_eq!(answer.out.lines().count(), 1000);
    wait_for("the queue to be empty", || {
        let job = house.status()["jobs"][0].clone();
        (job["queued"] == 0 && job["running"] == 0).then_some(())
    });
    let mut notes: Vec<u32> =
        house.lines("notes").iter().map(|line| line.parse().expect("a number")).collect();
    notes.sort_unstable();
    assert_eq!(notes, (0..1000).collect::<Vec<_>>());
    let runs = house.runs("notes");
    assert!(runs.iter().all(|run| run["state"] == "succeeded" && run["attempt"] == 1));
}

#[test]
fn wrong_ids_are_told_apart() {
    let house = lived_in();
    for (args, code) in [
        (["show", "999"], 3),
        (["show", "x"], 2),
        (["logs", "999"], 3),
        (["retry", "999"], 3),
        (["cancel", "x"], 2),
        (["enqueue", "nobody"], 3),
    ] {
        let answer = house.ask(&args).expect(code);
        assert!(answer.err.starts_with("jobctl: "), "{answer:#?}");
    }
}
