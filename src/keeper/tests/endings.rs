//! How attempts end by themselves, and how they do not even begin.

use std::fs::{self, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

use super::bench::{Bench, exited, handle, has_ended, readable_in_time, until};
use crate::core::job::Leftovers;
use crate::keeper::Heard;
use crate::keeper::order::Order;
use crate::keeper::record::{End, Ending, Record};
use crate::keeper::sweep::{Lost, Witness, end_lost};
use crate::os::lock::{self, Kind};
use crate::os::process;

/// One look for what is left of a killed keeper's attempt.
fn strike_lost(record: &Record, state_dir: &std::path::Path) -> std::io::Result<usize> {
    Lost::new(record, state_dir, Witness::Saw).strike()
}

#[test]
fn an_exit_code_and_the_output_are_on_record() {
    let bench = Bench::new("exit");
    let (heard, ending) = bench.run(&bench.shell("echo out; echo err >&2; exit 3"));
    assert_eq!((heard, &ending.end, &ending.remark), (Heard::Reusable, &exited(3), &None));
    assert_eq!(bench.output(), "out\nerr\n");
    let record = bench.record();
    assert_eq!((record.run, record.attempt, record.claim, record.stopped), (7, 1, 70, None));
    assert_eq!(record.keeper.pid, bench.pid);
    assert_eq!(record.boot_id, process::boot_id().unwrap());
    assert!(!record.command.unwrap().is_alive());
    assert!(
        ending.max_rss_kib > 0
            && ending.ended_at >= record.started_at
            && !ending.duration.is_zero()
    );
}

#[test]
fn the_signal_that_ended_a_command_is_on_record() {
    let bench = Bench::new("signal");
    let (heard, ending) = bench.run(&bench.shell("kill -SEGV $$"));
    assert_eq!((heard, ending.end), (Heard::Reusable, End::Signaled(Signal::SIGSEGV as i32)));
}

#[test]
fn one_keeper_takes_one_order_after_another() {
    let bench = Bench::new("reuse");
    for code in 0..20 {
        let mut order = bench.shell(&format!("echo {code}; exit {code}"));
        order.claim = i64::from(code);
        let (heard, ending) = bench.run(&order);
        assert_eq!((heard, ending.end), (Heard::Reusable, exited(code)));
        assert_eq!((bench.record().claim, bench.output()), (i64::from(code), format!("{code}\n")));
    }
}

fn spawn_failure(bench: &Bench, order: &Order) -> (Option<u8>, String) {
    match bench.run(order) {
        (Heard::Reusable, Ending { end: End::SpawnFailed { exit_code, error }, .. }) => {
            (exit_code, error)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_started_says_which_and_why() {
    let bench = Bench::new("spawn");
    let path = |name: &str| bench.dir.join(name).to_str().unwrap().to_owned();
    let script = |name: &str, text: &str, mode: u32| {
        fs::write(path(name), text).unwrap();
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        path(name)
    };
    let (plain, bare, orphan) = (
        script("plain", "#!/bin/sh\n", 0o644),
        script("bare", "echo hello\n", 0o755),
        script("orphan", "#!/nonexistent/zsh\n", 0o755),
    );
    let cases = [
        ("/bin/nonexistent", Some(127), "/bin/nonexistent: no such file or directory".to_owned()),
        ("nonexistent", Some(127), "nonexistent: not found in PATH".to_owned()),
        ("/bin/sh/sh", Some(127), "/bin/sh/sh: not a directory".to_owned()),
        (&plain, Some(126), format!("{plain}: permission denied")),
        (&bare, Some(126), format!("{bare}: not a program and has no `#!` line")),
        (&orphan, Some(127), format!("{orphan}: its interpreter does not exist")),
        ("/", Some(126), "/: permission denied".to_owned()),
    ];
    for (program, exit_code, error) in cases {
        assert_eq!(spawn_failure(&bench, &bench.exec(&[program])), (exit_code, error));
    }
}

#[test]
fn a_missing_directory_is_not_mistaken_for_a_missing_program() {
    let bench = Bench::new("cwd");
    let order = Order { cwd: Some(b"/nonexistent/x".to_vec()), ..bench.shell("true") };
    let expected = (None, "working directory /nonexistent/x: no such file or directory".to_owned());
    assert_eq!(spawn_failure(&bench, &order), expected);
}

#[test]
fn an_argument_that_is_too_long_or_holds_a_nul_is_named() {
    let bench = Bench::new("long");
    let long = "x".repeat(200_000);
    let expected = (None, "/bin/echo: argument list too long".to_owned());
    assert_eq!(spawn_failure(&bench, &bench.exec(&["/bin/echo", &long])), expected);
    let expected = (None, "argument: contains a NUL byte".to_owned());
    assert_eq!(spawn_failure(&bench, &bench.exec(&["/bin/echo", "a\0b"])), expected);
}

#[test]
fn what_still_holds_the_output_does_not_delay_the_end() {
    let bench = Bench::new("held");
    let order = bench.shell("sleep 1000 & echo $! > pid; echo started; exit 4");
    let (heard, ending) = bench.run(&order);
    assert_eq!((heard, ending.end), (Heard::Retired, exited(4)));
    assert_eq!(bench.output(), "started\n");
    let pid = &bench.lines("pid", 1)[0];
    // Its name may still be that of the shell.
    let remark = ending.remark.unwrap();
    assert!(remark.starts_with("left running: ") && remark.ends_with(&format!(" (pid {pid})")));
    let sleeper = handle(pid);
    assert!(!has_ended(&sleeper));
    // The keeper stays to read what comes, but holds nothing of the slot.
    let links: Vec<_> =
        (0..3).map(|fd| fs::read_link(format!("/proc/{}/fd/{fd}", bench.pid)).unwrap()).collect();
    assert_eq!(bench.hear(), Heard::Gone);
    assert_eq!(&links[1..], ["/dev/null".as_ref(), "/dev/null".as_ref() as &std::path::Path]);
    process::pidfd_send_signal(sleeper.as_fd(), Signal::SIGKILL).unwrap();
    assert!(matches!(bench.keeper_end(), WaitStatus::Exited(_, 0)));
}

#[test]
fn a_daemon_that_writes_on_does_not_die_of_it() {
    let bench = Bench::new("writer");
    let script = "(trap 'exit 9' PIPE; until [ -e stop ]; do echo line; done; echo alive > seen; echo end) & exit 0";
    let (heard, ending) = bench.run(&bench.shell(script));
    assert_eq!((heard, ending.end), (Heard::Retired, exited(0)));
    fs::write(bench.dir.join("stop"), "").unwrap();
    assert_eq!(bench.lines("seen", 1), ["alive"]);
    assert!(matches!(bench.keeper_end(), WaitStatus::Exited(_, 0)));
}

#[test]
fn a_daemon_without_the_output_is_left_alone_and_the_keeper_goes() {
    let bench = Bench::new("daemon");
    let (heard, ending) =
        bench.run(&bench.shell("setsid sleep 1000 > /dev/null 2>&1 & echo $! > pid"));
    assert_eq!((heard, ending.end), (Heard::Retired, exited(0)));
    assert!(matches!(bench.keeper_end(), WaitStatus::Exited(_, 0)));
    let sleeper = handle(&bench.lines("pid", 1)[0]);
    assert!(!has_ended(&sleeper));
    process::pidfd_send_signal(sleeper.as_fd(), Signal::SIGKILL).unwrap();
}

#[test]
fn leftovers_are_killed_where_that_is_asked_for() {
    let bench = Bench::new("kill");
    let script =
        "setsid sleep 1000 & sleep 1000 & (setsid setsid sleep 1000 &) ; echo $! > pid; exit 5";
    let order = Order { leftovers: Leftovers::Kill, ..bench.shell(script) };
    let (heard, ending) = bench.run(&order);
    assert_eq!((heard, ending.end, ending.remark), (Heard::Reusable, exited(5), None));
    assert_eq!(bench.run(&bench.shell("exit 6")).1.end, exited(6));
}

#[test]
fn locks_are_free_at_the_end_whoever_still_lives_or_has_a_copy() {
    let bench = Bench::new("locks");
    let path = bench.dir.join("a.lock");
    let held = lock::try_lock(&path, Kind::Exclusive).unwrap().unwrap();
    bench.send_with(&bench.shell("sleep 1000 & until [ -e go ]; do :; done"), &[held.as_fd()]);
    bench.command();
    assert!(lock::try_lock(&path, Kind::Exclusive).unwrap().is_none());
    fs::write(bench.dir.join("go"), "").unwrap();
    let (heard, ending) = bench.end();
    assert_eq!((heard, ending.end), (Heard::Retired, exited(0)));
    assert!(lock::try_lock(&path, Kind::Exclusive).unwrap().is_some());
    drop(held);
}

#[test]
fn head_and_tail_of_much_output_are_kept() {
    let bench = Bench::new("output");
    let order = Order { output_max: 1000, ..bench.exec(&["seq", "1", "300000"]) };
    let whole: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
    let (_, ending) = bench.run(&order);
    assert_eq!(ending.end, exited(0));
    assert_eq!(bench.record().output_total, whole.len() as u64);
    assert_eq!(bench.output(), format!("{}{}", &whole[..500], &whole[whole.len() - 500..]));
}

#[test]
fn a_full_disk_stops_no_command_and_is_on_record() {
    let bench =
        Bench::with_output("full", |_| OpenOptions::new().write(true).open("/dev/full").unwrap());
    let (heard, ending) = bench.run(&bench.exec(&["seq", "1", "300000"]));
    assert_eq!((heard, ending.end), (Heard::Reusable, exited(0)));
    let remark = "1988895 bytes of output not kept: no space left on device";
    assert_eq!(ending.remark.as_deref(), Some(remark));
    assert_eq!(bench.record().output_total, 0);
}

#[test]
fn a_supervisor_that_goes_away_costs_no_ending() {
    let mut bench = Bench::new("gone");
    bench.send(&bench.shell("until [ -e go ]; do :; done; exit 8"));
    bench.command();
    drop(bench.socket.take());
    fs::write(bench.dir.join("go"), "").unwrap();
    assert!(matches!(bench.keeper_end(), WaitStatus::Exited(_, 0)));
    assert_eq!(bench.record().ending.unwrap().end, exited(8));
}

#[test]
fn an_idle_keeper_ends_with_its_supervisor_and_at_a_signal() {
    let mut bench = Bench::new("idle");
    assert_eq!(bench.run(&bench.shell("true")).1.end, exited(0));
    drop(bench.socket.take());
    assert!(matches!(bench.keeper_end(), WaitStatus::Exited(_, 0)));
    let bench = Bench::new("idle-term");
    assert_eq!(bench.run(&bench.shell("true")).1.end, exited(0));
    bench.signal(Signal::SIGTERM);
    assert!(matches!(bench.keeper_end(), WaitStatus::Exited(_, 0)));
}

#[test]
fn bytes_that_are_no_order_end_the_keeper_with_nothing_started() {
    let bench = Bench::new("garbage");
    crate::os::socket::send(bench.socket.as_ref().unwrap().as_fd(), &[b"\0garbage"], &[]).unwrap();
    assert_eq!(bench.hear(), Heard::Gone);
    assert!(matches!(bench.keeper_end(), WaitStatus::Exited(_, 1)));
    assert_eq!(bench.try_record(), None);
}

#[test]
fn a_keeper_that_is_killed_takes_its_command_with_it() {
    let bench = Bench::new("killed");
    bench.send(&bench.exec(&["sleep", "1000"]));
    let command = process::pidfd_open(bench.command().pid).unwrap();
    bench.signal(Signal::SIGKILL);
    readable_in_time(command.as_fd());
    assert_eq!(bench.record().ending, None);
}

#[test]
fn what_a_killed_keeper_left_of_the_session_can_be_ended() {
    let bench = Bench::new("lost");
    let script = "sh -c 'echo $$ > pid; exec sleep 1000' & wait";
    bench.send(&bench.shell(script));
    let left = handle(&bench.lines("pid", 1)[0]);
    let main = process::pidfd_open(bench.command().pid).unwrap();
    bench.signal(Signal::SIGKILL);
    readable_in_time(main.as_fd());
    assert!(!has_ended(&left));
    let record = bench.record();
    let elsewhere = Record { boot_id: "another".to_owned(), ..record.clone() };
    end_lost(&elsewhere, &bench.dir, Witness::Saw).unwrap();
    assert!(!has_ended(&left));
    assert!(strike_lost(&record, &bench.dir).unwrap() >= 1);
    readable_in_time(left.as_fd());
    until("nothing is left", || (strike_lost(&record, &bench.dir).unwrap() == 0).then_some(()));
}

#[test]
fn what_a_keeper_left_that_was_killed_before_it_wrote_down_the_command_can_be_ended() {
    let bench = Bench::new("lost-unwritten");
    let mut order = bench.shell("sh -c 'echo $$ > pid; exec sleep 1000' & wait");
    let marks = [
        ("JOBCTL_RUN", order.run.to_string()),
        ("JOBCTL_ATTEMPT", order.attempt.to_string()),
        ("JOBCTL_STATE_DIR", bench.dir.display().to_string()),
    ];
    let told = marks.map(|(name, value)| (name.into(), value.into_bytes()));
    order.sources.told.extend(told);
    bench.send(&order);
    let left = handle(&bench.lines("pid", 1)[0]);
    let main = process::pidfd_open(bench.command().pid).unwrap();
    bench.signal(Signal::SIGKILL);
    readable_in_time(main.as_fd());
    let record = Record { command: None, ..bench.record() };
    let other = bench.dir.join("other");
    strike_lost(&record, &other).unwrap();
    let next = Record { attempt: record.attempt + 1, ..record.clone() };
    strike_lost(&next, &bench.dir).unwrap();
    assert!(!has_ended(&left));
    assert!(strike_lost(&record, &bench.dir).unwrap() >= 1);
    readable_in_time(left.as_fd());
}
