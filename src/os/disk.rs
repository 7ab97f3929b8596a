//! Disk space: how much is free, and preallocated blocks.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;

use super::file;

/// Written where a file system cannot preallocate.
const ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

/// The size of a disk and its free space, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// All of it.
    pub(crate) total: u64,
    /// Bytes that this process may still use.
    pub(crate) available: u64,
    /// Files that this process may still create; none if the file system does not count them.
    pub(crate) files: Option<u64>,
}

/// The disk that a file or directory is on.
pub(crate) fn space(path: &Path) -> io::Result<Space> {
    let stat = statvfs(path)?;
    let block = stat.fragment_size();
    Ok(Space {
        total: stat.blocks().saturating_mul(block),
        available: stat.blocks_available().saturating_mul(block),
        files: (stat.files() > 0).then(|| stat.files_available()),
    })
}

/// Allocates the first `len` bytes of a file and sets its length. Errs with `StorageFull` if there
/// is no room.
pub(crate) fn allocate(fd: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    let end = i64::try_from(len).map_err(|_| Errno::EFBIG)?;
    match fallocate(fd, FallocateFlags::empty(), 0, end) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => write_zeros(fd, len),
        Err(errno) => Err(errno.into()),
        Ok(()) => Ok(()),
    }
}

/// The same without changing the length, so that later writes there cannot fail for want of room.
/// Does nothing if the file system cannot do it.
pub(crate) fn allocate_behind_end(fd: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    let end = i64::try_from(len).map_err(|_| Errno::EFBIG)?;
    match fallocate(fd, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, end) {
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn write_zeros(fd: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    let mut offset = 0;
    while offset < len {
        let part = usize::try_from(len - offset).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        file::write_at(fd, &ZEROS[..part], offset)?;
        offset += part as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_file_can_have_its_blocks_before_its_bytes() {
        let path = std::env::temp_dir().join(format!("jobctl-disk-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        allocate_behind_end(file.as_fd(), 8192).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        allocate(file.as_fd(), 100_000).unwrap();
        let meta = file.metadata().unwrap();
        assert_eq!(meta.len(), 100_000);
        assert!(meta.blocks() * 512 >= 100_000, "{}", meta.blocks());
        let space = space(&path).unwrap();
        assert!(space.available <= space.total);
        write_zeros(file.as_fd(), 40_000).unwrap();
        std::fs::remove_file(path).unwrap();
    }
}
