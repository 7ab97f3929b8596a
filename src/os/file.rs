//! Positioned reads and writes on open files, and files in memory.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::uio;
use nix::{NixPath, libc};

/// Checks that this process may create and replace files in a directory (access(2)); errs with the
/// reason why not.
pub(crate) fn is_writable_dir(dir: &Path) -> io::Result<()> {
    let may = nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK;
    Ok(nix::unistd::access(dir, may)?)
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_at(fd: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> io::Result<()> {
    match write_at_most(fd, bytes, offset) {
        (_, None) => Ok(()),
        (_, Some(errno)) => Err(errno.into()),
    }
}

/// Writes as much of `bytes` as possible at `offset`, or at the end if the file was opened to
/// append (pwrite(2), BUGS). Returns how much, and why not more.
pub(crate) fn write_at_most(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    offset: u64,
) -> (usize, Option<Errno>) {
    let mut written = 0;
    while written < bytes.len() {
        let Ok(place) = i64::try_from(offset + written as u64) else {
            return (written, Some(Errno::EFBIG));
        };
        match uio::pwrite(fd, &bytes[written..], place) {
            Ok(0) => return (written, Some(Errno::EIO)),
            Ok(more) => written += more,
            Err(Errno::EINTR) => {}
            Err(errno) => return (written, Some(errno)),
        }
    }
    (written, None)
}

/// Opens a regular file to append to and creates it if it is missing; follows links. Never waits
/// for the other end of a FIFO.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened =
        OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(path);
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        // What it says of a FIFO that nobody reads.
        Err(error) if error.raw_os_error() != Some(libc::ENXIO) => Err(error),
        Ok(_) | Err(_) => Err(io::Error::other("not a regular file")),
    }
}

/// Opens a file for reading, without waiting for the other end of a FIFO.
pub(crate) fn open_at_once(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Reads a regular file of at most `len_max` bytes. Never waits: neither for the other end of a
/// FIFO nor for an endless device.
pub(crate) fn read_small(path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
    read_whole(open_at_once(path)?, len_max)
}

/// Reads a regular file of at most `len_max` bytes that [`open_at_once`] has opened, or one that
/// opens as it does.
pub(crate) fn read_whole(file: File, len_max: u64) -> io::Result<Vec<u8>> {
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("not a file"));
    }
    if meta.len() > len_max {
        return Err(io::Error::other(format!("longer than {len_max} bytes")));
    }
    let mut bytes = Vec::new();
    file.take(len_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads up to `len_max` bytes from `offset`; fewer only at the end of the file.
pub(crate) fn read_at(fd: BorrowedFd<'_>, offset: u64, len_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len_max];
    let mut len = 0;
    while len < len_max {
        let place = i64::try_from(offset + len as u64).map_err(|_| Errno::EFBIG)?;
        match uio::pread(fd, &mut bytes[len..], place) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

/// Makes a sealed file in memory that holds `bytes`, positioned at its beginning.
pub(crate) fn sealed_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = memfd_create(c"jobctl", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    write_at(file.as_fd(), bytes, 0)?;
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

/// A hidden, unpredictable name beside `path`. The file is created with `create_new`, so nobody
/// else can own it.
pub(crate) fn draft_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".jobctl-{:016x}", RandomState::new().hash_one(path)));
    path.with_file_name(name)
}

/// Renames an entry of a directory unless the new name exists. nix has renameat2(2) only for one C
/// library.
#[expect(unsafe_code, reason = "a raw call")]
pub(crate) fn rename_if_free(dir: impl AsFd, from: &Path, to: &Path) -> nix::Result<()> {
    let dir = dir.as_fd().as_raw_fd();
    let answer = from.with_nix_path(|from| {
        to.with_nix_path(|to| {
            let (from, to, flags) = (from.as_ptr(), to.as_ptr(), libc::RENAME_NOREPLACE);
            // SAFETY: the kernel reads two strings that live until the call returns.
            unsafe { libc::syscall(libc::SYS_renameat2, dir, from, dir, to, flags) }
        })
    })??;
    Errno::result(answer).map(drop)
}

/// Renames an open file over another name, provided that it still has its own: others may write in
/// the directory.
pub(crate) fn rename_own(file: &File, from: &Path, to: &Path) -> io::Result<()> {
    let (ours, there) = (file.metadata()?, std::fs::symlink_metadata(from)?);
    if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
        return Err(io::Error::other("was replaced in the meantime"));
    }
    std::fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_memory_holds_what_it_was_given_and_cannot_be_changed() {
        let file = sealed_memory(b"hello").unwrap();
        assert_eq!(read_at(file.as_fd(), 1, 100).unwrap(), b"ello");
        assert!(write_at(file.as_fd(), b"x", 0).is_err());
    }
}
