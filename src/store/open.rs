//! Opening and making the store's file.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statfs::{FsType, statfs};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::commits::{Commits, take_name};
use super::draft::Draft;
use super::files::identity_of;
use super::hold::{Patience, Unstopped, be_patient};
use super::judge::distrust_schema;
use super::migrate::migrate;
use super::schema::{APPLICATION_ID, VERSION, make, migratable};
use super::{Store, StoreError};

/// The file in the state directory.
pub(crate) const FILE_NAME: &str = "jobctl.db";

/// The store's log is at most this part of the disk, but between so many pages of SQLite's.
const LOG_SHARE: u64 = 16;
const LOG_PAGES_MIN: u64 = 64;
const LOG_PAGES_MAX: u64 = 1000;
const PAGE_SIZE: u64 = 4096;

/// A log that grew larger, because a reader needed what is in it, is cut when it begins anew.
const LOG_KEPT_MAX: u64 = 16 << 20;

/// Prepared statements that are kept; there are fewer different ones.
const STATEMENTS_KEPT: usize = 160;

/// Magic numbers of statfs(2) for file systems on which flock and shared memory are not those of
/// this machine.
const NETWORK_FILE_SYSTEMS: [FsType; 13] = [
    // Ceph, Lustre, GPFS, AFS, kAFS, Coda.
    FsType(0x00C3_6400),
    FsType(0x0BD0_0BD0),
    FsType(0x4750_4653),
    FsType(0x5346_414F),
    FsType(0x6B41_4653),
    FsType(0x7375_7245),
    // NFS, SMB and its kin, NCP, 9P.
    FsType(0x6969),
    FsType(0x517B),
    FsType(0xFF53_4D42),
    FsType(0xFE53_4D42),
    FsType(0x564C),
    FsType(0x6165_6676),
    FsType(0x0102_1997),
];

impl Store {
    /// Opens the store of a state directory for reading. Never writes, never blocks the supervisor.
    pub(crate) fn open_read(state_dir: &Path) -> Result<Self, StoreError> {
        let path = existing(state_dir)?;
        let conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let store = Self::of(conn, path);
        store.check_version()?;
        Ok(store)
    }

    /// Opens the store of a state directory for reading and writing; it must exist.
    pub(crate) fn open_write(state_dir: &Path) -> Result<Self, StoreError> {
        let path = existing(state_dir)?;
        let conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut store = Self::of(conn, path);
        store.check_version()?;
        store.configure()?;
        store.commits = Commits::beside(&store.path);
        Ok(store)
    }

    /// Opens the store for `run` and `enqueue`: makes it where there is none.
    pub(crate) fn create(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(FILE_NAME);
        refuse_network(&path, state_dir)?;
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_symlink() => return Err(linked(&path)),
            Ok(meta) if !meta.is_file() => return Err(no_file(&path)),
            Ok(_) => {}
            Err(_) => make_whole(&path)?,
        }
        let mut store = Self::open_and_make(path)?;
        store.commits = Commits::beside(&store.path);
        Ok(store)
    }

    /// Does the same for a supervisor, whose lock the caller holds, and migrates a store of an
    /// earlier version. Also returns that version.
    pub(crate) fn create_or_migrate(state_dir: &Path) -> Result<(Self, Option<i64>), StoreError> {
        match Self::create(state_dir) {
            Err(StoreError::Unmigrated { path, found }) => {
                let conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
                Self::of(conn, path).migrate()?;
                Ok((Self::create(state_dir)?, Some(found)))
            }
            created => Ok((created?, None)),
        }
    }

    fn open_and_make(path: PathBuf) -> Result<Self, StoreError> {
        let conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut store = Self::of(conn, path);
        store.make_if_empty()?;
        store.configure()?;
        Ok(store)
    }

    /// A connection to the store of this path.
    pub(super) fn of(conn: Connection, path: PathBuf) -> Self {
        Self {
            conn,
            identity: identity_of(&path),
            log_identity: Cell::default(),
            changed: Cell::new(0),
            unstopped: RefCell::default(),
            commits: None,
            path,
        }
    }

    /// A store in memory, for tests of other rooms.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        let mut store = Self::vacant();
        store.make_if_empty().expect("the schema is valid");
        store
    }

    /// What stands in the place of a store that a test has taken away.
    #[cfg(test)]
    pub(crate) fn vacant() -> Self {
        let conn = Connection::open_in_memory().expect("memory is there");
        plan_once(&conn).expect("it is a setting of SQLite's");
        conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Self::of(conn, PathBuf::from(":memory:"))
    }

    /// Does SQL of a test's own.
    #[cfg(test)]
    pub(crate) fn execute_raw(&self, sql: &str) {
        self.conn.execute_batch(sql).expect("the test's SQL is right");
    }

    /// The same, where the store may refuse it.
    #[cfg(test)]
    pub(crate) fn try_raw(&self, sql: &str) {
        let _ = self.conn.execute_batch(sql);
    }

    /// The first column of what SQL of a test's own finds.
    #[cfg(test)]
    pub(crate) fn texts_raw(&self, sql: &str) -> Vec<String> {
        let mut query = self.conn.prepare(sql).expect("the test's SQL is right");
        let texts = query.query_map([], |row| row.get(0)).expect("it is asked");
        texts.collect::<Result<_, _>>().expect("they are texts")
    }

    /// Returns whether a state directory has a store.
    pub(crate) fn is_there(state_dir: &Path) -> bool {
        state_dir.join(FILE_NAME).exists()
    }

    /// Turns SQLite's answer into one of ours.
    pub(super) fn failed(&self, action: &'static str, source: rusqlite::Error) -> StoreError {
        classify(&self.path, action, source)
    }

    fn configure(&self) -> Result<(), StoreError> {
        let set = |pragma: &str, value: &str| {
            self.conn
                .pragma_update(None, pragma, value)
                .map_err(|e| self.failed("configure the store", e))
        };
        set("journal_mode", "WAL")?;
        let synchronous = if cfg!(feature = "sync-off") { "OFF" } else { "FULL" };
        set("synchronous", synchronous)?;
        set("foreign_keys", "OFF")?;
        set("temp_store", "MEMORY")?;
        set("cache_size", "-1024")?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        set("wal_autocheckpoint", &log_pages_max(dir).to_string())?;
        set("journal_size_limit", &LOG_KEPT_MAX.to_string())?;
        self.conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Ok(())
    }

    fn pragma(&self, name: &str) -> Result<i64, StoreError> {
        self.conn
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(|e| self.failed("read the store", e))
    }

    /// Returns the version of the file: this one, or an earlier one that can be migrated.
    pub(super) fn version(&self) -> Result<i64, StoreError> {
        if self.pragma("application_id")? != APPLICATION_ID {
            return Err(StoreError::Foreign(self.path.clone()));
        }
        let (found, known) = (self.pragma("user_version")?, VERSION);
        match found {
            _ if found > known => Err(StoreError::Newer { path: self.path.clone(), found, known }),
            _ if found == known || migratable().any(|version| version == found) => Ok(found),
            _ => Err(StoreError::Older(self.path.clone())),
        }
    }

    /// Refuses what this version cannot read.
    pub(super) fn check_version(&self) -> Result<(), StoreError> {
        let found = self.version()?;
        if found != VERSION {
            return Err(StoreError::Unmigrated { path: self.path.clone(), found });
        }
        self.conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Ok(())
    }

    /// Makes a store of an earlier version one of this version, in one transaction.
    fn migrate(&mut self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let failed = |error| classify(&path, "migrate the store", error);
        let found = self.version()?;
        let _unstopped = Unstopped::begin();
        let tx =
            self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        migrate(&tx, found, VERSION)
            .and_then(|()| tx.pragma_update(None, "user_version", VERSION))
            .map_err(failed)?;
        tx.commit().map_err(failed)
    }

    /// Makes the tables of a file that has none, in one transaction.
    fn make_if_empty(&mut self) -> Result<(), StoreError> {
        if self.pragma("schema_version")? != 0 || self.pragma("application_id")? != 0 {
            return self.check_version();
        }
        let path = self.path.clone();
        let failed = |e| classify(&path, "make the store", e);
        let _unstopped = Unstopped::begin();
        let tx =
            self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        // Another process may have done it while this one waited for the lock.
        let found: i64 =
            tx.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found == 0 {
            make(&tx).map_err(failed)?;
        }
        tx.commit().map_err(failed)
    }
}

fn existing(state_dir: &Path) -> Result<PathBuf, StoreError> {
    let path = state_dir.join(FILE_NAME);
    refuse_network(&path, state_dir)?;
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_symlink() => Err(linked(&path)),
        Ok(meta) if !meta.is_file() => Err(no_file(&path)),
        Ok(meta) if meta.len() == 0 => Err(StoreError::Missing(path)),
        Ok(_) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(StoreError::Missing(path))
        }
        Err(error) => Err(StoreError::Unreadable(path, error)),
    }
}

fn no_file(path: &Path) -> StoreError {
    StoreError::Unreadable(path.to_path_buf(), std::io::Error::other("is not a file"))
}

/// The file may be put elsewhere only with its directory, in which its log and its index stand,
/// too.
fn linked(path: &Path) -> StoreError {
    let reason = "is a symbolic link; links in a state directory are not followed";
    StoreError::Unreadable(path.to_path_buf(), std::io::Error::other(reason))
}

/// Opens a file as a database; its name must be no link.
#[expect(clippy::disallowed_methods, reason = "this is the room that opens the store")]
pub(super) fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    // NOFOLLOW concerns every part of the path, so links above the state directory are resolved
    // first.
    let real = path
        .parent()
        .and_then(|dir| fs::canonicalize(dir).ok())
        .zip(path.file_name())
        .map(|(dir, name)| dir.join(name));
    let mut conn = Connection::open_with_flags(real.as_deref().unwrap_or(path), flags)
        .map_err(|e| classify(path, "open the store", e))?;
    be_patient(&mut conn, Patience::Verb).map_err(|e| classify(path, "open the store", e))?;
    plan_once(&conn)
        .and_then(|()| distrust_schema(&conn))
        .map_err(|e| classify(path, "open the store", e))?;
    Ok(conn)
}

/// Without it SQLite prepares a statement anew whenever a value is bound that a partial index or a
/// `LIMIT` might be about.
fn plan_once(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// Makes a store under a name of its own and gives it its own name when it is complete: whoever
/// comes at the same time finds none or a whole one.
fn make_whole(path: &Path) -> Result<(), StoreError> {
    let draft = Draft::beside(path, "new")?;
    // Closing it takes its log into the file and removes it.
    drop(Store::open_and_make(draft.path().to_path_buf())?);
    take_name(draft.path(), path).map(drop)
}

/// Refuses file systems on which locks are not those of this machine.
pub(super) fn refuse_network(path: &Path, state_dir: &Path) -> Result<(), StoreError> {
    let Ok(stat) = statfs(state_dir) else {
        return Ok(());
    };
    if NETWORK_FILE_SYSTEMS.contains(&stat.filesystem_type()) {
        return Err(StoreError::Network(path.to_path_buf()));
    }
    Ok(())
}

/// Turns SQLite's answer about a file into one of ours.
pub(super) fn classify(path: &Path, action: &'static str, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Locked(path.to_path_buf())
        }
        Some(ErrorCode::NotADatabase) => StoreError::Foreign(path.to_path_buf()),
        Some(ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged(path.to_path_buf(), source.to_string())
        }
        Some(ErrorCode::DiskFull) => StoreError::Full(path.to_path_buf()),
        // The memory that is shared with other processes is a file, too.
        Some(ErrorCode::SystemIoFailure) if is_memory_refused(&source) => {
            StoreError::Full(path.to_path_buf())
        }
        // SQLite knows no EFBIG.
        Some(ErrorCode::SystemIoFailure) if is_write(&source) && is_at_limit(path) => {
            StoreError::Limited(path.to_path_buf())
        }
        Some(_) | None => StoreError::Failed { action, source },
    }
}

fn is_memory_refused(source: &rusqlite::Error) -> bool {
    source
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

fn is_write(source: &rusqlite::Error) -> bool {
    source
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_WRITE)
}

/// Whether another page of the store or its log would be beyond what this process may write.
fn is_at_limit(path: &Path) -> bool {
    let Ok((max, _)) = getrlimit(Resource::RLIMIT_FSIZE) else {
        return false;
    };
    ["", "-wal"].iter().any(|end| {
        let mut file = path.as_os_str().to_owned();
        file.push(end);
        fs::metadata(file).is_ok_and(|meta| meta.len().saturating_add(2 * PAGE_SIZE) > max)
    })
}

/// How long the log may get before its pages are moved into the file: on a small disk it must not
/// be what fills it.
fn log_pages_max(state_dir: &Path) -> u64 {
    let share = nix::sys::statvfs::statvfs(state_dir)
        .map_or(u64::MAX, |stat| stat.blocks().saturating_mul(stat.fragment_size()))
        / LOG_SHARE
        / PAGE_SIZE;
    share.clamp(LOG_PAGES_MIN, LOG_PAGES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(dir: &Path, sql: &str) {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(sql).unwrap();
        conn.execute("VACUUM INTO ?1", [dir.join(FILE_NAME).to_string_lossy()]).unwrap();
    }

    fn fresh_dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("jobctl-open-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_and_left_as_it_is() {
        let dir = fresh_dir("foreign");
        raw(&dir, "CREATE TABLE somebody(x)");
        let before = fs::read(dir.join(FILE_NAME)).unwrap();
        assert!(matches!(Store::create(&dir), Err(StoreError::Foreign(_))));
        assert!(matches!(Store::open_write(&dir), Err(StoreError::Foreign(_))));
        assert_eq!(fs::read(dir.join(FILE_NAME)).unwrap(), before);
        fs::write(
            dir.join(FILE_NAME),
            b"this is a letter, not a database, and longer than a header of SQLite's is",
        )
        .unwrap();
        assert!(matches!(Store::create(&dir), Err(StoreError::Foreign(_))));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_store_from_before_the_first_release_is_refused_and_left_as_it_is() {
        let dir = fresh_dir("older");
        raw(
            &dir,
            &format!(
                "CREATE TABLE job(id INTEGER PRIMARY KEY, name TEXT); PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1"
            ),
        );
        let before = fs::read(dir.join(FILE_NAME)).unwrap();
        assert!(matches!(Store::create(&dir), Err(StoreError::Older(_))));
        assert!(matches!(Store::open_read(&dir), Err(StoreError::Older(_))));
        assert!(matches!(Store::open_write(&dir), Err(StoreError::Older(_))));
        assert_eq!(fs::read(dir.join(FILE_NAME)).unwrap(), before);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_newer_store_is_refused_and_left_as_it_is() {
        let dir = fresh_dir("newer");
        raw(
            &dir,
            &format!(
                "CREATE TABLE t(x); PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 99"
            ),
        );
        let before = fs::read(dir.join(FILE_NAME)).unwrap();
        assert!(matches!(Store::create(&dir), Err(StoreError::Newer { found: 99, .. })));
        assert!(matches!(Store::open_read(&dir), Err(StoreError::Newer { found: 99, .. })));
        assert_eq!(fs::read(dir.join(FILE_NAME)).unwrap(), before);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_store_that_many_make_at_once_is_made_once_and_by_all() {
        let dir = fresh_dir("race");
        let makers: Vec<_> = (0..8)
            .map(|_| {
                let dir = dir.clone();
                std::thread::spawn(move || {
                    Store::create(&dir).and_then(|mut store| store.know_job("a"))
                })
            })
            .collect();
        for maker in makers {
            maker.join().unwrap().unwrap();
        }
        assert_eq!(Store::open_read(&dir).unwrap().jobs().unwrap().len(), 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn there_is_no_store_to_read_before_somebody_made_one() {
        let dir = fresh_dir("missing");
        assert!(matches!(Store::open_read(&dir), Err(StoreError::Missing(_))));
        assert!(matches!(Store::open_write(&dir), Err(StoreError::Missing(_))));
        assert!(!dir.join(FILE_NAME).exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
