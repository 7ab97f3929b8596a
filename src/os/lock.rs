//! File locks (flock(2)): taken without waiting, held by an open file, and so passed to other
//! processes.
//!
//! Closing one copy of the open file leaves the lock to the others; only [`File::unlock`] releases
//! it for all.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::inside::{open_inside, open_top};

/// How often a lock file may be replaced while it is being locked before it counts as held.
const REPLACED_MAX: u32 = 16;

/// Creates the lock file if it is missing.
const MAKE: OFlag = OFlag::O_RDWR.union(OFlag::O_CREAT);

/// Who may hold it at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nobody else.
    Exclusive,
    /// Others who share it.
    Shared,
}

/// Takes the lock on the file at `path` and makes the file where there is none (0600). None:
/// somebody else holds it.
///
/// The file is not locked any more once it was removed: whoever comes later would lock another
/// file. So the lock counts only if the file is still the one at `path` after it was locked. A
/// symbolic link is refused.
pub(crate) fn try_lock(path: &Path, kind: Kind) -> io::Result<Option<File>> {
    try_lock_with(path, kind, || open_top(path, MAKE))
}

/// As [`try_lock`], for a file in a directory that may not be a symbolic link either.
pub(crate) fn try_lock_inside(path: &Path, kind: Kind) -> io::Result<Option<File>> {
    try_lock_with(path, kind, || open_inside(path, MAKE))
}

fn try_lock_with(
    path: &Path,
    kind: Kind,
    open: impl Fn() -> io::Result<File>,
) -> io::Result<Option<File>> {
    for _ in 0..REPLACED_MAX {
        let file = open()?;
        if !try_lock_open(&file, kind)? {
            return Ok(None);
        }
        if is_at(&file, path)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Takes the lock on an open file; false if somebody else holds it.
pub(crate) fn try_lock_open(file: &File, kind: Kind) -> io::Result<bool> {
    let taken = match kind {
        Kind::Exclusive => file.try_lock(),
        Kind::Shared => file.try_lock_shared(),
    };
    match taken {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The files of a directory that are locked with flock(2), and by which processes, as the kernel
/// lists them (proc_locks(5)). Takes no lock itself: even a look would be in somebody's way.
pub(crate) fn holders_in(dir: &Path) -> io::Result<Vec<(PathBuf, i32)>> {
    let table = fs::read_to_string("/proc/locks")?;
    let mut holders = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        holders.extend(holders_of(meta.ino(), &table).map(|pid| (path.clone(), pid)));
    }
    Ok(holders)
}

/// Returns whether a process holds the lock on a file, by the kernel's list. Takes no lock itself.
pub(crate) fn is_held(path: &Path) -> io::Result<bool> {
    let inode = fs::symlink_metadata(path)?.ino();
    let table = fs::read_to_string("/proc/locks")?;
    Ok(holders_of(inode, &table).next().is_some())
}

/// The processes that hold a file of this inode in the kernel's table.
fn holders_of(inode: u64, table: &str) -> impl Iterator<Item = i32> {
    table.lines().filter_map(move |line| {
        // 1: FLOCK  ADVISORY  WRITE 812 fd:01:131079 0 EOF
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = words.as_slice() else {
            return None;
        };
        let is_of_file = file.rsplit(':').next()?.parse() == Ok(inode);
        pid.parse().ok().filter(|_| is_of_file)
    })
}

/// Returns whether `path` names `file` now.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(there.dev() == ours.dev() && there.ino() == ours.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn place(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("jobctl-lock-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn an_exclusive_lock_keeps_everyone_out_and_shared_ones_go_together() {
        let dir = place("kinds");
        let path = dir.join("a.lock");
        let first = try_lock(&path, Kind::Shared).unwrap().unwrap();
        let second = try_lock(&path, Kind::Shared).unwrap().unwrap();
        assert!(try_lock(&path, Kind::Exclusive).unwrap().is_none());
        drop(first);
        assert!(try_lock(&path, Kind::Exclusive).unwrap().is_none());
        drop(second);
        let alone = try_lock(&path, Kind::Exclusive).unwrap().unwrap();
        assert!(try_lock(&path, Kind::Shared).unwrap().is_none());
        drop(alone);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn closing_one_copy_keeps_the_lock_and_unlocking_one_ends_it_for_all() {
        let dir = place("copies");
        let path = dir.join("a.lock");
        let first = try_lock(&path, Kind::Exclusive).unwrap().unwrap();
        let copy = File::from(first.as_fd().try_clone_to_owned().unwrap());
        drop(first);
        assert!(try_lock(&path, Kind::Exclusive).unwrap().is_none());
        let another = File::from(copy.as_fd().try_clone_to_owned().unwrap());
        another.unlock().unwrap();
        assert!(try_lock(&path, Kind::Exclusive).unwrap().is_some());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_symbolic_link_is_refused() {
        let dir = place("link");
        std::os::unix::fs::symlink("/dev/null", dir.join("a.lock")).unwrap();
        assert!(try_lock(&dir.join("a.lock"), Kind::Exclusive).is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_that_was_replaced_is_not_the_one_at_its_path() {
        let dir = place("replaced");
        let path = dir.join("a.lock");
        let old = try_lock(&path, Kind::Exclusive).unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&old, &path).unwrap());
        let new = try_lock(&path, Kind::Exclusive).unwrap().unwrap();
        assert!(is_at(&new, &path).unwrap());
        assert!(!is_at(&old, &path).unwrap());
        fs::remove_dir_all(dir).unwrap();
    }
}
