//! The store's file may be deleted or replaced while it is in use. The connection then goes on with
//! a file that nobody else finds.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;

use super::commits::take_name;
use super::draft::Draft;
use super::files::{beside, identity_of, remove_if_there, sync_parent, with};
use super::schema::{APPLICATION_ID, VERSION};
use super::{Store, StoreError};
use crate::core::time::Wall;

/// The result of saving a store whose file is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rescued {
    /// It stands under the store's name again: nothing had taken it.
    PutBack,
    /// Another file has the name; it stands beside that one, under this name.
    Aside(PathBuf),
    /// What has the name now is no store that could be used. It stands nowhere else yet.
    Nowhere,
}

impl Store {
    /// Returns whether the file under the store's name is not the one that this connection uses,
    /// which nobody else finds then.
    pub(crate) fn is_astray(&self) -> bool {
        let is_astray = self.identity.is_some() && identity_of(&self.path) != self.identity;
        if !is_astray {
            self.log_identity.set(identity_of(&with(&self.path, "-wal")));
        }
        is_astray
    }

    /// Writes the content of a store that is astray into a file that people find.
    pub(crate) fn rescue(&self, now: Wall) -> Result<Rescued, StoreError> {
        if fs::symlink_metadata(&self.path).is_ok() && !has_our_header(&self.path) {
            return Ok(Rescued::Nowhere);
        }
        let draft = Draft::beside(&self.path, "rescue")?;
        self.conn
            .execute("VACUUM INTO ?1", [draft.path().to_string_lossy()])
            .map_err(|e| self.failed("copy the store whose file is gone", e))?;
        draft.sync()?;
        self.name_rescued(draft.path(), now)
    }

    fn name_rescued(&self, draft: &Path, now: Wall) -> Result<Rescued, StoreError> {
        if take_name(draft, &self.path)? {
            return Ok(Rescued::PutBack);
        }
        let first = beside(&self.path, &format!("replaced-{}", now.secs()));
        let later = (1_u32..).map(|number| with(&first, &format!("-{number}")));
        for aside in std::iter::once(first.clone()).chain(later) {
            match fs::hard_link(draft, &aside) {
                Ok(()) => {
                    sync_parent(&aside)?;
                    self.remove_log()?;
                    return Ok(Rescued::Aside(aside));
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::Unreadable(aside, error)),
            }
        }
        Err(StoreError::Exists(first))
    }
}

impl Store {
    /// SQLite would take the log of the file that was here for that of the one that is here now.
    /// What it holds is in the copy.
    fn remove_log(&self) -> Result<(), StoreError> {
        let log = with(&self.path, "-wal");
        if self.log_identity.get().is_none() || identity_of(&log) != self.log_identity.get() {
            return Ok(());
        }
        for name in [log, with(&self.path, "-shm")] {
            remove_if_there(&name).map_err(|error| StoreError::Unreadable(name.clone(), error))?;
        }
        Ok(())
    }

    /// A store that comes from elsewhere, or from before, may hold what has been done since:
    /// everything is paused, and a record that says nothing of a claim proves nothing.
    pub(crate) fn distrust(&self, now: Wall) -> Result<(), StoreError> {
        self.set_meta("paused_at", now)?;
        self.set_meta("paused_until", None::<i64>)?;
        self.set_meta("paused_by", None::<String>)?;
        self.set_meta("paused_reason", "the store comes from elsewhere")?;
        self.set_meta("books_boot_id", "before it was replaced")
    }
}

/// Whether a file begins as a store that this version can read (sqlite.org, "Database File Format":
/// the application's number stands at 68, the user's version at 60). It is read once, and is none
/// that this process has open otherwise.
fn has_our_header(path: &Path) -> bool {
    let mut header = [0; 100];
    let is_read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let number = |at: usize| -> Option<i64> {
        let bytes = header.get(at..at + 4)?.try_into().ok()?;
        Some(i64::from(u32::from_be_bytes(bytes)))
    };
    is_read.is_ok()
        && header.starts_with(b"SQLite format 3\0")
        && number(68) == Some(APPLICATION_ID)
        && number(60) == Some(VERSION)
}

impl Drop for Store {
    /// SQLite's last connection removes the log by its name, which would be that of another store
    /// by now.
    fn drop(&mut self) {
        if self.is_astray() {
            let _ = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::State;
    use crate::store::Filter;

    /// A state directory of a test's own.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir =
                std::env::temp_dir().join(format!("jobctl-rescue-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Self(fs::canonicalize(dir).unwrap())
        }

        fn queued(&self) -> usize {
            let filter = Filter { states: vec![State::Queued], ..Filter::default() };
            let store = Store::open_read(&self.0).unwrap();
            store.runs(&filter, None).unwrap().len()
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn add(store: &Store) {
        store.execute_raw(
            "INSERT INTO job (name, present) VALUES ('a', 1) ON CONFLICT DO NOTHING;
             INSERT INTO run (job, state, cause, due_at, created_at, attempt, max_attempts, count)
             SELECT id, 2, 3, 0, 0, 0, 1, 1 FROM job WHERE name = 'a';",
        );
    }

    #[test]
    fn what_was_deleted_is_put_back_whole_whichever_of_its_files_are_gone() {
        for gone in [&["", "-wal", "-shm"][..], &[""]] {
            let dir = Dir::new("deleted");
            let store = Store::create(&dir.0).unwrap();
            add(&store);
            add(&store);
            for suffix in gone {
                fs::remove_file(with(&store.path, suffix)).unwrap();
            }
            assert!(store.is_astray());
            assert_eq!(store.rescue(Wall::from_secs(7)).unwrap(), Rescued::PutBack);
            let next = Store::create(&dir.0).unwrap();
            add(&next);
            drop(store);
            assert_eq!(dir.queued(), 3, "{gone:?}");
        }
    }

    #[test]
    fn what_was_replaced_stands_beside_and_leaves_the_new_one_alone() {
        let dir = Dir::new("replaced");
        let store = Store::create(&dir.0).unwrap();
        add(&store);
        fs::remove_file(&store.path).unwrap();
        // It finds the log of the one before it.
        let next = Store::create(&dir.0).unwrap();
        add(&next);
        add(&next);
        let Rescued::Aside(aside) = store.rescue(Wall::from_secs(7)).unwrap() else {
            panic!("another file has the name");
        };
        assert_eq!(aside, beside(&next.path, "replaced-7"));
        drop(store);
        assert_eq!(dir.queued(), 2);
        drop(next);
        fs::rename(aside, dir.0.join("jobctl.db")).unwrap();
        assert_eq!(dir.queued(), 1);
    }
}
