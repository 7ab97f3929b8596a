//! Verbs for moving from cron and back.

pub(super) mod export;
pub(super) mod import;
