//! What a pause says of itself: who paused, and why.

use rusqlite::params;

use super::cells::{Columns, Read};
use super::error::StoreError;
use super::{Scope, Store};
use crate::core::pause::PauseNote;

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

    /// Returns the author and the reason of the pause of everything.
    pub(super) fn pause_note(&self) -> Result<PauseNote, StoreError> {
        Ok(PauseNote { by: self.meta("paused_by")?, reason: self.meta("paused_reason")? })
    }
}
