//! What a pause says of itself: who paused, and why.

use rusqlite::params;

use super::cells::{Columns, Read};
use super::error::StoreError;
use super::{Scope, Store};
use crate::core::pause::PauseNote;
use crate::core::time::Wall;

impl Read for PauseNote {
    fn read(columns: &mut Columns<'_>) -> rusqlite::Result<Self> {
        let (by, reason): (Option<String>, Option<String>) = columns.take()?;
        Ok(Self { by, reason })
    }
}

impl Store {
    /// Says who paused and why. A new pause and `resume` forget it.
    pub(crate) fn note_pause(&self, scope: Scope<'_>, note: &PauseNote) -> Result<(), StoreError> {
        match scope {
            Scope::Job(name) => self.execute(
                "note a pause",
                "UPDATE job SET paused_by = ?2, paused_reason = ?3 WHERE name = ?1 \
                 AND paused_at IS NOT NULL",
                params![name, note.by, note.reason],
            ),
            Scope::All => {
                self.set_meta("paused_by", &note.by)?;
                self.set_meta("paused_reason", &note.reason)
            }
        }
    }

    /// Returns the pauses without an end that nobody was told of: of which job, none is of all, and
    /// since when.
    pub(crate) fn untold_pauses(&self) -> Result<Vec<(Option<i64>, Wall)>, StoreError> {
        self.all(
            "read pauses",
            "SELECT id, paused_at FROM job WHERE paused_at IS NOT NULL AND paused_until IS NULL \
             AND present = 1 AND NOT EXISTS (SELECT 1 FROM meta WHERE key = 'pause_told_' || id \
             AND value = paused_at) \
             UNION ALL SELECT NULL, value FROM meta AS pause WHERE key = 'paused_at' \
             AND value IS NOT NULL AND NOT EXISTS (SELECT 1 FROM meta WHERE key = 'paused_until' \
             AND value IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM meta WHERE key = 'pause_told' \
             AND value = pause.value)",
            [],
        )
    }

    /// Notes that somebody was told of the pause of a job, or of all, that began then.
    pub(crate) fn note_pause_told(&self, job: Option<i64>, since: Wall) -> Result<(), StoreError> {
        match job {
            Some(id) => self.set_meta(&format!("pause_told_{id}"), since),
            None => self.set_meta("pause_told", since),
        }
    }

    /// Returns the author and the reason of the pause of a job, or of all.
    pub(crate) fn note_of_pause(&self, job: Option<&str>) -> Result<PauseNote, StoreError> {
        match job {
            Some(name) => Ok(self.job(name)?.map(|job| job.pause_note).unwrap_or_default()),
            None => self.pause_note(),
        }
    }

    /// Returns the author and the reason of the pause of everything.
    pub(super) fn pause_note(&self) -> Result<PauseNote, StoreError> {
        Ok(PauseNote { by: self.meta("paused_by")?, reason: self.meta("paused_reason")? })
    }
}
