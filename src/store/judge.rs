//! What is done with a file that another hand made before anything in it is believed: a backup, and
//! each store that is opened.
//!
//! A database brings SQL: views, triggers, expressions in indexes and columns, virtual tables. None
//! of a backup's is executed. Its schema is compared, word for word, with what jobctl itself has
//! ever made; only rows are taken.

use std::collections::BTreeSet;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use super::migrate::{Entry, entries_of_version, entry_of};
use super::rename;
use super::schema::{APPLICATION_ID, VERSION, migratable};
use super::sql::{CANCELLED, EXEC, RUNNING, SCHEDULE, STAGED, sql};
use crate::core::job::Name;

/// Tables without which a file is no backup.
const NEEDED: [&str; 8] =
    ["meta", "source", "run", "attempt", "policy", "output", "downtime", "job"];

/// What an administrator's ANALYZE makes; only the planner reads it.
const STATISTICS: [(&str, &str); 2] =
    [("sqlite_stat1", "tbl,idx,stat"), ("sqlite_stat4", "tbl,idx,neq,nlt,ndlt,sample")];

/// Instructions of SQLite's machine for each byte of a file: reading all of it and copying it takes
/// less than ten.
const STEPS_PER_BYTE: u64 = 100;

/// The same for what does not depend on its length.
const STEPS_MIN: u64 = 100_000_000;

/// Instructions between two looks at how many there were.
const STEPS_PER_LOOK: u16 = 10_000;

/// No longer name of a stranger is shown.
const NAME_MAX: usize = 64;

/// Explains why a file is refused as a backup.
#[derive(Debug)]
pub(super) enum Refused {
    /// No store of jobctl's.
    Foreign,
    /// From before the first release.
    Older,
    /// Of a newer version.
    Newer {
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// Its pages do not fit together, or something is missing.
    Damaged(String),
    /// It has this, which jobctl did not make.
    Strange(String),
    /// It has this, which jobctl makes otherwise.
    Altered(String),
    /// SQLite's word.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// Lets a file have no say in what SQL does: its schema is not trusted, and views are not read. No
/// statement of ours reads one.
pub(super) fn distrust_schema(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false).map(drop)
}

/// Prepares a connection for a file of another hand, of so many bytes: no trigger is executed, and
/// no more steps are made than its length can need, so that the longest loop ends.
pub(super) fn guard(conn: &mut Connection, len: u64) -> rusqlite::Result<()> {
    distrust_schema(conn)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let steps = len.saturating_mul(STEPS_PER_BYTE).max(STEPS_MIN);
    let mut looks = steps / u64::from(STEPS_PER_LOOK);
    let is_over = move || {
        looks = looks.saturating_sub(1);
        looks == 0
    };
    conn.progress_handler(i32::from(STEPS_PER_LOOK), Some(is_over))
}

/// Reads all of the file that is attached as `backup` to a guarded connection. Its version, if it
/// may be restored.
pub(super) fn judge(conn: &Connection) -> Result<i64, Refused> {
    let version = judge_schema(conn)?;
    let says: String = conn.query_row("PRAGMA backup.integrity_check(1)", [], |row| row.get(0))?;
    if says != "ok" {
        return Err(Refused::Damaged(says));
    }
    judge_rows(conn)?;
    Ok(version)
}

/// Looks for runs with numbers that jobctl never wrote. They would be read as others that are in
/// range, and nobody would know.
fn judge_rows(conn: &Connection) -> Result<(), Refused> {
    let odd: Option<i64> = conn
        .query_row(
            sql! {"SELECT id FROM backup.run WHERE NOT (typeof(job) = 'integer' \
            AND typeof(state) = 'integer' AND state BETWEEN {STAGED} AND {CANCELLED} \
            AND typeof(cause) = 'integer' AND cause BETWEEN {SCHEDULE} AND {EXEC} \
            AND typeof(attempt) = 'integer' AND attempt BETWEEN (state = {RUNNING}) \
            AND 4294967295 AND typeof(charged) = 'integer' AND charged BETWEEN 0 \
            AND 4294967295 AND typeof(claim) = 'integer' AND typeof(priority) = 'integer' \
            AND priority BETWEEN -128 AND 127 AND typeof(created_at) = 'integer') LIMIT 1"},
            [],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = odd {
        let why = format!("run {id} has numbers that jobctl never writes");
        return Err(Refused::Damaged(why));
    }
    judge_numbers(conn)?;
    judge_names(conn)
}

/// Looks for what is no number where one belongs. SQLite lets anything stand there, and it would be
/// read as none, or as zero.
fn judge_numbers(conn: &Connection) -> Result<(), Refused> {
    let mut tables = conn.prepare(
        "SELECT name FROM backup.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for table in tables {
        let mut columns = conn
            .prepare("SELECT name FROM pragma_table_info(?1, 'backup') WHERE type = 'INTEGER'")?;
        let cases: String = columns
            .query_map([&table], |row| row.get::<_, String>(0))?
            .map(|name| {
                let name = name?;
                let test = format!("typeof(\"{name}\") NOT IN ('integer', 'null')");
                Ok(format!(" WHEN {test} THEN '{name}'"))
            })
            .collect::<rusqlite::Result<_>>()?;
        if cases.is_empty() {
            continue;
        }
        let sql = format!(
            "SELECT CASE{cases} END AS odd FROM backup.\"{table}\" WHERE odd IS NOT NULL LIMIT 1"
        );
        let odd = conn.query_row(&sql, [], |row| row.get::<_, String>(0));
        if let Some(column) = odd.optional()? {
            let why = format!("a `{column}` in table `{table}` is not a whole number");
            return Err(Refused::Damaged(why));
        }
    }
    Ok(())
}

/// Looks for jobs with names that no jobfile can have.
fn judge_names(conn: &Connection) -> Result<(), Refused> {
    let mut names = conn.prepare("SELECT name FROM backup.job")?;
    let mut rows = names.query([])?;
    while let Some(row) = rows.next()? {
        let name = match row.get_ref(0)? {
            ValueRef::Text(bytes) => String::from_utf8_lossy(bytes),
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => {
                let why = "a job's name is not text".to_owned();
                return Err(Refused::Damaged(why));
            }
        };
        if let Err(wrong) = Name::parse(rename::name_of(&name)) {
            let name: String = name.chars().take(NAME_MAX).collect();
            let why = format!("the job name {name:?} {wrong}");
            return Err(Refused::Damaged(why));
        }
    }
    Ok(())
}

/// The same without its content: what executes nothing.
pub(super) fn judge_schema(conn: &Connection) -> Result<i64, Refused> {
    let ask = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    if ask("PRAGMA backup.application_id")? != APPLICATION_ID {
        return Err(Refused::Foreign);
    }
    let (found, known) = (ask("PRAGMA backup.user_version")?, VERSION);
    if found > known {
        return Err(Refused::Newer { found, known });
    }
    if found < known && !migratable().any(|version| version == found) {
        return Err(Refused::Older);
    }
    let own = own_entries(found)?;
    let mut is_there = BTreeSet::new();
    let mut entries = conn.prepare("SELECT type, name, tbl_name, sql FROM backup.sqlite_schema")?;
    let mut rows = entries.query([])?;
    while let Some(row) = rows.next()? {
        let entry = match entry_of(row) {
            Ok(entry) if own.contains(&entry) => entry,
            Ok((kind, name, ..)) => {
                let is_known = own.iter().any(|own| (&own.0, &own.1) == (&kind, &name));
                let name: String = name.chars().take(NAME_MAX).collect();
                return Err(match is_known {
                    true => Refused::Altered(format!("{kind} `{name}`")),
                    false => Refused::Strange(format!("the {kind} `{name}`")),
                });
            }
            Err(_) => return Err(Refused::Strange("an entry that is not text".to_owned())),
        };
        is_there.insert(entry.1);
    }
    let missing = NEEDED.iter().find(|table| !is_there.contains(**table));
    match missing {
        Some(table) => Err(Refused::Damaged(format!("table `{table}` is missing"))),
        None => Ok(found),
    }
}

/// All that jobctl makes in a store of a version, and what ANALYZE makes.
fn own_entries(version: i64) -> rusqlite::Result<BTreeSet<Entry>> {
    let mut entries = entries_of_version(version)?;
    for (name, columns) in STATISTICS {
        let sql = format!("CREATE TABLE {name}({columns})");
        let name = name.to_owned();
        entries.insert(("table".to_owned(), name.clone(), name, Some(sql)));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::super::schema::statements;
    use super::*;

    fn guarded() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        guard(&mut conn, 0).unwrap();
        conn
    }

    /// A whole store of all additions, and this.
    fn judged(sql: &str) -> Result<i64, Refused> {
        let path = std::env::temp_dir().join(format!(
            "jobctl-judge-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(statements(VERSION)).unwrap();
        conn.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; {sql}"
        ))
        .unwrap();
        let _ = std::fs::remove_file(&path);
        conn.execute("VACUUM INTO ?1", [path.to_string_lossy()]).unwrap();
        let conn = guarded();
        conn.execute("ATTACH ?1 AS backup", [path.to_string_lossy()]).unwrap();
        let judged = judge(&conn);
        std::fs::remove_file(path).unwrap();
        judged
    }

    #[test]
    fn a_store_of_our_own_making_may_be_restored_analyzed_or_not() {
        assert_eq!(judged("").unwrap(), VERSION);
        assert_eq!(judged("INSERT INTO job(name) VALUES ('a'); ANALYZE").unwrap(), VERSION);
    }

    #[test]
    fn numbers_of_a_run_that_jobctl_does_not_write_are_refused() {
        for (columns, is_good) in [
            ("3, 1, 1", true),
            ("3, 1, 0", false),
            ("2, 1, 0", true),
            ("2, 1, -1", false),
            ("2, 1, 'x'", false),
            ("9, 1, 1", false),
            ("2, 7, 1", false),
            ("2, 1, 1e300", false),
        ] {
            let sql = format!(
                "INSERT INTO run(job, created_at, state, cause, attempt) VALUES (1, 5, {columns})"
            );
            match judged(&sql) {
                Ok(_) => assert!(is_good, "{columns}"),
                Err(Refused::Damaged(why)) => {
                    assert!(!is_good && why.starts_with("run 1 has numbers"), "{why}");
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_number_in_a_column_of_numbers_is_refused_and_named() {
        const RUN: &str = "INSERT INTO run(job, created_at, state, cause) VALUES (1, 5, 2, 3)";
        for (sql, why) in [
            ("UPDATE run SET due_at = 'x'", "a `due_at` in table `run` is not a whole number"),
            (
                "UPDATE run SET expires_at = 1.5",
                "a `expires_at` in table `run` is not a whole number",
            ),
            (
                "INSERT INTO dependency(run, \"on\") VALUES (1, 'x')",
                "a `on` in table `dependency` is not a whole number",
            ),
            (
                "INSERT INTO job(name, paused_at) VALUES ('a', x'00')",
                "a `paused_at` in table `job` is not a whole number",
            ),
        ] {
            match judged(&format!("{RUN}; {sql}")) {
                Err(Refused::Damaged(found)) => assert_eq!(found, why, "{sql}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_job_with_a_name_that_no_jobfile_can_have_is_refused() {
        for (name, why) in [
            ("'../x'", "the job name \"../x\" must begin with a letter or digit"),
            ("''", "the job name \"\" is empty"),
            ("'12'", "the job name \"12\" has only digits, like the id of a run"),
            ("'7/../x'", "the job name \"7/../x\" must begin with a letter or digit"),
            ("x'61'", "a job's name is not text"),
        ] {
            match judged(&format!("INSERT INTO job(name) VALUES ({name})")) {
                Err(Refused::Damaged(found)) => assert_eq!(found, why, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_backup_of_jobs_that_are_becoming_one_is_taken() {
        assert_eq!(
            judged("INSERT INTO job(name, moves_to) VALUES ('b', NULL), ('2/a', 1)").unwrap(),
            VERSION
        );
    }

    #[test]
    fn whatever_else_a_schema_has_is_named() {
        for (sql, strange) in [
            ("CREATE VIEW v AS SELECT 1", "the view `v`"),
            ("CREATE TABLE t(x)", "the table `t`"),
            ("CREATE INDEX i ON run(abs(state))", "the index `i`"),
            ("CREATE TRIGGER t AFTER INSERT ON run BEGIN SELECT 1; END", "the trigger `t`"),
            ("ALTER TABLE job ADD COLUMN evil AS (name || name)", "table `job`"),
            // As a program writes it whose SQLite has the module.
            (
                "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES('table', 'f', 'f', 0, 'CREATE VIRTUAL TABLE f USING fts5(x)'); PRAGMA writable_schema = OFF",
                "the table `f`",
            ),
            ("DROP VIEW runs; CREATE VIEW runs AS SELECT 1 AS id", "view `runs`"),
            (
                "DROP TRIGGER run_gone; CREATE TRIGGER run_gone AFTER DELETE ON run BEGIN SELECT 1; END",
                "trigger `run_gone`",
            ),
            ("DROP TABLE watched; CREATE VIEW watched AS SELECT 1 AS job", "the view `watched`"),
            ("DROP INDEX run_due; CREATE INDEX run_due ON run(job, state)", "index `run_due`"),
            ("DROP TABLE source", "table `source` is missing"),
        ] {
            match judged(sql) {
                Err(
                    Refused::Strange(found) | Refused::Altered(found) | Refused::Damaged(found),
                ) => {
                    assert_eq!(found, strange, "{sql}");
                }
                other => panic!("{sql}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_longest_loop_ends_and_a_view_is_not_read() {
        let conn = guarded();
        let endless =
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r";
        let answer = conn.query_row(endless, [], |row| row.get::<_, i64>(0));
        let code = answer.unwrap_err().sqlite_error_code();
        assert_eq!(code, Some(rusqlite::ErrorCode::OperationInterrupted));
        conn.execute_batch("CREATE VIEW v AS SELECT 1").unwrap();
        let answer = conn.query_row("SELECT * FROM v", [], |row| row.get::<_, i64>(0));
        assert!(answer.unwrap_err().to_string().contains("prohibited"));
    }
}
