//! Facts gathered from the store and the jobfile as plain data, which serializes to the JSON that
//! jobctl(1) promises.
//!
//! Text for people and printing are the part of `cmd`. Fields are only ever added, absent values
//! are null, times are in UTC.

mod absent;
mod callers;
pub(crate) mod check;
pub(crate) mod closely;
pub(crate) mod doctor;
pub(crate) mod failures;
pub(crate) mod jobs;
pub(crate) mod live;
pub(crate) mod next;
pub(crate) mod overview;
pub(crate) mod pieces;
pub(crate) mod queue;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod said;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod traffic;
pub(crate) mod trust;
pub(crate) mod why;

use std::time::Duration;

/// Returns a span in whole milliseconds.
pub(crate) fn ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
