//! Reads and watches a jobfile on disk. Everything here may block on a file system.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::cmd::jobs::run::loading::{self, Read};
use crate::cmd::plain;
use crate::facts::trust;
use crate::jobfile::{self, LoadError, Snapshot, WatchedPlace};
use crate::os::watch::{Watcher, What};
use crate::os::zone;

/// The state on disk that a look finds.
#[derive(Debug)]
pub(super) struct Sight {
    /// The texts.
    pub(super) snapshot: Snapshot,
    /// The places to watch.
    pub(super) places: BTreeMap<PathBuf, WatchedPlace>,
    /// The watcher of these places, and the first error; `None` if they are already watched.
    pub(super) anew: Option<io::Result<(Watcher, io::Result<()>)>>,
}

/// A jobfile that was read to be judged.
#[derive(Debug)]
pub(super) struct Reading {
    /// The jobs, or the error.
    pub(super) read: Result<Read, LoadError>,
    /// The state on disk just before the read.
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

    /// Finds the places to watch for texts that were read.
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

/// Watches every place that can be watched; returns the first real error.
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
