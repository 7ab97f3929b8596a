//! Names and places of the store's files and their copies: how SQLite is told of them, which file
//! has a name, and how they get on disk under it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::core::time::Wall;
use crate::os::file::rename_if_free;

/// The name of a file as SQLite takes it, for reading only. Where no log stands beside it nobody
/// writes it, and then a read-only directory is no hindrance.
pub(super) fn uri(path: &Path) -> Result<String, StoreError> {
    let mut uri = "file://".to_owned();
    for c in text(path)?.chars() {
        match c {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            _ => uri.push(c),
        }
    }
    uri.push_str("?mode=ro");
    if !with(path, "-wal").exists() {
        uri.push_str("&immutable=1");
    }
    Ok(uri)
}

/// Device and inode of a file; none where there is none.
pub(super) fn identity_of(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Returns whether two names are of one file.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    identity_of(one).is_some_and(|one| identity_of(other) == Some(one))
}

/// Removes a file, or finds that there is none.
pub(super) fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The path with its directory resolved, because SQLite is told to follow no link.
pub(super) fn resolved(path: &Path) -> Result<PathBuf, StoreError> {
    let unreadable = |error| StoreError::Unreadable(path.to_path_buf(), error);
    let Some(name) = path.file_name() else {
        return Err(unreadable(std::io::Error::other("not a file")));
    };
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        Some(_) | None => Path::new("."),
    };
    Ok(fs::canonicalize(dir).map_err(unreadable)?.join(name))
}

/// SQLite's names are UTF-8.
pub(super) fn text(path: &Path) -> Result<&str, StoreError> {
    path.to_str().ok_or_else(|| {
        let error = std::io::Error::other("the path is not UTF-8");
        StoreError::Unreadable(path.to_path_buf(), error)
    })
}

/// The path with this behind it.
pub(super) fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A name of its own in the same directory.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    with(path, &format!(".{suffix}"))
}

/// `jobctl.db.before-restore-1785067200`, with a number behind it where that is taken.
pub(super) fn kept_name(path: &Path, now: Wall) -> PathBuf {
    let first = beside(path, &format!("before-restore-{}", now.secs()));
    let is_free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    std::iter::once(first.clone())
        .chain((1_u32..).map(|number| with(&first, &format!("-{number}"))))
        .find(is_free)
        .unwrap_or(first)
}

/// Gives a file its name if nothing has it.
pub(super) fn name(draft: &Path, path: &Path) -> Result<(), StoreError> {
    use nix::errno::Errno;
    let answer = match rename_if_free(nix::fcntl::AT_FDCWD, draft, path) {
        // A file system that cannot promise it.
        Err(Errno::EINVAL | Errno::ENOSYS) => fs::hard_link(draft, path),
        answer => answer.map_err(std::io::Error::from),
    };
    answer.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            StoreError::Exists(path.to_path_buf())
        } else {
            StoreError::Unreadable(path.to_path_buf(), error)
        }
    })
}

/// Puts a file or directory on disk.
pub(super) fn sync(path: &Path) -> Result<(), StoreError> {
    fs::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| StoreError::Unreadable(path.to_path_buf(), error))
}

/// Puts a name on disk.
pub(super) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    path.parent().map_or(Ok(()), sync)
}
