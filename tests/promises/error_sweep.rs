//! Every system call may fail, once or from some point on: the supervisor never crashes, and the
//! next good one finds books that it can finish.
//!
//! As the kill sweep, with errors instead of KILL. `JOBCTL_SWEEP=full cargo test --locked --test
//! promises error_sweep -- --nocapture` tries more points.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::kill_sweep::{
    Findings, Victim, WHILE, finish, has_strace, has_unfinished, is_full, judge, prepare, record,
    store, traced,
};
use crate::support::{DEADLINE, House, found_within};

/// What fails, and how. There is no `fdatasync`: the store's library is built with fsync(2).
const FAULTS: [(&str, &[&str]); 11] = [
    (WRITE, &["ENOSPC", "EIO"]),
    ("fallocate", &["ENOSPC", "EIO"]),
    ("pwrite64", &["ENOSPC", "EIO"]),
    ("openat", &["EMFILE", "ENOMEM", "EIO"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("ftruncate", &["EIO", "ENOSPC"]),
    ("clone3", &["EAGAIN", "ENOMEM"]),
    ("socketpair", &["EMFILE", "ENOMEM"]),
    ("sendmsg", &["ENOMEM"]),
    ("flock", &["ENOLCK"]),
    ("mmap", &["ENOMEM"]),
];

/// Only into the log and the lock file: the other ones go into the pipe by which the process tells
/// itself of a signal, and no kernel refuses that with the disk's errors.
const WRITE: &str = "write";

/// Writes into these files in a life: process number and end of line, and a line of the log at each
/// turn with news.
const WRITES: usize = 6;

/// How long a supervisor whose calls fail may try.
const LIFE: Duration = Duration::from_millis(700);

/// One way in which calls fail.
#[derive(Clone, Debug)]
struct Fault {
    call: &'static str,
    error: &'static str,
    nth: usize,
    /// `+`: from then on; nothing: once.
    repeat: &'static str,
}

fn faults() -> Vec<Fault> {
    let calls = record(Victim::Supervisor);
    let mut faults = Vec::new();
    for (call, errors) in FAULTS {
        let count = match call {
            WRITE => WRITES,
            _ => calls.get(call).copied().unwrap_or_default(),
        };
        let points = match call {
            _ if is_full() => 24,
            WRITE | "fallocate" => 1,
            _ => 2,
        };
        let step = count.div_ceil(points).max(1);
        for nth in (1..=count).step_by(step) {
            for error in errors {
                for repeat in ["", "+"] {
                    faults.push(Fault { call, error, nth, repeat });
                }
            }
        }
    }
    faults
}

/// What a fault did to a supervisor, and what the next one made of it.
#[derive(Default)]
struct Trial {
    found: Findings,
    /// It ended with a signal, or with a code that is not one of its own.
    crashed: usize,
    /// It did not leave when it was told to.
    stayed: usize,
}

fn try_fault(fault: &Fault) -> Trial {
    let (house, mut items) = prepare(Victim::Supervisor);
    let inject =
        format!("inject={}:error={}:when={}{}", fault.call, fault.error, fault.nth, fault.repeat);
    let only = format!("trace={}", fault.call);
    let mut options = vec!["-o", "/dev/null", "-e", &only, "-e", &inject];
    let files = ["log", "state/supervisor.lock"].map(|name| house.path(name).display().to_string());
    if fault.call == WRITE {
        options.extend(files.iter().flat_map(|file| ["-P", file.as_str()]));
    }
    let on_stop = if fault.nth.is_multiple_of(2) { "finish" } else { "detach" };
    let mut supervisor = house.spawn(&mut traced(&house, &options), &["--on-stop", on_stop]);
    items.extend(WHILE.iter().map(|job| house.enqueue(&[job])));
    let books = store(&house);
    found_within(LIFE, || (supervisor.status().is_some() || !has_unfinished(&books)).then_some(()));
    let mut trial = Trial::default();
    if supervisor.status().is_none() {
        supervisor.send(Signal::SIGTERM);
    }
    let status = found_within(DEADLINE, || supervisor.status());
    match status {
        // 75: to SQLite, a lock that fails is one that is held.
        Some(status) if [Some(0), Some(75), Some(111)].contains(&status.code()) => {}
        // The loader, or the runtime of the language, fails before there is a jobctl.
        Some(_) if fails_before_main(&house.read("log")) => {}
        Some(status) => {
            trial.crashed = 1;
            eprintln!("{fault:?}: {status} {:?}", status.signal());
        }
        None => {
            trial.stayed = 1;
            supervisor.kill();
        }
    }
    finish(&house);
    trial.found = judge(&house, Victim::Supervisor, &items);
    if !trial.found.is_clean() || trial.crashed + trial.stayed > 0 {
        say(&house, fault, &trial);
    }
    trial
}

fn fails_before_main(log: &str) -> bool {
    let texts = ["shared lib", "TLS data structures", "stack_overflow.rs"];
    log.is_empty() || texts.iter().any(|text| log.contains(text))
}

fn say(house: &House, fault: &Fault, trial: &Trial) {
    eprintln!(
        "{fault:?}: {:?}, crashed {}, stayed {}\n{}",
        trial.found,
        trial.crashed,
        trial.stayed,
        house.read("log")
    );
}

#[test]
fn a_system_call_that_fails_never_ends_the_supervisor_nor_its_books() {
    if !has_strace() {
        return;
    }
    let faults = faults();
    let calls: BTreeSet<&str> = faults.iter().map(|fault| fault.call).collect();
    // The C library may have another name for one of them.
    assert!(calls.len() + 1 >= FAULTS.len(), "only these calls are made: {calls:?}");
    let next = AtomicUsize::new(0);
    let tallies: Mutex<BTreeMap<String, (usize, Trial)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let trial = try_fault(fault);
                    let mut tallies = tallies.lock().expect("no thread has panicked");
                    let name = format!("{} {}{}", fault.call, fault.error, fault.repeat);
                    let (tried, sum) = tallies.entry(name).or_default();
                    *tried += 1;
                    sum.found.add(&trial.found);
                    sum.crashed += trial.crashed;
                    sum.stayed += trial.stayed;
                }
            });
        }
    });
    let tallies = tallies.into_inner().expect("no thread has panicked");
    for (name, (tried, sum)) in &tallies {
        eprintln!(
            "{name:24} tried {tried:>3} crashed {} stayed {} {:?}",
            sum.crashed, sum.stayed, sum.found
        );
    }
    for (name, (_, sum)) in &tallies {
        assert!(
            sum.found.is_clean() && sum.crashed + sum.stayed == 0,
            "{name}: crashed {}, stayed {}, {:?}",
            sum.crashed,
            sum.stayed,
            sum.found
        );
    }
}

#[test]
fn a_first_start_whose_jobfile_the_system_does_not_read_says_that_the_system_failed() {
    let house = House::new("");
    std::fs::remove_file(house.jobfile()).expect("it is ours");
    std::fs::create_dir(house.jobfile()).expect("the house is ours");
    let answer = house.ask(&["run"]).expect(111);
    assert!(answer.err.contains("cannot be read"), "{answer:#?}");
}
