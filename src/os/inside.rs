//! The state directory and what is in it: for nobody but its user, and nothing in it is reached through a symbolic link.
//!
//! The way to the state directory may go through links, as that of any other directory.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::Uid;

use crate::core::reason::plain;

/// What a state directory is for everybody but its user: closed.
const PRIVATE: Mode = Mode::S_IRWXU;

/// What others may do in a directory if they may write there.
const WRITABLE: u32 = 0o022;

/// Makes the state directory and the directories in it where they are missing, and closes them to others.
///
/// Errs with a message that names the path: where one of them belongs to somebody else or is a link, and where others could
/// write and left something that is not this user's.
pub(crate) fn make_private(state_dir: &Path, inside: &[&str]) -> io::Result<()> {
    let named = |error: io::Error| of_path(state_dir, &error);
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE.bits())
        .create(state_dir)
        .map_err(named)?;
    let dir = open(
        state_dir,
        OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| named(errno.into()))?;
    close_to_others(&dir, state_dir)?;
    for name in inside {
        let path = state_dir.join(name);
        match mkdirat(&dir, *name, PRIVATE) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(of_path(&path, &errno.into())),
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let sub = openat(&dir, *name, flags, Mode::empty())
            .map_err(|errno| of_path(&path, &reason(&path, "is", errno)))?;
        close_to_others(&sub, &path)?;
    }
    Ok(())
}

/// Opens a file in a directory of the state directory; neither of the two may be a symbolic link.
pub(crate) fn open_inside(path: &Path, flags: OFlag) -> io::Result<File> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::EISDIR.into());
    };
    let pass = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir_fd =
        open(dir, pass, Mode::empty()).map_err(|errno| reason(dir, "its directory is", errno))?;
    open_at(dir_fd.as_fd(), Path::new(name), flags).map_err(|errno| reason(path, "is", errno))
}

/// Opens a file that stands in the state directory itself; it may not be a symbolic link.
pub(crate) fn open_top(path: &Path, flags: OFlag) -> io::Result<File> {
    open_at(nix::fcntl::AT_FDCWD, path, flags).map_err(|errno| reason(path, "is", errno))
}

fn open_at(dir: impl AsFd, path: &Path, flags: OFlag) -> nix::Result<File> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    openat(dir, path, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
}

/// Why a path was not opened, in words where it is because of a link.
fn reason(path: &Path, what: &str, errno: Errno) -> io::Error {
    let is_link = matches!(errno, Errno::ELOOP | Errno::ENOTDIR)
        && fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    if is_link {
        let text = format!("{what} a symbolic link, which is not followed in a state directory");
        return io::Error::other(text);
    }
    errno.into()
}

fn of_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{}: {}", path.display(), plain(error)),
    )
}

/// Makes an open directory one of this user's own, if it may be.
fn close_to_others(dir: &OwnedFd, path: &Path) -> io::Result<()> {
    let stat = fstat(dir).map_err(|errno| of_path(path, &errno.into()))?;
    if !is_ours(stat.st_uid) {
        let text = format!(
            "{}: belongs to uid {}, so it is not a state directory for uid {}",
            path.display(),
            stat.st_uid,
            Uid::effective()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    if stat.st_mode & WRITABLE != 0 {
        refuse_strange(path)?;
    }
    if stat.st_mode & 0o077 == 0 {
        return Ok(());
    }
    match fchmod(dir, PRIVATE) {
        // One of root's that everybody may write in, as container runtimes make them for ordinary users.
        Ok(()) | Err(Errno::EPERM) => Ok(()),
        Err(errno) => Err(of_path(path, &errno.into())),
    }
}

/// Others may have put something there: what is not this user's is not used.
fn refuse_strange(path: &Path) -> io::Result<()> {
    let named = |error: io::Error| of_path(path, &error);
    for entry in fs::read_dir(path).map_err(named)? {
        let entry = entry.map_err(named)?;
        let owner = entry.metadata().map_err(named)?.uid();
        if !is_ours(owner) {
            let text = format!(
                "{}: belongs to uid {owner}, who could write in this state directory; look at it and remove it, then `chmod 700 {}`",
                entry.path().display(),
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
    }
    Ok(())
}

/// Root may do everything anyway.
fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == Uid::effective().as_raw() || uid == Uid::current().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    fn place(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("jobctl-inside-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_state_directory_is_closed_to_others_and_may_be_reached_through_a_link() {
        let dir = place("made");
        fs::create_dir(dir.join("real")).unwrap();
        fs::set_permissions(dir.join("real"), fs::Permissions::from_mode(0o777)).unwrap();
        symlink("real", dir.join("link")).unwrap();
        make_private(&dir.join("link"), &["locks"]).unwrap();
        assert_eq!(mode(&dir.join("real")), 0o700);
        assert_eq!(mode(&dir.join("real/locks")), 0o700);
        make_private(&dir.join("new/state"), &["locks"]).unwrap();
        assert_eq!(mode(&dir.join("new/state")), 0o700);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_link_in_it_is_named_and_not_followed_whether_directory_or_file() {
        let dir = place("links");
        let victim = dir.join("victim");
        fs::create_dir_all(dir.join("state/slots")).unwrap();
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("1.rec"), "precious").unwrap();
        symlink(&victim, dir.join("state/locks")).unwrap();
        symlink(victim.join("1.rec"), dir.join("state/slots/1.rec")).unwrap();
        symlink(victim.join("1.rec"), dir.join("state/wake")).unwrap();
        let state = dir.join("state");
        let write = OFlag::O_RDWR | OFlag::O_CREAT;
        for error in [
            make_private(&state, &["locks"]).unwrap_err(),
            open_inside(&state.join("locks/1.rec"), write).unwrap_err(),
            open_inside(&state.join("locks/new"), write).unwrap_err(),
            open_inside(&state.join("slots/1.rec"), write).unwrap_err(),
            open_top(&state.join("wake"), write).unwrap_err(),
        ] {
            assert!(error.to_string().contains("a symbolic link"), "{error}");
        }
        assert!(open_inside(&state.join("slots/2.rec"), write).is_ok());
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }
}
