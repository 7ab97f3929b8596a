//! Questions to the store. Counters, pointers and indexes answer what is asked often; only filters
//! by time, exit code or key go through runs.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use rusqlite::{params, params_from_iter, types::Value};

use super::cells::Cell;
use super::feed;
use super::sql::{
    FAILED, FIRST_QUEUED, IN_SIGHT, QUEUED, RETRYING, RUN, RUNS, SCHEDULED, STAGED, SUCCEEDED, sql,
};
use super::types::{ATTEMPT, AttemptRow, Filter, JOB, JobRow, Output, RunRow, SupervisorRow};
use super::{Store, StoreError};
use crate::core::output::OutputLayout;
use crate::core::pause::Pause;
use crate::core::run::State;
use crate::core::time::Wall;

/// Where the output of an attempt is kept.
#[derive(Debug)]
pub(crate) enum Kept {
    /// In the store.
    Here(Output),
    /// In a file, laid out as a keeper writes it.
    File {
        /// The file.
        file: File,
        /// Bytes of the output.
        total: u64,
        /// Where they stand.
        layout: OutputLayout,
    },
}

impl Store {
    /// The run of an id.
    pub(crate) fn run(&self, id: i64) -> Result<Option<RunRow>, StoreError> {
        self.one(
            "read a run",
            sql! {"SELECT {RUN} FROM {RUNS} WHERE run.id = ?1 \
            AND {IN_SIGHT}"},
            [id],
        )
    }

    /// The runs of some ids, in any order; those that are gone are left out.
    pub(crate) fn runs_of_ids(&self, ids: &[i64]) -> Result<Vec<RunRow>, StoreError> {
        let list: Vec<String> = ids.iter().map(i64::to_string).collect();
        let sql = format!(
            "SELECT {RUN} FROM {RUNS} WHERE run.id IN ({}) \
             AND {IN_SIGHT}",
            list.join(",")
        );
        self.all("read runs", &sql, [])
    }

    /// A moment: as long as it is kept, all that is read is as it was then. Whoever keeps it keeps
    /// the log from being cut.
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
            "SELECT {RUN} FROM {RUNS} WHERE {clause} \
             AND {IN_SIGHT} ORDER BY run.id DESC LIMIT ?"
        );
        self.all("read runs", &sql, params_from_iter(values))
    }

    /// The ids of the runs of a filter, oldest first.
    pub(crate) fn ids(&self, filter: &Filter) -> Result<Vec<i64>, StoreError> {
        let (clause, values) = where_clause(filter, self.job_clause(filter)?);
        let sql = format!(
            "SELECT run.id FROM {RUNS} WHERE {clause} \
             AND {IN_SIGHT} ORDER BY run.id"
        );
        self.all("read runs", &sql, params_from_iter(values))
    }

    /// The queued run of a job that is claimed first: by priority, then due time, then id.
    pub(crate) fn queue_head(&self, job_id: i64) -> Result<Option<RunRow>, StoreError> {
        self.one(
            "read the queue",
            sql! {"SELECT {RUN} FROM {RUNS} WHERE run.job = ?1 \
            AND run.state = {QUEUED} AND run.held IS NULL {FIRST_QUEUED}"},
            [job_id],
        )
    }

    /// The first runs in the queue of a job, in the order in which they are claimed.
    pub(crate) fn queue(&self, job_id: i64, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        self.all(
            "read the queue",
            sql! {"SELECT {RUN} FROM {RUNS} WHERE run.job = ?1 AND run.state = {QUEUED} \
            AND run.held IS NULL ORDER BY run.priority DESC, run.due_at, run.id LIMIT ?2"},
            params![job_id, limit],
        )
    }

    /// The runs that fall due next.
    pub(crate) fn due_next(&self, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        self.all(
            "read what falls due",
            sql! {"SELECT {RUN} FROM {RUNS} WHERE run.state IN ({SCHEDULED}, {RETRYING}) \
            AND run.due_at IS NOT NULL ORDER BY run.due_at LIMIT ?1"},
            [limit],
        )
    }

    /// What asks for the job of a filter, by name: one row, whose runs stand in the order of their
    /// index, but while others move to it.
    fn job_clause(&self, filter: &Filter) -> Result<&'static str, StoreError> {
        let has_moving: bool = self.value(
            "read a job",
            "SELECT EXISTS (SELECT 1 FROM job WHERE moves_to = (SELECT id FROM job \
             WHERE name = ?1))",
            [&filter.job],
        )?;
        Ok(match has_moving {
            false => "run.job = (SELECT id FROM job WHERE name = ?)",
            true => {
                "run.job IN (SELECT row.id FROM job AS row JOIN job AS heir \
                 ON heir.id IN (row.id, row.moves_to) WHERE heir.name = ?)"
            }
        })
    }

    /// Returns how many queued runs of the same job are claimed before this one.
    pub(crate) fn ahead_of(&self, run: &RunRow) -> Result<i64, StoreError> {
        let sql = sql!(
            "SELECT count(*) FROM run WHERE job = ?1 AND state = {QUEUED} AND held IS NULL \
             AND (priority > ?2 OR (priority = ?2 AND (due_at, id) < (?3, ?4)))"
        );
        let values = params![run.job_id, run.priority, run.due_at, run.id];
        self.value("read the queue", sql, values)
    }

    /// The runs of a job's occurrences from `from` on and before `until`, stretches that reach into
    /// that time included, oldest first.
    pub(crate) fn runs_of_instant(
        &self,
        job_id: i64,
        from: Wall,
        until: Wall,
    ) -> Result<Vec<RunRow>, StoreError> {
        let sql = sql!(
            "SELECT {RUN} FROM {RUNS} WHERE run.job = ?1 \
             AND run.scheduled_at < ?3 AND coalesce(run.last_scheduled_at, run.scheduled_at) >= ?2 \
             ORDER BY run.id"
        );
        self.all("read runs", sql, [job_id, from.ms(), until.ms()])
    }

    /// The attempts of a run, first to newest.
    pub(crate) fn attempts(&self, run: i64) -> Result<Vec<AttemptRow>, StoreError> {
        let sql = sql!("SELECT {ATTEMPT} FROM attempt WHERE run = ?1 ORDER BY attempt");
        self.all("read attempts", sql, [run])
    }

    /// All jobs the store knows, by name.
    pub(crate) fn jobs(&self) -> Result<Vec<JobRow>, StoreError> {
        let jobs = self.all(
            "read jobs",
            sql!("SELECT {JOB} FROM job WHERE moves_to IS NULL ORDER BY name"),
            [],
        )?;
        self.with_staged(jobs)
    }

    /// The job of a name.
    pub(crate) fn job(&self, name: &str) -> Result<Option<JobRow>, StoreError> {
        let job = self.all("read a job", sql!("SELECT {JOB} FROM job WHERE name = ?1"), [name])?;
        Ok(self.with_staged(job)?.pop())
    }

    /// Counts what is in sight and not in the counters yet.
    fn with_staged(&self, mut jobs: Vec<JobRow>) -> Result<Vec<JobRow>, StoreError> {
        let uncounted = feed::uncounted(&self.conn).map_err(|e| self.failed("read jobs", e))?;
        for (id, is_later, count) in uncounted {
            if let Some(job) = jobs.iter_mut().find(|job| job.id == id) {
                *(if is_later { &mut job.scheduled } else { &mut job.queued }) += count;
            }
        }
        Ok(jobs)
    }

    /// The newest run of a job that has an attempt.
    pub(crate) fn newest_attempted(&self, job: &str) -> Result<Option<i64>, StoreError> {
        self.one(
            "read runs",
            "SELECT run.id FROM run WHERE job = (SELECT id FROM job WHERE name = ?1) \
             AND attempt > 0 ORDER BY run.id DESC LIMIT 1",
            [job],
        )
    }

    /// Returns the facts that the supervisor recorded about itself.
    pub(crate) fn supervisor(&self) -> Result<SupervisorRow, StoreError> {
        let until = self.meta("paused_until")?;
        Ok(SupervisorRow {
            pid: self.meta("supervisor_pid")?,
            since: self.meta("supervisor_since")?,
            jobfile: self.meta("jobfile")?,
            jobfile_error: self.meta("jobfile_error")?,
            door_error: self.meta("door_error")?,
            version: self.meta("version")?,
            is_shadow: self.meta("shadow")?.unwrap_or(false),
            stopping_at: self.meta("stopping_at")?,
            pause: self.meta("paused_at")?.map(|since| Pause { since, until }),
            pause_note: self.pause_note()?,
        })
    }

    /// The last good jobfile, main file first; empty if there never was one.
    pub(crate) fn jobfile_copy(&self) -> Result<Vec<(PathBuf, String)>, StoreError> {
        let sources: Vec<(String, String)> = self.all(
            "read the copy of the jobfile",
            "SELECT path, text FROM source ORDER BY position",
            [],
        )?;
        Ok(sources.into_iter().map(|(path, text)| (path.into(), text)).collect())
    }

    /// A number that is another one after somebody else has committed.
    pub(crate) fn data_version(&self) -> Result<i64, StoreError> {
        self.value("read the store", "PRAGMA data_version", [])
    }

    /// The output of an attempt; none if it wrote nothing, or if it is not in the store yet.
    pub(crate) fn output(&self, run: i64, attempt: u32) -> Result<Option<Output>, StoreError> {
        self.output_ends(run, attempt, u64::MAX)
    }

    /// The same, `max` bytes at the most: half of them from its beginning. No more than that is
    /// read of what is in a file.
    pub(crate) fn output_ends(
        &self,
        run: i64,
        attempt: u32,
        max: u64,
    ) -> Result<Option<Output>, StoreError> {
        match self.kept(run, attempt)? {
            None => Ok(None),
            Some(Kept::Here(output)) => Ok(Some(output.ends(max))),
            Some(Kept::File { file, total, layout }) => read_ends(&file, total, layout, max)
                .map(Some)
                .map_err(|error| StoreError::Unreadable(self.output_file(run, attempt), error)),
        }
    }

    /// Where the output of an attempt is kept; none as for [`Self::output`].
    pub(crate) fn kept(&self, run: i64, attempt: u32) -> Result<Option<Kept>, StoreError> {
        let row = self.one(
            "read output",
            "SELECT total, head_max, tail_max, head, tail FROM output WHERE run = ?1 \
             AND attempt = ?2",
            params![run, attempt],
        )?;
        let Some((total, head_max, tail_max, head, tail)) = row else {
            return Ok(None);
        };
        if let Some(head) = head {
            return Ok(Some(Kept::Here(Output { total, head, tail })));
        }
        let path = self.output_file(run, attempt);
        let layout = OutputLayout { head_max, tail_max };
        open_output(&path)
            .map(|file| Some(Kept::File { file, total, layout }))
            .map_err(|error| StoreError::Unreadable(path, error))
    }

    /// Returns where large output of an attempt is kept.
    pub(crate) fn output_file(&self, run: i64, attempt: u32) -> PathBuf {
        self.path.with_file_name("output").join(format!("{run}.{attempt}"))
    }

    /// A value of the table `meta`.
    pub(super) fn meta<T: Cell>(&self, key: &str) -> Result<Option<T>, StoreError> {
        self.value("read the store", "SELECT value FROM meta WHERE key = ?1", [key])
    }
}

/// Opens a file in `output/`; neither it nor that directory may be a symbolic link.
fn open_output(path: &Path) -> std::io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = path.parent().unwrap_or(Path::new("."));
    let dir = open(dir, flags | OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
    let file = openat(&dir, path.file_name().unwrap_or_default(), flags, Mode::empty())?;
    Ok(file.into())
}

/// Reads what is kept of `total` bytes of output from a file that is laid out as a keeper writes
/// it.
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
        // What finished finders and batches have put down is in none of them yet.
        let is_asked = |state| filter.states.contains(&state);
        let staged = match [State::Queued, State::Scheduled].map(is_asked) {
            [true, true] => format!(" OR run.state = {STAGED}"),
            [true, false] => format!(" OR (run.state = {STAGED} AND run.due_at <= run.created_at)"),
            [false, true] => format!(
                " OR (run.state = {STAGED} AND (run.due_at IS NULL OR run.due_at > run.created_at))"
            ),
            [false, false] => String::new(),
        };
        parts.push(format!("(run.state IN ({}){staged})", codes.join(",")));
        // Said once more so that the partial index of unfinished runs can serve.
        if filter.states.iter().all(|state| !state.is_ended()) {
            parts.push(format!("run.state < {SUCCEEDED}"));
        }
    }
    if filter.failed {
        // The partial index, whatever the order: there may be a million runs and no failure among
        // the newest. Of one job it has them in their order.
        parts.push(match filter.job {
            Some(_) => format!("run.state = {FAILED} AND run.acked IS NULL"),
            None => {
                format!("run.id IN (SELECT id FROM run WHERE state = {FAILED} AND acked IS NULL)")
            }
        });
    }
    let number = |at: Wall| Value::Integer(at.ms());
    let asked = [
        (of_job, filter.job.clone().map(Value::Text)),
        ("run.created_at >= ?", filter.since.map(number)),
        ("run.created_at < ?", filter.until.map(number)),
        ("attempt.exit_code = ?", filter.exit.map(|code| Value::Integer(code.into()))),
        ("run.key = ?", filter.key.clone().map(Value::Text)),
        ("run.id < ?", filter.before.map(Value::Integer)),
        (
            "run.created_by IN (SELECT id FROM who WHERE owns AND name = ?)",
            filter.owner.clone().map(Value::Text),
        ),
    ];
    for (part, value) in asked {
        if let Some(value) = value {
            parts.push(part.to_owned());
            values.push(value);
        }
    }
    (parts.join(" AND "), values)
}
