//! inotify(7): tells that something happened to files and directories, and to which. What it means is not decided here.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// What is watched at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Whether it goes away or is moved.
    Itself,
    /// Besides: names that come and go in this directory.
    Names,
    /// Besides: names that come and go in this directory, and files in it that are closed after writing.
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
        /// It was closed after writing, or moved there: a file is whole.
        is_whole: bool,
    },
    /// To a watched path itself.
    Itself,
    /// A watched path went away or was moved, or nobody knows what happened, because there was too much of it: what is there now
    /// has to be watched anew.
    Gone,
}

/// Watched paths. Becomes readable when there is a notice.
#[derive(Debug)]
pub(crate) struct Watcher {
    inotify: Inotify,
    paths: HashMap<WatchDescriptor, Vec<PathBuf>>,
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
            paths: HashMap::new(),
        })
    }

    /// Watches a path; a symbolic link at its end is not followed. Errs with `StorageFull` at the user's limit of watches.
    pub(crate) fn add(&mut self, path: &Path, what: What) -> io::Result<()> {
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
        // Two paths may be one thing, by a bind mount or a hard link: neither takes the other's events away.
        let add = AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);
        let mask = itself | besides | add | AddWatchFlags::IN_DONT_FOLLOW;
        let descriptor = self.inotify.add_watch(path, mask)?;
        self.paths
            .entry(descriptor)
            .or_default()
            .push(path.to_owned());
        Ok(())
    }

    /// Takes what happened since the last time.
    pub(crate) fn take(&self) -> io::Result<Vec<Notice>> {
        let gone = AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_IGNORED
            | AddWatchFlags::IN_UNMOUNT
            | AddWatchFlags::IN_Q_OVERFLOW;
        let mut notices = Vec::new();
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(notices),
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            for event in events {
                match (event.name, self.paths.get(&event.wd)) {
                    (Some(name), Some(paths)) => {
                        let is_whole = event
                            .mask
                            .intersects(AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO);
                        notices.extend(paths.iter().map(|at| Notice::Name {
                            at: at.clone(),
                            name: name.clone(),
                            is_whole,
                        }));
                    }
                    (None, Some(_)) if !event.mask.intersects(gone) => {
                        notices.push(Notice::Itself);
                    }
                    (_, _) => notices.push(Notice::Gone),
                }
            }
        }
    }
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
        let mut watcher = Watcher::new().unwrap();
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
            is_whole: false,
        };
        assert_eq!(watcher.take().unwrap(), [created]);
        assert!(watcher.add(&dir.join("none"), What::Itself).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(watcher.take().unwrap().contains(&Notice::Gone));
    }
}
