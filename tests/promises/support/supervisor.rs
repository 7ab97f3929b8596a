//! A supervisor that a test has started.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use nix::sys::signal::Signal;

use super::process::send;
use super::waiting::wait_for;

/// A supervisor; killed at the end if it is still there.
pub(crate) struct Supervisor {
    pub(super) child: Child,
}

impl Supervisor {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid is small")
    }

    pub(crate) fn send(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Its standard output, where that is a pipe.
    #[track_caller]
    pub(crate) fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("it was asked for")
    }

    /// How it ended, if it has.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the supervisor to end", || self.status())
    }

    /// Waits for its end by itself; the exit code.
    #[track_caller]
    pub(crate) fn wait_code(&mut self) -> i32 {
        let status = self.wait();
        status.code().unwrap_or_else(|| panic!("it was killed: {status}"))
    }

    /// KILL, and waits until it is gone.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.send(Signal::SIGKILL);
        assert_eq!(self.wait().signal(), Some(9), "it had ended before");
    }

    /// TERM, and waits until it has left.
    #[track_caller]
    pub(crate) fn stop(mut self) -> i32 {
        self.send(Signal::SIGTERM);
        self.wait_code()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
