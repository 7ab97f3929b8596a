//! The files in which commands report: in a directory that nobody else can write to, each belongs
//! to the user of its command.
//!
//! Whoever reads one follows no symbolic link, waits for nothing and reads a bounded part of it,
//! whatever the command has put there.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use nix::libc;
use nix::unistd::Uid;

use super::file;
use super::user::Identity;

/// Everybody may open a file there whose name he was told, and see nothing else.
const DIR_MODE: u32 = 0o711;

/// The end of a report's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// At most so many bytes as were asked for.
    pub(crate) bytes: Vec<u8>,
    /// There is more before them, so that the first line is a part of one.
    pub(crate) is_cut: bool,
}

impl Tail {
    /// What stands behind the first line that is only a part of one.
    pub(crate) fn whole_lines(&self) -> &[u8] {
        let end = self.bytes.iter().position(|byte| *byte == b'\n');
        match end.filter(|_| self.is_cut) {
            Some(end) => &self.bytes[end + 1..],
            None => &self.bytes,
        }
    }
}

/// Makes the directory, or makes sure that it is one of this user's that nobody else can write to.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIR_MODE).create(dir) {
        // The umask may have taken some of it away.
        Ok(()) => fs::set_permissions(dir, Permissions::from_mode(DIR_MODE))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let meta = fs::symlink_metadata(dir)?;
    if !meta.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    if meta.uid() != Uid::effective().as_raw() || meta.mode() & 0o022 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others can write to it"));
    }
    Ok(())
}

/// Makes an empty file that only `owner` can read and write; none is this user.
pub(crate) fn make(path: &Path, owner: Option<&Identity>) -> io::Result<()> {
    remove(path)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    match owner {
        Some(owner) => fchown(&file, Some(owner.uid), Some(owner.gid)),
        None => Ok(()),
    }
}

/// Reads the end of a file, of at most `len_max` bytes. Errs with `InvalidInput` for what is no
/// regular file of one name.
pub(crate) fn read(path: &Path, len_max: u64) -> io::Result<Tail> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.nlink() != 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let start = meta.len().saturating_sub(len_max);
    let len = usize::try_from(len_max.min(meta.len())).map_err(io::Error::other)?;
    Ok(Tail { bytes: file::read_at(file.as_fd(), start, len)?, is_cut: start > 0 })
}

/// Removes a report, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir =
                std::env::temp_dir().join(format!("jobctl-reports-{name}-{}", std::process::id()));
            make_dir(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_end_of_a_long_file_is_read() {
        let dir = Dir::new("end");
        let path = dir.0.join("1.1");
        make(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::write(&path, b"0123456789").unwrap();
        let tail = |bytes: &[u8], is_cut| Tail { bytes: bytes.to_vec(), is_cut };
        assert_eq!(read(&path, 4).unwrap(), tail(b"6789", true));
        assert_eq!(read(&path, 10).unwrap(), tail(b"0123456789", false));
        make(&path, None).unwrap();
        assert_eq!(read(&path, 10).unwrap(), tail(b"", false));
    }

    #[test]
    fn what_is_no_file_of_its_own_is_not_read() {
        let dir = Dir::new("own");
        let (secret, path) = (dir.0.join("secret"), dir.0.join("1.1"));
        fs::write(&secret, b"progress=1").unwrap();
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        assert!(read(&path, 10).is_err());
        remove(&path).unwrap();
        fs::hard_link(&secret, &path).unwrap();
        assert!(read(&path, 10).is_err());
        remove(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read(&path, 10).is_err());
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let dir = Dir::new("others");
        fs::set_permissions(&dir.0, Permissions::from_mode(0o777)).unwrap();
        assert!(make_dir(&dir.0).is_err());
        let link = dir.0.join("link");
        std::os::unix::fs::symlink(std::env::temp_dir(), &link).unwrap();
        assert!(make_dir(&link).is_err());
    }
}
