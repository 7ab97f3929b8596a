//! Sockets that clients connect to: opened here, or passed by the service manager (sd_listen_fds(3)).

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::fs::MetadataExt as _;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt,
};
use nix::unistd::Uid;

/// The first descriptor that a service manager passes (`SD_LISTEN_FDS_START`).
const PASSED_FIRST: RawFd = 3;

/// More are not looked at.
const PASSED_MAX: RawFd = 64;

/// A socket of the file system, and which file it is.
#[derive(Debug)]
pub(crate) struct Bound {
    /// It listens.
    pub(crate) socket: OwnedFd,
    identity: (u64, u64),
}

impl Bound {
    /// Removes its name, unless something else has that by now.
    pub(crate) fn remove(&self, path: &Path) {
        if fs::symlink_metadata(path)
            .is_ok_and(|meta| (meta.st_dev(), meta.st_ino()) == self.identity)
        {
            // One that stays is stale, and taken away by whoever listens there next.
            let _ = fs::remove_file(path);
        }
    }
}

/// Listens on a socket of the file system to which everybody may connect: who does is known by the
/// kernel. Makes its directory where only that is missing.
///
/// A socket that is there is removed if it is this user's and nobody listens on it.
pub(crate) fn bind_unix(path: &Path) -> io::Result<Bound> {
    match fs::symlink_metadata(path) {
        Ok(meta) => clear(path, &meta)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(dir) = path.parent().filter(|dir| !dir.exists()) {
                fs::DirBuilder::new().mode(0o755).create(dir)?;
            }
        }
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    // Not by its path, which in a directory of others may mean something else by now.
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.file_type().is_socket() || meta.st_uid() != Uid::effective().as_raw() {
        return Err(io::Error::other("was replaced while it was made"));
    }
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::set_permissions(own, fs::Permissions::from_mode(0o666))?;
    Ok(Bound { socket: listener.into(), identity: (meta.st_dev(), meta.st_ino()) })
}

/// Takes away a socket that nobody uses, and nothing else.
fn clear(path: &Path, meta: &fs::Metadata) -> io::Result<()> {
    if !meta.file_type().is_socket() {
        return Err(io::Error::other("exists and is not a socket"));
    }
    if meta.st_uid() != Uid::effective().as_raw() {
        return Err(io::Error::other("is somebody else's socket"));
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(probe.as_raw_fd(), &UnixAddr::new(path)?) {
        Err(Errno::ECONNREFUSED) => fs::remove_file(path),
        Ok(()) | Err(Errno::EAGAIN) => Err(io::Error::other("another process listens on it")),
        Err(errno) => Err(errno.into()),
    }
}

/// Listens on an address of this machine.
pub(crate) fn bind_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener.into())
}

/// Takes the listening sockets that the service manager has passed to this process. Must be called
/// once, before anything else is opened.
#[expect(unsafe_code, reason = "passed descriptors are numbers")]
pub(crate) fn passed() -> Vec<OwnedFd> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<i64>().ok();
    if number("LISTEN_PID") != Some(std::process::id().into()) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").and_then(|count| RawFd::try_from(count).ok()).unwrap_or(0);
    let numbers = PASSED_FIRST..PASSED_FIRST.saturating_add(count.clamp(0, PASSED_MAX));
    let open = numbers.filter(|&fd| {
        // SAFETY: it is asked for by its number only, whether it is open or not.
        let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).is_ok()
    });
    // SAFETY: the service manager has opened them for this process, which has opened nothing of
    // its own yet, and they are taken once.
    let owned = open.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    owned.filter(is_listening).collect()
}

/// Whether it is a stream socket that listens.
fn is_listening(fd: &OwnedFd) -> bool {
    let is_stream = getsockopt(fd, sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream);
    is_stream && getsockopt(fd, sockopt::AcceptConn).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("jobctl-listen-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn a_socket_is_for_all_its_directory_is_made_and_a_stale_one_is_replaced() {
        let dir = dir("own");
        let path = dir.join("door.sock");
        let bound = bind_unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        let error = bind_unix(&path).unwrap_err();
        assert_eq!(error.to_string(), "another process listens on it");
        // As after a kill: the name stays.
        drop(bound);
        let again = bind_unix(&path).unwrap();
        again.remove(&path);
        assert!(!path.exists());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_no_socket_of_this_user_is_left_alone() {
        let dir = dir("other");
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("file");
        fs::write(&path, "precious").unwrap();
        assert_eq!(bind_unix(&path).unwrap_err().to_string(), "exists and is not a socket");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        std::os::unix::fs::symlink(&path, dir.join("link")).unwrap();
        assert!(bind_unix(&dir.join("link")).is_err());
        if Uid::effective().is_root() {
            let path = dir.join("theirs");
            drop(UnixListener::bind(&path).unwrap());
            std::os::unix::fs::lchown(&path, Some(12_345), None).unwrap();
            assert_eq!(bind_unix(&path).unwrap_err().to_string(), "is somebody else's socket");
            assert!(path.exists());
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn another_socket_of_that_name_is_not_removed() {
        let dir = dir("name");
        let path = dir.join("door.sock");
        let bound = bind_unix(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        bound.remove(&path);
        assert!(path.exists());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn nothing_is_passed_to_another_process() {
        assert!(passed().is_empty());
    }
}
