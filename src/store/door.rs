//! The queries that only the door needs.

use rusqlite::params;

use super::cells::reads;
use super::prune::ANSWERED_FOR;
use super::sql::Ask;
use super::{Store, StoreError};
use crate::core::run::State;
use crate::core::time::Wall;

/// The answers that are kept at the same time.
const ANSWERED_MAX: i64 = 1_000_000;

/// Expired answers that are removed with each new one.
const FORGOTTEN_WITH_ONE: u32 = 2;

/// The answer to a request with an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    /// SHA-256 of the request's body.
    pub(crate) body: Vec<u8>,
    /// The HTTP status.
    pub(crate) status: u32,
    /// The run that the answer names.
    pub(crate) run: Option<i64>,
    /// The body of the answer.
    pub(crate) answer: Vec<u8>,
}

reads!(Answered: body status run answer);

/// Whether an answer was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// It was.
    Yes,
    /// It was not: the store holds as many as it may.
    Full,
}

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

    /// Returns the answer to a request of the last 24 hours, by the SHA-256 of caller, job and key.
    pub(crate) fn answered(
        &self,
        request: &[u8],
        now: Wall,
    ) -> Result<Option<Answered>, StoreError> {
        self.one(
            "read an answer",
            "SELECT body, status, run, answer FROM answered \
             WHERE request = ?1 AND at > ?2 AND at < ?3",
            params![request, now - ANSWERED_FOR, now + ANSWERED_FOR],
        )
    }

    /// Stores an answer for repeated requests.
    pub(crate) fn keep_answer(
        &self,
        request: &[u8],
        answered: &Answered,
        now: Wall,
    ) -> Result<Remembered, StoreError> {
        self.forget_answers(now, FORGOTTEN_WITH_ONE)?;
        // Answers are added at the end and removed from the beginning, so this is at least their
        // number.
        let kept: i64 = self.value(
            "count answers",
            "SELECT (SELECT max(id) FROM answered) - (SELECT min(id) FROM answered) + 1",
            [],
        )?;
        if kept >= ANSWERED_MAX {
            return Ok(Remembered::Full);
        }
        let Answered { body, status, run, answer } = answered;
        self.execute(
            "put an answer down",
            "INSERT OR REPLACE INTO answered(request, body, at, status, run, answer) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![request, body, now, status, run, answer],
        )?;
        Ok(Remembered::Yes)
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
    fn an_answer_is_kept_for_a_day_and_no_more_than_a_million_are() {
        let store = Store::in_memory();
        let hour = std::time::Duration::from_secs(3600);
        let first = Answered { body: vec![1], status: 201, run: Some(7), answer: b"{}".to_vec() };
        let second = Answered { run: None, ..first.clone() };
        assert_eq!(store.keep_answer(b"a", &first, NOW).unwrap(), Remembered::Yes);
        assert_eq!(store.answered(b"a", NOW + 23 * hour).unwrap(), Some(first));
        assert_eq!(store.answered(b"b", NOW).unwrap(), None);
        let later = NOW + 24 * hour;
        assert_eq!(store.answered(b"a", later).unwrap(), None);
        assert_eq!(store.answered(b"a", NOW - 24 * hour).unwrap(), None);
        store.forget_answers(NOW + 23 * hour, 9).unwrap();
        assert_eq!(store.texts_raw("SELECT hex(request) FROM answered"), ["61"]);
        assert_eq!(store.keep_answer(b"b", &second, later).unwrap(), Remembered::Yes);
        assert_eq!(store.texts_raw("SELECT hex(request) FROM answered"), ["62"]);
        store.execute_raw("UPDATE answered SET id = 1; INSERT INTO answered(id, request, body, at, status, answer) \
            SELECT 1000000, x'63', body, at, status, answer FROM answered");
        assert_eq!(store.keep_answer(b"d", &second, later).unwrap(), Remembered::Full);
        assert_eq!(store.keep_answer(b"d", &second, later + 24 * hour).unwrap(), Remembered::Yes);
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
