//! The standard input of a command under `jobctl exec --tty-stdin`. Only the caller's own commands
//! get the terminal itself: a process that has it open, even long after the run, can read what is
//! typed into the shell, write to the screen and type there (`TIOCSTI`). A command with other
//! rights gets a pipe, into which the typed text is copied while it runs.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::unistd::{Uid, pipe2};

use crate::core::job::Job;
use crate::os::user;

/// The end of a pipe that takes the typed text.
pub(super) struct Typed(OwnedFd);

impl Typed {
    /// Copies standard input until it ends, its reader goes away, or this process ends. Uses a
    /// thread, because it blocks on the terminal.
    pub(super) fn copy(self) {
        std::thread::spawn(move || {
            // An error ends the copy; the command sees the end of the pipe.
            let _ = io::copy(&mut io::stdin().lock(), &mut File::from(self.0));
        });
    }
}

/// Returns the standard input for a job's command: that of this process or, instead of a terminal
/// for a command with other rights, a pipe and its other end.
pub(super) fn standard_input_for(job: &Job) -> io::Result<(Option<OwnedFd>, Option<Typed>)> {
    let stdin = io::stdin();
    if stdin.is_terminal() && is_of_another(job) {
        let (lent, to) = pipe2(OFlag::O_CLOEXEC)?;
        return Ok((Some(lent), Some(Typed(to))));
    }
    Ok((Some(stdin.as_fd().try_clone_to_owned()?), None))
}

/// Returns whether a job's command has other rights than this process. A command whose user is
/// unknown does not start anyway.
fn is_of_another(job: &Job) -> bool {
    let policy = &job.policy;
    match user::account_of(policy.user.as_deref(), policy.group.as_deref()) {
        Ok(account) => account
            .and_then(|account| account.identity)
            .is_some_and(|identity| identity.uid != Uid::effective().as_raw()),
        Err(_) => true,
    }
}
