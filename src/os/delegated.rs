//! The part of the cgroup tree that was delegated to this process, if any.
//!
//! The kernel's rule (cgroup-v2.rst, "Delegation"): who may write a group's directory and three of
//! its files may make groups below it. systemd's rule (CGROUP_DELEGATION.md): below a unit only
//! where it has said so, by an extended attribute.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::unistd::{AccessFlags, Uid, access};

use super::cgroup::Cgroup;
use super::lock::{Kind, try_lock_open};

/// The group of the supervisor and its keepers: a group whose children use its controllers may have
/// no processes itself.
const OWN: &str = "supervisor";

/// A record would cut off a longer path, which would then name another group.
const PATH_MAX: usize = 400;

/// The files that a usable group must have. The root group has no `cgroup.kill`, nor do kernels
/// before 5.14.
const NEEDED: [&str; 4] = ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.kill"];

/// Types of systemd units that have a group.
const UNITS: [&str; 3] = [".service", ".scope", ".slice"];

/// A part of the tree that this process owns while it lives.
#[derive(Debug)]
pub(crate) struct Delegated {
    dir: String,
    /// Two supervisors in one group would kill each other's commands.
    _lock: File,
}

/// A part that was delegated and cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// Which one.
    pub(crate) dir: String,
    /// Why.
    pub(crate) error: io::Error,
}

impl Delegated {
    /// Takes the delegated group and moves this process into a group below it; none if nothing was
    /// delegated.
    pub(crate) fn take() -> Result<Option<Self>, Unusable> {
        let Some(dir) = find() else { return Ok(None) };
        match Self::take_at(&dir) {
            Ok(lock) => Ok(Some(Self { dir, _lock: lock })),
            Err(error) => Err(Unusable { dir, error }),
        }
    }

    fn take_at(dir: &str) -> io::Result<File> {
        let lock = File::open(dir)?;
        if !try_lock_open(&lock, Kind::Exclusive)? {
            return Err(io::Error::other("another supervisor uses it"));
        }
        let own = Path::new(dir).join(OWN);
        match fs::create_dir(&own) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        nix::unistd::write(Cgroup::at(own).door()?, b"0")?;
        Ok(lock)
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &str {
        &self.dir
    }

    /// The directory for the attempts of a slot.
    pub(crate) fn of_slot(&self, slot: u32) -> String {
        format!("{}/slot-{slot}", self.dir.trim_end_matches('/'))
    }
}

/// Returns whether this machine, as far as it is visible from here, supports memory limits for
/// control groups.
pub(crate) fn is_memory_limitable() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts_of(&mounts).any(|mount| {
        fs::read_to_string(mount.dir.join("cgroup.controllers"))
            .is_ok_and(|text| text.split_ascii_whitespace().any(|word| word == "memory"))
    })
}

/// The directory that was delegated to this process: of the group it is in, or of the one above it
/// where it has moved into one of its own before.
fn find() -> Option<String> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let group = Path::new(group_of(&groups)?);
    let above = group.parent().filter(|_| group.file_name().is_some_and(|name| name == OWN));
    let group = above.into_iter().chain([group]).find_map(|group| {
        let dir = mounts_of(&mounts).find_map(|mount| mount.dir_of(group))?;
        is_delegated(group, &dir).then_some(dir)
    })?;
    group.into_os_string().into_string().ok().filter(|dir| dir.len() <= PATH_MAX)
}

/// The path of this process's group of version 2, as it sees the tree.
fn group_of(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// A mount of the tree of version 2.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// The group that is at its top.
    root: PathBuf,
    /// Where it is.
    dir: PathBuf,
}

impl Mount {
    /// The directory of a group; none if it is not in this mount.
    fn dir_of(&self, group: &Path) -> Option<PathBuf> {
        let rest = group.strip_prefix(&self.root).ok()?;
        // Above the root of our name space there is nothing of ours.
        let is_below = !rest.components().any(|part| part.as_os_str() == "..");
        is_below.then(|| self.dir.join(rest).components().collect())
    }
}

/// The mounts of the tree in the text of /proc/self/mountinfo: `ID PARENT MAJOR:MINOR ROOT DIR
/// OPTIONS ... - TYPE SOURCE OPTIONS`.
fn mounts_of(text: &str) -> impl Iterator<Item = Mount> {
    text.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, dir) = (fields.next()?, fields.next()?);
        // Blanks are written in octal: a path with one is not what anybody delegates.
        let is_ours = file_system.starts_with("cgroup2 ") && !dir.contains('\\');
        is_ours.then(|| Mount { root: root.into(), dir: dir.into() })
    })
}

fn is_delegated(group: &Path, dir: &Path) -> bool {
    let is_writable = |name: &str| access(&dir.join(name), AccessFlags::W_OK).is_ok();
    if !NEEDED.iter().all(|name| is_writable(name)) {
        return false;
    }
    is_marked(dir, "user.delegate") || is_marked(dir, "trusted.delegate") || is_given(group, dir)
}

/// Whether a group is ours though nobody has marked it: the top of what a container sees, or one
/// that belongs to this user and to none of systemd's units.
fn is_given(group: &Path, dir: &Path) -> bool {
    let Some(name) = group.file_name() else {
        return true;
    };
    let name = name.to_string_lossy();
    let uid = Uid::effective();
    let is_units = UNITS.iter().any(|kind| name.ends_with(kind));
    !is_units && !uid.is_root() && fs::metadata(dir).is_ok_and(|it| it.uid() == uid.as_raw())
}

/// Whether an extended attribute of a directory says `1`.
#[expect(unsafe_code, reason = "nix has no getxattr(2)")]
fn is_marked(dir: &Path, name: &str) -> bool {
    let (Ok(dir), Ok(name)) = (CString::new(dir.as_os_str().as_bytes()), CString::new(name)) else {
        return false;
    };
    let mut value = [0_u8; 8];
    // SAFETY: two strings with a NUL at their ends, and room for as many bytes as is said; all live
    // until after the call.
    let len = unsafe {
        libc::getxattr(dir.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len())
    };
    usize::try_from(len).is_ok_and(|len| value.get(..len) == Some(b"1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
";

    fn dir_of(mounts: &str, group: &str) -> Option<String> {
        let dir = mounts_of(mounts).find_map(|mount| mount.dir_of(Path::new(group)))?;
        Some(dir.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_group_is_found_below_the_mount_that_holds_it() {
        let pure = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let part =
            "30 23 0:26 /docker/c1 /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n";
        let foreign = "30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let cases = [
            (HYBRID, "/", Some("/sys/fs/cgroup/unified")),
            (HYBRID, "/a/b", Some("/sys/fs/cgroup/unified/a/b")),
            (pure, "/system.slice/x", Some("/sys/fs/cgroup/system.slice/x")),
            (part, "/docker/c1", Some("/sys/fs/cgroup")),
            (part, "/docker/c1/supervisor", Some("/sys/fs/cgroup/supervisor")),
            (part, "/docker/c10", None),
            (pure, "/../other", None),
            (foreign, "/", None),
            ("", "/", None),
        ];
        for (mounts, group, dir) in cases {
            assert_eq!(dir_of(mounts, group).as_deref(), dir, "{group} in {mounts}");
        }
    }

    #[test]
    fn only_the_line_of_version_2_counts() {
        let hybrid = "9:name=systemd:/a\n4:memory:/b\n0::/c\n";
        assert_eq!(group_of(hybrid), Some("/c"));
        assert_eq!(group_of("4:memory:/b\n"), None);
    }

    #[test]
    fn a_directory_that_is_no_group_is_not_delegated() {
        assert!(!is_delegated(Path::new("/"), &std::env::temp_dir()));
        assert!(!is_delegated(Path::new("/x"), Path::new("/nonexistent")));
        assert!(!is_marked(Path::new("/nonexistent"), "user.delegate"));
    }
}
