//! What a supervisor hears from outside besides its bell: signals, and its terminal going away.
//!
//! HUP means two things: a person or a service manager asks for a reload, or the terminal has gone
//! away. It is the latter only if the controlling terminal has hung up just now. A supervisor that
//! was started with HUP ignored (nohup(1)) has no terminal.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::PollFd;
use nix::sys::signal::Signal;

use crate::core::time::Mono;
use crate::os::signals::SelfPipe;
use crate::os::{clock, poll, terminal};

const SIGNALS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD];

/// A shell tells its jobs within this time that their terminal has gone away. A HUP that comes
/// later is a wish to reload: whoever was not told was meant to go on (disown, setsid).
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// Something that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is to stop.
    Stop,
    /// It is to read the jobfile again.
    Reload,
    /// A child has ended.
    ChildEnded,
}

/// The ears of a process that is or is to be a supervisor.
#[derive(Debug)]
pub(crate) struct Ears {
    signals: SelfPipe,
    terminal: Option<File>,
    /// When the terminal was found to have gone away.
    hung_up_at: Option<Mono>,
}

impl Ears {
    /// Installs the handlers. Before the first keeper is started, so that no end of one is missed.
    pub(crate) fn open() -> io::Result<Self> {
        let signals = SelfPipe::install(&SIGNALS)?;
        let terminal = terminal::controlling().filter(|_| !signals.was_ignored(Signal::SIGHUP));
        Ok(Self { signals, terminal, hung_up_at: None })
    }

    /// Whether the supervisor stops when its terminal goes away.
    pub(crate) fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// What to wait for before the next [`Ears::take`].
    pub(crate) fn awaited(&self) -> impl Iterator<Item = PollFd<'_>> {
        let terminal = self.terminal.as_ref().filter(|_| self.hung_up_at.is_none());
        let terminal = terminal.map(|terminal| poll::hang_up(terminal.as_fd()));
        [poll::readable(self.signals.fd())].into_iter().chain(terminal)
    }

    /// Takes what was heard since the last time, in order.
    pub(crate) fn take(&mut self) -> io::Result<Vec<Heard>> {
        let signals = self.signals.take()?;
        let now = clock::now().mono;
        if let Some(terminal) = &self.terminal
            && self.hung_up_at.is_none()
            && poll::has_hung_up(terminal.as_fd())
        {
            self.hung_up_at = Some(now);
        }
        if self.hung_up_at.is_some_and(|at| now.since(at) > TOLD_WITHIN) {
            self.terminal = None;
        }
        let mut heard = Vec::with_capacity(signals.len());
        for signal in signals {
            heard.push(if matches!(signal, Signal::SIGTERM | Signal::SIGINT) {
                Heard::Stop
            } else if signal == Signal::SIGCHLD {
                Heard::ChildEnded
            } else if self.hung_up_at.is_some() && self.terminal.take().is_some() {
                // The shell and the kernel may both tell of it.
                Heard::Stop
            } else {
                Heard::Reload
            });
        }
        Ok(heard)
    }
}
