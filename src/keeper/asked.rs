//! What signals ask of a keeper.

use std::io;

use nix::sys::signal::Signal;

use crate::os::signals::SignalQueue;

/// What signals have said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// A child has ended or stopped.
    pub(super) child: bool,
    /// The stop sequence is to begin.
    pub(super) stop: bool,
    /// Everything is to be killed at once.
    pub(super) kill: bool,
}

impl Asked {
    /// Takes all that have come.
    pub(super) fn take(signals: &SignalQueue) -> io::Result<Self> {
        let mut asked = Self::default();
        while let Some(signal) = signals.take()? {
            asked.child |= signal == Signal::SIGCHLD;
            asked.stop |= signal == Signal::SIGTERM;
            asked.kill |= signal == Signal::SIGUSR1;
        }
        Ok(asked)
    }

    /// Whether the attempt is to end.
    pub(super) fn is_to_end(self) -> bool {
        self.stop || self.kill
    }
}
