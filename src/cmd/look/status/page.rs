//! The data that the parts of the page of `jobctl status` share.

use crate::cmd::Viewer;
use crate::facts::status::Status;

/// The data of a page.
pub(super) struct Page<'a> {
    /// The facts.
    pub(super) status: &'a Status<'a>,
    /// The viewer.
    pub(super) viewer: &'a Viewer,
    /// The command line that reaches the same store.
    pub(super) jobctl: String,
    /// The system's supervisor, for users whose command line names another one.
    pub(super) elsewhere: Option<String>,
    /// The height of the page, if it is redrawn repeatedly.
    pub(super) lines_max: Option<usize>,
    /// Whether only failures are shown.
    pub(super) is_failed_only: bool,
    /// Only jobs with a part of a name were asked for.
    pub(super) is_filtered: bool,
}
