//! Questions to the store. Counters, pointers and indexes answer what is asked often; only filters by time, exit code or key go
//! through runs.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use rusqlite::{OptionalExtension, params, params_from_iter, types::Value};

use super::cells::{Cell, Cells};
use super::feed;
use super::rows::{self, ATTEMPT_COLUMNS, IN_SIGHT, JOB_COLUMNS, RUN_COLUMNS};
use super::types::{AttemptRow, Filter, JobRow, Output, RunRow, SupervisorRow};
use super::{Store, StoreError};
use crate::core::output::OutputLayout;
use crate::core::pause::Pause;
use crate::core::run::State;
use crate::core::time::Wall;

impl Store {
    /// The run of an id.
    pub(crate) fn run(&self, id: i64) -> Result<Option<RunRow>, StoreError> {
        let sql = format!(
            "SELECT {RUN_COLUMNS} FROM run JOIN job ON job.id = run.job WHERE run.id = ?1 AND {IN_SIGHT}"
        );
        self.conn
            .prepare_cached(&sql)
            .and_then(|mut query| query.query_row([id], rows::run).optional())
            .map_err(|e| self.failed("read a run", e))
    }

    /// The runs of some ids, in any order; those that are gone are left out.
    pub(crate) fn runs_of_ids(&self, ids: &[i64]) -> Result<Vec<RunRow>, StoreError> {
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        let sql = format!(
            "SELECT {RUN_COLUMNS} FROM run JOIN job ON job.id = run.job WHERE run.id IN ({}) AND {IN_SIGHT}",
            list.join(",")
        );
        self.conn
            .prepare(&sql)
            .and_then(|mut query| query.query_map([], rows::run)?.collect())
            .map_err(|e| self.failed("read runs", e))
    }

    /// A moment: as long as it is kept, all that is read is as it was then. Whoever keeps it keeps the log from being cut.
    pub(crate) fn moment(&self) -> Result<rusqlite::Transaction<'_>, StoreError> {
        self.conn.unchecked_transaction().map_err(|e| self.failed("read the store", e))
    }

    /// The runs of a filter, newest first.
    pub(crate) fn runs(
        &self,
        filter: &Filter,
        limit: Option<u32>,
    ) -> Result<Vec<RunRow>, StoreError> {
        let (clause, mut values) = where_clause(filter, self.job_clause(filter)?);
        values.push(Value::Integer(limit.map_or(-1, i64::from)));
        let sql = format!(
            "SELECT {RUN_COLUMNS} FROM run JOIN job ON job.id = run.job WHERE {clause} AND {IN_SIGHT} ORDER BY run.id DESC LIMIT ?"
        );
        self.conn
            .prepare_cached(&sql)
            .and_then(|mut query| query.query_map(params_from_iter(values), rows::run)?.collect())
            .map_err(|e| self.failed("read runs", e))
    }

    /// The ids of the runs of a filter, oldest first.
    pub(crate) fn ids(&self, filter: &Filter) -> Result<Vec<i64>, StoreError> {
        let (clause, values) = where_clause(filter, self.job_clause(filter)?);
        let sql = format!(
            "SELECT run.id FROM run JOIN job ON job.id = run.job WHERE {clause} AND {IN_SIGHT} ORDER BY run.id"
        );
        self.conn
            .prepare_cached(&sql)
            .and_then(|mut query| {
                query.query_map(params_from_iter(values), |row| row.cell(0))?.collect()
            })
            .map_err(|e| self.failed("read runs", e))
    }

    /// The queued run of a job that is claimed first.
    pub(crate) fn first_queued(&self, job_id: i64) -> Result<Option<RunRow>, StoreError> {
        let sql = format!(
            "SELECT {RUN_COLUMNS} FROM run JOIN job ON job.id = run.job WHERE run.job = ?1 AND run.state = 2 AND run.held IS NULL
             ORDER BY run.priority DESC, run.due_at, run.id LIMIT 1"
        );
        self.conn
            .prepare_cached(&sql)
            .and_then(|mut query| query.query_row([job_id], rows::run).optional())
            .map_err(|e| self.failed("read the queue", e))
    }

    /// What asks for the job of a filter, by name: one row, whose runs stand in the order of their index, but while others move to it.
    fn job_clause(&self, filter: &Filter) -> Result<&'static str, StoreError> {
        let has_moving = || match &filter.job {
            Some(name) => self
                .conn
                .prepare_cached("SELECT id FROM job WHERE name = ?1")?
                .query_row([name], |row| row.cell(0))
                .optional()?
                .map_or(Ok(false), |job| self.has_moving(job)),
            None => Ok(false),
        };
        Ok(match has_moving().map_err(|e| self.failed("read a job", e))? {
            false => "run.job = (SELECT id FROM job WHERE name = ?)",
            true => {
                "run.job IN (SELECT row.id FROM job AS row JOIN job AS heir ON heir.id IN (row.id, row.moves_to) WHERE heir.name = ?)"
            }
        })
    }

    /// How many queued runs of the same job are claimed before this one.
    pub(crate) fn ahead_of(&self, run: &RunRow) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM run WHERE job = ?1 AND state = 2 AND held IS NULL
                   AND (priority > ?2 OR (priority = ?2 AND (due_at, id) < (?3, ?4)))";
        let due_at = run.due_at.map(Wall::ms);
        self.conn
            .prepare_cached(sql)
            .and_then(|mut query| {
                query
                    .query_row(params![run.job_id, run.priority, due_at, run.id], |row| row.cell(0))
            })
            .map_err(|e| self.failed("read the queue", e))
    }

    /// The runs of a job's occurrences from `from` on and before `until`, stretches that reach into that time included, oldest first.
    pub(crate) fn runs_of_instant(
        &self,
        job_id: i64,
        from: Wall,
        until: Wall,
    ) -> Result<Vec<RunRow>, StoreError> {
        let sql = format!(
            "SELECT {RUN_COLUMNS} FROM run JOIN job ON job.id = run.job WHERE run.job = ?1 AND run.scheduled_at < ?3
             AND coalesce(run.last_scheduled_at, run.scheduled_at) >= ?2 ORDER BY run.id"
        );
        self.conn
            .prepare_cached(&sql)
            .and_then(|mut query| {
                query.query_map([job_id, from.ms(), until.ms()], rows::run)?.collect()
            })
            .map_err(|e| self.failed("read runs", e))
    }

    /// The time without a supervisor that an instant fell into, from and to.
    pub(crate) fn downtime_of(&self, at: Wall) -> Result<Option<(Wall, Wall)>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT from_at, to_at FROM downtime WHERE from_at <= ?1 AND to_at >= ?1 ORDER BY rowid DESC LIMIT 1",
            )
            .and_then(|mut query| {
                query
                    .query_row([at.ms()], |row| {
                        Ok((Wall::from_ms(row.cell(0)?), Wall::from_ms(row.cell(1)?)))
                    })
                    .optional()
            })
            .map_err(|e| self.failed("read downtime", e))
    }

    /// The attempts of a run, first to newest.
    pub(crate) fn attempts(&self, run: i64) -> Result<Vec<AttemptRow>, StoreError> {
        let sql = format!(
            "SELECT {ATTEMPT_COLUMNS} FROM (SELECT * FROM attempt WHERE run = ?1 UNION ALL \
             SELECT id, attempt, started_at, started_at + duration_ms, outcome, exit_code, signal, duration_ms, user_ms, \
             system_ms, max_rss_kib, output_bytes, pid, error FROM run WHERE id = ?1 AND attempt > 0) ORDER BY attempt"
        );
        self.conn
            .prepare_cached(&sql)
            .and_then(|mut query| query.query_map([run], rows::attempt)?.collect())
            .map_err(|e| self.failed("read attempts", e))
    }

    /// All jobs the store knows, by name.
    pub(crate) fn jobs(&self) -> Result<Vec<JobRow>, StoreError> {
        self.conn
            .prepare_cached(&format!(
                "SELECT {JOB_COLUMNS} FROM job WHERE moves_to IS NULL ORDER BY name"
            ))
            .and_then(|mut query| query.query_map([], rows::job)?.collect())
            .and_then(|mut jobs: Vec<JobRow>| self.count_staged(&mut jobs).map(|()| jobs))
            .map_err(|e| self.failed("read jobs", e))
    }

    /// The job of a name.
    pub(crate) fn job(&self, name: &str) -> Result<Option<JobRow>, StoreError> {
        self.conn
            .prepare_cached(&format!("SELECT {JOB_COLUMNS} FROM job WHERE name = ?1"))
            .and_then(|mut query| query.query_row([name], rows::job).optional())
            .and_then(|mut job| self.count_staged(job.as_mut_slice()).map(|()| job))
            .map_err(|e| self.failed("read a job", e))
    }

    /// Counts what is in sight and not in the counters yet.
    fn count_staged(&self, jobs: &mut [JobRow]) -> rusqlite::Result<()> {
        for (id, is_later, count) in feed::uncounted(&self.conn)? {
            if let Some(job) = jobs.iter_mut().find(|job| job.id == id) {
                *(if is_later { &mut job.scheduled } else { &mut job.queued }) += count;
            }
        }
        Ok(())
    }

    /// The newest run of a job that has an attempt.
    pub(crate) fn newest_attempted(&self, job: &str) -> Result<Option<i64>, StoreError> {
        self.conn
            .prepare_cached(
                "SELECT run.id FROM run WHERE job = (SELECT id FROM job WHERE name = ?1) AND attempt > 0 \
                 ORDER BY run.id DESC LIMIT 1",
            )
            .and_then(|mut query| query.query_row([job], |row| row.cell(0)).optional())
            .map_err(|e| self.failed("read runs", e))
    }

    /// What the supervisor wrote down of itself.
    pub(crate) fn supervisor(&self) -> Result<SupervisorRow, StoreError> {
        let until = self.meta("paused_until")?.map(Wall::from_ms);
        let since = self.meta("paused_at")?.map(Wall::from_ms);
        let pause = since.map(|since| Pause { since, until });
        Ok(SupervisorRow {
            pid: self.meta::<i32>("supervisor_pid")?,
            since: self.meta("supervisor_since")?.map(Wall::from_ms),
            jobfile: self.meta("jobfile")?,
            jobfile_error: self.meta("jobfile_error")?,
            version: self.meta("version")?,
            is_shadow: self.meta::<bool>("shadow")?.unwrap_or(false),
            pause,
        })
    }

    /// The last good jobfile, main file first; empty if there never was one.
    pub(crate) fn jobfile_copy(&self) -> Result<Vec<(PathBuf, String)>, StoreError> {
        self.conn
            .prepare("SELECT path, text FROM source ORDER BY position")
            .and_then(|mut query| {
                query
                    .query_map([], |row| Ok((PathBuf::from(row.cell::<String>(0)?), row.cell(1)?)))?
                    .collect()
            })
            .map_err(|e| self.failed("read the copy of the jobfile", e))
    }

    /// A number that is another one after somebody else has committed.
    pub(crate) fn data_version(&self) -> Result<i64, StoreError> {
        self.conn
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut query| query.query_row([], |row| row.cell(0)))
            .map_err(|e| self.failed("read the store", e))
    }

    /// The output of an attempt; none if it wrote nothing, or if it is not in the store yet.
    pub(crate) fn output(&self, run: i64, attempt: u32) -> Result<Option<Output>, StoreError> {
        self.output_ends(run, attempt, u64::MAX)
    }

    /// The same, `max` bytes at the most: half of them from its beginning. No more than that is read of what is in a file.
    pub(crate) fn output_ends(
        &self,
        run: i64,
        attempt: u32,
        max: u64,
    ) -> Result<Option<Output>, StoreError> {
        let row = self
            .conn
            .prepare_cached("SELECT total, head_max, tail_max, head, tail FROM output WHERE run = ?1 AND attempt = ?2")
            .and_then(|mut query| query.query_row(params![run, attempt], stored_output).optional())
            .map_err(|e| self.failed("read output", e))?;
        match row {
            None => Ok(None),
            Some(StoredOutput::Inline(output)) => Ok(Some(output.ends(max))),
            Some(StoredOutput::File { total, layout }) => {
                let path = self.output_file(run, attempt);
                open_output(&path)
                    .and_then(|file| read_ends(&file, total, layout, max))
                    .map(Some)
                    .map_err(|error| StoreError::Unreadable(path, error))
            }
        }
    }

    /// Where large output of an attempt is kept.
    pub(crate) fn output_file(&self, run: i64, attempt: u32) -> PathBuf {
        self.path.with_file_name("output").join(format!("{run}.{attempt}"))
    }

    /// A value of the table `meta`.
    pub(super) fn meta<T: Cell>(&self, key: &str) -> Result<Option<T>, StoreError> {
        self.conn
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")
            .and_then(|mut query| query.query_row([key], |row| row.cell::<Option<T>>(0)).optional())
            .map(Option::flatten)
            .map_err(|e| self.failed("read the store", e))
    }
}

enum StoredOutput {
    Inline(Output),
    File { total: u64, layout: OutputLayout },
}

fn stored_output(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredOutput> {
    let total = row.cell::<u64>(0)?;
    Ok(match row.cell::<Option<Vec<u8>>>(3)? {
        Some(head) => StoredOutput::Inline(Output {
            total,
            head,
            tail: row.cell::<Option<_>>(4)?.unwrap_or_default(),
        }),
        None => StoredOutput::File {
            total,
            layout: OutputLayout { head_max: row.cell::<u64>(1)?, tail_max: row.cell::<u64>(2)? },
        },
    })
}

/// Opens a file in `output/`; neither it nor that directory may be a symbolic link.
fn open_output(path: &Path) -> std::io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = path.parent().unwrap_or(Path::new("."));
    let dir = open(dir, flags | OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
    let file = openat(&dir, path.file_name().unwrap_or_default(), flags, Mode::empty())?;
    Ok(file.into())
}

/// Reads what is kept of `total` bytes of output from a file that is laid out as a keeper writes it.
pub(crate) fn read_kept(file: &File, total: u64, layout: OutputLayout) -> std::io::Result<Output> {
    read_ends(file, total, layout, u64::MAX)
}

/// The same, `max` bytes at the most.
fn read_ends(file: &File, total: u64, layout: OutputLayout, max: u64) -> std::io::Result<Output> {
    let read = |part: Range<u64>| -> std::io::Result<Vec<u8>> {
        let len = part.end.saturating_sub(part.start);
        if len > 0 && part.end > file.metadata()?.len() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let len = usize::try_from(len).map_err(std::io::Error::other)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, part.start)?;
        Ok(bytes)
    };
    let [head, older, newer] = layout.ends(total, max);
    let (head, mut tail) = (read(head)?, read(older)?);
    tail.extend(read(newer)?);
    Ok(Output { total, head, tail })
}

/// SQL and values of a filter; `of_job` asks for a job by its name.
fn where_clause(filter: &Filter, of_job: &str) -> (String, Vec<Value>) {
    let mut parts = vec!["1".to_owned()];
    let mut values = Vec::new();
    if !filter.states.is_empty() {
        let codes: Vec<String> =
            filter.states.iter().map(|state| state.code().to_string()).collect();
        // In state 0 is what finished finders and batches have put down.
        let staged =
            match [State::Queued, State::Scheduled].map(|state| filter.states.contains(&state)) {
                [true, true] => " OR run.state = 0",
                [true, false] => " OR (run.state = 0 AND run.due_at <= run.created_at)",
                [false, true] => {
                    " OR (run.state = 0 AND (run.due_at IS NULL OR run.due_at > run.created_at))"
                }
                [false, false] => "",
            };
        parts.push(format!("(run.state IN ({}){staged})", codes.join(",")));
        // Said once more so that the partial index of unfinished runs can serve.
        if filter.states.iter().all(|state| !state.is_ended()) {
            parts.push(format!("run.state < {}", State::Succeeded.code()));
        }
    }
    if filter.failed {
        // The partial index, whatever the order: there may be a million runs and no failure among the newest.
        parts.push(format!(
            "run.id IN (SELECT id FROM run WHERE state = {} AND acked IS NULL)",
            State::Failed.code()
        ));
    }
    if let Some(job) = &filter.job {
        parts.push(of_job.into());
        values.push(Value::Text(job.clone()));
    }
    if let Some(since) = filter.since {
        parts.push("run.created_at >= ?".into());
        values.push(Value::Integer(since.ms()));
    }
    if let Some(until) = filter.until {
        parts.push("run.created_at < ?".into());
        values.push(Value::Integer(until.ms()));
    }
    if let Some(exit) = filter.exit {
        parts.push("run.exit_code = ?".into());
        values.push(Value::Integer(exit.into()));
    }
    if let Some(key) = &filter.key {
        parts.push("run.key = ?".into());
        values.push(Value::Text(key.clone()));
    }
    (parts.join(" AND "), values)
}
