//! A hostile local user: he has no rights but his job, and tries whatever he can think of against a
//! supervisor of root, from inside his command and from beside it. Each trick must come to nothing,
//! and root's own jobs must go on meanwhile.
//!
//! Tricks with a test of their own elsewhere: a crontab (`imported`), a backup of his
//! (`hostile_backup`), a backup into his directory (`backups`), the terminal (`terminals`), a lease
//! on his program and a stop of his command while it starts (`hang`), keys and ids that are not
//! given up (`identity`), files, lists of rights and directories on the way to the jobfile, to an
//! `env_file` or to the state directory (`trust`, `state_directory`), links and FIFOs for signs of
//! life (`signs`), what his report holds (`reports`).

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::support::{House, Need, answer_of, become_user, is_root, program, skipped};

/// His number and name; every Debian has him.
const UID: u32 = 1;

/// Root's jobs, and his.
const JOBS: &str = r#"
[jobs.tick]
schedule = "@every 1s"
command = 'echo tick >> "$T/ticks"'

[jobs.hold]
command = 'echo "$JOBCTL_REPORT" > "$T/held.new"; mv "$T/held.new" "$T/held"; read _ < "$T/door"'

[jobs.tricks]
user = "daemon"
command = ['/bin/sh', '-c', '. @T@/tricks; exit 7']
env = { HERE = "@T@" }

[jobs.hides]
user = "daemon"
command = 'ln "$JOBCTL_REPORT" @T@/home/second; echo result=planted >> "$JOBCTL_REPORT"'

[jobs.program]
user = "daemon"
command = ["@T@/home/program"]

[jobs.place]
user = "daemon"
cwd = "@T@/home/place"
command = "pwd"
"#;

/// Prints a line for each trick: that it was refused, or that it worked. `$KEEPER` and `$REPORT`
/// are of a run. What destroys something stands last, so that all of it works where it may.
const TRICKS: &str = r#"
KEEPER=${KEEPER:-$PPID} REPORT=${REPORT:-$JOBCTL_REPORT}
SUPERVISOR=$(sed -n 's/^PPid:\t//p' "/proc/$KEEPER/status")
STATE=$HERE/state
refused() {
    name=$1
    shift
    if "$@" > /dev/null 2>&1 < /dev/null; then echo "$name WORKED"; else echo "$name refused"; fi
}
opens() { (: < "$1"); }
writes() { (: >> "$1"); }
says() { echo "$1" > "$2"; }
has_secret() { env | grep -q ROOTS_SECRET; }
has_state_open() { readlink /proc/$$/fd/* | grep -F "$STATE"; }
for pid in "$SUPERVISOR" "$KEEPER"; do
    refused environment opens "/proc/$pid/environ"
    # The rights to look there are those to attach with ptrace(2).
    refused memory opens "/proc/$pid/mem"
    refused descriptors ls "/proc/$pid/fd/"
    refused root ls "/proc/$pid/root/"
    refused oom says 0 "/proc/$pid/oom_score_adj"
done
refused secret has_secret
refused ids setpriv --reuid 0 true
for verb in 'enqueue tick' 'cancel 1' 'status' 'exec tick' 'logs tick' 'pause --all' 'prune' "backup $HERE/home/copy" \
    "restore $HERE/home/copy"; do
    refused "verb-${verb%% *}" "$HERE/jobctl" --jobfile "$HERE/jobs.toml" --state-dir "$STATE" $verb
done
refused state-list ls "$STATE/"
refused state-read opens "$STATE/jobctl.db"
refused state-write writes "$STATE/jobctl.db"
refused state-plant writes "$STATE/planted"
refused state-mode chmod 0777 "$STATE"
refused state-lock flock -n "$STATE/locks/tick.lock" true
if [ "$CONTROL" ]; then exec 9< "$STATE/jobctl.db"; fi
refused state-descriptor has_state_open
refused reports-list ls "${REPORT%/*}/"
refused reports-plant writes "${REPORT%/*}/9.9"
refused reports-link ln -s /etc/shadow "${REPORT%/*}/9.8"
refused reports-swap mv -f "$HERE/home/own" "$REPORT"
refused reports-remove rm "$REPORT"
refused jobfile writes "$HERE/jobs.toml"
refused jobfile-swap mv -f "$HERE/home/other" "$HERE/jobs.toml"
for pid in "$SUPERVISOR" "$KEEPER"; do
    for signal in STOP KILL; do refused "signal-$signal" kill -s "$signal" "$pid"; done
done
"#;

/// So many they are.
const TRICKS_TRIED: usize = 39;

fn house() -> House {
    let house = House::new(JOBS);
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    house.write("tricks", TRICKS);
    // Where the build is may be closed to him.
    fs::copy(env!("CARGO_BIN_EXE_jobctl"), house.path("jobctl")).expect("it can be copied");
    fs::create_dir(house.path("home")).expect("it can be made");
    house.write("home/own", "his own");
    house.write("home/other", "his own");
    for name in ["home", "home/own", "home/other"] {
        chown(house.path(name), Some(UID), Some(UID)).expect("root may");
    }
    house
}

/// Each trick was tried and refused.
#[track_caller]
fn assert_refused(text: &str) {
    let tried = text.lines().filter(|line| line.ends_with(" refused"));
    assert_eq!(tried.count(), TRICKS_TRIED, "{text}");
    assert!(!text.contains("WORKED"), "{text}");
}

/// Root's job is executed again, and again.
#[track_caller]
fn assert_ticks_go_on(house: &House) {
    let before = house.lines("ticks").len();
    house.wait_lines("ticks", before + 2);
}

#[test]
fn each_trick_works_for_who_may_do_it() {
    if !is_root() {
        return skipped(Need::Root, "only root may");
    }
    let house = house();
    fs::create_dir(house.path("reports")).expect("it can be made");
    house.write("reports/1.1", "");
    // In the place of a supervisor and a keeper.
    let mut victims = program("sh");
    let victim = house.path("victim").display().to_string();
    victims.args(["-c", "sleep 1000 & echo $! > \"$0\"; wait", &victim]);
    let mut victims = victims.spawn().expect("it starts");
    let keeper = house.wait_lines("victim", 1).remove(0);
    let tricks = house.path("tricks").display().to_string();
    let tried = answer_of(
        program("sh")
            .arg(tricks)
            .env("T", house.dir())
            .env("CONTROL", "1")
            .env("ROOTS_SECRET", "x")
            .env("HERE", house.dir())
            .env("KEEPER", keeper)
            .env("REPORT", house.path("reports/1.1")),
    );
    victims.wait().expect("it is a child");
    let worked = tried.out.lines().filter(|line| line.ends_with(" WORKED"));
    assert_eq!(worked.count(), TRICKS_TRIED, "{tried:#?}");
}

#[test]
fn whatever_his_command_tries_is_refused_and_he_gets_the_verdict_he_earned() {
    if !is_root() {
        return skipped(Need::Root, "only root starts commands as somebody else");
    }
    let house = house();
    let supervisor = house.start_with(house.jobctl().env("ROOTS_SECRET", "x"), &[]);
    let run = house.enqueue(&["tricks"]);
    let ended = house.wait_state(run, "failed");
    assert_eq!(ended["exit_code"], 7, "{ended}");
    let id = run.to_string();
    assert_refused(&house.ask(&["logs", "--raw", &id]).expect(0).out);
    assert!(!house.path("home/copy").exists());
    assert!(!house.state_dir().join("planted").exists());

    // A report with a second name may be a file of somebody else: it is not read.
    let run = house.enqueue(&["hides"]);
    let ended = house.wait_state(run, "succeeded");
    assert_eq!(ended["result"], serde_json::Value::Null, "{ended}");
    assert_ticks_go_on(&house);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn whatever_he_tries_beside_a_run_of_roots_is_refused_and_the_run_ends_by_itself() {
    if !is_root() {
        return skipped(Need::Root, "only root can become him");
    }
    let house = house();
    let supervisor = house.start();
    let run = house.enqueue(&["hold"]);
    let report = house.wait_lines("held", 1).remove(0);
    let tried = answer_of(
        become_user(UID)
            .args(["sh", &house.path("tricks").display().to_string()])
            .env("HERE", house.dir())
            .env("KEEPER", house.keeper_of(run).to_string())
            .env("REPORT", &report),
    );
    assert_refused(&tried.out);
    let read = answer_of(become_user(UID).args(["cat", &report]));
    assert_ne!(read.code, 0, "{read:#?}");
    assert_eq!(house.show(run)["state"], "running");
    assert_ticks_go_on(&house);
    fs::write(house.path("door"), "\n").expect("somebody reads");
    house.wait_state(run, "succeeded");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_he_puts_in_the_place_of_his_program_or_directory_fails_his_run_alone() {
    if !is_root() {
        return skipped(Need::Root, "only root starts commands as somebody else");
    }
    let house = house();
    let (program, place) = (house.path("home/program"), house.path("home/place"));
    let secret = house.path("secret");
    house.write("secret", "#!/bin/sh\necho root's\n");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let supervisor = house.start();
    for path in [&program, &place] {
        let job = if path == &program { "program" } else { "place" };
        let fails = |what: &str| {
            let run = house.enqueue(&[job]);
            let ended = house.wait_state(run, "failed");
            assert_eq!(ended["outcome"], "spawn_failed", "{what}: {ended}");
        };
        fails("nothing");
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        chown(path, Some(UID), Some(UID)).expect("root may");
        fails("a FIFO");
        fs::remove_file(path).expect("it is ours");
        std::os::unix::fs::symlink(path, path).expect("it can be made");
        fails("a link to itself");
        fs::remove_file(path).expect("it is ours");
        std::os::unix::fs::symlink(&secret, path).expect("it can be made");
        fails("a link to what only root may execute");
        fs::remove_file(path).expect("it is ours");
    }
    fs::write(&program, "#!/bin/sh\n").expect("it can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let writer = fs::OpenOptions::new().append(true).open(&program);
    let run = house.enqueue(&["program"]);
    let ended = house.wait_state(run, "failed");
    assert_eq!(ended["outcome"], "spawn_failed", "a busy one: {ended}");
    drop(writer);
    let run = house.enqueue(&["program"]);
    house.wait_state(run, "succeeded");
    assert_ticks_go_on(&house);
    assert_eq!(supervisor.stop(), 0);
}
