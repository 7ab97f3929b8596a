//! The store: one SQLite file. The only room that speaks SQL.
//!
//! A verb is one transaction for a CLI, a part of the turn's transaction for the supervisor; it is guarded by the state it
//! expects, and its name says so. Nothing here asks the clock.

mod acknowledge;
mod backup;
mod batch;
mod cells;
mod copies;
mod draft;
mod error;
mod exec;
mod feed;
mod followers;
mod former;
mod hold;
pub(crate) mod json;
mod judge;
mod lane;
mod late;
mod mark;
mod notice;
mod numbers;
mod open;
mod output;
mod read;
mod registry;
mod reload;
mod rescue;
mod rows;
mod steer;
mod transaction;
mod turn;
mod types;
mod untold;
mod watched;

#[cfg(test)]
mod conformance;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;

pub(crate) use backup::{Copied, Goal, Restored, Restoring};
pub(crate) use batch::{Batch, Begun, Shown, Staged};
pub(crate) use error::StoreError;
pub(crate) use exec::RunningExec;
pub(crate) use feed::{Bringing, Fed, Keys};
pub(crate) use hold::Patience;
pub(crate) use lane::LanesBegun;
pub(crate) use mark::Behind;
pub(crate) use notice::{NewNotice, NoticeRow, Told};
pub(crate) use numbers::{JobNumbers, PastRun, RecentRun, Tally};
pub(crate) use output::{Expendable, Trimmed};
pub(crate) use read::read_kept;
pub(crate) use registry::AgeHeld;
pub(crate) use rescue::Rescued;
pub(crate) use types::{
    Added, Addition, Answer, AttemptRow, Conditions, Enqueued, Filter, Finish, Force, GoneJob,
    JobRow, NewItem, NewOccurrence, NewSkip, OnConflict, Output, PruneLimits, Pruned, RunRow,
    Scope, SupervisorRow, Usage,
};
pub(crate) use untold::Untold;
pub(crate) use watched::Mark;

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    conn: rusqlite::Connection,
    path: PathBuf,
    /// Device and inode of the file that was opened; none in memory.
    identity: Option<(u64, u64)>,
    /// The same of its log, when it was last seen beside the file.
    log_identity: Cell<Option<(u64, u64)>>,
    /// Rows that this connection had changed when the turn began: a turn that changed none is no commit.
    changed: Cell<u64>,
    /// While a transaction that writes is open.
    unstopped: RefCell<Option<hold::Unstopped>>,
    /// How far it was committed; none of a store that is only read, or in memory.
    mark: Option<mark::Mark>,
}
