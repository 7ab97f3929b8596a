//! The queries that only the door needs.

use super::sql::Ask;
use super::{Store, StoreError};
use crate::core::run::State;

impl Store {
    /// Returns the owner of a run: the caller who added it by the job's `enqueue_by`.
    pub(crate) fn owner(&self, run: i64) -> Result<Option<String>, StoreError> {
        self.one(
            "read the owner of a run",
            "SELECT who.name FROM run JOIN who ON who.id = run.created_by \
             WHERE run.id = ?1 AND who.owns",
            [run],
        )
    }

    /// Returns whether a run has ended or does not exist.
    pub(crate) fn has_ended(&self, run: i64) -> Result<bool, StoreError> {
        let state: Option<State> =
            self.one("read a run", "SELECT state FROM run WHERE id = ?1", [run])?;
        Ok(state.is_none_or(State::is_ended))
    }

    /// Runs several verbs within a transaction. If they return an error, their changes are rolled
    /// back and the transaction continues.
    pub(crate) fn attempt<T, E>(
        &mut self,
        verbs: impl FnOnce(&mut Self) -> Result<Result<T, E>, StoreError>,
    ) -> Result<Result<T, E>, StoreError> {
        let failed = |store: &Self, e| store.failed("begin a part", e);
        self.conn.run("SAVEPOINT attempt", []).map_err(|e| failed(self, e))?;
        let answer = verbs(self)?;
        if answer.is_err() {
            self.conn.run("ROLLBACK TO attempt", []).map_err(|e| failed(self, e))?;
        }
        self.conn.run("RELEASE attempt", []).map_err(|e| failed(self, e))?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::Cause;
    use crate::core::time::Wall;
    use crate::store::{Addition, Author, Conditions, Enqueued, NewItem, OnConflict};

    const NOW: Wall = Wall::from_secs(1000);

    fn add(store: &mut Store, author: Author<'_>, key: &str, after: &[i64]) -> Enqueued {
        let addition = Addition {
            job: "a",
            due_at: NOW,
            priority: 0,
            max_attempts: None,
            backlog_max: None,
            cause: Cause::Enqueue,
            created_at: NOW,
            conditions: Conditions {
                author,
                after,
                on_conflict: OnConflict::Replace,
                ..Conditions::default()
            },
        };
        let item = NewItem { key: Some(key.to_owned()), ..NewItem::default() };
        store.enqueue(&addition, [item]).unwrap()
    }

    #[test]
    fn an_owner_waits_for_and_replaces_only_his_own_runs() {
        let mut store = Store::in_memory();
        let (own, other) = (Author::Owner("user:www-data"), Author::Owner("token:shop"));
        let named = Author::Named("user:www-data");
        for (author, key) in [(own, "own"), (other, "other"), (named, "named")] {
            assert!(matches!(add(&mut store, author, key, &[]), Enqueued::Added(_)));
        }
        assert_eq!(store.owner(1).unwrap().as_deref(), Some("user:www-data"));
        assert_eq!(store.owner(3).unwrap(), None, "of the command line");
        assert_eq!(store.run(3).unwrap().unwrap().created_by.as_deref(), Some("user:www-data"));
        assert!(matches!(add(&mut store, own, "own", &[]), Enqueued::Added(_)));
        for (key, by) in [("other", 2), ("named", 3)] {
            let refused = add(&mut store, own, key, &[]);
            assert_eq!(refused, Enqueued::KeyHeld { key: key.to_owned(), by });
        }
        assert_eq!(add(&mut store, own, "x", &[2]), Enqueued::NoSuchRun(2));
        assert!(matches!(add(&mut store, own, "x", &[1]), Enqueued::Added(_)));
        assert!(matches!(add(&mut store, named, "other", &[2]), Enqueued::Added(_)));
    }

    #[test]
    fn an_attempt_that_is_refused_is_undone_and_the_transaction_goes_on() {
        let mut store = Store::in_memory();
        let done: Result<_, StoreError> = store.together(|store| {
            let refused: Result<(), &str> = store.attempt(|store| {
                add(store, Author::Nobody, "x", &[]);
                Ok(Err("no"))
            })?;
            assert_eq!(refused, Err("no"));
            add(store, Author::Nobody, "y", &[]);
            Ok(())
        });
        done.unwrap();
        assert_eq!(store.texts_raw("SELECT key FROM run"), ["y"]);
    }
}
