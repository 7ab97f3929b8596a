//! The control group (cgroup v2) of an attempt: create, enter, limit, kill and remove it.
//! `os::delegated` finds the part of the tree where this is allowed.
//!
//! No policy: callers decide what they want and what an error means.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags};

use super::process::{self, Stat};
use super::{clock, poll};

/// The longest wait between two looks at a group that is being killed. The kernel usually reports
/// earlier.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A control group, by its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// The group at a path, whether or not it exists.
    pub(crate) fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Replaces it by an empty group. Errs with EBUSY if the old one has processes.
    pub(crate) fn make_anew(&self) -> io::Result<()> {
        match self.remove() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => fs::create_dir(&self.dir),
        }
    }

    /// Removes it with the groups below it. Errs with EBUSY if any of them has processes, with
    /// `NotFound` if it does not exist.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for below in below(&self.dir)? {
            Self::at(below).remove()?;
        }
        fs::remove_dir(&self.dir)
    }

    /// The file to which a process writes `0` to enter the group with all its later children.
    pub(crate) fn door(&self) -> io::Result<File> {
        write_only(&self.dir.join("cgroup.procs"))
    }

    /// Enables memory limits for the groups below this one. Errs with EBUSY if it has processes of
    /// its own, with ENOENT if the controller is missing.
    pub(crate) fn let_memory_be_limited(&self) -> io::Result<()> {
        write(&self.dir.join("cgroup.subtree_control"), "+memory")
    }

    /// Limits the memory of all processes in it together, in bytes.
    pub(crate) fn limit_memory(&self, max: u64) -> io::Result<()> {
        write(&self.dir.join("memory.max"), &max.to_string())
    }

    /// Returns how many of its processes the kernel killed for its memory limit.
    pub(crate) fn killed_at_limit(&self) -> u64 {
        let events = fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        let count = |key| number_of(&events, key).unwrap_or(0);
        // Others may have run out of memory too: then it was not this limit.
        if count("oom") == 0 { 0 } else { count("oom_kill") }
    }

    /// Kills all its processes at once, whoever owns them, without missing new children. Does not
    /// wait.
    pub(crate) fn kill(&self) -> io::Result<()> {
        write(&self.dir.join("cgroup.kill"), "1")
    }

    /// Returns whether it and the groups below it are empty, or become so within a time.
    pub(crate) fn is_empty_within(&self, patience: Duration) -> io::Result<bool> {
        let begin = clock::now().mono;
        let path = self.dir.join("cgroup.events");
        let events = File::open(&path)?;
        loop {
            // Each read arms the notice of the next change.
            if number_of(&fs::read_to_string(&path)?, "populated") == Some(0) {
                return Ok(true);
            }
            let passed = clock::now().mono.since(begin);
            if passed >= patience {
                return Ok(false);
            }
            let wait = LOOK_AGAIN.min(patience - passed);
            poll::wait(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], Some(wait))?;
        }
    }

    /// Returns the processes in it and below it.
    pub(crate) fn processes(&self) -> Vec<Stat> {
        let text = fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        let here = text.lines().filter_map(|line| process::stat(line.parse().ok()?).ok());
        let below = below(&self.dir).unwrap_or_default();
        here.chain(below.into_iter().flat_map(|dir| Self::at(dir).processes())).collect()
    }

    /// Removes the empty groups beside it whose names begin with its own and a dot.
    pub(crate) fn remove_later_ones(&self) {
        let (Some(parent), Some(name)) = (self.dir.parent(), self.dir.file_name()) else {
            return;
        };
        let prefix = format!("{}.", name.to_string_lossy());
        for beside in below(parent).unwrap_or_default() {
            let is_later =
                beside.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
            if is_later {
                // Somebody lives there still: another time.
                let _ = Self::at(beside).remove();
            }
        }
    }
}

/// Returns whether an error means that a group has processes.
pub(crate) fn is_inhabited(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}

/// The groups directly below one.
fn below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut below = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            below.push(entry.path());
        }
    }
    Ok(below)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let file = write_only(path)?;
    match nix::unistd::write(&file, text.as_bytes()) {
        Ok(_) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Creates no file: a missing one means that the group or controller does not exist.
fn write_only(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

/// The number behind a key in a flat keyed file.
fn number_of(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)?
        .1
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Cgroup {
        let dir = std::env::temp_dir().join(format!("jobctl-cgroup-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        Cgroup::at(dir)
    }

    #[test]
    fn a_limit_is_written_in_bytes_and_only_where_there_is_a_controller() {
        let group = place("limit");
        let missing = group.limit_memory(512 << 20).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        fs::write(group.dir.join("memory.max"), "").unwrap();
        fs::write(group.dir.join("cgroup.subtree_control"), "").unwrap();
        group.limit_memory(512 << 20).unwrap();
        group.let_memory_be_limited().unwrap();
        let read = |name| fs::read_to_string(group.dir.join(name)).unwrap();
        assert_eq!(read("memory.max"), "536870912");
        assert_eq!(read("cgroup.subtree_control"), "+memory");
        fs::remove_dir_all(&group.dir).unwrap();
    }

    #[test]
    fn only_deaths_at_its_own_limit_are_counted() {
        let group = place("events");
        assert_eq!(group.killed_at_limit(), 0);
        for (text, count) in [
            ("low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\n", 3),
            ("max 0\noom 0\noom_kill 1\n", 0),
            ("max 5\noom 0\noom_kill 0\n", 0),
        ] {
            fs::write(group.dir.join("memory.events"), text).unwrap();
            assert_eq!(group.killed_at_limit(), count, "{text}");
        }
        fs::remove_dir_all(&group.dir).unwrap();
    }

    #[test]
    fn a_group_that_is_made_anew_has_nothing_of_the_one_before() {
        let group = place("anew");
        fs::create_dir_all(group.dir.join("a/b")).unwrap();
        group.make_anew().unwrap();
        assert_eq!(below(&group.dir).unwrap(), Vec::<PathBuf>::new());
        group.remove().unwrap();
        assert_eq!(group.remove().unwrap_err().kind(), io::ErrorKind::NotFound);
        group.make_anew().unwrap();
        group.remove().unwrap();
    }
}
