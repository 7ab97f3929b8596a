//! Ends everything that is left of an attempt.
//!
//! A process group is not enough: what called setsid(2) or became a daemon is in another one. But whatever its parents did, it
//! falls to the keeper, which is a subreaper; so the keeper kills what is below it until it has no children any more.

use std::io;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;

use crate::core::time::Mono;
use crate::os::process::{self, Reaped, Stat};
use crate::os::signals::SignalQueue;
use crate::os::{clock, poll};

/// What does not end within this time after KILL (it waits for a dead disk, say) is named and left.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest wait between two looks at what is left.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Names in a remark.
const NAMED_MAX: usize = 5;

/// Kills everything below the process `keeper` once, without waiting. Answers what may not be signalled.
pub(super) fn strike(keeper: i32) -> io::Result<Vec<Stat>> {
    let mut denied = Vec::new();
    for process in process::descendants(keeper)? {
        match process::signal_exactly(&process, Signal::SIGKILL) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => denied.push(process),
            // Gone meanwhile, or the next look will tell.
            Ok(()) | Err(_) => {}
        }
    }
    Ok(denied)
}

/// Kills and reaps until the process `keeper` has no children. Answers what could not be ended.
pub(super) fn end_all(keeper: i32, signals: &SignalQueue) -> io::Result<Option<String>> {
    let patience_deadline = clock::now().mono + PATIENCE;
    loop {
        let denied = strike(keeper)?;
        if reap_all()? == Left::Nothing {
            return Ok(None);
        }
        let left = process::descendants(keeper)?;
        let is_hopeless = |process: &Stat| denied.iter().any(|other| other.pid == process.pid);
        if left.iter().all(is_hopeless) || is_over(patience_deadline) {
            return Ok(named("could not be ended", &left));
        }
        wait_for_an_end(signals)?;
    }
}

/// Whether this process has children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// None.
    Nothing,
    /// Some.
    Something,
}

/// Reaps all children that have ended.
pub(super) fn reap_all() -> io::Result<Left> {
    loop {
        match process::reap()? {
            Reaped::Ended { .. } => {}
            Reaped::NoneEnded => return Ok(Left::Something),
            Reaped::NoChildren => return Ok(Left::Nothing),
        }
    }
}

/// Says what is left running below the process `keeper`, for people.
pub(super) fn left_running(keeper: i32) -> Option<String> {
    named(
        "left running",
        &process::descendants(keeper).unwrap_or_default(),
    )
}

fn is_over(deadline: Mono) -> bool {
    clock::now().mono >= deadline
}

fn wait_for_an_end(signals: &SignalQueue) -> io::Result<()> {
    let mut fds = [poll::readable(signals.fd())];
    poll::wait(&mut fds, Some(LOOK_AGAIN))?;
    // Whatever else is asked for: everything is being killed already.
    while signals.take()?.is_some() {}
    Ok(())
}

/// `left running: sleep (pid 12), cat (pid 13) and 4 more`.
fn named(what: &str, processes: &[Stat]) -> Option<String> {
    let alive: Vec<&Stat> = processes
        .iter()
        .filter(|process| !process.is_dead())
        .collect();
    if alive.is_empty() {
        return None;
    }
    let names: Vec<String> = alive
        .iter()
        .take(NAMED_MAX)
        .map(|process| format!("{} (pid {})", process.name, process.pid))
        .collect();
    let more = match alive.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{what}: {}{more}", names.join(", ")))
}
