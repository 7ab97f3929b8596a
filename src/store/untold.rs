//! Failures that nobody has acknowledged and whose hook or mail failed, too.

use rusqlite::params;
use serde::Serialize;

use super::cells::reads;
use super::sql::{ATTEMPT_FAILURE, FAILED, FAILURE, HEIR_NAME, sql};
use super::{Store, StoreError};
use crate::core::notice::{Event, Means};
use crate::core::run::OutcomeKind;

/// So many failures are looked through, the newest ones.
const RUNS_MAX: i64 = 500;

/// A notice of a failed run that did not reach whom it was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Untold {
    /// The run.
    pub(crate) run: i64,
    /// Its job.
    pub(crate) job: String,
    /// What was to be told.
    pub(crate) event: Event,
    /// How it was to be told.
    pub(crate) means: Means,
    /// How the hook, or what sends mail, ended.
    pub(crate) outcome: Option<OutcomeKind>,
    /// Its exit code.
    pub(crate) exit_code: Option<u8>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// Why it was not started.
    pub(crate) error: Option<String>,
    /// The end of what it printed.
    pub(crate) output: Option<String>,
    /// Whether another notice of the run arrived.
    #[serde(skip)]
    pub(crate) is_told_otherwise: bool,
}

reads!(Untold: run job event means outcome exit_code signal error output is_told_otherwise);

impl Store {
    /// The notices of the newest failures that nobody has acknowledged, of one job or all, that
    /// failed; the newest first.
    pub(crate) fn untold(&self, job: Option<&str>) -> Result<Vec<Untold>, StoreError> {
        // What was given up (a restored store) may have been told: it has no outcome.
        self.all(
            "read notices",
            sql! {"SELECT notice.run, {HEIR_NAME}, notice.event, notice.means, notice.outcome, \
            notice.exit_code, notice.signal, notice.error, notice.output, EXISTS (SELECT 1 \
            FROM notice AS other WHERE other.run = notice.run \
            AND other.event IN ({FAILURE}, {ATTEMPT_FAILURE}) AND other.is_done = 1 \
            AND other.exit_code IS 0) FROM (SELECT id, job FROM run \
            WHERE state = {FAILED} AND acked IS NULL AND (?1 IS NULL \
            OR job = (SELECT id FROM job WHERE name = ?1)) ORDER BY id DESC \
            LIMIT ?2) AS failed JOIN notice ON notice.run = failed.id JOIN job \
            ON job.id = failed.job WHERE notice.event IN ({FAILURE}, {ATTEMPT_FAILURE}) \
            AND notice.is_done = 1 AND notice.outcome IS NOT NULL \
            AND notice.exit_code IS NOT 0 ORDER BY notice.id DESC"},
            params![job, RUNS_MAX],
        )
    }
}
