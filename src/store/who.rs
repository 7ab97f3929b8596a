//! The authors of runs, and which runs they own.

use rusqlite::{Connection, params};

use super::sql::Ask;
use super::types::Author;

/// Returns the id of an author, adding a row if needed; `None` for [`Author::Nobody`].
pub(super) fn number(tx: &Connection, author: Author<'_>) -> rusqlite::Result<Option<i64>> {
    let (name, owns) = match author {
        Author::Nobody => return Ok(None),
        Author::Named(name) => (name, false),
        Author::Owner(name) => (name, true),
    };
    let known = tx.one("SELECT id FROM who WHERE name = ?1 AND owns = ?2", params![name, owns])?;
    if known.is_some() {
        return Ok(known);
    }
    tx.run("INSERT INTO who(name, owns) VALUES (?1, ?2)", params![name, owns])?;
    Ok(Some(tx.last_insert_rowid()))
}

/// Returns whether an author may wait for a run and replace it. An owner may do so only with their
/// own runs.
pub(super) fn may_touch(tx: &Connection, author: Author<'_>, run: i64) -> rusqlite::Result<bool> {
    match author {
        Author::Nobody | Author::Named(_) => Ok(true),
        Author::Owner(name) => tx.value(
            "SELECT EXISTS (SELECT 1 FROM run JOIN who ON who.id = run.created_by \
             WHERE run.id = ?1 AND who.owns AND who.name = ?2)",
            params![run, name],
        ),
    }
}
