//! What the parts of the page of `jobctl status` are made from.

use crate::cmd::Viewer;
use crate::facts::status::Status;

/// What a page is made from.
pub(super) struct Page<'a> {
    /// What is known.
    pub(super) status: &'a Status<'a>,
    /// Who looks.
    pub(super) viewer: &'a Viewer,
    /// The command line that reaches the same store.
    pub(super) jobctl: String,
    /// Where the supervisor of the system is, for those who have another one.
    pub(super) elsewhere: Option<String>,
    /// How many lines there are for it, if it is shown again and again.
    pub(super) lines_max: Option<usize>,
    /// Only failures were asked for.
    pub(super) is_failed_only: bool,
}
