//! What `jobctl exec --tty-stdin` lends to a command as its standard input. A terminal is lent to
//! the caller's own commands only: whoever has it open, even long after the run, reads what is
//! typed into the shell, writes to the screen and may type there (`TIOCSTI`). A command of another
//! identity gets a pipe, into which what is typed is copied as long as it runs.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::unistd::{Uid, pipe2};

use crate::core::job::Job;
use crate::os::user;

/// The end of a pipe that takes what is typed.
pub(super) struct Typed(OwnedFd);

impl Typed {
    /// Copies standard input until it ends, nobody reads it any more, or this process ends. A
    /// thread of its own does it: it waits for a terminal, and touches nothing else.
    pub(super) fn copy(self) {
        std::thread::spawn(move || {
            // What cannot be read or written is the end of it, for the command as for any reader of
            // a pipe.
            let _ = io::copy(&mut io::stdin().lock(), &mut File::from(self.0));
        });
    }
}

/// Standard input as a job's command gets it: that of this process; or a pipe and its other end, in
/// place of a terminal for a command with other rights.
pub(super) fn standard_input_for(job: &Job) -> io::Result<(Option<OwnedFd>, Option<Typed>)> {
    let stdin = io::stdin();
    if stdin.is_terminal() && is_of_another(job) {
        let (lent, to) = pipe2(OFlag::O_CLOEXEC)?;
        return Ok((Some(lent), Some(Typed(to))));
    }
    Ok((Some(stdin.as_fd().try_clone_to_owned()?), None))
}

/// Whether a job's command has other rights than this process. One whose user is not known does not
/// start anyway.
fn is_of_another(job: &Job) -> bool {
    let policy = &job.policy;
    match user::account_of(policy.user.as_deref(), policy.group.as_deref()) {
        Ok(account) => account
            .and_then(|account| account.identity)
            .is_some_and(|identity| identity.uid != Uid::effective().as_raw()),
        Err(_) => true,
    }
}
