//! Runs calls that may never return on a thread of their own, and rings a bell when they end.
//!
//! A hanging thread ends with the process. Such a thread starts no process and handles no signal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Once};
use std::thread;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow};

/// Enough for the deepest nesting that a jobfile may have. Unused stack costs only address space.
const STACK_SIZE: usize = 2 << 20;

/// Tells a loop that work has ended. All copies ring the same bell.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<EventFd>);

impl Bell {
    /// Makes a bell that has not been rung.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(Arc::new(EventFd::from_value_and_flags(0, flags)?)))
    }

    /// Makes it readable.
    pub(crate) fn ring(&self) {
        // One that is full of rings is readable.
        let _ = self.0.write(1);
    }

    /// Makes it not readable until the next ring.
    pub(crate) fn drain(&self) {
        let _ = self.0.read();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Runs `work` on a detached thread with all signals blocked. Errs if no thread can be created.
pub(crate) fn start(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    share_one_heap();
    let former = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started =
        thread::Builder::new().name("aside".to_owned()).stack_size(STACK_SIZE).spawn(work);
    former.thread_set_mask()?;
    started.map(|_| ())
}

/// Keeps the C library from making a heap for each thread: threads that mostly wait have no use for
/// one.
#[cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "the C library's settings"))]
pub(crate) fn share_one_heap() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(target_env = "gnu")]
        // SAFETY: mallopt(3) takes numbers; heaps that there are stay.
        unsafe {
            nix::libc::mallopt(nix::libc::M_ARENA_MAX, 1);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::poll;

    #[test]
    fn work_is_done_elsewhere_with_all_signals_blocked_and_rings() {
        let bell = Bell::new().unwrap();
        let (send, answer) = std::sync::mpsc::channel();
        let own = bell.clone();
        start(move || {
            let blocked = SigSet::thread_get_mask().unwrap();
            send.send((thread::current().id(), blocked)).unwrap();
            own.ring();
        })
        .unwrap();
        poll::wait(&mut [poll::readable(bell.as_fd())], None).unwrap();
        let (thread, blocked) = answer.try_recv().unwrap();
        assert_ne!(thread, thread::current().id());
        assert!(blocked.contains(nix::sys::signal::SIGTERM));
        let own = SigSet::thread_get_mask().unwrap();
        assert!(!own.contains(nix::sys::signal::SIGTERM));
        bell.drain();
        let mut fds = [poll::readable(bell.as_fd())];
        assert_eq!(poll::wait(&mut fds, Some(std::time::Duration::ZERO)).unwrap(), 0);
    }
}
