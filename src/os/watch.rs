//! inotify(7): tells that something happened to files and directories, and to which. What it means
//! is not decided here.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::libc;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

/// Events of watches that are being added; more than this are given up.
const EARLY_MAX: usize = 10_000;

/// What is watched at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Whether it goes away or is moved.
    Itself,
    /// Besides: names that come and go in this directory.
    Names,
    /// Besides: names that come and go in this directory, and files in it that are closed after
    /// writing.
    Files,
    /// Besides: what is written into this file, and its mode.
    Content,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// To a name in the directory `at`.
    Name {
        /// The directory.
        at: PathBuf,
        /// The name in it.
        name: OsString,
        /// What happened.
        change: Change,
        /// It is the name of a directory.
        is_dir: bool,
    },
    /// To a watched path itself.
    Itself,
    /// A watched path went away or was moved, or nobody knows what happened, because there was too
    /// much of it: what is there now has to be watched anew.
    Gone,
}

/// What happened to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was closed after writing, or moved there: a file is whole.
    Whole,
    /// It was removed, or moved away.
    Gone,
    /// Something else.
    Other,
}

/// Watched paths. Becomes readable when there is a notice. One thread may add paths while another
/// one takes notices.
#[derive(Debug)]
pub(crate) struct Watcher {
    inotify: Inotify,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    paths: HashMap<WatchDescriptor, Vec<PathBuf>>,
    /// Events of watches whose path another thread has just added and not noted yet.
    early: Vec<InotifyEvent>,
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl Watcher {
    /// Watches nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            inotify: Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?,
            known: Mutex::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a path; a symbolic link at its end is not followed. Errs with `StorageFull` at the
    /// user's limit of watches. Waits for the file system, if that does, and keeps nobody else from
    /// taking notices meanwhile.
    pub(crate) fn add(&self, path: &Path, what: What) -> io::Result<()> {
        let itself = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        let besides = match what {
            What::Itself => AddWatchFlags::empty(),
            What::Names => {
                AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVE | AddWatchFlags::IN_DELETE
            }
            What::Files => {
                AddWatchFlags::IN_CREATE
                    | AddWatchFlags::IN_MOVE
                    | AddWatchFlags::IN_DELETE
                    | AddWatchFlags::IN_CLOSE_WRITE
            }
            What::Content => {
                AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_ATTRIB
            }
        };
        // Two paths may be one thing, by a bind mount or a hard link: neither takes the other's
        // events away.
        let add = AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);
        let mask = itself | besides | add | AddWatchFlags::IN_DONT_FOLLOW;
        let descriptor = self.inotify.add_watch(path, mask)?;
        let mut known = self.known();
        let paths = known.paths.entry(descriptor).or_default();
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
        Ok(())
    }

    /// Takes what happened since the last time.
    pub(crate) fn take(&self) -> io::Result<Vec<Notice>> {
        let mut known = self.known();
        let mut events = std::mem::take(&mut known.early);
        loop {
            match self.inotify.read_events() {
                Ok(more) => events.extend(more),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let mut notices = Vec::new();
        for event in events {
            let is_lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
            match known.paths.get(&event.wd) {
                Some(paths) => notices.extend(notices_of(&event, paths)),
                None if !is_lost && known.early.len() < EARLY_MAX => known.early.push(event),
                None => notices.push(Notice::Gone),
            }
        }
        Ok(notices)
    }
}

fn notices_of(event: &InotifyEvent, paths: &[PathBuf]) -> Vec<Notice> {
    let gone = AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_IGNORED
        | AddWatchFlags::IN_UNMOUNT
        | AddWatchFlags::IN_Q_OVERFLOW;
    let Some(name) = &event.name else {
        let is_gone = event.mask.intersects(gone);
        return vec![if is_gone { Notice::Gone } else { Notice::Itself }];
    };
    let is = |mask: AddWatchFlags| event.mask.intersects(mask);
    let change = if is(AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO) {
        Change::Whole
    } else if is(AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM) {
        Change::Gone
    } else {
        Change::Other
    };
    let notice = |at: &PathBuf| Notice::Name {
        at: at.clone(),
        name: name.clone(),
        change,
        is_dir: is(AddWatchFlags::IN_ISDIR),
    };
    paths.iter().map(notice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_writes_are_told_and_nothing_else() {
        let dir = std::env::temp_dir().join(format!("jobctl-watch-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("a");
        std::fs::write(&file, "").unwrap();
        let watcher = Watcher::new().unwrap();
        watcher.add(&dir, What::Names).unwrap();
        watcher.add(&file, What::Content).unwrap();
        std::fs::read(&file).unwrap();
        assert_eq!(watcher.take().unwrap(), []);
        std::fs::write(&file, "x").unwrap();
        assert!(watcher.take().unwrap().contains(&Notice::Itself));
        std::fs::write(dir.join("b"), "x").unwrap();
        let created = Notice::Name {
            at: dir.clone(),
            name: "b".into(),
            change: Change::Other,
            is_dir: false,
        };
        assert_eq!(watcher.take().unwrap(), [created]);
        assert!(watcher.add(&dir.join("none"), What::Itself).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(watcher.take().unwrap().contains(&Notice::Gone));
    }
}
