//! What was claimed, and is started once its claim is on disk.

use std::fs::File;

use crate::keeper::order::Order;

/// A claim of this turn: an attempt, a hook or a mail.
pub(super) struct Claim {
    /// Where it is executed.
    pub(super) slot: u32,
    /// The job's name.
    pub(super) job: String,
    /// What a hook or mail tells; none: it is an attempt.
    pub(super) notice: Option<i64>,
    pub(super) locks: Vec<File>,
    pub(super) order: Order,
}
