//! How attempts are ended.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::bench::{Bench, exited, handle, has_ended};
use crate::core::job::Leftovers;
use crate::keeper::Heard;
use crate::keeper::order::Order;
use crate::keeper::record::{End, StopCause};

/// Deaf to TERM, in groups and sessions of their own, some without a parent: each writes its
/// number.
const NASTY_TREE: &str = "trap '' TERM; echo $$ >> pids
    for i in 1 2 3 4 5; do
        sh -c 'echo $$ >> pids; exec sleep 1000' &
        setsid sh -c 'echo $$ >> pids; sleep 1000; :' &
        (setsid setsid sh -c 'echo $$ >> pids; sleep 1000; :' > /dev/null 2>&1 &)
    done
    wait";

#[test]
fn after_a_timeout_nothing_of_a_nasty_tree_is_left() {
    let bench = Bench::new("tree");
    // Time for the tree to grow, on a busy machine too.
    let (timeout, stop_grace) = (Duration::from_millis(500), Duration::from_millis(2500));
    bench.send(&Order { timeout: Some(timeout), stop_grace, ..bench.shell(NASTY_TREE) });
    let pids = bench.lines("pids", 16);
    let handles: Vec<_> = pids.iter().map(|pid| handle(pid)).collect();
    let (heard, ending) = bench.end();
    assert_eq!(
        (heard, ending.end, ending.remark),
        (Heard::Reusable, End::Signaled(Signal::SIGKILL as i32), None)
    );
    assert!(handles.iter().all(has_ended));
    assert_eq!(bench.record().stopped, Some(StopCause::Timeout));
    assert!(ending.duration >= timeout + stop_grace);
}

#[test]
fn a_stop_that_the_main_process_obeys_ends_escaped_daemons_too() {
    let bench = Bench::new("escaped");
    let script = "(setsid setsid sh -c 'echo $$ > pid; sleep 1000; :' &) ; trap 'exit 3' TERM; while :; do sleep 0.01; done";
    bench.send(&bench.shell(script));
    let daemon = handle(&bench.lines("pid", 1)[0]);
    bench.signal(Signal::SIGTERM);
    let (heard, ending) = bench.end();
    assert_eq!((heard, ending.end, ending.remark), (Heard::Reusable, exited(3), None));
    assert!(has_ended(&daemon));
    assert_eq!(bench.record().stopped, Some(StopCause::Signal));
}

#[test]
fn others_of_the_group_get_the_whole_grace_though_the_main_process_ends_at_once() {
    let bench = Bench::new("pipeline");
    let script = "sh -c 'trap \"until [ -e go ]; do :; done; echo tidied; exit\" TERM; echo $$ > pid; while :; do sleep 0.01; done' & wait";
    bench.send(&bench.shell(script));
    bench.lines("pid", 1);
    let main = crate::os::process::pidfd_open(bench.command().pid).unwrap();
    bench.signal(Signal::SIGTERM);
    super::bench::until("the main process has ended", || has_ended(&main).then_some(()));
    std::fs::write(bench.dir.join("go"), "").unwrap();
    let (heard, ending) = bench.end();
    assert_eq!((heard, ending.end), (Heard::Reusable, End::Signaled(Signal::SIGTERM as i32)));
    assert!(bench.output().ends_with("tidied\n"));
}

#[test]
fn a_stopped_process_sees_the_signal() {
    let bench = Bench::new("stopped");
    bench
        .send(&bench.shell(
            "trap 'exit 9' TERM; echo > ready; kill -STOP $$; while :; do sleep 0.01; done",
        ));
    bench.lines("ready", 1);
    bench.signal(Signal::SIGTERM);
    assert_eq!(bench.end().1.end, exited(9));
}

#[test]
fn usr1_kills_at_once() {
    let bench = Bench::new("usr1");
    bench.send(&bench.shell(NASTY_TREE));
    let handles: Vec<_> = bench.lines("pids", 16).iter().map(|pid| handle(pid)).collect();
    bench.signal(Signal::SIGUSR1);
    let (heard, ending) = bench.end();
    assert_eq!((heard, ending.end), (Heard::Reusable, End::Signaled(Signal::SIGKILL as i32)));
    assert!(handles.iter().all(has_ended));
    assert_eq!(bench.record().stopped, Some(StopCause::Signal));
}

#[test]
fn usr1_cuts_the_grace_short() {
    let bench = Bench::new("cut");
    bench.send(
        &bench.shell("trap 'echo term > seen' TERM; echo > ready; while :; do sleep 0.01; done"),
    );
    bench.lines("ready", 1);
    bench.signal(Signal::SIGTERM);
    bench.lines("seen", 1);
    bench.signal(Signal::SIGUSR1);
    assert_eq!(bench.end().1.end, End::Signaled(Signal::SIGKILL as i32));
}

#[test]
fn the_stop_signal_is_the_one_that_was_asked_for() {
    let bench = Bench::new("hup");
    bench.send(&Order {
        stop_signal: Signal::SIGHUP as i32,
        ..bench.shell("trap 'exit 7' HUP; echo > ready; while :; do sleep 0.01; done")
    });
    bench.lines("ready", 1);
    bench.signal(Signal::SIGTERM);
    assert_eq!(bench.end().1.end, exited(7));
}

#[test]
fn a_keeper_whose_attempt_was_stopped_takes_the_next_order() {
    let bench = Bench::new("next");
    bench.send(&bench.exec(&["sleep", "1000"]));
    bench.command();
    bench.signal(Signal::SIGTERM);
    assert_eq!(bench.end().1.end, End::Signaled(Signal::SIGTERM as i32));
    let (heard, ending) = bench.run(&bench.shell("exit 2"));
    assert_eq!((heard, ending.end, bench.record().stopped), (Heard::Reusable, exited(2), None));
}

#[test]
fn what_starts_itself_anew_all_the_time_is_caught() {
    let bench = Bench::new("comet");
    bench.script("comet", "#!/bin/sh\n./comet &\necho >> trail\n");
    let order =
        bench.shell("(setsid ./comet > /dev/null 2>&1 &); until [ -e go ]; do sleep 0.01; done");
    bench.send(&Order { leftovers: Leftovers::Kill, ..order });
    bench.lines("trail", 5);
    std::fs::write(bench.dir.join("go"), "").unwrap();
    let (heard, ending) = bench.end();
    assert_eq!((heard, ending.end, ending.remark), (Heard::Reusable, exited(0), None));
}
