//! Ends everything that is left of an attempt.
//!
//! A process group is not enough: what called setsid(2) or became a daemon is in another one. But
//! whatever its parents did, it falls to the keeper, which is a subreaper; so the keeper kills what
//! is below it until it has no children any more.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;

use super::enclosure;
use super::record::{ProcessId, Record};
use super::remark::{PATIENCE, named};
use crate::core::time::Mono;
use crate::os::process::{self, Reaped, Stat};
use crate::os::signals::SignalQueue;
use crate::os::{clock, poll};

/// How long a keeper that was killed may take to be gone.
const DYING_MAX: Duration = Duration::from_secs(1);

/// The longest wait between two looks at what is left.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a killed keeper left is looked for so long: as a rule the second look finds nothing more.
const LOST_MAX: Duration = Duration::from_secs(10);

/// A process is in the middle of execve(2) for so many looks at most.
const HIDDEN_LOOKS: u32 = 5;

/// Kills everything below the process `keeper` once, without waiting. Answers what may not be
/// signalled.
///
/// Groups go first: the kernel kills one as a whole, so that nobody in it can start another
/// meanwhile and be missed here. The group of a child that was not reaped cannot have become a
/// stranger's.
pub(super) fn strike(keeper: i32) -> io::Result<Vec<Stat>> {
    let mut denied = Vec::new();
    let below = process::descendants(keeper)?;
    for child in below.iter().filter(|process| process.parent == keeper && process.group != keeper)
    {
        // What may not be signalled is found below.
        let _ = process::signal_group(child.group, libc::SIGKILL);
    }
    for process in below {
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
            return Ok(named("could not be killed", &left));
        }
        wait_for_an_end(signals)?;
    }
}

/// Who says that a keeper is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Witness {
    /// Somebody who looked after it and saw it die, a moment ago.
    Saw,
    /// Its lock, which may be free for long.
    Heard,
}

/// Kills what a keeper that died left of its attempt, again and again until there is nothing more,
/// before the run may be started again. Each look finds what was born during the one before. What
/// is still there after [`LOST_MAX`] cannot be ended.
///
/// Nothing is done on another boot.
pub(crate) fn end_lost(record: &Record, state_dir: &Path, witness: Witness) -> io::Result<()> {
    enclosure::end_lost(record)?;
    if record.boot_id != process::boot_id()? {
        return Ok(());
    }
    let deadline = clock::now().mono + LOST_MAX;
    let mut lost = Lost::new(record, state_dir, witness);
    while lost.strike()? > 0 && !is_over(deadline) {
        poll::wait(&mut [], Some(LOOK_AGAIN))?;
    }
    Ok(())
}

/// What is left of an attempt whose keeper is dead.
///
/// The main process itself got KILL when its keeper died. The rest of its session is told by that;
/// what has left the session, and everything where the keeper was killed before it could write down
/// which process it had started, by what stands in its environment: run, attempt and the state
/// directory. What has changed that, too, can be told only in a control group.
pub(super) struct Lost<'a> {
    record: &'a Record,
    marks: [Vec<u8>; 3],
    witness: Witness,
    /// Nothing of the attempt is older, in clock ticks since boot.
    since: u64,
    /// How often processes were seen that showed no environment, by number and start.
    hidden: HashMap<(i32, u64), u32>,
}

impl<'a> Lost<'a> {
    /// What is left of the attempt of this record, for a state directory as its command was told of
    /// it.
    pub(super) fn new(record: &'a Record, state_dir: &Path, witness: Witness) -> Self {
        let first = record.command.unwrap_or(record.keeper);
        Self {
            record,
            marks: [
                format!("JOBCTL_RUN={}", record.run).into_bytes(),
                format!("JOBCTL_ATTEMPT={}", record.attempt).into_bytes(),
                [b"JOBCTL_STATE_DIR=", state_dir.as_os_str().as_bytes()].concat(),
            ],
            witness,
            since: first.start_ticks,
            hidden: HashMap::new(),
        }
    }

    /// Kills all of it that can be seen, without waiting. Answers how much was still there: to be
    /// asked again until that is zero.
    pub(super) fn strike(&mut self) -> io::Result<usize> {
        wait_for_death(self.record.keeper);
        let since = self.since;
        let younger = process::all()?
            .into_iter()
            .filter(|process| process.start_ticks >= since && !process.is_dead());
        let mut left = Vec::new();
        let mut of_session = Vec::new();
        let mut executing = 0;
        let command = self.record.command;
        for process in younger {
            let kin = self.kin(&process);
            executing += usize::from(kin == Kin::Unknown);
            if kin == Kin::Marked {
                left.push(process);
            } else if command.is_some_and(|command| process.session == command.pid) {
                of_session.push(process);
            }
        }
        if self.has_session(&left, &of_session) {
            left.append(&mut of_session);
        }
        Ok(strike_all(&left) + executing)
    }

    /// Whether a process says that it is of the attempt.
    fn kin(&mut self, process: &Stat) -> Kin {
        // Gone meanwhile, or somebody else's.
        let Ok(environment) = process::environment(process.pid) else {
            return Kin::Stranger;
        };
        let variables: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
        let is_there = |mark: &Vec<u8>| variables.contains(&mark.as_slice());
        if self.marks.iter().all(is_there) {
            return Kin::Marked;
        }
        if environment.is_empty() && process.session != 0 && process::has_no_image(process.pid) {
            // The next look tells whose it is; one that is never done hides what it was executed
            // with.
            let looks = self.hidden.entry((process.pid, process.start_ticks)).or_default();
            *looks += 1;
            if *looks <= HIDDEN_LOOKS {
                return Kin::Unknown;
            }
        }
        Kin::Stranger
    }

    /// Whether the session that has the command's number is the command's. The number of one in
    /// which nobody is left any more is given again, so that it alone says nothing after a time in
    /// which nobody looked.
    fn has_session(&self, marked: &[Stat], others: &[Stat]) -> bool {
        let Some(command) = self.record.command else {
            return false;
        };
        let leader = marked.iter().chain(others);
        if let Some(leader) = leader.clone().find(|process| process.pid == command.pid) {
            return leader.start_ticks == command.start_ticks;
        }
        self.witness == Witness::Saw
            || marked.iter().any(|process| process.session == command.pid)
            || process::has_given_no_number_twice()
    }
}

/// What a process says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kin {
    /// It is of the attempt.
    Marked,
    /// It is in the middle of execve(2), and says nothing yet.
    Unknown,
    /// It is not, or does not say so.
    Stranger,
}

/// Waits until a keeper that was killed has passed the KILL on to its command, which comes after
/// the end of its socket: from then on the command starts nothing more.
fn wait_for_death(keeper: ProcessId) {
    if let Ok(pidfd) = keeper.open() {
        // If it does not come, the looks have to do without.
        let _ = poll::wait(&mut [poll::readable(pidfd.as_fd())], Some(DYING_MAX));
    }
}

fn strike_all(left: &[Stat]) -> usize {
    for process in left {
        // Gone meanwhile, or the next look will tell.
        let _ = process::signal_exactly(process, Signal::SIGKILL);
    }
    left.len()
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
    named("left running", &process::descendants(keeper).unwrap_or_default())
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
