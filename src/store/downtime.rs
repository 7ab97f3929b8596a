//! When nothing was started: no supervisor was there, or one was stopping.

use rusqlite::params;

use super::error::StoreError;
use super::{Downtime, Store};
use crate::core::time::Wall;

impl Store {
    /// Says since when the supervisor has been stopping, until another one is saved.
    pub(crate) fn note_stopping(&self, since: Wall) -> Result<(), StoreError> {
        self.set_meta("stopping_at", since)
    }

    /// Writes down when nothing was started.
    pub(crate) fn record_downtime(&self, down: Downtime) -> Result<(), StoreError> {
        self.execute(
            "record downtime",
            "INSERT INTO downtime(from_at, to_at, is_stopping) VALUES (?1, ?2, ?3)",
            params![down.from, down.to, down.is_stopping],
        )
    }

    /// The time that an instant fell into.
    pub(crate) fn downtime_of(&self, at: Wall) -> Result<Option<Downtime>, StoreError> {
        let row: Option<(Wall, Wall, bool)> = self.one(
            "read downtime",
            "SELECT from_at, to_at, is_stopping FROM downtime WHERE from_at <= ?1 AND to_at >= ?1 \
             ORDER BY rowid DESC LIMIT 1",
            [at],
        )?;
        Ok(row.map(|(from, to, is_stopping)| Downtime { from, to, is_stopping }))
    }

    /// Those that reach into a time, in order.
    pub(crate) fn downtimes(
        &self,
        first: Wall,
        last: Wall,
        limit: u32,
    ) -> Result<Vec<Downtime>, StoreError> {
        let rows: Vec<(Wall, Wall, bool)> = self.all(
            "read downtime",
            "SELECT from_at, to_at, is_stopping FROM downtime WHERE to_at >= ?1 AND from_at <= ?2 \
             ORDER BY from_at LIMIT ?3",
            params![first, last, limit],
        )?;
        let down = |(from, to, is_stopping)| Downtime { from, to, is_stopping };
        Ok(rows.into_iter().map(down).collect())
    }

    /// Where one such time, or none, turns into another one, after `first` and up to `last`; in
    /// order.
    pub(crate) fn downtime_borders(
        &self,
        first: Wall,
        last: Wall,
    ) -> Result<Vec<Wall>, StoreError> {
        self.all(
            "read downtime",
            "SELECT from_at FROM downtime WHERE from_at > ?1 AND from_at <= ?2 \
             UNION SELECT to_at + 1 FROM downtime WHERE to_at >= ?1 AND to_at < ?2 ORDER BY 1",
            [first, last],
        )
    }
}
