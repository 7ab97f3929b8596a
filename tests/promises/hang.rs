//! What hangs: a command that does not get started, a file that does not get read, a keeper that is
//! stopped. Neither the job's own timeout nor `cancel`, nor any other job, nor a stop of the
//! supervisor waits for it.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{
    House, Need, answer_of, become_user, is_alive, is_root, now, program, send, skipped,
    stat_field, wait_for, wait_gone,
};

/// A user that Debian always has, and its number.
const USER: &str = "daemon";
const UID: u32 = 1;

/// The signal that tells the holder of a lease (fcntl(2)).
const F_SETSIG: libc::c_int = 10;

/// What hangs would hang for longer: the kernel breaks a lease after 45 s (proc_sys_fs(5)).
const SOON: Duration = Duration::from_secs(15);

/// Whoever wants to execute this file waits for as long as the answer is kept.
#[expect(unsafe_code, reason = "nix has no F_SETLEASE")]
fn lease(path: &Path) -> File {
    let file = File::options().write(true).open(path).expect("it is there");
    // SAFETY: numbers only. The signal that tells of the one who waits does nothing.
    let taken = unsafe {
        libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG);
        libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
    };
    assert_eq!(taken, 0, "{}", io::Error::last_os_error());
    file
}

/// Whoever opens this file waits for as long as the answer is kept; none where this may not be done
/// here.
#[expect(unsafe_code, reason = "nix has no fanotify(7) without a feature of its own")]
fn hold_opens(path: &Path) -> Option<OwnedFd> {
    let name = std::ffi::CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: numbers only.
    let fd = unsafe { libc::fanotify_init(libc::FAN_CLASS_CONTENT, libc::O_RDONLY as u32) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the kernel has just made this descriptor.
    let group = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: a string with its end, which the kernel reads; numbers besides.
    let marked = unsafe {
        libc::fanotify_mark(
            group.as_raw_fd(),
            libc::FAN_MARK_ADD,
            libc::FAN_OPEN_PERM,
            libc::AT_FDCWD,
            name.as_ptr(),
        )
    };
    (marked == 0).then_some(group)
}

/// A program that says that it was executed.
fn make_program(house: &House, name: &str) {
    make_program_of(house, name, "#!/bin/sh\necho ran\n");
}

fn make_program_of(house: &House, name: &str, text: &str) {
    // A descriptor of ours that may write would be inherited by what other tests start meanwhile,
    // and then nobody could have a lease on the file.
    let script = "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"";
    let mut write = program("sh");
    write.args(["-c", script, "sh"]).arg(house.path(name)).arg(text);
    answer_of(&mut write).expect(0);
}

/// The child that a keeper of this house is about to make a command of.
#[track_caller]
fn starting_child(house: &House) -> i32 {
    wait_for("a child that is being started", || {
        house.keepers().into_iter().find_map(|keeper| {
            let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"));
            children.ok()?.split_ascii_whitespace().next()?.parse().ok()
        })
    })
}

#[track_caller]
fn ended_soon(house: &House, run: i64) -> Value {
    let begin = now();
    let ended = wait_for("the run to end", || {
        let shown = house.show(run);
        let state = shown["state"].as_str().expect("a state is text").to_owned();
        (state == "failed" || state == "cancelled").then_some(shown)
    });
    assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
    ended
}

#[test]
fn a_lease_on_the_program_holds_up_neither_timeout_nor_cancel() {
    if !is_root() {
        return skipped(Need::Root, "only root starts commands as somebody else");
    }
    let house = House::new(&format!(
        "[jobs.timed]\nuser = '{USER}'\ncommand = ['@T@/timed']\ntimeout = '1s'\nstop_grace = '1s'\n\
         [jobs.held]\nuser = '{USER}'\ncommand = ['@T@/held']\nlock = 'l'\n\
         [jobs.other]\nlock = 'l'\ncommand = 'true'\n"
    ));
    make_program(&house, "timed");
    make_program(&house, "held");
    let _leases = [lease(&house.path("timed")), lease(&house.path("held"))];
    let supervisor = house.start();
    let timed = house.enqueue(&["timed"]);
    let ended = ended_soon(&house, timed);
    assert_eq!(ended["outcome"], "timed_out", "{ended:#}");
    let held = house.enqueue(&["held"]);
    // Whoever runs the job may stop what is about to become its command.
    let child = starting_child(&house);
    let user = wait_for("the ids to be taken", || {
        let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        status.contains(&format!("Uid:\t{UID}\t")).then_some(UID)
    });
    let stopped = become_user(user).args(["kill", "-STOP", &child.to_string()]).status();
    assert!(stopped.expect("it can be called").success());
    wait_for("it to be stopped", || stat_field(child, 0).filter(|state| state == "T"));
    house.ask(&["cancel", &held.to_string()]).expect(0);
    let ended = ended_soon(&house, held);
    assert_eq!(ended["state"], "cancelled", "{ended:#}");
    let other = house.enqueue(&["other"]);
    house.wait_state(other, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    wait_gone(child);
}

#[test]
fn an_env_file_that_hangs_holds_up_nothing_but_its_job() {
    if !is_root() {
        return skipped(Need::Root, "only root may hold up who opens a file");
    }
    let house = House::new(
        "[jobs.hung]\nenv_file = '@T@/env'\ncommand = 'true'\n\
         [jobs.timed]\nenv_file = '@T@/env'\ncommand = 'true'\ntimeout = '1s'\n\
         [jobs.value]\nenv.A = { file = '@T@/env' }\ncommand = 'true'\n\
         [jobs.other]\ncommand = 'true'\n",
    );
    house.write("env", "A=1\n");
    let Some(group) = hold_opens(&house.path("env")) else {
        return skipped(Need::Mount, "opens of a file cannot be held up here");
    };
    let supervisor = house.start();
    let hung = house.enqueue(&["hung"]);
    let value = house.enqueue(&["value"]);
    starting_child(&house);
    let timed = house.enqueue(&["timed"]);
    let ended = ended_soon(&house, timed);
    assert_eq!(ended["outcome"], "timed_out", "{ended:#}");
    let error = ended["error"].as_str().unwrap_or_default();
    let said = format!("reading env_file {}", house.path("env").display());
    assert!(error.contains(&said), "{ended:#}");
    let other = house.enqueue(&["other"]);
    house.wait_state(other, "succeeded");
    for run in [hung, value] {
        house.ask(&["cancel", &run.to_string()]).expect(0);
        assert_eq!(ended_soon(&house, run)["state"], "cancelled");
    }
    let begin = now();
    assert_eq!(supervisor.stop(), 0);
    assert!(begin.elapsed() < SOON);
    drop(group);
}

#[test]
fn a_stopped_keeper_keeps_neither_its_timeout_nor_a_stop_of_the_supervisor() {
    let house = House::new(
        "stop_timeout = '3s'\n\
         [jobs.a]\ncommand = 'exec sleep 300'\ntimeout = '2s'\nstop_grace = '1s'\n\
         [jobs.b]\ncommand = 'exec sleep 301'\n",
    );
    let supervisor = house.start();
    let timed = house.enqueue(&["a"]);
    let command = house.leader_of(timed);
    send(house.keeper_of(timed), Signal::SIGSTOP);
    let ended = ended_soon(&house, timed);
    assert_eq!(ended["outcome"], "timed_out", "{ended:#}");
    wait_gone(command);
    let other = house.enqueue(&["b"]);
    let command = house.leader_of(other);
    let keeper = house.keeper_of(other);
    send(keeper, Signal::SIGSTOP);
    let begin = now();
    assert_eq!(supervisor.stop(), 0);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    assert!(!is_alive(command) && !is_alive(keeper));
}

#[test]
fn a_keeper_that_hangs_while_it_starts_its_command_is_killed_when_its_time_is_over() {
    let house = House::new(
        "[jobs.held]\ncommand = ['@T@/held']\nstop_grace = '1s'\n\
         [jobs.timed]\ncommand = ['@T@/held']\ntimeout = '1s'\nstop_grace = '1s'\n",
    );
    make_program(&house, "held");
    let lease = lease(&house.path("held"));
    let supervisor = house.start();
    let held = house.enqueue(&["held"]);
    let timed = house.enqueue(&["timed"]);
    let child = starting_child(&house);
    house.ask(&["cancel", &held.to_string()]).expect(0);
    assert_eq!(ended_soon(&house, held)["state"], "cancelled");
    assert_eq!(ended_soon(&house, timed)["outcome"], "timed_out");
    wait_gone(child);
    assert_eq!(supervisor.stop(), 0);
    drop(lease);
}

#[test]
fn a_stop_that_comes_with_the_execution_gives_the_command_its_grace() {
    if !is_root() {
        return skipped(Need::Root, "only root starts commands as somebody else");
    }
    let house = House::new(&format!(
        "[jobs.a]\nuser = '{USER}'\ncommand = ['@T@/program']\nstop_grace = '1m'\n"
    ));
    let text = "#!/bin/sh\ntrap 'exit 3' TERM\nsleep 1000 &\nwait\nexit 4\n";
    make_program_of(&house, "program", text);
    let held = lease(&house.path("program"));
    let supervisor = house.start();
    let run = house.enqueue(&["a"]);
    let child = starting_child(&house);
    let keeper = house.keepers()[0];
    send(keeper, Signal::SIGSTOP);
    wait_for("the keeper to be stopped", || stat_field(keeper, 0).filter(|state| state == "T"));
    drop(held);
    wait_for("the command to listen", || {
        let children = fs::read_to_string(format!("/proc/{child}/task/{child}/children"));
        children.ok().filter(|children| !children.is_empty())
    });
    // The keeper hears of both at once.
    send(keeper, Signal::SIGTERM);
    send(keeper, Signal::SIGCONT);
    let ended = ended_soon(&house, run);
    assert_eq!(ended["exit_code"], 3, "{ended:#}");
    assert_eq!(supervisor.stop(), 0);
}
