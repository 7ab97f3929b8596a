//! Jobs and jobfile as the store keeps them: names, watermarks, the last good copy.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::types::{GoneJob, KnownJob, SupervisorRow};
use super::{Store, StoreError, rename};
use crate::core::time::{Mono, Wall};

/// Until when nothing is removed by age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgeHeld {
    /// The boot of the clock.
    pub(crate) boot_id: String,
    /// Until then on that clock.
    pub(crate) deadline: Mono,
    /// How much of it was left when this was written: what another boot goes on with.
    pub(crate) left: Duration,
}

impl Store {
    /// Makes the row of a job of the jobfile, or finds it by its name or a former one. What is
    /// known under former names, and under the name itself, becomes one row.
    ///
    /// `schedule` is what its occurrences depend on, as text; where that is another than before (or
    /// the job is new), the past is no concern of it: watermark and grid begin at `now`.
    pub(crate) fn register_job(
        &self,
        name: &str,
        was: &[&str],
        schedule: Option<&str>,
        now: Wall,
    ) -> Result<KnownJob, StoreError> {
        const ACTION: &str = "register a job";
        let merged = match was {
            [] => Vec::new(),
            was => rename::unite(&self.conn, name, was).map_err(|e| self.failed(ACTION, e))?,
        };
        let found: Option<(KnownJob, bool)> = self.one(
            ACTION,
            "SELECT id, watermark, grid_at, expect, present = 1 AND schedule IS ?2 FROM job \
             WHERE name = ?1",
            params![name, schedule],
        )?;
        let (since, merged) = (Some(now), merged);
        match found {
            Some((known, true)) => Ok(KnownJob { merged, ..known }),
            Some((known, false)) => {
                self.execute(
                    ACTION,
                    "UPDATE job SET schedule = ?2, watermark = ?3, grid_at = ?3, present = 1 \
                     WHERE id = ?1",
                    params![known.id, schedule, now],
                )?;
                Ok(KnownJob { watermark: since, grid_at: since, merged, ..known })
            }
            None => {
                self.execute(
                    ACTION,
                    "INSERT INTO job(name, schedule, watermark, grid_at) VALUES (?1, ?2, ?3, ?3)",
                    params![name, schedule, now],
                )?;
                let id = self.conn.last_insert_rowid();
                Ok(KnownJob { id, expect: None, watermark: since, grid_at: since, merged })
            }
        }
    }

    /// Marks the jobs that are not among `present` as gone. Those that were not gone before.
    pub(crate) fn mark_absent(
        &self,
        present: &std::collections::HashSet<i64>,
    ) -> Result<Vec<GoneJob>, StoreError> {
        let jobs: Vec<GoneJob> = self.all(
            "read jobs",
            "SELECT id, name, scheduled + queued + running + retrying FROM job \
             WHERE present = 1 ORDER BY name",
            [],
        )?;
        let gone: Vec<GoneJob> =
            jobs.into_iter().filter(|job| !present.contains(&job.id)).collect();
        for job in &gone {
            self.change(
                "mark a job as gone",
                "UPDATE job SET present = 0, schedule = NULL, expect = NULL, late_at = NULL, \
                 missed_at = NULL WHERE id = ?1",
                [job.id],
            )?;
        }
        Ok(gone)
    }

    /// Keeps the sources of a good jobfile, if they are others than those that are kept.
    pub(crate) fn save_jobfile(&self, sources: &[(PathBuf, String)]) -> Result<(), StoreError> {
        if self.jobfile_copy()? == sources {
            return Ok(());
        }
        let action = "keep a copy of the jobfile";
        self.execute(action, "DELETE FROM source", [])?;
        for (position, (path, text)) in (0_i64..).zip(sources) {
            self.execute(
                action,
                "INSERT INTO source(position, path, text) VALUES (?1, ?2, ?3)",
                params![position, path.to_string_lossy(), text],
            )?;
        }
        Ok(())
    }

    /// Writes down what `status` says of the supervisor; a pause is not touched.
    pub(crate) fn save_supervisor(&self, supervisor: &SupervisorRow) -> Result<(), StoreError> {
        self.set_meta("supervisor_pid", supervisor.pid)?;
        self.set_meta("supervisor_since", supervisor.since)?;
        self.set_meta("jobfile", &supervisor.jobfile)?;
        self.set_meta("jobfile_error", &supervisor.jobfile_error)?;
        self.set_meta("door_error", &supervisor.door_error)?;
        self.set_meta("version", &supervisor.version)?;
        self.set_meta("stopping_at", supervisor.stopping_at)?;
        self.set_meta("shadow", supervisor.is_shadow.then_some(1))
    }

    /// The machine this store belongs to, as it was first written down.
    pub(crate) fn machine_id(&self) -> Result<Option<String>, StoreError> {
        self.meta("machine_id")
    }

    /// Returns whether it was restored from a backup and no supervisor has taken it over since.
    pub(crate) fn is_restored(&self) -> Result<bool, StoreError> {
        Ok(self.meta::<i64>("restored_at")?.is_some())
    }

    /// The boot whose books were last finished: every run that was running in an older one has its
    /// end on disk.
    pub(crate) fn books_boot_id(&self) -> Result<Option<String>, StoreError> {
        self.meta("books_boot_id")
    }

    /// Until when nothing is removed by age; none: it is.
    pub(crate) fn age_held(&self) -> Result<Option<AgeHeld>, StoreError> {
        let text: Option<String> = self.meta("age_held")?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Writes that down.
    pub(crate) fn set_age_held(&self, held: Option<&AgeHeld>) -> Result<(), StoreError> {
        let text = held.map(|held| serde_json::to_string(held).expect("it is JSON"));
        self.set_meta("age_held", text)
    }

    /// The boot in which `@reboot` jobs were last started or first seen.
    pub(crate) fn boot_id(&self) -> Result<Option<String>, StoreError> {
        self.meta("boot_id")
    }
}
