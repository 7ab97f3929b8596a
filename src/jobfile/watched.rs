//! The texts of a jobfile's files and the places on disk that lead to them, to notice changes.
//!
//! Only reads; `load` decides whether a changed jobfile is valid.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::text::{ReadError, Text};
use super::{Open, include};
use crate::core::hash::fnv1a;

/// The number of symbolic links that are followed in a path, as in the kernel.
const LINKS_MAX: usize = 40;

/// The maximum number of places, for patterns that match a whole disk.
const PLACES_MAX: usize = 4096;

/// The hash of a file's content, or why it could not be read.
type Content = Result<u64, io::ErrorKind>;

/// The texts of a jobfile's files at one time. Snapshots are equal if their texts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    main: Content,
    patterns: Vec<String>,
    files: Vec<(PathBuf, Content)>,
}

impl Snapshot {
    /// Reads a jobfile and its includes. An unchanged text takes its patterns from `before`, which
    /// saves parsing it.
    pub(crate) fn take(path: &Path, open: &Open<'_>, before: Option<&Self>) -> Self {
        let text = Text::read(path, open);
        let main = content_of(&text);
        let patterns = match (before, text) {
            (Some(before), _) if before.main == main => before.patterns.clone(),
            (_, Ok(text)) => include::patterns_of(&text),
            (_, Err(_)) => Vec::new(),
        };
        let found: BTreeSet<PathBuf> =
            patterns.iter().flat_map(|pattern| include::files_of(path, pattern)).collect();
        let files = found.into_iter().map(|file| {
            let content = content_of(&Text::read(&file, open));
            (file, content)
        });
        Self { main, files: files.collect(), patterns }
    }
}

fn content_of(text: &Result<Text, ReadError>) -> Content {
    match text {
        Ok(text) => Ok(fnv1a(text.as_str().bytes())),
        Err(ReadError::Io(error)) => Err(error.kind()),
        Err(ReadError::Refused(_)) => Err(io::ErrorKind::InvalidData),
    }
}

/// Why a place on disk is watched, besides being removed or moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WatchedPlace {
    /// Whether it is a file of the jobfile, whose content matters.
    pub(crate) is_file: bool,
    /// Device and inode: a new file at the same path is another place.
    identity: Option<(u64, u64)>,
    names: BTreeSet<OsString>,
    parts: BTreeSet<String>,
}

impl WatchedPlace {
    /// Returns whether names in this directory matter.
    pub(crate) fn has_names(&self) -> bool {
        !self.names.is_empty() || !self.parts.is_empty()
    }

    /// Returns whether this name in the directory matters.
    pub(crate) fn is_about(&self, name: &OsStr) -> bool {
        let is_match = |part: &String| {
            part == "**" || name.to_str().is_some_and(|name| include::is_match(part, name))
        };
        self.names.contains(name) || self.parts.iter().any(is_match)
    }
}

/// Returns every place whose change may change a jobfile: its files, the directories and symbolic
/// links that lead to them and, if something is missing, the directory in which it would appear.
pub(crate) fn watched_places(path: &Path, snapshot: &Snapshot) -> BTreeMap<PathBuf, WatchedPlace> {
    let mut map = Map::default();
    map.walk(PathBuf::from("/"), parts_of(path, false), 0);
    let base = path.parent().unwrap_or(Path::new("/"));
    for pattern in &snapshot.patterns {
        let mut parts = parts_of(base, false);
        if Path::new(pattern).is_absolute() {
            parts.clear();
        }
        parts.extend(parts_of(Path::new(pattern), true));
        map.walk(PathBuf::from("/"), parts, 0);
    }
    for (path, place) in &mut map.places {
        let meta = fs::symlink_metadata(path);
        place.identity = meta.ok().map(|meta| (meta.dev(), meta.ino()));
    }
    map.places
}

/// A component of a path.
#[derive(Clone, Debug)]
enum Part {
    Name(OsString),
    Up,
    Pattern(String),
}

fn parts_of(path: &Path, is_pattern: bool) -> VecDeque<Part> {
    let part = |component| match component {
        Component::Normal(name) => Some(match name.to_str() {
            Some(text) if is_pattern && include::has_wildcards(text) => {
                Part::Pattern(text.to_owned())
            }
            Some(_) | None => Part::Name(name.to_owned()),
        }),
        Component::ParentDir => Some(Part::Up),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().filter_map(part).collect()
}

#[derive(Default)]
struct Map {
    places: BTreeMap<PathBuf, WatchedPlace>,
}

impl Map {
    fn at(&mut self, path: &Path) -> &mut WatchedPlace {
        self.places.entry(path.to_owned()).or_default()
    }

    /// Adds all places of a path that begins in `dir`, a directory and not a link.
    fn walk(&mut self, mut dir: PathBuf, mut parts: VecDeque<Part>, mut links: usize) {
        while let Some(part) = parts.pop_front() {
            if self.places.len() >= PLACES_MAX {
                return;
            }
            self.at(&dir);
            let name = match part {
                Part::Up => {
                    dir.pop();
                    continue;
                }
                Part::Pattern(pattern) => return self.walk_matches(&dir, &pattern, &parts, links),
                Part::Name(name) => name,
            };
            let next = dir.join(&name);
            let Ok(meta) = fs::symlink_metadata(&next) else {
                self.at(&dir).names.insert(name);
                return;
            };
            if meta.is_symlink() {
                self.at(&dir).names.insert(name);
                links += 1;
                let Ok(target) = fs::read_link(&next) else {
                    return;
                };
                if links > LINKS_MAX {
                    return;
                }
                if target.is_absolute() {
                    dir = PathBuf::from("/");
                }
                let mut way = parts_of(&target, false);
                way.append(&mut parts);
                parts = way;
            } else if meta.is_dir() && !parts.is_empty() {
                dir = next;
            } else {
                self.at(&dir).names.insert(name);
                self.at(&next).is_file = meta.is_file();
                return;
            }
        }
    }

    /// Continues with every name in a directory that a component of a pattern matches.
    fn walk_matches(&mut self, dir: &Path, pattern: &str, rest: &VecDeque<Part>, links: usize) {
        self.at(dir).parts.insert(pattern.to_owned());
        let is_deep = pattern == "**";
        if is_deep {
            self.walk(dir.to_owned(), rest.clone(), links);
        }
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_match = name.to_str().is_some_and(|name| {
                if is_deep { !name.starts_with('.') } else { include::is_match(pattern, name) }
            });
            if !is_match || self.places.len() >= PLACES_MAX {
                continue;
            }
            let mut parts = VecDeque::from([Part::Name(name)]);
            if is_deep {
                // A link may lead back up; glob(3) does not follow it here either.
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                parts.push_back(Part::Pattern("**".to_owned()));
            }
            parts.extend(rest.iter().cloned());
            self.walk(dir.to_owned(), parts, links);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir()
                .canonicalize()
                .unwrap()
                .join(format!("jobctl-watched-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.join(name), text).unwrap();
        }

        fn snapshot(&self, before: Option<&Snapshot>) -> Snapshot {
            Snapshot::take(&self.0.join("jobs.toml"), &|path| fs::File::open(path), before)
        }

        fn places(&self) -> BTreeMap<PathBuf, WatchedPlace> {
            watched_places(&self.0.join("jobs.toml"), &self.snapshot(None))
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_snapshot_is_another_one_when_a_text_is_and_not_otherwise() {
        let dir = Dir::new("snapshot");
        let missing = dir.snapshot(None);
        dir.write("jobs.toml", "include = ['d/*.toml']\n");
        let first = dir.snapshot(None);
        assert_ne!(missing, first);
        fs::create_dir(dir.0.join("d")).unwrap();
        dir.write("d/.x.toml.swp", "");
        dir.write("d/.y.toml", "");
        assert_eq!(dir.snapshot(Some(&first)), first);
        dir.write("d/a.toml", "# 1");
        let second = dir.snapshot(Some(&first));
        assert_ne!(second, first);
        dir.write("d/a.toml", "# 2");
        assert_ne!(dir.snapshot(Some(&second)), second);
        dir.write("d/a.toml", "# 1");
        assert_eq!(dir.snapshot(Some(&second)), second);
        fs::remove_file(dir.0.join("d/a.toml")).unwrap();
        assert_eq!(dir.snapshot(Some(&second)), first);
    }

    #[test]
    fn a_broken_text_names_its_includes_still() {
        let dir = Dir::new("broken");
        dir.write("jobs.toml", "include = ['d.toml']\n[jobs.a\n");
        dir.write("d.toml", "1");
        let first = dir.snapshot(None);
        dir.write("d.toml", "2");
        assert_ne!(dir.snapshot(Some(&first)), first);
    }

    #[test]
    fn every_link_on_the_way_and_every_directory_of_a_pattern_is_a_place() {
        let dir = Dir::new("places");
        fs::create_dir_all(dir.0.join("v1/jobs.d")).unwrap();
        dir.write("v1/jobs.toml", "include = ['jobs.d/*.toml']\n");
        dir.write("v1/jobs.d/a.toml", "");
        std::os::unix::fs::symlink("v1", dir.0.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/jobs.toml", dir.0.join("jobs.toml")).unwrap();
        std::os::unix::fs::symlink("..data/jobs.d", dir.0.join("jobs.d")).unwrap();
        let places = dir.places();
        let place = |name: &str| places.get(&dir.0.join(name)).unwrap();
        for name in ["jobs.toml", "..data", "jobs.d"] {
            assert!(place("").is_about(OsStr::new(name)), "{name}: {places:#?}");
        }
        assert!(!place("").is_about(OsStr::new("jobs.toml.swp")));
        assert!(place("v1/jobs.toml").is_file);
        assert!(place("v1/jobs.d/a.toml").is_file);
        assert!(place("v1/jobs.d").is_about(OsStr::new("new.toml")));
        assert!(!place("v1/jobs.d").is_about(OsStr::new(".new.toml.swp")));
        assert!(!places[Path::new("/")].has_names());
    }

    #[test]
    fn what_is_missing_is_waited_for_where_it_would_appear() {
        let dir = Dir::new("missing");
        dir.write("jobs.toml", "include = ['a/b/*.toml', 'loop']\n");
        std::os::unix::fs::symlink("loop", dir.0.join("loop")).unwrap();
        assert!(dir.places()[&dir.0].is_about(OsStr::new("a")));
        fs::create_dir_all(dir.0.join("a/b")).unwrap();
        assert!(dir.places()[&dir.0.join("a/b")].is_about(OsStr::new("x.toml")));
    }
}
