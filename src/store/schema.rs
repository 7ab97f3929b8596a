//! What a store is made of, and how it is known to be one.

use std::sync::LazyLock;

use rusqlite::Connection;

use super::sql::{
    CANCELLED, CATCH_UP, EXIT, FAILED, FAILURE, MAIL, MISSED, OVERLAP, QUEUED, RETRYING, RUNNING,
    SCHEDULE, SCHEDULED, SKIPPED, STAGED, SUCCEEDED,
};
use crate::core::run::{Cause, OutcomeKind, Reason, State};
use crate::core::words::Word;

/// "jobc": what `file(1)` and SQLite's header say of whose file it is.
pub(super) const APPLICATION_ID: i64 = 0x6A6F_6263;

/// The version of the schema. A later one must be able to read what this one has written.
pub(super) const VERSION: i64 = 3;

/// The statements that make a store.
pub(super) static SCHEMA: LazyLock<String> = LazyLock::new(|| {
    format!(
        include_str!("schema.sql"),
        STAGED = STAGED,
        SCHEDULED = SCHEDULED,
        QUEUED = QUEUED,
        RUNNING = RUNNING,
        RETRYING = RETRYING,
        SUCCEEDED = SUCCEEDED,
        FAILED = FAILED,
        SKIPPED = SKIPPED,
        CANCELLED = CANCELLED,
        SCHEDULE = SCHEDULE,
        CATCH_UP = CATCH_UP,
        EXIT = EXIT,
        OVERLAP = OVERLAP,
        MISSED = MISSED,
        FAILURE = FAILURE,
        MAIL = MAIL,
        WAITING = format_args!("'{}'", State::Queued),
        STATES = cases(State::code),
        REASONS = cases(Reason::code),
        CAUSES = cases(Cause::code),
        OUTCOMES = cases(OutcomeKind::code),
    )
});

/// The words of numbers, for readers of the views.
fn cases<W: Word>(code: fn(W) -> i64) -> String {
    let case = |one: &W| format!("WHEN {} THEN '{}'", code(*one), one.word());
    W::ALL.iter().map(case).collect::<Vec<_>>().join(" ")
}

/// Makes the tables, and says whose they are.
pub(super) fn make(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(&SCHEMA)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", VERSION)
}
