//! A backup holds what was acknowledged before it; a restore does all of it or nothing, and starts
//! nothing by itself.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use crate::kill_sweep::has_strace;
use crate::support::{Answer, House, Need, answer_of, is_root, program, skipped};

const JOBS: &str = "[jobs.sink]\ncommand = 'echo \"$JOBCTL_RUN\" >> \"$T/sunk\"'\n\
                    [jobs.tick]\nschedule = '@every 1s'\ncommand = 'true'\n";

/// Processes that add items at once.
const CROWD: usize = 24;

#[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
fn open(path: &Path) -> Connection {
    Connection::open(path).expect("it can be opened")
}

/// The numbers of all runs of `sink` in a store that is whole.
#[track_caller]
fn ids(path: &Path) -> BTreeSet<i64> {
    let conn = open(path);
    let says: String =
        conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be checked");
    assert_eq!(says, "ok");
    let mut query = conn
        .prepare("SELECT run.id FROM run JOIN job ON job.id = run.job WHERE job.name = 'sink'")
        .expect("it has runs");
    let ids = query.query_map([], |row| row.get(0)).expect("it has runs");
    ids.collect::<Result<_, _>>().expect("numbers")
}

fn db(house: &House) -> std::path::PathBuf {
    house.state_dir().join("jobctl.db")
}

/// What was there before the newest restore.
fn kept(house: &House) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(house.state_dir()).expect("it is there");
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().contains("before-restore"))
        .collect()
}

fn acknowledged(house: &House) -> BTreeSet<i64> {
    let lines = house.lines("acknowledged");
    lines.iter().map(|line| line.parse().expect("an id")).collect()
}

#[test]
fn a_backup_in_a_crowd_holds_every_id_that_was_printed_before_it_began() {
    let house = House::new(JOBS);
    let supervisor = house.start();
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let ids = OpenOptions::new()
                .create(true)
                .append(true)
                .open(house.path("acknowledged"))
                .expect("it can be made");
            let command = house.jobctl();
            let script = "for i in 1 2; do \"$0\" -q enqueue sink || exit; done";
            let mut shell = program("sh");
            shell
                .args(["-c", script])
                .arg(command.get_program())
                .envs(
                    command
                        .get_envs()
                        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))),
                )
                .stdout(ids);
            shell.spawn().expect("it can be started")
        })
        .collect();
    house.wait_lines("acknowledged", CROWD / 2);
    let before = acknowledged(&house);
    let file = house.path("copy").display().to_string();
    house.ask(&["backup", &file]).expect(0);
    for mut child in crowd {
        assert!(child.wait().expect("it is ours").success());
    }
    let mode = fs::metadata(&file).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let all = acknowledged(&house);
    assert_eq!(all.len(), 2 * CROWD, "a number was given twice");
    assert_eq!(supervisor.stop(), 0);
    assert!(before.is_subset(&ids(Path::new(&file))));

    let answer = house.ask(&["restore", &file, "--json"]).expect(0).json();
    let there = ids(&db(&house));
    assert!(before.is_subset(&there), "{answer}");
    // What came later is not lost either: it is kept aside.
    let aside = answer["kept"].as_str().expect("there was a store");
    assert!(all.is_subset(&ids(Path::new(aside))));
    // No number is given a second time.
    let next = house.enqueue(&["sink"]);
    assert!(Some(&next) > all.last(), "{next}");
}

#[test]
fn a_restored_store_starts_nothing_until_it_is_resumed() {
    let house = House::new(JOBS);
    let item = house.enqueue(&["sink"]);
    house.ask(&["backup", &house.path("copy").display().to_string()]).expect(0);
    house.ask(&["restore", &house.path("copy").display().to_string()]).expect(0);
    let supervisor = house.start();
    house.wait_text("log", "restored from a backup");
    house.wait_run("tick", "an occurrence in the pause", |run| run["reason"] == "paused");
    assert_eq!(house.show(item)["state"], "queued");
    house.ask(&["resume", "--all"]).expect(0);
    house.wait_state(item, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("sunk"), [item.to_string()]);
    // The next supervisor has nothing to say of it any more.
    let supervisor = house.start();
    assert_eq!(house.read("log").matches("restored from").count(), 1);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn an_attempt_of_the_backup_whose_record_says_nothing_is_lost_and_not_executed_again() {
    let house = House::new(
        "[jobs.long]\ncommand = 'echo \"$JOBCTL_RUN $JOBCTL_ATTEMPT\" >> \"$T/executed\"; exec sleep 1000'\n",
    );
    let supervisor = house.start();
    let run = house.enqueue(&["long"]);
    house.wait_lines("executed", 1);
    let file = house.path("copy").display().to_string();
    house.ask(&["backup", &file]).expect(0);
    house.ask(&["cancel", &run.to_string()]).expect(0);
    house.wait_state(run, "cancelled");
    // Another attempt takes the slot, so that its record says nothing of the first one.
    let other = house.enqueue(&["long"]);
    house.wait_lines("executed", 2);
    house.ask(&["cancel", &other.to_string()]).expect(0);
    house.wait_state(other, "cancelled");
    assert_eq!(supervisor.stop(), 0);
    house.ask(&["restore", &file]).expect(0);
    let supervisor = house.start();
    let ended = house.wait_state(run, "failed");
    assert_eq!(
        (&ended["outcome"], &ended["reason"]),
        (&"lost".into(), &"lost".into()),
        "{ended:#}"
    );
    house.ask(&["resume", "--all"]).expect(0);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("executed"), [format!("{run} 1"), format!("{other} 1")]);
}

#[test]
fn what_is_no_backup_is_refused_and_changes_nothing() {
    let house = House::new(JOBS);
    let item = house.enqueue(&["sink"]);
    let (copy, newer, foreign, half) =
        (house.path("copy"), house.path("newer"), house.path("foreign"), house.path("half"));
    let restore = |path: &Path| house.ask(&["restore", &path.display().to_string()]);
    let backup = |path: &Path| house.ask(&["backup", &path.display().to_string()]);
    backup(&copy).expect(0);
    fs::copy(&copy, &newer).expect("it can be copied");
    open(&newer).execute_batch("PRAGMA user_version = 99").expect("it can be set");
    open(&foreign).execute_batch("CREATE TABLE somebody(x)").expect("it can be made");
    let bytes = fs::read(&copy).expect("it is there");
    fs::write(&half, &bytes[..bytes.len() / 2]).expect("it can be written");
    house.write("letter", "dear reader, this is not a database, but a letter that is long enough");
    let said = |path: &Path, code: i32, text: &str| {
        let answer = restore(path).expect(code);
        assert!(answer.err.contains(text), "{answer:#?}");
        assert!(answer.err.contains(&path.display().to_string()), "{answer:#?}");
    };
    said(&newer, 111, "newer jobctl");
    said(&foreign, 111, "not a jobctl store");
    said(&house.path("letter"), 111, "not a jobctl store");
    said(&half, 111, "damaged");
    said(&house.path("nowhere"), 111, "no such file");
    said(&db(&house), 1, "the store itself");
    house.ask(&["restore", "-"]).expect(2);
    house.ask(&["backup", "-"]).expect(2);
    let there = backup(&half).expect(1);
    assert!(there.err.contains("never overwrites a file"), "{there:#?}");
    assert_eq!(ids(&db(&house)), BTreeSet::from([item]));
    assert_eq!(kept(&house), Vec::<std::path::PathBuf>::new());
    let supervisor = house.start();
    let answer = restore(&copy).expect(75);
    assert!(answer.err.contains("systemctl stop"), "{answer:#?}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_store_that_is_damaged_foreign_newer_or_gone_is_replaced_and_kept_aside() {
    let house = House::new(JOBS);
    let item = house.enqueue(&["sink"]);
    let file = house.path("copy").display().to_string();
    house.ask(&["backup", &file]).expect(0);
    let whole = fs::read(&file).expect("it is there");
    let mut torn = whole.clone();
    torn[4096..].fill(0xa5);
    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for (index, there) in [
        Some(torn),
        Some(newer),
        Some(b"a letter, not a database at all, and it is longer than a header".to_vec()),
        None,
    ]
    .into_iter()
    .enumerate()
    {
        fs::remove_file(db(&house)).expect("it was there");
        // The log of another store, which must not be taken for that of the new one.
        fs::write(house.state_dir().join("jobctl.db-wal"), b"x").expect("it can be written");
        if let Some(bytes) = &there {
            fs::write(db(&house), bytes).expect("it can be written");
        }
        let answer = house.ask(&["restore", &file, "--json"]).expect(0).json();
        assert_eq!(ids(&db(&house)), BTreeSet::from([item]), "{index}");
        let aside = answer["kept"].as_str().map(|path| fs::read(path).expect("it is kept"));
        assert_eq!(aside, there, "{index}");
        let supervisor = house.start();
        assert_eq!(house.show(item)["state"], "queued", "{index}");
        assert_eq!(supervisor.stop(), 0);
    }
}

/// `jobctl` under strace, which kills it at one call.
pub(crate) fn killed_at(house: &House, point: &str, args: &[&str]) -> Answer {
    let jobctl = house.jobctl();
    let call = point.split(':').next().expect("a call");
    let mut traced: Command = program("strace");
    traced
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .args([&format!("trace={call}"), "-e", &format!("inject={point}")])
        .arg(jobctl.get_program())
        .args(args);
    for (name, value) in jobctl.get_envs() {
        traced.env(name, value.unwrap_or_default());
    }
    answer_of(&mut traced)
}

/// Tries the Nth call of each kind until there is no Nth, or only some of many.
pub(crate) fn at_each_point(calls: &[&str], mut attempt: impl FnMut(&str) -> bool) -> usize {
    let is_full = std::env::var_os("JOBCTL_SWEEP").is_some_and(|form| form == "full");
    let mut reached = 0;
    for call in calls {
        let mut nth = 1;
        while attempt(&format!("{call}:signal=KILL:when={nth}")) {
            reached += 1;
            nth += if is_full || nth < 3 { 1 } else { nth };
        }
    }
    reached
}

#[test]
fn a_backup_that_is_killed_leaves_no_half_of_one() {
    if !has_strace() {
        return;
    }
    let house = House::new(JOBS);
    let items: BTreeSet<i64> = (0..20).map(|_| house.enqueue(&["sink"])).collect();
    let file = house.path("copy");
    let calls = ["openat", "pwrite64", "fsync", "renameat2", "unlink"];
    let reached = at_each_point(&calls, |point| {
        let answer = killed_at(&house, point, &["backup", &file.display().to_string()]);
        let is_killed = answer.code == -9;
        assert!(is_killed || answer.code == 0, "{point}: {answer:#?}");
        assert!(is_killed || file.exists(), "{point}");
        if file.exists() {
            assert_eq!(ids(&file), items, "{point}");
            fs::remove_file(&file).expect("it is ours");
        }
        is_killed
    });
    assert!(reached >= 12, "only {reached} points");
    house.ask(&["backup", &file.display().to_string()]).expect(0);
}

#[test]
fn a_restore_that_is_killed_has_done_nothing_or_everything() {
    if !has_strace() {
        return;
    }
    let house = House::new(JOBS);
    let old: BTreeSet<i64> = (0..20).map(|_| house.enqueue(&["sink"])).collect();
    let file = house.path("copy").display().to_string();
    house.ask(&["backup", &file]).expect(0);
    let whole = house.path("whole").display().to_string();
    house.enqueue(&["sink"]);
    house.ask(&["backup", &whole]).expect(0);
    let new = ids(Path::new(&whole));
    let calls = ["openat", "pwrite64", "fdatasync", "fsync", "renameat2", "unlink", "ftruncate"];
    let reached = at_each_point(&calls, |point| {
        if ids(&db(&house)) == old {
            house.ask(&["restore", &whole]).expect(0);
        }
        let answer = killed_at(&house, point, &["restore", &file]);
        let is_killed = answer.code == -9;
        let there = ids(&db(&house));
        assert!(there == old || is_killed && there == new, "{point}: {there:?} {answer:#?}");
        for path in kept(&house) {
            fs::remove_file(path).expect("it is ours");
        }
        is_killed
    });
    assert!(reached >= 20, "only {reached} points");
}

#[test]
fn a_restore_over_a_damaged_store_that_is_killed_is_done_by_the_next_one() {
    if !has_strace() {
        return;
    }
    let house = House::new(JOBS);
    let item = house.enqueue(&["sink"]);
    let file = house.path("copy").display().to_string();
    house.ask(&["backup", &file]).expect(0);
    let letter = b"a letter, not a database at all, and it is longer than a header";
    let calls = ["fsync", "link", "linkat", "unlink", "rename", "pwrite64"];
    let reached = at_each_point(&calls, |point| {
        fs::write(db(&house), letter).expect("it can be written");
        let answer = killed_at(&house, point, &["restore", &file]);
        let is_old = fs::read(db(&house)).expect("there is always one") == letter;
        assert!(is_old || ids(&db(&house)) == BTreeSet::from([item]), "{point}");
        house.ask(&["restore", &file]).expect(0);
        assert_eq!(ids(&db(&house)), BTreeSet::from([item]), "{point}");
        for path in kept(&house) {
            fs::remove_file(path).expect("it is ours");
        }
        answer.code == -9
    });
    assert!(reached >= 6, "only {reached} points");
}

#[test]
fn an_attempt_of_the_backup_whose_slot_is_at_work_for_another_one_is_not_executed_again() {
    let house = House::new(
        "[jobs.pay]\ncommand = 'echo \"$JOBCTL_RUN\" >> \"$T/paid\"; read _ < \"$T/door\"'\n\
         [jobs.other]\ncommand = 'echo up >> \"$T/others\"; read _ < \"$T/gate\"'\n",
    );
    for door in ["door", "gate"] {
        nix::unistd::mkfifo(&house.path(door), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    }
    let supervisor = house.start_with(&mut house.jobctl(), &["--on-stop", "detach"]);
    let run = house.enqueue(&["pay"]);
    house.wait_lines("paid", 1);
    let file = house.path("copy").display().to_string();
    house.ask(&["backup", &file]).expect(0);
    fs::write(house.path("door"), "\n").expect("somebody reads");
    house.wait_state(run, "succeeded");
    house.enqueue(&["other"]);
    house.wait_lines("others", 1);
    assert_eq!(supervisor.stop(), 0);
    house.ask(&["restore", &file]).expect(0);
    let supervisor = house.start();
    house.ask(&["resume", "--all"]).expect(0);
    assert_eq!(house.show(run)["state"], "running");
    // A second start before the other one has ended knows it, too.
    supervisor.kill();
    let supervisor = house.start();
    fs::write(house.path("gate"), "\n").expect("somebody reads");
    let ended = house.wait_state(run, "failed");
    assert_eq!((&ended["outcome"], &ended["attempt"]), (&"lost".into(), &1.into()), "{ended:#}");
    house.ask(&["wait", "--idle"]).expect(0);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("paid"), [run.to_string()]);
}

/// Puts a file that everybody may read in place of each draft of a backup, and keeps it under
/// another name, too.
fn swap_drafts(shared: &Path, is_over: &AtomicBool) {
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        let entries = fs::read_dir(shared).expect("it is there");
        for name in entries.filter_map(|entry| Some(entry.ok()?.file_name())) {
            if !name.to_string_lossy().starts_with("copy.new-") {
                continue;
            }
            number += 1;
            let (trap, mine) = (shared.join("trap"), shared.join(format!("mine-{number}")));
            fs::write(&trap, "").expect("it is theirs");
            fs::set_permissions(&trap, fs::Permissions::from_mode(0o666)).expect("it is theirs");
            chown(&trap, Some(65_533), None).expect("root may");
            fs::hard_link(&trap, &mine).expect("it is theirs");
            let _ = fs::rename(&trap, shared.join(&name));
        }
    }
}

/// Ends the other thread, also where an assertion fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_in_another_users_directory_does_not_write_into_what_that_user_puts_there() {
    if !is_root() {
        return skipped(Need::Root, "only root backs up into the directories of others");
    }
    let house = House::new(JOBS);
    house.enqueue(&["sink"]);
    let shared = house.path("shared");
    fs::create_dir(&shared).expect("it can be made");
    chown(&shared, Some(65_533), None).expect("root may");
    let is_over = AtomicBool::new(false);
    let mut made = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| swap_drafts(&shared, &is_over));
        let _over = Over(&is_over);
        for _ in 0..40 {
            let file = shared.join("copy");
            let answer = house.ask(&["backup", &file.display().to_string()]);
            if answer.code == 0 {
                assert_eq!(ids(&file).len(), 1);
                made += 1;
            } else {
                assert!(answer.err.contains("was replaced"), "{answer:#?}");
            }
            let _ = fs::remove_file(&file);
        }
    });
    let entries = fs::read_dir(&shared).expect("it is there");
    let theirs: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| fs::metadata(path).is_ok_and(|meta| meta.len() > 0))
        .collect();
    assert!(theirs.is_empty(), "{made} made, and he has {theirs:?}");
    let left = fs::read_dir(house.state_dir()).expect("it is there");
    let left: Vec<_> = left.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".backup-")), "{left:?}");
    chown(&shared, Some(0), None).expect("root may");
    house.ask(&["backup", &shared.join("alone").display().to_string()]).expect(0);
    assert_eq!(ids(&shared.join("alone")).len(), 1);
}
