//! Session keyrings (session-keyring(7)): what a process finds keys in, and gives to its children
//! with them.

use nix::errno::Errno;
use nix::libc;

/// The operation of keyctl(2).
const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;

/// Leaves the session keyring of this process for a new one with nothing in it. Does nothing where
/// there are no keyrings: the kernel has none, or a container forbids them.
#[expect(unsafe_code, reason = "nix has no keyctl(2)")]
pub(crate) fn join_new_session() -> Result<(), Errno> {
    let unnamed = std::ptr::null::<libc::c_char>();
    // SAFETY: no name is given; the kernel makes a keyring and touches no memory of this process.
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, unnamed) };
    match Errno::result(joined) {
        Ok(_) | Err(Errno::ENOSYS | Errno::EPERM | Errno::EOPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno),
    }
}
