//! The store: one SQLite file. The only room that speaks SQL.
//!
//! A verb is one transaction for a CLI, a part of the turn's transaction for the supervisor; it is guarded by the state it
//! expects, and its name says so. Nothing here asks the clock.

mod error;
mod types;

pub(crate) use error::StoreError;
pub(crate) use types::{
    Added, Addition, Answer, AttemptRow, Enqueued, Filter, Force, JobRow, NewItem, Output, RunRow, Scope, SupervisorRow,
};
