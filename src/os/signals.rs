//! Signals as something to wait for: a pipe written by handlers, for a process that must not block
//! signals (its children would inherit that), and a queue (signalfd), for one that gives its
//! children an empty mask itself.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, raise, sigaction, sigprocmask,
};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{pipe2, read};

/// The highest signal number of Linux on all but MIPS.
const SIGNAL_MAX: libc::c_long = 64;

/// Where handlers write to; -1 while there is no pipe.
static HANDLERS_END: AtomicI32 = AtomicI32::new(-1);

/// A pipe that holds a byte for each signal that was handled. There is at most one in a process.
#[derive(Debug)]
pub(crate) struct SelfPipe {
    read_end: OwnedFd,
    _write_end: OwnedFd,
    ignored: Vec<Signal>,
}

impl SelfPipe {
    /// Installs handlers for `signals` and unblocks them: whoever started this process may have
    /// blocked them.
    ///
    /// # Panics
    ///
    /// If there is one already.
    pub(crate) fn install(signals: &[Signal]) -> io::Result<Self> {
        let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let former = HANDLERS_END.swap(write_end.as_raw_fd(), Ordering::SeqCst);
        assert!(former == -1, "a process has one pipe for its signals");
        let mut ignored = Vec::new();
        for signal in signals {
            if matches!(handle(*signal)?.handler(), SigHandler::SigIgn) {
                ignored.push(*signal);
            }
        }
        let handled: SigSet = signals.iter().copied().collect();
        sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&handled), None)?;
        Ok(Self { read_end, _write_end: write_end, ignored })
    }

    /// Whether this process was started with a signal ignored that has a handler now.
    pub(crate) fn was_ignored(&self, signal: Signal) -> bool {
        self.ignored.contains(&signal)
    }

    /// Becomes readable when a signal was handled.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.read_end.as_fd()
    }

    /// Takes all signals that were handled since the last time, in order; a signal may stand there
    /// more than once.
    pub(crate) fn take(&self) -> io::Result<Vec<Signal>> {
        let mut signals = Vec::new();
        let mut bytes = [0; 64];
        loop {
            match read(&self.read_end, &mut bytes) {
                Ok(0) | Err(Errno::EAGAIN) => return Ok(signals),
                Ok(len) => {
                    signals.extend(
                        bytes[..len]
                            .iter()
                            .filter_map(|byte| Signal::try_from(i32::from(*byte)).ok()),
                    );
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Drop for SelfPipe {
    fn drop(&mut self) {
        HANDLERS_END.store(-1, Ordering::SeqCst);
    }
}

#[expect(unsafe_code, reason = "a handler runs between any two instructions")]
fn handle(signal: Signal) -> io::Result<SigAction> {
    let action =
        SigAction::new(SigHandler::Handler(on_signal), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: `on_signal` does only what is allowed in a handler: it reads an atomic, calls
    // write(2) and keeps errno.
    Ok(unsafe { sigaction(signal, &action) }?)
}

#[expect(unsafe_code, reason = "write(2) is the one thing a handler can tell with")]
extern "C" fn on_signal(signal: libc::c_int) {
    let errno = Errno::last_raw();
    let byte = signal.to_le_bytes()[0];
    // SAFETY: one byte is read from a living local. The descriptor is that of the pipe; where it is
    // -1 or the pipe is full the call fails, which is right: a full pipe already tells that there
    // are signals.
    unsafe { libc::write(HANDLERS_END.load(Ordering::SeqCst), (&raw const byte).cast(), 1) };
    Errno::set_raw(errno);
}

/// Blocked signals as a queue. Children inherit the mask: whoever starts one gives it an empty
/// mask.
#[derive(Debug)]
pub(crate) struct SignalQueue(SignalFd);

impl SignalQueue {
    /// Blocks every signal but those of faults, and queues `signals`. The others stay pending and
    /// do nothing.
    pub(crate) fn open(signals: &[Signal]) -> io::Result<Self> {
        let mut blocked = SigSet::all();
        for fault in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGILL,
            Signal::SIGFPE,
            Signal::SIGABRT,
            Signal::SIGSYS,
        ] {
            blocked.remove(fault);
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None)?;
        let mut queued = SigSet::empty();
        queued.extend(signals.iter().copied());
        Ok(Self(SignalFd::with_flags(&queued, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Becomes readable when a signal came.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Takes the next signal; none: there is none.
    pub(crate) fn take(&self) -> io::Result<Option<Signal>> {
        let Some(info) = self.0.read_signal()? else {
            return Ok(None);
        };
        Ok(i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()))
    }
}

/// Gives every signal its default disposition, 32 and 33 included, which the C library keeps to
/// itself and which posix_spawn(3) leaves ignored.
#[expect(unsafe_code, reason = "the C library refuses to touch 32 and 33")]
pub(crate) fn reset_dispositions() {
    // The kernel's own struct sigaction: handler, flags, restorer, mask. All zero is SIG_DFL
    // without flags.
    let default = [0_u64; 4];
    for signal in 1..=SIGNAL_MAX {
        // SAFETY: the kernel reads a struct sigaction of at most 32 bytes from a living local and
        // writes nothing; the size of its mask is 8 bytes. KILL and STOP are refused with EINVAL,
        // which changes nothing.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null::<u64>(),
                size_of::<u64>(),
            )
        };
    }
}

/// Lets the kernel reap children by itself: nobody asks for them any more.
#[expect(unsafe_code, reason = "dispositions belong to the whole process")]
pub(crate) fn ignore_children() -> io::Result<()> {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed, so there is none that could do anything wrong.
    unsafe { sigaction(Signal::SIGCHLD, &action) }?;
    Ok(())
}

/// Lets a write beyond the limit of file sizes (`ulimit -f`) fail with EFBIG, as one on a full disk
/// does, instead of ending this process.
///
/// By a handler, not by ignoring XFSZ: what this process executes has it as usual.
pub(crate) fn survive_size_limit() -> io::Result<()> {
    let action =
        SigAction::new(SigHandler::Handler(on_nothing), SaFlags::SA_RESTART, SigSet::empty());
    dispose(Signal::SIGXFSZ, &action).map(drop)
}

/// As long as it lives, INT, QUIT and HUP do nothing to this process. A program that is started
/// meanwhile has them as usual: exec(2) takes handlers away, but would keep them ignored.
#[derive(Debug)]
pub(crate) struct Sheltered(Vec<(Signal, SigAction)>);

impl Sheltered {
    /// Begins to hold them off; what was ignored stays so.
    pub(crate) fn begin() -> io::Result<Self> {
        let mut sheltered = Self(Vec::new());
        let action =
            SigAction::new(SigHandler::Handler(on_nothing), SaFlags::SA_RESTART, SigSet::empty());
        for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
            let former = dispose(signal, &action)?;
            if matches!(former.handler(), SigHandler::SigIgn) {
                dispose(signal, &former)?;
            } else {
                sheltered.0.push((signal, former));
            }
        }
        Ok(sheltered)
    }
}

impl Drop for Sheltered {
    fn drop(&mut self) {
        for (signal, former) in &self.0 {
            // It was in force before, so it is a valid one.
            let _ = dispose(*signal, former);
        }
    }
}

/// Lets a signal do to this process what it does without a handler; returns where it only stopped
/// it for a while.
pub(crate) fn obey(signal: Signal) -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    let former = dispose(signal, &default)?;
    raise(signal)?;
    dispose(signal, &former).map(drop)
}

extern "C" fn on_nothing(_signal: libc::c_int) {}

#[expect(unsafe_code, reason = "a handler runs between any two instructions")]
fn dispose(signal: Signal, action: &SigAction) -> io::Result<SigAction> {
    // SAFETY: the action is that of `on_nothing`, which does nothing, the default, or one that was
    // in force before.
    Ok(unsafe { sigaction(signal, action) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handled_signal_is_in_the_pipe() {
        let pipe = SelfPipe::install(&[Signal::SIGWINCH]).unwrap();
        assert_eq!(pipe.take().unwrap(), []);
        nix::sys::signal::raise(Signal::SIGWINCH).unwrap();
        let mut fds = [crate::os::poll::readable(pipe.fd())];
        assert_eq!(crate::os::poll::wait(&mut fds, None).unwrap(), 1);
        assert_eq!(pipe.take().unwrap(), [Signal::SIGWINCH]);
    }
}
