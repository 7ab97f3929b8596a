//! The requests that a keeper receives as signals.

use std::io;

use nix::sys::signal::Signal;

use crate::os::signals::SignalQueue;

/// The requests received so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// A child has ended or stopped.
    pub(super) child: bool,
    /// The stop sequence should begin.
    pub(super) stop: bool,
    /// Everything should be killed at once.
    pub(super) kill: bool,
}

impl Asked {
    /// Takes all pending signals.
    pub(super) fn take(signals: &SignalQueue) -> io::Result<Self> {
        let mut asked = Self::default();
        while let Some(signal) = signals.take()? {
            asked.child |= signal == Signal::SIGCHLD;
            asked.stop |= signal == Signal::SIGTERM;
            asked.kill |= signal == Signal::SIGUSR1;
        }
        Ok(asked)
    }

    /// Returns whether the attempt should end.
    pub(super) fn is_to_end(self) -> bool {
        self.stop || self.kill
    }
}
