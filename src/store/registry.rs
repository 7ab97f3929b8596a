//! Jobs and jobfile as the store keeps them: names, watermarks, the last good copy; and retention.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::cells::Cells;
use super::output::KEPT_BYTES;
use super::types::{GoneJob, KnownJob, PruneLimits, Pruned, SupervisorRow};
use super::{Store, StoreError, former, rows};
use crate::core::run::State;
use crate::core::time::{Mono, Wall};

/// Until when nothing is removed by age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgeHeld {
    /// The boot of the clock.
    pub(crate) boot_id: String,
    /// Until then on that clock.
    pub(crate) deadline: Mono,
    /// How much of it was left when this was written: what another boot goes on with.
    pub(crate) left: Duration,
}

impl Store {
    /// Makes the row of a job of the jobfile, or finds it by its name or a former one. What is known under former names, and
    /// under the name itself, becomes one row.
    ///
    /// `schedule` is what its occurrences depend on, as text; where that is another than before (or the job is new), the past is
    /// no concern of it: watermark and grid begin at `now`.
    pub(crate) fn register_job(
        &self,
        name: &str,
        was: &[&str],
        schedule: Option<&str>,
        now: Wall,
    ) -> Result<KnownJob, StoreError> {
        self.register(name, was, schedule, now).map_err(|e| self.failed("register a job", e))
    }

    fn register(
        &self,
        name: &str,
        was: &[&str],
        schedule: Option<&str>,
        now: Wall,
    ) -> rusqlite::Result<KnownJob> {
        let merged =
            if was.is_empty() { Vec::new() } else { former::unite(&self.conn, name, was)? };
        let found = self
            .conn
            .prepare_cached(
                "SELECT id, schedule, watermark, grid_at, present, expect FROM job WHERE name = ?1",
            )?
            .query_row([name], |row| {
                let same = row.cell::<Option<String>>(1)?.as_deref() == schedule;
                let known = (row.cell(0)?, rows::wall(row, 2)?, rows::wall(row, 3)?);
                Ok((known, same, row.cell::<bool>(4)?, row.cell(5)?))
            })
            .optional()?;
        let fresh = |id, expect| KnownJob {
            id,
            expect,
            watermark: Some(now),
            grid_at: Some(now),
            merged: merged.clone(),
        };
        match found {
            Some(((id, watermark, grid_at), true, true, expect)) => {
                Ok(KnownJob { id, expect, watermark, grid_at, merged })
            }
            Some(((id, ..), _, _, expect)) => {
                self.conn
                    .prepare_cached("UPDATE job SET schedule = ?2, watermark = ?3, grid_at = ?3, present = 1 WHERE id = ?1")?
                    .execute(params![id, schedule, now.ms()])?;
                Ok(fresh(id, expect))
            }
            None => {
                self.conn
                    .prepare_cached("INSERT INTO job(name, schedule, watermark, grid_at) VALUES (?1, ?2, ?3, ?3)")?
                    .execute(params![name, schedule, now.ms()])?;
                Ok(fresh(self.conn.last_insert_rowid(), None))
            }
        }
    }

    /// Marks the jobs that are not among `present` as gone. Those that were not gone before.
    pub(crate) fn mark_absent(
        &self,
        present: &std::collections::HashSet<i64>,
    ) -> Result<Vec<GoneJob>, StoreError> {
        let jobs: Vec<GoneJob> = self
            .conn
            .prepare_cached(
                "SELECT id, name, scheduled + queued + running + retrying FROM job WHERE present = 1 ORDER BY name",
            )
            .and_then(|mut query| {
                let gone = |row: &rusqlite::Row<'_>| {
                    Ok(GoneJob {
                        id: row.cell(0)?,
                        name: row.cell(1)?,
                        unfinished: row.cell(2)?,
                    })
                };
                query.query_map([], gone)?.collect()
            })
            .map_err(|e| self.failed("read jobs", e))?;
        let gone: Vec<GoneJob> =
            jobs.into_iter().filter(|job| !present.contains(&job.id)).collect();
        for job in &gone {
            self.conn
                .prepare_cached("UPDATE job SET present = 0, schedule = NULL, expect = NULL, late_at = NULL WHERE id = ?1")
                .and_then(|mut update| update.execute([job.id]))
                .map_err(|e| self.failed("mark a job as gone", e))?;
        }
        Ok(gone)
    }

    /// Keeps the sources of a good jobfile, if they are others than those that are kept.
    pub(crate) fn save_jobfile(&self, sources: &[(PathBuf, String)]) -> Result<(), StoreError> {
        if self.jobfile_copy()? == sources {
            return Ok(());
        }
        let save = || -> rusqlite::Result<()> {
            self.conn.execute("DELETE FROM source", [])?;
            for (position, (path, text)) in sources.iter().enumerate() {
                self.conn.execute(
                    "INSERT INTO source(position, path, text) VALUES (?1, ?2, ?3)",
                    params![
                        i64::try_from(position).unwrap_or(i64::MAX),
                        path.to_string_lossy(),
                        text
                    ],
                )?;
            }
            Ok(())
        };
        save().map_err(|e| self.failed("keep a copy of the jobfile", e))
    }

    /// Writes down what `status` says of the supervisor; a pause is not touched.
    pub(crate) fn save_supervisor(&self, supervisor: &SupervisorRow) -> Result<(), StoreError> {
        self.set_meta("supervisor_pid", supervisor.pid.as_ref().map(|pid| pid as _))?;
        self.set_meta(
            "supervisor_since",
            supervisor.since.map(Wall::ms).as_ref().map(|ms| ms as _),
        )?;
        self.set_meta("jobfile", supervisor.jobfile.as_ref().map(|text| text as _))?;
        self.set_meta("jobfile_error", supervisor.jobfile_error.as_ref().map(|text| text as _))?;
        self.set_meta("version", supervisor.version.as_ref().map(|text| text as _))?;
        let shadow = supervisor.is_shadow.then_some(&1_i64);
        self.set_meta("shadow", shadow.map(|one| one as _))
    }

    /// The machine this store belongs to, as it was first written down.
    pub(crate) fn machine_id(&self) -> Result<Option<String>, StoreError> {
        self.meta("machine_id")
    }

    /// Whether it was restored from a backup and no supervisor has taken it over since.
    pub(crate) fn is_restored(&self) -> Result<bool, StoreError> {
        Ok(self.meta::<i64>("restored_at")?.is_some())
    }

    /// The boot whose books were last finished: every run that was running in an older one has its end on disk.
    pub(crate) fn books_boot_id(&self) -> Result<Option<String>, StoreError> {
        self.meta("books_boot_id")
    }

    /// Until when nothing is removed by age; none: it is.
    pub(crate) fn age_held(&self) -> Result<Option<AgeHeld>, StoreError> {
        let text: Option<String> = self.meta("age_held")?;
        Ok(text.and_then(|text| {
            let mut words = text.split(' ');
            let boot_id = words.next()?.to_owned();
            let mut next = || Some(Duration::from_millis(words.next()?.parse().ok()?));
            Some(AgeHeld { boot_id, deadline: Mono::from_duration(next()?), left: next()? })
        }))
    }

    /// Writes that down.
    pub(crate) fn set_age_held(&self, held: Option<&AgeHeld>) -> Result<(), StoreError> {
        let text = held.map(|held| {
            let deadline = held.deadline.as_duration().as_millis();
            format!("{} {deadline} {}", held.boot_id, held.left.as_millis())
        });
        let text = text.as_ref().map(|text| text as &dyn rusqlite::ToSql);
        self.set_meta("age_held", text)
    }

    /// The boot in which `@reboot` jobs were last started or first seen.
    pub(crate) fn boot_id(&self) -> Result<Option<String>, StoreError> {
        self.meta("boot_id")
    }

    /// Removes ended runs of a job that are older than their limits, looking at `batch` runs that come behind `cursor`. Never an
    /// unacknowledged failure, nor the newest run of the job.
    pub(crate) fn prune(
        &self,
        job_id: i64,
        cursor: i64,
        batch: u32,
        limits: &PruneLimits,
    ) -> Result<Pruned, StoreError> {
        self.prune_batch(job_id, cursor, batch, limits)
            .map_err(|e| self.failed("remove old runs", e))
    }

    /// Jobs that are gone from the jobfile and have runs still.
    pub(crate) fn absent_jobs(&self) -> Result<Vec<i64>, StoreError> {
        self.conn
            .prepare_cached("SELECT id FROM job WHERE present = 0 AND ended > 0 AND moves_to IS NULL ORDER BY id")
            .and_then(|mut query| query.query_map([], |row| row.cell(0))?.collect())
            .map_err(|e| self.failed("read jobs", e))
    }

    fn prune_batch(
        &self,
        job_id: i64,
        cursor: i64,
        batch: u32,
        limits: &PruneLimits,
    ) -> rusqlite::Result<Pruned> {
        // The counter knows runs that are not here yet, and may be newer ones.
        if self.has_moving(job_id)? {
            return Ok(Pruned::default());
        }
        let (ended, last, newest): (i64, Option<i64>, Option<i64>) = self
            .conn
            .prepare_cached("SELECT ended, last_run, (SELECT max(id) FROM run WHERE job = ?1) FROM job WHERE id = ?1")?
            .query_row([job_id], |row| Ok((row.cell(0)?, row.cell(1)?, row.cell(2)?)))?;
        let mut surplus = ended.saturating_sub(limits.runs_max);
        let mut pruned = Pruned::default();
        let candidates = self.candidates(job_id, cursor, batch)?;
        for candidate in &candidates {
            // Ids grow with time: what was put down within the limits, and all behind it, ended within them.
            if surplus <= 0
                && candidate.created_at >= limits.succeeded_before.max(limits.failed_before)
                && candidate.created_at <= limits.now
            {
                return Ok(pruned);
            }
            pruned.cursor = Some(candidate.id);
            pruned.looked_at += 1;
            let is_needed = Some(candidate.id) == last || Some(candidate.id) == newest;
            if !is_needed && candidate.may_go(limits, surplus) {
                self.delete_run(candidate.id, &mut pruned)?;
                pruned.runs += 1;
                surplus -= 1;
            }
        }
        if pruned.looked_at < batch {
            pruned.cursor = None;
        }
        Ok(pruned)
    }

    fn candidates(&self, job_id: i64, cursor: i64, batch: u32) -> rusqlite::Result<Vec<Candidate>> {
        self.conn
            .prepare_cached(
                "SELECT id, state, created_at, ended_at, acked, \
                 EXISTS (SELECT 1 FROM notice JOIN job ON job.id = notice.job WHERE notice.run = run.id AND is_done = 0 AND present = 1) \
                 FROM run WHERE job = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
            )?
            .query_map(params![job_id, cursor, batch], |row| {
                Ok(Candidate {
                    id: row.cell(0)?,
                    state: row.cell(1)?,
                    created_at: Wall::from_ms(row.cell(2)?),
                    ended_at: rows::wall(row, 3)?,
                    acked: rows::wall(row, 4)?,
                    is_to_be_told: row.cell(5)?,
                })
            })?
            .collect()
    }

    fn delete_run(&self, id: i64, pruned: &mut Pruned) -> rusqlite::Result<()> {
        let outputs: Vec<(u32, bool, i64)> = self
            .conn
            .prepare_cached(&format!(
                "SELECT attempt, head IS NULL, {KEPT_BYTES} FROM output WHERE run = ?1"
            ))?
            .query_map([id], |row| Ok((row.cell(0)?, row.cell(1)?, row.cell(2)?)))?
            .collect::<Result<_, _>>()?;
        for (attempt, is_file, bytes) in outputs {
            pruned.output_bytes = pruned.output_bytes.saturating_add(bytes);
            if is_file {
                pruned.files.push(self.output_file(id, attempt));
            }
        }
        for sql in [
            "DELETE FROM output WHERE run = ?1",
            "DELETE FROM attempt WHERE run = ?1",
            "DELETE FROM run WHERE id = ?1",
        ] {
            self.conn.prepare_cached(sql)?.execute([id])?;
        }
        Ok(())
    }
}

/// A run that may be old enough to be removed.
struct Candidate {
    id: i64,
    state: i64,
    created_at: Wall,
    ended_at: Option<Wall>,
    acked: Option<Wall>,
    /// A hook or mail about it waits, or is under way.
    is_to_be_told: bool,
}

impl Candidate {
    fn may_go(&self, limits: &PruneLimits, surplus: i64) -> bool {
        let is_failed = self.state == State::Failed.code();
        let Some(ended_at) = self.ended_at.filter(|_| self.state >= State::Succeeded.code()) else {
            return false;
        };
        if self.is_to_be_told || is_failed && self.acked.is_none() {
            return false;
        }
        let limit = if is_failed { limits.failed_before } else { limits.succeeded_before };
        ended_at < limit || surplus > 0
    }
}
