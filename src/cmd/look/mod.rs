//! Verbs that only read: what runs, what is due, the results, and why.

pub(super) mod logs;
pub(super) mod metrics;
pub(super) mod next;
pub(super) mod report;
pub(super) mod runs;
pub(super) mod show;
pub(super) mod stats;
pub(super) mod status;
pub(super) mod transcript;
pub(super) mod why;
