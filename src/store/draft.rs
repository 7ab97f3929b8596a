//! A file that is written under a name of its own and gets its final name when it is whole.
//!
//! The name cannot be guessed and must not be taken, so nobody can put a file or link there
//! beforehand. SQLite opens files by path: so drafts are only made in directories in which nobody
//! else may write, or which are sticky.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FcntlArg, FdFlag, OFlag, fcntl, open, openat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, linkat, mkstemp, unlinkat};

use super::StoreError;
use super::files::{beside, remove_if_there, with};
use crate::os::file::rename_if_free;

/// What SQLite puts beside a file that it writes.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

/// A new, empty file of mode 0600; removed at the end under the name that it has now.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    /// Makes one beside `path`, to whose name `word` and letters that nobody can guess are added.
    pub(super) fn beside(path: &Path, word: &str) -> Result<Self, StoreError> {
        let failed = |errno: nix::Error| StoreError::Unreadable(path.to_path_buf(), errno.into());
        let (file, made) = mkstemp(&beside(path, &format!("{word}-XXXXXX"))).map_err(failed)?;
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(failed)?;
        Ok(Self { path: made, file: File::from(file) })
    }

    /// Its name until it gets its own.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many bytes it has.
    pub(super) fn len(&self) -> Result<u64, StoreError> {
        let meta = self.file.metadata();
        meta.map(|meta| meta.len())
            .map_err(|error| StoreError::Unreadable(self.path.clone(), error))
    }

    /// Puts it on disk. Errs if another file has its name.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::Unreadable(self.path.clone(), error);
        self.file.sync_all().map_err(failed)?;
        let (ours, there) = self
            .file
            .metadata()
            .and_then(|ours| Ok((ours, fs::symlink_metadata(&self.path)?)))
            .map_err(failed)?;
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            Ok(())
        } else {
            Err(failed(replaced()))
        }
    }

    /// Copies it to `path` in a directory in which others may write, where nothing must stand yet,
    /// and puts that on disk.
    ///
    /// Everything is done by open files: what gets the name is what was written, or nothing does.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        self.copied_to(path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                StoreError::Exists(path.to_path_buf())
            } else {
                StoreError::Unreadable(path.to_path_buf(), error)
            }
        })
    }

    fn copied_to(&self, path: &Path) -> io::Result<()> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::EISDIR.into());
        };
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = open(dir, flags, Mode::empty())?;
        let word = RandomState::new().hash_one(path);
        let mut first = name.to_owned();
        first.push(format!(".new-{word:016x}"));
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut copy =
            File::from(openat(&dir, first.as_os_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        let named = io::copy(&mut &self.file, &mut copy)
            .and_then(|_| copy.sync_all())
            .and_then(|()| publish(&dir, &copy, Path::new(&first), Path::new(name)));
        // It is the second name of a whole file, or of no use.
        let _ = unlinkat(&dir, first.as_os_str(), UnlinkatFlags::NoRemoveDir);
        named?;
        File::from(dir).sync_all()
    }
}

/// Gives an open file its name in a directory if nothing has it.
fn publish(dir: &OwnedFd, file: &File, first: &Path, name: &Path) -> io::Result<()> {
    let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(AT_FDCWD, itself.as_str(), dir, name, AtFlags::AT_SYMLINK_FOLLOW) {
        // A file system without hard links.
        Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EXDEV) => {
            rename_if_free(dir, first, name)?;
        }
        Err(Errno::ENOENT) => return Err(replaced()),
        answer => answer?,
    }
    let (ours, there) = (file.metadata()?, fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?);
    if (ours.dev(), ours.ino()) == (there.st_dev, there.st_ino) { Ok(()) } else { Err(replaced()) }
}

fn replaced() -> io::Error {
    io::Error::other("was replaced while it was written")
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It has gone to its name, or is of no use.
        let _ = remove_if_there(&self.path);
        for suffix in BESIDE {
            let _ = remove_if_there(&with(&self.path, suffix));
        }
    }
}
