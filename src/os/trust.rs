//! Whether nobody but root and the caller can change what root reads (jobctl.toml(5), "Trust"): a
//! file, and every directory on the way to it.
//!
//! The way is gone from `/`, one name at a time, and each step is judged on the descriptor that the
//! next step starts from. The file that is handed out is the one that was judged; whoever reads it
//! must not open its path again.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path, openat, readlinkat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, fstat};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{Gid, Group, Uid};

use super::acl::{self, Writer};
use super::user::login_of;

/// Symbolic links that are followed on one way, as the kernel does it.
const LINKS_MAX: usize = 40;

/// A step to a directory that need only be passed through.
const PASS: OFlag =
    OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// A look at what a name is, without opening it.
const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// The last step. A FIFO has no writer to wait for, and a terminal does not become ours.
const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// What was opened, and what is to be said about the way to it.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The file or directory, for reading.
    pub(crate) file: File,
    /// Its path, free of symbolic links.
    at: PathBuf,
    /// Why root must not trust it; empty for everybody else.
    pub(crate) faults: Vec<Fault>,
    /// Whether every user of the machine can read it, and it is not on a read-only mount.
    pub(crate) is_open_to_all: bool,
}

/// A file or directory that somebody else can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Which one, by the way that was gone: free of symbolic links, unless it is one.
    pub(crate) path: PathBuf,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Owner(u32),
    Group { gid: u32, mode: u32 },
    Others { mode: u32 },
    List(Writer),
}

impl Fault {
    /// What a person can do about it.
    pub(crate) fn hint(&self) -> String {
        let path = self.path.display();
        match self.why {
            Why::Owner(_) => format!("`chown -h root {path}`"),
            Why::Group { .. } | Why::Others { .. } => format!("`chmod go-w {path}`"),
            Why::List(_) => format!("`setfacl -b {path}`"),
        }
    }

    /// What is wrong with it, without its path.
    pub(crate) fn reason(&self) -> String {
        let rule = "root trusts only files that others cannot change";
        match self.why {
            Why::Owner(uid) => format!("belongs to {}; {rule}", user_name(uid)),
            Why::Group { gid, mode } => {
                format!("writable by group {} (mode {mode:04o}); {rule}", group_name(gid))
            }
            Why::Others { mode } => format!("writable by others (mode {mode:04o}); {rule}"),
            Why::List(writer) => {
                let who = match writer {
                    Writer::User(uid) => format!("user {}", user_name(uid)),
                    Writer::Group(gid) => format!("group {}", group_name(gid)),
                    Writer::OwnGroup => "its group".to_owned(),
                    Writer::Others => "everybody".to_owned(),
                };
                format!("its access control list lets {who} write; {rule}")
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason())
    }
}

impl std::error::Error for Fault {}

/// Opens a file or directory for reading, and judges the way to it if this process is root. Never
/// waits.
pub(crate) fn open(path: &Path) -> io::Result<Opened> {
    Walk::begin(Rule::of_process(), path)?.finish()
}

/// What is wrong with the way to a directory as far as it is there. The directory itself, where it
/// is, is not judged.
pub(crate) fn way_to(dir: &Path) -> io::Result<Vec<Fault>> {
    let dir = std::path::absolute(dir)?;
    for there in dir.ancestors() {
        match Walk::begin(Rule::of_process(), there).and_then(Walk::go) {
            Ok((at, mut faults)) => {
                if there == dir {
                    faults.retain(|fault| fault.path != at);
                }
                return Ok(faults);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Vec::new())
}

/// Whether nobody but this user and root can change what is in a directory, or put another one in
/// its place.
pub(crate) fn is_closed(dir: &Path) -> bool {
    let rule = Rule { is_root: true, caller: Uid::effective().as_raw() };
    Walk::begin(rule, dir).and_then(Walk::go).is_ok_and(|(_, faults)| faults.is_empty())
}

/// As [`open`]; errs with the first [`Fault`] where there is one.
pub(crate) fn open_trusted(path: &Path) -> io::Result<File> {
    let opened = open(path)?;
    match opened.faults.into_iter().next() {
        Some(fault) => Err(io::Error::new(io::ErrorKind::PermissionDenied, fault)),
        None => Ok(opened.file),
    }
}

/// Opens a directory, and errs with the first [`Fault`] of the way to it, if this process is root.
/// The directory itself may be anybody's: what is done by this descriptor stays in it.
pub(crate) fn open_place(path: &Path) -> io::Result<File> {
    let opened = open(path)?;
    if !opened.file.metadata()?.is_dir() {
        return Err(Errno::ENOTDIR.into());
    }
    let is_before = |fault: &Fault| fault.path != opened.at;
    match opened.faults.into_iter().find(is_before) {
        Some(fault) => Err(io::Error::new(io::ErrorKind::PermissionDenied, fault)),
        None => Ok(opened.file),
    }
}

/// Whose files are trusted.
#[derive(Clone, Copy, Debug)]
struct Rule {
    /// Nobody but root has to ask.
    is_root: bool,
    /// The real user, who may be another one than root.
    caller: u32,
}

impl Rule {
    fn of_process() -> Self {
        Self { is_root: Uid::effective().is_root() && !is_alone(), caller: Uid::current().as_raw() }
    }

    fn is_trusted(self, uid: u32) -> bool {
        uid == 0 || uid == self.caller
    }

    /// What is wrong with a file or directory; both may be.
    fn judge(self, seen: &Seen) -> Vec<Why> {
        if !self.is_root || seen.is_read_only {
            return Vec::new();
        }
        let mut whys = Vec::new();
        if !self.is_trusted(seen.uid) {
            whys.push(Why::Owner(seen.uid));
        }
        let is_sticky = seen.is_dir && seen.uid == 0 && seen.mode & libc::S_ISVTX != 0;
        if !is_sticky {
            whys.extend(seen.by_others());
        }
        whys
    }

    /// What a descriptor says of its file. Only root asks for lists.
    fn look(self, fd: impl AsFd) -> io::Result<Seen> {
        let mut seen = Seen::of(&fd)?;
        if self.is_root {
            seen.listed = acl::writer(fd, |uid| self.is_trusted(uid))?;
        }
        Ok(seen)
    }
}

/// What a descriptor says of its file.
#[derive(Clone, Copy, Debug)]
struct Seen {
    uid: u32,
    gid: u32,
    mode: u32,
    is_dir: bool,
    /// Nothing on this mount can be changed through it.
    is_read_only: bool,
    /// Whom an access control list lets write.
    listed: Option<Writer>,
}

impl Seen {
    fn of(fd: impl AsFd) -> io::Result<Self> {
        let FileStat { st_uid: uid, st_gid: gid, st_mode: mode, .. } = fstat(&fd)?;
        Ok(Self {
            uid,
            gid,
            mode,
            is_dir: mode & libc::S_IFMT == libc::S_IFDIR,
            is_read_only: fstatvfs(&fd)?.flags().contains(FsFlags::ST_RDONLY),
            listed: None,
        })
    }

    /// How others may write it. Members of root's own group can be root's deputies only; any other
    /// group is others.
    fn by_others(self) -> Option<Why> {
        let mode = self.mode & 0o7777;
        if mode & 0o002 != 0 {
            Some(Why::Others { mode })
        } else if let Some(writer) = self.listed {
            Some(Why::List(writer))
        } else if mode & 0o020 != 0 && self.gid != 0 {
            Some(Why::Group { gid: self.gid, mode })
        } else {
            None
        }
    }
}

/// On the way to a file.
struct Walk {
    rule: Rule,
    dir: OwnedFd,
    at: PathBuf,
    /// Others may make names in `dir`, which is accepted where it is sticky.
    is_shared: bool,
    /// Names still to go, the next one last.
    parts: Vec<OsString>,
    links: usize,
    faults: Vec<Fault>,
    is_closed: bool,
}

impl Walk {
    fn begin(rule: Rule, path: &Path) -> io::Result<Self> {
        let mut walk = Self {
            rule,
            dir: open_path("/", PASS, Mode::empty())?,
            at: PathBuf::from("/"),
            is_shared: false,
            parts: Vec::new(),
            links: 0,
            faults: Vec::new(),
            is_closed: false,
        };
        walk.push(&std::path::absolute(path)?);
        walk.arrive()?;
        Ok(walk)
    }

    /// Goes to a directory: where it is, free of links, and what is wrong.
    fn go(mut self) -> io::Result<(PathBuf, Vec<Fault>)> {
        while let Some(part) = self.parts.pop() {
            self.enter(&part)?;
        }
        Ok((self.at, self.faults))
    }

    fn push(&mut self, path: &Path) {
        let names = path.components().rev().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
        });
        self.parts.extend(names);
    }

    fn finish(mut self) -> io::Result<Opened> {
        while let Some(part) = self.parts.pop() {
            if !self.parts.is_empty() {
                self.enter(&part)?;
            } else if !self.follow(&part)? {
                return self.open_last(&part);
            }
        }
        // The way ended in a directory, such as `/` itself.
        self.open_last(&OsString::from("."))
    }

    /// Goes into a directory, or takes the way of a link.
    fn enter(&mut self, name: &OsString) -> io::Result<()> {
        match openat(&self.dir, name.as_os_str(), PASS, Mode::empty()) {
            Ok(dir) => {
                self.dir = dir;
                self.step(name);
                self.arrive()
            }
            Err(errno @ (Errno::ENOTDIR | Errno::ELOOP)) => {
                if self.follow(name)? {
                    Ok(())
                } else {
                    Err(errno.into())
                }
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn step(&mut self, name: &OsString) {
        match name.to_str() {
            Some("..") => {
                self.at.pop();
            }
            Some(".") => {}
            Some(_) | None => self.at.push(name),
        }
    }

    /// Judges the directory that the way has come to.
    fn arrive(&mut self) -> io::Result<()> {
        let seen = self.rule.look(&self.dir)?;
        self.is_shared = seen.by_others().is_some() && !seen.is_read_only;
        self.is_closed |= seen.mode & 0o001 == 0;
        self.note(&seen);
        Ok(())
    }

    fn note(&mut self, seen: &Seen) {
        for why in self.rule.judge(seen) {
            let fault = Fault { path: self.at.clone(), why };
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
        }
    }

    /// Takes the way of a symbolic link; false: it is none.
    ///
    /// What a link says cannot be changed, only the link be replaced, which takes its directory; so
    /// its owner matters only where that is a sticky one, in which everybody may replace what is
    /// his.
    fn follow(&mut self, name: &OsString) -> io::Result<bool> {
        let link = openat(&self.dir, name.as_os_str(), LOOK, Mode::empty())?;
        let stat = fstat(&link)?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFLNK {
            return Ok(false);
        }
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::ELOOP.into());
        }
        if self.rule.is_root && self.is_shared && !self.rule.is_trusted(stat.st_uid) {
            self.faults.push(Fault { path: self.at.join(name), why: Why::Owner(stat.st_uid) });
        }
        let target = PathBuf::from(readlinkat(&link, "")?);
        if target.is_absolute() {
            self.dir = open_path("/", PASS, Mode::empty())?;
            self.at = PathBuf::from("/");
            self.arrive()?;
        }
        self.push(&target);
        Ok(true)
    }

    fn open_last(mut self, name: &OsString) -> io::Result<Opened> {
        let file = File::from(openat(&self.dir, name.as_os_str(), READ, Mode::empty())?);
        self.step(name);
        let seen = self.rule.look(&file)?;
        self.note(&seen);
        Ok(Opened {
            file,
            at: self.at,
            faults: self.faults,
            is_open_to_all: !self.is_closed && seen.mode & 0o004 != 0 && !seen.is_read_only,
        })
    }
}

/// Whether root is the only user that there is: the root of a user namespace of one id, who is an
/// ordinary user outside, and to whom the real root's directories belong to nobody.
fn is_alone() -> bool {
    static ALONE: OnceLock<bool> = OnceLock::new();
    *ALONE.get_or_init(|| {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let ids: Vec<&str> = map.split_ascii_whitespace().collect();
        matches!(ids.as_slice(), [_, _, "1"])
    })
}

fn user_name(uid: u32) -> String {
    match login_of(uid) {
        Some(login) => format!("{login} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

fn group_name(gid: u32) -> String {
    match Group::from_gid(Gid::from_raw(gid)) {
        Ok(Some(group)) => format!("{} (gid {gid})", group.name),
        Ok(None) | Err(_) => format!("gid {gid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skipped::{Need, skipped};
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    const ROOT: Rule = Rule { is_root: true, caller: 0 };

    fn seen(uid: u32, gid: u32, mode: u32) -> Seen {
        Seen {
            uid,
            gid,
            mode,
            is_dir: mode & libc::S_IFMT == libc::S_IFDIR,
            is_read_only: false,
            listed: None,
        }
    }

    #[test]
    fn root_trusts_what_nobody_else_can_change_and_sticky_directories_of_its_own() {
        const DIR: u32 = libc::S_IFDIR;
        const FILE: u32 = libc::S_IFREG;
        for (uid, gid, mode, faults) in [
            (0, 0, FILE | 0o644, 0),
            (0, 42, FILE | 0o640, 0),
            (0, 0, FILE | 0o664, 0),
            (0, 42, FILE | 0o664, 1),
            (0, 0, FILE | 0o646, 1),
            (0, 0, FILE | 0o1646, 1),
            (1000, 0, FILE | 0o644, 1),
            (1000, 42, FILE | 0o666, 2),
            (0, 0, DIR | 0o755, 0),
            (0, 42, DIR | 0o2775, 1),
            (0, 0, DIR | 0o777, 1),
            (0, 0, DIR | 0o1777, 0),
            (0, 42, DIR | 0o1775, 0),
            (1000, 0, DIR | 0o1777, 2),
            (1000, 1000, DIR | 0o700, 1),
        ] {
            let found = ROOT.judge(&seen(uid, gid, mode));
            assert_eq!(found.len(), faults, "{uid}:{gid} {mode:o}: {found:?}");
            let read_only = Seen { is_read_only: true, ..seen(uid, gid, mode) };
            assert!(ROOT.judge(&read_only).is_empty(), "{uid}:{gid} {mode:o}");
        }
        let listed = Seen { listed: Some(Writer::User(7)), ..seen(0, 0, FILE | 0o664) };
        assert_eq!(ROOT.judge(&listed).len(), 1);
        let sticky = Seen { mode: DIR | 0o1775, is_dir: true, ..listed };
        assert!(ROOT.judge(&sticky).is_empty());
        let setuid = Rule { is_root: true, caller: 1000 };
        assert!(setuid.judge(&seen(1000, 1000, FILE | 0o644)).is_empty());
        let user = Rule { is_root: false, caller: 1000 };
        assert!(user.judge(&seen(7, 7, FILE | 0o666)).is_empty());
    }

    fn place(name: &str) -> PathBuf {
        let dir = std::env::temp_dir()
            .canonicalize()
            .unwrap()
            .join(format!("jobctl-trust-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("a/b")).unwrap();
        fs::write(dir.join("a/b/file"), "text").unwrap();
        dir
    }

    #[test]
    fn every_way_that_the_kernel_would_go_is_gone() {
        let dir = place("ways");
        symlink("a/b", dir.join("relative")).unwrap();
        symlink(dir.join("relative/file"), dir.join("absolute")).unwrap();
        symlink("../../a/./b/../b/file", dir.join("a/b/up")).unwrap();
        for way in [
            "a/b/file",
            "relative/file",
            "absolute",
            "a/b/up",
            "a/../relative/../b/up",
            "relative/./up",
        ] {
            let mut text = String::new();
            let mut opened = open(&dir.join(way)).unwrap();
            opened.file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "text", "{way}");
            assert_eq!(text, fs::read_to_string(dir.join(way)).unwrap(), "{way}");
        }
        for way in ["/", "/..", "/."] {
            assert!(open(Path::new(way)).unwrap().file.metadata().unwrap().is_dir());
        }
        fs::remove_dir_all(dir).unwrap();
    }

    /// Ends the other thread, also where an assertion fails.
    struct Over<'a>(&'a AtomicBool);

    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_handed_out_is_what_was_judged_also_while_it_is_replaced() {
        if !Uid::effective().is_root() {
            return skipped(Need::Root, "only root may not trust a file");
        }
        let dir = place("race");
        let put = |text: &str, mode: u32| {
            let draft = dir.join("draft");
            fs::write(&draft, text).unwrap();
            fs::set_permissions(&draft, fs::Permissions::from_mode(mode)).unwrap();
            fs::rename(&draft, dir.join("file")).unwrap();
        };
        put("good", 0o644);
        let is_over = AtomicBool::new(false);
        let (mut good, mut bad) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    put("bad", 0o666);
                    put("good", 0o644);
                }
            });
            let _over = Over(&is_over);
            while good < 200 || bad < 200 {
                match open_trusted(&dir.join("file")) {
                    Ok(file) => {
                        assert_eq!(io::read_to_string(file).unwrap(), "good");
                        good += 1;
                    }
                    Err(error) => {
                        assert!(error.to_string().contains("mode 0666"), "{error}");
                        bad += 1;
                    }
                }
            }
        });
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_the_kernel_refuses_is_refused_with_its_reason() {
        let dir = place("refused");
        symlink("loop", dir.join("loop")).unwrap();
        symlink("nowhere", dir.join("dangling")).unwrap();
        for way in ["loop", "loop/x", "dangling", "missing", "a/b/file/x", "a/missing/x"] {
            let ours = open(&dir.join(way)).unwrap_err();
            let theirs = File::open(dir.join(way)).unwrap_err();
            assert_eq!(ours.raw_os_error(), theirs.raw_os_error(), "{way}: {ours}");
        }
        nix::unistd::mkfifo(&dir.join("fifo"), Mode::S_IRUSR).unwrap();
        assert!(!open(&dir.join("fifo")).unwrap().file.metadata().unwrap().is_file());
        fs::remove_dir_all(dir).unwrap();
    }
}
