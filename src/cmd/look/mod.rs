//! Verbs that only look: what runs, what is due, what came of it, and why.

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
