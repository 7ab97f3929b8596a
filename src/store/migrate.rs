//! Migrates a store from an earlier version: steps add new columns to the tables, and everything
//! else is recreated from the new schema. Rows are not changed.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row};

use super::schema::{migratable, statements, steps};

/// An entry of a schema: type, name, table, and the SQL that created it.
pub(super) type Entry = (String, String, String, Option<String>);

/// Migrates the tables within the caller's transaction; the caller writes the version.
pub(super) fn migrate(conn: &Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    steps(from, to).try_for_each(|step| conn.execute_batch(step))?;
    let (former, own) = (made(from)?, made(to)?);
    let names = |entries: &[Entry]| -> BTreeSet<String> {
        entries.iter().map(|(_, name, ..)| name.clone()).collect()
    };
    let known: BTreeSet<_> = names(&former).union(&names(&own)).cloned().collect();
    for entry in entries_of(conn)?.iter().filter(|entry| !own.contains(entry)) {
        let (kind, name, _, text) = entry;
        // Tables already have their columns, and an index without SQL belongs to its table.
        if kind != "table" && text.is_some() && known.contains(name) {
            conn.execute_batch(&format!("DROP {kind} \"{name}\""))?;
        }
    }
    let there = names(&entries_of(conn)?);
    let missing = own.iter().filter(|(_, name, ..)| !there.contains(name));
    missing.filter_map(|(.., text)| text.as_ref()).try_for_each(|text| conn.execute_batch(text))
}

/// Returns every entry that jobctl can have created in a store of a version, whether the store was
/// new or migrated.
pub(super) fn entries_of_version(version: i64) -> rusqlite::Result<BTreeSet<Entry>> {
    let mut entries: BTreeSet<Entry> = made(version)?.into_iter().collect();
    for origin in migratable().filter(|origin| *origin < version) {
        let conn = store_of(origin)?;
        migrate(&conn, origin, version)?;
        entries.extend(entries_of(&conn)?);
    }
    Ok(entries)
}

/// Returns the entries of a new store of a version in their order of creation.
fn made(version: i64) -> rusqlite::Result<Vec<Entry>> {
    entries_of(&store_of(version)?)
}

fn store_of(version: i64) -> rusqlite::Result<Connection> {
    let conn = Connection::open_in_memory()?;
    conn.execute_batch(statements(version))?;
    Ok(conn)
}

fn entries_of(conn: &Connection) -> rusqlite::Result<Vec<Entry>> {
    conn.prepare("SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY rowid")?
        .query_map([], entry_of)?
        .collect()
}

/// Reads an entry of a schema.
pub(super) fn entry_of(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

#[cfg(test)]
mod tests {
    use super::super::schema::VERSION;
    use super::*;

    /// The columns of all tables, and the texts of what else there is.
    fn shape(conn: &Connection) -> BTreeSet<String> {
        let mut shape = BTreeSet::new();
        for (kind, name, _, text) in entries_of(conn).unwrap() {
            if kind == "table" {
                let mut columns =
                    conn.prepare("SELECT name || ' ' || type FROM pragma_table_info(?1)").unwrap();
                let columns = columns.query_map([&name], |row| row.get::<_, String>(0)).unwrap();
                shape.extend(columns.map(|column| format!("{name}.{}", column.unwrap())));
            } else {
                shape.insert(format!("{name} {text:?}"));
            }
        }
        shape
    }

    #[test]
    fn a_migrated_store_has_what_a_new_one_has() {
        for version in migratable() {
            let migrated = store_of(version).unwrap();
            migrate(&migrated, version, VERSION).unwrap();
            assert_eq!(shape(&migrated), shape(&store_of(VERSION).unwrap()), "{version}");
        }
    }

    #[test]
    fn an_index_of_somebody_else_stays() {
        let store = store_of(2).unwrap();
        store.execute_batch("CREATE INDEX own ON run(key)").unwrap();
        migrate(&store, 2, VERSION).unwrap();
        assert!(entries_of(&store).unwrap().iter().any(|(_, name, ..)| name == "own"));
    }
}
