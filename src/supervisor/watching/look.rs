//! What is looked at outside for a watched job: directories and files, on an errand's thread,
//! because any of it may never answer.
//!
//! Decides nothing and knows no store.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::core::time::Wall;
use crate::os::clock;
use crate::os::watch::{Watcher, What};
use crate::store::Mark;

/// A directory, and which names in it are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) dir: PathBuf,
    pub(super) wanted: Wanted,
}

/// The names of a directory that are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All but those that begin with a dot.
    All,
    /// This one.
    Name(OsString),
    /// Those that a glob matches; a leading dot only where the glob has it.
    Glob(glob::Pattern),
}

impl Wanted {
    pub(super) fn is(&self, name: &OsStr) -> bool {
        match self {
            Self::All => !name.as_bytes().starts_with(b"."),
            Self::Name(wanted) => name == wanted,
            Self::Glob(pattern) => {
                let options = glob::MatchOptions {
                    require_literal_leading_dot: true,
                    ..glob::MatchOptions::default()
                };
                // A name that is not UTF-8 is matched by what can be shown of it.
                pattern.matches_with(&name.to_string_lossy(), options)
            }
        }
    }
}

impl Site {
    /// Returns the meaning of a jobfile's `watch` now: a directory, if there is one of that name.
    pub(super) fn of(watch: &str) -> Self {
        let path = PathBuf::from(watch);
        let last = path.file_name().unwrap_or_default().to_owned();
        let parent = path.parent().unwrap_or(&path).to_owned();
        let glob = last.to_str().filter(|last| last.contains(['*', '?', '[']));
        let glob = glob.and_then(|last| glob::Pattern::new(last).ok());
        let (dir, wanted) = match glob {
            Some(glob) => (parent, Wanted::Glob(glob)),
            None if path.is_dir() => (path, Wanted::All),
            None => (parent, Wanted::Name(last)),
        };
        Self { dir, wanted }
    }
}

/// The content of a directory.
#[derive(Debug)]
pub(super) struct Scanned {
    /// In the order in which they were changed.
    pub(super) files: Vec<(PathBuf, Mark)>,
    /// What the clock said behind it: what was written meanwhile is not of later than this.
    pub(super) read_at: Wall,
}

/// The files that were there when a job began to watch.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) site: Site,
    /// All of the way is watched.
    pub(super) sees_all: bool,
    /// What was no directory has become one before it was watched for that.
    pub(super) is_late: bool,
    pub(super) scanned: io::Result<Scanned>,
}

/// Watches a place, and then goes through it: what happens in between is seen by one of the two.
pub(super) fn begin(watch: &str, watcher: Option<&Watcher>) -> Begun {
    let site = Site::of(watch);
    let mut sees_all = watcher.is_some();
    if let Some(watcher) = watcher {
        // From above, so that what is made meanwhile is told by what is watched already.
        let above: Vec<&Path> = site.dir.ancestors().skip(1).collect();
        for dir in above.into_iter().rev() {
            sees_all &= is_watched(watcher.add(dir, What::Names));
        }
        sees_all &= is_watched(watcher.add(&site.dir, What::Files));
    }
    let is_late = matches!(site.wanted, Wanted::Name(_)) && Path::new(watch).is_dir();
    Begun { sees_all, is_late, scanned: scan(&site), site }
}

/// Whether a directory is watched, or is not there, which is told by those above it.
fn is_watched(added: io::Result<()>) -> bool {
    match added {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Goes through a directory. One that is not there has no files.
pub(super) fn scan(site: &Site) -> io::Result<Scanned> {
    let mut files = Vec::new();
    match fs::read_dir(&site.dir) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry?;
                if site.wanted.is(&entry.file_name()) {
                    let path = entry.path();
                    files.extend(mark_of(&path).map(|mark| (path, mark)));
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    files.sort_by(|(one, a), (other, b)| (a.changed_ns, one).cmp(&(b.changed_ns, other)));
    Ok(Scanned { files, read_at: clock::now().wall })
}

/// Returns the identity of a regular file now; none without one of this name.
pub(super) fn mark_of(path: &Path) -> Option<Mark> {
    let is_file = |meta: &Metadata| meta.is_file();
    let meta = fs::symlink_metadata(path).ok().filter(is_file)?;
    Some(Mark {
        inode: meta.ino().cast_signed(),
        size: meta.size().cast_signed(),
        changed_ns: nanos(meta.mtime(), meta.mtime_nsec()),
        born_ns: meta.created().ok().and_then(nanos_of),
        status_ns: Some(nanos(meta.ctime(), meta.ctime_nsec())),
    })
}

/// As near as can be: nanoseconds end in 2262, file systems later.
fn nanos(secs: i64, nanos: i64) -> i64 {
    secs.saturating_mul(1_000_000_000).saturating_add(nanos)
}

fn nanos_of(time: SystemTime) -> Option<i64> {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_of_the_last_part_and_wants_its_dots_named() {
        let glob = Site::of("/in/*.p?g");
        assert_eq!(glob.dir, Path::new("/in"));
        for (name, is_wanted) in [("a.png", true), ("a.jpeg", false), (".a.png", false)] {
            assert_eq!(glob.wanted.is(OsStr::new(name)), is_wanted, "{name}");
        }
        assert!(glob.wanted.is(OsStr::from_bytes(b"\xff.png")));
        assert!(Site::of("/in/.*").wanted.is(OsStr::new(".x")));
        let file = Site::of("/nowhere/report.csv");
        assert_eq!(file.wanted, Wanted::Name("report.csv".into()));
        let dir = Site::of("/");
        assert_eq!((dir.dir.as_path(), &dir.wanted), (Path::new("/"), &Wanted::All));
        assert!(!dir.wanted.is(OsStr::new(".part")));
    }

    #[test]
    fn a_time_that_nanoseconds_cannot_say_is_the_nearest_one() {
        assert_eq!(nanos(1, 5), 1_000_000_005);
        assert_eq!(nanos(10_413_792_000, 0), i64::MAX, "the year 2300");
        assert_eq!(nanos(-10_413_792_000, 0), i64::MIN);
    }
}
