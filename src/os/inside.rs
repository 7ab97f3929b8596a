//! The state directory: private to its user, and nothing in it is reached through a symbolic link.
//!
//! The path to the state directory itself may contain links.

use std::ffi::OsStr;
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
use crate::os::user;

/// The mode bits that a state directory denies to everybody but its user.
const PRIVATE: Mode = Mode::S_IRWXU;

/// The mode bits by which others may write, and by which they may do anything.
const WRITABLE: u32 = 0o022;
const OPEN: u32 = 0o077;

/// The store; with a suffix also its log, copies and drafts.
const STORE: &str = "jobctl.db";

/// A supervisor has run here, so there was a store.
const OFFICE: &str = "supervisor.lock";

/// What exists before there is a store, or after one was removed.
const OURS: [&str; 9] =
    ["wake", "mark", "locks", "slots", "output", "reports", "reserve", "spare", "lost+found"];

/// What to do with a state directory that others can write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wide {
    /// Close it, if the caller is its supervisor and others left nothing in it.
    Close,
    /// Refuse it.
    Refuse,
}

/// Creates the state directory and the directories in it if they are missing.
///
/// One that was there is taken only if it is empty or has a store, or the beginning of one; its
/// mode is left as it is, unless others may write in it and `wide` says to close it. Errs with a
/// message that names the path: also where one of the directories belongs to somebody else or is a
/// link, and where others could write and left something that is not this user's.
pub(crate) fn make_private(state_dir: &Path, inside: &[&str], wide: Wide) -> io::Result<()> {
    make_way(state_dir).map_err(|error| of_path(state_dir, &error))?;
    let dir = open_dir(state_dir)?;
    refuse_somebody_elses(&dir, state_dir)?;
    refuse_used_for_other_things(state_dir)?;
    match wide {
        Wide::Close => close_to_others(&dir, state_dir, WRITABLE)?,
        Wide::Refuse => refuse_wide(&dir, state_dir)?,
    }
    for name in inside {
        let path = state_dir.join(name);
        match mkdirat(&dir, *name, PRIVATE) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(of_path(&path, &errno.into())),
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let sub = openat(&dir, *name, flags, Mode::empty())
            .map_err(|errno| of_path(&path, &reason(&path, "is", errno)))?;
        refuse_somebody_elses(&sub, &path)?;
        close_to_others(&sub, &path, OPEN)?;
    }
    Ok(())
}

/// Errs as [`make_private`] does where somebody else has the state directory, or others may write
/// in it. One that is missing is right.
pub(crate) fn judge(state_dir: &Path) -> io::Result<()> {
    let dir = match open_dir(state_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        dir => dir?,
    };
    refuse_somebody_elses(&dir, state_dir)?;
    refuse_wide(&dir, state_dir)
}

/// Creates a directory and its missing parents, private to this user.
fn make_way(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE.bits()).create(dir)
}

fn open_dir(dir: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(dir, flags, Mode::empty()).map_err(|errno| of_path(dir, &errno.into()))
}

/// Opens a file in a directory of the state directory; neither may be a symbolic link.
pub(crate) fn open_inside(path: &Path, flags: OFlag) -> io::Result<File> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::EISDIR.into());
    };
    let pass = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir_fd =
        open(dir, pass, Mode::empty()).map_err(|errno| reason(dir, "its directory is", errno))?;
    open_at(dir_fd.as_fd(), Path::new(name), flags).map_err(|errno| reason(path, "is", errno))
}

/// Opens a file in the state directory itself; it may not be a symbolic link.
pub(crate) fn open_top(path: &Path, flags: OFlag) -> io::Result<File> {
    open_at(nix::fcntl::AT_FDCWD, path, flags).map_err(|errno| reason(path, "is", errno))
}

fn open_at(dir: impl AsFd, path: &Path, flags: OFlag) -> nix::Result<File> {
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    openat(dir, path, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
}

/// Returns why a path was not opened, and explains it if a link is the reason.
fn reason(path: &Path, what: &str, errno: Errno) -> io::Error {
    let is_link = matches!(errno, Errno::ELOOP | Errno::ENOTDIR)
        && fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    if is_link {
        let text = format!("{what} a symbolic link; links in a state directory are not followed");
        return io::Error::other(text);
    }
    errno.into()
}

fn of_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {}", path.display(), plain(error)))
}

fn refuse_somebody_elses(dir: &OwnedFd, path: &Path) -> io::Result<()> {
    let stat = fstat(dir).map_err(|errno| of_path(path, &errno.into()))?;
    if is_ours(stat.st_uid) {
        return Ok(());
    }
    let (owner, sudo) = (user::name_of(stat.st_uid), user::sudo_jobctl(stat.st_uid));
    Err(denied(format!("{}: belongs to {owner}: use `{sudo} ...`", path.display())))
}

/// Refuses a directory that has entries but no store: it serves another purpose.
fn refuse_used_for_other_things(state_dir: &Path) -> io::Result<()> {
    let named = |error: io::Error| of_path(state_dir, &error);
    let mut strange = None;
    for entry in fs::read_dir(state_dir).map_err(named)? {
        let name = entry.map_err(named)?.file_name();
        if name == STORE || name == OFFICE {
            return Ok(());
        }
        if !is_one_of_ours(&name) {
            strange = Some(name);
        }
    }
    let Some(name) = strange else {
        return Ok(());
    };
    Err(io::Error::other(format!(
        "{}: not a state directory (it has `{}` and no store); name an empty or new directory",
        state_dir.display(),
        name.display()
    )))
}

/// Whether a supervisor or verb makes this name in a state directory, a state directory of another
/// jobfile has it, or every new file system does.
fn is_one_of_ours(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let is_of_jobfile = name.rsplit_once('-').is_some_and(|(_, hash)| {
        hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    OURS.contains(&name) || is_of_jobfile || name.starts_with(STORE)
}

/// Removes the rights in `bits` from everybody but this user.
fn close_to_others(dir: &OwnedFd, path: &Path, bits: u32) -> io::Result<()> {
    let mode = fstat(dir).map_err(|errno| of_path(path, &errno.into()))?.st_mode;
    if mode & WRITABLE != 0 {
        refuse_strange(path)?;
    }
    if mode & bits == 0 {
        return Ok(());
    }
    match fchmod(dir, PRIVATE) {
        // One of root's that everybody may write in, as container runtimes make them for ordinary
        // users.
        Ok(()) | Err(Errno::EPERM) => Ok(()),
        Err(errno) => Err(of_path(path, &errno.into())),
    }
}

/// Refuses a directory in which others may write, unless this user could not close it: then it is
/// as its supervisor took it.
fn refuse_wide(dir: &OwnedFd, path: &Path) -> io::Result<()> {
    let stat = fstat(dir).map_err(|errno| of_path(path, &errno.into()))?;
    let me = Uid::effective();
    if stat.st_mode & WRITABLE == 0 || !me.is_root() && stat.st_uid != me.as_raw() {
        return Ok(());
    }
    refuse_strange(path)?;
    Err(denied(format!(
        "{}: other users may write to it (mode {:04o}); start `jobctl run`, which closes it, \
             or run `chmod 700 {}`",
        path.display(),
        stat.st_mode & 0o7777,
        path.display()
    )))
}

/// Others may have put something there: what is not this user's is not used.
fn refuse_strange(path: &Path) -> io::Result<()> {
    let named = |error: io::Error| of_path(path, &error);
    for entry in fs::read_dir(path).map_err(named)? {
        let entry = entry.map_err(named)?;
        let owner = entry.metadata().map_err(named)?.uid();
        if !is_ours(owner) {
            return Err(denied(format!(
                "{}: belongs to uid {owner}, put there while others could write; check and \
                     remove it, then run `chmod 700 {}`",
                entry.path().display(),
                path.display()
            )));
        }
    }
    Ok(())
}

fn denied(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text)
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
        make_private(&dir.join("link"), &["locks"], Wide::Close).unwrap();
        assert_eq!(mode(&dir.join("real")), 0o700);
        assert_eq!(mode(&dir.join("real/locks")), 0o700);
        make_private(&dir.join("new/state"), &["locks"], Wide::Refuse).unwrap();
        assert_eq!(mode(&dir.join("new/state")), 0o700);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_directory_with_other_things_is_left_alone_and_one_that_was_begun_is_taken() {
        let dir = place("other");
        for (name, is_taken) in [
            ("lost+found", true),
            ("locks", true),
            ("jobctl.db.new-AbCdEf", true),
            ("my_jobs-62a9cd19", true),
            ("index.html", false),
            ("jobs-62a9cd1x", false),
        ] {
            let state = dir.join(name).join("state");
            fs::create_dir_all(state.join(name)).unwrap();
            fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
            for wide in [Wide::Refuse, Wide::Close] {
                let made = make_private(&state, &["locks"], wide);
                assert_eq!(made.is_ok(), is_taken, "{name}: {made:?}");
                assert_eq!(mode(&state), 0o755, "{name}");
                assert_eq!(state.join("locks").exists(), is_taken, "{name}");
            }
            fs::write(state.join("jobctl.db"), "").unwrap();
            make_private(&state, &["locks"], Wide::Refuse).unwrap();
            fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
            let refused = make_private(&state, &["locks"], Wide::Refuse).unwrap_err();
            assert!(refused.to_string().contains("other users may write"), "{refused}");
            assert_eq!(mode(&state), 0o777, "{name}");
            make_private(&state, &["locks"], Wide::Close).unwrap();
            assert_eq!(mode(&state), 0o700, "{name}");
        }
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
            make_private(&state, &["locks"], Wide::Close).unwrap_err(),
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
