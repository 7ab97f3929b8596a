//! The store: one SQLite file. The only room that speaks SQL.
//!
//! A verb is one transaction for a CLI, a part of the turn's transaction for the supervisor; it is
//! guarded by the state it expects, and its name says so. Nothing here asks the clock.

mod acknowledge;
mod aside;
mod backup;
mod batch;
mod cells;
mod commits;
mod control;
#[cfg(feature = "door")]
mod door;
mod downtime;
mod draft;
mod error;
mod exec;
mod feed;
mod files;
mod followers;
mod hold;
pub(crate) mod json;
mod judge;
mod keys;
mod lane;
mod late;
mod migrate;
mod notice;
mod numbers;
mod open;
mod output;
mod pause;
mod policy;
mod prune;
mod read;
mod registry;
mod reload;
mod rename;
mod schema;
mod sql;
mod transaction;
mod turn;
mod types;
mod untold;
mod watched;
mod who;

#[cfg(test)]
mod conformance;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;

pub(crate) use aside::Rescued;
pub(crate) use backup::{Copied, Goal, Restored, Restoring};
pub(crate) use batch::{Batch, Begun, Shown, Staged};
pub(crate) use commits::Behind;
#[cfg(feature = "door")]
pub(crate) use door::{Answered, Remembered};
pub(crate) use error::StoreError;
pub(crate) use exec::RunningExec;
pub(crate) use feed::{Bringing, Fed, Keys};
pub(crate) use hold::Patience;
pub(crate) use lane::LanesBegun;
pub(crate) use notice::{NewNotice, NoticeRow, Told};
pub(crate) use numbers::{JobNumbers, Pace, PastRun, RecentRun, Tally};
pub(crate) use output::{Expendable, Trimmed};
pub(crate) use prune::{PruneLimits, Pruned};
#[cfg(feature = "door")]
pub(crate) use read::Kept;
pub(crate) use read::read_kept;
pub(crate) use registry::AgeHeld;
pub(crate) use types::{
    Added, Addition, Answer, AttemptRow, Author, Conditions, Downtime, Enqueued, Filter, Finish,
    Force, GoneJob, JobRow, NewItem, NewOccurrence, NewSkip, OnConflict, Output, RunRow, Scope,
    SupervisorRow, Usage,
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
    /// Rows that this connection had changed when the turn began: a turn that changed none is no
    /// commit.
    changed: Cell<u64>,
    /// While a transaction that writes is open.
    unstopped: RefCell<Option<hold::Unstopped>>,
    /// How far it was committed; none of a store that is only read, or in memory.
    commits: Option<commits::Commits>,
}
