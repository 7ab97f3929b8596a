//! A process that gives up what it does not need.

use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::setsid;

/// The highest number of a capability that is tried; the kernel refuses those it does not know.
const CAPABILITY_MAX: libc::c_ulong = 63;

/// `_LINUX_CAPABILITY_VERSION_3` (capget(2)).
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Makes this process one of no terminal, which is killed when the thread that started it ends.
/// Who had ended before is known by a socket between the two.
pub(crate) fn belong_to_parent() -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    setsid()?;
    Ok(())
}

/// Gives up all capabilities for good; nothing that is executed gets them back.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    prctl::set_no_new_privs()?;
    for capability in 0..=CAPABILITY_MAX {
        // Without CAP_SETPCAP there is none to take away.
        let _ = prctl_drop(capability);
    }
    clear_ambient()?;
    set_none()
}

/// Lets this process leave no memory image, and use so much memory for its data.
pub(crate) fn limit(data_max: u64) -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_DATA, data_max, data_max)?;
    Ok(())
}

#[expect(unsafe_code, reason = "nix does not have it")]
fn prctl_drop(capability: libc::c_ulong) -> io::Result<()> {
    // SAFETY: prctl(2) with PR_CAPBSET_DROP takes numbers only.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) })
}

#[expect(unsafe_code, reason = "nix does not have it")]
fn clear_ambient() -> io::Result<()> {
    let all = libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong;
    // SAFETY: prctl(2) with PR_CAP_AMBIENT takes numbers only.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, all, 0, 0, 0) })
}

/// The header and the sets of capset(2).
#[expect(unsafe_code, reason = "nix does not have it")]
fn set_none() -> io::Result<()> {
    let header: [u32; 2] = [CAPABILITY_VERSION, 0];
    let none: [u32; 6] = [0; 6];
    // SAFETY: the kernel reads a header of two numbers and, by its version, two sets of three; both
    // live until the call returns.
    let answer = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    Errno::result(answer).map(drop).map_err(Into::into)
}

fn check(answer: libc::c_int) -> io::Result<()> {
    Errno::result(answer).map(drop).map_err(Into::into)
}
