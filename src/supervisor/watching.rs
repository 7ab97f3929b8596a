//! Watched files: each that is closed after writing, or moved to where a job watches, becomes a run.
//!
//! inotify(7) says where to look; what was taken stands in the store, so that nothing is taken twice and nothing is missed that changed while
//! nobody was there or when there was too much of it. Where a directory cannot be watched, a look every minute finds what is new.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::spawner::Spawner;
use super::{Mode, Supervisor};
use crate::core::job::Job;
use crate::core::key;
use crate::core::reason::plain;
use crate::core::run::Cause;
use crate::core::time::{Mono, Now};
use crate::os::watch::{Notice, Watcher, What};
use crate::store::{Addition, Conditions, Enqueued, Mark, NewItem, StoreError};

/// Files that are taken in one transaction at the most, so that nothing else waits for them.
const TAKEN_AT_ONCE: usize = 500;

/// More names than this in one directory are forgotten, and it is gone through instead.
const NAMES_MAX: usize = 10_000;

/// Between two looks at everything where not everything can be watched.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A file that a look finds and that was changed less than this ago may still be written: it is looked at again after that.
const SETTLED: Duration = Duration::from_secs(1);

/// Before what could not be done is tried again: the store failed, or the backlog is full.
const AGAIN: Duration = Duration::from_secs(1);

/// All watched places of the jobs.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    watcher: Option<Watcher>,
    places: Vec<Place>,
    /// Which loading of the jobs the places are of.
    loads: u64,
    look_deadline: Option<Mono>,
}

/// Where a job watches.
#[derive(Debug)]
struct Place {
    job: i64,
    /// As the jobfile has it.
    watch: Box<str>,
    dir: PathBuf,
    wanted: Wanted,
    /// Names that may have become files to be taken.
    names: BTreeSet<OsString>,
    /// The directory is to be gone through then.
    scan_deadline: Option<Mono>,
    /// Files that a look found, in the order in which they were changed.
    found: VecDeque<(PathBuf, Mark)>,
    /// It was said that the directory cannot be read, or that the backlog is full.
    is_told: bool,
}

/// Which names of a directory are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// All but those that begin with a dot.
    All,
    /// This one.
    Name(OsString),
    /// Those that a glob matches; a leading dot only where the glob has it.
    Glob(glob::Pattern),
}

impl Wanted {
    fn is(&self, name: &OsStr) -> bool {
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

impl Place {
    fn new(job: i64, watch: Box<str>, now: Now) -> Self {
        let path = PathBuf::from(&*watch);
        let last = path.file_name().unwrap_or_default().to_owned();
        let parent = path.parent().unwrap_or(&path).to_owned();
        let glob = last.to_str().filter(|last| last.contains(['*', '?', '[']));
        let glob = glob.and_then(|last| glob::Pattern::new(last).ok());
        let (dir, wanted) = match glob {
            Some(glob) => (parent, Wanted::Glob(glob)),
            None if path.is_dir() => (path, Wanted::All),
            None => (parent, Wanted::Name(last)),
        };
        Self {
            job,
            watch,
            dir,
            wanted,
            names: BTreeSet::new(),
            scan_deadline: Some(now.mono),
            found: VecDeque::new(),
            is_told: false,
        }
    }

    /// Goes through the directory. One that is not there has no files.
    fn scan(&self) -> io::Result<Vec<(PathBuf, Mark)>> {
        let mut found = Vec::new();
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if self.wanted.is(&entry.file_name()) {
                let path = entry.path();
                found.extend(mark_of(&path).map(|mark| (path, mark)));
            }
        }
        found.sort_by(|(one, a), (other, b)| (a.changed_ns, one).cmp(&(b.changed_ns, other)));
        Ok(found)
    }
}

/// Whether a directory is watched, or is not there, which is told by those above it.
fn is_watched(added: io::Result<()>) -> bool {
    match added {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// What a regular file is now; none if there is none of this name.
fn mark_of(path: &Path) -> Option<Mark> {
    let is_file = |meta: &Metadata| meta.is_file();
    let meta = fs::symlink_metadata(path).ok().filter(is_file)?;
    let nanos = meta.mtime().checked_mul(1_000_000_000)?;
    Some(Mark {
        inode: meta.ino().cast_signed(),
        size: meta.size().cast_signed(),
        changed_ns: nanos.saturating_add(meta.mtime_nsec()),
    })
}

impl Watching {
    /// What becomes readable when there is something to look at.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.as_ref().map(AsFd::as_fd)
    }

    /// How long there will be nothing to do, unless it is told.
    pub(crate) fn next_wait(&self, now: Now) -> Option<Duration> {
        let scans = self.places.iter().filter_map(|place| place.scan_deadline);
        scans
            .chain(self.look_deadline)
            .map(|deadline| deadline.since(now.mono))
            .min()
    }

    /// Looks at what is to be looked at, and takes some of what it finds. Whether the supervisor has another turn to do before it waits.
    pub(crate) fn step<S: Spawner>(&mut self, supervisor: &mut Supervisor<S>, now: Now) -> bool {
        if supervisor.configuration.mode == Mode::Shadow || supervisor.is_stopping() {
            *self = Self::default();
            return false;
        }
        if self.loads != supervisor.loads {
            self.loads = supervisor.loads;
            self.begin(supervisor, now);
        }
        if self.places.is_empty() {
            return false;
        }
        self.hear(now);
        if self.look_deadline.is_some_and(|at| at <= now.mono) {
            self.begin(supervisor, now);
        }
        let mut has_more = false;
        for place in &mut self.places {
            match supervisor.look_at_place(place, now) {
                Ok(more) => has_more |= more,
                Err(error) => {
                    supervisor.store.rollback();
                    supervisor.say(now.wall, "store_failed", &[("error", &error)]);
                    place.found.clear();
                    place.scan_deadline = Some(now.mono + AGAIN);
                }
            }
        }
        has_more
    }

    /// Watches everything anew, and then goes through it: what happens in between is seen by one of the two.
    fn begin<S: Spawner>(&mut self, supervisor: &mut Supervisor<S>, now: Now) {
        let watched = supervisor.jobs.iter().filter_map(|state| {
            let watch = state.job.policy.watch.clone()?;
            Some(Place::new(state.id, watch, now))
        });
        let former = std::mem::take(&mut self.places);
        self.places = watched.collect();
        for place in &mut self.places {
            let known = former.iter().find(|known| known.job == place.job);
            place.is_told = known.is_some_and(|known| known.is_told);
        }
        self.watcher = None;
        self.look_deadline = None;
        if self.places.is_empty() {
            return;
        }
        self.watcher = Watcher::new().ok();
        let mut sees_all = self.watcher.is_some();
        if let Some(watcher) = &mut self.watcher {
            for place in &self.places {
                // From above, so that what is made meanwhile is told by what is watched already.
                let above: Vec<&Path> = place.dir.ancestors().skip(1).collect();
                for dir in above.into_iter().rev() {
                    sees_all &= is_watched(watcher.add(dir, What::Names));
                }
                sees_all &= is_watched(watcher.add(&place.dir, What::Files));
            }
        }
        // A look cannot tell a file that is still written from one that is whole: it is for those who are told nothing.
        self.look_deadline = (!sees_all).then(|| now.mono + LOOK_EVERY);
        // What was no directory yet may have become one before it was watched for that.
        let is_late = |place: &Place| {
            matches!(place.wanted, Wanted::Name(_)) && Path::new(&*place.watch).is_dir()
        };
        if self.places.iter().any(is_late) {
            self.look_deadline = Some(now.mono);
        }
    }

    fn hear(&mut self, now: Now) {
        let Some(watcher) = &self.watcher else {
            return;
        };
        let notices = watcher.take().unwrap_or_else(|_| vec![Notice::Gone]);
        for notice in notices {
            match notice {
                Notice::Gone | Notice::Itself => self.look_deadline = Some(now.mono),
                Notice::Name { at, name, is_whole } => self.hear_name(&at, name, is_whole, now),
            }
        }
    }

    fn hear_name(&mut self, at: &Path, name: OsString, is_whole: bool, now: Now) {
        for place in &mut self.places {
            let path = at.join(&name);
            if at != place.dir {
                // A directory above it, or the directory itself, has come or gone.
                if place.dir.starts_with(&path) {
                    self.look_deadline = Some(now.mono);
                }
                continue;
            }
            let is_itself = place.wanted == Wanted::Name(name.clone());
            if is_itself && path.is_dir() {
                self.look_deadline = Some(now.mono);
            }
            if is_whole && place.wanted.is(&name) {
                place.names.insert(name.clone());
            }
            if place.names.len() > NAMES_MAX {
                place.names.clear();
                place.scan_deadline = Some(now.mono);
            }
        }
    }
}

impl<S: Spawner> Supervisor<S> {
    /// Takes some of the files of a place. Whether there is more.
    fn look_at_place(&mut self, place: &mut Place, now: Now) -> Result<bool, StoreError> {
        if place.scan_deadline.is_some_and(|at| at <= now.mono) && place.found.is_empty() {
            self.scan(place, now)?;
        }
        for name in std::mem::take(&mut place.names) {
            let path = place.dir.join(name);
            if let Some(mark) = mark_of(&path) {
                place.found.push_back((path, mark));
            }
        }
        if place.found.is_empty() {
            return Ok(false);
        }
        let some = place.found.len().min(TAKEN_AT_ONCE);
        self.store.begin()?;
        let mut taken = 0;
        for (path, mark) in place.found.iter().take(some) {
            if !self.take_file(place.job, path, *mark, now)? {
                break;
            }
            taken += 1;
        }
        self.store.commit()?;
        place.found.drain(..taken);
        self.is_stale = true;
        if taken == some {
            place.is_told = false;
            return Ok(true);
        }
        // The backlog is full: what is left is found again.
        place.found.clear();
        place.scan_deadline = Some(now.mono + AGAIN);
        if !std::mem::replace(&mut place.is_told, true) {
            let hint = "they are taken when there is room (backlog_max)";
            let fields: [(&str, &dyn std::fmt::Display); 2] =
                [("watch", &place.watch), ("hint", &hint)];
            self.say(now.wall, "files_wait", &fields);
        }
        Ok(taken > 0)
    }

    /// Goes through a directory and finds what is not taken yet. What is there at the first time counts as taken.
    fn scan(&mut self, place: &mut Place, now: Now) -> Result<(), StoreError> {
        place.scan_deadline = None;
        let found = match place.scan() {
            Ok(found) => found,
            Err(error) => {
                if !std::mem::replace(&mut place.is_told, true) {
                    let error = plain(&error);
                    let fields: [(&str, &dyn std::fmt::Display); 2] =
                        [("path", &place.dir.display()), ("error", &error)];
                    self.say(now.wall, "cannot_watch", &fields);
                }
                return Ok(());
            }
        };
        self.store.begin()?;
        if self.store.watch_of(place.job)?.as_deref() != Some(&*place.watch) {
            self.store.begin_watch(place.job, &place.watch)?;
            for (path, mark) in &found {
                self.store
                    .remember(place.job, path.as_os_str().as_bytes(), *mark)?;
            }
            return self.store.commit();
        }
        let mut marks = self.store.marks(place.job)?;
        let young_ns = now
            .wall
            .ms()
            .saturating_sub(i64::try_from(SETTLED.as_millis()).unwrap_or(0))
            * 1_000_000;
        let now_ns = now.wall.ms().saturating_mul(1_000_000);
        for (path, mark) in found {
            if marks.remove(path.as_os_str().as_bytes()) == Some(mark) {
                continue;
            }
            // One of the future is of another clock.
            if mark.changed_ns > young_ns && mark.changed_ns <= now_ns {
                place.scan_deadline = Some(now.mono + SETTLED);
            } else {
                place.found.push_back((path, mark));
            }
        }
        for path in marks.keys() {
            self.store.forget(place.job, path)?;
        }
        self.store.commit()
    }

    /// Makes a run of a file, unless it was taken as it is. False: the backlog is full.
    fn take_file(
        &mut self,
        job_id: i64,
        path: &Path,
        mark: Mark,
        now: Now,
    ) -> Result<bool, StoreError> {
        let bytes = path.as_os_str().as_bytes();
        let Some(&index) = self.by_id.get(&job_id) else {
            return Ok(true);
        };
        if self.store.mark_of(job_id, bytes)? == Some(mark) {
            return Ok(true);
        }
        let job = &self.jobs[index].job;
        let item = item_of(job, bytes);
        let held_since = (!job.policy.key_for.is_zero()).then(|| now.wall - job.policy.key_for);
        let addition = Addition {
            job: job.name.as_str(),
            due_at: now.wall,
            priority: job.policy.priority,
            max_attempts: job.policy.attempts_max(),
            backlog_max: job.policy.backlog_max,
            cause: Cause::Watch,
            created_at: now.wall,
            conditions: Conditions {
                key_held_since: held_since,
                ..Conditions::default()
            },
        };
        match self.store.enqueue(&addition, [item])? {
            Enqueued::Added(_) | Enqueued::KeyHeld { .. } | Enqueued::NoSuchRun(_) => {}
            Enqueued::BacklogFull { .. } => return Ok(false),
        }
        self.store.remember(job_id, bytes, mark)?;
        Ok(true)
    }
}

/// A run with a file's path. A template that cannot be filled from a path alone makes no key.
fn item_of(job: &Job, path: &[u8]) -> NewItem {
    let args = vec![path.to_vec()];
    let template = job.policy.key.as_deref();
    NewItem {
        key: template.and_then(|template| key::of(template, &args).ok()),
        args,
        input: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_of_the_last_part_and_wants_its_dots_named() {
        let now = Now {
            wall: crate::core::time::Wall::from_secs(0),
            mono: Mono::from_duration(Duration::ZERO),
        };
        let place = |watch: &str| Place::new(1, watch.into(), now);
        let glob = place("/in/*.p?g");
        assert_eq!(glob.dir, Path::new("/in"));
        for (name, is_wanted) in [("a.png", true), ("a.jpeg", false), (".a.png", false)] {
            assert_eq!(glob.wanted.is(OsStr::new(name)), is_wanted, "{name}");
        }
        assert!(glob.wanted.is(OsStr::from_bytes(b"\xff.png")));
        assert!(place("/in/.*").wanted.is(OsStr::new(".x")));
        let file = place("/nowhere/report.csv");
        assert_eq!(file.wanted, Wanted::Name("report.csv".into()));
        let dir = place("/");
        assert_eq!(
            (dir.dir.as_path(), dir.wanted.clone()),
            (Path::new("/"), Wanted::All)
        );
        assert!(!dir.wanted.is(OsStr::new(".part")));
    }
}
