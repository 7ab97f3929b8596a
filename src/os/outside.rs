//! Files outside the state directory that others read: replaced whole, or touched. No symbolic link
//! is followed at their name, nothing is waited for, and for root nobody else may have a hand in
//! the way to their directory.
//!
//! The directory itself may be another user's, as those of collectors are: what is done here stays
//! in it, and he could do it himself.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::trust;

/// Never another file, never a wait, never a terminal of ours.
const SAFELY: OFlag =
    OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

const MODE: Mode = Mode::from_bits_truncate(0o644);

/// Replaces a file atomically with these bytes, readable by all. Not synced. Errs if the name is
/// taken by anything but a regular file.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (dir, name) = place_of(path)?;
    match fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG => {}
        Ok(_) => return Err(no_file()),
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let draft = draft_of(name);
    remove_if_there(&dir, &draft)?;
    let flags = SAFELY | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let mut file = File::from(openat(&dir, draft.as_os_str(), flags, MODE)?);
    let written =
        file.write_all(bytes).and_then(|()| Ok(renameat(&dir, draft.as_os_str(), &dir, name)?));
    if written.is_err() {
        // Nobody reads half a file under a hidden name.
        let _ = remove_if_there(&dir, &draft);
    }
    written
}

/// Creates a file if it is missing and sets its modification time to `at`. Errs if it is not a
/// regular file or has another link.
pub(crate) fn touch(path: &Path, at: SystemTime) -> io::Result<()> {
    let (dir, name) = place_of(path)?;
    let flags = SAFELY | OFlag::O_WRONLY | OFlag::O_CREAT;
    let file = match openat(&dir, name, flags, MODE) {
        Ok(file) => File::from(file),
        // What it says of a link, and of a FIFO that nobody reads.
        Err(Errno::ELOOP | Errno::ENXIO) => return Err(no_file()),
        Err(errno) => return Err(errno.into()),
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(no_file());
    }
    if meta.nlink() > 1 {
        return Err(io::Error::other("a file with another name (hard link)"));
    }
    file.set_modified(at)
}

/// The open directory of a path, and the name in it.
fn place_of(path: &Path) -> io::Result<(File, &OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    Ok((trust::open_place(parent)?, name))
}

fn draft_of(name: &OsStr) -> OsString {
    let mut draft = OsString::from(".");
    draft.push(name);
    draft.push(format!(".jobctl-{}", std::process::id()));
    draft
}

fn remove_if_there(dir: &File, name: &OsStr) -> io::Result<()> {
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn no_file() -> io::Error {
    io::Error::other("not a regular file")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn place(name: &str) -> PathBuf {
        let dir = std::env::temp_dir()
            .canonicalize()
            .unwrap()
            .join(format!("jobctl-outside-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_file_is_replaced_whole_and_touched() {
        let dir = place("whole");
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for text in ["one", "two"] {
            replace(&dir.join("m"), text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(dir.join("m")).unwrap(), text);
        }
        touch(&dir.join("m"), at).unwrap();
        touch(&dir.join("new"), at).unwrap();
        for name in ["m", "new"] {
            let meta = fs::metadata(dir.join(name)).unwrap();
            assert_eq!(meta.modified().unwrap(), at);
        }
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn links_fifos_and_directories_are_refused_at_once_and_left_alone() {
        let dir = place("refused");
        fs::write(dir.join("target"), "text").unwrap();
        fs::hard_link(dir.join("target"), dir.join("hard")).unwrap();
        symlink("target", dir.join("link")).unwrap();
        symlink("nothing", dir.join("dangling")).unwrap();
        nix::unistd::mkfifo(&dir.join("fifo"), Mode::S_IRWXU).unwrap();
        fs::create_dir(dir.join("dir")).unwrap();
        let at = SystemTime::UNIX_EPOCH;
        for name in ["link", "dangling", "fifo", "dir"] {
            assert!(replace(&dir.join(name), b"x").is_err(), "{name}");
            assert!(touch(&dir.join(name), at).is_err(), "{name}");
        }
        assert!(touch(&dir.join("hard"), at).is_err());
        assert!(!dir.join("nothing").exists());
        assert_eq!(fs::read_to_string(dir.join("target")).unwrap(), "text");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 6);
        fs::remove_dir_all(dir).unwrap();
    }
}
