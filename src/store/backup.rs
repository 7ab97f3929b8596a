//! A copy of the store while it is in use, and the way back.
//!
//! The way back is a transaction on the store that is there, so that whoever has it open sees all
//! of it or nothing, and what was added before is in the copy that is kept. Only a store that
//! cannot be used any more is replaced as a file.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, ToSql, params};

use super::commits;
use super::draft::Draft;
use super::files::{
    is_same_file, kept_name, name, remove_if_there, resolved, sync_parent, text, uri, with,
};
use super::judge::{self, Refused};
use super::open::{FILE_NAME, classify, connect, refuse_network};
use super::schema;
use super::sql::Ask;
use super::{Store, StoreError};
use crate::core::run::{Cause, State};
use crate::core::time::Wall;

/// How many numbers of runs are left out where those that were given since the backup cannot be
/// known.
const NUMBERS_UNKNOWN: i64 = 100_000;

/// The place of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// In a directory in which nobody else can change anything of this user's.
    Closed,
    /// In another one. SQLite opens files by path and would write the copy into whatever others put
    /// there, so the copy is made in the state directory and then written there.
    Shared,
}

/// The result of a backup.
#[derive(Debug)]
pub(crate) struct Copied {
    /// How many bytes it has.
    pub(crate) bytes: u64,
    /// Why a restore would refuse its schema.
    pub(crate) flaw: Option<StoreError>,
}

/// The facts that a restore adds to those of the backup.
#[derive(Clone, Debug)]
pub(crate) struct Restoring<'a> {
    /// The backup.
    pub(crate) file: &'a Path,
    /// The time of the call: from now on everything is paused.
    pub(crate) now: Wall,
    /// This boot: its `@reboot` jobs have had their start.
    pub(crate) boot_id: &'a str,
}

/// The result of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    /// Where the store is kept that was there before; none if there was none.
    pub(crate) kept: Option<PathBuf>,
    /// Runs that were running when the backup was made.
    pub(crate) running: i64,
    /// Runs that wait, and that may have been executed since.
    pub(crate) waiting: i64,
}

impl Store {
    /// Writes a copy of the store to `path`, which must not exist. Whoever reads or writes
    /// meanwhile goes on.
    ///
    /// The copy is made under a name of its own and gets its name when it is on disk. Errs with
    /// [`StoreError::Exists`] if there is something at `path`.
    pub(crate) fn backup(&self, path: &Path, goal: Goal) -> Result<Copied, StoreError> {
        let path = &resolved(path)?;
        if fs::symlink_metadata(path).is_ok() {
            return Err(StoreError::Exists(path.clone()));
        }
        let draft = match goal {
            Goal::Closed => Draft::beside(path, "new")?,
            Goal::Shared => Draft::beside(&self.path, "backup")?,
        };
        self.conn
            .execute("VACUUM INTO ?1", [text(draft.path())?])
            .map_err(|e| self.failed("copy the store", e))?;
        let bytes = draft.len()?;
        let flaw = Backup::flaw(draft.path(), path);
        match goal {
            Goal::Closed => {
                draft.sync()?;
                name(draft.path(), path)?;
                sync_parent(path)?;
            }
            Goal::Shared => draft.copy_to(path)?,
        }
        Ok(Copied { bytes, flaw })
    }

    /// Makes the store of `state_dir` what it was when the backup was made, with everything paused.
    /// Nobody may be the supervisor meanwhile; the caller sees to it.
    pub(crate) fn restore(
        state_dir: &Path,
        restoring: &Restoring<'_>,
    ) -> Result<Restored, StoreError> {
        let path = state_dir.join(FILE_NAME);
        refuse_network(&path, state_dir)?;
        let backup = Backup::open(restoring.file)?;
        if fs::symlink_metadata(&path).is_err() {
            // A log without its store belongs to none that could be opened.
            return replace(&path, None, &backup, restoring);
        }
        match restore_within(&path, &backup, restoring) {
            Err(
                StoreError::Foreign(broken)
                | StoreError::Damaged(broken, _)
                | StoreError::Newer { path: broken, .. },
            ) if broken == path => {
                let kept = kept_name(&path, restoring.now);
                replace(&path, Some(kept), &backup, restoring)
            }
            answer => answer,
        }
    }
}

/// A file that was found to be a whole store of a version that is known here, made by jobctl alone.
struct Backup {
    path: PathBuf,
    /// Bytes.
    len: u64,
    /// As SQLite attaches it: for reading only.
    uri: String,
    version: i64,
}

impl Backup {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let (mut backup, conn) = Self::attached(path)?;
        backup.version = judge::judge(&conn).map_err(|refused| backup.refused(refused))?;
        Ok(backup)
    }

    /// What would be said against the schema of a copy that is to be named `path`.
    fn flaw(draft: &Path, path: &Path) -> Option<StoreError> {
        let judged = Self::attached(draft).and_then(|(backup, conn)| {
            let named = Self { path: path.to_path_buf(), ..backup };
            judge::judge_schema(&conn).map_err(|refused| named.refused(refused))
        });
        judged.err()
    }

    /// A file that is not judged yet, and a connection that executes nothing of it.
    fn attached(path: &Path) -> Result<(Self, Connection), StoreError> {
        let real = fs::canonicalize(path)
            .map_err(|error| StoreError::Unreadable(path.to_path_buf(), error))?;
        let meta = fs::metadata(&real)
            .map_err(|error| StoreError::Unreadable(path.to_path_buf(), error))?;
        if !meta.is_file() {
            let error = std::io::Error::other("not a file");
            return Err(StoreError::Unreadable(path.to_path_buf(), error));
        }
        let backup =
            Self { path: path.to_path_buf(), len: meta.len(), uri: uri(&real)?, version: 0 };
        let mut conn = memory().map_err(|e| backup.failed("read the backup", e))?;
        backup.attach_to(&mut conn).map_err(|e| backup.failed("read the backup", e))?;
        Ok((backup, conn))
    }

    /// Attaches it to a connection that executes nothing of it.
    fn attach_to(&self, conn: &mut Connection) -> rusqlite::Result<()> {
        judge::guard(conn, self.len)?;
        conn.execute("ATTACH ?1 AS backup", [&self.uri]).map(drop)
    }

    /// The name leads to a file that another may have changed since it was judged.
    fn judge_again(&self, conn: &Connection) -> Result<(), StoreError> {
        let version = judge::judge_schema(conn).map_err(|refused| self.refused(refused))?;
        if version != self.version {
            let why = "it changed in the meantime".to_owned();
            return Err(StoreError::Damaged(self.path.clone(), why));
        }
        Ok(())
    }

    fn refused(&self, refused: Refused) -> StoreError {
        let path = self.path.clone();
        match refused {
            Refused::Foreign => StoreError::Foreign(path),
            Refused::Older => StoreError::Older(path),
            Refused::Newer { found, known } => StoreError::Newer { path, found, known },
            Refused::Damaged(why) => StoreError::Damaged(path, why),
            Refused::Strange(what) => StoreError::Strange(path, what),
            Refused::Altered(what) => StoreError::Altered(path, what),
            Refused::Failed(error) => self.failed("read the backup", error),
        }
    }

    fn failed(&self, action: &'static str, source: rusqlite::Error) -> StoreError {
        classify(&self.path, action, source)
    }
}

/// Restores in one transaction on the store that is there, after a copy was made of it under the
/// same lock.
fn restore_within(
    path: &Path,
    backup: &Backup,
    restoring: &Restoring<'_>,
) -> Result<Restored, StoreError> {
    let mut store = writable(path)?;
    store.check_version()?;
    if is_same_file(path, &backup.path) {
        return Err(StoreError::Itself(backup.path.clone()));
    }
    // The backup was read whole: what does not work now is this store.
    backup.attach_to(&mut store.conn).map_err(|e| classify(path, "read the store", e))?;
    let kept = kept_name(path, restoring.now);
    store.begin()?;
    // A second connection copies what is committed while this one keeps everybody else from
    // committing more.
    let done =
        writable(path).and_then(|reader| reader.backup(&kept, Goal::Closed)).and_then(|_| {
            let given = largest_run(&store.conn).ok();
            store.fill(backup, given, restoring)
        });
    match done {
        Ok(restored) => {
            store.commit()?;
            Ok(Restored { kept: Some(kept), ..restored })
        }
        Err(error) => {
            store.rollback();
            // The store is as it was: nothing needs to be kept.
            let _ = remove_if_there(&kept);
            Err(error)
        }
    }
}

/// Makes the store anew beside its name, moves away what has the name, and takes its place.
fn replace(
    path: &Path,
    kept: Option<PathBuf>,
    backup: &Backup,
    restoring: &Restoring<'_>,
) -> Result<Restored, StoreError> {
    let unreadable = |error| StoreError::Unreadable(path.to_path_buf(), error);
    let draft = Draft::beside(path, "new")?;
    let given = kept
        .as_ref()
        .and_then(|_| writable(path).ok().and_then(|store| largest_run(&store.conn).ok()));
    let restored = fill_draft(draft.path(), backup, given, restoring)?;
    draft.sync()?;
    if let Some(kept) = &kept {
        keep(path, kept).map_err(unreadable)?;
    }
    // The log of the former store would be taken for that of the new one.
    remove_if_there(&with(path, "-wal")).map_err(unreadable)?;
    remove_if_there(&with(path, "-shm")).map_err(unreadable)?;
    fs::rename(draft.path(), path).map_err(unreadable)?;
    sync_parent(path)?;
    Ok(Restored { kept, ..restored })
}

fn fill_draft(
    draft: &Path,
    backup: &Backup,
    given: Option<i64>,
    restoring: &Restoring<'_>,
) -> Result<Restored, StoreError> {
    let mut store = writable(draft)?;
    backup.attach_to(&mut store.conn).map_err(|e| backup.failed("read the backup", e))?;
    // Not in WAL mode yet, so that all of it is in the one file; who opens it for writing makes it
    // so.
    store.begin()?;
    let restored = store.fill(backup, given, restoring)?;
    store.commit()?;
    Ok(restored)
}

/// Gives a store that cannot be used another name, with its log.
fn keep(path: &Path, kept: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal"] {
        match fs::hard_link(with(path, suffix), with(kept, suffix)) {
            Err(error) if !(suffix == "-wal" && error.kind() == std::io::ErrorKind::NotFound) => {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
    }
    path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
}

impl Store {
    /// Within a transaction: takes away what is there and puts the backup in its place. `given` is
    /// the largest number of a run that is known to be given.
    fn fill(
        &self,
        backup: &Backup,
        given: Option<i64>,
        restoring: &Restoring<'_>,
    ) -> Result<Restored, StoreError> {
        backup.judge_again(&self.conn)?;
        // From here on it is older on purpose.
        commits::forget(&self.path)
            .map_err(|error| StoreError::Unreadable(self.path.clone(), error))?;
        self.empty()
            .and_then(|()| self.take_over())
            .and_then(|()| self.make_safe(given, restoring))
            .map_err(|e| self.failed("restore the store", e))
    }

    fn empty(&self) -> rusqlite::Result<()> {
        let drops: Vec<String> = self
            .conn
            .prepare(
                "SELECT 'DROP ' || type || ' \"' || replace(name, '\"', '\"\"') || '\"' \
                 FROM main.sqlite_schema WHERE type IN ('view', 'trigger', 'table') \
                 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type DESC",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        drops.iter().try_for_each(|sql| self.conn.execute_batch(sql))
    }

    /// Makes the tables and copies what both know. Nothing of the backup is executed.
    fn take_over(&self) -> rusqlite::Result<()> {
        schema::make(&self.conn)?;
        for table in tables_of(&self.conn)? {
            let there = columns_of(&self.conn, "backup", &table)?;
            let both: Vec<String> = columns_of(&self.conn, "main", &table)?
                .into_iter()
                .filter(|column| there.contains(column))
                .map(|column| format!("\"{column}\""))
                .collect();
            if both.is_empty() {
                continue;
            }
            let both = both.join(", ");
            self.conn.execute_batch(&format!(
                "INSERT INTO main.\"{table}\"({both}) SELECT {both} FROM backup.\"{table}\""
            ))?;
        }
        Ok(())
    }

    /// What was so when the backup was made need not be so now: nothing starts until somebody has
    /// looked, nothing is taken for not started, and no number is given twice.
    fn make_safe(
        &self,
        given: Option<i64>,
        restoring: &Restoring<'_>,
    ) -> rusqlite::Result<Restored> {
        let set = |key: &str, value: &dyn ToSql| {
            self.conn.run(
                "INSERT OR REPLACE INTO main.meta(key, value) VALUES (?1, ?2)",
                params![key, value],
            )
        };
        set("paused_at", &restoring.now)?;
        set("paused_until", &None::<i64>)?;
        set("paused_by", &None::<String>)?;
        set("paused_reason", &"restored from a backup")?;
        set("restored_at", &restoring.now)?;
        set("boot_id", &restoring.boot_id)?;
        // The boot of no machine: a record that says nothing of an attempt proves nothing any more.
        set("books_boot_id", &"before the restore")?;
        let own = largest_run(&self.conn)?;
        let given = given.unwrap_or(own.saturating_add(NUMBERS_UNKNOWN));
        if given > own {
            // A row of no job, which nobody sees: SQLite gives the number behind the largest one.
            self.conn.execute(
                "INSERT INTO main.run(id, job, state, cause, created_at) \
                 VALUES (?1, 0, ?2, ?3, ?4)",
                params![given, State::Cancelled, Cause::Enqueue, restoring.now],
            )?;
        }
        let count = |states: &[State]| {
            let codes: Vec<String> = states.iter().map(|state| state.code().to_string()).collect();
            self.conn.value(
                &format!("SELECT count(*) FROM main.run WHERE state IN ({})", codes.join(", ")),
                [],
            )
        };
        Ok(Restored {
            kept: None,
            running: count(&[State::Running])?,
            waiting: count(&[State::Scheduled, State::Queued, State::Retrying])?,
        })
    }
}

/// A connection that may attach a file for reading only.
fn writable(path: &Path) -> Result<Store, StoreError> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI)?;
    Ok(Store::of(conn, path.to_path_buf()))
}

/// A connection to nothing, to attach a file to.
fn memory() -> rusqlite::Result<Connection> {
    Connection::open_in_memory_with_flags(
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI,
    )
}

fn largest_run(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("SELECT coalesce(max(id), 0) FROM main.run", [], |row| row.get(0))
}

/// The tables of the schema. The trigger of a run counts in the row of its job, so jobs, with their
/// counters, come last.
fn tables_of(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    conn.prepare(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' \
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name = 'job', name",
    )?
    .query_map([], |row| row.get(0))?
    .collect()
}

fn columns_of(conn: &Connection, schema: &str, table: &str) -> rusqlite::Result<Vec<String>> {
    conn.prepare("SELECT name FROM pragma_table_info(?1, ?2)")?
        .query_map([table, schema], |row| row.get(0))?
        .collect()
}
