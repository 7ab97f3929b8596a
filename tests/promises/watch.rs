//! `watch`: each file that is closed after writing, or moved there, becomes a run.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;

use crate::support::{DeadMount, House, Need, pass, skipped, wait_for};

fn house(watch: &str, more: &str) -> House {
    let house = House::new("");
    let watch = house.path(watch).display().to_string();
    house.write_jobfile(&format!(
        "[jobs.take]\nwatch = \"{watch}\"\nconcurrency = 8\n{more}\ncommand = 'printf \"%s\\n\" \"$1\" >> \"$T/seen\"'\n"
    ));
    house
}

/// The names of the files that runs were made of, as often as there are runs.
fn names(house: &House) -> Vec<String> {
    let mut names: Vec<String> = house
        .runs("take")
        .iter()
        .map(|run| {
            assert_eq!(run["cause"], "watch");
            let path = run["args"][0].as_str().expect("a path");
            path.rsplit('/').next().unwrap_or_default().to_owned()
        })
        .collect();
    names.sort();
    names
}

fn wait_names(house: &House, expected: &[&str]) {
    wait_for(&format!("runs of {expected:?}"), || {
        let names = names(house);
        assert!(names.len() <= expected.len(), "{names:?}");
        (names == expected).then_some(())
    });
}

#[test]
fn what_is_closed_or_moved_there_is_taken_once_and_what_was_there_is_not() {
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    house.write("in/before", "x");
    let supervisor = house.start();
    house.write("in/closed", "x");
    wait_names(&house, &["closed"]);
    let mut open = fs::File::create(house.path("in/open")).expect("it is new");
    open.write_all(b"half").expect("there is room");
    house.write("elsewhere", "x");
    fs::rename(house.path("elsewhere"), house.path("in/moved")).expect("it is there");
    house.write("in/.hidden", "x");
    fs::create_dir(house.path("in/dir")).expect("it is new");
    std::os::unix::fs::symlink("/etc/passwd", house.path("in/link")).expect("it is new");
    wait_names(&house, &["closed", "moved"]);
    drop(open);
    wait_names(&house, &["closed", "moved", "open"]);
    // Opened for writing and closed as it was: nothing is new.
    drop(fs::OpenOptions::new().append(true).open(house.path("in/closed")).expect("it is there"));
    house.write("in/before", "changed");
    wait_names(&house, &["before", "closed", "moved", "open"]);
    let seen = house.wait_lines("seen", 4);
    let path = house.path("in/moved").display().to_string();
    assert!(seen.contains(&path), "{seen:?}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_changed_while_nobody_was_there_is_taken_and_nothing_else() {
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    for name in ["same", "changed", "gone"] {
        house.write(&format!("in/{name}"), "x");
    }
    wait_names(&house, &["changed", "gone", "same"]);
    assert_eq!(supervisor.stop(), 0);
    house.write("in/changed", "longer");
    house.write("in/new", "x");
    fs::remove_file(house.path("in/gone")).expect("it is there");
    let supervisor = house.start();
    wait_names(&house, &["changed", "changed", "gone", "new", "same"]);
    house.write("in/gone", "x");
    wait_names(&house, &["changed", "changed", "gone", "gone", "new", "same"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_directory_may_come_later_and_be_replaced() {
    let house = house("far/away/in", "");
    let supervisor = house.start();
    fs::create_dir_all(house.path("far/away/in")).expect("it is new");
    house.write("far/away/in/one", "x");
    wait_names(&house, &["one"]);
    fs::create_dir(house.path("other")).expect("it is new");
    house.write("other/two", "x");
    fs::rename(house.path("far/away/in"), house.path("far/away/old")).expect("it is there");
    fs::rename(house.path("other"), house.path("far/away/in")).expect("it is there");
    wait_names(&house, &["one", "two"]);
    house.write("far/away/in/three", "x");
    wait_names(&house, &["one", "three", "two"]);
    house.write("far/away/old/not", "x");
    fs::remove_dir_all(house.path("far")).expect("it is there");
    fs::create_dir_all(house.path("far/away/in")).expect("it is new");
    house.write("far/away/in/four", "x");
    wait_names(&house, &["four", "one", "three", "two"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_glob_and_the_path_of_a_file_mean_only_those() {
    for (watch, expected) in [("in/*.png", "a.png"), ("in/a.txt", "a.txt")] {
        let house = house(watch, "");
        fs::create_dir(house.path("in")).expect("it is new");
        let supervisor = house.start();
        for name in [".b.png", "c.pngx", "a.txt.part", "a.png", "a.txt"] {
            house.write(&format!("in/{name}"), "x");
        }
        wait_names(&house, &[expected]);
        assert_eq!(supervisor.stop(), 0);
    }
}

#[test]
fn a_name_need_not_be_text() {
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    let name = b"\xff new\nline \xfe";
    fs::write(house.path("in").join(OsStr::from_bytes(name)), "x").expect("it is new");
    wait_for("its run", || house.path("seen").exists().then_some(()));
    house.ask(&["wait", "--idle"]).expect(0);
    let seen = fs::read(house.path("seen")).expect("it is there");
    assert!(seen.windows(name.len()).any(|part| part == name), "{seen:?}");
    assert_eq!(supervisor.stop(), 0);
}

/// Writes so many files and answers their names.
fn burst(house: &House, count: usize) -> BTreeSet<String> {
    let names: BTreeSet<String> = (0..count).map(|n| format!("file-{n:05}")).collect();
    for name in &names {
        fs::write(house.path("in").join(name), "x").expect("there is room");
    }
    names
}

fn wait_for_all(house: &House, expected: &BTreeSet<String>) {
    wait_for("a run of each file", || {
        let answer = house.ask(&["status", "--json"]).json();
        let queued = answer["jobs"][0]["queued"].as_u64().unwrap_or_default();
        (usize::try_from(queued).is_ok_and(|queued| queued >= expected.len())).then_some(())
    });
    let names = names(house);
    assert_eq!(names.len(), expected.len());
    assert!(names.iter().eq(expected.iter()), "some twice, some not at all");
}

#[test]
fn of_a_burst_of_ten_thousand_files_none_is_lost_or_taken_twice() {
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    house.ask(&["pause", "take"]).expect(0);
    let expected = burst(&house, 10_000);
    wait_for_all(&house, &expected);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn more_than_inotify_remembers_is_found_by_a_look() {
    let max: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .expect("the kernel has inotify")
        .trim()
        .parse()
        .expect("a number");
    if max > 50_000 {
        return skipped(Need::SmallInotify, "inotify remembers very much here");
    }
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    house.ask(&["pause", "take"]).expect(0);
    supervisor.send(Signal::SIGSTOP);
    // Two events a file and more: it was made, and it was closed.
    let expected = burst(&house, max);
    supervisor.send(Signal::SIGCONT);
    wait_for_all(&house, &expected);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_supervisor_that_is_killed_in_a_burst_takes_the_rest_later() {
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    house.ask(&["pause", "take"]).expect(0);
    let expected = burst(&house, 3_000);
    supervisor.kill();
    let supervisor = house.start();
    wait_for_all(&house, &expected);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_the_backlog_has_no_room_for_waits_where_it_is() {
    let house = house("in", "backlog_max = 2");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    house.ask(&["pause", "take"]).expect(0);
    let expected = burst(&house, 5);
    wait_for("as many as there is room for", || (house.runs("take").len() == 2).then_some(()));
    house.ask(&["resume", "take"]).expect(0);
    wait_for("the rest", || (house.runs("take").len() == 5).then_some(()));
    house.ask(&["wait", "--idle"]).expect(0);
    assert!(names(&house).iter().eq(expected.iter()));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_shadow_takes_nothing() {
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    assert_eq!(house.start().stop(), 0);
    let shadow = house.start_with(&mut house.jobctl(), &["--shadow"]);
    house.write("in/one", "x");
    assert_eq!(shadow.stop(), 0);
    assert_eq!(names(&house), [""; 0]);
    let supervisor = house.start();
    wait_names(&house, &["one"]);
    assert_eq!(supervisor.stop(), 0);
}

/// Writes a file whose size and time of change are always the same.
fn write_alike(house: &House, name: &str) -> PathBuf {
    let path = house.path(name);
    let mut file = fs::File::create(&path).expect("it can be made");
    file.write_all(b"x").expect("there is room");
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    file.set_modified(at).expect("it is ours");
    path
}

#[test]
fn files_of_one_name_size_and_time_one_after_another_are_as_many_runs() {
    let house =
        House::new("[jobs.take]\nwatch = '@T@/in'\ncommand = 'rm \"$1\"; echo x >> \"$T/seen\"'\n");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    for count in 1..=9 {
        write_alike(&house, "in/a");
        house.wait_lines("seen", count);
    }
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("seen").len(), 9);
}

#[test]
fn a_file_that_is_renamed_over_or_moved_out_and_in_is_a_new_one_each_time() {
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    for count in 1..=6 {
        let new = write_alike(&house, "new");
        fs::rename(new, house.path("in/a")).expect("it is there");
        house.wait_lines("seen", count);
    }
    for count in 7..=12 {
        fs::rename(house.path("in/a"), house.path("out")).expect("it is there");
        fs::rename(house.path("out"), house.path("in/a")).expect("it is there");
        house.wait_lines("seen", count);
    }
    // In its place, with the time that it had before.
    for count in 13..=15 {
        write_alike(&house, "in/a");
        house.wait_lines("seen", count);
    }
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("seen").len(), 15);
}

#[test]
fn a_mode_an_owner_or_a_link_makes_no_run_of_a_file_that_was_taken() {
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    let path = write_alike(&house, "in/a");
    house.wait_lines("seen", 1);
    let change = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
        fs::hard_link(&path, house.path("link")).expect("it is new");
        fs::remove_file(house.path("link")).expect("it is ours");
    };
    change(0o600);
    assert_eq!(supervisor.stop(), 0);
    change(0o640);
    let supervisor = house.start();
    house.write("in/b", "x");
    wait_names(&house, &["a", "b"]);
    // The other one was rewritten: of one that is another file, whatever its times say, a look
    // makes a run.
    assert_eq!(supervisor.stop(), 0);
    fs::remove_file(&path).expect("it is ours");
    write_alike(&house, "in/a");
    let supervisor = house.start();
    wait_names(&house, &["a", "a", "b"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_file_that_is_only_linked_there_is_taken_by_the_next_look_and_not_before() {
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    fs::create_dir(house.path("other")).expect("it is new");
    let supervisor = house.start();
    house.write("other/a", "x");
    fs::hard_link(house.path("other/a"), house.path("in/a")).expect("it is new");
    fs::remove_file(house.path("other/a")).expect("it is ours");
    // What happened before this is told before it.
    house.write("in/b", "x");
    wait_names(&house, &["b"]);
    assert_eq!(supervisor.stop(), 0);
    let supervisor = house.start();
    wait_names(&house, &["a", "b"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn files_that_are_gone_are_forgotten() {
    let house = House::new(
        "[jobs.take]\nwatch = '@T@/in'\ncommand = 'rm \"$1\"'\nconcurrency = 8\n[jobs.other]\ncommand = 'true'\n",
    );
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    for n in 0..50 {
        house.write(&format!("in/{n}"), "x");
    }
    wait_for("all to be removed", || {
        let mut left = fs::read_dir(house.path("in")).expect("it is there");
        left.next().is_none().then_some(())
    });
    let store = rusqlite_of(&house);
    wait_for("all to be forgotten", || {
        let count: i64 = store
            .query_row("SELECT count(*) FROM watched", [], |row| row.get(0))
            .expect("it is a store");
        (count == 0).then_some(())
    });
    drop(store);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.runs("take").len(), 50);
}

#[expect(clippy::disallowed_methods, reason = "no command says what is remembered")]
fn rusqlite_of(house: &House) -> rusqlite::Connection {
    rusqlite::Connection::open(house.state_dir().join("jobctl.db")).expect("it is a store")
}

#[test]
fn a_file_of_a_year_that_nanoseconds_cannot_say_is_taken() {
    let house = house("in", "");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    let write = |name: &str| {
        let file = fs::File::create(house.path(name)).expect("it is new");
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(10_413_792_000);
        file.set_modified(at).expect("it is ours");
    };
    write("in/heard");
    wait_names(&house, &["heard"]);
    assert_eq!(supervisor.stop(), 0);
    write("in/found");
    let supervisor = house.start();
    wait_names(&house, &["found", "heard"]);
    assert_eq!(supervisor.stop(), 0);
    let supervisor = house.start();
    house.write("in/last", "x");
    wait_names(&house, &["found", "heard", "last"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_file_that_is_written_while_the_supervisor_restarts_is_taken_when_it_is_whole() {
    let house =
        House::new("[jobs.take]\nwatch = '@T@/in'\ncommand = 'stat -c %s \"$1\" >> \"$T/seen\"'\n");
    fs::create_dir(house.path("in")).expect("it is new");
    assert_eq!(house.start().stop(), 0);
    let is_over = AtomicBool::new(false);
    let path = house.path("in/slow");
    let len = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut file = fs::File::create(&path).expect("it is new");
            let mut len = 0;
            while !is_over.load(Ordering::Relaxed) {
                file.write_all(b"more").expect("there is room");
                len += 4;
                pass(Duration::from_micros(200));
            }
            len
        });
        for _ in 0..6 {
            assert_eq!(house.start().stop(), 0);
        }
        is_over.store(true, Ordering::Relaxed);
        writer.join().expect("it ends")
    });
    let supervisor = house.start();
    assert_eq!(house.wait_lines("seen", 1), [len.to_string()]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_success_of_a_clock_that_was_set_back_since_holds_no_watched_file() {
    let house = house("in", "key = '{1}'\nkey_for = '1h'");
    fs::create_dir(house.path("in")).expect("it is new");
    let supervisor = house.start();
    house.write("in/a", "x");
    house.wait_lines("seen", 1);
    house.wait_idle(&["take"]);
    let store = rusqlite_of(&house);
    let year_ms = 365 * 24 * 3_600_000_i64;
    store.execute("UPDATE run SET ended_at = ended_at + ?1", [year_ms]).expect("it is a store");
    drop(store);
    house.write("in/a", "longer");
    house.wait_lines("seen", 2);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_dead_directory_holds_up_neither_other_directories_nor_schedules() {
    let house = House::new(
        "[jobs.dead]\nwatch = '@T@/dead/in'\ncommand = 'echo x >> \"$T/late\"'\n\
         [jobs.take]\nwatch = '@T@/in'\ncommand = 'echo x >> \"$T/seen\"'\n\
         [jobs.tick]\nschedule = '@every 1s'\ncommand = 'echo x >> \"$T/ticks\"'\n",
    );
    fs::create_dir(house.path("in")).expect("it is new");
    fs::create_dir_all(house.path("dead/in")).expect("it is new");
    assert_eq!(house.start().stop(), 0);
    house.write("dead/in/one", "x");
    let Some(dead) = DeadMount::at(&house, "dead") else {
        return skipped(Need::Fuse, "a mount that never answers takes root and /dev/fuse");
    };
    let supervisor = house.start();
    house.wait_lines("ticks", 2);
    house.write("in/one", "x");
    house.wait_lines("seen", 1);
    house.wait_text("log", "event=cannot_watch");
    house.write("in/two", "x");
    house.wait_lines("seen", 2);
    house.ask(&["reload"]).expect(0);
    house.write("in/three", "x");
    house.wait_lines("seen", 3);
    let ticks = house.lines("ticks").len();
    house.wait_lines("ticks", ticks + 2);
    drop(dead);
    // It answers again, and the next look, in a minute or after a reload, finds what is there.
    house.ask(&["reload"]).expect(0);
    house.wait_lines("late", 1);
    assert_eq!(supervisor.stop(), 0);
    let slow = "the file system did not answer";
    assert_eq!(house.read("log").matches(slow).count(), 1);
}

#[test]
fn check_warns_of_a_job_that_writes_where_it_watches_and_refuses_wildcards_in_directories() {
    let house = House::new("");
    let check = |job: &str| {
        house.write_jobfile(&format!("[jobs.a]\nmailto = 'x@y'\n{job}\n"));
        house.ask(&["check"])
    };
    let echo = "each file that it writes there becomes a run";
    for command in
        ["convert \"$1\" /in/small.png", "convert $1 $1.small", "mv \"$1\" \"${1%.png}.done\""]
    {
        let said = check(&format!("watch = '/in'\ncommand = '''{command}'''")).expect(0);
        assert!(said.err.contains(echo), "{command}: {}", said.err);
    }
    for command in ["convert \"$1\" /in2/small.png", "gzip -c \"$1\" > /out/x.gz"] {
        let said = check(&format!("watch = '/in'\ncommand = '''{command}'''")).expect(0);
        assert!(!said.err.contains(echo), "{command}: {}", said.err);
    }
    let said = check("watch = '/in/*/x.png'\ncommand = 'true'").expect(1);
    assert!(said.err.contains("has a wildcard before its last part"), "{}", said.err);
}
