//! A watched place in tests: files that are written down instead of a directory, and looks that
//! answer a step later.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::place::{Place, Seen};
use super::{Supervisor, Taker};
use crate::core::time::Now;
use crate::os::watch::{Change, Notice};
use crate::store::Mark;

/// A place with the files in it, which outlive the supervisor.
pub(crate) struct Scripted {
    place: Place,
    files: BTreeMap<PathBuf, Mark>,
    /// Why the directory cannot be read.
    pub(crate) refusal: Option<io::ErrorKind>,
    /// What a look has seen, and nobody has heard yet.
    seen: Option<Seen>,
}

impl Scripted {
    /// A directory without files that a job watches.
    pub(crate) fn new(job: i64, watch: &str) -> Self {
        Self {
            place: Place::new(job, watch.into()),
            files: BTreeMap::new(),
            refusal: None,
            seen: None,
        }
    }

    /// Another supervisor knows nothing of what this one has heard.
    pub(crate) fn begin_anew(&mut self) {
        self.place = Place::new(self.place.job, self.place.watch.clone());
        self.seen = None;
    }

    /// Everything is to be watched anew, as at a reload.
    pub(crate) fn owe_begin(&mut self) {
        self.place.owes_begin = true;
    }

    /// A file is whole, or gone.
    pub(crate) fn put(&mut self, path: &Path, mark: Option<Mark>, now: Now) {
        let change = match mark {
            Some(mark) => {
                self.files.insert(path.to_owned(), mark);
                Change::Whole
            }
            None => {
                self.files.remove(path);
                Change::Gone
            }
        };
        let notice = Notice::Name {
            at: path.parent().unwrap_or(path).to_owned(),
            name: path.file_name().map(OsString::from).unwrap_or_default(),
            change,
            is_dir: false,
        };
        self.place.hear(&notice, now);
    }

    /// The file of a path.
    pub(crate) fn file(&self, path: &Path) -> Option<Mark> {
        self.files.get(path).copied()
    }

    /// All files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Returns whether nothing is to be looked at or taken, now or later.
    pub(crate) fn is_quiet(&self, now: Now) -> bool {
        self.seen.is_none() && self.place.next_wait(now).is_none()
    }

    /// Returns how many files that were found at a path, at the most, are still to be taken.
    pub(crate) fn pending(&self, path: &Path) -> usize {
        let found = self.place.found.iter().filter(|found| found.path == path);
        found.count() + usize::from(self.seen.is_some())
    }

    /// Tells what the last look has seen, takes some of it, and looks again if that is due.
    pub(crate) fn step<S>(&mut self, supervisor: &mut Supervisor<S>, now: Now) {
        let place = &mut self.place;
        let mut taker = Taker::of(supervisor, now);
        let learnt = match self.seen.take() {
            Some(seen) => taker.learn(place, seen),
            None => Ok(()),
        };
        if let Err(error) = learnt.and_then(|()| taker.look_at_place(place).map(drop)) {
            taker.look_later(place, &error);
        }
        // As the loop does it for all places together.
        if place.look_deadline.take_if(|at| *at <= now.mono).is_some() {
            place.owes_begin = true;
        }
        self.seen = place.look_at(self.refusal.map_or(Ok(&self.files), Err), now);
    }
}
