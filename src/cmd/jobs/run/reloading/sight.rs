//! What is on disk of a jobfile, and what tells of its changes. Everything here may wait for a file
//! system.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::cmd::jobs::run::loading::{self, Read};
use crate::cmd::plain;
use crate::facts::trust;
use crate::jobfile::{self, LoadError, Snapshot, WatchedPlace};
use crate::os::watch::{Watcher, What};
use crate::os::zone;

/// What a look finds on disk.
#[derive(Debug)]
pub(super) struct Sight {
    /// The texts.
    pub(super) snapshot: Snapshot,
    /// Where a change of them would show.
    pub(super) places: BTreeMap<PathBuf, WatchedPlace>,
    /// What watches these places, and what of them it could not; none: they are those that are
    /// watched already.
    pub(super) anew: Option<io::Result<(Watcher, io::Result<()>)>>,
}

/// A jobfile that was read to be judged.
#[derive(Debug)]
pub(super) struct Reading {
    /// The jobs, or why there are none.
    pub(super) read: Result<Read, LoadError>,
    /// What was there a moment before.
    pub(super) sight: Sight,
}

impl Reading {
    /// Reads all of a jobfile of which `judged` was judged and `known` is watched.
    pub(super) fn take(
        path: &Path,
        judged: &Snapshot,
        known: Option<&BTreeMap<PathBuf, WatchedPlace>>,
    ) -> Self {
        zone::forget();
        // A change between the two is seen as one.
        let snapshot = trust::snapshot(path, Some(judged));
        let read = loading::read(path);
        Self { read, sight: Sight::of(path, snapshot, known) }
    }
}

impl Sight {
    /// Looks at a jobfile of which `judged` was judged and `known` is watched.
    pub(super) fn take(
        path: &Path,
        judged: &Snapshot,
        known: Option<&BTreeMap<PathBuf, WatchedPlace>>,
    ) -> Self {
        Self::of(path, trust::snapshot(path, Some(judged)), known)
    }

    /// Finds what is to be watched of texts that were read.
    fn of(
        path: &Path,
        snapshot: Snapshot,
        known: Option<&BTreeMap<PathBuf, WatchedPlace>>,
    ) -> Self {
        let places = jobfile::watched_places(path, &snapshot);
        let anew = (known != Some(&places)).then(|| {
            let watcher = Watcher::new()?;
            let added = add_all(&watcher, &places);
            Ok((watcher, added))
        });
        Self { snapshot, places, anew }
    }
}

/// Watches all that can be watched; the first error that is one.
fn add_all(watcher: &Watcher, places: &BTreeMap<PathBuf, WatchedPlace>) -> io::Result<()> {
    let mut first = Ok(());
    for (path, place) in places {
        let added = watcher.add(path, what(place));
        let is_no_matter = added.as_ref().is_err_and(|error| is_no_matter(error, place));
        if first.is_ok() && !is_no_matter {
            first = added.map_err(|error| of_path(path, &error));
        }
    }
    first
}

fn what(place: &WatchedPlace) -> What {
    if place.is_file {
        What::Content
    } else if place.has_names() {
        What::Names
    } else {
        What::Itself
    }
}

/// What is gone by now is looked for again in a second; a directory on the way that may not be
/// listed is not moved every day.
fn is_no_matter(error: &io::Error, place: &WatchedPlace) -> bool {
    let is = |kind| error.kind() == kind;
    is(io::ErrorKind::NotFound)
        || is(io::ErrorKind::NotADirectory)
        || (is(io::ErrorKind::PermissionDenied) && (place.is_file || !place.has_names()))
}

fn of_path(path: &Path, error: &io::Error) -> io::Error {
    let text = format!("{} cannot be watched: {}", path.display(), plain(error));
    io::Error::new(error.kind(), text)
}
