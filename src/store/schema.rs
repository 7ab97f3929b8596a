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

/// The version of the schema. A store of an earlier one is migrated (`store::migrate`).
pub(super) const VERSION: i64 = 3;

/// The statements that make a store.
static SCHEMA: LazyLock<String> = LazyLock::new(|| {
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

/// An earlier version.
struct Former {
    version: i64,
    /// Its statements, as its jobctl made them.
    schema: &'static str,
    /// What gives its tables the columns of the next version. New tables, and indexes, triggers and
    /// views, come from the schema of that version.
    step: &'static str,
}

/// The versions since the first release, oldest first.
const FORMER: [Former; 1] = [Former {
    version: 2,
    schema: include_str!("former/2.sql"),
    step: "ALTER TABLE run ADD COLUMN created_by INTEGER",
}];

/// Returns the versions that this jobctl can migrate, oldest first.
pub(super) fn migratable() -> impl Iterator<Item = i64> {
    FORMER.iter().map(|former| former.version)
}

/// Returns the statements that make a store of this version, or of a migratable one.
pub(super) fn statements(version: i64) -> &'static str {
    let former = FORMER.iter().find(|former| former.version == version);
    former.map_or(&SCHEMA, |former| former.schema)
}

/// Returns what gives the tables of version `from` the columns of version `to`.
pub(super) fn steps(from: i64, to: i64) -> impl Iterator<Item = &'static str> {
    let is_on_the_way = move |former: &&Former| (from..to).contains(&former.version);
    FORMER.iter().filter(is_on_the_way).map(|former| former.step)
}

/// Makes the tables, and says whose they are.
pub(super) fn make(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(statements(VERSION))?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", VERSION)
}
