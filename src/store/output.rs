//! Output: where that of an attempt is kept, how much it is in all, and what of it goes first.

use std::path::PathBuf;

use rusqlite::params;

use super::sql::{FAILED, RETRYING, SUCCEEDED, sql};
use super::types::Output;
use super::{Store, StoreError};
use crate::core::output::OutputLayout;

/// Bytes of a row of `output` that are kept, in the store or in a file.
pub(super) const KEPT_BYTES: &str = "CASE WHEN head IS NULL THEN min(total, head_max + tail_max) \
     ELSE length(head) + coalesce(length(tail), 0) END";

/// Rows that one batch removes at the most.
const TRIM_BATCH: u32 = 50;

/// The runs whose output may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expendable {
    /// That of ended runs, but not of failures that nobody has acknowledged; and of the earlier
    /// attempts of runs that have not ended.
    Settled,
    /// That of all ended runs.
    Ended,
}

/// The output that a batch has removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Trimmed {
    /// How many bytes that were.
    pub(crate) bytes: i64,
    /// Files to be removed once it is on disk.
    pub(crate) files: Vec<PathBuf>,
    /// The place of the last one, to go on behind it; none if there was nothing to remove.
    pub(crate) last: Option<i64>,
}

impl Store {
    /// Keeps small output in the store.
    pub(crate) fn save_output(
        &self,
        run: i64,
        attempt: u32,
        output: &Output,
    ) -> Result<(), StoreError> {
        let tail = (!output.tail.is_empty()).then_some(&output.tail);
        self.execute(
            "save output",
            "INSERT OR REPLACE INTO output(run, attempt, total, head, tail) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![run, attempt, output.total.cast_signed(), output.head, tail],
        )
    }

    /// Says that the output of an attempt is a file of its own.
    pub(crate) fn save_output_file(
        &self,
        run: i64,
        attempt: u32,
        total: u64,
        layout: OutputLayout,
    ) -> Result<(), StoreError> {
        self.execute(
            "save output",
            "INSERT OR REPLACE INTO output(run, attempt, total, head_max, tail_max) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                run,
                attempt,
                total.cast_signed(),
                layout.head_max.cast_signed(),
                layout.tail_max.cast_signed()
            ],
        )
    }

    /// Bytes of output that are kept in all.
    pub(crate) fn output_bytes(&self) -> Result<i64, StoreError> {
        if let Some(bytes) = self.meta("output_bytes")? {
            return Ok(bytes);
        }
        // A store of a version that did not count: once.
        self.value("measure output", sql!("SELECT coalesce(sum({KEPT_BYTES}), 0) FROM output"), [])
    }

    /// Removes the oldest output behind the place `after`, until `needed` bytes are free or the
    /// batch is over. The runs stay.
    pub(crate) fn trim_output(
        &self,
        whose: Expendable,
        after: i64,
        needed: i64,
    ) -> Result<Trimmed, StoreError> {
        let sql = match whose {
            Expendable::Settled => sql!(
                "SELECT output.rowid, output.run, output.attempt, {KEPT_BYTES}, head IS NULL \
                 FROM output JOIN run ON run.id = output.run WHERE output.rowid > ?1 \
                 AND (run.state > {RETRYING} AND NOT (run.state = {FAILED} \
                 AND run.acked IS NULL) OR run.state < {SUCCEEDED} \
                 AND output.attempt < run.attempt) ORDER BY output.rowid LIMIT ?2"
            ),
            Expendable::Ended => sql!(
                "SELECT output.rowid, output.run, output.attempt, {KEPT_BYTES}, head IS NULL \
                 FROM output JOIN run ON run.id = output.run WHERE output.rowid > ?1 \
                 AND run.state > {RETRYING} ORDER BY output.rowid LIMIT ?2"
            ),
        };
        let rows: Vec<(i64, i64, u32, i64, bool)> =
            self.all("remove old output", sql, params![after, TRIM_BATCH])?;
        let mut trimmed = Trimmed::default();
        for (place, run, attempt, bytes, is_file) in rows {
            if trimmed.bytes >= needed {
                break;
            }
            self.execute("remove old output", "DELETE FROM output WHERE rowid = ?1", [place])?;
            if is_file {
                trimmed.files.push(self.output_file(run, attempt));
            }
            trimmed.bytes += bytes;
            trimmed.last = Some(place);
        }
        Ok(trimmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let store = Store::in_memory();
        // Ended, an unacknowledged failure, running, ended; 5 bytes each but the last, which has
        // 300 in a file.
        store.execute_raw(
            "INSERT INTO job(id, name) VALUES (1, 'a'); \
             INSERT INTO run(id, job, state, cause, created_at) VALUES (1, 1, 6, 3, 0), (2, 1, 5, 3, 0), (3, 1, 3, 3, 0), (4, 1, 5, 3, 0); \
             INSERT INTO output(run, attempt, total, head, tail) VALUES (1, 1, 5, x'3131313131', NULL), (2, 1, 9, x'3232', x'323232'), \
             (3, 1, 5, x'3333333333', NULL); \
             INSERT INTO output(run, attempt, total, head_max, tail_max) VALUES (4, 1, 900, 150, 150)",
        );
        store
    }

    #[test]
    fn the_output_of_earlier_attempts_of_an_unfinished_run_goes_and_that_of_its_newest_stays() {
        let store = store();
        store.execute_raw(
            "UPDATE run SET state = 4, attempt = 2 WHERE id = 3; \
             INSERT INTO output(run, attempt, total, head) VALUES (3, 2, 5, x'3434343434'); \
             DELETE FROM output WHERE run <> 3",
        );
        let trimmed = store.trim_output(Expendable::Settled, 0, 1000).unwrap();
        assert_eq!(trimmed.bytes, 5);
        assert!(store.output(3, 1).unwrap().is_none() && store.output(3, 2).unwrap().is_some());
        let nothing = store.trim_output(Expendable::Ended, 0, 1000).unwrap();
        assert_eq!(nothing, Trimmed::default());
    }

    #[test]
    fn the_oldest_output_of_settled_runs_goes_first_and_that_of_unfinished_ones_never() {
        let store = store();
        assert_eq!(store.output_bytes().unwrap(), 315);
        let trimmed = store.trim_output(Expendable::Settled, 0, 1).unwrap();
        assert_eq!((trimmed.bytes, trimmed.files.len()), (5, 0));
        assert!(store.output(2, 1).unwrap().is_none());
        let trimmed = store.trim_output(Expendable::Settled, 0, 1000).unwrap();
        assert_eq!((trimmed.bytes, trimmed.files), (300, vec![store.output_file(4, 1)]));
        let nothing = store.trim_output(Expendable::Settled, 0, 1000).unwrap();
        assert_eq!(nothing, Trimmed::default());
        let trimmed = store.trim_output(Expendable::Ended, 0, 1000).unwrap();
        assert_eq!(trimmed.bytes, 5);
        assert!(store.output(1, 1).unwrap().is_none() && store.output(3, 1).unwrap().is_some());
        assert_eq!(store.output_bytes().unwrap(), 5);
    }
}
