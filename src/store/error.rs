//! What can go wrong with the store, each with its way out.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::core::reason::plain;

/// Explains why an operation of the store failed.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// There is no store yet; only `run` and `enqueue` make one.
    Missing(PathBuf),
    /// Another process holds it locked for longer than one waits.
    Locked(PathBuf),
    /// The file is something else.
    Foreign(PathBuf),
    /// Made by a newer jobctl.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// Made by a jobctl from before the first release, whose tables had fewer columns.
    Older(PathBuf),
    /// Of an earlier version, which the next supervisor migrates.
    Unmigrated {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// SQLite says that its pages do not fit together.
    Damaged(PathBuf, String),
    /// A backup with something in its schema that jobctl did not make.
    Strange(PathBuf, String),
    /// A backup with something in its schema that jobctl makes otherwise.
    Altered(PathBuf, String),
    /// The file is on a network file system, where locks cannot be trusted.
    Network(PathBuf),
    /// The file or its directory cannot be used: permission, disk.
    Unreadable(PathBuf, io::Error),
    /// A backup would overwrite this.
    Exists(PathBuf),
    /// What is to be restored is the store itself.
    Itself(PathBuf),
    /// Its disk is full.
    Full(PathBuf),
    /// Its files may not grow: this process has a limit of file sizes (RLIMIT_FSIZE).
    Limited(PathBuf),
    /// Anything else.
    Failed {
        /// What was tried.
        action: &'static str,
        /// SQLite's word.
        source: rusqlite::Error,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{}: no store yet", path.display()),
            Self::Locked(path) => write!(f, "{}: locked by another process", path.display()),
            Self::Foreign(path) => write!(f, "{}: not a jobctl store", path.display()),
            Self::Newer { path, found, known } => {
                write!(
                    f,
                    "{}: made by a newer jobctl (version {found}, this one knows {known})",
                    path.display()
                )
            }
            Self::Damaged(path, why) => write!(f, "{}: damaged: {why}", path.display()),
            Self::Strange(path, what) => {
                write!(f, "{}: has {what}, which jobctl did not create", path.display())
            }
            Self::Older(path) => {
                write!(f, "{}: made by a jobctl older than the first release", path.display())
            }
            Self::Unmigrated { path, found } => {
                write!(f, "{}: made by an earlier jobctl (version {found})", path.display())
            }
            Self::Altered(path, what) => {
                write!(f, "{}: its {what} differs from what jobctl creates", path.display())
            }
            Self::Network(path) => {
                write!(
                    f,
                    "{}: on a network file system, where locks are unreliable",
                    path.display()
                )
            }
            Self::Limited(path) => write!(
                f,
                "{}: reached this process's limit on file sizes (`ulimit -f`)",
                path.display()
            ),
            Self::Full(path) => write!(f, "{}: no space left on its disk", path.display()),
            Self::Unreadable(path, error) => write!(f, "{}: {}", path.display(), plain(error)),
            Self::Exists(path) => write!(f, "{}: exists already", path.display()),
            Self::Itself(path) => write!(f, "{}: the store itself, not a backup", path.display()),
            Self::Failed { action, source } => write!(f, "cannot {action}: {source}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { source, .. } => Some(source),
            Self::Unreadable(_, error) => Some(error),
            Self::Missing(_)
            | Self::Locked(_)
            | Self::Foreign(_)
            | Self::Newer { .. }
            | Self::Older(_)
            | Self::Unmigrated { .. }
            | Self::Damaged(..)
            | Self::Strange(..)
            | Self::Altered(..)
            | Self::Full(_)
            | Self::Limited(_)
            | Self::Network(_)
            | Self::Exists(_)
            | Self::Itself(_) => None,
        }
    }
}

impl StoreError {
    /// Returns the hint for people.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => Some(
                "start the supervisor with `jobctl run`, or add a first item with `jobctl enqueue`",
            ),
            Self::Locked(_) => Some("find the process that holds it with `fuser`"),
            Self::Foreign(_) => {
                Some("move the file away, or name another state directory with --state-dir")
            }
            Self::Newer { .. } => {
                Some("use that jobctl, or name another state directory with --state-dir")
            }
            Self::Older(_) => Some(
                "let that jobctl finish its runs, then move the file away: it cannot be converted",
            ),
            Self::Unmigrated { .. } => {
                Some("restart the supervisor, which migrates the store: `systemctl restart jobctl`")
            }
            Self::Damaged(..) => Some(
                "stop the supervisor, keep a copy of the file, then try `sqlite3 FILE .recover` or move it away",
            ),
            Self::Strange(..) => Some(
                "the store is unchanged; name another backup, or remove it from a copy of \
                     this one with `sqlite3`",
            ),
            Self::Altered(..) => Some(
                "the store is unchanged; name another backup, or compare its `.schema` in \
                     `sqlite3` with that of a store of this version",
            ),
            Self::Network(_) => {
                Some("put the state directory on a local disk with state_dir or --state-dir")
            }
            Self::Exists(_) => {
                Some("name a new file, or remove this one first: a backup never overwrites a file")
            }
            Self::Itself(_) => Some("name a file made by `jobctl backup`"),
            Self::Full(_) => Some("free some space on that disk; the store is unchanged"),
            Self::Limited(_) => {
                Some("raise the limit with `ulimit -f`, or with LimitFSIZE= in the systemd unit")
            }
            Self::Unreadable(..) | Self::Failed { .. } => None,
        }
    }

    /// Returns whether the limit of file sizes of this process is in the way.
    pub(crate) fn is_file_limit(&self) -> bool {
        matches!(self, Self::Limited(_))
    }

    /// Returns whether another process has it, and that is all.
    pub(crate) fn is_lock(&self) -> bool {
        matches!(self, Self::Locked(_))
    }

    /// Returns whether room on the disk would help.
    pub(crate) fn is_disk_full(&self) -> bool {
        let is_full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        matches!(self, Self::Full(_))
            || matches!(self, Self::Unreadable(_, error) if is_full(error))
    }
}
